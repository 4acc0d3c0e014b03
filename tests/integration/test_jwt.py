"""Who may come in by a JSON Web Token: what is good, what is not, what a reload makes of it."""

import fcntl
import json
import os
import pty
import re
import subprocess
import sys
import termios
import time

import jwt
import pytest

from asking import ask, own, scrape
from harness import DEADLINE, FAILED, PROGRAM, SLOW, run_program, wait_until
from pretend import ctl
from raw import BINARY, Raw, frame, request, text
from certificates import client
from test_access import answer, bearer, enter, heard, line, refused, write_users
from test_tls import listener, pki  # noqa: F401 (a fixture)
from tokens import (ALGORITHMS, CURVES, SECRET, Key, anna, b64, by_hand, new_ec, new_ed25519,
                    new_rsa, write)

PROTOCOL = {"Sec-WebSocket-Protocol": "ignyx.room.v1"}
HS256 = {"key": "secret", "algorithms": ["HS256"]}
SHOP = Key(SECRET)


def str_of(value):
    return repr(value)[:40]


def endpoint(path="/ws", behaviour="echo", **settings):
    return {"path": path, "behaviour": behaviour, "access": {"jwt": {**HS256, **settings}}}


@pytest.fixture
def guarded(daemon):
    """A daemon whose endpoints ask for tokens, with files of keys."""
    def make(*endpoints, start=True, files=None, **settings):
        d = daemon({"endpoints": list(endpoints) or [endpoint()], **settings}, start=False)
        for name, content in {"secret": SECRET, **(files or {})}.items():
            write(d, name, content)
        return d.start() if start else d
    return make


@pytest.fixture(scope="module")
def every():
    """A key for each algorithm."""
    pair = new_rsa()
    made = {a: Key(SECRET, "secret") for a in ("HS256", "HS384", "HS512")}
    made |= {a: Key(pair, "rsa", use="sig") for a in ALGORITHMS if a[0] in "RP"}
    return made | {a: Key(new_ec(a), a, alg=a) for a in CURVES}


def enters(d, token, path="/ws", user="anna"):
    mark = d.log_size()
    with enter(d, token, path) as c:
        d.log_contains(rf"opened .*user={user}$", mark)
        return c


def said(d, token, why, status=401, word="bad-token", path="/ws", headers=None):
    """The token is refused, and the log says why; the client gets the word, and no more."""
    mark = d.log_size()
    r = refused(d, status, word, path, headers or bearer(token))
    d.log_contains(rf"the token is refused: {why} event=", mark)
    assert ("www-authenticate" in dict((k.lower(), v) for k, v in r.headers)) == (status == 401)
    assert not token or token not in d.log()
    return r


# --- what is good ---


def test_each_algorithm(guarded, every):
    keys = {id(k.private): k for k in every.values()}.values()
    d = guarded({"path": "/ws", "behaviour": "echo",
                 "access": {"jwt": {"keys": "set.json", "algorithms": ALGORITHMS}}},
                files={"set.json": list(keys)})
    for alg, key in every.items():
        enters(d, key.sign(alg))
        other = every["ES256" if key.private is SECRET else "HS256"]
        # signed by somebody else, who says it was this one
        forged = Key(b"x" * 64 if key.private is SECRET else
                     new_rsa() if alg[0] in "RP" else new_ec(alg), key.kid)
        said(d, forged.sign(alg), "its signature is not good")
        said(d, Key(key.private, other.kid).sign(alg), 'no key of its "kid", algorithm .*')
        said(d, Key(key.private, "unknown").sign(alg), 'no key of its "kid", algorithm .*')
        enters(d, Key(key.private).sign(alg))


def test_a_key_in_pem(guarded, every):
    for alg, key in every.items():
        if key.private is SECRET:
            continue
        d = guarded(endpoint(key="key.pem", algorithms=[alg]), files={"key.pem": key.pem()})
        # what it is called is of no account where there is one
        enters(d, key.sign(alg))
        enters(d, Key(key.private).sign(alg))
        said(d, Key(SECRET).sign("HS256"), 'its algorithm, HS256, is none of "algorithms"')


def test_signed_by_openssl(guarded, every, directory):
    """By a program of another project, in the form that it writes signatures of RSA."""
    key = every["RS256"]
    pem = os.path.join(directory, "private.pem")
    with open(pem, "wb") as f:
        f.write(key.private_pem())
    head = b64(b'{"alg":"RS256"}') + "." + b64(json.dumps(anna()).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", pem], check=True,
                               input=head.encode(), capture_output=True).stdout
    d = guarded(endpoint(key="key.pem", algorithms=["RS256"]), files={"key.pem": key.pem()})
    enters(d, f"{head}.{b64(signature)}")


@pytest.mark.parametrize("claims, user", [
    ({"sub": "josé"}, "josé"), ({"sub": 42}, "42"), ({"sub": -9223372036854775808}, "-9223372036854775808"),
    ({"sub": "x" * 128}, "x" * 128), ({"sub": "a b"}, "a b"),
    ({"exp": 4102444800.5}, "anna"), ({"exp": 1e300}, "anna"), ({"nbf": 0}, "anna"),
    ({"nbf": -1e300, "iat": "whenever"}, "anna"), ({"aud": "anybody", "iss": "somebody"}, "anna")], ids=str_of)
def test_what_is_good(guarded, claims, user):
    d = guarded()
    mark = d.log_size()
    with enter(d, by_hand({"alg": "HS256"}, anna(**claims))):
        d.log_contains(rf"opened .*user={re.escape(user)}$", mark)


# --- what is not ---


def test_without_one(guarded):
    d = guarded()
    for headers in (None, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        r = refused(d, 401, "no-credentials", headers=headers)
        assert r.header("www-authenticate") == 'Bearer realm="ignyxd"'


def test_confused(guarded, every):
    """Keys of one kind taken for another, and keys that a token brings itself."""
    pair = every["RS256"]
    d = guarded(endpoint(key="key.pem", algorithms=["RS256", "HS256"]), files={"key.pem": pair.pem()})
    # the public key, which everybody knows, as the secret of HS256
    for secret in (pair.pem(), pair.pem().strip(), json.dumps(pair.jwk()).encode()):
        said(d, by_hand({"alg": "HS256"}, anna(), secret), "no key of its .*")
    enters(d, pair.sign("RS256"))
    mine = Key(new_rsa())
    for more in ({"jwk": mine.jwk()}, {"jku": "https://evil.example/"}, {"x5u": "https://evil.example/"},
                 {"kid": "../../../../dev/null"}, {"kid": "' OR 1=1"}):
        said(d, mine.sign("RS256", more), "its signature is not good")
    said(d, jwt.encode(anna(), None, algorithm="none"), 'its "alg" is none that there is')
    for alg in ("None", "NONE", "nOnE", ""):
        said(d, f'{b64(json.dumps({"alg": alg}).encode())}.{b64(json.dumps(anna()).encode())}.',
             'its "alg" is none that there is')


@pytest.mark.parametrize("header, why", [
    ({"alg": "HS256", "crit": ["exp"]}, 'its header has "crit", .*'),
    ({"alg": "HS256", "crit": ["b64"], "b64": False}, 'its header has "crit", .*'),
    ({"alg": "HS384"}, 'its algorithm, HS384, is none of "algorithms"'),
    ({"alg": "EdDSA"}, 'its "alg" is none that there is'),
    ({"typ": "JWT"}, 'its "alg" is none that there is'),
    (b'{"alg":"HS256","alg":"HS256"}', "its header is not one JSON object"),
    (b"[" * 2000, "its header is not one JSON object")], ids=str_of)
def test_bad_headers(guarded, header, why):
    said(guarded(), by_hand(header, anna()), why)


NOT_ONE = "what it says is not one JSON object with each name once"
NO_NAME = 'its "sub" is no name of 1 to 128 bytes without control characters'


@pytest.mark.parametrize("payload, why", [
    (b'{"sub":"anna","sub":"ben","exp":9999999999}', NOT_ONE),
    (b'{"sub":"anna","exp":1e400}', NOT_ONE), (b'{"sub":"anna","exp":99999999999999999999}', NOT_ONE),
    (b"[" * 3000, NOT_ONE), (b'{"a":' * 900, NOT_ONE), (b"", NOT_ONE), (b'"anna"', NOT_ONE),
    (b'{"sub":"an\xff","exp":9999999999}', NOT_ONE), (b'{"sub":"a\\u0000b","exp":9999999999}', NOT_ONE),
    (anna(exp=None), 'its "exp" or "nbf" is no number'), (anna(exp="9999999999"), 'its "exp" or "nbf" is no number'),
    (anna(nbf="0"), 'its "exp" or "nbf" is no number'), ({"sub": "anna"}, 'it has no "exp", and "require_exp" is set'),
    (anna(nbf=1e300), 'its "nbf" is 1000000000 s ahead'),
    (anna(sub=""), NO_NAME), (anna(sub="x" * 129), NO_NAME), (anna(sub="a\nb"), NO_NAME),
    (anna(sub="a\x7fb"), NO_NAME), (anna(sub="a\u0085b"), NO_NAME), (anna(sub=1.5), NO_NAME),
    (anna(sub=True), NO_NAME), (anna(sub=["anna"]), NO_NAME), (anna(sub=None), NO_NAME),
    ({"exp": 9999999999}, NO_NAME)], ids=str_of)
def test_bad_claims(guarded, payload, why):
    said(guarded(), by_hand({"alg": "HS256"}, payload), re.escape(why))


@pytest.mark.parametrize("exp, ago", [(0, None), (-1, None), (-1e300, "1000000000"), (1.5, None)])
def test_expired(guarded, exp, ago):
    r = said(guarded(), by_hand({"alg": "HS256"}, anna(exp=exp)), rf'its "exp" is {ago or "[0-9]+"} s ago',
             word="token-expired")
    assert r.header("www-authenticate") == 'Bearer realm="ignyxd", error="invalid_token"'


def test_leeway(guarded):
    d = guarded(endpoint(), endpoint("/late", leeway="5m"))
    before, behind = SHOP.sign("HS256", exp=int(time.time()) - 60), SHOP.sign("HS256", nbf=int(time.time()) + 60)
    said(d, before, r'its "exp" is \d+ s ago', word="token-expired")
    said(d, behind, r'its "nbf" is \d+ s ahead')
    enters(d, before, "/late")
    enters(d, behind, "/late")
    said(d, SHOP.sign("HS256", exp=int(time.time()) - 301), ".*", word="token-expired", path="/late")


def test_not_base64(guarded):
    good = SHOP.sign("HS256")
    head, payload, signature = good.split(".")
    d = guarded()
    for bad in (good + "=", f"{head}=.{payload}.{signature}", f"{head}.{payload}.", f"{head}..{signature}",
                f"{head}.{payload}", f"{good}.{signature}", good + ".", "." + good, "a", "..", "x.y.z",
                f"{head}.{payload}.{signature[:-1]}", f"{head}.{payload}.{signature}A",
                good.replace(".", "+.", 1)):
        refused(d, 401, "bad-token", headers=bearer(bad))
    enters(d, good)


def test_long_ones(guarded):
    """As long as a head may be, or a token."""
    def of(length):
        token = by_hand({"alg": "HS256"}, anna(fill="x" * length))
        return token
    d = guarded()
    enters(d, of(5000))
    r = answer(d.address, headers=bearer(of(9000)))
    assert r.status == 431, r.status
    d = guarded(max_head="64K")
    enters(d, of(12000))
    said(d, of(12400), "it is longer than 16 KiB")
    said(d, "x" * 60000, "it is longer than 16 KiB")


def test_what_is_kept_has_an_end(guarded):
    """Numbers are longer as they are kept, and what nobody asks for is not kept at all."""
    d = guarded(endpoint(required={"realm": {"roles": "chat"}}), max_head="64K")
    good = {"realm": {"roles": ["chat"], "other": "x" * 6000}, "more": "x" * 5000}
    with enter(d, SHOP.sign("HS256", **good)) as c, enter(d, SHOP.sign("HS256", realm={"roles": "chat"})) as b:
        d.change(endpoints=[endpoint(required={"realm": {"roles": ["chat", "admin"]}})])
        d.reload()
        assert heard(c) == "hi" and heard(b) == "hi"
        d.change(endpoints=[endpoint(required={"realm": {"roles": "admin"}})])
        d.reload()
        for x in (c, b):
            x.closed(1008, "access-changed")
        d.change(endpoints=[endpoint()])
        d.reload()
    long = json.dumps(anna(aud="AUD")).replace('"AUD"', "[" + ",".join(["1e9"] * 1000) + "]").encode()
    said(d, by_hand({"alg": "HS256"}, long), r"the claims that are asked for have \d+ bytes, and at most 4096 can be kept",
         403, "not-allowed")
    r = explained(d, by_hand({"alg": "HS256"}, long), "/ws")
    assert r.returncode != 0 and "at most 4096 can be kept" in r.stdout, r


def test_issuer_and_audience(guarded):
    d = guarded(endpoint(issuer="https://a.example", audience="chat"),
                endpoint("/two", audience=["chat", "push"]))
    good = {"iss": "https://a.example", "aud": "chat"}
    enters(d, SHOP.sign("HS256", **good))
    enters(d, SHOP.sign("HS256", **{**good, "aud": ["x", "chat"]}))
    for iss, why in ((None, 'it has no "iss"'), ("https://A.example", 'its "iss" is not "issuer"'),
                     ("https://a.example/", 'its "iss" is not "issuer"')):
        said(d, SHOP.sign("HS256", aud="chat", iss=iss), why)
    for aud, why in ((None, 'it has no "aud"'), ("Chat", 'its "aud" is none of "audience"'),
                     ([], 'its "aud" is none of "audience"'), (["x"], 'its "aud" is none of "audience"')):
        said(d, SHOP.sign("HS256", iss="https://a.example", aud=aud), why, word="wrong-audience")
    said(d, by_hand({"alg": "HS256"}, anna(iss=["https://a.example"], aud="chat")), 'it has no "iss"')
    said(d, by_hand({"alg": "HS256"}, anna(iss="https://a.example", aud={"chat": 1})), ".*", word="wrong-audience")
    enters(d, SHOP.sign("HS256", aud="push"), "/two")


def test_another_claim_names_the_user(guarded):
    d = guarded(endpoint(user="email", require_exp=False), endpoint("/u/{user}"))
    mark = d.log_size()
    with enter(d, SHOP.sign("HS256", exp=None, email="anna@a.example")):
        d.log_contains(r"opened .*user=anna@a.example$", mark)
    said(d, SHOP.sign("HS256"), 'its "email" is no name .*')
    enters(d, SHOP.sign("HS256"), "/u/anna")
    refused(d, 403, "not-allowed", "/u/ben", bearer(SHOP.sign("HS256")))


@pytest.mark.parametrize("alg, most", [("ES256", 17), ("ES384", 2), ("ES512", 2)])
def test_many_keys_without_a_name(guarded, alg, most):
    """Of which a token that names none may be any: a stranger's would be looked at with each."""
    pairs = [Key(new_ec(alg), f"k{i}") for i in range(most + 1)]
    jwts = {"keys": "set.json", "algorithms": [alg]}
    d = guarded({"path": "/ws", "behaviour": "echo", "access": {"jwt": jwts}}, files={"set.json": pairs})
    said(d, Key(pairs[-1].private).sign(alg),
         f'any of {most + 1} keys may have signed it, and with {alg} at most {most} are tried: give each a "kid"')
    enters(d, pairs[-1].sign(alg))
    write(d, "set.json", pairs[1:])
    d.reload()
    enters(d, Key(pairs[-1].private).sign(alg))


# --- what they have to say ---


RULES = {"path": "/c/{room}", "behaviour": "room", "access": {"jwt": {**HS256, "required": {"room": "{room}"}}}}


@pytest.mark.parametrize("claim, rooms, others", [
    ("lobby", ["lobby"], ["lobb", "lobbyx", "Lobby"]), (["a", "b"], ["a", "b"], ["c", "ab"]),
    ("team-*", ["team-", "team-1", "team-1-2"], ["team", "xteam-1"]), ("*", ["a", "x*"], []),
    (["a*", "*z", "m*n*o"], ["a", "ab", "yz", "mno", "m1n2o"], ["b", "za", "mno1", "mn", "mon"]),
    ("*a*b*", ["ab", "xaxbx", "bab"], ["ba", "a", "b"]), ("ab*ba", ["abba", "ab-ba"], ["aba", "ab"]),
    (7, [], ["7"]), (None, [], ["a"]), ({"lobby": 1}, [], ["lobby"]), ([["a"]], [], ["a"])])
def test_a_room_of_ones_own(guarded, claim, rooms, others):
    d = guarded(RULES, room_names="[A-Za-z0-9*-]{1,64}")
    token = by_hand({"alg": "HS256"}, anna(room=claim))
    for room in rooms:
        assert answer(d.address, "/c/" + room, bearer(token)).status == 101, room
    for room in others:
        said(d, token, 'its claim "room" is not what "required" asks for', 403, "not-allowed", "/c/" + room)


@pytest.mark.parametrize("required, good, bad", [
    ({"role": "admin"}, [{"role": "admin"}, {"role": ["x", "admin"]}], [{}, {"role": "x"}, {"role": []}]),
    ({"role": ["admin", "owner"]}, [{"role": "owner"}, {"role": ["admin"]}], [{"role": "adminowner"}]),
    ({"level": 3}, [{"level": 3}, {"level": 3.0}, {"level": [1, 3]}], [{"level": "3"}, {"level": 4}, {"level": True}]),
    ({"level": 2.5}, [{"level": 2.5}], [{"level": 2}]),
    ({"paid": True}, [{"paid": True}, {"paid": [True]}], [{"paid": False}, {"paid": 1}, {"paid": "true"}]),
    ({"paid": False}, [{"paid": False}], [{"paid": True}, {"paid": 0}, {}]),
    ({"a": "x", "b": "y"}, [{"a": "x", "b": "y"}], [{"a": "x"}, {"b": "y"}]),
    ({"realm": {"roles": "chat"}}, [{"realm": {"roles": ["chat", "x"]}}], [{"realm": "chat"}, {"roles": "chat"}]),
    ({"scope": "chat"}, [{"scope": "chat"}, {"scope": "read chat write"}, {"scope": ["chat"]}],
     [{"scope": "chats"}, {"scope": ""}, {"scope": "read,chat"}, {"scope": "chats chatter"}]),
    # a word is a pattern, and the whole is none
    ({"scope": "chat:a"}, [{"scope": "openid chat:*"}, {"scope": "chat:* openid"}, {"scope": ["x", "chat:*"]},
                           {"scope": "read * write"}],
     [{"scope": "chat: *x"}, {"scope": "c *:b *d"}, {"scope": ["chat:b"]}, {"scope": "chat :a"}]),
    # what a setting says is no pattern, nor what a placeholder of no path looks like
    ({"who": "a*"}, [{"who": "a*"}, {"who": "*"}], [{"who": "ab"}]),
    ({"who": "{{room}"}, [{"who": "{room}"}], [{"who": "x"}]),
    ([{"claim": "https://x.example/role", "value": "a"}], [{"https://x.example/role": "a"}], [{"role": "a"}]),
    ([{"claim": ["https://x.example/", "in"], "value": ["a", 1]}], [{"https://x.example/": {"in": 1}}], [{"in": 1}])], ids=str_of)
def test_required(guarded, required, good, bad):
    if isinstance(required, list):
        required = tuple(required)
    d = guarded(endpoint(required=required))
    for claims in good:
        assert answer(d.address, headers=bearer(SHOP.sign("HS256", **claims))).status == 101, claims
    for claims in bad:
        said(d, SHOP.sign("HS256", **claims), 'its claim ".*" is not what "required" asks for', 403, "not-allowed")


def test_long_lists(guarded):
    """Each value is found at once; patterns, which are compared one by one, have an end."""
    values = [f"v{i}" for i in range(64)]
    rules = [{"claim": "a", "value": [f"{v}-{i}" for v in values[1:]] + ["last"]} for i in range(16)]
    d = guarded(endpoint(required=rules), max_head="64K")
    enters(d, SHOP.sign("HS256", a=[*range(500), *(f"x{i}" for i in range(200)), "last"]))
    with enter(d, SHOP.sign("HS256", a=["last", *(["*"] * 20)])) as c:
        assert heard(c) == "hi"
    said(d, SHOP.sign("HS256", a=[f"*{i}y" for i in range(400)] + ["last"]),
         'its claim "a" has too many elements or patterns to be compared with all of "required"', 403, "not-allowed")


def test_who_may_speak(guarded):
    rooms = {"path": "/c/{room}", "behaviour": "room", "format": "both", "access": {
        "jwt": {**HS256, "publish": {"speak": "{room}"}}}}
    d = guarded(rooms)
    with enter(d, SHOP.sign("HS256", speak=["a", "b"]), "/c/a") as speaker, \
            enter(d, SHOP.sign("HS256", speak="b"), "/c/a") as plain, \
            Raw(d.address).upgrade("/c/a", headers={**bearer(SHOP.sign("HS256")), **PROTOCOL}) as told:
        assert json.loads(told.text())["type"] == "joined"
        mark = d.log_size()
        for c in (plain, told):
            c.send(text("no"))
        assert json.loads(told.text()) == {"type": "error", "error": "not-allowed",
                                           "message": "a client may not do that there"}
        d.log_count(r"event=conn-unheard .*user=anna .*reason=not-allowed", 2, mark)
        speaker.send(text("yes"))
        assert speaker.text() == "yes" and plain.text() == "yes"
        assert json.loads(told.text())["data"] == "yes"
        # a reload with other rules makes others of them
        d.change(endpoints=[{**rooms, "access": {"jwt": {**HS256, "publish": {"sub": "anna"}}}}])
        d.reload()
        plain.send(text("now"))
        assert speaker.text() == "now"


# --- where it is ---


def offered(*names):
    return {"Sec-WebSocket-Protocol": ", ".join(names)}


def test_where_a_token_may_be(guarded):
    """In each place only where the settings name it, and in the first that has one."""
    places = endpoint("/all", cookie="session", subprotocol=True, query="access_token")
    places["access"]["origins"] = ["https://a.example"]
    d = guarded(endpoint(), places)
    good, bad = SHOP.sign("HS256"), SHOP.sign("HS256", exp=1)
    shown = [lambda t: bearer(t), lambda t: {"Cookie": f'x=1; session="{t}"; y=2'},
             lambda t: offered("chat", f"bearer.{t}")]
    for show in shown:
        assert answer(d.address, "/all", show(good)).status == 101, show(good)
        refused(d, 401, "token-expired", "/all", show(bad))
    assert answer(d.address, f"/all?access_token={good}").status == 101
    assert answer(d.address, f"/all?x=1&access_token={bad}").status == 401
    for show in shown[1:]:
        refused(d, 401, "no-credentials", "/ws", show(good))
    refused(d, 401, "no-credentials", f"/ws?access_token={good}")
    # the order
    for i, first in enumerate(shown):
        rest = {k: v for s in shown[i + 1:] for k, v in s(good).items()}
        refused(d, 401, "token-expired", f"/all?access_token={good}", {**rest, **first(bad)})
    # of another scheme it is none
    assert answer(d.address, "/all", {"Authorization": "Basic YTpi", **shown[1](good)}).status == 101
    for origin, status in (("https://a.example", 101), ("https://b.example", 403)):
        assert answer(d.address, "/all", {"Origin": origin, **shown[1](good)}).status == status
    assert good not in d.log() and bad not in d.log()
    known = json.dumps(ask(d, "/why?peer=127.0.0.1")[1]) + json.dumps(ask(d, "/connections")[1])
    assert good not in known and bad not in known


def test_what_a_browser_needs_to_hear(guarded):
    d = guarded({**endpoint(subprotocol=True), "subprotocols": ["chat"]},
                {**endpoint("/must", subprotocol=True), "subprotocols": ["chat"], "require_subprotocol": True},
                {**endpoint("/never")})
    token = "bearer." + SHOP.sign("HS256")
    for path, names, agreed in (("/ws", ("ignyx.bearer", token), "ignyx.bearer"),
                                ("/ws", (token, "ignyx.bearer", "chat"), "chat"),
                                ("/ws", (token, "other"), None), ("/ws", (token,), None),
                                ("/must", (token, "chat"), "chat")):
        r = answer(d.address, path, offered(*names))
        assert (r.status, r.header("sec-websocket-protocol")) == (101, agreed), names
    refused(d, 400, "subprotocol-required", "/must", offered("ignyx.bearer", token))
    r = answer(d.address, "/never", {**bearer(SHOP.sign("HS256")), **offered("ignyx.bearer")})
    assert r.status == 101 and not r.header("sec-websocket-protocol")


def test_a_cookie_needs_origins(daemon, guarded):
    wrong(daemon, {**HS256, "cookie": "session"}, '"cookie" is sent by browsers .*"/ws" has no "origins": set "origins"')
    jwts = {"jwt": {**HS256, "cookie": "session"}}
    for settings in ({"allowed_origins": ["*"]}, {"access": {"origins": ["*"]}},
                     {"allowed_origins": ["https://a.example"]}):
        d = guarded({"path": "/ws", "behaviour": "echo", "access": jwts}, start=False, **settings)
        r = run_program("-t", "-c", d.file)
        assert r.returncode == 0, r
    wrong(daemon, {**HS256, "cookie": "a b", "query": "since"}, '"cookie" must be a name without spaces',
          '"query" must not be "since"', '"cookie" is sent by browsers')


# --- beside tokens ---


def test_beside_tokens(guarded):
    access = {"jwt": HS256, "tokens": "users", "satisfy": "any"}
    d = guarded({"path": "/ws", "behaviour": "echo", "access": access}, start=False)
    write_users(d, line("ben", "the-token-of-ben"))
    d.start()
    enters(d, SHOP.sign("HS256"))
    enters(d, "the-token-of-ben", user="ben")
    refused(d, 401, "bad-token", headers=bearer("neither"))
    said(d, SHOP.sign("HS256", exp=1), r'its "exp" is \d+ s ago', word="token-expired")
    refused(d, 401, "no-credentials")
    # the line is gone, and the token is none that is signed
    with enter(d, "the-token-of-ben") as ben, enter(d, SHOP.sign("HS256")) as c:
        write_users(d, line("carl", "x"))
        d.reload()
        ben.closed(1008, "access-changed")
        assert heard(c) == "hi"


# --- while it is open ---


ROOM = {"path": "/c/{room}", "behaviour": "room", "format": "both", "access": {"jwt": HS256}}
# a token is to live as long as it takes to come in with it, and to be waited for
SOON = int(2 * SLOW)


def renewal(token, sep=","):
    return text(f'{{"ignyx":{sep[1:]}"token"{sep}"token":"{token}"}}')


def envelopes(d, token, path="/c/a"):
    c = Raw(d.address).upgrade(path, headers={**bearer(token), **PROTOCOL})
    assert json.loads(c.text())["type"] == "joined"
    return c


def test_it_expires(guarded):
    d = guarded(endpoint(), ROOM, endpoint("/late", leeway=f"{SOON}s"))
    exp = time.time() + SOON
    soon = SHOP.sign("HS256", exp=exp)
    mark = d.log_size()
    with enter(d, soon) as c, envelopes(d, soon) as told, enter(d, soon, "/c/a") as plain, \
            enter(d, soon, "/late") as late, enter(d, SHOP.sign("HS256")) as other:
        warned = json.loads(told.text())
        assert warned["type"] == "token-expires" and warned["expires"] == round(exp), warned
        assert 0 <= warned["in"] <= SOON, warned
        for x in (c, told, plain):
            x.closed(1008, "token-expired")
            assert time.time() >= exp
            x.socket.close()
        d.log_count(r"closed .*user=anna code=1008 reason=token-expired", 3, mark)
        assert heard(late) == "hi" and heard(other) == "hi"
        late.closed(1008, "token-expired")
        assert time.time() >= exp + SOON
        wait_until("they are counted", lambda: [
            n for (name, labels), n in scrape(d).items() if name == "ignyxd_connections_closed_total"
            and 'reason="token-expired"' in labels] == [4])


def test_who_is_told_when(guarded):
    """A minute ahead, and once."""
    d = guarded(ROOM)
    with envelopes(d, SHOP.sign("HS256")) as long, \
            envelopes(d, SHOP.sign("HS256", exp=time.time() + 60 + SOON)) as c:
        began = time.time()
        said = json.loads(c.text())
        assert said["type"] == "token-expires" and 50 < said["in"] <= 60, said
        assert time.time() - began > SOON / 2
        for x in (c, long):
            x.send(text('{"ignyx":"position"}'))
            assert json.loads(x.text())["type"] == "position"


def test_a_new_token(guarded):
    d = guarded(endpoint(), ROOM)
    soon = SHOP.sign("HS256", exp=time.time() + SOON)
    exp = int(time.time()) + 1800
    new = SHOP.sign("HS256", exp=exp)
    with enter(d, soon) as c, envelopes(d, soon) as told, enter(d, soon, "/c/a") as plain:
        assert json.loads(told.text())["type"] == "token-expires"
        c.send(renewal(new))
        plain.send(renewal(new, ", "))
        told.send(renewal(new))
        got = json.loads(told.text())
        assert got["type"] == "token" and got["expires"] == exp and 1700 < got["in"] <= 1800, got
        with enter(d, soon) as witness:
            witness.closed(1008, "token-expired")
        # nobody has heard of it but the daemon
        plain.send(text("hi"))
        assert plain.text() == "hi" and heard(c) == "hi"
        assert json.loads(told.text())["data"] == "hi"
    assert new not in d.log()


def test_a_new_token_without_an_end(guarded):
    d = guarded({**ROOM, "access": {"jwt": {**HS256, "require_exp": False}}})
    with envelopes(d, SHOP.sign("HS256", exp=None)) as c:
        c.send(renewal(SHOP.sign("HS256", exp=None)))
        assert json.loads(c.text()) == {"type": "token", "expires": None, "in": None}


@pytest.mark.parametrize("new, word", [
    (lambda: SHOP.sign("HS256", role="a", exp=1), "token-expired"),
    (lambda: SHOP.sign("HS256", role="a", sub="ben"), "not-allowed"),
    (lambda: Key(b"y" * 64).sign("HS256"), "bad-token"), (lambda: "", "bad-token"),
    (lambda: "x" * 20000, "bad-token"), (lambda: SHOP.sign("HS256", role=None), "not-allowed"),
    (lambda: '","token":"', "bad-token"), (lambda: "\\u0000", "bad-token")])
def test_a_new_token_that_is_none(guarded, new, word):
    d = guarded(endpoint(required={"role": "a"}))
    with enter(d, SHOP.sign("HS256", role="a")) as c:
        c.send(renewal(new()))
        c.closed(1008, word)


def test_new_tokens_count_as_at_the_door(guarded):
    """Who guesses by them is not listened to either, and then not even a good one is looked at."""
    d = guarded(auth_failures="1/h", auth_penalty="1h")
    with enter(d, SHOP.sign("HS256")) as a, enter(d, SHOP.sign("HS256")) as b:
        a.send(renewal(Key(b"y" * 64).sign("HS256")))
        a.closed(1008, "bad-token")
        refused(d, 429, "too-many-failures", headers=bearer(SHOP.sign("HS256")))
        assert heard(b) == "hi"
        b.send(renewal(SHOP.sign("HS256")))
        b.closed(1013, "too-many-failures")


def test_what_is_no_new_token(guarded):
    """Of who has come by something else, and texts that only look like one."""
    access = {"jwt": HS256, "tokens": "users", "satisfy": "any"}
    d = guarded({"path": "/ws", "behaviour": "echo", "access": access}, start=False)
    write_users(d, line("ben", "the-token-of-ben"))
    d.start()
    words = '{"ignyx":"token","token":"x"}'
    with enter(d, "the-token-of-ben") as ben, enter(d, SHOP.sign("HS256")) as anna:
        assert heard(ben, words) == words
        for said in ('{"ignyx":"tokens"}', '{"ignyx":"toke', '{"ignyx":', '{"ignyx":token}', ' ' + words):
            assert heard(anna, said) == said


def test_a_longer_leeway_keeps_it(guarded):
    d = guarded()
    with enter(d, SHOP.sign("HS256", exp=time.time() + SOON)) as c:
        d.change(endpoints=[endpoint(leeway="5m")])
        d.reload()
        with enter(d, SHOP.sign("HS256", exp=time.time() - 300 + SOON)) as witness:
            witness.closed(1008, "token-expired")
        assert heard(c) == "hi"


# --- the first message ---


def late(path="/ws", behaviour="echo", **settings):
    e = endpoint(path, behaviour, first_message=True, **settings)
    return {**e, "format": "both"} if behaviour == "room" else e


def auth(token):
    return text(json.dumps({"ignyx": "auth", "token": token}))


def test_the_first_message(guarded):
    d = guarded(late(), late("/c/{room}", "room", required={"room": "{room}"}))
    mark = d.log_size()
    with enter(d) as c, Raw(d.address).upgrade("/c/a", headers=PROTOCOL) as member, \
            enter(d, SHOP.sign("HS256", room="a"), "/c/a") as other:
        # it is in no room, and nobody is told that it is open
        c.send(auth(SHOP.sign("HS256")), text("hi"))
        assert c.text() == "hi"
        other.send(text("nobody else hears that"))
        assert other.text() == "nobody else hears that"
        member.send(auth(SHOP.sign("HS256", room=["a"])))
        joined = json.loads(member.text())
        assert joined["type"] == "joined" and joined["members"] == 2 and joined["room"] == "/c/a", joined
        other.send(text("hi"))
        assert json.loads(member.text())["data"] == "hi"
        d.log_count(r"opened .*user=anna$", 3, mark)
        rooms = {x["user"] for x in ask(d, "/connections")[1]["connections"]}
        assert rooms == {"anna"}
    # who shows one in the request has said it
    with enter(d, SHOP.sign("HS256")) as c:
        assert heard(c) == "hi"
    said(d, SHOP.sign("HS256", exp=1), r'its "exp" is \d+ s ago', word="token-expired")


@pytest.mark.parametrize("message, word", [
    (lambda: text("hi"), "no-credentials"), (lambda: text(""), "no-credentials"),
    (lambda: frame(BINARY, b'{"ignyx":"auth"}'), "no-credentials"), (lambda: text('{"ignyx":"auth"}'), "no-credentials"),
    (lambda: text('{"ignyx":"auth","token":7}'), "no-credentials"), (lambda: auth(""), "bad-token"),
    (lambda: text('{"ignyx":"token","token":"' + SHOP.sign("HS256") + '"}'), "no-credentials"),
    (lambda: auth(SHOP.sign("HS256", exp=1)), "token-expired"), (lambda: auth(Key(b"y" * 64).sign("HS256")), "bad-token"),
    (lambda: auth(SHOP.sign("HS256", role="b")), "not-allowed"), (lambda: auth("x" * 16385), "bad-token")])
def test_a_first_message_that_is_none(guarded, message, word):
    d = guarded(late(required={"role": "a"}))
    mark = d.log_size()
    with enter(d) as c:
        c.send(message(), auth(SHOP.sign("HS256", role="a")))
        c.closed(1008, word)
        c.socket.close()
    d.log_contains(rf"refused .*reason={word}$", mark)
    d.log_contains(rf"closed .*code=1008 reason={word}$", mark)


def test_a_first_message_that_is_too_long(guarded):
    d = guarded(late(), max_message="1K")
    with enter(d) as c:
        c.send(text("x" * 17000))
        c.closed(1009, "message-too-big")
    # a token may be longer than what is said then
    with enter(d) as c:
        c.send(auth(SHOP.sign("HS256", fill="x" * 8000)), text("hi"))
        assert c.text() == "hi"
        c.send(text("x" * 1025))
        c.closed(1009, "message-too-big")


def test_no_first_message(guarded):
    d = guarded(late(auth_timeout="200ms"), late("/c/{room}", "room", auth_timeout="200ms"), late("/long"))
    mark = d.log_size()
    with enter(d, path="/long") as waits:
        for path in ("/ws", "/c/a"):
            with enter(d, path=path) as c:
                c.closed(1008, "no-credentials")
        d.log_count(r"closed .*code=1008 reason=no-credentials$", 2, mark)
        # what it goes away without is nothing
        with enter(d, path="/c/a"):
            pass
        waits.send(auth(SHOP.sign("HS256")))
        assert heard(waits) == "hi"
    assert not ask(d, "/rooms")[1]["rooms"]


def test_first_message_is_late_for_the_path_of_another(guarded):
    d = guarded(late("/u/{user}"))
    for user, word in (("anna", None), ("ben", "not-allowed")):
        with enter(d, path=f"/u/{user}") as c:
            c.send(auth(SHOP.sign("HS256")))
            if word:
                c.closed(1008, word)
            else:
                assert heard(c) == "hi"


def test_who_is_known_by_the_first_message_counts(guarded):
    """Of a user's connections, and of his address's failures, as if he had said it in the request."""
    d = guarded(late(), max_connections_per_user=1, over_user="oldest")
    with enter(d) as a, enter(d) as b, enter(d) as c:
        for waits, other in ((b, None), (a, b)):
            waits.send(auth(SHOP.sign("HS256")))
            assert heard(waits) == "hi"
            if other:
                other.closed(1008, "replaced")
        d.change(over_user="refuse")
        d.reload()
        c.send(auth(SHOP.sign("HS256")))
        c.closed(1013, "too-many-from-user")
        assert heard(a) == "hi"
        d.change(max_connections_per_user=0, auth_failures="1/h", auth_penalty="1h")
        d.reload()
        with enter(d) as early, enter(d) as late_one:
            early.send(auth(Key(b"y" * 64).sign("HS256")))
            early.closed(1008, "bad-token")
            late_one.send(auth(SHOP.sign("HS256")))
            late_one.closed(1013, "too-many-failures")


def test_first_message_beside_others(guarded):
    """What the rest of the rules asks for is asked at the door."""
    access = {"jwt": {**HS256, "first_message": True}, "tokens": "users", "satisfy": "any"}
    d = guarded({"path": "/ws", "behaviour": "echo", "access": access},
                {**late("/must"), "subprotocols": ["chat"], "require_subprotocol": True}, start=False)
    write_users(d, line("ben", "the-token-of-ben"))
    d.start()
    refused(d, 401, "bad-token", headers=bearer("none-of-them"))
    refused(d, 400, "subprotocol-required", "/must")
    enters(d, "the-token-of-ben", user="ben")
    with enter(d) as c:
        c.send(auth(SHOP.sign("HS256")))
        assert heard(c) == "hi"


def test_first_message_and_a_full_room(guarded):
    d = guarded({**late("/c/{room}", "room"), "max_members": 1, "max_connections_per_user": 2}, late())
    token = SHOP.sign("HS256")
    with enter(d, path="/c/a") as one, enter(d, path="/c/a") as two:
        one.send(auth(token), text("hi"))
        assert one.text() == "hi"
        two.send(auth(token))
        two.closed(1013, "room-full")


def test_first_message_over_a_reload(guarded):
    d = guarded(late(), late("/c/{room}", "room"))
    with enter(d) as c, Raw(d.address).upgrade("/c/a", headers=PROTOCOL) as member:
        d.change(endpoints=[late(leeway="1s"), late("/c/{room}", "room", issuer="a")])
        d.reload()
        c.send(auth(SHOP.sign("HS256")), text("hi"))
        assert c.text() == "hi"
        member.send(auth(SHOP.sign("HS256", iss="a")))
        assert json.loads(member.text())["room"] == "/c/a"
    with enter(d) as c:
        d.change(endpoints=[endpoint()])
        d.reload()
        c.closed(1008, "access-changed")


def test_first_message_over_a_reload_to_stricter_rules(daemon, pki):
    """Who waits is judged as at the door, in all but the token that it has not said."""
    jwts = {**HS256, "first_message": True}
    listens = [listener(pki.ec, verify="optional", client_ca=pki.root.certificate)]
    pump = client(pki.root, pki.root.pair("DNS:pump.test", subject="/CN=pump"))

    def asks(**access):
        return [{"path": "/ws", "behaviour": "echo", "access": {"jwt": jwts, **access}}]
    d = daemon({"listen": listens, "endpoints": asks()}, start=False)
    write(d, "secret", SECRET)
    d.start()
    with Raw(d.address, tls=client(pki.root)).upgrade("/ws") as none, Raw(d.address, tls=pump).upgrade("/ws") as one, \
            Raw(d.address, tls=client(pki.root)).upgrade("/ws") as early:
        early.send(auth(SHOP.sign("HS256")))
        assert heard(early) == "hi"
        d.change(endpoints=asks(client_certificates=["CN=pump"]))
        d.reload()
        for x in (none, early):
            x.closed(1008, "access-changed")
        # and again, by rules that it keeps
        d.change(endpoints=asks(client_certificates=["CN=pump", "CN=other"]))
        d.reload()
        one.send(auth(SHOP.sign("HS256")))
        assert heard(one) == "hi"
    with Raw(d.address, tls=client(pki.root)) as none:
        none.send(request("/ws"))
        assert none.response().status == 403


# --- a reload ---


def test_a_key_that_goes(guarded):
    old, new = Key(new_ec(), "old"), Key(new_ec(), "new")
    jwts = {"keys": "set.json", "algorithms": ["ES256"]}
    d = guarded({"path": "/ws", "behaviour": "echo", "access": {"jwt": jwts}}, files={"set.json": [old]})
    with enter(d, old.sign("ES256")) as c:
        said(d, new.sign("ES256"), "no key of its .*")
        write(d, "set.json", [old, new])
        mark = d.log_size()
        d.reload()
        d.log_contains("1 connections kept, 0 closed", mark)
        with enter(d, new.sign("ES256")) as other:
            write(d, "set.json", [new])
            shown = ctl("-s", own(d), "reload", "--dry-run")
            assert re.search(r"access\.jwt\.keys.*old \(goes\)", shown.stdout, re.DOTALL), shown.stdout
            mark = d.log_size()
            d.reload()
            c.closed(1008, "access-changed")
            d.log_contains("1 connections kept, 1 closed", mark)
            assert heard(other) == "hi"
        # of another name it is the same key
        write(d, "set.json", [Key(new.private, "renamed")])
        with enter(d, Key(new.private).sign("ES256")) as c:
            d.reload()
            assert heard(c) == "hi"


def test_one_key_for_two_algorithms(guarded, every):
    """Twice in a set, each time for another: neither closes who came by the other."""
    pair = every["RS256"].private
    keys = [Key(pair, "r", alg="RS256"), Key(pair, "p", alg="PS256")]
    jwts = {"keys": "set.json", "algorithms": ["RS256", "PS256"]}
    d = guarded({"path": "/ws", "behaviour": "echo", "access": {"jwt": jwts}}, files={"set.json": keys})
    with enter(d, keys[0].sign("RS256")) as a, enter(d, keys[1].sign("PS256")) as b:
        d.reload()
        assert heard(a) == "hi" and heard(b) == "hi"
        write(d, "set.json", keys[:1])
        shown = ctl("-s", own(d), "reload", "--dry-run")
        assert re.search(r"access\.jwt\.keys.*p \(goes\)", shown.stdout, re.DOTALL), shown.stdout
        d.reload()
        b.closed(1008, "access-changed")
        assert heard(a) == "hi"


@pytest.mark.parametrize("stricter", [
    {"issuer": "https://b.example"}, {"audience": "b"}, {"required": {"role": "owner"}},
    {"required": {"role": "admin", "more": 1}}, {"user": "name"}, {"algorithms": ["HS384"]},
    {"key": "other"}])
def test_rules_that_become_stricter(guarded, stricter):
    was = {"issuer": "https://a.example", "audience": "a", "required": {"role": "admin"}}
    d = guarded(endpoint(**was), files={"other": SECRET[1:] + b"y"})
    token = SHOP.sign("HS256", iss="https://a.example", aud="a", role="admin", name="x")
    with enter(d, token) as c:
        d.change(endpoints=[endpoint(**was, leeway="1s")])
        d.reload()
        assert heard(c) == "hi"
        d.change(endpoints=[endpoint(**{**was, **stricter})])
        d.reload()
        c.closed(1008, "access-changed")


def test_who_came_without(guarded):
    d = guarded({"path": "/ws", "behaviour": "echo"})
    with enter(d) as c:
        d.change(endpoints=[endpoint()])
        d.reload()
        c.closed(1008, "access-changed")
    with enter(d, SHOP.sign("HS256")) as c:
        d.change(endpoints=[{"path": "/ws", "behaviour": "echo"}])
        d.reload()
        assert ask(d, "/connections?user=anna")[1]["connections"][0]["user"] == "anna"
        d.change(endpoints=[endpoint()])
        d.reload()
        assert heard(c) == "hi"


def test_the_group_of_an_endpoint_stands_for_itself(guarded):
    top = {"access": {"jwt": {**HS256, "issuer": "a", "required": {"x": 1}}}}
    d = guarded({"path": "/top", "behaviour": "echo"}, endpoint("/own"),
                {"path": "/origin", "behaviour": "echo", "access": {"origins": ["https://a.example"]}},
                {"path": "/free", "behaviour": "echo", "access": {"jwt": {}}}, **top)
    token = SHOP.sign("HS256", iss="a", x=1)
    enters(d, token, "/top")
    assert answer(d.address, "/origin", {**bearer(token), "Origin": "https://a.example"}).status == 101
    said(d, SHOP.sign("HS256"), 'it has no "iss"', path="/top")
    enters(d, SHOP.sign("HS256"), "/own")
    assert answer(d.address, "/free").status == 101


# --- the settings ---


def wrong(daemon, jwts, *errors, files=None, path="/ws"):
    d = daemon({"endpoints": [{"path": path, "behaviour": "echo", "access": {"jwt": jwts}}]}, start=False)
    for name, content in {"secret": SECRET, **(files or {})}.items():
        write(d, name, content)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == FAILED, r
    for e in errors:
        assert re.search(e, r.stderr), (e, r.stderr)
    assert SECRET.decode() not in r.stderr
    d.expect_error("not started: ")
    d.refuses(*errors)


@pytest.mark.parametrize("jwts, error", [
    ({"issuer": "a"}, r'access: jwt needs? "keys", the file of a JWK set, or "key"|needs "keys", the file'),
    ({**HS256, "keys": "set.json"}, 'has both "keys" and "key"'),
    ({"key": "secret"}, 'needs "algorithms", those that your issuer signs with'),
    ({"key": "secret", "algorithms": ["none"]}, 'has "none"; there are HS256.*ES512: a token without a signature'),
    ({"key": "secret", "algorithms": ["EdDSA"]}, 'has "EdDSA"; there are .*: libjose has no EdDSA'),
    ({"key": "secret", "algorithms": ["hs256"]}, 'has "hs256"; there are'),
    ({"key": "secret", "algorithms": ["RS256"]}, "has none that goes with any key: nobody could connect"),
    ({**HS256, "leeway": "301s"}, 'jwt: "leeway" must be from "0" to "5m"'),
    ({**HS256, "key": "missing"}, r'"key" "\S*/missing" cannot be read'),
    ({**HS256, "required": 7}, "has to be a group of claims"),
    ({**HS256, "required": {"a": []}}, "each with 1 to 64 values"),
    ({**HS256, "required": {"a": "{room}"}}, r': endpoint "/ws": access: jwt: "required" has a value with "\{room\}", a placeholder that the path "/ws" does not have'),
    ({**HS256, "required": ({"claim": "a"},)}, "has to be a group of claims"),
    ({**HS256, "required": ({"claim": 7, "value": "a"},)}, "has to be a group of claims"),
    ({**HS256, "required": {"a": ({"b": 1},)}}, "has to have strings, numbers and booleans"),
    ({**HS256, "publish": {"a": "b"}}, 'has a "jwt" with "publish", which is of rooms'),
    ({**HS256, "required": {f"c{i}": [f"v{j}" for j in range(60)] for i in range(18)}},
     r'jwt: "required" has more than the 1024 values of all claims together'),
    ({**HS256, "required": {"scope": "chat read"}}, 'has a value of "scope" with a space, which is between its words'),
    ({**HS256, "audience": 7}, '"audience" must be'), ({**HS256, "isuer": "a"}, "issuer")])
def test_wrong_settings(daemon, jwts, error):
    wrong(daemon, jwts, error)


def test_more_placeholders_than_a_path_has(daemon):
    wrong(daemon, {**HS256, "required": {f"c{x}": f"{{{x}}}" for x in "abcdefghi"}},
          r'has "\{i\}", and 8 other placeholders already: no path has more; "\{\{i\}" says it as it is',
          path="".join(f"/{{{x}}}" for x in "abcdefgh"))


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_that_is_too_large(guarded, number):
    """It ends nobody, neither at the start nor at a reload."""
    d = guarded()
    with enter(d, SHOP.sign("HS256")) as c:
        d.change(endpoints=[endpoint(required={"level": 12345.5})])
        with open(d.file, encoding="utf-8") as f:
            changed = f.read()
        assert "12345.5" in changed
        with open(d.file, "w", encoding="utf-8") as f:
            f.write(changed.replace("12345.5", number))
        r = run_program("-t", "-c", d.file)
        assert r.returncode == FAILED and "memory" not in r.stderr, r
        d.expect_error(".*")
        mark = d.log_size()
        d.reload(expect=False)
        d.log_contains("reload refused: ", mark)
        assert heard(c) == "hi"


def test_what_many_have_is_told_once(daemon):
    """With its own line, and the first endpoint for which it is wrong."""
    d = daemon({"access": {"jwt": {**HS256, "cookie": "session", "required": {"a": ["x", "{room}"], "b": "{room}"},
                                   "publish": {"c": "{user}"}}},
                "endpoints": [{"path": p, "behaviour": "echo"} for p in ("/c/{room}", "/x", "/y", "/u/{user}")]},
               start=False)
    write(d, "secret", SECRET)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == FAILED, r
    with open(d.file, encoding="utf-8") as f:
        written = f.read().splitlines()
    for key, text, path in (("cookie", "cookie", "/c/{room}"), ("required", "{room}", "/x"),
                            ("publish", "{user}", "/c/{room}")):
        at = next(i for i, x in enumerate(written, 1) if text in x and "path" not in x)
        said = re.findall(rf':(\d+): access: jwt: "{key}" .*', r.stderr)
        assert said == [str(at)], (key, r.stderr, written)
        assert re.search(rf'"{key}" .*"{re.escape(path)}"', r.stderr), r.stderr


def test_many_endpoints_have_long_rules(daemon):
    """They are there once: with 1,024 values of four placeholders it takes no more memory with more endpoints."""
    values = [f"{{room}}-{{room}}-{{room}}-{{room}}-{i}" for i in range(64)]
    rules = {f"c{i}": values for i in range(16)}

    def needs(n):
        d = daemon({"access": {"jwt": {**HS256, "required": rules, "publish": rules}}, "endpoints": [
            {"path": f"/e{i}/{{room}}", "behaviour": "room"} for i in range(n)]}, start=False)
        write(d, "secret", SECRET)
        code = ("import resource, subprocess, sys; p = subprocess.run(sys.argv[1:]); "
                "print(p.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        r = subprocess.run([sys.executable, "-c", code, PROGRAM, "-t", "-c", d.file], check=True, timeout=60 * SLOW,
                           capture_output=True, text=True)
        status, kib = r.stdout.split()[-2:]
        assert status == "0", r
        return int(kib)
    # of each endpoint's own there are some KiB, and the rules have 90 as they are written
    few, many = needs(100), needs(1100)
    assert many - few < 1000 * 40, (few, many)


@pytest.mark.parametrize("name, content, algorithms, error", [
    ("key", b"short\n", ["HS256"], r"/file: the key is a secret of less than 32 bytes"),
    ("key", b"x" * 63, ["HS256", "HS512"], '"key" is a secret of 63 bytes, and HS512 needs 64'),
    ("key", b"-----BEGIN RSA-----\n", ["RS256"], "/file: the key is no public key"),
    ("keys", b"{\n\n}x", ["RS256"], r"/file:3: the file is no JSON"),
    ("keys", b"{}", ["RS256"], "/file: the file is no JWK set"),
    ("keys", [], ["RS256"], "/file: the set has no key"),
    ("keys", [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}], ["RS256"], "/file: the key 1 of \"keys\" is of RSA and has"),
    ("keys", [{"kty": "oct", "k": "AAAA"}], ["HS256"], "/file: the key 1 of \"keys\" is a secret of less than")])
def test_bad_files(daemon, name, content, algorithms, error):
    wrong(daemon, {name: "file", "algorithms": algorithms}, error, files={"file": content})


@pytest.mark.parametrize("ahead", [b"\n", b"\xef\xbb\xbf", b"# of our issuer\n"])
def test_a_public_key_is_no_secret(daemon, every, ahead):
    """Else everybody who has it could sign."""
    wrong(daemon, {"key": "key.pem", "algorithms": ["HS256", "RS256"]},
          r'/key.pem: the key does not begin with "-----BEGIN", and has that further on: take out',
          files={"key.pem": ahead + every["RS256"].pem()})


def at_a_terminal(*args):
    """What a program says there; a question would wait for its answer."""
    here, there = pty.openpty()
    with subprocess.Popen(args, stdin=there, stdout=there, stderr=there, start_new_session=True,
                          preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) as p:
        try:
            assert p.wait(20 * SLOW) == FAILED
        finally:
            p.kill()
            os.set_blocking(here, False)
            said = os.read(here, 65536).decode()
            os.close(here)
            os.close(there)
    return said


def test_nobody_is_asked_for_a_passphrase(daemon):
    """Neither the terminal nor whoever there is."""
    head = b"-----BEGIN %s-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n" \
        b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n-----END %s-----\n"
    for what, jwts, listens in (
            (b"PUBLIC KEY", {"key": "key.pem", "algorithms": ["ES256"]}, {}),
            (b"CERTIFICATE", HS256, {"tls": {"certificates": [{"certificate": "key.pem", "key": "key.pem"}]}})):
        d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "access": {"jwt": jwts}}],
                    "listen": [{"address": "127.0.0.1", "port": 0, **listens}]}, start=False)
        write(d, "secret", SECRET)
        write(d, "key.pem", head % (what, what))
        said = at_a_terminal(PROGRAM, "-t", "-c", d.file)
        assert "pass phrase" not in said, said
        assert "is no public key" in said or "has a certificate that cannot be read" in said, said


def test_keys_of_other_kinds(daemon, every):
    for key, error in ((Key(new_rsa(1024)), "less than 2048 or more than 4096 bits"),
                       (Key(new_ed25519()), "neither RSA nor EC")):
        wrong(daemon, {"key": "key.pem", "algorithms": ["RS256"]}, error, files={"key.pem": key.pem()})
    wrong(daemon, {"key": "key.pem", "algorithms": ["RS256"]}, "is a private one: .*-pubout",
          files={"key.pem": every["RS256"].private_pem()})


def test_warnings(daemon, every):
    jwts = {"keys": "set.json", "algorithms": ["HS256", "RS256", "ES512"]}
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "access": {"jwt": jwts}}]}, start=False)
    write(d, "set.json", [every["HS256"], every["RS256"], {"kty": "OKP", "crv": "Ed25519", "x": "AA"}], 0o644)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == 0, r
    for warning in (r"has mode 0644, by which every user of this machine may read the secret",
                    r'set.json: the key 3 of "keys" is of a kind that is not known here',
                    r'"algorithms" has "ES512", and no key is of its type'):
        assert re.search(warning, r.stderr), (warning, r.stderr)


def test_both_want_the_bearer(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "access": {
        "jwt": HS256, "tokens": "users"}}]}, start=False)
    write(d, "secret", SECRET)
    write_users(d, line("ben", "x"))
    r = run_program("-t", "-c", d.file)
    assert r.returncode == FAILED and 'set "satisfy" to "any"' in r.stderr, r


def test_a_bad_file_keeps_the_old_one(guarded):
    d = guarded()
    with enter(d, SHOP.sign("HS256")) as c:
        path = write(d, "secret", b"too short")
        for e in (rf"{re.escape(path)}: the key is a secret of less than 32 bytes", "reload refused: "):
            d.expect_error(e)
        mark = d.log_size()
        d.reload(expect=False)
        d.log_contains(r"the key is a secret of less than", mark)
        assert heard(c) == "hi"
        enters(d, SHOP.sign("HS256"))


def test_what_is_known_of_it(guarded):
    d = guarded()
    token = SHOP.sign("HS256", exp=1)
    refused(d, 401, "token-expired", headers=bearer(token))
    wait_until("it is counted", lambda: scrape(d).get(
        ("ignyxd_connections_refused_total", 'reason="token-expired"')) == 1)
    wait_until("it is told", lambda: "token-expired" in ctl("-s", own(d), "why", "127.0.0.1").stdout)
    assert token not in d.log() and SECRET.decode() not in json.dumps(ask(d, "/config")[1])


def test_in_texts(guarded):
    d = guarded({"path": "/r/{room}", "behaviour": "room", "prefix": "{user}@{room}: ",
                 "access": {"jwt": {**HS256, "required": {"room": "{room}"}}}})
    with enter(d, SHOP.sign("HS256", room="*"), "/r/x") as c:
        c.send(text("hi"))
        assert c.text() == "anna@x: hi"


# --- offline ---


def explained(d, token, path, *more):
    """What ignyxctl says of a token that it reads from a file, and from stdin."""
    name = write(d, "token", token + "\n")
    by_file = ctl("token", "check", name, "--endpoint", path, "-c", d.file, *more)
    with open(name, encoding="utf-8") as f:
        by_stdin = subprocess.run([os.path.join(os.path.dirname(PROGRAM), "ignyxctl"), "token", "check", "-",
                                   "--endpoint", path, "-c", d.file], stdin=f, capture_output=True, text=True,
                                  check=False, timeout=DEADLINE)
    assert (by_stdin.returncode, by_stdin.stdout) == (by_file.returncode, by_file.stdout)
    return by_file


def test_explained(guarded):
    d = guarded(endpoint("/c/{room}", "room", audience="chat", issuer="a", required={"room": "{room}"},
                         publish={"speak": True}), {"path": "/free", "behaviour": "echo"}, start=False)
    good = explained(d, SHOP.sign("HS256", room="x", aud="chat", iss="a", note="\u009b31m"), "/c/x")
    assert good.returncode == 0, good
    assert good.stdout.count("\nyes ") == 8 and "no     publish: who has it may listen only" in good.stdout
    assert '"room": "x"' in good.stdout and "\\u009B" in good.stdout and "\u009b" not in good.stdout
    assert good.stdout.endswith("/c/x would let in who has it\n")
    bad = explained(d, "Bearer " + SHOP.sign("HS256", room="y", exp=1, aud="push"), "/c/x")
    assert bad.returncode == 1, bad
    for rule in (r'no +issuer: it has no "iss"', r'no +audience: its "aud" is none', r'no +exp and nbf: its "exp" is',
                 r'no +required: its claim "room"', "yes +user", "yes +key", "/c/x would refuse who has it"):
        assert re.search(rule, bad.stdout), (rule, bad.stdout)
    forged = explained(d, Key(b"y" * 64).sign("HS256", room="x", aud="chat", iss="a"), "/c/x")
    assert forged.returncode == 1 and "no     key: its signature is not good" in forged.stdout, forged
    for token, said_so in (("x" * 20000, "longer than 16 KiB"), ("", "no three parts"), ("a.b.c", "not base64url")):
        assert f"no     form: it is {said_so}" in explained(d, token, "/c/x").stdout or \
            f"no     form: it has {said_so}" in explained(d, token, "/c/x").stdout
    for path, error in (("/free", "asks for no JSON Web Token"), ("/none", "no endpoint has the path")):
        r = explained(d, "x", path)
        assert r.returncode == 1 and error in r.stderr, r
    assert SECRET.decode() not in good.stdout + bad.stdout + forged.stdout


def test_explained_of_nothing(guarded):
    d = guarded(start=False)
    for words, error in ((("x",), "--endpoint PATH"), (("x", "y", "--endpoint", "/ws"), "--endpoint PATH")):
        r = ctl("token", "check", *words)
        assert r.returncode == 2 and error in r.stderr, r
    r = ctl("token", "check", os.path.join(d.directory, "missing"), "--endpoint", "/ws", "-c", d.file)
    assert r.returncode == 1 and "No such file" in r.stderr, r
    r = ctl("token", "check", d.file, "--endpoint", "/ws", "-c", "/nonexistent")
    assert r.returncode == 1 and "/nonexistent" in r.stderr, r
