"""Requests that are refused: the table of statuses, their headers, the order of the checks."""

import re
import signal
import socket
import ssl

import pytest

import way

from harness import DEADLINE, SLOW, open_files, wait_until
from raw import BINARY, CLOSE, KEY, UPGRADE, Raw, frame, plain, request, text


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
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "tls-on-plain-port"),
    (b"GET /ws\r\nHost: x\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/2.0\r\nHost: x\r\n\r\n", "http-version"),
    (request(version="HTTP/1.0"), "http-version"),
    (request(headers={"Transfer-Encoding": "chunked"}), "request-body"),
    (request(headers={"Content-Length": "5"}), "request-body"),
    (request(headers={"sec-websocket-version": "13"}), "version-doubled"),
    (request(headers={f"X-{i}": "y" for i in range(96)}), "too-many-headers"),
    (request("/ws?name=J\u00fcrgen"), "bad-target"),
    (request("/w\u00fc"), "bad-target"),
    (b"GET  /ws HTTP/1.1\r\nHost: x\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost : x\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", "bad-request"),
    (b"GET /ws HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", "bad-request"),
    (request("/ws%zz"), "bad-target"),
    (request("/ws%0"), "bad-target"),
    (request("/ws%00"), "bad-target"),
])
def test_malformed(shared, head, word):
    check(shared, head, 400, word)


@pytest.mark.parametrize("head, word, sentence, path", [
    (request("/ws?secret=1", version="HTTP/1.0"), "http-version",
     r'HTTP/1\.0.*HTTP/1\.1.*nginx.*"proxy_http_version 1\.1"', "/ws"),
    (request("/chat", version="HTTP/2.0"), "http-version", r"HTTP/2\.0", "/chat"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http-version", r"HTTP/2\.0", None),
    (request("/ws?secret=J\u00fcrgen"), "bad-target", r"byte 13 .* 0xc3, .* %C3$", "/ws"),
    (request("/no\u00fc?secret"), "bad-target", r"byte 4 .* 0xc3", "/no\u00fc"),
    (request("/ws%zz?secret"), "bad-target", "hexadecimal", "/ws%zz"),
    (request("/ws", headers={"Transfer-Encoding": "chunked"}), "request-body",
     "Transfer-Encoding", "/ws"),
    (request("/no", headers={"Content-Length": "5"}), "request-body", "Content-Length", "/no"),
    (request("/no?secret", headers={f"X-{i}": "y" for i in range(96)}), "too-many-headers",
     "more than 100 headers", "/no"),
    (request("/no", headers={"sec-websocket-version": "13"}), "version-doubled",
     "Sec-WebSocket-Version", "/no"),
    # and their kin
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + request(), "bad-request", "proxy_protocol", None),
    (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + request(), "bad-request",
     "proxy_protocol", None),
    (request("/no?secret", headers={"X-Name": "a\x01b"}), "bad-request",
     "line 7 .* 0x01 in the value of X-Name", "/no"),
    (b"GET /no?secret HTTP/1.1\nHost: x\n\n", "bad-request", "line 1 .* LF alone", "/no"),
    (b"GET /no HTTP/1.1\r\nHost: x\n\n", "bad-request", "line 2 .* LF alone", "/no"),
    (b"GET /no?secret HTTP/1.1\r\nHost : x\r\n", "bad-request", "line 2 .* 0x20", "/no"),
    (b"GET /no?secret HTTP/1.1\r\nHost\r\n", "bad-request", "line 2 .* no colon", "/no"),
    (request("/no", headers={"Origin": "http://a\r\norigin: http://b"}), "bad-request",
     "Origin more than once", "/no"),
    (b"SSH-2.0-Client\r\n", "bad-request", "METHOD TARGET HTTP/1.1", None),
])
def test_each_mistake_has_a_sentence(shared, head, word, sentence, path):
    """Malformed requests are told apart: word, what is wrong and where; the log has the path."""
    mark = shared.log_size()
    r = check(shared, head, 400, word)
    assert re.search(rf"^{word}: .*{sentence}", r.body.decode().rstrip()), r.body
    line = shared.log_contains(rf"^.*refused .*reason={word}$", mark).group()
    told = re.search(r"refused \S+( \S+)? with 400: (.*) event=", line)
    assert r.body.decode() == f"{word}: {told.group(2)}\n"
    assert told.group(1) == (path and " " + path), line
    assert "secret" not in line


@way.in_the_clear("that is what it is about")
def test_tls_on_a_plain_port(shared):
    """A ClientHello is answered in clear, as soon as it can be told, and in the log by its word."""
    for hello in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)), b"\x16"):
        r = check(shared, hello, 400, "tls-on-plain-port")
        assert b"takes no TLS" in r.body
    context = ssl.create_default_context()
    with socket.create_connection(shared.address) as s, pytest.raises(ssl.SSLError):
        context.wrap_socket(s, server_hostname="localhost")


HEALTH = {"health": "/healthz", "workers": 1}


@pytest.mark.parametrize("head, body", [
    (plain("/healthz"), b"ok\n"), (plain("/healthz?from=lb"), b"ok\n"),
    (b"GET /healthz HTTP/1.0\r\n\r\n", b"ok\n"),  # as HAProxy's option httpchk
    (plain("/healthz", "HEAD"), b""), (b"HEAD /healthz HTTP/1.0\r\n\r\n", b""),
    (request("/healthz"), b"ok\n")],
    ids=["GET", "with a query", "GET 1.0", "HEAD", "HEAD 1.0", "an upgrade"])
def test_health(daemon, head, body):
    """A health check is answered with 200, and the log says nothing of it."""
    d = daemon(HEALTH)
    worker, = d.workers()
    mark, files = d.log_size(), open_files(worker)
    for _ in range(3):
        with Raw(d.address) as c:
            c.send(head)
            r = c.response(body=bool(body))
            assert (r.status, r.body) == (200, body)
            assert r.header("connection") == "close"
            assert r.header("content-length") == "3"
            c.ends()
    wait_until("that they are gone", lambda: open_files(worker) == files)
    assert d.log(mark) == ""


def test_health_takes_get_and_head(daemon):
    d = daemon(HEALTH)
    for method in ("POST", "OPTIONS"):
        r = check(d, plain("/healthz", method), 405, "method-not-allowed")
        assert r.header("allow") == "GET, HEAD"
    for path in ("/healthz/", "/Healthz", "/health"):
        check(d, plain(path), 404, "not-found")
    d.change(health="/alive")
    d.reload()
    check(d, plain("/healthz"), 404, "not-found")
    with Raw(d.address) as c:
        assert c.send(plain("/alive")).response().status == 200


def test_no_health_by_default(shared):
    check(shared, plain("/healthz"), 404, "not-found")


def test_health_is_told_when_all_connections_are_taken(daemon):
    d = daemon({**HEALTH, "max_connections": 1})
    with Raw(d.address) as c, Raw(d.address) as probe:
        c.upgrade("/ws")
        check(d, request(), 503, "too-many-connections")
        assert probe.send(plain("/healthz")).response().status == 200


@way.directly("a head in pieces may still be there")
def test_health_while_stopping(daemon):
    """Who asks while connections are being closed hears that we stop."""
    d = daemon({**HEALTH, "shutdown_grace": "10s"})
    with Raw(d.address) as c, Raw(d.address) as probe:
        c.upgrade("/ws")
        probe.send(plain("/healthz")[:-2])
        # what came ahead of this was read ahead of it, or with it
        assert c.send(text("x")).text() == "Echo: x"
        d.kill(signal.SIGTERM)
        assert c.message()[0] == CLOSE
        r = probe.response()
        assert (r.status, r.body) == (503, b"stopping\n")
    assert d.wait() == 0
    assert "refused" not in d.log()


def test_a_check_of_the_port_makes_no_line(daemon):
    """Probes that connect, or finish a TLS handshake, and go away."""
    d = daemon({"workers": 1})
    worker, = d.workers()
    mark, files = d.log_size(), open_files(worker)
    for rude in (False, True):
        with Raw(d.address) as c:
            if rude:
                c.reset()
        with Raw(d.address) as c:
            c.send(b"GET /ws HTTP/1.1\r\n")
    wait_until("that all are gone", lambda: open_files(worker) == files)
    assert d.log(mark) == ""


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
    for origin in ("null", "file:///", "Capacitor://localhost", WITH_PATH + "/",
                   "https://example.org", "http://a.app.example", "https://a.app.example:8444", "https://localhost:1234",
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


def test_hosts(daemon):
    """Others are told that they are at the wrong place, ahead of what they may."""
    d = daemon({"hosts": ["ws.example.org", "*.example.net:8443"], "endpoints": [
        {"path": "/ws", "behaviour": "echo", "allowed_origins": ["https://own.test"]},
        {"path": "/any", "behaviour": "echo", "hosts": ["*"]},
        {"path": "/own", "behaviour": "echo", "hosts": ["own.test"]}]})
    elsewhere = {"Host": "evil.test", "Origin": "https://evil.test"}
    for path, host, status in (
            ("/ws", "ws.example.org", 101), ("/ws", "WS.example.org.:80", 101), ("/ws", "a.example.net:8443", 101),
            ("/ws", "a.example.net", 421), ("/ws", "example.org", 421), ("/ws", "127.0.0.1", 421),
            ("/any", "evil.test", 101), ("/own", "own.test", 101), ("/own", "ws.example.org", 421)):
        with Raw(d.address) as c:
            assert c.send(request(path, headers={"Host": host})).response().status == status, (path, host)
    check(d, request(headers=elsewhere), 421, "bad-host")
    check(d, request("/none", headers=elsewhere), 404, "not-found")
    # what the target says comes first
    check(d, request("ws://evil.test/ws", headers={"Host": "ws.example.org"}), 421, "bad-host")
    with Raw(d.address) as c:
        c.upgrade("ws://ws.example.org/ws", headers={"Host": "evil.test"})


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


def test_the_path_of_a_head_that_is_too_large(shared):
    mark = shared.log_size()
    check(shared, request("/no?secret", headers={"X": "x" * 9000}), 431, "head-too-large")
    line = shared.log_contains("^.*refused .*head-too-large$", mark).group()
    assert " /no with 431: the request head is longer than max_head, which is 8192 bytes " in line


@pytest.mark.parametrize("pieces", [False, True])
def test_max_head(daemon, pieces):
    """Large cookies: the limit of the head is a setting, and a reload applies it."""
    d = daemon({"max_head": "64K"})
    head = request(headers={"Cookie": ""})
    for size in (9164, 65536):
        data = request(headers={"Cookie": "c" * (size - len(head))})
        with Raw(d.address) as c:
            for i in range(0, size, 500 if pieces else size):
                c.send(data[i:i + (500 if pieces else size)])
            c.send(text("hi"))
            assert c.response().status == 101
            assert c.text() == "Echo: hi"
    r = check(d, request(headers={"Cookie": "c" * (65537 - len(head))}), 431, "head-too-large")
    assert b"max_head, which is 65536 bytes" in r.body
    d.change(max_head="1K")
    d.reload()
    r = check(d, request(headers={"Cookie": "c" * 1024}), 431, "head-too-large")
    assert b"max_head, which is 1024 bytes" in r.body


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


# a handshake_timeout that we are in time for
SOON = f"{int(300 * SLOW)}ms"


def test_handshake_timeout(daemon):
    d = daemon({"handshake_timeout": SOON})
    for part in (request()[:-2], b"GET /ws HT", b"GET /ws HTTP/1.1\r\n"):
        check(d, part, 408, "handshake-timeout")


def test_head_that_does_not_come_whole_has_no_body(daemon):
    """Whatever of its first line has come."""
    d = daemon({"handshake_timeout": SOON})
    for part in (b"HEAD ", b"HEAD /ws HTTP/1.1\r\nHost"):
        assert refused(d, part, body=False).status == 408
    assert refused(d, b"HEAD /" + b"x" * 20000, body=False).status == 431


def test_handshake_timeout_of_who_says_nothing(daemon):
    d = daemon({"handshake_timeout": SOON})
    with Raw(d.address) as c:
        c.gone()
    d.log_contains(r"\bhandshake-timeout\b")


def test_handshake_timeout_is_over_when_open(daemon):
    d = daemon({"handshake_timeout": SOON})
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
