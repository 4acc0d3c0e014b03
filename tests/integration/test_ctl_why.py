"""ignyxctl why and events: what has happened, and what happens."""

import json
import os
import re
import signal
import subprocess

import pytest

from asking import own
from harness import DEADLINE, wait_until
from pretend import CTL, Admin, ctl, environment
from raw import Raw, close, request, text
from test_admin_why import id_of, waits_for
from test_ctl import done, refused


def cut_off(d):
    """Returns the id and the port of who was cut off by what he did."""
    with Raw(d.address).upgrade("/ws") as c:
        conn, port = id_of(d, c), c.local_port
        c.send(text(b"\xff"))
        c.closing()
        c.socket.close()
    waits_for(d, f"conn={conn}", "conn-close")
    return conn, port


def test_why(five):
    conn, port = cut_off(five)
    for whom in (conn, f"127.0.0.1:{port}", "127.0.0.1"):
        lines = done(five, "why", whom).splitlines()
        assert lines[0].split() == ["AGO", "EVENT", "ID", "PEER", "ENDPOINT", "BY", "CODE", "OPEN",
                                    "FOR", "REASON", "WHY"]
        row = lines[1]
        assert re.search(rf"conn-close +{conn} +127\.0\.0\.1:{port} +/ws +server +1007 +\S+ \S+ +"
                         r"bad-utf8 +a text message was not UTF-8$", row), row
        assert "conn-open" in lines[2]
    assert len(done(five, "why", "--limit", "1", conn).splitlines()) == 2
    answer = json.loads(done(five, "--json", "why", conn))
    assert [w["event"] for w in answer["why"]] == ["conn-close", "conn-open"]


def test_why_not_let_in(five):
    with Raw(five.address) as c:
        c.send(request("/%1b[2Jnothing"))
        assert c.response().status == 404
        row = done(five, "why", f"127.0.0.1:{c.local_port}").splitlines()[1]
    assert re.search(r"conn-refused .* /%1B\[2Jnothing +- +404 +- +not-found +no endpoint has this path", row)


def test_what_is_true_now(five):
    with Raw(five.address).upgrade("/chat") as c:
        out = done(five, "why", id_of(five, c))
    assert out.startswith("open now:\n") and re.search(r"^room +/chat$", out, re.M)
    assert re.search(r"^pending +0 B$", out, re.M)
    assert re.search(r"^limits$\n(^  .*\n)*^  stall_timeout +1 min$", out, re.M)
    assert re.search(r"^  max_message +128\.0 KiB$", out, re.M)
    assert re.search(r"^\S+ ms +conn-open .*/chat", out, re.M) or "conn-open" in out


def test_of_whom_nothing_is_known(five):
    assert "nothing-known (404)" in refused(five, "why", "192.0.2.1")
    assert "bad-parameter (400)" in refused(five, "why", "nobody")
    assert "lacks an argument" in refused(five, "why", status=2)


@pytest.mark.parametrize("answer", [
    {"why": 5, "connections": []}, {"connections": []}, {"why": [5], "connections": []},
    {"why": [{"event": 5}], "connections": []}, {"why": [], "connections": {}},
])
def test_strange_answers(directory, answer):
    path = os.path.join(directory, "admin.sock")
    admin = Admin(path, {"GET /why": answer})
    try:
        r = ctl("-s", path, "why", "1")
    finally:
        admin.end()
    assert r.returncode == 1 and "of another kind than expected" in r.stderr, r


class Following:
    """ignyxctl events, which has begun to follow."""

    def __init__(self, d, *args):
        self.process = subprocess.Popen([CTL, "-s", own(d), *args], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=environment({"TZ": "UTC"}))
        self.d = d

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def first(self, cause=lambda: None):
        """The first line, of what is caused until it has begun."""
        os.set_blocking(self.process.stdout.fileno(), False)

        def there():
            cause()
            with Raw(self.d.address) as c:
                c.send(request("/nothing"))
                c.response()
            return self.process.stdout.readline()
        line = wait_until("a line", there)
        os.set_blocking(self.process.stdout.fileno(), True)
        return line


def test_events(five):
    with Following(five, "events", "--kind", "conn-refused") as f:
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  conn-refused 127\.0\.0\.1:\d+ /nothing worker [01] "
                            r"404 not-found: no endpoint has this path conn=[0-9a-f]+\n", f.first())


def test_events_for_programs(five):
    with Following(five, "--json", "events", "--reason", "not-found", "--peer", "127.0.0.1") as f:
        event = json.loads(f.first())
        assert (event["event"], event["path"]) == ("conn-refused", "/nothing")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [["events"], ["tail", "/chat"]])
def test_who_follows_ends_well(five, command, sig):
    with Following(five, *command) as f, Raw(five.address).upgrade("/chat") as c:
        f.first(lambda: c.send(text("hi")))
        f.process.send_signal(sig)
        assert f.process.wait(DEADLINE) == 0
        assert f.process.stderr.read() == ""


def test_events_into_a_pipe_that_is_closed(five):
    with Following(five, "events", "--endpoint", "/ws") as f:
        f.process.stdout.close()
        f.process.stdout = None

        def ended():
            with Raw(five.address).upgrade("/ws") as c:
                c.send(close(1000))
                c.closing()
            return f.process.poll() is not None
        wait_until("its end", ended)
        assert f.process.returncode == 0 and f.process.stderr.read() == ""


def test_events_of_a_daemon_that_ends(five):
    five.expect_error("the admin process")
    with Following(five, "events") as f:
        f.first()
        os.kill(five.admin(), signal.SIGKILL)
        assert f.process.wait(DEADLINE) == 3
        assert "no answer from" in f.process.stderr.read()


def test_events_that_cannot_be_asked(five):
    assert "bad-parameter (400)" in refused(five, "events", "--kind", "started")
