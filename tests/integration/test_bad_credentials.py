"""What has gone wrong elsewhere with tokens and passwords: refused, for all to live on, and not to be read in the log."""

import base64
import contextlib
import json
import re

import pytest

from harness import taken_port, wait_until
from raw import BINARY, Raw, frame, request, text
from test_access import answer, bearer, heard, line, refused, write_users
from test_access_users import basic, user
from tokens import SECRET, Key, anna, b64, by_hand, new_ec, new_rsa, write

PROTOCOL = {"Sec-WebSocket-Protocol": "ignyx.room.v1"}
KEYS = {"pair": new_rsa(), "other": new_rsa(), "mine": new_rsa(), "curve": new_ec()}
# two issuers, whose keys have names of their own and one in common
OURS, THEIRS = Key(KEYS["pair"], "ours"), Key(KEYS["other"], "theirs")
COMMON, ITS_COMMON = Key(KEYS["pair"], "common"), Key(KEYS["other"], "common")
SHOP = Key(SECRET)
TOKEN = "a-token-of-a-file-0123456789abcdef"
GOOD = "Good morning, Vietnam"
MIB = 1 << 20


def by_jwt(path, **settings):
    return {"path": path, "behaviour": "echo", "access": {"jwt": settings}}


SECRETLY = {"key": "secret", "algorithms": ["HS256"]}
ENDPOINTS = [
    {"path": "/free", "behaviour": "echo"},
    by_jwt("/hs", **SECRETLY),
    by_jwt("/late", first_message=True, **SECRETLY),
    by_jwt("/pem", key="key.pem", algorithms=["RS256", "HS256"]),
    by_jwt("/ours", keys="ours.json", algorithms=["RS256", "ES256", "HS256"], issuer="https://a.example"),
    by_jwt("/theirs", keys="theirs.json", algorithms=["RS256"], issuer="https://b.example"),
    {"path": "/all", "behaviour": "echo", "access": {"origins": ["*"], "jwt": {
        **SECRETLY, "cookie": "session", "query": "access_token", "subprotocol": True}}},
    {"path": "/c/{room}", "behaviour": "room", "format": "both", "access": {"jwt": SECRETLY}},
    {"path": "/users", "behaviour": "echo", "access": {"users": "people"}},
    {"path": "/tokens", "behaviour": "echo", "access": {"tokens": "users"}},
]
# NFC, as a keyboard writes it
PEOPLE = [user("jos\u00e9", GOOD), user("anna", GOOD)]


@pytest.fixture
def d(daemon):
    """A daemon with an endpoint of each kind."""
    # at level debug, where most is told
    made = daemon({"endpoints": ENDPOINTS}, start=False, args=["-v"])
    for name, content in {"secret": SECRET, "key.pem": OURS.pem(), "ours.json": [OURS, COMMON],
                          "theirs.json": [THEIRS, ITS_COMMON]}.items():
        write(made, name, content)
    write_users(made, *PEOPLE, name="people")
    write_users(made, line("anna", TOKEN))
    return made.start()


class Unharmed:
    """Somebody who is in while others try, and what they have shown."""

    def __init__(self, d):
        self.d, self.shown = d, set()

    def hide(self, *credentials):
        """None of these, nor any longer part of one, is to be in the log."""
        for c in credentials:
            parts = re.split(r"[.\s]", c if isinstance(c, str) else c.decode("latin-1"))
            self.shown.update(p[:200] for p in parts if len(p) >= 12)
        return credentials[0]

    def lives(self):
        """Another one is served, by who knows him."""
        with Raw(self.d.address).upgrade("/hs", headers=bearer(SHOP.sign("HS256"))) as c:
            assert heard(c) == "hi"

    def refused(self, *a, **kw):
        r = refused(self.d, *a, **kw)
        self.lives()
        return r

    def token(self, token, word="bad-token", path="/hs", status=401):
        return self.refused(status, word, path, bearer(self.hide(token)))


@pytest.fixture
def unharmed(d):
    workers = d.workers()
    them = Unharmed(d)
    with Raw(d.address).upgrade("/free") as c:
        yield them
        assert heard(c, "still here") == "still here"
    them.lives()
    assert d.workers() == workers
    found = [s for s in them.shown if s in d.log()]
    assert not found, found


def said(what, token):
    return text(json.dumps({"ignyx": what, "token": token}))


def renewed(d, token, word):
    """A member who shows it in place of his own is closed."""
    with Raw(d.address).upgrade("/c/a", headers={**bearer(SHOP.sign("HS256")), **PROTOCOL}) as member:
        assert json.loads(member.text())["type"] == "joined"
        member.send(said("token", token))
        member.closed(1008, word)


# --- tokens ---


def test_algorithms_are_those_of_the_key(unharmed):
    """RS256 with the public key as HS256's secret, and what else a header may say of "alg"."""
    public, jwk = OURS.pem(), json.dumps(OURS.jwk())
    for secret in (public, public.strip(), public + b"\0", jwk.encode(), b"", b"\0"):
        for path, header in (("/pem", {}), ("/ours", {"kid": "ours"}), ("/ours", {})):
            claims = anna(iss="https://a.example")
            unharmed.token(by_hand({"alg": "HS256", **header}, claims, secret), path=path)
    # a signature of another kind, and a key of another kind by its name
    unharmed.token(Key(KEYS["curve"], "ours").sign("ES256", iss="https://a.example"), path="/ours")
    unharmed.token(OURS.sign("RS512"), path="/ours")
    unharmed.token(OURS.sign("PS256"), path="/ours")
    assert answer(unharmed.d.address, "/ours",
                  bearer(OURS.sign("RS256", iss="https://a.example"))).status == 101


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "none ", "", None, 0, ["HS256"], {"alg": "HS256"}])
def test_without_an_algorithm(unharmed, alg):
    head, claims = (b64(json.dumps(x).encode()) for x in ({"alg": alg}, anna()))
    signature = by_hand({"alg": "HS256"}, anna()).split(".")[2]
    for path in ("/hs", "/pem", "/ours"):
        for end in ("", signature, b64(b"\0" * 256)):
            unharmed.token(f"{head}.{claims}.{end}", path=path)


def test_a_key_of_another_issuer(unharmed):
    """By its own name, by a name that both have, and by that of ours."""
    good = {"iss": "https://a.example"}
    for key in (THEIRS, ITS_COMMON, Key(KEYS["other"], "ours"), Key(KEYS["other"])):
        for iss in ("https://a.example", "https://b.example"):
            unharmed.token(key.sign("RS256", iss=iss), path="/ours")
    for key in (OURS, COMMON):
        assert answer(unharmed.d.address, "/ours", bearer(key.sign("RS256", **good))).status == 101
        unharmed.token(key.sign("RS256", **good), path="/theirs")
    unharmed.token(OURS.sign("RS256", iss="https://b.example"), path="/ours")


@pytest.mark.parametrize("kid", ["../../../../dev/null", "key.pem", "/etc/passwd", "' OR 1=1 --", "x" * 1500, "", "\u202eours"])
def test_names_of_keys_lead_nowhere(unharmed, kid):
    for secret in (b"", b"\0", SECRET):
        unharmed.token(by_hand({"alg": "HS256", "kid": kid}, anna(), secret), path="/ours")
    unharmed.token(Key(KEYS["mine"]).sign("RS256", {"kid": kid}), path="/ours")


def test_keys_that_come_along(unharmed):
    """A key within a token, or behind an address in it: nobody looks at either."""
    mine = Key(KEYS["mine"])
    listening, port = taken_port()
    with listening:
        listening.setblocking(False)
        there = f"http://127.0.0.1:{port}/keys"
        for more in ({"jwk": mine.jwk()}, {"jku": there}, {"x5u": there},
                     {"x5c": [base64.b64encode(mine.pem()).decode()]}, {"jku": "file:///etc/passwd"},
                     {"jwk": mine.jwk(), "jku": there, "x5u": there, "kid": "ours"}):
            token = mine.sign("RS256", more, iss="https://a.example")
            unharmed.token(token, path="/ours")
            unharmed.token(token, path="/pem")
        with pytest.raises(BlockingIOError):
            listening.accept()


TWICE = [b'{"sub":"anna","sub":"ben","exp":9999999999}', b'{"sub":"anna","exp":1,"exp":9999999999}',
         b'{"sub":"anna","\\u0073ub":"ben","exp":9999999999}',
         b'{"sub":"anna","exp":9999999999,"a":{"b":1,"b":2}}']
HUGE = [b'{"sub":"anna","exp":%s}' % n for n in (
    b"1e400", b"-1e400", b"9" * 20, b"9" * 4000, b"1" + b"0" * 4000 + b".5", b"1e" + b"9" * 3000,
    b"0." + b"0" * 4000 + b"1", b"1e-400", b"NaN", b"Infinity", b"0x7fffffff", b"+9999999999", b"01")]
HUGE += [b'{"sub":%s,"exp":9999999999}' % n for n in (b"9" * 20, b"-" + b"9" * 20, b"1e30", b"1.0")]
DEEP = [b"[" * 3800, b'{"a":' * 800, b"[" * 1900 + b"]" * 1900, b'{"sub":' + b"[" * 1900 + b"]" * 1900 + b"}",
        b'{"sub":"anna","exp":9999999999,"a":' + b"[" * 2500 + b"]" * 2500 + b"}"]


@pytest.mark.parametrize("payloads", [TWICE, HUGE, DEEP], ids=["names-twice", "huge-numbers", "deeply-nested"])
def test_claims_that_are_none(unharmed, payloads):
    """At the door, in the first message, in place of another one, and with a header that is so."""
    d = unharmed.d
    for payload in payloads:
        token = unharmed.hide(by_hand({"alg": "HS256"}, payload))
        # exp of nearly nothing is long ago
        answered = answer(d.address, "/hs", bearer(token))
        word = answered.body.decode().split(":")[0]
        assert answered.status == 401 and word in ("bad-token", "token-expired"), (payload[:50], word)
        with Raw(d.address).upgrade("/late") as c:
            c.send(said("auth", token))
            c.closed(1008, word)
        renewed(d, token, word)
        unharmed.token(by_hand(payload, anna()))


@pytest.mark.parametrize("message", [
    b'{"ignyx":"auth","token":' + b"[" * 15000, b'{"a":' * 3000, b"[" * 5000 + b"]" * 5000,
    b'{"ignyx":"auth","token":"x","token":"y"}', b'{"ignyx":"auth","ignyx":"token","token":"x"}',
    b'{"ignyx":"auth","token":' + b"9" * 15000 + b"}", b'{"ignyx":"auth","token":1e999}',
    b'{"ignyx":"auth","token":"\\ud800"}', b'{"ignyx":"auth","token":"a\\u0000b"}', b"\0" * 100],
    ids=lambda m: repr(m[:20]) + str(len(m)))
def test_first_messages_that_are_none(unharmed, message):
    for opcode in (1, BINARY):
        with Raw(unharmed.d.address).upgrade("/late") as c:
            c.send(frame(opcode, message), said("auth", SHOP.sign("HS256")))
            c.closed(1008, "no-credentials")
        unharmed.lives()


def unpadded(bits):
    """The last character of a signature of 32 bytes with other bits where there are none to be."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return lambda c: letters[letters.index(c) ^ bits]


def test_bad_base64(unharmed):
    good = SHOP.sign("HS256", fill="\u00ff\u00ff\u00ff>>>???")
    head, payload, signature = good.split(".")
    plain = base64.b64encode(json.dumps({"alg": "HS256"}).encode()).decode()
    for bad in (good + "=", good + "==", f"{head}=.{payload}.{signature}", f"{head}.{payload}=.{signature}",
                f"{head}.{payload}=={signature}", f"{head}.{payload}.", f"{head}..{signature}", f".{payload}.{signature}",
                f"{head}.{payload}", head, f"{good}.{signature}", good + ".", "." + good, "a", ".", "..", "...",
                f"{head}.{payload}.{signature[:-1]}", f"{head}.{payload}.{signature}A", f"{head}.{payload}A.{signature}",
                f"{head}.{payload}.{signature[:-1]}{unpadded(1)(signature[-1])}",
                f"{head}.{payload}.{signature[:-1]}{unpadded(2)(signature[-1])}",
                f"{head}.{payload}.{signature[:20]}%3D{signature[20:]}", f"{head}.{payload}.{signature[:20]}+{signature[20:]}",
                f"{head}.{payload}.{signature[:20]}/{signature[20:]}", f"{plain}.{payload}.{signature}",
                f"{head}.{payload}.{'A' * 43}", f"{head}.{payload}.{'A' * 44}", "-" * 43 + "._." + "_" * 43):
        unharmed.token(bad)
    assert answer(unharmed.d.address, "/hs", bearer(good)).status == 101


def too_long(unharmed, head, status, word):
    """The rest comes when the answer is there already."""
    with Raw(unharmed.d.address) as c:
        c.send(head[:70000])
        r = c.response()
        assert r.status == status and r.body.decode().startswith(word + ": "), (r.status, r.body)
        with contextlib.suppress(OSError):
            c.send(head[70000:])
    unharmed.lives()


@pytest.mark.parametrize("max_head", ["8K", "64K"])
def test_a_mebibyte(unharmed, max_head):
    """In each place where a token or a password may be."""
    d = unharmed.d
    d.change(max_head=max_head)
    d.reload()
    long = unharmed.hide(by_hand({"alg": "HS256"}, anna(fill="q" * (MIB * 3 // 4))))
    assert len(long) >= MIB
    for path, headers in (("/hs", bearer(long)), ("/tokens", bearer(long)), ("/users", basic("anna", long)),
                          ("/users", basic(long, "")), ("/all", {"Cookie": f"session={long}"}),
                          ("/all", {"Sec-WebSocket-Protocol": f"bearer.{long}"}), (f"/all?access_token={long}", {})):
        too_long(unharmed, request(path, headers=headers), 431, "head-too-large")
    # what a head has space for is too long for a token all the same
    if max_head == "64K":
        for path, headers in (("/hs", bearer(long[:60000])), ("/all", {"Cookie": f"session={long[:60000]}"}),
                              ("/all", {"Sec-WebSocket-Protocol": f"bearer.{long[:60000]}"}),
                              (f"/all?access_token={long[:60000]}", {}), ("/tokens", bearer(long[:60000]))):
            unharmed.refused(401, "bad-token", path, headers)
        unharmed.refused(401, "bad-password", "/users", basic("anna", long[:40000]))
    with Raw(d.address).upgrade("/late") as c:
        c.send(said("auth", long)[:70000])
        c.closed(1009, "message-too-big")
    renewed(d, long[:16385], "bad-token")


# --- users ---


@pytest.mark.parametrize("name", [
    "jose\u0301", "JOS\u00c9", "jos\u00e9\u200b", "\u202ejos\u00e9", "\ufeffjos\u00e9", "j\u043es\u00e9", " jos\u00e9", "jos\u00e9 ",
    b"jos\xe9", b"jos\xc3", b"jos\xc3\xa9\xff", b"\xc1\xaaos\xc3\xa9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80",
    "\U0001f600" * 33, "jos\u00e9\r\n", "\x1b[31mjos\u00e9", "jos\u00e9\u0085", "anna\u037e", "\uff41nna"], ids=ascii)
def test_users_with_other_bytes(unharmed, name):
    """A name is its bytes: none that looks like it, or that would be it with other rules, is let in."""
    unharmed.refused(401, "bad-password", "/users", {**basic(name, unharmed.hide(GOOD))})
    raw = name if isinstance(name, bytes) else name.encode()
    unharmed.hide(base64.b64encode(raw + b":" + GOOD.encode()).decode())
    assert answer(unharmed.d.address, "/users", basic("jos\u00e9", GOOD)).status == 101


@pytest.mark.parametrize("sub", [
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"jos\xe9"', b'"\xc1\xaaos"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"a\\u0000b"', b'"a\\u0085b"',
    b'"a\\u001b[31m"', b'"a\\r\\nignyxd: error: in the end"', b'"\\u007f"', ('"' + "\U0001f600" * 33 + '"').encode()], ids=ascii)
def test_tokens_with_other_bytes(unharmed, sub):
    unharmed.token(by_hand({"alg": "HS256"}, b'{"exp":9999999999,"sub":%s}' % sub))


def test_names_that_are_right_to_left(unharmed):
    """What may be shown is let in, and a name is told from those that look like it."""
    d = unharmed.d
    for name in ("\u05d0\u05d1", "\u5b89\u5a1c", "\U0001f600", "jose\u0301", "jos\u00e9"):
        mark = d.log_size()
        with Raw(d.address).upgrade("/hs", headers=bearer(SHOP.sign("HS256", sub=name))) as c:
            assert heard(c) == "hi"
            d.log_contains(rf'opened .*user="?{re.escape(name)}"?$', mark)


BAD_LINES = [b"ben", b":" + user("x", "y").encode()[2:], b"ben:", b"ben:x:y", b"ben:$1$salt$qJH7.N4xYta3aEG/dfqo/0",
             b"ben:$2b$04$short", b"ben:plaintextpassword", b"b\xffn:" + user("x", "y").encode()[2:],
             b"b\0n:" + user("x", "y").encode()[2:], b"b\x1bn:" + user("x", "y").encode()[2:],
             b"n" * 129 + b":" + user("x", "y").encode()[2:], b"ben:" + b"q" * MIB, b"q" * MIB, PEOPLE[1].encode()]


@pytest.mark.parametrize("bad", BAD_LINES, ids=lambda b: ascii(b[:24]))
def test_a_file_of_passwords_with_a_bad_line(unharmed, bad):
    """It is named by file and line, and those of before stay."""
    d = unharmed.d
    before = [x.encode() for x in (PEOPLE[0], "# a word", PEOPLE[1])]
    path = write(d, "people", b"\n".join([*before, bad, user("dora", GOOD).encode(), b""]))
    unharmed.hide(bad, PEOPLE[0], PEOPLE[1])
    d.expect_error(re.escape(path))
    d.expect_error("reload refused: ")
    mark = d.log_size()
    d.reload(expect=False)
    assert f"{path}:4: " in d.log(mark), d.log(mark)
    assert answer(d.address, "/users", basic("anna", GOOD)).status == 101
    unharmed.refused(401, "bad-password", "/users", basic("dora", GOOD))
    write_users(d, *PEOPLE, user("dora", GOOD), name="people")
    d.reload()
    assert answer(d.address, "/users", basic("dora", GOOD)).status == 101


# --- heads ---


def short_names(count):
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return (a + b + c for a in letters for b in letters for c in letters[:-(-count // 36 ** 2)])


def test_ten_thousand_subprotocols(unharmed):
    """With a token ahead of them, among them, behind them, and with none that is good."""
    d = unharmed.d
    d.change(max_head="64K")
    d.reload()
    many = list(short_names(10000))[:10000]
    assert len(set(many)) == 10000
    good, bad = (f"bearer.{k.sign('HS256')}" for k in (SHOP, Key(b"y" * 64)))
    unharmed.hide(good, bad)
    for at in (0, 5000, 10000):
        def offer(token):
            return {"Sec-WebSocket-Protocol": ",".join([*many[:at], token, *many[at:]])}
        r = answer(d.address, "/all", offer(good))
        assert r.status == 101 and not r.header("sec-websocket-protocol")
        unharmed.refused(401, "bad-token", "/all", offer(bad))
    unharmed.refused(401, "no-credentials", "/all", {"Sec-WebSocket-Protocol": ",".join(many)})
    # of tokens by the thousand one is looked at
    unharmed.refused(401, "bad-token", "/all", {"Sec-WebSocket-Protocol": ",".join(["bearer.x"] * 6000 + [good])})


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X", "Sec-WebSocket-Protocol", "Origin", "Host"])
def test_headers_by_the_thousand(unharmed, name):
    d = unharmed.d
    d.change(max_head="64K")
    d.reload()
    value = {"Authorization": f"Bearer {unharmed.hide(SHOP.sign('HS256')[:40])}"}.get(name, "a")
    for count in (101, 1000):
        head = request("/hs", headers=bearer(SHOP.sign("HS256")))[:-2] + f"{name}: {value}\r\n".encode() * count + b"\r\n"
        too_long(unharmed, head, 400, "too-many-headers")
