"""Secure listeners: what is agreed on, which certificates are shown and asked for, how it ends."""

import asyncio
import ctypes
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time

import pytest

import stock
from apart import AS_NOBODY, give_to_nobody, needs_root
from certificates import Authority, Pair, client, openssl
from harness import (DEADLINE, LOCAL, PROGRAM, ROOMY, SLOW, alive, free_port, open_files,
                     proc_stat, run_program, stand_still, wait_until)
from raw import BINARY, PING, PONG, TEXT, Raw, close, frame, plain, request, run, split_frame, text

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Pki:
    """The authorities of this file, and what several tests use of theirs."""

    def __init__(self, directory):
        self.directory = directory
        self.root = Authority(os.path.join(directory, "root"))
        self.between = Authority(os.path.join(directory, "between"), "Test Intermediate",
                                 self.root)
        self.foreign = Authority(os.path.join(directory, "foreign"), "Foreign Root")
        local = ("DNS:localhost", "IP:127.0.0.1")
        self.ec = self.between.pair(*local)
        self.rsa = self.between.pair(*local, kind="rsa")
        self.user = self.root.pair("DNS:client.test", "email:user@client.test",
                                   subject="/O=Test Org/CN=user")
        self.tls = client(self.root)


@pytest.fixture(scope="module")
def pki():
    path = tempfile.mkdtemp(prefix="ignyxd-")
    # a daemon that runs as another user reads them, too
    os.chmod(path, 0o755)
    yield Pki(path)
    shutil.rmtree(path)


def listener(*pairs, **tls):
    return {**LOCAL, "tls": {"certificates": [p.group() for p in pairs], **tls}}


def ports(d, *listeners):
    """Listeners that are at ports of their own, and where those are."""
    numbers = [free_port() for _ in listeners]
    d.change(listen=[{**x, "port": port} for x, port in zip(listeners, numbers)])
    return [("127.0.0.1", port) for port in numbers]


def serve(daemon, *pairs, settings=None, **tls):
    return daemon({"listen": [listener(*pairs, **tls)], **(settings or {})})


@needs_root
def test_r_by_somebody_who_may_not_read_the_key(daemon, pki):
    """But may signal the daemon, whose the key is by a group."""
    pair = pki.root.pair("DNS:localhost")
    group = 54321
    os.chmod(pair.key, 0o640)
    os.chown(pair.key, 0, group)
    with_group = [x if x != "--clear-groups" else f"--groups={group}" for x in AS_NOBODY]
    d = daemon({"listen": [listener(pair)]}, start=False, wrap=with_group)
    give_to_nobody(d.directory)
    d.start()
    check, ask = (subprocess.run([*AS_NOBODY, PROGRAM, what, "-c", d.file], env=d.env, text=True,
                                 capture_output=True, stdin=subprocess.DEVNULL, check=False)
                  for what in ("-t", "-r"))
    assert check.returncode == 1 and "Permission denied" in check.stderr
    assert (ask.returncode, ask.stderr) == (0, "")
    assert ask.stdout.startswith("configuration reloaded: ")


def test_key_that_openssl_thinks_too_weak(daemon, pki):
    """The file can be read, and the key is the certificate's; it is the context that refuses it."""
    weak = pki.root.pair("DNS:localhost", kind="weak")
    d = daemon({"listen": [listener(weak)]}, start=False)
    said = rf'{d.place("certificates")}: listen 1: tls: OpenSSL cannot use this: ee key too small'
    r = run_program("-t", "-c", d.file)
    assert r.returncode == 1 and re.search(said, r.stderr), r.stderr
    d.refuses(said, "not started")
    # and at a reload
    d = serve(daemon, pki.ec)
    d.expect_error(r"listen 1: tls: OpenSSL cannot use this: ee key too small")
    d.expect_error("reload refused")
    d.change(listen=[listener(weak)])
    d.reload(expect=False)
    check_echo(d, pki.tls)


def shown(d, tls, name="localhost"):
    """The certificate that a client gets, in DER."""
    with Raw(d.address, tls=tls, name=name) as c:
        return c.socket.getpeercert(binary_form=True)


def check_echo(d, tls, said="hi", **kw):
    with Raw(d.address, tls=tls, **kw) as c:
        c.upgrade().send(text(said))
        assert c.text() == "Echo: " + said
        c.send(close(1000)).closed(1000)


def s_client(d, *args, data=b"", timeout=2 * DEADLINE):
    """Runs openssl s_client to its end; returns all that it says, names as OpenSSL 3.2 and later
    write them: without spaces around the sign."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{d.port}", *args],
                          input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=timeout, check=False)
    return done.stdout.decode("utf-8", "replace").replace("CN = ", "CN=")


class Wire:
    """A client that sees the records, and sends its bytes in pieces of a size."""

    def __init__(self, address, tls, piece=0, name="localhost"):
        self.socket = socket.create_connection(address, DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.piece = piece
        self.records = []  # type and length of each that came
        self.came = bytearray()
        self.read, self.write = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = tls.wrap_bio(self.read, self.write, server_hostname=name)
        self.do(self.ssl.do_handshake)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def out(self):
        data = self.write.read()
        size = self.piece or len(data) or 1
        for i in range(0, len(data), size):
            self.socket.sendall(data[i:i + size])

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            self.read.write_eof()
        self.read.write(data)
        self.came += data
        while len(self.came) >= 5:
            kind, length = struct.unpack_from("!BxxH", self.came)
            if len(self.came) < 5 + length:
                break
            self.records.append((kind, length))
            del self.came[:5 + length]

    def do(self, what, *args):
        while True:
            try:
                out = what(*args)
                self.out()
                return out
            except ssl.SSLWantReadError:
                self.out()
                self.more()

    def send(self, *parts):
        self.do(self.ssl.write, b"".join(parts))
        return self

    def take(self, n):
        """So many bytes of what was sent."""
        out = b""
        while len(out) < n:
            more = self.do(self.ssl.read, n - len(out))
            assert more, f"the end came after {out!r}"
            out += more
        return out

    def upgrade(self, path="/ws"):
        self.send(request(path))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.take(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        return self


# --- what is agreed on ---


def permissive(version, ciphers="ALL:@SECLEVEL=0"):
    """A client that would take anything of that version."""
    tls = client()
    tls.set_ciphers(ciphers)
    tls.minimum_version = tls.maximum_version = version
    return tls


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("least, served", [("1.2", {V12, V13}), ("1.3", {V13})])
def test_versions(daemon, pki, least, served):
    d = serve(daemon, pki.ec, pki.rsa, min_version=least)
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, V12, V13):
        if version in served:
            with Raw(d.address, tls=permissive(version)) as c:
                assert c.socket.version() == {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
                assert c.socket.compression() is None
            continue
        mark = d.log_size()
        # it is the daemon that says no
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION|alert protocol version"):
            Raw(d.address, tls=permissive(version))
        d.log_contains(r"info: refused \S+: TLS handshake failed: unsupported protocol event=conn-refused "
                       r"conn=\S+ peer=127.0.0.1:\d+ reason=tls-handshake", mark)


def test_default_ciphers(daemon, pki):
    """All that OpenSSL has is offered one by one: what is taken has forward secrecy and no CBC."""
    d = serve(daemon, pki.ec, pki.rsa)
    known = openssl("ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").decode()
    taken = set()
    for name in known.strip().split(":"):
        if name.startswith("TLS_") or "PSK" in name or "SRP" in name:
            continue
        try:
            with Raw(d.address, tls=permissive(V12, f"{name}:@SECLEVEL=0")) as c:
                taken.add(c.socket.cipher()[0])
        except ssl.SSLError:
            pass
    assert taken == {f"ECDHE-{kind}-{rest}" for kind in ("RSA", "ECDSA") for rest in
                     ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")}
    with Raw(d.address, tls=client(pki.root)) as c:
        assert c.socket.cipher()[0] in ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
                                        "TLS_AES_128_GCM_SHA256")


def test_ciphers_and_curves_of_our_own(daemon, pki):
    d = serve(daemon, pki.ec, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384",
              ciphersuites="TLS_CHACHA20_POLY1305_SHA256", curves="P-384")
    for version, name in ((V12, "ECDHE-ECDSA-AES256-GCM-SHA384"),
                          (V13, "TLS_CHACHA20_POLY1305_SHA256")):
        check_echo(d, client(pki.root, version=version))
        with Raw(d.address, tls=client(pki.root, version=version)) as c:
            assert c.socket.cipher()[0] == name
    assert "ECDH, secp384r1, 384 bits" in s_client(d)
    assert "handshake failure" in s_client(d, "-curves", "X25519")
    with pytest.raises(ssl.SSLError):
        Raw(d.address, tls=permissive(V12, "ECDHE-ECDSA-AES128-GCM-SHA256"))


@pytest.mark.parametrize("prefer, cipher", [(True, "256"), (False, "128")])
def test_whose_order_counts(daemon, pki, prefer, cipher):
    d = serve(daemon, pki.ec, prefer_server_ciphers=prefer)
    tls = client(pki.root, version=V12)
    tls.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    with Raw(d.address, tls=tls) as c:
        assert f"AES{cipher}" in c.socket.cipher()[0]


def test_alpn(daemon, pki):
    d = serve(daemon, pki.ec)
    for offer, agreed in ((["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"),
                          (["h2"], None), ([], None)):
        with Raw(d.address, tls=client(pki.root, alpn=offer)) as c:
            assert c.socket.selected_alpn_protocol() == agreed
            c.upgrade()


def test_stock_client(daemon, pki):
    d = serve(daemon, pki.ec)

    async def talk():
        async with stock.connect(f"wss://127.0.0.1:{d.port}/ws", ssl=pki.tls) as ws:
            await ws.send("hi")
            assert await ws.recv() == "Echo: hi"
        assert ws.close_code == 1000

    run(talk())
    d.log_contains(r"closed /.*code=1000 reason=peer-closed")


# --- which certificate ---


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_whole_chain_is_sent(daemon, pki, version):
    d = serve(daemon, pki.ec)
    out = s_client(d, version, "-showcerts", "-CAfile", pki.root.certificate,
                   "-verify_hostname", "localhost", "-verify_return_error")
    assert out.count("-----BEGIN CERTIFICATE-----") == 2
    assert re.search(r"0 s:CN=leaf\d+\s+i:CN=Test Intermediate", out)
    assert re.search(r"1 s:CN=Test Intermediate\s+i:CN=Test Root", out)
    assert "Verify return code: 0 (ok)" in out


def test_names(daemon, pki):
    """Exact before a pattern, a pattern for one label, the first for everybody else."""
    one = pki.root.pair("DNS:one.test", "DNS:ONE.example.test")
    wild = pki.root.pair("DNS:*.example.test")
    common = pki.root.pair(subject="/CN=common.test")
    d = serve(daemon, pki.ec, wild, one, common)
    for name, pair in (
            ("one.test", one), ("ONE.Test", one), ("one.example.test", one),
            ("two.example.test", wild), ("Two.EXAMPLE.test", wild), ("common.test", common),
            ("a.two.example.test", pki.ec), ("example.test", pki.ec), ("xexample.test", pki.ec),
            ("localhost", pki.ec), ("nobody.test", pki.ec), (None, pki.ec)):
        for version in (V12, V13):
            assert shown(d, permissive(version), name) == pair.der(), name
    check_echo(d, client(pki.root), name="two.example.test")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_name_with_a_final_dot(daemon, pki, version):
    """SNI with a final dot means the same host; so it does in a certificate. Its kin get the first."""
    one = pki.root.pair("DNS:one.test", "DNS:dotted.test.")
    wild = pki.root.pair("DNS:*.example.test")
    d = serve(daemon, pki.ec, one, wild)
    for name, pair in (("one.test.", one), ("ONE.Test.", one), ("dotted.test", one),
                       ("dotted.test.", one), ("a.example.test.", wild),
                       ("one.test..", pki.ec), (".", pki.ec), (".one.test", pki.ec),
                       ("127.0.0.1", pki.ec), ("x." * 127, pki.ec)):
        out = s_client(d, version, "-servername", name)
        pem = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", out, re.S)
        assert ssl.PEM_cert_to_DER_cert(pem.group()) == pair.der(), name


def test_first_without_a_name(daemon, pki):
    nameless = pki.root.pair("IP:127.0.0.1", subject="/O=Test Org")
    d = serve(daemon, nameless, pki.ec)
    assert shown(d, permissive(V13), None) == nameless.der()
    assert shown(d, permissive(V13), "x.test") == nameless.der()
    assert shown(d, permissive(V13), "localhost") == pki.ec.der()
    check_echo(d, client(pki.root), name="127.0.0.1")


@pytest.mark.parametrize("order", [0, 1])
def test_rsa_and_ecdsa_for_one_name(daemon, pki, order):
    other = pki.root.pair("DNS:other.test")
    pairs = [pki.ec, pki.rsa][::1 - 2 * order]
    d = serve(daemon, *pairs, other)
    for name in ("localhost", None):
        for kind, pair in (("ECDSA", pki.ec), ("RSA", pki.rsa)):
            assert shown(d, permissive(V12, f"ECDHE-{kind}-AES128-GCM-SHA256"), name) == pair.der()
    for sigalgs, kind in (("rsa_pss_rsae_sha256", "RSA-PSS"), ("ecdsa_secp256r1_sha256", "ECDSA")):
        out = s_client(d, "-tls1_3", "-sigalgs", sigalgs, "-servername", "localhost")
        assert re.search(rf"Peer signature type: ({kind}|{sigalgs})\n", out)  # 3.5 names the scheme
    assert "BEGIN CERTIFICATE" not in s_client(d, "-tls1_3", "-sigalgs", "ed25519")


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519"])
def test_kinds_of_keys(daemon, pki, kind):
    d = serve(daemon, pki.root.pair("DNS:localhost", kind=kind))
    for version in (V12, V13):
        check_echo(d, client(pki.root, version=version))


def test_several_listeners(daemon, pki):
    """Each has its own, and one of them none."""
    other = pki.root.pair("DNS:other.test")
    d = daemon(start=False)
    path = os.path.join(d.directory, "ws.sock")
    first, bare, third = ports(d, listener(pki.ec), LOCAL, listener(other))
    d.change(listen=[*d.settings["listen"], {"unix": path, "tls": listener(other)["tls"]}])
    d.start()
    for address, tls, name in ((first, pki.tls, "localhost"), (bare, None, None),
                               (third, pki.tls, "other.test"), (path, pki.tls, "other.test")):
        with Raw(address, tls=tls, name=name) as c:
            c.upgrade().send(text("hi"))
            assert c.text() == "Echo: hi"


# --- certificates of clients ---


def refused_client(d, tls, why, session=None):
    """With TLS 1.3 the client learns of it behind its own handshake."""
    mark = d.log_size()
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        with Raw(d.address, tls=tls, session=session) as c:
            c.upgrade()
    line = d.log_contains(r"^.*TLS handshake failed.*$", mark).group()
    assert why in line and "reason=tls-handshake" in line and ": info: " in line
    assert "opened" not in d.log(mark)


@pytest.mark.parametrize("version", [V12, V13])
def test_client_certificates(daemon, pki, version):
    d = serve(daemon, pki.ec, verify="required", client_ca=pki.root.certificate)
    stranger = pki.foreign.pair("DNS:client.test")
    expired = pki.root.pair("DNS:client.test", days=-1)
    refused_client(d, client(pki.root, version=version), "peer did not return a certificate")
    refused_client(d, client(pki.root, stranger, version=version), "certificate verify failed")
    refused_client(d, client(pki.root, expired, version=version), "certificate verify failed")
    with Raw(d.address, tls=client(pki.root, pki.user, version=version)) as c:
        c.upgrade("/notifications").text()
        c.send(text('{"content": "mine"}'), close(1000)).closed(1000)
    who = r'client="?CN=user,O=Test Org DNS:client\.test email:user@client\.test"?'
    for event in ("opened", "Received JSON: mine", "closed /"):
        d.log_contains(rf"{event}.*{who}")


def test_client_certificates_are_optional(daemon, pki):
    d = serve(daemon, pki.ec, verify="optional", client_ca=pki.root.certificate)
    check_echo(d, client(pki.root))
    line = d.log_contains(r"^.*opened.*$").group()
    assert "client=" not in line
    check_echo(d, client(pki.root, pki.user))
    d.log_contains(r"closed /.*CN=user,O=Test Org")
    refused_client(d, client(pki.root, pki.foreign.pair("DNS:x")), "certificate verify failed")


def test_client_certificates_are_not_asked_for(daemon, pki):
    d = serve(daemon, pki.ec)
    check_echo(d, client(pki.root, pki.foreign.pair("DNS:x")))
    assert "client=" not in d.log_contains(r"^.*closed /.*$").group()
    assert "No client certificate CA names sent" in s_client(d)


def test_client_certificates_with_a_chain(daemon, pki):
    """Who is signed by an authority between shows that one's certificate, too."""
    d = serve(daemon, pki.ec, verify="required", client_ca=pki.root.certificate)
    pair = pki.between.pair("DNS:below.test")
    check_echo(d, client(pki.root, pair))
    bare = os.path.join(pki.directory, "bare.pem")
    with open(bare, "w", encoding="ascii") as f:
        f.write(ssl.DER_cert_to_PEM_cert(pair.der()))
    refused_client(d, client(pki.root, Pair(bare, pair.key)), "certificate verify failed")
    assert "CN=Test Root" in s_client(d).partition("Acceptable client certificate CA names")[2]


def test_revoked_client(daemon, pki):
    own = Authority(os.path.join(pki.directory, "revoking"), "Revoking Root")
    good, bad = own.pair("DNS:good.test"), own.pair("DNS:bad.test")
    clients = {"verify": "required", "client_ca": own.certificate}
    d = serve(daemon, pki.ec, **clients, crl=own.revocations())
    for pair in (good, bad):
        check_echo(d, client(pki.root, pair))
    own.revoke(bad)
    d.change(listen=[listener(pki.ec, **clients, crl=own.revocations())])
    d.reload()
    check_echo(d, client(pki.root, good))
    refused_client(d, client(pki.root, bad), "certificate verify failed")


@pytest.mark.parametrize("version", [V12, V13])
def test_client_below_a_revoked_authority(daemon, pki, version):
    """`crl` is asked about each certificate of the chain; who has no list there is told of."""
    root = Authority(os.path.join(pki.directory, f"over-{version}"), "Over Root")
    between = Authority(os.path.join(pki.directory, f"under-{version}"), "Under Authority", root)
    pair, bad = between.pair("DNS:good.test"), between.pair("DNS:bad.test")
    lists = os.path.join(pki.directory, f"lists-{version}.pem")

    def apply(d, *from_whom):
        with open(lists, "w", encoding="ascii") as out:
            for name in from_whom:
                with open(name, encoding="ascii") as f:
                    out.write(f.read())
        mark = d.log_size()
        d.reload()
        return d.log(mark)

    both = os.path.join(pki.directory, f"both-{version}.pem")
    with open(both, "w", encoding="ascii") as out:
        for authority in (root, between):
            with open(authority.certificate, encoding="ascii") as f:
                out.write(f.read())
    shutil.copy(root.revocations(), lists)
    d = serve(daemon, pki.ec, verify="required", client_ca=both, crl=lists)
    said = (rf'warning: {d.place("listen")[:-1]}\d+: listen 1: tls: "{lists}" has no revocation '
            'list of "CN=Under Authority": clients whose certificates lead to that one are refused')
    assert re.search(said, d.log()), d.log()
    tls, refused = client(pki.root, pair, version=version), client(pki.root, bad, version=version)
    refused_client(d, tls, "certificate verify failed: unable to get certificate CRL")
    between.revoke(bad)
    assert "has no revocation list" not in apply(d, root.revocations(), between.revocations())
    check_echo(d, tls)
    refused_client(d, refused, "certificate verify failed: certificate revoked")
    root.revoke(Pair(between.certificate, between.certificate))
    apply(d, root.revocations(), between.revocations())
    refused_client(d, tls, "certificate verify failed: certificate revoked")


def test_revocation_list_that_is_out_of_date(daemon, pki):
    """A warning when it is read, and when it happens."""
    in_a_life(lambda life: check_the_end_of_a_list(daemon, pki, life))


def check_the_end_of_a_list(daemon, pki, life):
    own = Authority(os.path.join(pki.directory, f"listing-{life}"), "Listing Root")
    d = serve(daemon, pki.ec, verify="optional", client_ca=own.certificate,
              crl=own.revocations(life))
    assert "expire" not in d.log()
    yield
    d.log_contains(rf'warning: {d.place("listen")[:-1]}\d+: crl ".*" \(that of "CN=Listing Root"\) '
                   "has expired", timeout=2 * life + DEADLINE)
    mark = d.log_size()
    d.reload()
    assert '(that of "CN=Listing Root") has expired' in d.log(mark)


def test_identity_cannot_forge_lines(daemon, pki):
    d = serve(daemon, pki.ec, verify="required", client_ca=pki.root.certificate)
    evil = pki.root.pair("DNS:a client=b", subject="/CN=a\nignyxd[master]: error: x\x1b[2J")
    check_echo(d, client(pki.root, evil))
    d.log_contains("closed /")
    for line in d.log().splitlines():
        assert line.startswith("ignyxd[") and not re.search(r"[\x00-\x1f]", line), line
        assert not line.startswith("ignyxd[master]: error")


# --- sessions ---


def session_of(d, tls, address=None):
    with Raw(address or d.address, tls=tls) as c:
        # the tickets of TLS 1.3 come with the first bytes
        c.upgrade().send(text("x"))
        assert c.text() == "Echo: x"
        c.send(close(1000)).closed(1000)
        return c.socket.session


def resumes(d, tls, session, address=None):
    with Raw(address or d.address, tls=tls, session=session) as c:
        c.upgrade().send(text("x"))
        assert c.text() == "Echo: x"
        reused = c.socket.session_reused
        c.send(close(1000)).closed(1000)
        return reused


def workers_used(d, mark):
    return set(re.findall(r"\[worker (\d)\]: info: opened", d.log(mark)))


@pytest.mark.parametrize("version", [V12, V13])
def test_tickets_are_good_for_all_workers(daemon, pki, version):
    d = serve(daemon, pki.ec, settings={"workers": 4})
    tls = client(pki.root, version=version)
    session = session_of(d, tls)
    for _ in range(2):
        mark = d.log_size()
        for _ in range(40):
            assert resumes(d, tls, session)
        assert workers_used(d, mark) == set("0123")
        d.reload()


def test_tickets_by_openssl(daemon, pki):
    d = serve(daemon, pki.ec, settings={"workers": 4})
    out = s_client(d, "-reconnect", "-tls1_2")
    assert len(re.findall(r"^New, TLSv1\.2", out, re.M)) == 1
    assert len(re.findall(r"^Reused, TLSv1\.2", out, re.M)) == 5
    kept = os.path.join(d.directory, "session")
    # the answer to a request comes behind the ticket
    ask = ("-tls1_3", "-quiet", "-no_ign_eof", "-ign_eof")
    s_client(d, *ask, "-sess_out", kept, data=plain("/"))
    assert os.path.getsize(kept) > 0
    for _ in range(8):
        assert "Reused, TLSv1.3" in s_client(d, "-tls1_3", "-sess_in", kept)
    d.reload()
    assert "Reused, TLSv1.3" in s_client(d, "-tls1_3", "-sess_in", kept)


@pytest.mark.parametrize("version", [V12, V13])
def test_no_tickets(daemon, pki, version):
    d = serve(daemon, pki.ec, session_tickets=False)
    tls = client(pki.root, version=version)
    with Raw(d.address, tls=tls) as c:
        c.upgrade().send(text("x"))
        assert c.text() == "Echo: x"
        session = c.socket.session
        assert session is None or not session.has_ticket
    assert "Reused" not in s_client(d, "-reconnect", "-tls1_2")


def test_tickets_of_another_daemon(daemon, pki):
    first, second = serve(daemon, pki.ec), serve(daemon, pki.ec)
    tls = client(pki.root)
    session = session_of(first, tls)
    assert resumes(first, tls, session)
    assert not resumes(second, tls, session)


@pytest.mark.parametrize("version", [V12, V13])
def test_ticket_is_no_certificate(daemon, pki, version):
    """Who was not asked for one elsewhere, or before a reload, does not come in by a ticket."""
    asking = {"verify": "required", "client_ca": pki.root.certificate}
    d = daemon(start=False)
    lax, strict = ports(d, listener(pki.ec), listener(pki.ec, **asking))
    d.start()
    tls = client(pki.root, version=version)
    session = session_of(d, tls, lax)
    assert resumes(d, tls, session, lax)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        resumes(d, tls, session, strict)
    d.log_contains("TLS handshake failed: peer did not return a certificate")
    d.change(listen=[{**listener(pki.ec, **asking), "port": lax[1]}])
    mark = d.log_size()
    d.reload()
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        resumes(d, tls, session, lax)
    d.log_contains("TLS handshake failed: peer did not return a certificate", mark)


@pytest.mark.parametrize("version", [V12, V13])
def test_ticket_of_a_listener_that_asks_otherwise(daemon, pki, version):
    """Of one that would do without, or that has another authority: it is good for that alone."""
    own = Authority(os.path.join(pki.directory, f"asking-{version}"), "Asking Root")
    d = daemon(start=False)
    optional, required, other = ports(
        d, listener(pki.ec, verify="optional", client_ca=own.certificate),
        listener(pki.ec, verify="required", client_ca=own.certificate),
        listener(pki.ec, verify="required", client_ca=pki.root.certificate))
    d.start()
    bare = client(pki.root, version=version)
    known = client(pki.root, own.pair("DNS:known.test"), version=version)
    for tls, first, second in ((bare, optional, required), (known, required, other)):
        session = session_of(d, tls, first)
        assert resumes(d, tls, session, first)
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            resumes(d, tls, session, second)
    assert resumes(d, known, session_of(d, known, required), required)
    # the other way it costs a full handshake, no more
    assert not resumes(d, known, session_of(d, known, required), optional)


@pytest.mark.parametrize("version", [V12, V13])
def test_identity_of_a_resumed_session(daemon, pki, version):
    own = Authority(os.path.join(pki.directory, f"resuming-{version}"), "Resuming Root")
    pair = own.pair("DNS:resumed.test", subject="/CN=resumed")
    asking = {"verify": "required", "client_ca": own.certificate}
    d = serve(daemon, pki.ec, **asking, crl=own.revocations())
    tls = client(pki.root, pair, version=version)
    session = session_of(d, tls)
    mark = d.log_size()
    assert resumes(d, tls, session)
    d.log_contains(r"opened.*CN=resumed DNS:resumed\.test", mark)
    # and it ends when the certificate is revoked
    own.revoke(pair)
    d.change(listen=[listener(pki.ec, **asking, crl=own.revocations())])
    d.reload()
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        resumes(d, tls, session)
    d.log_contains("certificate verify failed", mark)


def in_a_life(check):
    """check(life), of what ends after so many seconds, yields when all is done that needs it to be there still.

    Where that took longer than it lasts, and so failed, it has a longer life.
    """
    lives = [round(2 + SLOW), round(6 * (2 + SLOW))]
    for life in lives:
        began = time.monotonic()
        steps = check(life)
        try:
            next(steps)
            break
        except (AssertionError, OSError):
            if time.monotonic() - began < life - 1 or life == lives[-1]:
                raise
    assert next(steps, None) is None


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("short", ["certificate", "between", "list"])
def test_session_ends_with_what_it_was_believed_by(daemon, pki, version, short):
    """Each resumption gives a new ticket; none of them makes it last longer."""
    in_a_life(lambda life: check_the_end_of_a_session(daemon, pki, version, short, life))


def check_the_end_of_a_session(daemon, pki, version, short, life):
    days = {short: life / (24 * 60 * 60)}
    directory = os.path.join(pki.directory, f"ending-{version}-{short}-{life}")
    signer = root = Authority(directory, "Ending Root")
    if short == "between":
        signer = Authority(f"{directory}-between", "Ending Between", root, days["between"])
    pair = signer.pair("DNS:ending.test", days=days.get("certificate", 90))
    lists = {"crl": root.revocations(life)} if short == "list" else {}
    end = time.time() + life
    d = serve(daemon, pki.ec, verify="optional", client_ca=root.certificate, **lists)
    tls = client(pki.root, pair, version=version)
    session = session_of(d, tls)
    for _ in range(3):
        with Raw(d.address, tls=tls, session=session) as c:
            c.upgrade().send(text("x"))
            assert c.text() == "Echo: x"
            assert c.socket.session_reused
            session = c.socket.session
            c.send(close(1000)).closed(1000)
    yield
    wait_until("the end", lambda: time.time() > end, 2 * life)
    refused_client(d, tls, "certificate verify failed", session=session)
    # who shows none is welcome still
    check_echo(d, client(pki.root, version=version))


# --- reloads ---


def test_rotation_under_load(daemon, pki):
    """20 certificates one after the other: who talks does not notice, who comes sees the new."""
    d = serve(daemon, pki.ec)
    pairs = [pki.between.pair("DNS:localhost", "IP:127.0.0.1") for _ in range(20)]

    async def talker(ready, stop):
        n = 0
        async with stock.connect(f"wss://127.0.0.1:{d.port}/ws", ssl=pki.tls,
                                 open_timeout=DEADLINE) as ws:
            ready.release()
            while not stop.is_set() or n == 0:
                await ws.send(str(n))
                assert await ws.recv() == f"Echo: {n}"
                n += 1
                await asyncio.sleep(0.05)
        assert ws.close_code == 1000
        return n

    async def talk():
        ready, stop = asyncio.Semaphore(0), asyncio.Event()
        talkers = [asyncio.create_task(talker(ready, stop)) for _ in range(100)]
        for _ in talkers:
            await ready.acquire()
        for pair in pairs:
            d.change(listen=[listener(pair)])
            await asyncio.to_thread(d.reload)
            for _ in range(3):
                assert await asyncio.to_thread(shown, d, pki.tls) == pair.der()
        stop.set()
        assert min(await asyncio.gather(*talkers)) >= 1

    run(talk())
    # the listening sockets are the same ones
    d.log_count(r"listening on 127\.0\.0\.1", 1)
    d.log_count(r"configuration reloaded: .* 100 connections kept, 0 closed", 20)
    d.log_count(r"closed /.*reason=peer-closed", 100)


def test_the_same_files_with_other_contents(daemon, pki):
    """As certbot renews them; and a pair that is half renewed is refused.

    They are beside the file that names them, wherever the daemon was started.
    """
    d = daemon(start=False, wrap=["env", "-C", "/"])
    for kind in ("certificate", "key"):
        shutil.copy(getattr(pki.ec, kind), os.path.join(d.directory, kind))
    d.change(listen=[listener(Pair("certificate", "key"))])
    d.start()
    assert shown(d, pki.tls) == pki.ec.der()
    new = pki.between.pair("DNS:localhost")
    shutil.copy(new.certificate, os.path.join(d.directory, "certificate"))
    d.expect_error('"key" "key" is not the key of "certificate"|reload refused')
    d.reload(expect=False)
    assert shown(d, pki.tls) == pki.ec.der()
    shutil.copy(new.key, os.path.join(d.directory, "key"))
    mark = d.log_size()
    d.reload()
    d.log_contains("; listeners: 0 added, 1 changed, 0 removed; 1 new certificates", mark)
    assert shown(d, pki.tls) == new.der()


def test_tls_comes_and_goes(daemon, pki):
    d = daemon()
    with Raw(d.address) as before:
        before.upgrade()
        d.change(listen=[listener(pki.ec)])
        d.reload()
        with Raw(d.address, tls=pki.tls) as c:
            c.upgrade()
            d.change(listen=[LOCAL])
            d.reload()
            for x in (c, before):
                x.send(text("hi"))
                assert x.text() == "Echo: hi"
        with Raw(d.address) as c:
            c.upgrade()


def wrong(pki):
    """Settings of tls that are no good, and what is said of them."""
    def certs(*pairs, **more):
        return {"certificates": [p.group() for p in pairs], **more}

    missing = "/nonexistent/x.pem"
    locked = pki.root.pair("DNS:localhost", passphrase="secret")
    other = pki.root.pair("DNS:localhost")
    empty = os.path.join(pki.directory, "empty.pem")
    with open(empty, "w", encoding="ascii") as f:
        f.write("no certificate\n")
    broken = os.path.join(pki.directory, "broken.pem")
    with open(broken, "w", encoding="ascii") as f:
        f.write("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    ca = pki.root.certificate
    return {
        "missing certificate": (certs(Pair(missing, pki.ec.key)),
                                f'"certificate" "{missing}" cannot be read: No such file'),
        "missing key": (certs(Pair(pki.ec.certificate, missing)),
                        f'"key" "{missing}" cannot be read: No such file'),
        "directory": (certs(Pair(pki.directory, pki.ec.key)), "cannot be read: it is a directory"),
        "empty": (certs(Pair(empty, pki.ec.key)), "has no certificate in PEM format"),
        "broken": (certs(Pair(broken, pki.ec.key)), "has a certificate that cannot be read: "),
        "no key": (certs(Pair(pki.ec.certificate, pki.ec.certificate)), "has no private key"),
        "encrypted": (certs(locked), f'"{locked.key}" is encrypted'),
        "mismatched": (certs(Pair(pki.ec.certificate, other.key)), "is not the key of"),
        "other kind": (certs(Pair(pki.ec.certificate, pki.rsa.key)), "is not the key of"),
        "same name": (certs(pki.ec, pki.rsa, other),
                      'is for "localhost", for which there is one with a key of the same kind at '),
        "verify alone": (certs(pki.ec, verify="required"), '"verify" needs "client_ca"'),
        "ca alone": (certs(pki.ec, client_ca=ca), '"client_ca" is not used unless "verify"'),
        "crl alone": (certs(pki.ec, crl=ca), '"crl" needs "client_ca"'),
        "crl that is none": (certs(pki.ec, verify="optional", client_ca=ca, crl=ca),
                             "has no revocation list in PEM format"),
        "ca that is none": (certs(pki.ec, verify="optional", client_ca=empty),
                            "has no certificate in PEM format"),
        "cipher": (certs(pki.ec, ciphers="ECDHE+NOTHING"), '"ciphers" has "ECDHE+NOTHING"'),
        "suite": (certs(pki.ec, ciphersuites="TLS_NONE"), '"ciphersuites" has "TLS_NONE"'),
        "curve": (certs(pki.ec, curves="P-257"), '"curves" has "P-257"'),
        "none": ({"certificates": []}, "needs a certificate"),
    }


def test_mistakes(daemon, pki):
    """At -t and at a reload alike: file and line, and what runs goes on."""
    d = serve(daemon, pki.ec)
    good = d.settings["listen"]
    with Raw(d.address, tls=pki.tls) as c:
        c.upgrade()
        for name, (tls, said) in wrong(pki).items():
            d.change(listen=[*good, {"address": "127.0.0.2", "port": 0, "tls": tls}])
            error = rf"{d.place('127.0.0.2')}: .*{re.escape(said)}"
            done = run_program("-t", "-c", d.file)
            assert done.returncode == 1 and re.search(error, done.stderr), (name, done.stderr)
            d.expect_error(rf"({error}|reload refused)")
            mark = d.log_size()
            d.reload(expect=False)
            assert re.search(error, d.log(mark)), (name, d.log(mark))
            c.send(text("hi"))
            assert c.text() == "Echo: hi"
        check_echo(d, pki.tls)
    d.change(listen=good)
    d.reload()


@needs_root
def test_key_that_the_user_cannot_read(daemon, pki):
    """It is the daemon's user who reads it, at start and at a reload alike."""
    d = daemon({"user": "nobody"}, start=False)
    for kind in ("certificate", "key"):
        shutil.copy(getattr(pki.ec, kind), os.path.join(d.directory, kind))
    give_to_nobody(d.directory, os.path.join(d.directory, "key"))
    d.change(listen=[listener(Pair("certificate", "key"))])
    d.start()
    os.chown(os.path.join(d.directory, "key"), 0, 0)
    os.chmod(os.path.join(d.directory, "key"), 0o600)
    error = rf'{d.place("127.0.0.1")}: .*"key" ".*/key" cannot be read: Permission denied'
    d.expect_error(f"{error}|reload refused")
    mark = d.log_size()
    d.reload(expect=False)
    assert re.search(error, d.log(mark))
    check_echo(d, pki.tls)
    done = run_program("-t", "-c", d.file)
    assert done.returncode == 1 and re.search(error, done.stderr), done.stderr


def test_line_of_the_pair(daemon, pki):
    """Each error has the line of its own group."""
    d = daemon(start=False)
    other = pki.root.pair("DNS:localhost")
    d.write(f"""runtime_dir = "{d.directory}";
listen = ( {{ address = "127.0.0.1"; port = 0;
    tls = {{
        certificates = (
            {{ certificate = "{pki.ec.certificate}";
              key = "{other.key}"; }},
            {{ certificate = "{pki.rsa.certificate}";
              key = "/nonexistent"; }}
        );
        verify = "optional";
    }};
}} );
endpoints = ( {{ path = "/ws"; behaviour = "echo"; }} );
""")
    done = run_program("-t", "-c", d.file)
    assert done.returncode == 1
    for line, said in (("[56]", "is not the key of"), ("[78]", '"key" "/nonexistent" cannot'),
                       ("(3|10)", '"verify" needs')):
        assert re.search(rf":{line}: listen 1: tls: .*{re.escape(said)}", done.stderr), done.stderr


def test_expiry(daemon, pki):
    soon = pki.root.pair("DNS:soon.test", days=20.5)
    late = pki.root.pair("DNS:late.test", days=22.5)
    over = pki.root.pair("DNS:over.test", days=-1)
    # the root of a file is one that clients know
    d = serve(daemon, late, soon, over, verify="optional", client_ca=pki.root.certificate)

    def check(log):
        assert re.search(rf'warning: {d.place("listen")[:-1]}\d+: listen 1: tls: certificate: '
                         rf'"{soon.certificate}" expires in 20 days', log), log
        assert re.search(rf'warning: .*"{over.certificate}" has expired', log), log
        assert late.certificate not in log
        assert len(re.findall("expire", log)) == 2, log

    check(d.log())
    mark = d.log_size()
    d.reload()
    check(d.log(mark))
    done = run_program("-t", "-c", d.file)
    assert done.returncode == 0
    check(done.stderr)
    # a warning is all that it is
    assert shown(d, permissive(V13), "over.test") == over.der()


def test_days_that_pass(daemon, pki):
    """A certificate is warned of when it has a day less, without a reload, and once."""
    life = round(2 + SLOW)
    kinds = {21: "20 days", 20: "19 days", 0: "expired"}
    pairs = {days: pki.root.pair(f"DNS:in-{days}.test", days=days + life / (24 * 60 * 60))
             for days in kinds}
    d = serve(daemon, *pairs.values(), verify="optional", client_ca=pki.root.certificate)
    log = d.log()
    assert f'"{pairs[20].certificate}" expires in 20 days' in log
    assert f'"{pairs[0].certificate}" expires in 0 days' in log
    assert pairs[21].certificate not in log
    mark = d.log_size()
    for days, said in kinds.items():
        d.log_contains(rf'warning: {d.place("listen")[:-1]}\d+: certificate '
                       rf'"{pairs[days].certificate}" (expires in|has) {said}', mark, 2 * life)
    # a reload says it in its own words
    d.reload()
    assert len(re.findall(r"\d: certificate \"", d.log(mark))) == 3


def concatenated(pki, name, *files):
    out = os.path.join(pki.directory, name)
    with open(out, "w", encoding="ascii") as f:
        for part in files:
            with open(part, encoding="ascii") as g:
                f.write(g.read())
    return out


def test_not_valid_yet(daemon, pki):
    """A warning as expiry is: at the start, by -t, at a reload, and when a day has passed."""
    in_a_life(lambda life: check_the_beginning(daemon, pki, life))


def check_the_beginning(daemon, pki, life):
    begin = 1 + life / (24 * 60 * 60)
    soon = pki.between.pair("DNS:soon.test", begin=begin)
    d = serve(daemon, pki.ec, soon)
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    said = rf'listen 1: tls: certificate: "{soon.certificate}" is not valid before {date}'
    assert re.search(rf'warning: {d.place("listen")[:-1]}\d+: {said}', d.log()), d.log()
    done = run_program("-t", "-c", d.file)
    assert done.returncode == 0 and re.search(f"warning: .*{said}", done.stderr), done.stderr
    yield
    d.log_contains(rf'warning: .*:\d+: certificate "{soon.certificate}" is not valid before {date}',
                   timeout=2 * life + DEADLINE)
    mark = d.log_size()
    d.reload()
    assert re.search(said, d.log(mark))
    assert shown(d, permissive(V13), "soon.test") == soon.der()
    assert pki.ec.certificate not in d.log()


def test_chain_that_is_not_valid(daemon, pki):
    """What is wrong with one between is as bad as with the leaf."""
    old = Authority(os.path.join(pki.directory, "old"), "Old Intermediate", pki.root, days=-1)
    pair = old.pair("DNS:localhost")
    d = serve(daemon, pair)
    assert f'"{pair.certificate}" (that of "CN=Old Intermediate") has expired' in d.log()


def test_issuer_that_is_missing(daemon, pki):
    """A file with the certificate alone, though a root has not signed it: at the start, by -t, at a reload."""
    bare = concatenated(pki, "alone.pem", pki.ec.certificate)
    with open(bare, "w", encoding="ascii") as f:
        f.write(ssl.DER_cert_to_PEM_cert(pki.ec.der()))
    d = serve(daemon, Pair(bare, pki.ec.key))
    said = (f'listen 1: tls: certificate: "{bare}" lacks the certificate of its issuer '
            '"CN=Test Intermediate"')
    assert re.search(rf'warning: {d.place("listen")[:-1]}\d+: {said}', d.log()), d.log()
    mark = d.log_size()
    d.reload()
    assert said in d.log(mark)
    done = run_program("-t", "-c", d.file)
    assert done.returncode == 0 and said in done.stderr
    # an authority between is none to be trusted by itself, wherever it is found
    d.change(listen=[listener(Pair(bare, pki.ec.key), verify="optional",
                              client_ca=concatenated(pki, "both.pem", pki.root.certificate,
                                                     pki.between.certificate))])
    assert said in run_program("-t", "-c", d.file).stderr


def test_issuers_that_are_not_missing(daemon, pki):
    """No warning: a root that clients know need not be in the file, and who signs himself has none."""
    alone = Authority(os.path.join(pki.directory, "alone"), "localhost")
    rooted = pki.root.pair("DNS:localhost")
    in_file = Pair(concatenated(pki, "rooted.pem", rooted.certificate, pki.root.certificate),
                   rooted.key)
    whole = Pair(concatenated(pki, "whole.pem", pki.ec.certificate, pki.root.certificate),
                 pki.ec.key)
    self_signed = Pair(alone.certificate, os.path.join(alone.directory, "ca.key"))
    d = daemon(start=False)
    trusting = {"SSL_CERT_FILE": pki.root.certificate}
    for pair, settings, env in (
            (pki.ec, {}, {}), (whole, {}, {}), (in_file, {}, {}), (self_signed, {}, {}),
            (rooted, {"verify": "optional", "client_ca": pki.root.certificate}, {}),
            (rooted, {}, trusting)):
        d.change(listen=[listener(pair, **settings)])
        done = run_program("-t", "-c", d.file, env={**d.env, **env})
        warnings = [x for x in done.stderr.splitlines() if "checked as root" not in x]
        assert done.returncode == 0 and not warnings, warnings


def test_chain_in_a_wrong_order(daemon, pki):
    """Each certificate has to be behind one that it has signed."""
    rooted = pki.root.pair("DNS:localhost")
    leaf = os.path.join(pki.directory, "leaf.pem")
    with open(leaf, "w", encoding="ascii") as f:
        f.write(ssl.DER_cert_to_PEM_cert(pki.ec.der()))
    for name, files, what in (
            ("swapped", (leaf, pki.root.certificate, pki.between.certificate), "Test Root"),
            ("foreign", (pki.ec.certificate, pki.foreign.certificate), "Foreign Root"),
            ("twice", (leaf, pki.ec.certificate), "leaf")):
        pair = Pair(concatenated(pki, f"{name}.pem", *files), pki.ec.key)
        d = daemon({"listen": [listener(pair)]}, start=False)
        done = run_program("-t", "-c", d.file)
        assert done.returncode == 0
        assert re.search(rf'warning: .*"{pair.certificate}" has a certificate of "CN={what}\d*" that '
                         "has signed none of those before it", done.stderr), (name, done.stderr)
    assert rooted.certificate not in done.stderr


@pytest.mark.parametrize("mode,said", [(0o600, None), (0o640, None), (0o644, "read"),
                                       (0o604, "read"), (0o602, "replace")])
def test_key_that_others_can_read(daemon, pki, mode, said):
    """A warning at the start, by -t and at a reload."""
    d = daemon(start=False)
    key = os.path.join(d.directory, "key.pem")
    shutil.copy(pki.ec.key, key)
    os.chmod(key, mode)
    d.change(listen=[listener(Pair(pki.ec.certificate, key))])
    d.start()
    mark = d.log_size()
    d.reload()
    text = (f'"{key}" has mode {mode:04o}, by which every user of this machine may {said} the '
            "private key")
    for log in (run_program("-t", "-c", d.file).stderr, d.log()[:mark], d.log(mark)):
        assert (text in log) == (said is not None), log
        assert said or "private key" not in log


# --- who does not speak TLS, or badly ---


@pytest.mark.parametrize("head", [plain("/"), request(), request(method="POST"),
                                  plain("/", "HEAD")])
@pytest.mark.parametrize("piece", [0, 1])
def test_plain_http(daemon, pki, head, piece):
    d = serve(daemon, pki.ec)
    with Raw(d.address) as c:
        c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(head), piece or len(head)):
            c.send(head[i:i + (piece or len(head))])
        r = c.response()
        assert r.status == 400
        assert r.body.startswith(b"plain-http: ") and b"TLS" in r.body
        assert r.header("connection") == "close"
        c.ends()
    d.log_contains(r"info: refused \S+ with 400: .*code=400 reason=plain-http")
    check_echo(d, pki.tls)


@pytest.mark.parametrize("sent", [
    b"\x00" * 5, bytes(range(64, 256)), b"SSH-2.0-OpenSSH_9.2\r\n",
    # a record that is too long, one that is empty, one that is no ClientHello
    b"\x16\x03\x01\xff\xff" + b"\x01" * 70000, b"\x16\x03\x01\x00\x00" * 100,
    b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"\x17\x03\x03\x00\x10" + b"x" * 16,
    b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
], ids=range(8))
def test_garbage(daemon, pki, sent):
    """Ends that connection with a line that is no alarm."""
    d = serve(daemon, pki.ec, settings={"log_level": "debug"})
    with Raw(d.address) as c:
        try:
            c.send(sent)
            c.socket.shutdown(socket.SHUT_WR)
        except OSError:  # it may be gone already
            pass
        c.gone()
    d.log_contains(r"info: refused \S+: TLS handshake failed: .* event=conn-refused .*reason=tls-handshake")
    check_echo(d, pki.tls)


def test_peer_that_says_nothing(daemon, pki):
    """As a load balancer that looks whether we are there: no line, but one for who is answered."""
    d = serve(daemon, pki.ec, settings={"workers": 1})
    worker, = d.workers()
    mark, files, first = d.log_size(), open_files(worker), hello()
    for said in (b"", first[:1], first[:3], first[:-1], b"\x80\x2e\x01\x00\x02"):
        for how in ("close", "reset"):
            c = Raw(d.address).send(said)
            getattr(c if how == "reset" else c.socket, how)()
    with Raw(d.address, tls=pki.tls):
        pass
    wait_until("that all are gone", lambda: open_files(worker) == files)
    assert d.log(mark) == ""
    with Raw(d.address) as c:
        c.send(first)
        assert c.fill()
    line = d.log_contains(r"^.*TLS handshake failed.*$", mark).group()
    assert ": info: " in line and "reason=tls-handshake" in line
    check_echo(d, pki.tls)


def hello():
    """The first flight of a client."""
    incoming, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        client().wrap_bio(incoming, out).do_handshake()
    return out.read()


def test_half_a_handshake(daemon, pki):
    d = serve(daemon, pki.ec, settings={"handshake_timeout": f"{int(500 * SLOW)}ms"})
    data = hello()
    began = time.monotonic()
    halves = [Raw(d.address).send(part) for part in (b"", data[:3], data[:100], data)]
    slow = Raw(d.address)
    try:
        # that something comes now and then does not make it longer
        for byte in data:
            slow.send(bytes([byte]))
            time.sleep(0.05 * SLOW)
    except ConnectionError:
        pass
    for c in (*halves, slow):
        c.gone()
        c.socket.close()
    assert time.monotonic() - began > 0.3 * SLOW
    lines = d.log_count(r"TLS handshake failed: it did not come to an end in time .*"
                        r"reason=handshake-timeout", 5)
    assert all(": info: " in line for line in lines)
    check_echo(d, pki.tls)


def test_no_request_behind_the_handshake(daemon, pki):
    d = serve(daemon, pki.ec, settings={"handshake_timeout": f"{int(500 * SLOW)}ms"})
    with Raw(d.address, tls=pki.tls) as c:
        r = c.response()
        assert r.status == 408
        c.ends()
    d.log_contains(r"refused \S+ with 408")


def test_client_that_takes_nothing_of_the_handshake(daemon, directory):
    """What it says meanwhile is not read, and must not keep the worker busy."""
    pair = Pair(directory + "/long.pem", directory + "/long.key")
    # more than the socket takes
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", pair.key, "-out", pair.certificate, "-days", "30", "-subj", "/CN=localhost",
            *(word for n in range(4) for word in ("-addext", f"1.2.3.{n}=ASN1:UTF8String:"
                                                  + "x" * 100000)))
    path = directory + "/ws.sock"
    timeout = 2 * SLOW
    d = daemon({"workers": 1, "handshake_timeout": f"{int(timeout * 1000)}ms",
                "listen": [{"unix": path, "tls": listener(pair)["tls"]}]})
    worker, = d.workers()
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello,
                                              server_hostname="localhost").do_handshake()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        before = proc_stat(worker)["cpu"]
        s.sendall(hello.read())
        assert s.recv(1, socket.MSG_PEEK)
        s.sendall(b"\x17\x03\x03\x00\x30" + bytes(48))
        d.log_contains("TLS handshake failed: it did not come to an end in time")
        assert proc_stat(worker)["cpu"] - before < timeout / 4


@pytest.mark.parametrize("version", [V12, V13])
def test_one_byte_at_a_time(daemon, pki, version):
    d = serve(daemon, pki.ec, pki.rsa)
    with Wire(d.address, client(pki.root, version=version), piece=1) as c:
        c.upgrade().send(text("slowly"), frame(BINARY, b"b" * 200))
        assert c.take(14) == b"\x81\x0cEcho: slowly"
        assert c.take(204)[4:] == b"b" * 200
        c.send(close(1000))
        assert c.take(4) == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize("version", [V12, V13])
def test_record_that_was_tampered_with(daemon, pki, version):
    d = serve(daemon, pki.ec)
    with Wire(d.address, client(pki.root, version=version)) as c:
        c.upgrade().send(text("x"))
        c.take(9)
        c.socket.sendall(b"\x17\x03\x03\x00\x30" + bytes(48))
        while c.socket.recv(4096):
            pass
    line = d.log_contains(r"^.*closed /.*$").group()
    assert "code=1006 reason=tls-error" in line and ": notice: " in line


@pytest.mark.parametrize("version", [V12, V13])
def test_record_that_was_tampered_with_behind_a_message(daemon, pki, version):
    d = serve(daemon, pki.ec)
    with Wire(d.address, client(pki.root, version=version)) as c:
        c.upgrade("/safe").ssl.write(text("x"))
        # in one segment: the message counts
        c.socket.sendall(c.write.read() + b"\x17\x03\x03\x00\x30" + bytes(48))
        while c.socket.recv(4096):
            pass
    line = d.log_contains(r"^.*closed /.*$").group()
    assert "1 messages, 7 bytes received" in line and "code=1006 reason=tls-error" in line


def test_renegotiation_is_refused(daemon, pki):
    d = serve(daemon, pki.ec)
    out = s_client(d, "-tls1_2", "-legacy_renegotiation", data=b"R\n")
    assert "RENEGOTIATING" in out and "no renegotiation" in out
    # the daemon has not ended for it
    check_echo(d, pki.tls)


def test_update_of_keys(daemon, pki):
    """The client asks for it in the middle of its messages, which TLS 1.3 lets it do."""
    d = serve(daemon, pki.ec)
    with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{d.port}", "-tls1_3"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as p:
        out = b""

        def until(mark):
            nonlocal out
            while mark not in out:
                more = os.read(p.stdout.fileno(), 65536)
                assert more, out
                out += more

        try:
            until(b"---\n")
            p.stdin.write(request())
            p.stdin.flush()
            until(b"\r\n\r\n")
            for n in range(3):
                for command in (b"K\n", b"k\n"):
                    p.stdin.write(command)
                    p.stdin.flush()
                    until(b"KEYUPDATE\n")
                    out = out.partition(b"KEYUPDATE\n")[2]
                p.stdin.write(text(f"message {n}"))
                p.stdin.flush()
                until(f"Echo: message {n}".encode())
        finally:
            p.kill()


class Updating:
    """A client on libssl itself, for Python's ssl cannot ask for new keys. It reads when told."""

    def __init__(self, address):
        lib = ctypes.CDLL("libssl.so.3")
        lib.TLS_client_method.restype = lib.SSL_CTX_new.restype = ctypes.c_void_p
        lib.SSL_new.restype = ctypes.c_void_p
        self.lib = lib
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO,
                               struct.pack("ll", int(DEADLINE), 0))
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        method = ctypes.c_void_p(lib.TLS_client_method())
        self.context = ctypes.c_void_p(lib.SSL_CTX_new(method))
        self.ssl = ctypes.c_void_p(lib.SSL_new(self.context))
        lib.SSL_set_fd(self.ssl, self.socket.fileno())
        assert lib.SSL_connect(self.ssl) == 1
        self.send(request())
        while not self.take(1) == b"\r" or not self.take(3) == b"\n\r\n":
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(self.context)
        self.socket.close()

    def send(self, data):
        assert self.lib.SSL_write(self.ssl, data, len(data)) == len(data)

    def take(self, n):
        out, part = b"", ctypes.create_string_buffer(n)
        while len(out) < n:
            got = self.lib.SSL_read(self.ssl, part, n - len(out))
            assert got > 0, f"the end, or nothing more, came after {len(out)} bytes of {n}"
            out += part.raw[:got]
        return out

    def update(self):
        """Has new keys, and asks for new ones of the server's."""
        assert self.lib.SSL_key_update(self.ssl, 1) == 1
        return self.lib.SSL_do_handshake(self.ssl) == 1


@pytest.mark.parametrize("behind, in_one", [(1, True), (3000, True), (1, False), (300000, False)])
def test_update_of_keys_while_output_waits(daemon, pki, behind, in_one):
    """The answers have to wait, too, and nothing that came with them is lost or left lying."""
    d = serve(daemon, pki.ec, settings={**ROOMY, "workers": 1, "max_pending": "16M"})
    payload = os.urandom(1000000)
    with Updating(d.address) as c, Raw(d.address, tls=pki.tls) as other:
        other.upgrade()
        for _ in range(5):
            c.send(frame(BINARY, payload))
        for n in range(20):
            # what came first is read first
            if n == 0 or not in_one:
                other.send(text("x"))
                assert other.text() == "Echo: x"
            if n == 0 and in_one:
                stand_still(d.workers()[0])
            assert c.update()
            c.send(frame(BINARY, bytes([n]) * behind))
        os.kill(d.workers()[0], signal.SIGCONT)
        for _ in range(5):
            assert c.take(10 + len(payload))[10:] == payload
        for n in range(20):
            head = 2 if behind < 126 else 4 if behind < 65536 else 10
            assert c.take(head + behind)[head:] == bytes([n]) * behind


def test_updates_of_keys_without_an_end(daemon, pki):
    """Who asks for more and more, and takes no answer, does not fill the memory with them."""
    d = serve(daemon, pki.ec, settings={**ROOMY, "workers": 1, "max_pending": "16M"})
    with Updating(d.address) as c:
        for _ in range(5):
            c.send(frame(BINARY, bytes(1000000)))
        # sockets take some hundred thousand of them, read or not
        for _ in range(1000000):
            if not c.update():
                break
        else:
            raise AssertionError("there is no end to it")
    d.log_contains("closed /.*reason=tls-error")


# --- much, and little by little ---


@pytest.mark.parametrize("version", [V12, V13])
def test_large_messages(daemon, pki, version):
    """Both ways, to a client that reads nothing until all is sent."""
    d = serve(daemon, pki.ec, settings={**ROOMY, "max_pending": "16M"})
    with Raw(d.address, rcvbuf=4096, tls=client(pki.root, version=version)) as c:
        c.upgrade()
        sent = [bytes([i]) * (1 << 20) for i in range(6)]
        for payload in sent:
            c.send(frame(BINARY, payload))
        for payload in sent:
            assert c.message() == (BINARY, payload)
        c.send(close(1000)).closed(1000)


def test_end_behind_much_output(daemon, pki):
    """The last record may be cut by a full socket like any other: the end waits for it."""
    d = daemon({**ROOMY, "max_pending": "16M"}, start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[LOCAL, {"unix": path, "tls": listener(pki.ec)["tls"]}])
    d.start()
    for n in range(40):
        payload = bytes([n]) * (400000 + 1009 * n)
        with Raw(path, rcvbuf=4096, tls=pki.tls) as c:
            c.upgrade().send(frame(BINARY, payload), close(1000))
            assert c.message() == (BINARY, payload)
            assert c.closing()[0] == 1000
            c.ends()


def test_small_frames_share_a_record(daemon, pki):
    d = serve(daemon, pki.ec)
    with Wire(d.address, pki.tls) as c:
        c.upgrade()
        before = len(c.records)
        c.send(*(text(f"{i}") for i in range(10)))
        for i in range(10):
            assert c.take(9) == b"\x81\x07Echo: " + b"%d" % i
        assert len(c.records) - before == 1


def test_large_messages_fill_their_records(daemon, pki):
    d = serve(daemon, pki.ec, settings=ROOMY)
    with Wire(d.address, pki.tls) as c:
        c.upgrade()
        before = len(c.records)
        c.send(frame(BINARY, b"x" * 500000))
        c.take(10 + 500000)
        assert len(c.records) - before <= 500010 // 16384 + 2


def speak(d, pki, count, size):
    """Publishes to /chat, and waits until all workers have delivered it to who reads."""
    with Raw(d.address, tls=pki.tls) as c:
        c.upgrade("/chat")
        for n in range(count):
            c.send(frame(BINARY, struct.pack("!I", n) * (size // 4)))
            assert c.message()[1][:4] == struct.pack("!I", n)


@pytest.mark.parametrize("version", [V12, V13])
def test_slow_consumer_is_closed(daemon, pki, version):
    d = serve(daemon, pki.ec, settings={"max_pending": "100K", "workers": 1})
    with Raw(d.address, rcvbuf=4096, tls=client(pki.root, version=version)) as slow:
        slow.upgrade("/chat")
        speak(d, pki, 200, 64000)
        n = 0
        while True:
            opcode, payload = slow.message()
            if opcode != BINARY:
                break
            assert payload == struct.pack("!I", n) * 16000
            n += 1
        assert struct.unpack("!H", payload[:2])[0] == 1013 and payload[2:] == b"slow-consumer"
        assert 0 < n < 200
        slow.send(close(1013)).ends()
    d.log_contains(r"closed /.*code=1013 reason=slow-consumer")


@pytest.mark.parametrize("version", [V12, V13])
def test_newest_is_dropped(daemon, pki, version):
    d = serve(daemon, pki.ec, settings={"max_pending": "100K", "workers": 1,
                                        "slow_consumer": "drop_newest"})
    with Raw(d.address, rcvbuf=4096, tls=client(pki.root, version=version)) as slow:
        slow.upgrade("/chat")
        speak(d, pki, 200, 64000)
        slow.send(frame(PING, b"end"))
        n = 0
        while True:
            first, payload = slow.frame()
            if first == 0x80 | PONG:
                break
            assert payload == struct.pack("!I", n) * 16000
            n += 1
        assert 0 < n < 200
        slow.send(text("next"))
        assert slow.message() == (TEXT, b"User: next")


def test_publisher_that_has_to_wait(daemon, pki):
    """What OpenSSL holds decrypted stays in its place while a message waits for the bus."""
    d = serve(daemon, pki.ec, settings={"workers": 4, "bus_size": "512K", "bus_lag": "16K",
                                        "max_message": "16K", "max_pending": "64M"})
    with Raw(d.address, tls=pki.tls) as speaker, Raw(d.address, tls=pki.tls) as listener_:
        for c in (speaker, listener_):
            c.upgrade("/chat")
        speaker.send(*(frame(BINARY, struct.pack("!I", n) * 1000) for n in range(400)))
        for c in (speaker, listener_):
            for n in range(400):
                assert c.message() == (BINARY, struct.pack("!I", n) * 1000)
        speaker.send(close(1000)).closed(1000)


def test_short_fragments_of_a_client(daemon, pki):
    """max_fragment_length (RFC 6066 4) and a socket that is full in the midst of a record."""
    d = daemon({"workers": 1, "max_pending": "16M", **ROOMY}, start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[listener(pki.ec), {"unix": path, "tls": listener(pki.ec)["tls"]}])
    d.start()
    with subprocess.Popen(["openssl", "s_client", "-unix", path, "-quiet", "-maxfraglen", "512"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as p:
        try:
            p.stdin.write(request("/chat"))
            p.stdin.flush()
            d.log_contains("opened")
            # it does not read on while nobody reads what it says
            speak(d, pki, 30, 100000)
            data = b""
            while b"\r\n\r\n" not in data:
                data += p.stdout.read1(65536)
            data = data.partition(b"\r\n\r\n")[2]
            for n in range(30):
                while not (found := split_frame(data)):
                    more = p.stdout.read1(1 << 20)
                    assert more
                    data += more
                assert found[1] == struct.pack("!I", n) * 25000, n
                data = data[found[2]:]
        finally:
            p.kill()


# --- the end ---


def no_warnings(d):
    lines = re.findall(r"^ignyxd\S*: (?:warning|error).*$", d.log(), re.M)
    assert not [line for line in lines if "running as root" not in line]


def strict(version):
    """A client for which an end without a close_notify is an error."""
    tls = permissive(version)
    tls.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return tls


def ends(c):
    """Waits for the daemon's close_notify."""
    try:
        assert c.do(c.ssl.read, 1) == b""
    except ssl.SSLZeroReturnError:  # it is the answer to ours
        pass


@pytest.mark.parametrize("version", [V12, V13])
def test_close_notify_behind_a_close(daemon, pki, version):
    d = serve(daemon, pki.ec)
    with Wire(d.address, strict(version)) as c:
        c.upgrade().send(close(1000))
        assert c.take(4) == b"\x88\x02\x03\xe8"
        ends(c)
        c.do(c.ssl.unwrap)
    d.log_contains(r"closed /.*code=1000 reason=peer-closed")
    no_warnings(d)


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("said", [b"", text("last")], ids=["alone", "behind a message"])
def test_close_notify_is_answered(daemon, pki, version, said):
    """Also one that comes in one segment with a message."""
    d = serve(daemon, pki.ec)
    with Wire(d.address, strict(version)) as c:
        c.upgrade()
        if said:
            c.ssl.write(said)
        with pytest.raises(ssl.SSLWantReadError):
            c.ssl.unwrap()
        c.out()
        if said:
            assert c.take(12) == b"\x81\x0aEcho: last"
        ends(c)
    d.log_contains(r"closed /.*code=1006 reason=peer-gone")
    no_warnings(d)


def test_end_without_close_notify(daemon, pki):
    d = serve(daemon, pki.ec)
    for how, reason in (("close", "peer-gone"), ("reset", "reset")):
        mark = d.log_size()
        c = Raw(d.address, tls=pki.tls).upgrade()
        getattr(c if how == "reset" else c.socket, how)()
        d.log_contains(rf"info: closed /.*code=1006 reason={reason}", mark)
    no_warnings(d)


def test_stop(daemon, pki):
    """Members get their close, handshakes in the middle of it hold nobody up."""
    d = serve(daemon, pki.ec, settings={"handshake_timeout": "60s"})
    half = Raw(d.address).send(hello()[:50])
    idle = Raw(d.address, tls=pki.tls)
    talking = [Raw(d.address, tls=pki.tls).upgrade("/chat") for _ in range(20)]
    workers = d.workers()
    d.kill(signal.SIGTERM)
    for c in talking:
        c.closed(1001, "shutdown")
    for c in (half, idle):
        c.gone()
    for c in (half, idle, *talking):
        c.socket.close()
    assert d.wait() == 0
    assert not any(map(alive, workers))
    no_warnings(d)


def test_retired_worker_keeps_its_connections(daemon, pki):
    d = serve(daemon, pki.ec, settings={"workers": 4, "drain_time": "1h"})
    held = [Raw(d.address, tls=pki.tls).upgrade("/chat") for _ in range(16)]
    d.change(workers=1)
    d.reload()
    held[0].send(text("all"))
    for c in held:
        assert c.text() == "User: all"
        c.send(close(1000)).closed(1000)
        c.socket.close()
    d.wait_workers(1)


# --- how many at once ---


@pytest.mark.parametrize("secure", [False, True])
def test_accept_rate(daemon, pki, secure):
    """Beyond it they wait, and all are served."""
    one = listener(pki.ec) if secure else LOCAL
    d = daemon({"workers": 1, "listen": [{**one, "accept_rate": 20}]})
    began = time.monotonic()
    waiting = [Raw(d.address) for _ in range(30)]
    for c in waiting:
        if secure:
            c.socket = pki.tls.wrap_socket(c.socket, server_hostname="localhost")
        c.upgrade().send(text("hi"))
        assert c.text() == "Echo: hi"
        c.socket.close()
    # 2 for each tenth of a second, the first of which may be over at once
    assert time.monotonic() - began > 1.2
    d.change(listen=[{**one, "accept_rate": 0}])
    d.reload()
    began = time.monotonic()
    for c in [Raw(d.address, tls=pki.tls if secure else None) for _ in range(100)]:
        c.upgrade()
        c.socket.close()
    # at that rate these would take five seconds
    assert time.monotonic() - began < 4.8 * SLOW


def test_handshakes_do_not_starve_the_established(daemon, pki):
    d = serve(daemon, pki.ec, settings={"workers": 1})
    first = hello()
    with Raw(d.address, tls=pki.tls) as c:
        c.upgrade()
        flood = [Raw(d.address).send(first) for _ in range(300)]
        for n in range(20):
            c.send(text(str(n)))
            assert c.text() == f"Echo: {n}"
        for f in flood:
            f.socket.close()
    # not all of them have a line, but all are counted
    wait_until("that all of them are gone",
               lambda: len(re.findall("TLS handshake failed", d.log()))
               + d.suppressed("refusals and failed handshakes") == 300)
    assert len(re.findall("TLS handshake failed", d.log())) < 300
