"""GET /events: what happens, line by line, to those who look on."""

import contextlib
import http.client
import json
import os
import signal
import socket
import time

import pytest

from apart import not_under_a_sanitizer
from asking import ask, own
from harness import DEADLINE, stand_still, wait_until
from raw import Raw, close, request
from test_admin import short
from test_admin_why import id_of, waits_for


class Lines:
    """One who looks on. It is let in before this returns."""

    def __init__(self, d, query="", rcvbuf=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.connect(own(d))
        self.socket.sendall(f"GET /events{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.response = http.client.HTTPResponse(self.socket)
        self.response.begin()
        self.status = self.response.status

    def __enter__(self):
        assert self.status == 200
        assert self.response.getheader("Content-Type") == "application/x-ndjson"
        return self

    def __exit__(self, *_):
        self.response.close()
        self.socket.close()

    def next(self):
        """The next event."""
        line = self.response.readline()
        assert line.endswith(b"\n"), line
        return json.loads(line)

    def until(self, event, **fields):
        """All up to the first such event."""
        seen = []
        while not seen or not is_like(seen[-1], event, fields):
            seen.append(self.next())
        return seen


def is_like(e, event, fields):
    return e["event"] == event and all(e.get(k) == v for k, v in fields.items())


def come_and_go(d, path="/ws", code=1000):
    with Raw(d.address).upgrade(path) as c:
        conn = id_of(d, c)
        c.send(close(code))
        c.closing()
    return conn


def refused(d, path="/nothing"):
    with Raw(d.address) as c:
        c.send(request(path))
        return c.response().status


def test_what_happens(five):
    waits_for(five, f"conn={come_and_go(five)}", "conn-close")
    with Lines(five) as lines:
        before = time.time()
        conn = come_and_go(five, "/chat", 3999)
        seen = lines.until("conn-close")
        # what was before is not told
        assert [e["event"] for e in seen] == ["conn-open", "conn-close"]
        assert {e["id"] for e in seen} == {conn}
        assert all(before - 1 < e["time"] < time.time() + 1 for e in seen)
        assert (seen[1]["code"], seen[1]["reason"], seen[1]["endpoint"]) == (3999, "peer-closed", "/chat")
        # as /why has them
        assert ask(five, f"/why?conn={conn}")[1]["why"] == seen[::-1]
        assert refused(five) == 404
        assert lines.next()["path"] == "/nothing"
        five.reload()
        reloaded = lines.next()
        assert reloaded["event"] == "reloaded" and "configuration reloaded: " in reloaded["text"]
        five.write("nonsense")
        five.expect_error("")
        five.reload(expect=False)
        assert lines.next()["event"] == "reload-refused"


def test_a_worker_dies(daemon):
    d = daemon({"workers": 1})
    d.expect_error("was ended by signal 9")
    with Lines(d) as lines, Raw(d.address).upgrade("/ws") as c:
        assert lines.next()["event"] == "conn-open"
        pid = d.workers()[0]
        os.kill(pid, signal.SIGKILL)
        c.gone()
        death = lines.next()
        assert (death["event"], death["worker"], death["pid"], death["lost"]) == ("worker-died", 0, pid, 1)
        d.wait_workers(1, [pid])
        # who looks on is not touched by that
        come_and_go(d)
        lines.until("conn-close")


@pytest.mark.parametrize("query, events", [
    ("?kind=conn-refused", ["conn-refused"]),
    ("?kind=conn-open", ["conn-open", "conn-open"]),
    ("?reason=not-found", ["conn-refused"]),
    ("?endpoint=/chat", ["conn-open", "conn-close"]),
    ("?endpoint=/chat&kind=conn-close", ["conn-close"]),
    ("?endpoint=/cha", []),
    ("?endpoint=/nothing", []),
    ("?peer=127.0.0.1&kind=conn-close", ["conn-close", "conn-close"]),
    ("?peer=::1", []),
    ("?peer=127.0.0.1:1", []),
])
def test_filters(five, query, events):
    """The stream is ended by what passes through all of them, and so tells that no more comes."""
    with Lines(five, query) as lines, Lines(five, "?kind=conn-close&endpoint=/safe") as last:
        come_and_go(five, "/ws")
        come_and_go(five, "/chat")
        assert refused(five) == 404
        five.reload()
        seen = [lines.next() for _ in events]
        assert [e["event"] for e in seen] == events
        come_and_go(five, "/safe")
        last.until("conn-close")
        lines.socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            rest = lines.next()
            assert rest["endpoint"] == "/safe", rest


@pytest.mark.parametrize("query", [
    "?kind=", "?kind=lost", "?kind=started", "?kind=x", "?reason=", "?reason=x", "?peer=x", "?peer=",
    "?endpoint=/" + "a" * 1100,
], ids=short)
def test_what_cannot_be_asked(five, query):
    status, answer = ask(five, "/events" + query)
    assert (status, answer["error"]) == (400, "bad-parameter")


def test_head(five):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(DEADLINE)
        s.connect(own(five))
        s.sendall(b"HEAD /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while more := s.recv(4096):
            data += more
    assert data.startswith(b"HTTP/1.1 200") and data.endswith(b"\r\n\r\n")


def test_as_many_as_may_look_on(five):
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Lines(five)) for _ in range(16)]
        status, answer = ask(five, "/events")
        assert (status, answer["error"]) == (503, "busy")
        come_and_go(five)
        for r in readers:
            assert [e["event"] for e in r.until("conn-close")] == ["conn-open", "conn-close"]
    # their places are free with their end
    wait_until("one may", lambda: is_let_in(five))


def is_let_in(d):
    lines = Lines(d)
    lines.__exit__()
    return lines.status == 200


def flood(d, count):
    """So many open and close, or a few less; returns how many there were since the start."""
    many = [Raw(d.address) for _ in range(count)]
    for c in many:
        c.send(request("/once"))
    for c in many:
        c.socket.close()
    wait_until("they are gone", lambda: ask(d, "/status")[1]["status"]["connections"] == 0)
    return sum(e["opened"] for e in ask(d, "/endpoints")[1]["endpoints"])


def test_a_slow_reader_loses_and_is_told(daemon):
    """Nothing is kept for who does not read: of what happened it gets some, and how much is missing."""
    d = daemon({"access_log": False})
    with Lines(d, "?kind=conn-open") as slow, Lines(d, "?kind=conn-open") as quick:
        count = read = 0
        while count < 7000:
            count = flood(d, 400)
            while read < count:
                assert quick.next()["event"] == "conn-open"
                read += 1
        lost = got = 0
        while got + lost < count:
            e = slow.next()
            if e["event"] == "lost":
                lost += e["n"]
            else:
                got += 1
        # what the ring has, and what waited on the way
        assert got + lost == count and lost > 1000 and got >= 2048, (got, lost)
        # from here on it is told of all again
        come_and_go(d)
        assert slow.next()["endpoint"] == "/ws"


def memory(pid):
    """Kilobytes that a process has."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:"))


def lives(d):
    # or its queue is full
    with contextlib.suppress(BlockingIOError):
        return ask(d, "/live")[0] == 200


def look_on(d):
    for _ in range(1000):
        Lines(d).__exit__()


def ask_and_leave(d):
    """While no worker answers, so that all leave ahead of the answer."""
    pids = d.workers()
    for pid in pids:
        stand_still(pid)
    try:
        for _ in range(500):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(own(d))
                s.sendall(b"GET /connections HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until("it answers", lambda: lives(d))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("leave", [look_on, ask_and_leave])
@not_under_a_sanitizer("which keeps what is freed")
def test_who_leaves_leaves_nothing(five, leave):
    pid = five.admin()
    leave(five)
    before = memory(pid)
    for _ in range(3):
        leave(five)
    wait_until("it is given back", lambda: memory(pid) < before + 500)
    wait_until("one may look on", lambda: is_let_in(five))


def test_the_admin_process_ends(five):
    five.expect_error("the admin process")
    with Lines(five) as lines:
        os.kill(five.admin(), signal.SIGKILL)
        with contextlib.suppress(http.client.HTTPException, ConnectionError):
            assert lines.response.readline() == b""
