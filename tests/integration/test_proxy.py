"""Who is the client when a proxy speaks for it: the PROXY protocol and headers of requests."""

import re
import socket
import ssl
import struct
import subprocess

import pytest

from harness import LOCAL, open_files, wait_until
from raw import Raw, request, text
from test_handed_in import ports, wrapped

TRUSTING = {**LOCAL, "proxy_protocol": True, "trusted": ["127.0.0.1"]}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"


def v2(command=1, family=0x11, payload=None):
    if payload is None:
        payload = socket.inet_aton("192.0.2.8") + socket.inet_aton("198.51.100.1") \
            + struct.pack("!HH", 4712, 443)
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(payload)) + payload


def anonymous(pid):
    """KiB of memory that is the process's own."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(x for x in f if x.startswith("RssAnon")).split()[1])


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
    d.log_contains(rf"closed /.*peer={peer} .*proxy={proxy}")


def test_an_ipv4_client_of_a_socket_for_both_families(daemon):
    """It is logged, and trusted, as IPv4: who asks for the address finds it."""
    d = daemon({"listen": [{"systemd": "dual", "forwarded": "x-forwarded-for",
                            "trusted": ["127.0.0.1"]}]}, wrap=wrapped("dual"))
    with Raw(("127.0.0.1", ports(d)[0])) as c:
        c.upgrade("/ws")
        d.log_contains(rf"opened.* peer=127\.0\.0\.1:{c.local_port} endpoint=/ws$")
    with Raw(("127.0.0.1", ports(d)[0])) as c:
        c.upgrade("/ws", headers={"X-Forwarded-For": "::ffff:192.0.2.9"})
        d.log_contains(rf"opened.* peer=192\.0\.2\.9 .*proxy=127\.0\.0\.1:{c.local_port}$")


MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.10")


@pytest.mark.parametrize("header", [
    v2(family=0x21, payload=2 * MAPPED + struct.pack("!HH", 4714, 443)),
    b"PROXY TCP6 ::ffff:192.0.2.10 ::1 4714 443\r\n"], ids=["version 2", "version 1"])
def test_an_ipv4_client_that_a_proxy_names_in_ipv6(daemon, header):
    d = daemon({"listen": [TRUSTING]})
    with Raw(d.address) as c:
        c.send(header, request())
        assert c.response().status == 101
    d.log_contains(r"opened.* peer=192\.0\.2\.10:4714 ")


def tlv(kind, value):
    return bytes([kind]) + struct.pack("!H", len(value)) + value


def with_certificate(size):
    """A header with the client's certificate ahead of its name and behind it."""
    cert = tlv(0x28, b"c" * size)
    inner = struct.pack("!BI", 7, 0) + cert + tlv(0x22, b"device 17") + cert
    return v2(payload=socket.inet_aton("192.0.2.8") + socket.inet_aton("198.51.100.1")
              + struct.pack("!HH", 4712, 443) + tlv(0x20, inner))


@pytest.mark.parametrize("size", [1100, 5000, 32700], ids=["2 KiB", "10 KiB", "64 KiB"])
@pytest.mark.parametrize("piece", [1 << 20, 1000], ids=["whole", "in pieces"])
def test_a_header_with_certificates(daemon, size, piece):
    """PROXY v2 headers are taken up to the protocol's 64 KiB."""
    d = daemon({"listen": [TRUSTING]})
    data = with_certificate(size) + request()
    with Raw(d.address) as c:
        for i in range(0, len(data), piece):
            c.send(data[i:i + piece])
        assert c.response().status == 101
    d.log_contains(r"opened .*peer=192\.0\.2\.8:4712 .*client=CN=device 17$")


def test_a_long_header_that_does_not_end_takes_no_memory(daemon):
    """What nobody reads of it is not kept, however many there are."""
    d = daemon({"listen": [TRUSTING], "workers": 1})
    worker, = d.workers()
    header = with_certificate(32700)
    with Raw(d.address) as c:
        c.send(header[:-1])
        before = anonymous(worker)
        waiting = [Raw(d.address).send(header[:-1]) for _ in range(300)]
        # what the last one says behind its header is answered when all have been read
        waiting[-1].send(header[-1:], request())
        assert waiting[-1].response().status == 101
        grown = anonymous(worker) - before
        for w in waiting:
            w.socket.close()
    assert grown < 300 * 16, f"{grown} KiB for 300 of them"


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
    d.log_contains(r"refused \S+: .*event=conn-refused.*reason=bad-proxy-header")


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
    d.log_contains(r"opened .* with TLS.*peer=192\.0\.2\.8:4712.*proxy=127")
    # nor is anybody believed there who is not trusted
    d.change(listen=[{**d.settings["listen"][0], "trusted": ["10.0.0.0/8"]}])
    d.reload()
    with Raw(d.address) as c:
        c.send(v2())
        assert c.gone() == b""
    d.log_contains(r"reason=untrusted-proxy")


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


OF_UNIX = v2(family=0x31, payload=bytes(216))


@pytest.mark.parametrize("header, peer", [
    (OF_UNIX, "unix"), (v2(family=0, payload=b""), None), (b"PROXY UNKNOWN\r\n", None),
    (v2(command=0, family=0, payload=b""), None), (V1, r"192\.0\.2\.7:4711")],
    ids=["unix", "UNSPEC", "UNKNOWN", "LOCAL", "an address"])
def test_a_proxy_header_makes_nobody_trusted(daemon, directory, header, peer):
    """Who is behind a proxy may claim nothing by a header, unless it is trusted by its address."""
    path = directory + "/ws.sock"
    believing = {"proxy_protocol": True, "forwarded": "x-forwarded-for"}
    d = daemon({"listen": [{**LOCAL, **believing, "trusted": ["127.0.0.1"]},
                           {"unix": path, **believing}]})
    for address, own in ((d.address, r"127\.0\.0\.1:\d+"), (path, r"unix:uid=\d+,pid=\d+")):
        mark = d.log_size()
        with Raw(address) as c:
            c.send(header, request(headers={"X-Forwarded-For": "203.0.113.99"}))
            assert c.response().status == 101
        line = d.log_contains(r"^.*opened.*$", mark).group()
        assert "203.0.113.99" not in line
        told = rf" peer={peer} .*proxy={own}$" if peer else rf" peer={own} endpoint=/ws$"
        assert re.search(told, line), line


def test_a_trusted_address_that_a_proxy_names_is_believed(daemon):
    d = daemon({"listen": [{**TRUSTING, "forwarded": "x-forwarded-for",
                            "trusted": ["127.0.0.1", "192.0.2.7"]}]})
    with Raw(d.address) as c:
        c.send(V1, request(headers={"X-Forwarded-For": "203.0.113.99"}))
        assert c.response().status == 101
    d.log_contains(r"opened.* peer=203\.0\.113\.99 .*proxy=127\.0\.0\.1:\d+$")


def test_on_a_unix_socket_the_header_of_the_request_is_believed(daemon, directory):
    path = directory + "/ws.sock"
    d = daemon({"listen": [{"unix": path, "forwarded": "x-forwarded-for"}]})
    with Raw(path) as c:
        c.upgrade("/ws", headers={"X-Forwarded-For": "203.0.113.99"})
    d.log_contains(r"opened.* peer=203\.0\.113\.99 ")


@pytest.mark.parametrize("trusted", ["127.0.0.1", "10.0.0.0/8"])
def test_a_check_of_the_port_makes_no_line(daemon, trusted):
    """A probe that connects and goes away, from whomever."""
    d = daemon({"listen": [{**TRUSTING, "trusted": [trusted]}], "workers": 1})
    worker, = d.workers()
    mark, files = d.log_size(), open_files(worker)
    for rude in (False, True):
        with Raw(d.address) as c:
            if rude:
                c.reset()
    with Raw(d.address) as c:
        c.send(b"x")
        d.log_contains("event=conn-refused", mark)
    wait_until("that all are gone", lambda: open_files(worker) == files)
    assert len(d.log(mark).splitlines()) == 1, d.log(mark)


def test_headers_from_who_is_not_trusted(daemon):
    d = daemon({"listen": [{**LOCAL, "forwarded": "x-forwarded-for", "trusted": ["10.0.0.0/8"]}]})
    with Raw(d.address) as c:
        c.upgrade("/ws", headers={"X-Forwarded-For": "192.0.2.1"})
        d.log_contains(rf"opened .*peer=127\.0\.0\.1:{c.local_port} endpoint=/ws$")
