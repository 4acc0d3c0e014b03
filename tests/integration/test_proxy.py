"""Who is the client when a proxy speaks for it: the PROXY protocol and headers of requests."""

import socket
import ssl
import struct
import subprocess

import pytest

from harness import LOCAL, open_files, wait_until
from raw import Raw, request, text

TRUSTING = {**LOCAL, "proxy_protocol": True, "trusted": ["127.0.0.1"]}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"


def v2(command=1, family=0x11, payload=None):
    if payload is None:
        payload = socket.inet_aton("192.0.2.8") + socket.inet_aton("198.51.100.1") \
            + struct.pack("!HH", 4712, 443)
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(payload)) + payload


V6 = v2(family=0x21, payload=socket.inet_pton(socket.AF_INET6, "2001:db8::9")
        + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + struct.pack("!HH", 4713, 443))

HEADERS = [
    (V1, r"192\.0\.2\.7:4711"),
    (v2(), r"192\.0\.2\.8:4712"),
    (V6, r"\[2001:db8::9\]:4713"),
]


@pytest.mark.parametrize("header, peer", HEADERS)
def test_the_client_is_the_peer(daemon, header, peer):
    d = daemon({"listen": [TRUSTING]})
    with Raw(d.address) as c:
        c.send(header, request(), text("hi"))
        assert c.response().status == 101
        assert c.text() == "Echo: hi"
        proxy = rf"127\.0\.0\.1:{c.local_port}"
    d.log_contains(rf"opened .*peer={peer} endpoint=/ws proxy={proxy}")
    d.log_contains(rf"closed after .*peer={peer} .*proxy={proxy}")


def of_tls(client, verify, name):
    """A header with what the proxy knows of its TLS: see PP2_TYPE_SSL."""
    inner = struct.pack("!BI", client, verify) + b"\x22" + struct.pack("!H", len(name)) + name
    return v2(payload=socket.inet_aton("192.0.2.8") + socket.inet_aton("198.51.100.1")
              + struct.pack("!HH", 4712, 443) + b"\x20" + struct.pack("!H", len(inner)) + inner)


@pytest.mark.parametrize("client, verify, known", [(3, 0, True), (3, 1, False), (1, 0, False)],
                         ids=["verified", "not believed", "no certificate"])
def test_the_certificate_that_the_proxy_has_seen(daemon, client, verify, known):
    d = daemon({"listen": [TRUSTING]})
    with Raw(d.address) as c:
        c.send(of_tls(client, verify, b"meter 7"), request())
        assert c.response().status == 101
    line = d.log_contains(r"^.*opened .*peer=192\.0\.2\.8:4712.*$").group()
    assert line.endswith(" client=CN=meter 7") == known, line
    assert ("client=" in line) == known, line


@pytest.mark.parametrize("said", [b"", V1[:10], SIGNATURE])
def test_a_proxy_that_goes_away_ahead_of_its_header(daemon, said):
    d = daemon({"listen": [TRUSTING], "workers": 1})
    worker, = d.workers()
    with Raw(d.address) as c:
        c.send(V1, request())
        assert c.response().status == 101
        files = open_files(worker)
        with Raw(d.address) as other:
            other.send(said)
            wait_until("that it is accepted", lambda: open_files(worker) == files + 1)
        wait_until("that it is gone", lambda: open_files(worker) == files)
        c.send(text("hi"))
        assert c.text() == "Echo: hi"


@pytest.mark.parametrize("header, peer", HEADERS)
def test_one_byte_at_a_time(daemon, header, peer):
    d = daemon({"listen": [TRUSTING]})
    with Raw(d.address) as c:
        for byte in header + request():
            c.send(bytes([byte]))
        assert c.response().status == 101
    d.log_contains(rf"opened .*peer={peer}")


@pytest.mark.parametrize("header", [v2(command=0, family=0, payload=b""), b"PROXY UNKNOWN\r\n"])
def test_a_proxy_that_speaks_for_itself(daemon, header):
    d = daemon({"listen": [TRUSTING]})
    with Raw(d.address) as c:
        c.send(header, request())
        assert c.response().status == 101
        d.log_contains(rf"opened .*peer=127\.0\.0\.1:{c.local_port} endpoint=/ws$")


@pytest.mark.parametrize("junk", [
    request(), b"\x16\x03\x01\x02\x00", b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 4.5.6.7 1 99999\r\n", SIGNATURE + b"\x31\x11\0\x0c", b"PROXY " + b"x" * 120])
def test_what_is_no_header_ends_the_connection(daemon, junk):
    d = daemon({"listen": [TRUSTING]})
    with Raw(d.address) as c:
        c.send(junk)
        assert c.gone() == b""
    d.log_contains(r"closed: .*event=conn-refused.*reason=bad-proxy-header")


def test_who_is_not_trusted(daemon):
    d = daemon({"listen": [{**TRUSTING, "trusted": ["10.0.0.0/8"]}]})
    with Raw(d.address) as c:
        c.send(V1, request())
        assert c.gone() == b""
    d.log_contains(r"reason=untrusted-proxy")


def test_a_header_that_does_not_come(daemon):
    d = daemon({"listen": [TRUSTING], "handshake_timeout": "300ms"})
    with Raw(d.address) as c:
        c.send(V1[:10])
        assert c.gone() == b""
    d.log_contains(r"reason=handshake-timeout")


def test_on_a_unix_socket_everybody_is_trusted(daemon, directory):
    path = directory + "/ws.sock"
    d = daemon({"listen": [LOCAL, {"unix": path, "proxy_protocol": True}]})
    with Raw(path) as c:
        c.send(V1, request())
        assert c.response().status == 101
    d.log_contains(r"opened .*peer=192\.0\.2\.7:4711 endpoint=/ws proxy=unix:uid=\d+,pid=\d+")


def test_ahead_of_tls(daemon, directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                    directory + "/key.pem", "-out", directory + "/cert.pem"],
                   check=True, capture_output=True)
    certificate = {"certificate": directory + "/cert.pem", "key": directory + "/key.pem"}
    d = daemon({"listen": [{**TRUSTING, "tls": {"certificates": [certificate]}}]})
    context = ssl.create_default_context(cafile=directory + "/cert.pem")
    with Raw(d.address) as c:
        c.send(v2())
        c.socket = context.wrap_socket(c.socket, server_hostname="localhost")
        c.upgrade().send(text("hi"))
        assert c.text() == "Echo: hi"
    d.log_contains(r"opened with TLS.*peer=192\.0\.2\.8:4712.*proxy=127")


FORWARDED = [
    ("x-forwarded-for", {"X-Forwarded-For": "1.1.1.1, 192.0.2.1, 10.0.0.5"}, r"192\.0\.2\.1"),
    ("forwarded", {"Forwarded": 'for=1.1.1.1, for="[2001:db8::1]:47";proto=http, for=10.1.1.1'},
     r"\[2001:db8::1\]:47"),
    ("x-real-ip", {"X-Real-IP": "192.0.2.3"}, r"192\.0\.2\.3"),
    # of another kind than is configured, or not to be read
    ("x-real-ip", {"X-Forwarded-For": "192.0.2.1"}, None),
    ("x-forwarded-for", {"X-Forwarded-For": "192.0.2.1, unknown"}, None),
    ("none", {"X-Forwarded-For": "192.0.2.1"}, None),
]


@pytest.mark.parametrize("kind, headers, peer", FORWARDED)
def test_headers_of_the_request(daemon, kind, headers, peer):
    trusted = {} if kind == "none" else {"trusted": ["127.0.0.0/8", "10.0.0.0/8"]}
    d = daemon({"listen": [{**LOCAL, "forwarded": kind, **trusted}]})
    with Raw(d.address) as c:
        c.upgrade("/ws", headers=headers)
        own = rf"127\.0\.0\.1:{c.local_port}"
        if peer:
            d.log_contains(rf"opened .*peer={peer} endpoint=/ws proxy={own}")
        else:
            d.log_contains(rf"opened .*peer={own} endpoint=/ws$")


def test_headers_from_who_is_not_trusted(daemon):
    d = daemon({"listen": [{**LOCAL, "forwarded": "x-forwarded-for", "trusted": ["10.0.0.0/8"]}]})
    with Raw(d.address) as c:
        c.upgrade("/ws", headers={"X-Forwarded-For": "192.0.2.1"})
        d.log_contains(rf"opened .*peer=127\.0\.0\.1:{c.local_port} endpoint=/ws$")
