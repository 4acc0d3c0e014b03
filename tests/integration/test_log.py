"""What is logged, in which form, and that a log that is not read holds nobody up."""

import asyncio
import contextlib
import datetime
import os
import pty
import re
import select
import signal
import socket
import struct
import threading
import time

import pytest

from apart import needs_mounts
from certificates import Authority
from harness import DEADLINE, LOCAL, TIME, config_text, free_port, wait_until
from raw import BINARY, PING, Member, Raw, close, frame, request, run, text
from way import OPENED

SAFE = {"path": "/safe", "behaviour": "sink"}
ECHO = {"path": "/ws", "behaviour": "echo", "prefix": "Echo: "}

LINE = re.compile(rf"(?:{TIME} )?" r"ignyxd\[(master|worker \d+)\]: (error|warning|notice|info|debug): [^\0-\x1f\x7f]+")


@pytest.fixture
def still(shared):
    """The shared daemon, once the ends of all earlier connections are in its log."""
    def ended():
        log = shared.log()
        return log.count(" event=conn-open ") == log.count(" event=conn-close ")

    wait_until("the end of earlier connections", ended)
    return shared


# --- plain lines ---


def test_form_of_a_line(daemon):
    d = daemon({"log_level": "debug"})
    with Raw(d.address) as c:
        c.upgrade("/notifications").text()
        c.send(text('{"content": "hi"}'), close(1000)).closed(1000)
    assert d.stop() == 0
    lines = d.log().splitlines()
    assert len(lines) > 10
    for line in lines:
        assert LINE.fullmatch(line), line
    assert {LINE.fullmatch(x).group(2) for x in lines} >= {"info", "debug"}


def test_life_of_the_daemon(daemon):
    d = daemon()
    port = d.port
    d.reload()
    assert d.stop() == 0
    lines = [x for x in d.log().splitlines() if "running as root" not in x]
    assert [re.sub(r"ignyxd \S+ starting", "ignyxd V starting", x) for x in lines] == [
        f"ignyxd[master]: info: ignyxd V starting with {d.file} event=started",
        f"ignyxd[master]: info: listening on 127.0.0.1:{port} event=listening",
        "ignyxd[master]: info: ready: 2 workers, 5 endpoints event=ready",
        "ignyxd[master]: info: configuration reloaded: 0 endpoints added, 0 changed, 0 removed; "
        "0 connections kept, 0 closed event=reloaded",
        "ignyxd[master]: info: stopping event=stopping",
        "ignyxd[master]: info: stopped event=stopped",
    ]


# --- the time in front of a line ---


def with_time(lines):
    """How many begin with a time of now, the others being lines without one."""
    n = 0
    for line in lines:
        assert LINE.fullmatch(line), line
        found = re.match(rf"({TIME}) ignyxd\[", line)
        if found:
            at = datetime.datetime.fromisoformat(found.group(1).replace("Z", "+00:00"))
            assert abs(at.timestamp() - time.time()) < 10 * DEADLINE, line
            n += 1
        else:
            assert line.startswith("ignyxd[")
    return n


@pytest.mark.parametrize("wanted", [None, "auto", "always", "never"])
def test_time_in_a_file(daemon, wanted):
    d = daemon({"log_time": wanted} if wanted else {})
    with Raw(d.address) as c:
        c.upgrade("/ws").send(close(1000)).closed(1000)
    assert d.stop() == 0
    lines = d.log_with_time().splitlines()
    assert {"started", "ready", "conn-open", "conn-close", "stopped"} <= set(map(event_of, lines))
    # what is said before the configuration is read is as by default
    early = sum("event=config-warning" in x for x in lines)
    assert with_time(lines) == (early if wanted == "never" else len(lines))


def test_time_of_what_is_wrong_with_the_configuration(daemon):
    d = daemon({"log_time": "never", "workerz": 1}, start=False)
    d.refuses("unknown setting", "not started")
    lines = d.log_with_time().splitlines()
    assert with_time(lines) == len(lines) > 1


@pytest.mark.parametrize("wanted", ["auto", "always"])
def test_time_on_a_terminal(daemon, wanted):
    """Who reads along sees when a line comes."""
    ours, terminal = pty.openpty()
    try:
        d = daemon({"log_time": wanted, "workers": 1}, start=False)
        d.launch(stderr=terminal)
        d.notify.wait("READY=1")
        assert d.stop() == 0
        lines = [x for x in os.read(ours, 1 << 16).decode().replace("\r", "").splitlines()
                 if "event=config-warning" not in x]
    finally:
        os.close(ours)
        os.close(terminal)
    assert len(lines) >= 4
    assert with_time(lines) == (0 if wanted == "auto" else len(lines))


def test_time_is_changed_by_a_reload(daemon):
    d = daemon({"log_time": "never"})
    mark = d.log_size()
    d.change(log_time="always")
    d.reload()
    with Raw(d.address) as c:
        c.upgrade("/ws").send(close(1000)).closed(1000)
    d.log_contains("event=conn-close", mark)
    # what changed, that it did, and the two of the connection
    lines = d.log_with_time(mark).splitlines()
    assert with_time(lines) == len(lines) == 4


CLOSED = re.compile(
    r"ignyxd\[worker \d\]: (?:info|notice): closed (?P<path>/\S*) (?P<who>\S+): "
    r"(?P<why>\S+) \((?P<number>\d+)\) after (?P<seconds>\d+\.\d+) s; "
    r"(?P<messages_in>\d+) messages, (?P<bytes_in>\d+) bytes received; "
    r"(?P<messages_out>\d+) messages, (?P<bytes_out>\d+) bytes sent event=conn-close "
    r"conn=(?P<conn>[0-9a-f]+) peer=(?P<peer>\S+) endpoint=(?P<endpoint>\S+) "
    r"code=(?P<code>\d+) reason=(?P<reason>\S+)")


def test_a_line_at_the_beginning_and_one_at_the_end(still):
    mark = still.log_size()
    with Raw(still.address) as c:
        c.upgrade("/ws")
        peer = f"127.0.0.1:{c.local_port}"
        still.log_contains(rf"{OPENED} event=conn-open", mark)
        # as frames on the wire: 6 + 2, 6 + 1, 6 + 2 (fragments), 6 + 3, close 6 + 2
        sent = [text("hi"), frame(1, b"a", fin=False), frame(0, b"bc"), frame(BINARY, b"xyz")]
        c.send(*sent)
        answers = [c.message() for _ in range(3)]
        assert [len(a) for _, a in answers] == [8, 9, 3]
        c.send(close(1000, b"bye")).closed(1000)
    lines = still.log_count(r"event=conn-(open|close) ", 2, mark)
    opened = re.fullmatch(rf"ignyxd\[worker (\d)\]: info: {OPENED} event=conn-open "
                          rf"conn=([0-9a-f]+) peer={peer} endpoint=/ws", lines[0])
    closed = CLOSED.fullmatch(lines[1])
    assert closed["conn"] == opened.group(2), "both have the connection's number"
    said = (peer, "/ws", "1000", "peer-closed")
    assert closed.group("who", "path", "number", "why") == said, "the text has it all"
    assert closed.group("peer", "endpoint", "code", "reason") == said, "and so have the fields"
    assert closed.group("messages_in", "messages_out") == ("3", "3")
    assert int(closed["bytes_in"]) == sum(map(len, sent)) + len(close(1000, b"bye")) + len(close(1000))
    # headers of two bytes; the close that answers has a code
    assert int(closed["bytes_out"]) == 8 + 9 + 3 + 3 * 2 + 4
    assert 0 <= float(closed["seconds"]) < DEADLINE


def test_numbers_of_connections_are_unique(still):
    mark = still.log_size()
    for _ in range(10):
        with Raw(still.address) as c:
            c.upgrade("/ws")
    lines = still.log_count("event=conn-open", 10, mark)
    assert len({re.search(r"conn=(\S+)", x).group(1) for x in lines}) == 10


@pytest.mark.parametrize("end, code, reason", [
    (lambda c: c.send(close(1000)).closed(1000), 1000, "peer-closed"),
    (lambda c: c.send(close(4321, b"own")).closed(4321), 4321, "peer-closed"),
    (lambda c: c.send(close()).closing(), 1005, "peer-closed"),
    (lambda c: c.socket.shutdown(socket.SHUT_WR), 1006, "peer-gone"),
    (lambda c: c.reset(), 1006, "reset"),
    (lambda c: c.send(frame(3)).closed(1002), 1002, "protocol-error"),
    (lambda c: c.send(frame(1, b"x", mask=False)).closed(1002), 1002, "not-masked"),
    (lambda c: c.send(frame(1, b"\xff")).closed(1007), 1007, "bad-utf8"),
    (lambda c: c.send(frame(1, b"", length=1 << 40)).closed(1009), 1009, "message-too-big"),
])
def test_code_and_reason(still, end, code, reason):
    mark = still.log_size()
    with Raw(still.address) as c:
        end(c.upgrade("/ws"))
    line = still.log_contains("^.*closed /.*$", mark).group()
    assert CLOSED.fullmatch(line).group("code", "reason") == (str(code), reason)


def test_refusals(still):
    mark = still.log_size()
    with Raw(still.address) as c:
        peer = f"127.0.0.1:{c.local_port}"
        c.send(request("/none")).response()
    line = still.log_contains("^.*conn-refused.*$", mark).group()
    assert re.fullmatch(rf"ignyxd\[worker \d\]: info: refused {peer} /none with 404: no endpoint has "
                        rf"this path event=conn-refused conn=[0-9a-f]+ peer={peer} code=404 "
                        "reason=not-found", line)
    mark = still.log_size()
    with Raw(still.address) as c:
        c.send(request("/%0afake?secret=1")).response()
    line = still.log_contains("^.*conn-refused.*$", mark).group()
    assert r" /\x0afake with 404: " in line and "secret" not in line
    mark = still.log_size()
    with Raw(still.address) as c:
        c.send(request("/ws", method="POST")).response()
    still.log_contains(r"refused \S+ /ws with 405: .* endpoint=/ws code=405 reason=method-not-allowed$",
                        mark)


def test_path_of_a_refusal_is_one_word(still):
    """Neither a space nor its length takes the rest of the line away."""
    for path, shown in (("/a%20with%20b", r"/a\x20with\x20b"), ("/" + "x" * 900, "/x{180,200}\\.\\.\\.")):
        mark = still.log_size()
        with Raw(still.address) as c:
            c.send(request(path)).response()
        expected = shown if "{" in shown else re.escape(shown)
        still.log_contains(rf"refused \S+ {expected} with 404: no endpoint has this path event=", mark)


def test_who_says_nothing_is_not_logged(still):
    mark = still.log_size()
    for _ in range(5):
        with Raw(still.address):
            pass
    with Raw(still.address) as c:
        c.upgrade()
    still.log_contains("closed /", mark)
    assert len(still.log(mark).splitlines()) == 2


def test_access_log(daemon):
    d = daemon({"endpoints": [{**SAFE, "access_log": False, "log": False}, ECHO]})
    with Raw(d.address) as c:
        c.upgrade("/safe").send(text("x"), close(1000)).closed(1000)
    with Raw(d.address) as c:
        c.upgrade("/ws").send(close(1000)).closed(1000)
    d.log_contains("closed /.*endpoint=/ws")
    assert "/safe" not in d.log()


def test_access_log_of_all(daemon):
    d = daemon({"access_log": False, "endpoints": [ECHO, {**SAFE, "access_log": True}]})
    with Raw(d.address) as c:
        c.upgrade("/ws").send(close(1000)).closed(1000)
    with Raw(d.address) as c:
        c.upgrade("/safe").send(close(1000)).closed(1000)
    d.log_contains("closed /.*endpoint=/safe")
    assert "endpoint=/ws" not in d.log()
    # what is refused is no access
    with Raw(d.address) as c:
        c.send(request("/ws", method="POST")).response()
    d.log_contains("refused .* /ws with 405")


LEVELS = ["error", "warning", "notice", "info", "debug"]
LIFE = ["started", "listening", "ready", "reloaded", "stopping", "stopped"]


def event_of(line):
    found = re.search(r" event=(\S+)", line)
    return found.group(1) if found else None


@pytest.mark.parametrize("level", LEVELS)
def test_levels(daemon, level):
    """An entry of each level but error, and the daemon's life whatever the level."""
    port = free_port()
    d = daemon({"log_level": level, "workers": 1,
                "listen": [{"address": "127.0.0.1", "port": port}]})
    d.change(bus_size="2M")
    d.reload()
    d.expect_error("was ended by signal 9")
    victim, = d.workers()
    os.kill(victim, signal.SIGKILL)
    d.wait_workers(1, but=[victim])
    for end in (close(1000), frame(3)):
        with Raw(("127.0.0.1", port)) as c:
            c.upgrade().send(end).closing()
    assert d.stop() == 0
    lines = [x for x in d.log().splitlines() if "running as root" not in x]
    events = [event_of(x) for x in lines]
    assert [e for e in events if e in LIFE] == LIFE
    assert "worker-died" in events
    shown = {LINE.fullmatch(x).group(2) for x in lines
             if event_of(x) not in LIFE + ["worker-died"]}
    assert shown == set(LEVELS[1:LEVELS.index(level) + 1])


def test_ends_by_fault_are_of_level_notice(daemon):
    port = free_port()
    d = daemon({"log_level": "notice", "workers": 1,
                "listen": [{"address": "127.0.0.1", "port": port}]})
    mark = d.log_size()
    for end in (close(1000), frame(3), frame(1, b"\xff"), frame(1, b"", length=1 << 40)):
        with Raw(("127.0.0.1", port)) as c:
            c.upgrade().send(end).closing()
    with Raw(("127.0.0.1", port)) as c:
        c.send(request("/none")).response()
    d.log_contains("reason=message-too-big", mark)
    assert d.stop() == 0
    lines = [x for x in d.log(mark).splitlines() if event_of(x) not in LIFE]
    assert [CLOSED.fullmatch(x)["reason"] for x in lines] == \
        ["protocol-error", "bad-utf8", "message-too-big"]
    assert all("]: notice: closed /ws 127.0.0.1:" in x for x in lines)


def test_v_is_debug_whatever_the_file_says(daemon):
    d = daemon({"log_level": "error"}, args=["-v"])
    d.log_contains("debug: worker 1 runs with pid")
    mark = d.log_size()
    d.reload()
    with Raw(d.address) as c:
        c.upgrade()
    d.log_contains("debug: ADMIT -> OPEN", mark)


# --- what a peer says ---


ESCAPED = r"a\x0aignyxd[master]: error: b\x0d\x1b[31m\x07\x7f"


def test_json_cannot_forge_lines(still):
    mark = still.log_size()
    with Raw(still.address) as c:
        c.upgrade("/notifications").text()
        c.send(text('{"content": "a\\nignyxd[master]: error: b\\r\\u001b[31m\\u0007\\u007f'
                    '\\u0085\\u009b!"}'))
        c.send(close(1000)).closed(1000)
    still.log_contains("closed /", mark)
    log = still.log(mark)
    assert "Received JSON: " + ESCAPED + r"\xc2\x85\xc2\x9b!" in log
    for line in log.splitlines():
        assert LINE.fullmatch(line), line
        assert line.startswith("ignyxd[worker ")


def test_nul_does_not_cut_a_line(still):
    mark = still.log_size()
    with Raw(still.address) as c:
        c.upgrade("/notifications").text()
        c.send(text('{"content": "cut\\u0000short"}'), close(1000)).closed(1000)
    assert still.log_contains("Received JSON: (.*) event=", mark).group(1) == \
        r'"cut\u0000short"'


def test_reason_of_a_close_cannot_forge_lines(still):
    mark = still.log_size()
    with Raw(still.address) as c:
        c.upgrade("/safe")
        c.send(close(1000, b"bye\nignyxd[master]: error: x\x1b[2J")).closed(1000)
    still.log_contains("closed /", mark)
    for line in still.log(mark).splitlines():
        assert re.match(r"ignyxd\[worker \d\]: info: ", line) and LINE.fullmatch(line), line


def test_configuration_cannot_forge_lines(daemon):
    d = daemon(start=False)
    d.write(config_text(d.settings).replace('"/safe"', r'"/a\tb\n\x1b[2J"')
            .replace("Echo: ", "\x1b[31mEcho: ").replace('"sink"', '"s\u009bnk"'))
    log = d.refuses(r'endpoint "/a\\x09b\\x0a\\x1b\[2J": ', "unknown behaviour", "not started")
    assert r's\xc2\x9bnk' in log
    for line in log.splitlines():
        assert LINE.fullmatch(line), line


def test_requests_cannot_forge_lines(still):
    mark = still.log_size()
    for head in (b"GET /%0a%1b[0m HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /\xff\x1b HTTP/1.1\r\n\r\n",
                 b"\x1b[31m\n\n\r\n\r\n", b"\xff" * 100 + b"\r\n\r\n"):
        with Raw(still.address) as c:
            c.send(head)
            assert c.response().status in (400, 404)
    lines = still.log_count("conn-refused", 4, mark)
    for line in still.log(mark).splitlines():
        assert LINE.fullmatch(line), line
    assert len(lines) == len(still.log(mark).splitlines())


def test_long_content_is_cut_to_one_line(still):
    mark = still.log_size()
    with Raw(still.address) as c:
        c.upgrade("/notifications").text()
        c.send(text('{"content": "' + "\\n" * 20000 + '"}'))
        c.send(text('{"content": "' + "\N{GRINNING FACE}" * 20000 + '"}'))
        c.send(close(1000)).closed(1000)
    still.log_contains("closed /", mark)
    lines = still.log(mark).splitlines()
    assert len([x for x in lines if "Received JSON: " in x]) == 2
    for line in lines:
        assert len(line.encode("utf-8", "surrogateescape")) < 4096
        assert not re.search("[\udc80-\udcff]", line), "a character was cut in the middle"


# --- a log that somebody wants to flood ---


def most(burst, rate, began):
    """How many lines there may be of what was at most so many at once and then so many a second."""
    return burst + rate * (time.monotonic() - began + 0.2)


def test_one_connection_cannot_flood_the_log(daemon):
    """What a behaviour logs of one connection: 100 lines at once, then 20 a second."""
    d = daemon({"workers": 1})
    sent = 20000
    began = time.monotonic()
    with Raw(d.address) as c:
        c.upgrade("/notifications").text()
        peer = f"127.0.0.1:{c.local_port}"
        for _ in range(sent // 1000):
            c.send(*[text('{"content": "again"}')] * 1000)
        c.send(frame(PING, b"end"))
        assert c.frame()[1] == b"end"
        # silence: the number is told without another message
        d.log_contains(rf"info: \d+ more suppressed: lines of /notifications {peer} "
                       r"event=log-suppressed conn=[0-9a-f]+ peer=")
        # and then it is heard again
        c.send(text('{"content": "once more"}'))
        d.log_contains("Received JSON: once more")
        c.send(*[text('{"content": "at last"}')] * 200)
        c.send(close(1000)).closed(1000)
    ended = d.log_contains("^.*closed /notifications.*$").group()
    assert CLOSED.fullmatch(ended)["messages_in"] == str(sent + 201)
    written = len(re.findall("Received JSON: ", d.log()))
    assert 100 <= written <= most(100, 20, began)
    # its last number is told ahead of its end, and none is missing
    assert written + d.suppressed("lines of /notifications") == sent + 201
    assert d.log().rindex("more suppressed: lines of") < d.log().index("closed /notifications")


def test_a_flood_of_one_connection_hides_nobody_else(daemon):
    d = daemon({"workers": 1})
    with Raw(d.address) as loud, Raw(d.address) as other:
        loud.upgrade("/notifications").text()
        other.upgrade("/notifications").text()
        loud.send(*[text('{"content": "loud"}')] * 2000)
        loud.send(frame(PING, b"end"))
        assert loud.frame()[1] == b"end"
        for n in range(50):
            other.send(text(f'{{"content": "other {n}"}}'))
        d.log_contains("Received JSON: other 49")
    d.log_count("Received JSON: other", 50)


def test_a_scanner_cannot_flood_the_log(daemon):
    """Refusals: 200 lines at once for a worker, then 50 a second; the rest is a number."""
    d = daemon({"workers": 1})
    asked = 1500
    began = time.monotonic()
    for _ in range(asked):
        with Raw(d.address) as c:
            c.send(request("/none"))
            assert c.response().status == 404
    # who is not refused is logged as ever
    with Raw(d.address) as c:
        c.upgrade("/ws").send(close(1000)).closed(1000)
    d.log_contains("closed /ws")
    d.log_contains(r"info: \d+ more suppressed in \d+\.\d s, from one address: refusals and failed "
                   r"handshakes event=log-suppressed$")
    written = len(re.findall("event=conn-refused", d.log()))
    assert 200 <= written <= most(200, 50, began)
    # what is left is told when it stops, at the latest
    assert d.stop() == 0
    assert written + d.suppressed("refusals and failed handshakes") == asked


def test_a_flood_of_many_says_of_how_many(daemon):
    """The clients' addresses, as a proxy tells them."""
    d = daemon({"workers": 1, "listen": [{**LOCAL, "proxy_protocol": True, "trusted": ["127.0.0.1"]}]})
    for n in range(1500):
        with Raw(d.address) as c:
            c.send(b"PROXY TCP4 192.0.2.%d 198.51.100.1 4711 443\r\n" % (n % 37), request("/none"))
            assert c.response().status == 404
    d.log_contains(r"info: \d+ more suppressed in \d+\.\d s, from about (3[4-9]) addresses: refusals")


def test_checks_and_scans_are_no_warnings(daemon, directory):
    """What load balancers and scanners do all day, to a port without TLS and to one with it."""
    pair = Authority(os.path.join(directory, "authority")).pair("DNS:localhost")
    d = daemon({"workers": 1, "health": "/health", "handshake_timeout": "1s",
                "listen": [LOCAL, {"address": "127.0.0.2", "port": 0, "tls": {"certificates": [pair.group()]}},
                           {"address": "127.0.0.3", "port": 0, "proxy_protocol": True,
                            "trusted": ["127.0.0.1"]}]})
    mark = d.log_size()
    hello = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + bytes(36)
    sent = [b"", b"\0", b"\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /.env HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", b"GET /ws HT",
            b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-x\r\n", b"\x80\x2e\x01\x00\x02" + bytes(50),
            hello, hello[:20], b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"x" * 20000, b"GET /" + b"a" * 20000]
    for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        address = (host, d.port_of(host))
        for first in sent:
            with socket.create_connection(address) as s, contextlib.suppress(OSError):
                s.sendall(first)
                s.shutdown(socket.SHUT_WR)
                s.settimeout(DEADLINE)
                while s.recv(65536):
                    pass
            # gone in the middle, by a reset
            with socket.create_connection(address) as s, contextlib.suppress(OSError):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.sendall(first)
    assert d.stop() == 0
    lines = d.log(mark).splitlines()
    assert len([x for x in lines if "event=conn-refused" in x]) > 20
    assert all(": info: " in x for x in lines), d.log(mark)


def test_many_connections_cannot_flood_the_log(daemon):
    """Each within its own bounds: of all that behaviours log 10,000 at once, then 1,000 a second."""
    d = daemon({"workers": 1})
    began = time.monotonic()
    each = [text('{"content": "x"}')] * 110

    async def client():
        members = await asyncio.gather(*(Member.open(d.address, "/notifications")
                                         for _ in range(200)))
        for m in members:
            m.transport.write(b"".join(each))
        await asyncio.gather(*(m.end() for m in members))

    run(client())
    d.log_count("closed /notifications", 200)
    assert d.stop() == 0
    written = len(re.findall("Received JSON: x", d.log()))
    # what sums up what a connection left out is one of the 10,000 lines, too
    summed_up = len(re.findall("more suppressed: lines of /notifications", d.log()))
    assert 10000 <= written + summed_up <= most(10000, 1000, began)
    assert d.suppressed("lines of behaviours") > 0
    assert written + d.suppressed("lines of") == 22000


def test_no_count_of_what_no_level_shows(daemon):
    port = free_port()
    d = daemon({"log_level": "notice", "workers": 1,
                "listen": [{"address": "127.0.0.1", "port": port}]})
    for _ in range(300):
        with Raw(("127.0.0.1", port)) as c:
            c.send(request("/none")).response()
    assert d.stop() == 0
    assert "suppressed" not in d.log() and "refused" not in d.log()


# --- a log that is not read ---


def talk(address, rounds):
    for i in range(rounds):
        with Raw(address) as c:
            c.upgrade("/ws").send(text(f"{i}"))
            assert c.text() == f"Echo: {i}"
            c.send(close(1000)).closed(1000)


def unread(daemon, stderr):
    """A daemon whose log goes there; it says on which port it listens by our choice."""
    port = free_port()
    d = daemon({"workers": 1, "listen": [{"address": "127.0.0.1", "port": port}]}, start=False)
    d.launch(stderr=stderr)
    d.notify.wait("READY=1")
    d.workers()
    return d, ("127.0.0.1", port)


def check_dropped(data, rounds):
    """What came is whole lines, and what is missing was counted."""
    lines = data.decode().splitlines()
    for line in lines:
        assert LINE.fullmatch(line), line
    opened = sum("event=conn-open" in x for x in lines)
    closed = sum("event=conn-close" in x for x in lines)
    dropped = [int(m.group(1)) for m in
               (re.search(r"warning: (\d+) log entries were dropped: the log was not read "
                          "event=log-dropped", x) for x in lines) if m]
    assert opened + closed < 2 * rounds
    assert dropped
    return opened, closed, sum(dropped)


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_log_that_is_not_read_blocks_nobody(daemon, kind):
    if kind == "pipe":
        r, w = os.pipe()
    else:
        a, b = socket.socketpair()
        b.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        r, w = a.detach(), b.detach()
    try:
        d, address = unread(daemon, w)
        rounds = 600
        talk(address, rounds)
        # now it is read, and the next entry is preceded by the count
        data = b""
        while select.select([r], [], [], 0)[0]:
            data += os.read(r, 1 << 20)
        talk(address, 1)
        assert d.stop() == 0
        os.close(w)
        w = -1
        while True:
            more = os.read(r, 1 << 20)
            if not more:
                break
            data += more
    finally:
        os.close(r)
        if w >= 0:
            os.close(w)
    opened, closed, dropped = check_dropped(data, rounds)
    # all are accounted for: those of the worker are the only ones that were dropped
    assert opened + closed + dropped == 2 * (rounds + 1)


def test_log_whose_reader_is_gone(daemon):
    r, w = os.pipe()
    d, address = unread(daemon, w)
    os.close(w)
    os.close(r)
    talk(address, 20)
    d.reload()
    assert d.stop() == 0


def test_pipe_of_another_program_stays_blocking(daemon):
    """The pipe is opened anew to be non-blocking: who shares it must not notice."""
    r, w = os.pipe()
    try:
        d, address = unread(daemon, w)
        talk(address, 1)
        assert os.get_blocking(w)
        assert d.stop() == 0
    finally:
        os.close(r)
        os.close(w)


# --- the journal ---


class Journal:
    """A journal of our own: a daemon in a mount namespace sees this socket as the real one's."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "journal")
        os.makedirs(self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(self.path, "socket"))
        os.chmod(os.path.join(self.path, "socket"), 0o666)
        # what its stderr is connected to; nothing is to come there
        self.stream, self.stderr = socket.socketpair()
        self.stream.settimeout(0)
        stat = os.fstat(self.stderr.fileno())
        self.name = f"{stat.st_dev}:{stat.st_ino}"
        self.raw = []
        self.entries = []
        self.reading = None

    def wrap(self):
        return ("unshare", "-m", "--", "sh", "-c",
                f"mount -t tmpfs none /run && mkdir -p /run/systemd/journal && "
                f"mount --bind '{self.path}' /run/systemd/journal && exec \"$@\"", "sh")

    def read(self):
        """Begins to read, in the background."""
        def loop():
            while True:
                data = self.socket.recv(1 << 20)
                if data == b"end of the test":
                    return
                self.raw.append(data)
                self.entries.append(self.parse(data))

        self.reading = threading.Thread(target=loop, daemon=True)
        self.reading.start()

    @staticmethod
    def parse(data):
        """An entry in the native protocol, in its simple form: lines NAME=value."""
        entry = {}
        assert data.endswith(b"\n"), data
        for line in data.decode().split("\n")[:-1]:
            name, equals, value = line.partition("=")
            assert equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", name), data
            assert name not in entry, data
            assert not re.search(r"[\x00-\x1f\x7f-\x9f]", value), data
            entry[name] = value
        return entry

    def wait(self, **fields):
        def found():
            return next((e for e in list(self.entries)
                         if all(e.get(k) == v for k, v in fields.items())), None)
        return wait_until(f"an entry with {fields}; there are {self.entries[-20:]}", found)

    def of(self, event):
        return [e for e in self.entries if e.get("IGNYX_EVENT") == event]

    def close(self):
        if self.reading:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(b"end of the test", os.path.join(self.path, "socket"))
            self.reading.join()
        for s in (self.socket, self.stream, self.stderr):
            s.close()


@pytest.fixture
def journal(directory):
    j = Journal(directory)
    yield j
    j.close()


def with_journal(daemon, journal, settings=None, **kw):
    port = free_port()
    d = daemon({"listen": [{"address": "127.0.0.1", "port": port}], **(settings or {})},
               start=False, wrap=journal.wrap(), env={"JOURNAL_STREAM": journal.name}, **kw)
    d.launch(stderr=journal.stderr)
    d.notify.wait("READY=1")
    d.workers()
    return d, ("127.0.0.1", port)


@needs_mounts
def test_journal(daemon, journal):
    journal.read()
    d, address = with_journal(daemon, journal)
    with Raw(address) as c:
        c.upgrade("/safe")
        peer = f"127.0.0.1:{c.local_port}"
        c.send(text("hi"), close(4000, b"enough")).closed(4000)
    journal.wait(IGNYX_EVENT="conn-close")
    with Raw(address) as c:
        c.send(request("/none")).response()
    journal.wait(IGNYX_EVENT="conn-refused")
    d.reload()
    with Raw(address) as c:
        c.upgrade("/ws").send(close(1000)).closed(1000)
    assert d.stop() == 0
    journal.wait(IGNYX_EVENT="stopped")

    for e in journal.entries:
        assert e["SYSLOG_IDENTIFIER"] == "ignyxd"
        assert e["MESSAGE"] and e["PRIORITY"] in "34567"
    life = [e for e in journal.entries if e.get("IGNYX_EVENT") in LIFE]
    assert [e["IGNYX_EVENT"] for e in life] == LIFE
    for e in life:
        assert re.fullmatch("[0-9a-f]{32}", e["MESSAGE_ID"])
        assert e["PRIORITY"] == "6"
        assert "IGNYX_WORKER" not in e
    assert len({e["MESSAGE_ID"] for e in life}) == len(LIFE)

    first, last = journal.of("conn-open")[0], journal.of("conn-close")[0]
    for e in (first, last):
        assert (e["IGNYX_PEER"], e["IGNYX_ENDPOINT"]) == (peer, "/safe")
        assert e["IGNYX_WORKER"] in "01"
        assert e["IGNYX_GENERATION"] == "1"
        assert "MESSAGE_ID" not in e
    assert first["IGNYX_CONN"] == last["IGNYX_CONN"]
    assert first["MESSAGE"] == f"opened /safe {peer}"
    assert (last["IGNYX_CODE"], last["IGNYX_REASON"]) == ("4000", "peer-closed")
    assert re.fullmatch(rf"closed /safe {peer}: peer-closed \(4000\) after \d+\.\d+ s; 1 messages, "
                        r"\d+ bytes received; 0 messages, \d+ bytes sent", last["MESSAGE"])
    [sink] = journal.of("behaviour")
    assert sink["IGNYX_CONN"] == first["IGNYX_CONN"]
    assert "Client disconnected" in sink["MESSAGE"]
    [refused] = journal.of("conn-refused")
    assert re.fullmatch(r"refused 127\.0\.0\.1:\d+ /none with 404: no endpoint has this path",
                        refused["MESSAGE"])
    assert (refused["IGNYX_CODE"], refused["IGNYX_REASON"]) == ("404", "not-found")
    # what came after the reload is of the second configuration
    assert [e["IGNYX_GENERATION"] for e in journal.of("conn-open")] == ["1", "2"]
    with pytest.raises(BlockingIOError):
        journal.stream.recv(1)


@needs_mounts
def test_journal_of_errors(daemon, journal):
    journal.read()
    d, address = with_journal(daemon, journal, {"log_level": "debug"})
    started = [e for e in journal.entries if e.get("IGNYX_EVENT") == "worker-started"]
    assert {e["IGNYX_WORKER"] for e in started} == {"0", "1"}
    assert {e["PRIORITY"] for e in started} == {"7"}
    d.write("workerz = 1;\n" + config_text(d.settings))
    d.kill(signal.SIGHUP)
    refused = journal.wait(IGNYX_EVENT="reload-refused")
    assert refused["PRIORITY"] == "3"
    assert refused["MESSAGE"].startswith("reload refused: 1 error in the configuration")
    error = journal.wait(IGNYX_EVENT="config-error")
    assert error["MESSAGE"] == \
        f'{d.file}:1: unknown setting "workerz" (did you mean "workers"?)'
    assert error["PRIORITY"] == "3" and "MESSAGE_ID" in error
    d.write()
    victim = d.workers()[0]
    os.kill(victim, signal.SIGKILL)
    died = journal.wait(IGNYX_EVENT="worker-died")
    assert died["PRIORITY"] == "3" and str(victim) in died["MESSAGE"]
    d.wait_workers(2, but=[victim])
    with Raw(address) as c:
        c.upgrade()


@needs_mounts
def test_journal_takes_no_forged_fields(daemon, journal):
    journal.read()
    _, address = with_journal(daemon, journal)
    with Raw(address) as c:
        c.upgrade("/notifications").text()
        c.send(text('{"content": "a\\nPRIORITY=0\\nMESSAGE_ID=x"}'))
        c.send(text('{"content": "\\u001b[2J\\u009b"}'))
        c.send(close(1000, b"x\nIGNYX_CODE=1")).closed(1000)
    journal.wait(IGNYX_EVENT="conn-close")
    first, second = journal.of("behaviour")
    assert first["MESSAGE"].startswith(r"Received JSON: a\x0aPRIORITY=0\x0aMESSAGE_ID=x")
    assert first["PRIORITY"] == "6"
    assert second["MESSAGE"] == r"Received JSON: \x1b[2J\xc2\x9b"


@needs_mounts
def test_journal_has_no_half_of_a_character(daemon, journal):
    """What is too long for an entry is cut between two characters."""
    journal.read()
    _, address = with_journal(daemon, journal)
    with Raw(address) as c:
        c.upgrade("/notifications").text()
        for before in ("", "a", "bc"):
            c.send(text(f'{{"content": "{before}{"€" * 1000}"}}'))
        c.send(close(1000)).closed(1000)
    journal.wait(IGNYX_EVENT="conn-close")
    for entry in journal.of("behaviour"):
        assert re.fullmatch(r"Received JSON: [a-c]{0,2}€{600,}", entry["MESSAGE"])


@needs_mounts
def test_journal_that_is_full_blocks_nobody(daemon, journal):
    """Nobody reads it for a while; then what is missing is told."""
    d, address = with_journal(daemon, journal, {"workers": 1})
    talk(address, 300)
    d.reload()
    journal.read()
    wait_until("that the journal has read what it was sent", lambda: len(journal.entries) > 5)
    talk(address, 1)
    warning = journal.wait(IGNYX_EVENT="log-dropped", IGNYX_WORKER="0")
    assert warning["PRIORITY"] == "4"
    dropped = int(re.fullmatch(r"(\d+) log entries were dropped: the log was not read",
                               warning["MESSAGE"]).group(1))
    assert dropped > 500
    assert d.stop() == 0
    journal.wait(IGNYX_EVENT="stopped")
    total = sum(int(e["MESSAGE"].split()[0]) for e in journal.of("log-dropped")
                if e.get("IGNYX_WORKER") == "0")
    assert len(journal.of("conn-open")) + len(journal.of("conn-close")) + total == 602


@needs_mounts
def test_journal_that_is_gone_and_comes_back(daemon, journal):
    """As when journald restarts: its socket is another one then."""
    journal.read()
    # one worker, for each tells what it has dropped itself
    _, address = with_journal(daemon, journal, {"workers": 1})
    name = os.path.join(journal.path, "socket")
    os.rename(name, name + ".old")
    talk(address, 5)
    os.rename(name + ".old", name)
    talk(address, 1)
    journal.wait(IGNYX_EVENT="log-dropped")
    journal.wait(IGNYX_EVENT="conn-close")


@needs_mounts
def test_stderr_that_is_not_the_journal(daemon, journal):
    """JOURNAL_STREAM is inherited: it counts only if it names our own stderr."""
    journal.read()
    d = daemon(wrap=journal.wrap(), env={"JOURNAL_STREAM": journal.name})
    assert d.stop() == 0
    d.log_contains("event=stopped")
    assert journal.entries == []


def test_two_hundred_connections_are_two_lines_each(daemon):
    d = daemon({"workers": 2})

    async def client():
        members = await asyncio.gather(*(Member.open(d.address, "/ws") for _ in range(200)))
        for m in members:
            m.send(b"p", PING)
            m.send(b"x")
        await asyncio.gather(*(m.count(1) for m in members))
        await asyncio.gather(*(m.end() for m in members))

    run(client())
    lines = d.log_count("event=conn-close", 200)
    # a ping is no message
    assert all(CLOSED.fullmatch(x).group("messages_in", "messages_out") == ("1", "1") for x in lines)
    d.log_count("event=conn-open", 200)


def test_how_long_a_connection_was_there(daemon):
    """To the millisecond what took less than a second, to the tenth what took more."""
    d = daemon({"endpoints": [
        {"path": "/once", "behaviour": "oneshot", "message": "x"},
        {"path": "/long", "behaviour": "echo", "idle_timeout": "1100ms"}]})
    with Raw(d.address) as short, Raw(d.address) as long:
        long.upgrade("/long")
        short.upgrade("/once").text()
        short.send(close(1000)).closed(1000)
        assert long.closing() == (1001, "idle-timeout")
        long.send(close(1001))
    d.log_contains(r"closed /once .* after (0\.\d{3}|[1-9]\d*\.\d) s; ")
    d.log_contains(r"closed /long .* after [1-9]\d*\.\d s; ")
