"""A new configuration in a running daemon: what applies, what is refused, who notices."""

import asyncio
import contextlib
import grp
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest
import websockets

import stock
import way
from apart import AS_NOBODY, backlog_of, give_to_nobody, needs_root, not_under_a_sanitizer
from certificates import Authority
from halfway import Halfway, needs_raw_tcp
from harness import (CONFIG, DEADLINE, FIVE, LOCAL, PROGRAM, alive, config_text, descriptors,
                     free_port, in_time, open_files, proc_stat, run_program, stand_still, taken_port, wait_until)
from raw import Member, Raw, client_of, close, request, run, text

ECHO = {"path": "/ws", "behaviour": "echo", "prefix": "Echo: "}
NEW = {"path": "/new", "behaviour": "echo", "prefix": "New: "}


def answer(address, path="/ws", said="hi"):
    with Raw(address) as c:
        return c.upgrade(path).send(text(said)).text()


def status(address, path="/ws"):
    with Raw(address) as c:
        return c.send(request(path)).response().status


def refused_reload(d, *errors):
    """A reload that fails: with these errors, and without an effect."""
    for regex in (*errors, "reload refused: "):
        d.expect_error(regex)
    mark = d.log_size()
    d.reload(expect=False)
    for regex in errors:
        assert re.search(regex, d.log(mark)), d.log(mark)


def summary(d, mark):
    return d.log_contains(r"configuration reloaded: (.*) event=reloaded", mark).group(1)


def test_signal_while_it_starts(daemon):
    """From the moment that its process id is to be read it does not end the daemon."""
    d = daemon({"bus_size": "64M"}, start=False).launch()
    path = os.path.join(d.directory, "ignyxd.pid")
    wait_until("the process id", lambda: os.path.exists(path) and os.path.getsize(path))
    d.kill(signal.SIGHUP)
    d.log_contains("configuration reloaded: ")
    assert answer(d.address) == "Echo: hi"


# --- what applies ---


def test_five_lines_add_an_endpoint(daemon):
    """The promise of the first page of the manual."""
    d = daemon(text="""\
runtime_dir = "%s";
workers = 2; bus_size = "1M"; bus_lag = "256K"; max_message = "128K";
listen = ( { address = "127.0.0.1"; port = 0; } );
endpoints = (
	{ path = "/ws"; behaviour = "echo"; prefix = "Echo: "; }
);
""", start=False)
    with open(d.file, encoding="ascii") as f:
        whole = f.read() % d.directory
    d.write(whole)
    d.start()
    with Raw(d.address) as open_before:
        open_before.upgrade().send(text("1"))
        assert open_before.text() == "Echo: 1"
        assert status(d.address, "/new") == 404
        d.write(whole.removesuffix("\n);\n") + """,
	{
		path = "/new";
		behaviour = "echo";
		prefix = "New: ";
	}
);
""")
        mark = d.log_size()
        d.reload()
        assert answer(d.address, "/new") == "New: hi"
        open_before.send(text("2"))
        assert open_before.text() == "Echo: 2"
        open_before.send(close(1000)).closed(1000)
    assert summary(d, mark) == \
        "1 endpoints added, 0 changed, 0 removed; 1 connections kept, 0 closed"


def test_changed_settings_reach_open_connections(five):
    with Raw(five.address) as c, Raw(five.address) as safe:
        c.upgrade("/ws")
        safe.upgrade("/safe")
        five.change(endpoints=[{**FIVE[0], "prefix": "Changed: ", "max_message": "100"},
                               *FIVE[1:]])
        mark = five.log_size()
        five.reload()
        c.send(text("hi"))
        assert c.text() == "Changed: hi"
        c.send(text("x" * 101))
        assert c.closing() == (1009, "message-too-big")
        safe.send(text("x" * 101), close(1000)).closed(1000)
    assert summary(five, mark) == \
        "0 endpoints added, 1 changed, 0 removed; 2 connections kept, 0 closed"


def test_each_connection_is_counted_once(daemon):
    """Also where the reload gives it another time to be looked at."""
    d = daemon({"ping_interval": "0", "endpoints": [ECHO]})
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(Raw(d.address)).upgrade()
        for interval in ("25s", "10s", "40s", "0"):
            d.change(ping_interval=interval)
            mark = d.log_size()
            d.reload()
            assert summary(d, mark) == "0 endpoints added, 1 changed, 0 removed; settings " \
                "changed: ping_interval; 10 connections kept, 0 closed"


def test_reloads_of_many(daemon):
    """One behind the other: all that stay are moved, each is told and counted once."""
    stay, go = 1000, 500
    gone = {"path": "/gone", "behaviour": "echo"}
    d = daemon({"workers": 2, "ping_interval": "0", "drain_time": "0", "endpoints": [ECHO, gone]})

    async def client():
        members = await asyncio.gather(
            *(Member.open(d.address, p) for p in ["/ws"] * stay + ["/gone"] * go))
        mark = d.log_size()
        d.change(endpoints=[{**ECHO, "prefix": "First: "}])
        d.kill(signal.SIGHUP)
        for m in members[stay:]:
            await m.until(lambda m=m: m.lost, "its end")
            assert (m.code, m.reason) == (1012, "endpoint-changed")
        d.change(endpoints=[{**ECHO, "prefix": "Second: "}])
        d.kill(signal.SIGHUP)
        d.log_contains("(?s)configuration reloaded: .*configuration reloaded: ", mark)
        for m in members[:stay]:
            m.send(b"hi")
        for m in members[:stay]:
            await m.count(1)
            assert m.messages == [b"Second: hi"]
        for kept, closed in ((stay, go), (stay, 0)):
            d.log_count(rf"; {kept} connections kept, {closed} closed", 1)

    run(client())


def test_removed_endpoint(daemon):
    five = daemon({"drain_time": "0"})
    with Raw(five.address) as c, Raw(five.address) as other:
        c.upgrade("/safe")
        other.upgrade("/ws")
        five.change(endpoints=FIVE[:4])
        mark = five.log_size()
        five.reload()
        c.closed(1012, "endpoint-changed")
        assert status(five.address, "/safe") == 404
        other.send(text("hi"))
        assert other.text() == "Echo: hi"
    assert summary(five, mark) == \
        "0 endpoints added, 0 changed, 1 removed; 1 connections kept, 1 closed"
    five.log_contains(rf"closed /.*endpoint=/safe{way.PROXIED} code=1012 reason=endpoint-changed")


def test_changed_behaviour(daemon):
    five = daemon({"drain_time": "0"})
    with Raw(five.address) as c, Raw(five.address) as room:
        c.upgrade("/safe")
        room.upgrade("/chat")
        five.change(endpoints=[*FIVE[:4], {"path": "/safe", "behaviour": "echo"}])
        five.reload()
        c.closed(1012, "endpoint-changed")
        assert answer(five.address, "/safe") == "hi"
        room.send(text("hi"))
        assert room.text() == "User: hi"


def test_stock_client_sees_the_code(daemon):
    five = daemon({"drain_time": "0"})

    async def client():
        async with stock.connect(five.url("/safe")) as ws:
            five.change(endpoints=FIVE[:4])
            await asyncio.to_thread(five.reload)
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (1012, "endpoint-changed")

    run(client())


@way.directly("a listener that is gone refuses")
def test_listener_added_and_removed(five):
    before = five.address
    with Raw(before) as c:
        c.upgrade()
        path = os.path.join(five.directory, "ws.sock")
        port = free_port()
        five.change(listen=[{"address": "127.0.0.1", "port": port}, {"unix": path}])
        five.reload()
        assert answer(("127.0.0.1", port)) == answer(path) == "Echo: hi"
        five.log_contains(rf"no longer listening on {re.escape('%s:%d' % before)} "
                          "event=listening-ended$")
        with pytest.raises(ConnectionRefusedError):
            Raw(before)
        c.send(text("hi"))
        assert c.text() == "Echo: hi", "a connection outlives its listener"
        with Raw(path) as u:
            u.upgrade()
            five.change(listen=[{"address": "127.0.0.1", "port": port}])
            five.reload()
            assert not os.path.exists(path)
            u.send(text("hi"))
            assert u.text() == "Echo: hi"


def test_unix_socket_mode_and_backlog(daemon):
    d = daemon(start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[{"unix": path, "mode": "0600"}])
    d.start()
    inode = os.stat(path).st_ino
    d.change(listen=[{"unix": path, "mode": "0666", "backlog": 10}])
    d.reload()
    assert os.stat(path).st_mode & 0o777 == 0o666
    assert os.stat(path).st_ino == inode, "the same socket: nobody in its queue is lost"
    assert answer(path) == "Echo: hi"


@way.directly("it has a listener of its own")
def test_backlog(daemon):
    d = daemon({"workers": 1, "listen": [{**LOCAL, "backlog": 100}]})
    worker, = d.workers()
    assert backlog_of(worker) == 100
    d.change(listen=[{**LOCAL, "backlog": 10}])
    d.reload()
    assert backlog_of(worker) == 10


def test_unix_socket_of_a_worker_that_retires(daemon):
    """It is everybody's: who retires ends what is its own."""
    d = daemon(start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[{"unix": path}], workers=3)
    d.start()
    d.change(workers=1)
    d.reload()
    d.wait_workers(1)
    assert answer(path) == "Echo: hi"


@needs_root
def test_unix_socket_that_has_no_group_any_more(daemon):
    """It is then the user's own, as it would be after a start."""
    d = daemon(start=False)
    path = os.path.join(d.directory, "ws.sock")
    other = next(g for g in grp.getgrall() if g.gr_gid != os.getegid())
    d.change(listen=[{"unix": path, "group": other.gr_name}])
    d.start()
    assert os.stat(path).st_gid == other.gr_gid
    d.change(listen=[{"unix": path}])
    d.reload()
    assert os.stat(path).st_gid == os.getegid()
    assert answer(path) == "Echo: hi"


@needs_root
def test_unix_socket_with_a_group_that_the_user_is_not_in(daemon):
    """An error at a reload as it is at a start, and nothing has changed."""
    d = daemon(start=False, wrap=AS_NOBODY)
    one, two = (os.path.join(d.directory, name) for name in ("one.sock", "two.sock"))
    d.change(listen=[{"unix": one}, {"unix": two}])
    give_to_nobody(d.directory)
    d.start()
    before = [(s.st_mode, s.st_gid) for s in map(os.stat, (one, two))]
    d.change(listen=[{"unix": one, "mode": "0666"},
                     {"unix": two, "mode": "0666", "group": grp.getgrgid(0).gr_name}])
    refused_reload(d, rf"{d.place('two.sock')}: cannot listen on unix:{two}: Operation not "
                      r'permitted; .* a "group" that the user is in')
    assert [(s.st_mode, s.st_gid) for s in map(os.stat, (one, two))] == before


def test_unix_socket_whose_file_was_removed(daemon):
    d = daemon(start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[{"unix": path}])
    d.start()
    os.unlink(path)
    d.reload()
    d.log_contains(rf"warning: {d.place('ws.sock')}: cannot set mode and group of {path}: No such "
                   "file or directory; the file is gone, and nobody can connect until a restart")


def test_max_connections(five):
    with Raw(five.address) as a, Raw(five.address) as b:
        a.upgrade()
        b.upgrade()
        five.change(max_connections=1)
        five.reload()
        assert status(five.address) == 503
        for c in (a, b):
            c.send(text("hi"))
            assert c.text() == "Echo: hi", "who is in stays in"
        five.change(max_connections=3)
        five.reload()
        assert answer(five.address) == "Echo: hi"


def test_ping_interval_of_open_connections(daemon):
    d = daemon({"ping_interval": "0"})
    with Raw(d.address) as c:
        c.upgrade()
        d.change(ping_interval="100ms")
        d.reload()
        assert c.frame()[0] == 0x89


def test_log_level(five):
    mark = five.log_size()
    five.change(log_level="debug")
    five.reload()
    assert answer(five.address) == "Echo: hi"
    five.log_contains(r"\[worker \d\]: debug: ADMIT -> OPEN", mark)
    five.change(log_level="warning")
    five.reload()
    with Raw(five.address) as c:
        c.upgrade()
        mark = five.log_size()
        c.send(close(1000)).closed(1000)
    assert five.stop() == 0
    # but for its own end, which is told at every level
    assert [x for x in five.log(mark).splitlines() if " event=stop" not in x] == []


def test_workers_up(daemon):
    d = daemon({"workers": 1})
    [first] = d.workers()
    with Raw(d.address) as c:
        c.upgrade()
        d.change(workers=4)
        d.reload()
        assert len(d.workers()) == 4 and first in d.workers()
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    # behind a proxy all workers accept from one socket, and who is awake first takes all there is
    used = lambda: set(re.findall(r"^ignyxd\[(worker \d)\]: info: opened", d.log(), re.M))
    wait_until("that each worker serves",
               lambda: answer(d.address) and used() == {f"worker {i}" for i in range(4)})


def test_workers_down(daemon):
    """Workers that are not wanted any more end with their last connection, not before."""
    d = daemon({"workers": 4, "log_level": "debug", "drain_time": "1h"})
    by_worker = {}
    extra = []
    while len(by_worker) < 4:
        c = Raw(d.address).upgrade("/chat")
        worker = d.worker_of(c.local_port)
        if worker in by_worker:
            extra.append(c)
        else:
            by_worker[worker] = c
    for c in extra:
        c.socket.close()
    before = d.workers()
    d.change(workers=1)
    d.reload()
    assert d.workers() == before, "they serve what they have"
    for _ in range(20):
        answer(d.address)
    used = re.findall(r"worker (\d)\]: info: opened .*endpoint=/ws", d.log())
    assert set(used) == {"0"}
    for sender in by_worker.values():
        sender.send(text("hi"))
        for c in by_worker.values():
            assert c.text() == "User: hi"
    for i in (3, 2, 1):
        pid = d.worker_at(i)
        with by_worker.pop(i) as c:
            c.send(close(1000)).closed(1000)
        d.log_contains(rf"worker {i} retired")
        wait_until(f"the end of worker {i}", lambda: not alive(pid))
    assert d.workers() == [d.worker_at(0)]
    by_worker[0].send(text("last"))
    assert by_worker[0].text() == "User: last"
    by_worker[0].socket.close()


def test_retiring_worker_finishes_a_handshake(daemon):
    d = daemon({"workers": 2, "drain_time": "1h"})
    half = {}
    head = request("/ws")
    for i in range(20):
        half[i] = Raw(d.address).send(head[:60])
    # all are accepted once each worker has answered what came after them
    answered = set()
    while len(answered) < 2:
        with Raw(d.address) as c:
            answered.add(d.worker_of(c.upgrade().local_port))
    d.change(workers=1)
    d.reload()
    for c in half.values():
        c.send(head[60:], text("hi"))
        assert c.response().status == 101
        assert c.text() == "Echo: hi"
        c.send(close(1000)).closed(1000)
        c.socket.close()
    d.wait_workers(1)


def test_retiring_worker_that_is_killed_stays_away(daemon):
    d = daemon({"workers": 2, "log_level": "debug", "drain_time": "1h"})
    held = []
    while True:
        c = Raw(d.address).upgrade()
        held.append(c)
        if d.worker_of(c.local_port) == 1:
            break
    d.change(workers=1)
    d.reload()
    assert len(d.workers()) == 2
    d.expect_error("worker 1 .* was ended by signal 9")
    os.kill(d.worker_at(1), signal.SIGKILL)
    held[-1].gone()
    d.log_contains("worker 1 .* was ended by signal 9")
    d.wait_workers(1)
    d.reload()
    assert len(d.workers()) == 1
    for c in held:
        c.socket.close()


def test_workers_down_and_up_again_with_connections(daemon):
    """A worker that was retiring is taken back with what it has."""
    d = daemon({"workers": 2, "drain_time": "1h"})
    before = d.workers()
    held = [client_of(d, slot) for slot in (0, 1, 1)]
    for count in (1, 2, 1, 2):
        d.change(workers=count)
        d.reload()
    assert d.workers() == before
    # and it counts as one that may accept for others
    d.kill(signal.SIGUSR1)
    d.log_contains("worker 1: running, ")
    for c in held:
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    used = set()
    while len(used) < 2:
        with Raw(d.address) as c:
            used.add(d.worker_of(c.upgrade().local_port))
    for c in held:
        c.socket.close()


def test_nothing_changed(five):
    mark = five.log_size()
    five.reload()
    assert summary(five, mark) == \
        "0 endpoints added, 0 changed, 0 removed; 0 connections kept, 0 closed"


@way.in_the_clear("it has certificates of its own")
@way.directly("it has listeners of its own")
def test_the_summary_names_whatever_changed(daemon, directory):
    """Workers, listeners, certificates, log level and limits as well as endpoints."""
    authority = Authority(os.path.join(directory, "authority"))
    one, two = authority.pair("DNS:one.example"), authority.pair("DNS:two.example")
    pair = os.path.join(directory, "now.pem"), os.path.join(directory, "now.key")

    def put(which):
        for source, target in zip((which.certificate, which.key), pair):
            shutil.copyfile(source, target)

    put(one)
    tls = {"certificates": [dict(zip(("certificate", "key"), pair))]}
    ports = [free_port() for _ in range(3)]
    listen = [{"address": "127.0.0.1", "port": p} for p in ports]
    d = daemon({"listen": [{**listen[0], "tls": tls}, listen[1]]})

    def changed(**settings):
        mark = d.log_size()
        d.change(**settings)
        d.reload()
        return summary(d, mark).removesuffix("; 0 connections kept, 0 closed")

    none = "0 endpoints added, 0 changed, 0 removed"
    assert changed() == none
    put(two)
    assert changed() == none + "; listeners: 0 added, 1 changed, 0 removed; 1 new certificates"
    assert changed(listen=[{**listen[0], "tls": tls}, {**listen[1], "backlog": 7}, listen[2]]) == \
        none + "; listeners: 1 added, 1 changed, 0 removed"
    assert changed(listen=listen[1:]) == none + "; listeners: 0 added, 1 changed, 1 removed"
    assert changed(workers=3, log_level="debug", shutdown_grace="9s") == \
        none + "; settings changed: workers, log_level, shutdown_grace"
    assert changed(close_timeout="4s", endpoints=FIVE[:4]) == \
        "0 endpoints added, 4 changed, 1 removed; settings changed: close_timeout"


@way.in_the_clear("it has certificates of its own")
@way.directly("it has listeners of its own")
def test_the_log_tells_of_each_change(daemon, directory):
    """With old and new values, and what becomes of open connections."""
    authority = Authority(os.path.join(directory, "authority"))
    pair = authority.pair("DNS:one.example", subject="/CN=one.example")
    first, second = ({"address": "127.0.0.1", "port": free_port()} for _ in range(2))
    d = daemon({"listen": [first], "endpoints": [ECHO, NEW, {"path": "/gone", "behaviour": "echo"}]})

    held = [Raw(d.address).upgrade(path) for path in ("/gone", "/gone", "/ws")]

    def changes(**settings):
        mark = d.log_size()
        d.change(**settings)
        d.reload()
        # ahead of the line that sums them up
        log = d.log(mark)[:d.log(mark).index("configuration reloaded: ")]
        return re.findall(r"info: (.*?)(?: event=reload-change.*)", log)

    assert changes(endpoints=[{**ECHO, "max_message": "2K", "prefix": "x" * 200}, {"path": "/more", "behaviour": "echo"},
                              {"path": "/new", "behaviour": "sink"}]) == [
        "endpoint /gone removed; 2 connections are closed with 1012 (endpoint-changed)",
        "endpoint /more added",
        'endpoint /new changed: behaviour "echo" -> "sink"; 0 connections are closed with 1012 '
        "(endpoint-changed)",
        f'endpoint /ws changed: max_message "128K" -> "2K"; prefix "Echo: " -> "{"x" * 99}...; '
        '1 connections stay']
    d.log_contains(r'event=reload-change endpoint=/more$')
    tls = {"certificates": [pair.group()]}
    told = changes(listen=[{**first, "backlog": 7}, {**second, "tls": tls}], log_time="never")
    expires = told[2].rsplit(" ", 1)[1]
    assert told == [
        f"listener 127.0.0.1:{first['port']} changed: backlog 4096 -> 7",
        f"listener 127.0.0.1:{second['port']} opened",
        f'certificate "CN=one.example" of 127.0.0.1:{second["port"]} added, expires {expires}',
        'setting log_time "auto" -> "never"']
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", expires)
    assert changes(listen=[first], close_timeout="4s", compression={"enabled": True}, endpoints=[ECHO]) == [
        "endpoint /more removed; 0 connections are closed with 1012 (endpoint-changed)",
        "endpoint /new removed; 0 connections are closed with 1012 (endpoint-changed)",
        f'endpoint /ws changed: max_message "2K" -> "128K"; close_timeout "5s" -> "4s"; '
        f'compression.enabled false -> true; prefix "{"x" * 99}... -> "Echo: "; 1 connections stay',
        f"listener 127.0.0.1:{first['port']} changed: backlog 7 -> 4096",
        f"listener 127.0.0.1:{second['port']} closed",
        f'certificate "CN=one.example" of 127.0.0.1:{second["port"]} removed, expires {expires}',
        'setting close_timeout "5s" -> "4s"', "setting compression.enabled false -> true"]
    # a restart's own warning tells of that
    assert changes(bus_size="2M") == []
    assert changes() == []
    for c in held:
        c.socket.close()


def test_many_changes_are_a_number(daemon):
    d = daemon({"endpoints": [ECHO]})
    d.change(endpoints=[ECHO, *({"path": f"/{n}", "behaviour": "echo"} for n in range(120))])
    mark = d.log_size()
    d.reload()
    d.log_contains("info: and 70 more changes event=reload-change", mark)
    d.log_count(r"endpoint /\d+ added event=reload-change", 50, mark)
    assert "120 endpoints added" in summary(d, mark)


@way.directly("a listener that is gone refuses")
def test_no_listeners_are_a_drain(five):
    """At a reload: nobody new comes in, who is in stays, and a listener is opened again later."""
    address = five.address
    workers = five.workers()
    with Raw(address) as c, Raw(address) as room:
        c.upgrade()
        room.upgrade("/chat")
        five.change(listen=[])
        mark = five.log_size()
        five.reload()
        five.log_contains(r'warning: .*:\d+: "listen" is empty: a reload closes all listeners', mark)
        assert "listeners: 0 added, 0 changed, 1 removed; 2 connections kept" in summary(five, mark)
        with pytest.raises(ConnectionRefusedError):
            Raw(address)
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
        room.send(close(1000)).closed(1000)
    # a worker without connections is no worker too many
    five.log_count("event=conn-close", 2)
    five.reload()
    assert five.workers() == workers
    five.change(listen=[LOCAL])
    five.reload()
    assert answer(five.address) == "Echo: hi"
    assert five.workers() == workers
    r = run_program("-t", "-c", five.file)
    assert r.returncode == 0


def test_no_listeners_at_the_start(daemon):
    """Where there is nobody yet a drain is a mistake."""
    d = daemon({"listen": []}, start=False)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == 0 and 'warning: ' in r.stderr and "no daemon starts with it" in r.stderr
    d.refuses(rf'not started: "listen" is empty in {re.escape(d.file)}')
    assert d.process.returncode == CONFIG


def test_keys_that_need_a_restart(daemon):
    d = daemon()
    mark = d.log_size()
    d.change(bus_size="2M", max_rooms=500, bus_lag="300K", endpoints=[*FIVE, NEW])
    d.reload()
    for key in ("bus_size", "bus_lag", "max_rooms"):
        d.log_contains(rf'warning: a change of "{key}" needs a restart; the rest', mark)
    d.log_count("needs a restart", 3, mark)
    assert answer(d.address, "/new") == "New: hi"


def test_included_files(daemon):
    d = daemon(start=False)
    folder = os.path.join(d.directory, "endpoints.d")
    os.mkdir(folder)
    d.write(f'runtime_dir = "{d.directory}";\nworkers = 2; bus_size = "1M"; bus_lag = "256K";\n'
            'max_message = "128K";\nlisten = ( { address = "127.0.0.1"; port = 0; } );\n'
            'endpoints = (\n@include "endpoints.d/*.conf"\n);\n')

    def put(name, content):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(content)

    put("1.conf", '{ path = "/ws"; behaviour = "echo"; prefix = "Echo: "; },\n')
    d.start()
    put("2.conf", '{ path = "/new"; behaviour = "echo"; prefix = "New: "; },\n')
    mark = d.log_size()
    d.reload()
    assert summary(d, mark).startswith("1 endpoints added, 0 changed, 0 removed")
    assert answer(d.address, "/new") == "New: hi"
    put("1.conf", '# the old prefix is gone\n{ path = "/ws"; behaviour = "echo"; },\n')
    d.reload()
    assert answer(d.address) == "hi"
    put("2.conf", '\n\n{ path = "/new"; behaviour = "ekho"; },\n')
    refused_reload(d, re.escape(os.path.join(folder, "2.conf")) +
                   ':3: endpoint "/new": unknown behaviour "ekho"')
    os.unlink(os.path.join(folder, "2.conf"))
    d.reload()
    assert status(d.address, "/new") == 404


# --- what is refused ---


def test_bad_file(five):
    with Raw(five.address) as c:
        c.upgrade()
        five.change(endpoints=[*FIVE, {**NEW, "behaviour": "ekho"}], worker=3)
        line = five.place('"/new"')
        refused_reload(five, rf'error: {line}: endpoint "/new": unknown behaviour "ekho"',
                       rf'error: {five.place("worker = 3")}: unknown setting "worker" .did you '
                       'mean "workers"', r"reload refused: 2 errors in the configuration; the "
                       "running configuration stays in force event=reload-refused")
        assert status(five.address, "/new") == 404
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    del five.settings["worker"]
    five.change(endpoints=[*FIVE, NEW])
    five.reload()
    assert answer(five.address, "/new") == "New: hi"


@pytest.mark.parametrize("content", ["", "listen = (", "\0", "endpoints = ( );", "}"])
def test_file_that_is_none(five, content):
    five.write(content)
    refused_reload(five, "config-error")
    assert answer(five.address) == "Echo: hi"


def test_file_that_is_gone(five):
    os.unlink(five.file)
    refused_reload(five, rf"{five.file}: cannot read: No such file or directory")
    assert answer(five.address) == "Echo: hi"
    five.write()
    five.reload()


@needs_root
def test_file_that_the_user_cannot_read(daemon):
    d = daemon({"user": "nobody"}, start=False)
    give_to_nobody(d.directory)
    d.start()
    os.chmod(d.file, 0o600)
    refused_reload(d, rf"{d.file}: cannot read: Permission denied")
    assert answer(d.address) == "Echo: hi"
    os.chmod(d.file, 0o644)
    d.reload()


def test_new_listener_that_is_taken(five):
    """Refused as a whole: of its listeners, endpoints and workers nothing applies."""
    taken, port = taken_port()
    other = free_port()
    with taken:
        path = os.path.join(five.directory, "ws.sock")
        five.change(listen=[LOCAL, {"address": "127.0.0.1", "port": other}, {"unix": path},
                            {"address": "127.0.0.1", "port": port}],
                    endpoints=[*FIVE, NEW], workers=4)
        refused_reload(five, rf"error: {five.place(f'port = {port};')}: cannot listen on "
                       rf"127\.0\.0\.1:{port}: Address already in use; another program",
                       "reload refused: it cannot be put in force; the running configuration "
                       "stays in force")
        assert answer(five.address) == "Echo: hi"
        assert status(five.address, "/new") == 404
        assert len(five.workers()) == 2
        assert not os.path.exists(path)
        with pytest.raises(ConnectionRefusedError):
            Raw(("127.0.0.1", other))
    five.reload()
    for address in (("127.0.0.1", other), path, ("127.0.0.1", port)):
        assert answer(address, "/new") == "New: hi"
    assert len(five.workers()) == 4


@way.skip_if(way.TLS and os.geteuid() != 0, reason="a daemon with keys shows its files to root")
def test_refused_reloads_leak_no_files(five):
    def files():
        return [open_files(pid) for pid in (five.pid, *five.workers())]

    taken, port = taken_port()
    with taken:
        # one may be open for a moment, such as the socket of a notification
        most = [n + 1 for n in files()]
        for _ in range(4):
            five.change(listen=[LOCAL, {"address": "127.0.0.1", "port": free_port()},
                                {"address": "127.0.0.1", "port": port}], workers=3)
            refused_reload(five, "cannot listen on")
            five.change(listen=[LOCAL], workers=2)
            five.reload()
        wait_until("as many open files as before",
                   lambda: all(n <= m for n, m in zip(files(), most)))


# --- ignyxd -r ---


def ask_reload(d, **env):
    return run_program("-r", "-c", d.file, env={**d.env, **env})


def test_r_applied(five):
    five.change(endpoints=[*FIVE, NEW])
    r = ask_reload(five)
    assert (r.returncode, r.stderr) == (0, "")
    assert r.stdout == "configuration reloaded: 1 endpoints added, 0 changed, 0 removed; " \
        "0 connections kept, 0 closed\n"
    assert answer(five.address, "/new") == "New: hi", "it returns when that serves"


def test_r_refused(five):
    taken, port = taken_port()
    with taken:
        five.change(listen=[LOCAL, {"address": "127.0.0.1", "port": port}])
        five.expect_error("cannot listen on|reload refused")
        r = ask_reload(five)
        assert (r.returncode, r.stdout) == (1, "")
        first, last = r.stderr.splitlines()
        assert re.match(rf"{five.place(f'port = {port};')}: cannot listen on 127\.0\.0\.1:{port}: "
                        "Address already in use", first)
        assert last.startswith("reload refused: ")
    assert ask_reload(five).returncode == 0


def test_r_with_the_errors_of_the_file(five):
    """As a service: the folder is the service manager's, the errors are the daemon's."""
    five.change(worker=3)
    five.expect_error('unknown setting "worker"|reload refused')
    mark = five.log_size()
    r = ask_reload(five, RUNTIME_DIRECTORY=five.directory, MAINPID=str(five.pid))
    assert (r.returncode, r.stdout, r.stderr) == (1, "", ""), "what it says goes where the log goes"
    five.log_count('unknown setting "worker"', 1, mark)
    r = ask_reload(five, RUNTIME_DIRECTORY=five.directory)
    assert (r.returncode, r.stdout) == (1, "")
    first, last = r.stderr.splitlines()
    assert re.match(rf'{five.place("worker = 3")}: unknown setting "worker"', first)
    assert last == "reload refused: 1 error in the configuration; the running configuration " \
        "stays in force"


def test_r_with_a_file_that_does_not_say_where(five):
    """By hand: what cannot be parsed does not say where the daemon is, but what is wrong is said."""
    five.write(config_text(five.settings) + "workers = = 3;\n")
    r = ask_reload(five)
    assert (r.returncode, r.stdout) == (1, "")
    first, last = r.stderr.splitlines()
    assert re.match(rf"{five.place('= = 3')}: expected a value", first)
    assert last == f"{five.file} has errors (1): the daemon was not asked to reload"
    assert answer(five.address) == "Echo: hi"


def test_r_with_errors_that_are_the_daemons_to_tell(five):
    """By hand: a file that says where the daemon is has its other errors told by that."""
    five.change(worker=3)
    five.expect_error('unknown setting "worker"|reload refused')
    r = ask_reload(five)
    assert (r.returncode, r.stdout) == (1, "")
    first, last = r.stderr.splitlines()
    assert re.match(rf'{five.place("worker = 3")}: unknown setting "worker"', first)
    assert last.startswith("reload refused: 1 error in the configuration; ")


def test_r_by_somebody_with_lower_limits(daemon):
    """What is too much for this process need not be for the daemon."""
    d = daemon({"max_connections": 500})
    few = ["prlimit", "--nofile=256:256", "--", PROGRAM]
    r = subprocess.run([*few, "-t", "-c", d.file], env=d.env, capture_output=True,
                       stdin=subprocess.DEVNULL, text=True, check=False)
    assert r.returncode == 1 and '"max_connections" must be at most' in r.stderr
    r = subprocess.run([*few, "-r", "-c", d.file], env=d.env, capture_output=True,
                       stdin=subprocess.DEVNULL, text=True, check=False)
    assert (r.returncode, r.stderr) == (0, "")
    assert r.stdout.startswith("configuration reloaded: ")


def test_r_without_the_directory(daemon):
    d = daemon({"runtime_dir": "/nonexistent/ignyxd"}, start=False)
    r = ask_reload(d)
    assert (r.returncode, r.stderr.splitlines()[-1]) == \
        (1, "ignyxd: runtime_dir /nonexistent/ignyxd: No such file or directory")


def test_outcome_that_cannot_be_written_anew(five):
    """It is written over the one that is there."""
    os.mkdir(os.path.join(five.directory, "reload.new"))
    r = ask_reload(five)
    assert (r.returncode, r.stderr) == (0, "")
    assert r.stdout.startswith("configuration reloaded: ")
    assert "warning: cannot write" not in five.log()


def test_outcome_that_cannot_be_written(five):
    """The reload itself is done."""
    os.mkdir(os.path.join(five.directory, "reload.new"))
    os.remove(os.path.join(five.directory, "reload"))
    five.change(endpoints=[{"path": "/new", "behaviour": "echo"}])
    five.reload()
    five.log_contains("warning: cannot write the outcome of the reload to runtime_dir: No such file")
    assert answer(five.address, "/new") == "hi"


def test_r_without_a_daemon(daemon):
    d = daemon()
    assert d.stop() == 0
    r = ask_reload(d)
    assert (r.returncode, r.stderr) == (1, "ignyxd: no daemon runs with this runtime_dir\n")
    with open(os.path.join(d.directory, "ignyxd.pid"), "w", encoding="ascii") as f:
        f.write(f"{os.getpid()}\n")
    r = ask_reload(d)
    assert (r.returncode, r.stderr) == (1, "ignyxd: no daemon runs with this runtime_dir\n"), \
        "that pid may be anybody's"


@needs_root
def test_r_by_somebody_else(daemon):
    """The unit's umask keeps its files from others: that is not to say that there is no daemon."""
    d = daemon(start=False, wrap=("sh", "-c", 'umask 077; exec "$@"', "sh")).start()
    r = subprocess.run([*AS_NOBODY, PROGRAM, "-r", "-c", d.file], env=d.env, capture_output=True,
                       stdin=subprocess.DEVNULL, text=True, check=False)
    assert (r.returncode, r.stderr) == (
        1, "ignyxd: cannot read ignyxd.pid in runtime_dir: Permission denied\n")


def test_r_without_a_runtime_dir(daemon):
    d = daemon(start=False)
    del d.settings["runtime_dir"]
    d.write()
    d.start()
    r = ask_reload(d)
    assert r.returncode == 1
    assert 'set "runtime_dir"' in r.stderr
    d.reload()
    assert answer(d.address) == "Echo: hi"


def begin_r(d):
    return subprocess.Popen([PROGRAM, "-r", "-c", d.file], env=d.env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def waits_for_outcome(pid):
    """It watches the folder and sleeps; before its signal it never sleeps."""
    try:
        files = descriptors(pid).values()
    except PermissionError:  # it has read a key
        files = ["inotify"]
    except OSError:
        return False
    return any("inotify" in f for f in files) and proc_stat(pid)["state"] == "S"


def outcome(d):
    with open(os.path.join(d.directory, "reload"), encoding="utf-8") as f:
        return f.read()


def test_r_waits_for_all_workers(five):
    # on a slow machine
    five.expect_error("has not answered for 2 s whether it can reload|was ended by signal 9")
    stopped = five.workers()[0]
    stand_still(stopped)
    try:
        r = begin_r(five)
        wait_until("the reload", lambda: " running\n" in outcome(five))
        with pytest.raises(subprocess.TimeoutExpired):
            r.wait(0.3)
    finally:
        os.kill(stopped, signal.SIGCONT)
    out, err = r.communicate(timeout=DEADLINE)
    assert (r.returncode, err) == (0, "")
    assert out.startswith("configuration reloaded: ")


def test_r_while_a_reload_is_running(five):
    """That one may have read the file too early: the answer is of the next, and comes soon."""
    # on a slow machine
    five.expect_error("has not answered for 2 s whether it can reload|was ended by signal 9")
    stopped = five.workers()[0]
    stand_still(stopped)
    path = os.path.join(five.directory, "ws.sock")
    try:
        five.change(listen=[LOCAL, {"unix": path}])
        five.kill(signal.SIGHUP)
        wait_until("that the file was read", lambda: os.path.exists(path))
        five.change(endpoints=[*FIVE, NEW])
        r = begin_r(five)
        wait_until("that it has sent its signal", lambda: waits_for_outcome(r.pid))
    finally:
        os.kill(stopped, signal.SIGCONT)
    out, err = r.communicate(timeout=DEADLINE)
    assert (r.returncode, err) == (0, "")
    assert out.startswith("configuration reloaded: 1 endpoints added")
    assert answer(five.address, "/new") == "New: hi"


def test_r_several_at_once(five):
    five.change(endpoints=[*FIVE, NEW])
    all_of_them = [begin_r(five) for _ in range(8)]
    for r in all_of_them:
        out, err = r.communicate(timeout=DEADLINE)
        assert (r.returncode, err) == (0, "")
        assert out.startswith("configuration reloaded: ")


def test_r_of_an_outcome_that_cannot_be_written(five):
    """It is told so as soon as the reload is done, and the next one is as ever."""
    stopped = five.workers()[0]
    file, new = (os.path.join(five.directory, name) for name in ("reload", "reload.new"))
    stand_still(stopped)
    try:
        five.change(endpoints=[*FIVE, NEW])
        r = begin_r(five)
        wait_until("the reload", lambda: " running\n" in outcome(five))
        os.rename(file, file + ".old")
        for name in (file, new):
            os.mkdir(name)
    finally:
        os.kill(stopped, signal.SIGCONT)
    out, err = r.communicate(timeout=DEADLINE)
    assert (r.returncode, out, err) == (
        1, "", "ignyxd: the daemon cannot write to runtime_dir what came of the reload; "
        "see its log\n")
    five.log_contains("warning: cannot write the outcome of the reload to runtime_dir: Is a directory")
    assert answer(five.address, "/new") == "New: hi"
    for name in (file, new):
        os.rmdir(name)
    os.rename(file + ".old", file)
    r = ask_reload(five)
    assert (r.returncode, r.stderr) == (0, "")


def test_r_while_the_daemon_ends(five):
    stopped = five.workers()[0]
    five.expect_error("signal 9")
    stand_still(stopped)
    r = begin_r(five)
    wait_until("the reload", lambda: " running\n" in outcome(five))
    five.kill(signal.SIGTERM)
    five.notify.wait("STOPPING=1")
    five.kill(signal.SIGTERM)
    assert five.wait() == 0
    _, err = r.communicate(timeout=DEADLINE)
    assert r.returncode == 1
    assert "the daemon ended during the reload" in err


# --- at bad moments ---


def test_many_signals_at_once(five):
    five.change(endpoints=[*FIVE, NEW])
    at = len(five.notify.messages)
    for _ in range(100):
        five.kill(signal.SIGHUP)
    five.notify.wait("^READY=1$", at)
    assert answer(five.address, "/new") == "New: hi"
    assert ask_reload(five).returncode == 0

    def settled():
        texts = [t for _, t in five.notify.messages[at:] if re.search("^(RELOADING|READY)=1", t)]
        return texts and texts[-1].startswith("READY=1") and texts

    texts = wait_until("READY=1 at the end", settled)
    assert [t.split("=")[0] for t in texts] == ["RELOADING", "READY"] * (len(texts) // 2)
    assert five.running()


def test_worker_dies_during_a_reload(five):
    five.expect_error("signal 9")
    for _ in range(2):
        victim = five.workers()[0]
        stand_still(victim)
        at = len(five.notify.messages)
        five.kill(signal.SIGHUP)
        at, _ = five.notify.wait("^RELOADING=1$", at)
        os.kill(victim, signal.SIGKILL)
        five.notify.wait("^READY=1$", at)
        five.wait_workers(2, but=[victim])
        assert answer(five.address) == "Echo: hi"


def test_worker_dies_between_the_question_and_the_decision(daemon):
    """One that had said that it can: who takes its place has what the others have."""
    d = daemon({"workers": 3, "endpoints": [ECHO]})
    d.expect_error("has not answered for 2 s whether it can reload|was ended by signal 9")
    prepared, silent, _ = d.workers()
    mark = d.log_size()
    stand_still(silent)
    d.change(endpoints=[NEW], listen=[LOCAL, {"unix": os.path.join(d.directory, "ws.sock")}])
    d.kill(signal.SIGHUP)
    wait_until("that it is being prepared",
               lambda: os.path.exists(os.path.join(d.directory, "ws.sock")))
    # nobody has it before all can
    assert answer(d.address) == "Echo: hi" and status(d.address, "/new") == 404
    os.kill(prepared, signal.SIGKILL)
    d.log_contains(rf"pid {prepared}\) was ended by signal 9", mark)
    os.kill(silent, signal.SIGCONT)
    d.log_contains("configuration reloaded: 1 endpoints added", mark)
    d.wait_workers(3, but=[prepared])
    for _ in range(20):
        assert answer(d.address, "/new") == "New: hi" and status(d.address) == 404


def lock_memory(pid, size=None):
    """Lets a process have no more memory than it has, or any again."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        pages = int(f.read().split()[0])
    has = pages * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(pid, resource.RLIMIT_AS, (size or has, resource.RLIM_INFINITY))


@way.directly("it has listeners of its own")
@not_under_a_sanitizer("it needs more address space at any time")
def test_worker_that_cannot_have_it_makes_all_keep_what_they_have(daemon):
    """What was opened for it is closed, and who asks is told."""
    port = free_port()
    d = daemon({"workers": 3, "endpoints": [ECHO]})
    path = os.path.join(d.directory, "ws.sock")
    files = open_files(d.pid)
    workers = d.workers()
    with Raw(d.address) as c:
        c.upgrade()
        # not before: a handshake needs memory, too
        lock_memory(workers[1])
        d.change(endpoints=[NEW], listen=[LOCAL, {"address": "127.0.0.1", "port": port}, {"unix": path}])
        with open(d.file, "a", encoding="utf-8") as f:
            f.write("#" * 4000000 + "\n")
        refused_reload(d, r"error: worker 1 cannot have the new configuration: there is no memory for it")
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
        with pytest.raises(ConnectionRefusedError):
            Raw(("127.0.0.1", port))
        assert not os.path.exists(path)
        wait_until("what was opened for it is closed", lambda: open_files(d.pid) <= files)
        lock_memory(workers[1], resource.RLIM_INFINITY)
        for _ in range(20):
            assert answer(d.address) == "Echo: hi" and status(d.address, "/new") == 404
        # all can: with the same file
        d.reload()
    assert d.workers() == workers
    for _ in range(20):
        assert answer(d.address, "/new") == "New: hi" and status(d.address) == 404


def test_reload_right_after_a_death(five):
    """The new worker begins with the new configuration."""
    five.expect_error("signal 9")
    victim = five.workers()[0]
    five.change(endpoints=[*FIVE, NEW])
    os.kill(victim, signal.SIGKILL)
    five.reload()
    five.wait_workers(2, but=[victim])
    for _ in range(20):
        assert answer(five.address, "/new") == "New: hi"


def test_fewer_workers_when_one_is_in_back_off(daemon):
    d = daemon({"workers": 2, "log_level": "debug"})
    d.wear_out(1)
    d.change(workers=1, endpoints=[*FIVE, NEW])
    d.reload()
    assert answer(d.address, "/new") == "New: hi"
    d.change(workers=2)
    d.reload()
    assert len(d.workers()) == 2
    used = set()
    while len(used) < 2:
        with Raw(d.address) as c:
            used.add(d.worker_of(c.upgrade().local_port))


def test_half_a_request_over_a_reload(five):
    """A request is judged by the configuration that is in force when it is whole."""
    head = request("/new")
    with Raw(five.address) as c, Raw(five.address) as gone:
        c.send(head[:-2])
        gone.send(request("/safe")[:-2])
        five.change(endpoints=[*FIVE[:4], NEW])
        five.reload()
        c.send(head[-2:], text("hi"))
        assert c.response().status == 101
        assert c.text() == "New: hi"
        gone.send(b"\r\n")
        assert gone.response().status == 404


def test_reload_with_a_close_under_way(five):
    with Raw(five.address) as c:
        c.upgrade("/once")
        assert c.text() == "Goodbye!"
        assert c.closing()[0] == 1000
        five.change(endpoints=FIVE[:3])
        five.reload()
        c.send(close(1000)).ends()


@needs_raw_tcp
@way.in_the_clear("what is before TLS is the same")
@way.directly("HAProxy connects by a unix socket")
def test_who_has_half_connected_when_a_worker_retires(daemon):
    """A round trip may be long: whom the kernel has answered before a worker goes is served."""
    d = daemon({"workers": 4})
    round_trip = 0.1

    def attempt(pace):
        d.change(workers=4)
        d.reload()
        d.wait_workers(4)
        pace.step()
        with contextlib.ExitStack() as stack:
            callers = [stack.enter_context(Halfway(d.address)) for _ in range(24)]
            d.change(workers=1)
            d.reload()
            time.sleep(round_trip)
            for c in callers:
                c.go_on()
            pace.step()
            for c in callers:
                c.socket.sendall(request())
                assert c.socket.recv(4096).startswith(b"HTTP/1.1 101 ")
        d.wait_workers(1)

    in_time(0.2, attempt)


# --- under load ---


class Talker:
    """One member of the crowd: an echo client that checks each answer, or a speaker in a room."""

    def __init__(self, member, room):
        self.member = member
        self.room = room
        self.sent = 0

    async def talk(self, stop):
        m = self.member
        while not stop.is_set():
            m.send(b"%d" % self.sent)
            self.sent += 1
            await m.count(self.sent)
            assert not m.lost
            if not self.room:
                assert m.messages[self.sent - 1] == b"Echo: %d" % (self.sent - 1)
            await asyncio.sleep(0)


def test_two_hundred_connections_notice_nothing(daemon):
    """Endpoints, listeners and workers come and go; nothing is dropped, lost or out of order."""
    d = daemon({"workers": 4, "endpoints": [*FIVE, {"path": "/n", "behaviour": "sink"}],
                "access_log": False, "drain_time": "1h"})
    address = d.address
    rounds = [
        {"endpoints": [*FIVE, NEW]},
        {"workers": 2},
        {"endpoints": FIVE, "max_message": "100K"},
        {"workers": 1, "listen": [LOCAL, {"address": "127.0.0.1", "port": free_port()}]},
        {"workers": 3, "listen": [LOCAL], "ping_interval": "1s"},
        {"workers": 2, "log_level": "warning"},
    ]

    async def client():
        stop = asyncio.Event()
        echoes = [Talker(await Member.open(address, "/ws"), False) for _ in range(160)]
        room = [Talker(await Member.open(address, "/chat"), True) for _ in range(40)]
        talking = [asyncio.create_task(t.talk(stop)) for t in echoes + room]
        for settings in rounds:
            before = sum(t.sent for t in echoes)
            d.change(**settings)
            await asyncio.to_thread(d.reload)
            while sum(t.sent for t in echoes) < before + 500:
                await asyncio.wait(talking, timeout=0.01, return_when=asyncio.FIRST_EXCEPTION)
                assert not any(t.done() and t.exception() for t in talking)
        stop.set()
        await asyncio.gather(*talking)
        total = sum(t.sent for t in room)
        for t in room:
            await t.member.count(total)
        for t in room:
            assert t.member.messages == room[0].member.messages
            assert len(t.member.messages) == total
        assert not any(t.member.lost or t.member.code for t in echoes + room)
        for t in echoes:
            assert t.member.messages == [b"Echo: %d" % i for i in range(t.sent)]
        await asyncio.gather(*(t.member.end() for t in echoes + room))

    run(client())
    d.wait_workers(2)


def test_clients_that_come_during_reloads_are_served(daemon):
    """Of those who connect while workers come and go nobody is turned away."""
    d = daemon({"workers": 2, "access_log": False})
    address = d.address

    async def come(stop, served):
        while not stop.is_set():
            m = await Member.open(address, "/ws")
            m.send(b"hi")
            await m.count(1)
            assert m.messages == [b"Echo: hi"]
            await m.end()
            served.append(1)

    async def client():
        stop, served = asyncio.Event(), []
        coming = [asyncio.create_task(come(stop, served)) for _ in range(4)]
        for i in range(8):
            d.change(endpoints=[*FIVE, NEW] if i % 2 else FIVE, workers=2 + i % 3)
            await asyncio.to_thread(d.reload)
            before = len(served)
            while len(served) < before + 5:
                done, _ = await asyncio.wait(coming, timeout=0.01,
                                             return_when=asyncio.FIRST_EXCEPTION)
                for t in done:
                    t.result()
        stop.set()
        await asyncio.gather(*coming)

    run(client())
