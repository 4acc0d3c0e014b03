"""Who may come in by a client certificate, alone or beside a token; what a reload makes of it."""

import os
import re
import ssl

import pytest

from asking import ask
from certificates import Authority, Pair, client
from harness import LOCAL, wait_until
from raw import Raw, request, text
from test_access import ANNA, bearer, heard, is_wrong, line, write_users
from test_proxy import TRUSTING, of_tls
from test_tls import listener, pki  # pylint: disable=unused-import

NAMES = ("DNS:pump-7.devices.test", "DNS:second.test", "email:pump@client.test",
         "URI:spiffe://client.test/pump/7")


@pytest.fixture(scope="module")
def pump(pki):
    return client(pki.root, pki.root.pair(*NAMES, subject="/O=Test Org/CN=pump-7"))


def guarded(path, *names, **access):
    return {"path": path, "behaviour": "echo", "prefix": "{user}: ",
            "access": {"client_certificates": list(names), **access}}


def serve(daemon, pki, *endpoints, verify="optional", tokens=(), **settings):
    d = daemon({"listen": [listener(pki.ec, verify=verify, client_ca=pki.root.certificate)],
                "endpoints": list(endpoints), **settings}, start=False)
    write_users(d, *tokens)
    return d.start()


def answer(d, tls, path, headers=None):
    with Raw(d.address, tls=tls) as c:
        return c.send(request(path, headers=headers)).response()


def not_allowed(d, tls, path, why, headers=None):
    mark = d.log_size()
    r = answer(d, tls, path, headers)
    assert r.status == 403 and r.body.decode() == f"not-allowed: {why}\n", (r.status, r.body)
    assert not r.header("www-authenticate")
    d.log_contains(rf"refused \S+ {path} with 403: {re.escape(why)} .*code=403 reason=not-allowed", mark)


NONE_OF_THEM = "the client's certificate has none of the names that may"
NONE_SHOWN = "the endpoint asks for a client certificate"


@pytest.mark.parametrize("name, user", [
    ("CN=pump-7", "pump-7"), ("CN=pump-*", "pump-7"), ("CN=*7", "pump-7"), ("*", "pump-7"),
    ("DNS:pump-7.devices.test", "pump-7.devices.test"), ("DNS:*.Devices.TEST", "pump-7.devices.test"),
    ("DNS:second.*", "second.test"), ("email:*@client.test", "pump@client.test"),
    ("URI:spiffe://client.test/pump/*", "spiffe://client.test/pump/7"),
    ("CN=Pump-7", None), ("CN=pump", None), ("CN=ump-7", None), ("DNS:pump-7", None),
    ("email:pump-7", None), ("URI:second.test", None), ("URI:spiffe://client.test/Pump/*", None), ("email:*@CLIENT.test", None),
    ("DNS:*.test.", None)])
def test_names(daemon, pki, pump, name, user):
    d = serve(daemon, pki, guarded("/a", "CN=nobody", name))
    if not user:
        not_allowed(d, pump, "/a", NONE_OF_THEM)
        return
    with Raw(d.address, tls=pump) as c:
        c.upgrade("/a")
        assert heard(c) == f"{user}: hi"
        assert ask(d, "/connections")[1]["connections"][0]["user"] == user


def test_without_one(daemon, pki, pump):
    d = serve(daemon, pki, guarded("/a", "*"), {"path": "/free", "behaviour": "echo"})
    not_allowed(d, client(pki.root), "/a", NONE_SHOWN)
    assert answer(d, client(pki.root), "/free").status == 101
    # of the top, and an endpoint that asks for none
    d.change(access={"client_certificates": ["CN=pump-7"]}, endpoints=[
        {"path": "/a", "behaviour": "echo"}, guarded("/b", "CN=other"),
        {"path": "/free", "behaviour": "echo", "access": {"client_certificates": []}}])
    d.reload()
    not_allowed(d, client(pki.root), "/a", NONE_SHOWN)
    assert answer(d, pump, "/a").status == 101
    not_allowed(d, pump, "/b", NONE_OF_THEM)
    assert answer(d, client(pki.root), "/free").status == 101


def test_a_path_is_its_users_alone(daemon, pki, pump):
    d = serve(daemon, pki, guarded("/of/{user}", "CN=pump-*"))
    assert answer(d, pump, "/of/pump-7").status == 101
    r = answer(d, pump, "/of/pump-8")
    assert r.status == 403 and "another one than who comes" in r.body.decode()


@pytest.mark.parametrize("subject, user", [
    ("/CN=" + "x" * 64, "x" * 64), ("/CN=a\nb", None), ("/CN=a\x1b[2J", None), ("/O=nobody", None),
    ("/CN=first/CN=second", "first")])
def test_odd_names(daemon, pki, subject, user):
    """What nobody would write is nobody's name."""
    d = serve(daemon, pki, guarded("/a", "CN=*"))
    r = answer(d, client(pki.root, pki.root.pair(subject=subject)), "/a")
    assert (r.status == 101) == bool(user), (r.status, r.body)
    if user:
        d.log_contains(f"opened /a .*user={user}$")


def test_a_long_name_is_no_user(daemon, pki):
    """It lets in, and who it is nobody knows."""
    long = "x" * 60 + "." + "y" * 60 + "." + "z.test"
    d = serve(daemon, pki, guarded("/a", "DNS:*.z.test"))
    with Raw(d.address, tls=client(pki.root, pki.root.pair("DNS:" + long, "DNS:b.z.test"))) as c:
        c.upgrade("/a")
        assert heard(c) == f"{long if len(long) <= 128 else ''}: hi"
    more = "x" * 60 + "." + long
    with Raw(d.address, tls=client(pki.root, pki.root.pair("DNS:" + more))) as c:
        c.upgrade("/a")
        assert heard(c) == ": hi"
        assert "user" not in ask(d, "/connections")[1]["connections"][0]
        d.reload()
        assert heard(c) == ": hi"


def test_reload(daemon, pki, pump):
    other = client(pki.root, pki.root.pair("DNS:other.test", subject="/CN=other"))
    d = serve(daemon, pki, guarded("/a", "CN=pump-*", "CN=other"), {"path": "/free", "behaviour": "echo"})
    with Raw(d.address, tls=pump) as a, Raw(d.address, tls=other) as b:
        a.upgrade("/a")
        b.upgrade("/a")
        mark = d.log_size()
        d.change(endpoints=[guarded("/a", "CN=pump-7"), {"path": "/free", "behaviour": "echo"}])
        d.reload()
        b.closed(1008, "access-changed")
        assert heard(a) == "pump-7: hi"
        d.log_contains("client_certificates", mark)
        d.change(endpoints=[guarded("/a", "DNS:third.test"), {"path": "/free", "behaviour": "echo"}])
        d.reload()
        a.closed(1008, "access-changed")


def test_a_certificate_that_is_revoked(daemon, pki):
    """Who is connected goes, whatever let it in."""
    own = Authority(os.path.join(pki.directory, "access"), "Access Root")
    good, bad = (own.pair(f"DNS:{x}.test", subject=f"/CN={x}") for x in ("good", "bad"))
    clients = {"verify": "optional", "client_ca": own.certificate}
    d = daemon({"listen": [listener(pki.ec, **clients, crl=own.revocations())], "endpoints": [
        guarded("/a", "CN=*"), {"path": "/free", "behaviour": "echo"}]})
    with Raw(d.address, tls=client(pki.root, good)) as a, \
            Raw(d.address, tls=client(pki.root, bad)) as b, \
            Raw(d.address, tls=client(pki.root, bad)) as free, Raw(d.address, tls=pki.tls) as none:
        for c, path in ((a, "/a"), (b, "/a"), (free, "/free"), (none, "/free")):
            c.upgrade(path)
        own.revoke(bad)
        d.change(listen=[listener(pki.ec, **clients, crl=own.revocations())])
        d.reload()
        b.closed(1008, "access-changed")
        free.closed(1008, "access-changed")
        assert heard(a) == "good: hi"
        assert none.send(text("hi")).text() == "hi"


TOKENS = (line("anna", ANNA),)


def test_beside_a_token(daemon, pki, pump):
    none = client(pki.root)
    d = serve(daemon, pki, guarded("/all", "CN=pump-7", tokens="users"),
              guarded("/any", "CN=pump-7", tokens="users", satisfy="any"), tokens=TOKENS)
    not_allowed(d, none, "/all", NONE_SHOWN, bearer(ANNA))
    assert answer(d, pump, "/all").status == 401
    for tls, headers, path, user in ((pump, bearer(ANNA), "/all", "anna"), (pump, None, "/any", "pump-7"),
                                     (none, bearer(ANNA), "/any", "anna"),
                                     (pump, bearer("wrong"), "/any", "pump-7")):
        with Raw(d.address, tls=tls) as c:
            c.upgrade(path, headers=headers)
            assert heard(c) == f"{user}: hi"
            d.reload()
            assert heard(c) == f"{user}: hi"
    # it is told what can be mended
    for headers, word in ((None, "no-credentials"), (bearer("wrong"), "bad-token")):
        r = answer(d, none, "/any", headers)
        assert r.status == 401 and r.body.decode().startswith(word + ": "), r.body


def test_reload_of_who_came_by_any(daemon, pki, pump):
    def any_of(*names):
        return guarded("/a", *names, tokens="users", satisfy="any")

    none = client(pki.root)
    d = serve(daemon, pki, any_of("CN=pump-7"), tokens=TOKENS)
    with Raw(d.address, tls=pump) as a, Raw(d.address, tls=none) as b:
        a.upgrade("/a")
        b.upgrade("/a", headers=bearer(ANNA))
        write_users(d)
        d.reload()
        b.closed(1008, "access-changed")
        assert heard(a) == "pump-7: hi"
        d.change(endpoints=[any_of("CN=pump-8")])
        d.reload()
        a.closed(1008, "access-changed")
    write_users(d, *TOKENS)
    d.change(endpoints=[guarded("/a", "*", tokens="users", satisfy="any")])
    d.reload()
    with Raw(d.address, tls=pump) as a, Raw(d.address, tls=none) as b:
        a.upgrade("/a")
        b.upgrade("/a", headers=bearer(ANNA))
        d.change(endpoints=[guarded("/a", "*", tokens="users")])
        d.reload()
        for c in (a, b):
            c.closed(1008, "access-changed")


def test_by_a_proxy(daemon):
    """It has ended TLS, and says whose certificate it saw."""
    d = daemon({"listen": [TRUSTING], "endpoints": [guarded("/a", "CN=meter *", "DNS:meter 9")]})
    for name, verify, status in ((b"meter 7", 0, 101), (b"meter 7", 1, 403), (b"DNS:meter 9", 0, 403),
                                 (b"meter 9\x7f", 0, 403)):
        with Raw(d.address) as c:
            assert c.send(of_tls(3, verify, name), request("/a")).response().status == status, name
    d.log_contains('opened /a .*user="?meter 7')


def test_wrong_settings(daemon, pki):
    for name in ("pump-7", "CN=", "CN=*-*", "IP:127.0.0.1", "cn=x", "DNS:" + "x" * 600):
        is_wrong(daemon, {"listen": [listener(pki.ec, verify="optional", client_ca=pki.root.certificate)],
                          "access": {"client_certificates": [name]}, "endpoints": [
                              {"path": "/ws", "behaviour": "echo"}]},
                 r'access: "client_certificates" must have names such as "CN=pump-7"')
    for listen in (listener(pki.ec), LOCAL):
        is_wrong(daemon, {"listen": [listen], "endpoints": [guarded("/ws", "*")]},
                 r'"listen" has no listener that asks clients for certificates, and the endpoint at '
                 r'\S+ has "client_certificates": set "tls" with "client_ca" and "verify" for one')
    is_wrong(daemon, {"access": {"satisfy": "some"}, "endpoints": [{"path": "/ws", "behaviour": "echo"}]},
             r'access: "satisfy" must be "all" or "any", not the string "some"')


# --- what was believed, and is not any more ---


class Chain:
    """A root, an authority below it, and their lists in one file."""

    def __init__(self, pki, name):
        self.directory, self.name, self.count = pki.directory, name, 0
        self.root = Authority(os.path.join(pki.directory, f"{name}-root"), f"{name} Root")
        self.between = Authority(os.path.join(pki.directory, f"{name}-between"), f"{name} Between", self.root)
        self.pump = self.between.pair("DNS:pump.test", subject="/CN=pump")

    def lists(self):
        self.count += 1
        path = os.path.join(self.directory, f"{self.name}-lists{self.count}.pem")
        with open(path, "w", encoding="ascii") as out:
            for authority in (self.root, self.between):
                with open(authority.revocations(), encoding="ascii") as f:
                    out.write(f.read())
        return path

    def listener(self, pki, **tls):
        return listener(pki.ec, verify="required", client_ca=self.root.certificate, crl=self.lists(), **tls)


def session_of(c):
    """That of a connection which has read what came with it, in which TLS 1.3 has its tickets."""
    heard(c)
    return c.socket.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_authority_between_that_is_revoked(daemon, pki, version):
    """Also of who has resumed a session, of which TLS knows the last certificate alone."""
    chain = Chain(pki, f"between{version.value}")
    tls = client(pki.root, chain.pump, version=version)
    d = daemon({"listen": [chain.listener(pki)], "endpoints": [guarded("/a", "CN=*")]})
    with Raw(d.address, tls=tls) as full:
        session = session_of(full.upgrade("/a"))
        with Raw(d.address, tls=tls, session=session) as resumed:
            resumed.upgrade("/a")
            assert resumed.socket.session_reused and not full.socket.session_reused
            # other lists, in which nobody is
            d.change(listen=[chain.listener(pki)])
            d.reload()
            assert heard(full) == heard(resumed) == "pump: hi"
            chain.root.revoke(Pair(chain.between.certificate, None))
            d.change(listen=[chain.listener(pki)])
            d.reload()
            for c in (full, resumed):
                c.closed(1008, "access-changed")


def test_one_that_is_revoked_before_its_request(daemon, pki):
    chain = Chain(pki, "door")
    d = daemon({"listen": [chain.listener(pki)], "endpoints": [
        guarded("/a", "CN=*"), {"path": "/free", "behaviour": "echo"}]})
    with Raw(d.address, tls=client(pki.root, chain.pump)) as a, \
            Raw(d.address, tls=client(pki.root, chain.pump)) as b:
        # they have got through TLS when it is known whose they are
        wait_until("two openings", lambda: ask(d, "/status")[1]["status"]["handshakes"] == 2)
        for c in (a, b):
            c.send(b"GET ")
        chain.between.revoke(chain.pump)
        d.change(listen=[chain.listener(pki)])
        d.reload()
        for c, path in ((a, "/a"), (b, "/free")):
            r = c.send(request(path)[4:]).response()
            assert r.status == 403 and "has been revoked" in r.body.decode(), r.body


def test_an_authority_that_is_gone(daemon, pki):
    old = Authority(os.path.join(pki.directory, "gone"), "Gone Root")
    both = os.path.join(pki.directory, "gone-both.pem")
    with open(both, "w", encoding="ascii") as out:
        for authority in (old, pki.root):
            with open(authority.certificate, encoding="ascii") as f:
                out.write(f.read())

    def of(ca):
        return [listener(pki.ec, verify="required", client_ca=ca)]

    d = daemon({"listen": of(both), "endpoints": [guarded("/a", "CN=*"), {"path": "/free", "behaviour": "echo"}]})
    with Raw(d.address, tls=client(pki.root, old.pair(subject="/CN=old"))) as a, \
            Raw(d.address, tls=client(pki.root, pki.root.pair(subject="/CN=new"))) as b, \
            Raw(d.address, tls=client(pki.root, old.pair(subject="/CN=free"))) as free:
        for c, path in ((a, "/a"), (b, "/a"), (free, "/free")):
            c.upgrade(path)
        d.reload()
        assert heard(a) == "old: hi"
        d.change(listen=of(pki.root.certificate))
        d.reload()
        a.closed(1008, "access-changed")
        assert heard(b) == "new: hi" and heard(free) == "hi"


def test_who_would_be_somebody_else(daemon, pki, pump):
    d = serve(daemon, pki, guarded("/of/{user}", "CN=pump-*"))
    with Raw(d.address, tls=pump) as c:
        c.upgrade("/of/pump-7")
        d.change(endpoints=[guarded("/of/{user}", "CN=pump-*", "DNS:second.test")])
        d.reload()
        assert heard(c) == "pump-7: hi"
        d.change(endpoints=[guarded("/of/{user}", "DNS:second.test")])
        d.reload()
        c.closed(1008, "access-changed")


def test_nobody_in_a_path_of_users(daemon, pki):
    """A name that is too long for a user lets in, but not where each has a path of his own."""
    long = ".".join(["x" * 60] * 3) + ".z.test"
    d = serve(daemon, pki, guarded("/a", "DNS:*.z.test"), guarded("/of/{user}", "DNS:*.z.test"))
    tls = client(pki.root, pki.root.pair("DNS:" + long))
    assert answer(d, tls, "/a").status == 101
    assert answer(d, tls, "/of/anna").status == 403
