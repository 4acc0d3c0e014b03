"""The interface for those who run the daemon, over its unix socket."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from apart import not_under_a_sanitizer
from asking import Admin, ask, own, scrape
from harness import FIVE, ROOT, wait_until
from raw import BINARY, TEXT, Raw, frame


def short(x):
    """The name of a test must not be as long as what it sends."""
    return str(x)[:12]


def test_live_and_ready(five):
    assert ask(five, "/live") == (200, {"live": True})
    assert ask(five, "/ready") == (200, {"ready": True})


def test_status(five):
    status, answer = ask(five, "/status")
    assert status == 200 and list(answer) == ["status"]
    s = answer["status"]
    assert (s["pid"], s["phase"], s["generation"]) == (five.pid, "ready", 1)
    assert s["reload"] is None
    assert [w["pid"] for w in s["workers"]] == five.workers()
    assert {w["state"] for w in s["workers"]} == {"running"}
    assert 0 < s["uptime"] < 600


def test_status_counts_connections(five):
    with Raw(five.address).upgrade():
        wait_until("it is counted", lambda: ask(five, "/status")[1]["status"]["connections"] == 1)
        workers = ask(five, "/status")[1]["status"]["workers"]
        assert sorted(w["connections"] for w in workers) == [0, 1]


def test_status_of_the_log(daemon):
    d = daemon({"bus_size": "1M", "bus_lag": "64K", "max_message": "32K", "max_rooms": 77})

    def log():
        return ask(d, "/status")[1]["status"]["log"]

    assert log() == {"size": 1 << 20, "lag": log()["lag"], "used": 0, "kept": 0, "age": None, "rooms": 0, "max_rooms": 77}
    assert publish(d, "/chat", b"x")[0] == 200
    before = time.time()
    wait_until("it has an age", lambda: log()["age"] > 0)
    assert log()["rooms"] == 1 and 0 < log()["age"] < time.time() - before + 5
    assert ask(d, "/status")[1]["status"]["file"] == d.file


def test_status_of_a_reload(five):
    five.reload()
    wait_until("it is told", lambda: ask(five, "/status")[1]["status"]["reload"])
    s = ask(five, "/status")[1]["status"]
    assert s["generation"] == 2 and s["reload"]["applied"] is True
    five.write("nonsense")
    five.expect_error("")
    five.reload(expect=False)
    wait_until("it is told", lambda: not ask(five, "/status")[1]["status"]["reload"]["applied"])
    s = ask(five, "/status")[1]["status"]
    assert s["generation"] == 2 and "refused" in s["reload"]["summary"]


@pytest.mark.parametrize("target, status, word", [
    ("/nothing", 404, "not-found"),
    ("/live/", 404, "not-found"),
    ("/", 404, "not-found"),
    ("/status%00", 400, "bad-target"),
    ("/%zz", 400, "bad-target"),
    ("/%2", 400, "bad-target"),
    ("/../status", 404, "not-found"),
    ("/" + "a" * 5000, 404, "not-found"),
])
def test_targets(five, target, status, word):
    assert ask(five, target)[0] == status
    assert ask(five, target)[1]["error"] == word


def test_methods(five):
    a = Admin(five)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        a.request(method, "/status")
        r = a.getresponse()
        assert (r.status, r.getheader("Allow")) == (405, "GET")
        assert json.loads(r.read())["error"] == "method-not-allowed"
    a.request("HEAD", "/status")
    r = a.getresponse()
    assert (r.status, r.read()) == (200, b"")


def as_user(d, user, target):
    """The status with which that user is answered; None: it cannot connect."""
    code = ("import socket,sys\n"
            "s=socket.socket(socket.AF_UNIX)\n"
            "s.connect(sys.argv[1])\n"
            "s.sendall(b'GET %s HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' % sys.argv[2].encode())\n"
            "print(s.recv(100).split()[1].decode())\n")
    r = subprocess.run(["/usr/bin/python3", "-c", code, own(d),
                        target], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       check=False, **user)
    return int(r.stdout) if r.returncode == 0 else None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs other users")
def test_who_may_do_what(daemon):
    d = daemon({"admin": {"mode": "0666", "group": "daemon", "read_group": "games"}})
    os.chmod(d.directory, 0o755)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    assert as_user(d, nobody, "/live") == 200
    assert as_user(d, nobody, "/ready") == 200
    assert as_user(d, nobody, "/status") == 403
    assert as_user(d, nobody | {"extra_groups": ["games"]}, "/status") == 200
    assert as_user(d, nobody | {"extra_groups": ["games"]}, "/tail/chat") == 403
    assert as_user(d, nobody | {"extra_groups": ["mail", "daemon"]}, "/status") == 200
    assert as_user(d, nobody | {"group": "daemon"}, "/status") == 200
    assert as_user(d, nobody | {"extra_groups": ["root", "mail"]}, "/status") == 403
    # a reload takes rights and gives them
    d.change(admin={"mode": "0666", "read_group": "mail"})
    d.reload()
    assert as_user(d, nobody | {"extra_groups": ["games", "daemon"]}, "/status") == 403
    assert as_user(d, nobody | {"extra_groups": ["mail"]}, "/status") == 200
    d.change(admin={"mode": "0600"})
    d.reload()
    assert as_user(d, nobody | {"extra_groups": ["mail"]}, "/live") is None


def test_the_file_of_the_socket(daemon, directory):
    path = os.path.join(directory, "other.sock")
    d = daemon({"admin": {"unix": path, "mode": "0600"}})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert Admin(d, path).ask("/live")[0] == 200
    assert not os.path.exists(own(d))
    # another one with a reload; and what was asked on the old one is answered
    old = Admin(d, path)
    assert old.ask("/live")[0] == 200
    d.change(admin={})
    d.reload()
    wait_until("it listens there", lambda: ask(d, "/live")[0] == 200)
    assert not os.path.exists(path)
    assert old.ask("/live")[0] == 200
    d.stop()
    assert not os.path.exists(own(d))


def test_turned_off_and_on(daemon):
    d = daemon({"admin": {"enabled": False}})
    path = own(d)
    assert not os.path.exists(path) and not d.titled("ignyxd: admin")
    d.change(admin={"enabled": True})
    d.reload()
    assert ask(d, "/status")[0] == 200
    d.change(admin={"enabled": False})
    d.reload()
    wait_until("it is gone", lambda: not d.titled("ignyxd: admin"))
    assert not os.path.exists(path)


def test_without_a_place(daemon):
    d = daemon(start=False)
    del d.settings["runtime_dir"]
    d.write()
    d.start()
    assert not d.titled("ignyxd: admin")


def test_a_socket_that_cannot_be(daemon, directory):
    path = os.path.join(directory, "taken.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        daemon({"admin": {"unix": path}}, start=False).refuses(
            rf'cannot listen on {path}, for "admin": Address already in use')
        d = daemon()
        d.change(admin={"unix": path})
        d.expect_error("for .admin.: Address already in use|reload refused")
        d.reload(expect=False)
        # the one that there was serves on
        assert ask(d, "/status")[1]["status"]["generation"] == 1


@pytest.mark.parametrize("sig", [
    signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP,
    pytest.param(signal.SIGSEGV, marks=not_under_a_sanitizer("it takes that for a fault"))])
def test_it_may_die(daemon, sig):
    d = daemon({"worker_timeout": "1s"})
    d.expect_error("the admin process")
    with Raw(d.address).upgrade() as c:
        pid = d.admin()
        os.kill(pid, sig)
        if sig == signal.SIGTERM:
            assert ask(d, "/live")[0] == 200  # means nothing to it
            os.kill(pid, signal.SIGKILL)
        wait_until("another one", lambda: d.titled("ignyxd: admin") not in ([], [pid]))
        assert ask(d, "/ready")[0] == 200
        c.send(frame(TEXT, b"hi"))
        assert c.text() == "Echo: hi"
    assert len(lines_with(d, "event=admin-died")) >= 1
    cause = "stuck" if sig == signal.SIGSTOP else "signal"
    assert {labels: n for (name, labels), n in scrape(d).items()
            if name == "ignyxd_admin_restarts_total"} == \
        {f'cause="{c}"': int(c == cause) for c in ("exit", "signal", "stuck", "bus-corrupt")}


def lines_with(d, text):
    return [line for line in d.log().splitlines() if text in line]


def test_it_keeps_dying(daemon):
    d = daemon()
    d.expect_error("the admin process")
    for _ in range(6):
        os.kill(d.admin(), signal.SIGKILL)
        wait_until("it ended", lambda n=_: len(lines_with(d, "was ended by signal 9")) == n + 1)
    d.log_contains("the admin process .* starting it again in 1 s")
    assert ask_when_there(d) == 200


def ask_when_there(d):
    wait_until("it is back", lambda: d.titled("ignyxd: admin"))
    return ask(d, "/live")[0]


def test_it_asks_who_was_waiting(daemon):
    """Who connects while there is none waits in the queue."""
    d = daemon({"worker_timeout": "60s"})
    d.expect_error("the admin process")
    pid = d.admin()
    os.kill(pid, signal.SIGSTOP)
    a = Admin(d)
    a.request("GET", "/live")
    os.kill(pid, signal.SIGKILL)
    r = a.getresponse()
    assert (r.status, json.loads(r.read())) == (200, {"live": True})


def test_bad_requests(five):
    for text in (b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"GET /status HTTP/1.1\r\nX: " + b"a" * 102400,
                 b"POST /status HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
                 b"POST /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 b"POST /status HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(own(five))
            try:
                s.sendall(text)
                answer = s.recv(1000)
            except ConnectionError:
                answer = b""
            assert answer == b"" or answer.split()[1].startswith(b"4"), (text[:40], answer)
    assert ask(five, "/live")[0] == 200


with open(os.path.join(ROOT, "src/admin/routes.def"), encoding="utf-8") as routes:
    ROUTES = re.findall(r'^ROUTE\((\w+), "([^"]+)", (\w+)', routes.read(), re.M)
PATHS = sorted({path for _, path, _ in ROUTES})


def head(method, target, *lines, version="HTTP/1.1"):
    return b"\r\n".join([f"{method} ".encode() + target + f" {version}".encode(), b"Host: x",
                         *(line.encode() for line in lines), b"", b""])


TEXT_OF = "Content-Type: text/plain"
CHUNKED = "Transfer-Encoding: chunked"


def wire(d, text, end=False):
    """Status and body that these bytes are answered with; None: the connection ends before."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(own(d))
        try:
            s.sendall(text)
            if end:
                s.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
        try:
            answer = http.client.HTTPResponse(s)
            answer.begin()
            return answer.status, answer.read()
        except (ConnectionError, http.client.HTTPException):
            return None, b""


@pytest.mark.parametrize("path", PATHS)
def test_what_is_wrong_with_a_request(five, path):
    """It is said, or the connection ends; nothing is done, and the process lives."""
    pid, target = five.admin(), path.encode()
    taken = {method for method, p, _ in ROUTES if p == path}
    method = sorted(taken)[-1]
    refused = [head(m, target, "Content-Length: 0")
               for m in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
               if m not in taken]
    refused += [head(method, target + bad)
                for bad in (b"x", b"%", b"%0", b"%zz", b"%00", b"?a=%zz", b"?a=%0", b"?a=b%00c", b"?=", b"?&=&")]
    refused += [head(method, bad + target) for bad in (b"http://ignyxd", b"/..", b"/.", b"//")]
    for text in refused:
        status, body = wire(five, text)
        assert status in (400, 404, 405), (text, status)
        assert set(json.loads(body)) == {"error", "message"}
    malformed = [
        head("BREW", target),
        head(method, target, version="HTTP/9.9"),
        head(method, target, "no colon"),
        head(method, target, "X: " + "a" * 102400),
        head(method, target, *["X: a"] * 20000),
        head(method, target + b"a" * 102400),
        head(method, target + b"\0"),
        head(method, target, "Content-Length: -1"),
        head(method, target, "Content-Length: 1x"),
        head(method, target, "Content-Length: 99999999999999999999"),
        head(method, target, "Content-Length: 99999999"),
        head(method, target, "Content-Length: 3", CHUNKED) + b"2\r\nhi\r\n0\r\n\r\n",
        *(head("POST", target, TEXT_OF, CHUNKED) + chunks
          for chunks in (b"zz\r\n", b"-1\r\n", b"fffffffffffffffff\r\n", b"7fffffff\r\n",
                         b"fffff\r\n" + b"x" * 0xfffff + b"\r\nfffff\r\n"))]
    for text in malformed:
        status, _ = wire(five, text)
        assert status is None or 400 <= status < 500 or status == 501, (text[:200], status)
    whole = head("POST", target, TEXT_OF, CHUNKED)
    for text in (whole[:9], whole[:-2], whole, whole + b"2", whole + b"2\r\nhi"):
        assert wire(five, text, end=True)[0] in (None, 400), text
    assert ask(five, "/live")[0] == 200 and five.titled("ignyxd: admin") == [pid]
    assert ask(five, "/rooms") == (200, {"rooms": []})


def test_a_long_body_behind_another_request(five):
    a = Admin(five)
    for _ in range(3):
        assert a.ask("/publish/chat", "POST", b"x" * 100000, **{"Content-Type": "text/plain"})[0] == 200


def test_requests_that_come_at_once(five):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(own(five))
        s.sendall(head("GET", b"/live") * 200 + head("GET", b"/ready", "Connection: close"))
        data = b""
        while more := s.recv(65536):
            data += more
    assert data.count(b'{"live":true}') == 200 and data.endswith(b'{"ready":true}\n')


@pytest.mark.parametrize("first", ["/tail/chat", "/status"])
def test_who_sends_and_does_not_read(five, first):
    """Of what comes while he is answered little is read."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(1)
        s.connect(own(five))
        s.sendall(head("GET", first.encode()))
        sent = 0
        with pytest.raises((TimeoutError, ConnectionError)):
            while sent < 256 << 20:
                sent += s.send(head("GET", b"/status") * 1000)
        assert sent < 32 << 20
        assert ask(five, "/live")[0] == 200


@pytest.mark.parametrize("sent", [b"", b"GET /li", head("POST", b"/publish/chat", TEXT_OF,
                                                       "Content-Length: 9") + b"half"], ids=short)
def test_many_idle_clients(five, sent):
    """More than it takes wait, and those that it took before are answered."""
    first = Admin(five)
    assert first.ask("/live")[0] == 200
    idle = []
    try:
        for _ in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.setblocking(False)
            idle.append(s)
            try:
                s.connect(first.path)
                s.send(sent)
            except BlockingIOError:
                if len(idle) > 600:
                    break
        assert first.ask("/live")[0] == 200
    finally:
        for s in idle:
            s.close()
    wait_until("there is space for others", lambda: is_answered(five))


def is_answered(d):
    try:
        return ask(d, "/ready")[0] == 200
    except BlockingIOError:
        return False


# --- publishing ---

def member(d, path="/chat"):
    return Raw(d.address).upgrade(path)


def publish(d, path, body, kind="text/plain"):
    return ask(d, "/publish" + path, "POST", body, **{"Content-Type": kind})


def test_publish(five):
    with member(five) as a, member(five) as b:
        wait_until("both are there", lambda: ask(five, "/rooms/chat")[1].get("members") == 2)
        status, first = publish(five, "/chat", "hi")
        assert status == 200 and (first["room"], first["members"]) == ("/chat", 2)
        status, second = publish(five, "/chat", b"\0\xff", "application/octet-stream")
        assert status == 200
        status, third = publish(five, "/chat", '{"a": 1}', "application/json; charset=utf-8")
        assert status == 200
        for c in (a, b):
            assert c.message() == (TEXT, b"hi")
            assert c.message() == (BINARY, b"\0\xff")
            assert c.message() == (TEXT, b'{"a": 1}')
        numbers = [int(x["position"].split(".")[1]) for x in (first, second, third)]
        assert numbers == [1, 2, 3]
        a.send(frame(TEXT, b"me"))
        assert b.text() == "User: me"
        assert ask(five, "/rooms/chat")[1]["position"].endswith(".4")


def test_publish_where_nobody_is(five):
    status, answer = publish(five, "/notifications", "[1]", "application/json")
    assert (status, answer["members"]) == (200, 0)
    assert [r["room"] for r in ask(five, "/rooms")[1]["rooms"]] == ["/notifications"]
    with Raw(five.address).upgrade("/notifications") as c:
        assert c.text().startswith('{"type"')
        publish(five, "/notifications", '"next"', "application/json")
        assert c.text() == '"next"'


@pytest.mark.parametrize("path, body, kind, status, word", [
    ("/nowhere", "x", "text/plain", 404, "no-such-room"),
    ("/ws", "x", "text/plain", 404, "no-such-room"),
    ("/", "x", "text/plain", 404, "no-such-room"),
    ("/chat", b"\xff", "text/plain", 400, "bad-utf8"),
    ("/chat", b'"\xff"', "application/json", 400, "bad-utf8"),
    ("/chat", "{", "application/json", 400, "invalid-json"),
    ("/chat", "", "application/json", 400, "invalid-json"),
    ("/chat", "x", "text/html", 415, "unsupported-type"),
    ("/chat", "x", "text/plainer", 415, "unsupported-type"),
    ("/chat", "x" * (128 * 1024 + 1), "text/plain", 413, "message-too-big"),
], ids=short)
def test_what_is_not_published(five, path, body, kind, status, word):
    with member(five) as c:
        got, answer = publish(five, path, body, kind)
        assert (got, answer["error"]) == (status, word)
        publish(five, "/chat", "fine")
        assert c.text() == "fine"


def test_publish_without_a_type(five):
    a = Admin(five)
    a.request("POST", "/publish/chat", b"x")
    r = a.getresponse()
    assert (r.status, json.loads(r.read())["error"]) == (415, "unsupported-type")


def test_publish_nothing(five):
    """An empty message is one."""
    with member(five) as c:
        assert publish(five, "/chat", "")[0] == 200
        assert c.message() == (TEXT, b"")


def publish_all(d, *messages):
    return ask(d, "/publish", "POST", json.dumps(messages), **{"Content-Type": "application/json"})


def test_publish_many(five):
    with member(five) as a, Raw(five.address).upgrade("/notifications") as b:
        b.text()
        status, answer = publish_all(five, {"path": "/chat", "data": "one é"},
                                     {"path": "/notifications", "data": "{}"},
                                     {"path": "/chat", "base64": "AP8="},
                                     {"path": "/chat", "base64": ""})
        assert status == 200
        assert [r["room"] for r in answer["results"]] == \
            ["/chat", "/notifications", "/chat", "/chat"]
        assert [r["members"] for r in answer["results"]] == [1, 1, 1, 1]
        assert [r["position"].split(".")[1] for r in answer["results"]] == ["1", "1", "2", "3"]
        assert [a.message() for _ in range(3)] == \
            [(TEXT, "one é".encode()), (BINARY, b"\0\xff"), (BINARY, b"")]
        assert b.text() == "{}"


@pytest.mark.parametrize("bad, status, word", [
    ({"path": "/ws", "data": "x"}, 404, "no-such-room"),
    ({"path": "/chat", "data": 1}, 400, "bad-request"),
    ({"path": "/chat"}, 400, "bad-request"),
    ({"data": "x"}, 400, "bad-request"),
    ({"path": "/chat", "data": "x", "base64": ""}, 400, "bad-request"),
    ({"path": "/chat", "data": "x", "more": 1}, 400, "bad-request"),
    ({"path": "/chat", "base64": "AP8"}, 400, "invalid-base64"),
    ({"path": "/chat", "base64": "AP8=\n"}, 400, "invalid-base64"),
    ({"path": "/chat", "base64": "===="}, 400, "invalid-base64"),
    ({"path": "/chat", "base64": "A\0P8"}, 400, "invalid-base64"),
    ({"path": "/chat", "data": "x" * (128 * 1024 + 1)}, 413, "message-too-big"),
    (7, 400, "bad-request"),
], ids=short)
def test_all_or_nothing(five, bad, status, word):
    with member(five) as c:
        got, answer = publish_all(five, {"path": "/chat", "data": "first"}, bad)
        assert (got, answer["error"]) == (status, word)
        assert answer["message"].startswith("message 2: ")
        publish(five, "/chat", "fine")
        assert c.text() == "fine"


@pytest.mark.parametrize("body, status, word", [
    ("[]", 400, "bad-request"),
    ("{}", 400, "bad-request"),
    ("[", 400, "invalid-json"),
    ("", 400, "invalid-json"),
    ("[" * 100000, 400, "invalid-json"),
    (json.dumps([{"path": "/chat", "data": ""}] * 4097), 413, "too-many-messages"),
    (json.dumps([{"path": "/chat", "data": "x" * 100000}] * 5), 413, "message-too-big"),
], ids=short)
def test_lists_that_are_none(five, body, status, word):
    got, answer = ask(five, "/publish", "POST", body, **{"Content-Type": "application/json"})
    assert (got, answer["error"]) == (status, word)


# --- published once ---

def answer_to(d, path, body, key, kind="text/plain"):
    """Status and body of the answer, as bytes."""
    a = Admin(d)
    a.request("POST", "/publish" + path, body, {"Content-Type": kind, "Idempotency-Key": key})
    r = a.getresponse()
    return r.status, r.read()


def word_of(answer):
    return answer[0], json.loads(answer[1])["error"]


LIST = json.dumps([{"path": "/chat", "data": "one"}, {"path": "/notifications", "data": "2"},
                   {"path": "/chat", "base64": "AP8="}])


def test_publish_once(five):
    with member(five) as c:
        wait_until("it is there", lambda: ask(five, "/rooms/chat")[1].get("members") == 1)
        one = answer_to(five, "/chat", "hi", "k 1")
        many = answer_to(five, "", LIST, "k2", "application/json")
        assert one[0] == many[0] == 200 and json.loads(one[1])["members"] == 1
        publish(five, "/chat", "between")
        with member(five):
            wait_until("two are", lambda: ask(five, "/rooms/chat")[1].get("members") == 2)
            # "members" too is what it was
            assert answer_to(five, "/chat", "hi", "k 1") == one
            assert answer_to(five, "", LIST, "k2", "application/json") == many
        assert answer_to(five, "/chat", "hi", "k3")[1] != one[1]
        assert [c.message()[1] for _ in range(5)] == [b"hi", b"one", b"\0\xff", b"between", b"hi"]
        publish(five, "/chat", "end")
        assert c.text() == "end"


def test_key_of_something_else(five):
    with member(five) as c:
        assert answer_to(five, "/chat", "hi", "k")[0] == 200
        for other in (answer_to(five, "/chat", "ho", "k"),
                      answer_to(five, "/chat", "hi", "k", "application/octet-stream"),
                      answer_to(five, "/notifications", '"hi"', "k"),
                      answer_to(five, "", LIST, "k", "application/json")):
            assert word_of(other) == (422, "key-conflict")
        # the case of letters counts, and what is refused takes no key
        assert answer_to(five, "/chat", "ho", "K")[0] == 200
        assert answer_to(five, "/nowhere", "x", "k4")[0] == 404
        assert answer_to(five, "/chat", "x", "k4")[0] == 200
        assert [c.text() for _ in range(3)] == ["hi", "ho", "x"]


def test_keys_that_are_none(five):
    for key in ("", "a\tb", "é".encode(), "x" * 256):
        assert word_of(answer_to(five, "/chat", "hi", key)) == (400, "bad-key")
        assert word_of(answer_to(five, "", LIST, key, "application/json")) == (400, "bad-key")
    assert answer_to(five, "/chat", "hi", "x" * 255)[0] == 200
    of = {n: json.dumps([{"path": "/chat", "data": ""}] * n) for n in (256, 257)}
    assert word_of(answer_to(five, "", of[257], "n", "application/json")) == \
        (413, "too-many-messages")
    assert answer_to(five, "", of[256], "n", "application/json")[0] == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs other users")
def test_a_key_is_its_users(daemon):
    d = daemon({"admin": {"mode": "0666", "group": "daemon"}})
    os.chmod(d.directory, 0o755)
    code = ("import http.client,socket,sys\n"
            "c=http.client.HTTPConnection('x')\n"
            "c.sock=socket.socket(socket.AF_UNIX)\n"
            "c.sock.connect(sys.argv[1])\n"
            "c.request('POST','/publish/chat','hi',"
            "{'Content-Type':'text/plain','Idempotency-Key':'k'})\n"
            "print(c.getresponse().read().decode(),end='')\n")
    mine = answer_to(d, "/chat", "hi", "k")[1].decode()

    def of(user):
        r = subprocess.run(["/usr/bin/python3", "-c", code, own(d)], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, check=True, user=user, group="daemon",
                           extra_groups=[])
        return r.stdout
    his = of(65534)
    assert json.loads(his)["room"] == "/chat" and his != mine
    assert of(65534) == his
    assert of(65533) not in (his, mine)
    assert answer_to(d, "/chat", "hi", "k")[1].decode() == mine


def test_once_over_deaths(daemon):
    """Several ask for the same again and again, while the process dies under them."""
    d = daemon()
    d.expect_error("the admin process")
    answers, problems = {}, []

    def insist(n):
        """One message, until it is known to be there."""
        while True:
            try:
                status, body = answer_to(d, "/chat", str(n), f"key {n}")
            except (OSError, http.client.HTTPException):
                continue
            if status != 503:
                return status, body

    def ask_all():
        for n in range(100):
            status, body = insist(n)
            if status != 200 or answers.setdefault(n, body) != body:
                problems.append((n, status, body, answers.get(n)))

    with member(d) as c:
        threads = [threading.Thread(target=ask_all) for _ in range(3)]
        for t in threads:
            t.start()
        for k in range(4):
            wait_until("they go on", lambda n=k: len(answers) > 20 * (n + 1))
            pid = d.admin()
            os.kill(pid, signal.SIGKILL)
            wait_until("another one", lambda p=pid: d.titled("ignyxd: admin") not in ([], [p]))
        for t in threads:
            t.join()
        assert not problems
        assert [int(c.text()) for _ in range(100)] == list(range(100))
        assert insist(7) == (200, answers[7])
        publish(d, "/chat", "end")
        assert c.text() == "end"


def test_publish_while_a_worker_stands_still(daemon):
    """It is told that the log is full, when to come again, and nobody waits."""
    d = daemon({"worker_timeout": "60s"})
    d.expect_error("stands still")
    with member(d) as a, member(d) as b:
        wait_until("both are there", lambda: ask(d, "/rooms/chat")[1].get("members") == 2)
        for pid in d.workers():
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(100):
                status, answer = publish(d, "/chat", "x" * 10000)
                if status != 200:
                    break
            assert (status, answer["error"]) == (503, "bus-full")
        finally:
            for pid in d.workers():
                os.kill(pid, signal.SIGCONT)
        for c in (a, b):
            assert c.text() == "x" * 10000


# --- following a room ---

class Tail:
    """Who follows a room; buffered: what may wait in his socket."""

    def __init__(self, d, target, buffered=None):
        self.connection = Admin(d)
        self.connection.connect()
        if buffered:
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffered)
        self.connection.request("GET", target)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        assert self.answer.getheader("Content-Type") == "application/x-ndjson"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self.connection.close()

    def line(self):
        """The next line; None at the end."""
        text = self.answer.readline()
        return json.loads(text) if text else None

    def all_to(self, data):
        """Lines up to the message that says this, without it."""
        found = []
        while (line := self.line())["data" if "data" in line else "lost"] != data:
            found.append(line)
        return found


def test_tail(five):
    publish(five, "/chat", "before")
    with Tail(five, "/tail/chat") as t, member(five) as c:
        one = publish(five, "/chat", "one é \x1b[1m".encode())[1]
        two = publish(five, "/chat", b"\0\xff", "application/octet-stream")[1]
        publish(five, "/notifications", "{}", "application/json")
        c.send(frame(TEXT, "ü".encode()))
        assert [c.message()[0] for _ in range(3)] == [TEXT, BINARY, TEXT]
        publish(five, "/chat", "x" * 70000)
        first, second, third, fourth = (t.line() for _ in range(4))
        assert (first["position"], first["data"]) == (one["position"], "one é \x1b[1m")
        assert "sender" not in first and abs(first["time"] - time.time()) < 60
        assert (second["position"], second["base64"]) == (two["position"], "AP8=")
        assert third["data"] == "User: ü"
        assert third["sender"] == listed(five, "&room=/chat")[0]["id"]
        assert fourth["data"] == "x" * 70000


def test_tail_since(five):
    a, b, *_ = (publish(five, "/chat", str(n))[1]["position"] for n in range(5))
    with Tail(five, f"/tail/chat?since={a}") as t:
        assert [t.line()["data"] for _ in range(4)] == ["1", "2", "3", "4"]
        publish(five, "/chat", "5")
        assert t.line()["data"] == "5"
    epoch = b.split(".")[0]
    with Tail(five, f"/tail/chat?since={epoch}.99") as t:  # that is not there yet
        publish(five, "/chat", "6")
        assert t.line()["data"] == "6"
    with Tail(five, "/tail/chat?since=0123456789abcdef.3") as t:  # of another log
        assert t.line() == {"lost": None}
        assert [t.line()["data"] for _ in range(7)] == [str(n) for n in range(7)]
    for wrong in ("", "x", epoch, epoch + ".", epoch + ".-1", epoch + ".1x"):
        assert ask(five, f"/tail/chat?since={wrong}")[1]["error"] == "bad-parameter"


def test_tail_of_what_is_no_room(five):
    for target in ("/tail", "/tail/", "/tail/ws", "/tail/nowhere"):
        assert ask(five, target)[1]["error"] == "no-such-room"
    a = Admin(five)
    a.request("HEAD", "/tail/chat")
    assert (a.getresponse().status, ask(five, "/live")[0]) == (200, 200)


def told_and_lost(lines):
    """How many messages there are in lines, and how many they say are missing."""
    return (sum(1 for line in lines if "data" in line),
            sum(line["lost"] for line in lines if "lost" in line))


def test_tail_that_is_not_read(five):
    """It loses messages, is told how many, and holds up nobody."""
    with Tail(five, "/tail/chat", buffered=4096) as slow, Tail(five, "/tail/chat") as quick:
        for _ in range(160):
            batch = [{"path": "/chat", "data": "x" * 4000}] * 25
            assert publish_all(five, *batch)[0] == 200
        publish(five, "/chat", "end")
        told, lost = told_and_lost(slow.all_to("end"))
        assert told + lost == 4000 and 0 < told < 2000
        publish(five, "/chat", "again")
        assert slow.line()["data"] == "again"
        assert sum(told_and_lost(quick.all_to("end"))) == 4000


def test_tail_is_overrun(daemon):
    """The log is written around while the process stands still, and nobody waits for it."""
    d = daemon({"worker_timeout": "60s", "bus_size": "1M", "bus_lag": "64K",
                "endpoints": [{"path": "/chat", "behaviour": "room", "max_message": "8K"}]})
    with Tail(d, "/tail/chat") as t, member(d) as c:
        c.send(frame(TEXT, b"first"))
        assert c.text() == t.line()["data"] == "first"
        pid = d.admin()
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(500):
                c.send(frame(TEXT, b"x" * 8000))
                assert c.message() == (TEXT, b"x" * 8000)
        finally:
            os.kill(pid, signal.SIGCONT)
        publish(d, "/chat", "end")
        lines = t.all_to("end")
        assert "lost" in lines[0] and sum(told_and_lost(lines)) == 500
        assert told_and_lost(lines)[1] >= 500 - (1 << 20) // 8000


def test_as_many_follow_as_may(five):
    followers = [Tail(five, "/tail/chat") for _ in range(16)]
    try:
        assert ask(five, "/tail/chat")[1]["error"] == "busy"
        publish(five, "/chat", "all")
        assert {t.line()["data"] for t in followers} == {"all"}
        followers.pop().__exit__()
        wait_until("there is space for one more", lambda: ask_for_one(five))
    finally:
        for t in followers:
            t.__exit__()
    assert ask(five, "/live")[0] == 200


def ask_for_one(d):
    a = Admin(d)
    a.request("GET", "/tail/chat")
    status = a.getresponse().status
    a.close()
    return status == 200


def test_the_room_goes_while_it_is_followed(five):
    with Tail(five, "/tail/chat") as t, Tail(five, "/tail/notifications") as other:
        publish(five, "/chat", "last")
        assert t.line()["data"] == "last"
        five.change(endpoints=[e for e in FIVE if e["path"] != "/chat"])
        five.reload()
        assert t.line() is None
        publish(five, "/notifications", "1", "application/json")
        assert other.line()["data"] == "1"


def test_rooms(daemon):
    paths = [f"/r{i:02}" for i in range(30)]
    d = daemon({"endpoints": [{"path": p, "behaviour": "room"} for p in paths]})
    assert ask(d, "/rooms") == (200, {"rooms": []})
    for p in paths:
        publish(d, p, "x")
    found, after = [], ""
    while after is not None:
        _, answer = ask(d, f"/rooms?limit=7{after}")
        assert len(answer["rooms"]) <= 7
        found += [r["room"] for r in answer["rooms"]]
        after = f"&after={answer['next']}" if "next" in answer else None
    assert sorted(found) == paths
    assert sorted(r["room"] for r in ask(d, "/rooms?prefix=/r1")[1]["rooms"]) == paths[10:20]
    assert ask(d, "/rooms/r05")[1]["room"] == "/r05"
    assert ask(d, "/rooms/none")[1]["error"] == "no-such-room"
    for wrong in ("limit=0", "limit=1001", "limit=x", "limit=-1", "after=-1", "after=1x", "limit="):
        assert ask(d, f"/rooms?{wrong}")[0] == 400


def test_rooms_among_many(daemon):
    """A page takes no longer for having nothing in it, and is not the last then."""
    paths = [f"/r{i}" for i in range(4200)] + ["/z"]
    d = daemon({"endpoints": [{"path": p, "behaviour": "room"} for p in paths],
                "max_rooms": 5000})
    for i in range(0, len(paths), 1000):
        assert publish_all(d, *({"path": p, "data": ""} for p in paths[i:i + 1000]))[0] == 200
    _, first = ask(d, "/rooms?prefix=/z")
    assert first["rooms"] == [] and first["next"] == "4096"
    _, second = ask(d, f"/rooms?prefix=/z&after={first['next']}")
    assert [r["room"] for r in second["rooms"]] == ["/z"] and "next" not in second
    assert ask(d, "/rooms/z")[1]["room"] == "/z"
    assert ask(d, "/rooms?after=99999999999") == (200, {"rooms": []})


# --- connections ---

def listed(d, query=""):
    """All pages of a list; the ids must not come twice."""
    found, after = [], ""
    while after is not None:
        status, answer = ask(d, f"/connections?limit=7{query}{after}")
        assert status == 200 and len(answer["connections"]) <= 7
        assert "silent" not in answer
        found += answer["connections"]
        after = f"&after={answer['next']}" if "next" in answer else None
    ids = [c["id"] for c in found]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids, key=lambda x: int(x, 16))
    return found


def test_connections(five):
    with member(five) as a, Raw(five.address).upgrade("/ws") as b:
        b.send(frame(TEXT, b"hi"), frame(TEXT, b"hi"))
        b.text()
        b.text()
        chat = listed(five, "&room=/chat")
        assert len(chat) == 1 and len(listed(five)) == 2
        ws, = listed(five, "&endpoint=/ws")
        assert ws["peer"] == f"127.0.0.1:{b.local_port}" or five.proxy
        assert (ws["endpoint"], ws["state"], ws["received"], ws["pending"]) == \
            ("/ws", "open", 2, 0)
        assert "room" not in ws and chat[0]["room"] == "/chat"
        assert ask(five, f"/connections/{ws['id']}")[1]["id"] == ws["id"]
        assert re.search(rf"opened.* conn={ws['id']} ", five.log())
        a.send(frame(8, b""))
        a.gone()
        wait_until("it has gone", lambda: ask(five, f"/connections/{chat[0]['id']}")[0] == 404)


@pytest.mark.parametrize("query, n", [
    ("&peer=127.0.0.1", 3), ("&peer=127.0.0.2", 0), ("&peer=127.0.0", 0), ("&older=3600", 0),
    ("&older=0", 3), ("&endpoint=/chat", 1), ("&endpoint=/cha", 0), ("&room=/ws", 0),
    ("&slow=1", 0), ("&slow=0", 3), ("&room=/chat&endpoint=/ws", 0),
])
def test_filters(shared, query, n):
    with member(shared), Raw(shared.address).upgrade("/ws"), Raw(shared.address).upgrade("/safe"):
        assert len(listed(shared, query)) == n
        # those of one test are gone before the next one looks
    wait_until("they are gone", lambda: not listed(shared))


def test_pages_of_many(daemon):
    """Each one that was there all the time is told of once, while others come and go."""
    d = daemon({"workers": 3, "access_log": False})
    with contextlib.ExitStack() as stack:
        ports = set()
        for _ in range(120):
            c = stack.enter_context(Raw(d.address).upgrade("/ws"))
            ports.add(c.local_port)
        wait_until("all are counted",
                   lambda: ask(d, "/status")[1]["status"]["connections"] == 120)
        for _ in range(5):
            with Raw(d.address).upgrade("/ws"), Raw(d.address).upgrade("/chat"):
                found = listed(d)
            assert d.proxy or ports <= {int(c["peer"].split(":")[1]) for c in found}
            assert len(found) >= 120


def test_kick(five):
    with member(five) as a, member(five) as b, Raw(five.address).upgrade("/ws") as c:
        ids = [x["id"] for x in listed(five, "&room=/chat")]
        assert ask(five, f"/connections/{ids[0]}", "DELETE") == (200, {"closed": 1})
        five.log_contains(rf"conn={ids[0]} .*reason=kicked")
        assert ask(five, "/connections?room=/chat&code=4000&reason=b%20ye", "DELETE") == \
            (200, {"closed": 1})
        ends = sorted([a.closing(), b.closing()])
        assert ends == [(1008, "kicked"), (4000, "b ye")]
        c.send(frame(TEXT, b"hi"))
        assert c.text() == "Echo: hi"


def test_kick_many(five):
    """More than a worker tells of at once."""
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Raw(five.address).upgrade("/ws")) for _ in range(300)]
        other = stack.enter_context(member(five))
        assert ask(five, "/connections?endpoint=/ws", "DELETE") == (200, {"closed": 300})
        for c in conns:
            assert c.closing() == (1008, "kicked")
        other.send(frame(TEXT, b"x"))
        assert other.text() == "User: x"


@pytest.mark.parametrize("method, target, status, word", [
    ("GET", "/connections/1", 404, "no-such-connection"),
    ("GET", "/connections/100000000000001", 404, "no-such-connection"),
    ("GET", "/connections/ff00000000000001", 400, "bad-parameter"),
    ("GET", "/connections/x", 400, "bad-parameter"),
    ("GET", "/connections/", 400, "bad-parameter"),
    ("GET", "/connections/11112222333344445", 400, "bad-parameter"),
    ("GET", "/connections?after=zz", 400, "bad-parameter"),
    ("GET", "/connections?older=-1", 400, "bad-parameter"),
    ("GET", "/connections?slow=2", 400, "bad-parameter"),
    ("GET", "/connections?room=/" + "a" * 1100, 400, "bad-parameter"),
    ("GET", "/connections?limit=0", 400, "bad-parameter"),
    ("DELETE", "/connections", 400, "bad-request"),
    ("DELETE", "/connections/1", 404, "no-such-connection"),
    ("DELETE", "/connections?room=/chat&code=1005", 400, "bad-parameter"),
    ("DELETE", "/connections?room=/chat&code=999", 400, "bad-parameter"),
    ("DELETE", "/connections?room=/chat&reason=" + "a" * 200, 400, "bad-parameter"),
], ids=short)
def test_connections_that_are_none(shared, method, target, status, word):
    got, answer = ask(shared, target, method)
    assert (got, answer["error"]) == (status, word)


def test_a_worker_that_does_not_answer(daemon):
    """It is named, and the others are told of."""
    d = daemon({"worker_timeout": "60s"})
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(Raw(d.address).upgrade("/ws"))
        wait_until("all are there", lambda: len(listed(d)) == 30)
        by_worker = [c["worker"] for c in listed(d)]
        still = d.workers()[0]
        os.kill(still, signal.SIGSTOP)
        try:
            status, answer = ask(d, "/connections?limit=1000")
        finally:
            os.kill(still, signal.SIGCONT)
        assert status == 200 and answer["silent"] == [0]
        assert {c["worker"] for c in answer["connections"]} == {1}
        assert len(answer["connections"]) == by_worker.count(1)
        # its answer, which comes late, is nobody's
        assert len(listed(d)) == 30


def test_who_asks_and_leaves(daemon):
    d = daemon({"worker_timeout": "60s"})
    still = d.workers()[0]
    os.kill(still, signal.SIGSTOP)
    try:
        for _ in range(20):
            a = Admin(d)
            a.request("GET", "/connections")
            a.sock.close()
    finally:
        os.kill(still, signal.SIGCONT)
    assert ask(d, "/connections") == (200, {"connections": []})
    admin = d.admin()
    wait_until("all have been answered", lambda: ask(d, "/live")[0] == 200)
    assert d.admin() == admin


# --- reloads ---

def test_a_reload_that_is_asked_for(five):
    five.change(max_message="64K", endpoints=FIVE[:4])
    status, answer = ask(five, "/reload?dry-run", "POST")
    assert status == 200 and answer["applied"] is False
    assert ask(five, "/status")[1]["status"]["generation"] == 1
    status, real = ask(five, "/reload", "POST")
    assert status == 200 and real["applied"] is True
    # what it does is what it would have done
    assert real["plan"] == answer["plan"] and real["plan"]
    assert ask(five, "/status")[1]["status"]["generation"] == 2


def test_a_reload_that_is_refused(five):
    five.write('workers = 2;\nmax_mesage = "1K";\n')
    for target in ("/reload?dry-run", "/reload"):
        if target == "/reload":
            five.expect_error("max_mesage|missing setting|refused")
        status, answer = ask(five, target, "POST")
        assert (status, answer["error"]) == (422, "config-error")
        assert [(e["file"], e["line"]) for e in answer["errors"]
                if "max_mesage" in e["text"]] == [(five.file, 2)]
    assert ask(five, "/status")[1]["status"]["generation"] == 1


def test_reloads_at_once(five):
    """Each is answered by one that began behind it."""
    waiting = [Admin(five) for _ in range(20)]
    for a in waiting:
        a.request("POST", "/reload")
    for a in waiting:
        r = a.getresponse()
        assert (r.status, json.loads(r.read())["applied"]) == (200, True)


def test_who_asks_for_a_reload_and_leaves(five):
    for _ in range(5):
        a = Admin(five)
        a.request("POST", "/reload")
        a.sock.close()
    assert ask(five, "/reload", "POST")[0] == 200


# --- endpoints ---

def test_endpoints(five):
    with Raw(five.address).upgrade("/ws") as c, member(five):
        c.send(frame(TEXT, b"hi"))
        c.text()
        def counted():
            found = {e["endpoint"]: e for e in ask(five, "/endpoints")[1]["endpoints"]}
            return found if found["/ws"]["messages_sent"] else None
        found = wait_until("it is counted", counted)
        assert set(found) == {e["path"] for e in FIVE}
        ws = found["/ws"]
        assert (ws["behaviour"], ws["connections"], ws["opened"], ws["messages_received"],
                ws["messages_sent"], ws["closed"]) == ("echo", 1, 1, 1, 1, 0)
        assert found["/chat"]["connections"] == 1 and found["/safe"]["connections"] == 0
    wait_until("it has gone", lambda: counted()["/ws"]["closed"] == 1)
    assert len(ask(five, "/endpoints?limit=2")[1]["endpoints"]) == 2


# --- the log ---

def test_log_level(five):
    assert ask(five, "/log-level") == (200, {"level": "info"})
    assert ask(five, "/log-level", "PUT", '{"level": "debug"}') == (200, {"level": "debug"})
    assert ask(five, "/log-level") == (200, {"level": "debug"})

    def told():
        with Raw(five.address).upgrade():
            return "event=conn-state" in five.log()
    wait_until("a worker tells more", told)
    five.expect_error("the admin process")
    os.kill(five.admin(), signal.SIGKILL)
    five.log_contains("replaced by pid")
    assert ask(five, "/log-level") == (200, {"level": "debug"})
    five.reload()
    wait_until("it is as configured", lambda: ask(five, "/log-level")[1]["level"] == "info")


@pytest.mark.parametrize("body", ["", "{}", '{"level": "loud"}', '{"level": 3}', "[]", '"info"'])
def test_levels_that_are_none(five, body):
    status, answer = ask(five, "/log-level", "PUT", body)
    assert (status, answer["error"]) == (400, "bad-request")
    assert ask(five, "/log-level") == (200, {"level": "info"})
