"""The end: nobody new comes in, all are told, and none can hold it up for ever."""

import asyncio
import os
import signal
import time

import pytest
import websockets

import stock
import way
from certificates import Authority
from harness import DEADLINE, LOCAL, SLOW, children, open_files, stand_still, wait_until
from raw import BINARY, Member, Raw, close, frame, request, run

LONG = {"shutdown_grace": "60s", "close_timeout": "60s"}


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_all_are_told(five, sig):
    paths = ["/ws", "/chat", "/notifications", "/safe"]

    async def client():
        members = [await Member.open(five.address, p) for p in paths * 5]
        five.kill(sig)
        for m in members:
            await m.until(lambda m=m: m.lost, "its end")
            assert (m.code, m.reason) == (1001, "shutdown")

    run(client())
    assert five.wait() == 0
    five.log_count(r"closed /.*code=1001 reason=shutdown", 20)
    lines = [x for x in five.log().splitlines() if x.startswith("ignyxd[master]")]
    assert lines[-2:] == ["ignyxd[master]: info: stopping event=stopping",
                          "ignyxd[master]: info: stopped event=stopped"]


def test_many_are_told(daemon):
    many = 1500
    d = daemon({"workers": 2})

    async def client():
        members = await asyncio.gather(*(Member.open(d.address, "/ws") for _ in range(many)))
        d.kill(signal.SIGTERM)
        for m in members:
            await m.until(lambda m=m: m.lost, "its end")
            assert (m.code, m.reason) == (1001, "shutdown")

    run(client())
    assert d.wait() == 0
    d.log_count(r"closed /.*code=1001 reason=shutdown", many)


def test_stock_client(five):
    async def client():
        async with stock.connect(five.url("/chat")) as ws:
            await ws.send("hi")
            assert await ws.recv() == "User: hi"
            five.kill(signal.SIGTERM)
            with pytest.raises(websockets.ConnectionClosedOK):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (1001, "shutdown")

    run(client())
    assert five.wait() == 0


def test_without_connections(five):
    assert five.stop() == 0
    assert sorted(os.listdir(five.directory)) == ["ignyxd.conf", "log", "log.out", "notify"]


def test_files_are_removed(daemon):
    d = daemon(start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[LOCAL, {"unix": path}])
    d.start()
    assert {"ignyxd.pid", "reload", "ws.sock"} < set(os.listdir(d.directory))
    assert d.stop() == 0
    assert sorted(os.listdir(d.directory)) == ["ignyxd.conf", "log", "log.out", "notify"]


def test_it_waits_for_the_answers(daemon):
    d = daemon(LONG)
    with Raw(d.address) as quick, Raw(d.address) as slow:
        quick.upgrade()
        slow.upgrade("/chat")
        d.kill(signal.SIGTERM)
        quick.closed(1001, "shutdown")
        quick.socket.close()
        d.log_contains(rf"closed /.*endpoint=/ws{way.PROXIED} code=1001 reason=shutdown")
        assert slow.closing() == (1001, "shutdown")
        assert d.running(), "one has not answered yet"
        slow.send(close(1001)).ends()
    assert d.wait() == 0
    d.log_contains(rf"closed /.*endpoint=/chat{way.PROXIED} code=1001 reason=shutdown")


@way.directly("a listener that is gone refuses")
def test_nobody_new_comes_in(daemon):
    d = daemon(LONG, start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[LOCAL, {"unix": path}])
    d.start()
    address = d.address
    with Raw(address) as c:
        c.upgrade()
        d.kill(signal.SIGTERM)
        assert c.closing()[0] == 1001

        def refused(where):
            try:
                Raw(where).socket.close()
                return False
            except (ConnectionRefusedError, FileNotFoundError):
                return True
            except OSError:  # it came in at the last moment, and was let go
                return False

        wait_until("that it is closed", lambda: refused(address) and refused(path))
        assert d.running()
        c.send(close(1001)).ends()
    assert d.wait() == 0


def test_handshakes_are_refused(daemon):
    d = daemon(LONG)
    with Raw(d.address) as half, Raw(d.address) as silent, Raw(d.address) as head, \
            Raw(d.address) as opened:
        half.send(request("/ws")[:50])
        head.send(b"HEAD /ws HT")
        opened.upgrade()
        # all have been accepted once those who came later to their workers are served
        workers = set()
        while len(workers) < 2:
            with Raw(d.address) as c:
                workers.add(d.worker_of(c.upgrade().local_port))
        d.kill(signal.SIGTERM)
        for c in (half, silent, head):
            r = c.response(body=c is not head)
            assert r.status == 503
            assert int(r.header("retry-after")) > 0
            assert r.header("connection") == "close"
            assert r.body or c is head
            c.ends()
        opened.closed(1001, "shutdown")
    assert d.wait() == 0
    d.log_count(r"refused \S+( \S+)? with 503: .* reason=shutdown", 3)


@way.in_the_clear("a handshake needs a worker that moves")
@way.directly("what waits for a worker, waits in a queue of its own")
def test_queued_connections_are_refused_too(daemon):
    """They came before the end was near: an answer is better than a reset. They are more than are
    accepted in one go."""
    d = daemon({**LONG, "workers": 1})
    [worker] = d.workers()
    stand_still(worker)
    queued = [Raw(d.address).send(request("/ws")) for _ in range(200)]
    d.kill(signal.SIGTERM)
    d.notify.wait("STOPPING=1")
    os.kill(worker, signal.SIGCONT)
    for c in queued:
        assert c.response().status in (101, 503)
        c.socket.close()
    assert d.wait() == 0


def test_what_was_sent_before_arrives(daemon):
    """The close waits behind what a slow reader has not had yet."""
    d = daemon({**LONG, "max_pending": "8M"})
    with Raw(d.address, rcvbuf=4096) as c:
        c.upgrade()
        for i in range(20):
            c.send(frame(BINARY, bytes([i]) * 100000))
        for i in range(10):
            assert c.message() == (BINARY, bytes([i]) * 100000)
        d.kill(signal.SIGTERM)
        d.notify.wait("STOPPING=1")
        n = 10
        while True:
            opcode, payload = c.message()
            if opcode != BINARY:
                break
            assert payload == bytes([n]) * 100000
            n += 1
        assert payload[:2] == b"\x03\xe9"
        assert n > 10
        c.send(close(1001)).ends()
    assert d.wait() == 0


def test_who_never_answers_is_cut(daemon):
    grace = 0.5 * SLOW
    d = daemon({"shutdown_grace": f"{int(grace * 1000)}ms", "close_timeout": "60s"})
    with Raw(d.address) as c:
        c.upgrade()
        began = time.monotonic()
        d.kill(signal.SIGTERM)
        assert c.closing() == (1001, "shutdown")
        assert c.gone() == b""
        assert time.monotonic() - began >= grace - 0.1
        assert d.wait() == 0
    d.log_contains(r"closed /ws \S+: shutdown \(1001\) after \d+\.\d+ s, cut; .*"
                   r"code=1001 reason=shutdown")
    d.log_contains(r"worker \d\]: notice: shutdown_grace has passed: 1 connections are cut "
                   r"event=stopping")


def test_who_answers_is_not_cut(daemon):
    d = daemon()
    with Raw(d.address) as c:
        c.upgrade()
        d.kill(signal.SIGTERM)
        c.closed(1001, "shutdown")
    assert d.wait() == 0
    assert "cut" not in d.log()


@way.in_the_clear("it makes its own handshakes")
@way.directly("it has a listener of its own")
def test_who_is_in_a_tls_handshake_has_a_line(daemon, directory):
    pair = Authority(directory + "/a").pair("DNS:localhost")
    d = daemon({"workers": 1, "listen": [{**LOCAL, "tls": {"certificates": [
        {"certificate": pair.certificate, "key": pair.key}]}}]})
    worker, = d.workers()
    files = open_files(worker)
    with Raw(d.address) as c:
        peer = f"127.0.0.1:{c.local_port}"
        c.send(b"\x16\x03\x01")
        wait_until("that it is accepted", lambda: open_files(worker) > files)
        d.kill(signal.SIGTERM)
        assert c.gone() == b""
    assert d.wait() == 0
    d.log_count(rf"refused {peer}: the server is stopping .*reason=shutdown", 1)


def test_close_timeout_is_the_shorter_one(daemon):
    d = daemon({"shutdown_grace": "60s", "close_timeout": "300ms"})
    with Raw(d.address) as c:
        c.upgrade()
        d.kill(signal.SIGTERM)
        assert c.closing() == (1001, "shutdown")
        assert c.gone() == b""
    assert d.wait() == 0


def test_no_grace(daemon):
    d = daemon({"shutdown_grace": "0", "close_timeout": "60s"})
    with Raw(d.address) as c:
        c.upgrade()
        d.kill(signal.SIGTERM)
        assert c.closing() == (1001, "shutdown")
        assert d.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once(daemon, second):
    d = daemon(LONG)
    d.expect_error("was ended by signal 9")
    with Raw(d.address) as c:
        c.upgrade()
        d.kill(signal.SIGTERM)
        assert c.closing() == (1001, "shutdown")
        d.kill(second)
        assert d.wait() == 0
        d.log_contains(r"master\]: notice: stopping at once, .*: 1 connections are cut event=stopping")
        assert c.gone() == b""


def test_worker_that_stands_still_does_not_hold_it_up(daemon):
    d = daemon({**LONG, "worker_timeout": "1s"})
    d.expect_error("was ended by signal 9|has not moved for worker_timeout")
    victim = d.workers()[0]
    stand_still(victim)
    assert d.stop() == 0


def test_reload_while_it_stops_is_ignored(daemon):
    d = daemon(LONG)
    with Raw(d.address) as c:
        c.upgrade()
        d.kill(signal.SIGTERM)
        assert c.closing()[0] == 1001
        d.kill(signal.SIGHUP)
        c.send(close(1001)).ends()
    assert d.wait() == 0
    assert d.notify.find("RELOADING") is None


def test_stop_while_a_worker_is_in_back_off(daemon):
    d = daemon({"log_level": "debug"})
    d.wear_out(0)
    assert d.stop() == 0
    d.log_count("worker 0 runs with pid", 6)


def test_stop_before_it_is_ready(daemon):
    d = daemon({"workers": 16}, start=False).launch()
    wait_until("the first worker", lambda: children(d.pid))
    d.kill(signal.SIGTERM)
    assert d.wait() == 0
    assert "info: stopped event=stopped" in d.log()


def test_members_hear_what_was_said_before(daemon):
    """What was published before the stop reaches the members of all workers before the close."""
    d = daemon({**LONG, "workers": 4})

    async def client():
        members = [await Member.open(d.address) for _ in range(20)]
        for n in range(50):
            members[0].send(b"%d" % n)
        await members[0].count(50)
        d.kill(signal.SIGTERM)
        for m in members:
            await m.until(lambda m=m: m.lost, "its end", 2 * DEADLINE)
            assert m.code == 1001
            assert m.messages == members[0].messages[:50]

    run(client())
    assert d.wait() == 0


def test_all_at_once(daemon):
    d = daemon({**LONG, "access_log": False})

    async def client():
        members = await asyncio.gather(*(Member.open(d.address, "/ws") for _ in range(500)))
        d.kill(signal.SIGTERM)
        await asyncio.gather(*(m.until(lambda m=m: m.lost, "its end") for m in members))
        assert {(m.code, m.reason) for m in members} == {(1001, "shutdown")}

    run(client())
    assert d.wait() == 0


def test_who_waits_for_the_bus_is_told(daemon):
    """A worker that stands still holds back what is said in the room; the end does not wait."""
    d = daemon({"log_level": "debug", "workers": 2, "bus_lag": "16K", "max_message": "16K",
                "bus_size": "256K", "worker_timeout": "1h", "shutdown_grace": f"{int(1000 * SLOW)}ms"})
    d.expect_error("signal 9")

    async def member_of(slot):
        while True:
            m = await Member.open(d.address, "/chat")
            if d.worker_of(m.local_port) == slot:
                return m
            await m.end()

    async def client():
        await member_of(0)
        speaker = await member_of(1)
        stand_still(d.worker_at(0))
        for _ in range(60):
            speaker.send(b"." * 2000)
        await speaker.count(5)
        assert len(speaker.messages) < 60
        d.kill(signal.SIGTERM)
        await speaker.until(lambda: speaker.lost, "its end")
        assert (speaker.code, speaker.reason) == (1001, "shutdown")
        assert len(speaker.messages) < 60

    run(client())
    d.wait()
    d.log_contains(r"closed /.*endpoint=/chat\b.* code=1001 reason=shutdown")
