"""Requests that are refused: the table of statuses, their headers, the order of the checks."""

import pytest

from harness import DEADLINE
from raw import BINARY, KEY, UPGRADE, Raw, frame, plain, request, text


def refused(d, head, body=True):
    """Sends a head; returns the response, which must be whole and the last thing that comes."""
    with Raw(d.address) as c:
        c.send(head)
        r = c.response(body)
        assert "close" in r.header("connection").lower().split(", ")
        assert r.header("content-type").startswith("text/plain")
        assert r.header("date").endswith(" GMT")
        assert int(r.header("content-length")) > 0 or not body
        c.ends()
        return r


def check(d, head, status, word):
    """The refusal must name its reason, in the body and in the log."""
    mark = d.log_size()
    r = refused(d, head)
    assert r.status == status, (r.status, r.body)
    assert word in r.body.decode(), r.body
    assert len(r.body.split()) > 2, "a word alone says little"
    d.log_contains(rf"\brefused \S+( \S+)? with {status}\b.*\b{word}\b", mark)
    return r


@pytest.mark.parametrize("head, word", [
    (request(drop=["Host"]), "missing-host"),
    (request(headers={"host": "again"}), "missing-host"),
    (request(headers={"Connection": "keep-alive"}), "bad-upgrade"),
    (request(drop=["Connection"]), "bad-upgrade"),
    (request(drop=["Sec-WebSocket-Key"]), "bad-key"),
    (request(headers={"Sec-WebSocket-Key": "short"}), "bad-key"),
    (request(headers={"Sec-WebSocket-Key": KEY[:-2]}), "bad-key"),
    (request(headers={"Sec-WebSocket-Key": "!" * 22 + "=="}), "bad-key"),
    (request(headers={"sec-websocket-key": KEY}), "bad-key"),
    (request(drop=["Sec-WebSocket-Version"]), "missing-version"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "bad-request"),
    (b"GET /ws\r\nHost: x\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/2.0\r\nHost: x\r\n\r\n", "bad-request"),
    (b"GET  /ws HTTP/1.1\r\nHost: x\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost : x\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", "bad-request"),
    (request("/ws%zz"), "bad-request"),
    (request("/ws%0"), "bad-request"),
    (request("/ws%00"), "bad-request"),
])
def test_malformed(shared, head, word):
    check(shared, head, 400, word)


def test_no_such_path(shared):
    check(shared, request("/nothing"), 404, "not-found")
    check(shared, request("/" + "x" * 3000), 404, "not-found")
    check(shared, plain("/"), 404, "not-found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods(shared, method):
    r = check(shared, request(method=method), 405, "method-not-allowed")
    assert r.header("allow") == "GET"


@pytest.mark.parametrize("path, status", [("/ws", 405), ("/nothing", 404)])
def test_head_has_no_body(shared, path, status):
    for head in (plain(path, "HEAD"), request(path, "HEAD")):
        r = refused(shared, head, body=False)
        assert r.status == status
        assert r.header("allow") == ("GET" if status == 405 else None)


@pytest.mark.parametrize("head", [
    plain(),
    request(headers={"Sec-WebSocket-Version": "12"}),
    request(headers={"Sec-WebSocket-Version": "14"}),
])
def test_upgrade_required(shared, head):
    r = check(shared, head, 426, "upgrade-required")
    assert r.header("upgrade").lower() == "websocket"
    assert "upgrade" in r.header("connection").lower()
    assert r.header("sec-websocket-version") == "13"


ORIGINS = {"allowed_origins": ["https://example.org", "http://localhost:3000", "*.example.net"]}


def test_bad_origin(daemon):
    d = daemon(ORIGINS)
    for origin in ("https://evil.test", "http://example.org", "https://example.org:8443",
                   "https://a.example.org", "https://example.net", "https://xexample.net",
                   "https://example.net.evil.test", "null", "http://localhost"):
        check(d, request(headers={"Origin": origin}), 403, "bad-origin")


def test_good_origin(daemon):
    d = daemon(ORIGINS)
    for origin in ("https://example.org", "HTTPS://Example.ORG", "http://localhost:3000",
                   "https://a.example.net", "http://a.b.example.net:81"):
        with Raw(d.address) as c:
            c.upgrade("/ws", headers={"Origin": origin}, behind=text(origin))
            assert c.text() == "Echo: " + origin
    with Raw(d.address) as c:
        c.upgrade("/ws", behind=text("a program"))
        assert c.text() == "Echo: a program"


WITH_PATH = "https://example.org/app/page"


def test_origins_of_devices_and_patterns(daemon):
    """Literals let in themselves byte for byte; patterns have a scheme and a port."""
    listed = ["file://", "capacitor://localhost", "http://[::1]:3000", WITH_PATH,
              "https://*.app.example", "https://*.app.example:8443", "http://localhost:*"]
    d = daemon({"allowed_origins": listed})
    for origin in (*listed[:4], "https://a.app.example", "https://a.app.example:8443",
                   "http://localhost", "http://localhost:1234"):
        with Raw(d.address) as c:
            c.upgrade("/ws", headers={"Origin": origin})
    for origin in ("null", "file:///", "Capacitor://localhost", WITH_PATH + "/", "https://example.org",
                   "http://a.app.example", "https://a.app.example:8444", "https://localhost:1234",
                   "https://evil.test?.app.example", "https://u@a.app.example"):
        check(d, request(headers={"Origin": origin}), 403, "bad-origin")


def test_null_is_for_files_too(daemon):
    d = daemon({"allowed_origins": ["null"]})
    for origin in ("null", "file://"):
        with Raw(d.address) as c:
            c.upgrade("/ws", headers={"Origin": origin})
    check(d, request(headers={"Origin": "https://null"}), 403, "bad-origin")


@pytest.mark.parametrize("origin", [
    "https://evil.test?.example.net", "https://evil.test#.example.net",
    "https://evil.test\\.example.net", "https://u@x.example.net", "https://example.net",
    "ftp://a.example.net"])
def test_no_way_around_a_pattern(daemon, origin):
    """Bytes that no host has do not make an origin one below the pattern's host."""
    check(daemon(ORIGINS), request(headers={"Origin": origin}), 403, "bad-origin")


def test_any_origin_by_default(shared):
    with Raw(shared.address) as c:
        c.upgrade("/ws", headers={"Origin": "https://anywhere.test"})


def test_origins_of_an_endpoint(daemon):
    d = daemon({**ORIGINS, "endpoints": [
        {"path": "/open", "behaviour": "echo", "allowed_origins": ["*"]},
        {"path": "/own", "behaviour": "echo", "allowed_origins": ["https://own.test"]},
    ]})
    with Raw(d.address) as c:
        c.upgrade("/open", headers={"Origin": "https://own.test"})
    with Raw(d.address) as c:
        c.upgrade("/own", headers={"Origin": "https://own.test"})
    check(d, request("/own", headers={"Origin": "https://example.org"}), 403, "bad-origin")


def test_max_connections(daemon):
    d = daemon({"workers": 4, "max_connections": 10})
    open_ones = [Raw(d.address).upgrade("/ws") for _ in range(10)]
    r = check(d, request(), 503, "too-many-connections")
    assert int(r.header("retry-after")) > 0
    # whoever is refused for another reason is told so
    check(d, request(drop=["Host"]), 400, "missing-host")
    check(d, request("/nothing"), 404, "not-found")
    check(d, plain(method="POST"), 405, "method-not-allowed")
    check(d, plain(), 426, "upgrade-required")
    # those who are in are not disturbed, and one who leaves makes room
    for i, c in enumerate(open_ones):
        c.send(text(str(i)))
        assert c.text() == f"Echo: {i}"
    for c in open_ones:
        mark = d.log_size()
        c.socket.close()
        d.log_contains("closed /", mark)
        with Raw(d.address) as new:
            new.upgrade("/ws", behind=text("in"))
            assert new.text() == "Echo: in"
            mark = d.log_size()
        d.log_contains("closed /", mark)


@pytest.mark.parametrize("head, status", [
    # what is malformed comes before what is not there
    (request("/nothing", drop=["Sec-WebSocket-Key"]), 400),
    (request("/nothing", method="POST", drop=["Host"]), 400),
    (request("/nothing", headers={"Sec-WebSocket-Key": "x"}), 400),
    # the path before the method
    (request("/nothing", method="POST"), 404),
    (plain("/nothing", method="POST"), 404),
    # the path before the version
    (request("/nothing", headers={"Sec-WebSocket-Version": "8"}), 404),
    # the method before the version
    (request(method="POST", headers={"Sec-WebSocket-Version": "8"}), 405),
    (plain(method="POST"), 405),
])
def test_order_of_the_checks(shared, head, status):
    assert refused(shared, head).status == status


def test_the_version_comes_before_the_origin(daemon):
    head = request(headers={"Sec-WebSocket-Version": "8", "Origin": "https://evil.test"})
    assert refused(daemon(ORIGINS), head).status == 426


def test_head_too_large(shared):
    check(shared, request(headers={"X": "x" * 9000}), 431, "head-too-large")
    # without waiting for an end that may never come
    many = b"".join(b"X%d: y\r\n" % i for i in range(60)) + b"Long: "
    check(shared, b"GET /ws HTTP/1.1\r\nHost: x\r\n" + many + b"x" * 9000, 431, "head-too-large")


def test_a_large_head_that_is_not_too_large(shared):
    head = request(headers={"X": ""})
    head = request(headers={"X": "x" * (8192 - len(head))})
    assert len(head) == 8192
    with Raw(shared.address) as c:
        c.send(head, text("hi"))
        assert c.response().status == 101
        assert c.text() == "Echo: hi"


def test_too_large_is_not_measured_by_what_follows(shared):
    with Raw(shared.address) as c:
        c.upgrade("/ws", behind=frame(BINARY, b"x" * 60000))
        assert c.message() == (BINARY, b"x" * 60000)


def test_handshake_timeout(daemon):
    d = daemon({"handshake_timeout": "300ms"})
    for part in (request()[:-2], b"GET /ws HT", b"GET /ws HTTP/1.1\r\n"):
        check(d, part, 408, "handshake-timeout")


def test_handshake_timeout_of_who_says_nothing(daemon):
    d = daemon({"handshake_timeout": "300ms"})
    with Raw(d.address) as c:
        c.gone()
    d.log_contains(r"\bhandshake-timeout\b")


def test_handshake_timeout_is_over_when_open(daemon):
    d = daemon({"handshake_timeout": "300ms"})
    with Raw(d.address) as idle, Raw(d.address) as slow:
        idle.upgrade("/ws")
        slow.send(b"GET")
        assert slow.response().status == 408, "and so its time was over for both"
        idle.send(text("still here"))
        assert idle.text() == "Echo: still here"


def test_head_one_byte_at_a_time(shared):
    with Raw(shared.address) as c:
        for byte in request():
            c.send(bytes([byte]))
        assert c.response().status == 101
        for byte in text("slow"):
            c.send(bytes([byte]))
        assert c.text() == "Echo: slow"


def test_head_split_at_every_byte(shared):
    head = request() + text("x")
    for i in range(1, len(head), 3):
        with Raw(shared.address) as c:
            c.send(head[:i])
            c.send(head[i:])
            assert c.response().status == 101
            assert c.text() == "Echo: x"


def test_upgrade_in_lists_and_any_case(shared):
    for connection in ("upgrade", "keep-alive, Upgrade", "Upgrade,keep-alive", "a,UPGRADE ,b"):
        with Raw(shared.address) as c:
            c.upgrade("/ws", headers={"Connection": connection, "Upgrade": "WEBSOCKET"})


def test_the_example_of_the_rfc(shared):
    assert UPGRADE["Sec-WebSocket-Key"] == KEY
    with Raw(shared.address, timeout=DEADLINE) as c:
        c.send(b"GET /ws HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
               b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               b"Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
               b"Sec-WebSocket-Version: 13\r\n\r\n")
        r = c.response()
        assert r.status == 101
        assert r.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
