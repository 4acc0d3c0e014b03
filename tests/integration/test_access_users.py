"""Who may come in with a password: users, their file, and who waits for whom meanwhile."""

import base64
import contextlib
import ctypes
import json
import os
import re
import select
import signal

import pytest

import tokens
import way
from asking import ask, own, scrape
from harness import DEADLINE, FAILED, run_program, wait_until
from pretend import ctl
from raw import Raw, request, text
from test_access import bearer, line, write_users

SALT = "012345678901234567890e"
GUARDED = {"path": "/ws", "behaviour": "echo", "access": {"users": "users"}}
ONE = {"workers": 1, "handshake_timeout": "50m"}
# one address may have so many in the line, and of all together this is what there is
MOST_OF_ONE = 16

library = ctypes.CDLL("libcrypt.so.1")
library.crypt.restype = ctypes.c_char_p


def crypted(password, setting="$2b$04$" + SALT):
    password = password.encode() if isinstance(password, str) else password
    return library.crypt(password, setting.encode()).decode()


def user(name, password, setting="$2b$04$" + SALT):
    return f"{name}:{crypted(password, setting)}"


# it takes most of a second
SLOW = f"$2b$14${SALT}" + "0" * 31
QUICK = [user("anna", "secret"), user("ben", "other", "$6$rounds=1000$salt"),
         user("zoe", "third", "$y$j75$salt"), user("carl", "fourth", "$5$rounds=1000$salt")]


def basic(name, password):
    def encoded(x):
        return x.encode() if isinstance(x, str) else x

    return {"Authorization": "Basic " + base64.b64encode(encoded(name) + b":" + encoded(password)).decode()}


@pytest.fixture
def guarded(daemon):
    def make(*endpoints, users=QUICK, **settings):
        d = daemon({"endpoints": list(endpoints) or [GUARDED], **settings}, start=False)
        write_users(d, *users)
        return d.start()
    return make


def ask_in(d, headers=None, path="/ws", address=None, ahead=b""):
    """A client that asks to be let in, and its request."""
    c = Raw(address or d.address)
    try:
        return c.send(ahead, request(path, headers=headers))
    except OSError:
        c.socket.close()
        raise


def answer(d, headers=None, path="/ws", **kw):
    with ask_in(d, headers, path, **kw) as c:
        return c.response()


def refused(d, status, word, headers=None, path="/ws"):
    mark = d.log_size()
    r = answer(d, headers, path)
    assert r.status == status and r.body.decode().startswith(word + ": "), (r.status, r.body)
    d.log_contains(rf"refused .* with {status}: .*code={status} reason={word}$", mark)
    return r


@contextlib.contextmanager
def enter(d, name, password, path="/ws"):
    with Raw(d.address) as c:
        yield c.upgrade(path, headers=basic(name, password))


def heard(c, said="hi"):
    return c.send(text(said)).text()


def checked(d):
    return scrape(d)[("ignyxd_passwords_checked_total", "")]


def waiting(d):
    return scrape(d)[("ignyxd_passwords_waiting", "")]


# --- who comes in ---


@pytest.mark.parametrize("name, password", [
    ("anna", "secret"), ("ben", "other"), ("zoe", "third"), ("carl", "fourth")])
def test_a_right_one(guarded, name, password):
    d = guarded()
    with enter(d, name, password) as c:
        assert heard(c) == "hi"
        d.log_contains(rf"opened /ws .*endpoint=/ws{way.PROXIED} user={name}$")
        assert ask(d, f"/connections?user={name}")[1]["connections"][0]["user"] == name
    d.log_contains(rf"closed /ws .*user={name} code=")
    for said in (password, base64.b64encode(f"{name}:{password}".encode()).decode()):
        assert said not in d.log()


def test_without_one(guarded):
    d = guarded()
    for headers in (None, bearer("secret"), {"Authorization": "Basic"}):
        r = refused(d, 401, "no-credentials", headers)
        assert r.header("www-authenticate") == 'Basic realm="ignyxd", charset="UTF-8"'


def without_date(r):
    return r.status, r.phrase, [h for h in r.headers if h[0] != "date"], r.body


def test_a_wrong_one(guarded):
    """Nobody is told who there is: neither by what he reads, nor by what it costs to find out."""
    d = guarded()
    said, cost = set(), []
    for name, password in (("anna", "wrong"), ("nobody", "wrong"), ("ben", "wrong"), ("nobody", "secret"),
                           ("anna", ""), ("", "secret"), ("anna", "secret "), ("Anna", "secret"),
                           ("anna", "x" * 256)):
        before = checked(d)
        r = refused(d, 401, "bad-password", basic(name, password))
        assert r.header("www-authenticate") == 'Basic realm="ignyxd", charset="UTF-8"'
        said.add(repr(without_date(r)))
        cost.append(checked(d) - before)
    assert len(said) == 1 and set(cost) == {1}, (said, cost)
    assert "wrong" not in d.log() and "nobody" not in d.log()


def test_what_cannot_be_one(guarded):
    """It is nobody's, and costs nothing."""
    d = guarded()
    for value in ("Basic :", "Basic YWI=", "Basic YTpi=", "Basic YTpi YTpi", "basic  ====",
                  "Basic " + "YTpi" * 1000, basic("anna", "x" * 257)["Authorization"],
                  basic("a" * 129, "x")["Authorization"], basic("an\0na", "x")["Authorization"],
                  basic("anna", "sec\0ret")["Authorization"]):
        refused(d, 401, "bad-password", {"Authorization": value})
    assert checked(d) == 0


@pytest.mark.parametrize("name, password", [
    ("josé", "p\u00e4ss\U0001f511"), ("anna maria", "with space"), ("x", "a:b::"), ("colon", ":"),
    ("bytes", b"\xff\xfe\x01"), ("n" * 128, "p" * 256), ("#not-first", "x")])
def test_odd_ones(daemon, name, password):
    d = daemon({"endpoints": [GUARDED]}, start=False)
    # bcrypt knows 72 bytes
    write_users(d, user(" " + name if name.startswith("#") else name, password, "$6$rounds=1000$salt"))
    if name.startswith("#"):
        name = "nobody"
        d.start()
        refused(d, 401, "bad-password", basic(name, password))
        return
    d.start()
    with enter(d, name, password) as c:
        assert heard(c) == "hi"
        d.log_contains(rf"opened /ws .* user=\"?{re.escape(name)}\"?$")
    wrong = password[:-1] + (b"x" if isinstance(password, bytes) else "x")
    if wrong != password:
        refused(d, 401, "bad-password", basic(name, wrong))


def test_nobody_at_all(guarded):
    d = guarded(users=["# nobody"])
    refused(d, 401, "bad-password", basic("anna", "secret"))
    assert checked(d) == 0


def test_a_request_in_pieces(guarded):
    """Also with what comes behind it, before it was answered."""
    d = guarded()
    whole = request(headers=basic("anna", "secret"))
    with Raw(d.address) as c:
        for i in range(0, len(whole), 7):
            c.send(whole[i:i + 7])
        assert c.response().status == 101 and heard(c) == "hi"
    with Raw(d.address) as c:
        c.send(request(headers=basic("ben", "other")), text("early"), text("still early"))
        assert c.response().status == 101
        assert c.text() == "early" and c.text() == "still early" and heard(c) == "hi"


def test_beside_many_subprotocols(guarded):
    d = guarded({**GUARDED, "subprotocols": ["last"], "require_subprotocol": True}, max_head="64K")
    many = ", ".join(f"p{i}" for i in range(8000)) + ", last"
    r = answer(d, {"Sec-WebSocket-Protocol": many, **basic("anna", "secret")})
    assert r.status == 101 and r.header("sec-websocket-protocol") == "last"


def test_a_path_is_its_users_alone(guarded):
    d = guarded({"path": "/users/{user}", "behaviour": "room", "prefix": "{user}: ",
                 "access": {"users": "users"}})
    with enter(d, "anna", "secret", "/users/anna") as c:
        assert heard(c) == "anna: hi"
    refused(d, 403, "not-allowed", basic("anna", "secret"), "/users/ben")


def test_what_is_inherited(daemon):
    d = daemon({"access": {"users": "users"}, "endpoints": [
        {"path": "/top", "behaviour": "echo"},
        {"path": "/own", "behaviour": "echo", "access": {"users": "others"}},
        {"path": "/free", "behaviour": "echo", "access": {"users": ""}}]}, start=False)
    write_users(d, user("anna", "secret"))
    write_users(d, user("anna", "other"), name="others")
    d.start()
    for path, password, status in (("/top", "secret", 101), ("/top", "other", 401), ("/own", "secret", 401),
                                   ("/own", "other", 101), ("/free", "x", 101)):
        assert answer(d, basic("anna", password), path).status == status, (path, password)


# --- beside others ---


def test_users_or_tokens(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "access": {
        "satisfy": "any", "tokens": "tokens", "users": "users"}}]}, start=False)
    write_users(d, user("anna", "secret"))
    write_users(d, line("ben", "token"), name="tokens")
    d.start()
    both = ['Bearer realm="ignyxd"', 'Basic realm="ignyxd", charset="UTF-8"']

    def challenges(r):
        return [v for n, v in r.headers if n == "www-authenticate"]

    assert challenges(refused(d, 401, "no-credentials")) == both
    assert challenges(refused(d, 401, "bad-password", basic("anna", "x"))) == both
    assert challenges(refused(d, 401, "bad-token", bearer("x"))) == [
        both[0] + ', error="invalid_token"', both[1]]
    with enter(d, "anna", "secret") as anna, Raw(d.address) as ben:
        ben.upgrade(headers=bearer("token"))
        assert heard(anna) == "hi" and heard(ben) == "hi"
        d.log_contains(r"opened /ws .*user=ben$")
        write_users(d, line("ben", "token"))
        write_users(d, user("anna", "secret"), name="tokens")
        d.reload(expect=False)
        write_users(d, user("anna", "new"))
        write_users(d, line("ben", "token"), name="tokens")
        d.reload()
        anna.closed(1008, "access-changed")
        assert heard(ben) == "hi"
    d.expect_error("reload refused")
    d.expect_error("the line has")


def test_both_at_once_is_wrong(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "access": {
        "tokens": "tokens", "users": "users"}}]}, start=False)
    write_users(d, *QUICK)
    write_users(d, name="tokens")
    d.expect_error("not started: ")
    d.refuses(d.place("access =") + r': .*access: "users" asks for "Authorization: Basic", and "tokens" for '
              r'"Authorization: Bearer" in its place: set "satisfy" to "any", or ask for one of them only')


def test_how_often_one_may_ask(guarded):
    """Who waits for an answer has asked once."""
    d = guarded(connection_rate_per_address="3/h")
    for headers, status in ((basic("anna", "secret"), 101), (basic("anna", "wrong"), 401),
                            (basic("ben", "other"), 101), (basic("anna", "secret"), 429)):
        assert answer(d, headers).status == status


def test_how_often_one_may_guess(guarded):
    d = guarded(auth_failures="3/h", workers=1)
    for guess in ("a", "b", "c"):
        refused(d, 401, "bad-password", basic("anna", guess))
    before = checked(d)
    refused(d, 429, "too-many-failures", basic("anna", "secret"))
    assert checked(d) == before


# --- beside JSON Web Tokens ---

JWT = {"key": "secret", "algorithms": ["HS256"]}


@pytest.fixture
def with_jwt(daemon):
    """A daemon that asks for passwords and for tokens of somebody else."""
    def make(satisfy, **jwt):
        d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "allowed_origins": ["https://a.example"],
                                   "access": {"satisfy": satisfy, "users": "users", "jwt": {**JWT, **jwt}}}]},
                   start=False)
        tokens.write(d, "secret", tokens.SECRET)
        write_users(d, *QUICK)
        return d
    return make


def test_a_token_and_a_password(with_jwt):
    """Where the token need not be where the password is."""
    d = with_jwt("all", cookie="session").start()
    token = tokens.Key(tokens.SECRET).sign("HS256", sub="ben")
    both = {"Cookie": f"session={token}", **basic("ben", "other")}
    with Raw(d.address) as c:
        c.upgrade(headers={"Origin": "https://a.example", **both})
        assert heard(c) == "hi"
        d.log_contains(r"opened /ws .*user=ben$")
        d.reload()
        assert heard(c) == "hi"
        write_users(d, QUICK[0])
        d.reload()
        c.closed(1008, "access-changed")
    origin = {"Origin": "https://a.example"}
    for headers, word in ((basic("anna", "secret"), "no-credentials"), ({"Cookie": both["Cookie"]}, "no-credentials"),
                          ({**both, **basic("anna", "x")}, "bad-password"),
                          ({"Cookie": "session=x", **basic("anna", "secret")}, "bad-token")):
        refused(d, 401, word, {**origin, **headers})
    r = refused(d, 403, "not-allowed", {**origin, "Cookie": both["Cookie"], **basic("anna", "secret")})
    assert "different users" in r.body.decode()


@pytest.mark.parametrize("jwt", [{}, {"first_message": True}, {"first_message": True, "cookie": "session"}])
def test_a_token_and_a_password_that_cannot_be(with_jwt, jwt):
    d = with_jwt("all", **jwt)
    d.expect_error("not started: ")
    d.refuses(r'access: "users" asks for "Authorization: Basic", and "jwt" for "Authorization: Bearer"')


def test_a_token_or_a_password(with_jwt):
    """Be it that a token comes late."""
    d = with_jwt("any", first_message=True).start()
    origin = {"Origin": "https://a.example"}
    token = tokens.Key(tokens.SECRET).sign("HS256")
    refused(d, 401, "bad-password", {**origin, **basic("anna", "x")})
    with Raw(d.address) as ben, Raw(d.address) as late:
        ben.upgrade(headers={**origin, **basic("ben", "other")})
        assert heard(ben) == "hi"
        d.log_contains(r"opened /ws .*user=ben$")
        late.upgrade(headers=origin)
        late.send(text(json.dumps({"ignyx": "auth", "token": token})))
        assert heard(late) == "hi"


# --- what is remembered ---


def test_who_comes_back_is_not_checked_again(guarded):
    d = guarded(workers=1)
    for _ in range(3):
        with enter(d, "anna", "secret") as c:
            assert heard(c) == "hi"
    assert checked(d) == 1
    for _ in range(3):
        refused(d, 401, "bad-password", basic("anna", "wrong"))
    assert checked(d) == 4
    with enter(d, "anna", "secret") as c:
        assert heard(c) == "hi"
    assert checked(d) == 4


def test_what_is_remembered_goes_with_the_line(guarded):
    d = guarded(workers=1)
    with enter(d, "anna", "secret"), enter(d, "ben", "other"):
        pass
    write_users(d, user("anna", "new"), QUICK[1])
    d.reload()
    refused(d, 401, "bad-password", basic("anna", "secret"))
    assert checked(d) == 3
    with enter(d, "anna", "new"), enter(d, "ben", "other"):
        assert checked(d) == 4


# --- the file, and reloads ---


def test_a_reload_judges_who_is_in(guarded):
    d = guarded()
    with enter(d, "anna", "secret") as anna, enter(d, "ben", "other") as ben, \
            enter(d, "zoe", "third") as zoe:
        mark = d.log_size()
        write_users(d, "# sorted anew", QUICK[2], QUICK[1], QUICK[0])
        d.reload()
        d.log_contains("3 connections kept, 0 closed", mark)
        write_users(d, user("anna", "secret", "$2b$04$" + SALT[::-1][:21] + "e"), QUICK[1])
        mark = d.log_size()
        d.reload()
        d.log_contains("1 connections kept, 2 closed", mark)
        for c in (anna, zoe):
            c.closed(1008, "access-changed")
            c.socket.close()
        assert heard(ben) == "hi"
        d.log_contains(r"closed /ws .*user=zoe code=1008 reason=access-changed", mark)


def test_what_a_reload_would_change(guarded):
    d = guarded()
    write_users(d, user("anna", "new"), *QUICK[1:], user("dora", "x"))
    shown = ctl("-s", own(d), "reload", "--dry-run")
    assert shown.returncode == 0, shown
    assert re.search(r"access\.users.*anna \(goes\).*anna \(new\).*dora \(new\)", shown.stdout, re.DOTALL), shown
    assert "ben" not in shown.stdout and "$2b$" not in shown.stdout


def test_a_bad_file_keeps_the_old_one(guarded):
    d = guarded()
    with enter(d, "anna", "secret") as c:
        path = write_users(d, QUICK[0], "ben:secret")
        d.expect_error(rf"{re.escape(path)}:2: the line has a HASH that is none of")
        d.expect_error("reload refused: ")
        d.reload(expect=False)
        assert heard(c) == "hi" and answer(d, basic("ben", "other")).status == 101
        assert "ben:secret" not in d.log()


@pytest.mark.parametrize("wrong, said", [
    ("ben", "has to be NAME:HASH"), ("ben:$1$salt$qJH7.N4xYta3aEG/dfqo/0", "is none of yescrypt"),
    ("ben:rl0uE5r0Xz2Gw", "is none of yescrypt"), ("ben:$2b$15$" + SALT + "0" * 31, "more than 14"),
    ("ben:$6$rounds=999999999$salt$" + "0" * 86, "more than 1000000 rounds"),
    ("ben:$y$jFT$salt$" + "0" * 43, "more than 64 MiB"), (QUICK[0], "has the NAME of a line before it")])
def test_wrong_lines(daemon, wrong, said):
    d = daemon({"endpoints": [GUARDED]}, start=False)
    path = write_users(d, QUICK[0], wrong)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == FAILED and f"{path}:2: the line " in r.stderr and said in r.stderr, r


def test_others_may_read_it(daemon):
    d = daemon({"endpoints": [GUARDED]}, start=False)
    write_users(d, *QUICK, mode=0o644)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == 0 and "by which every user of this machine may read the users' hashes" in r.stderr, r


# --- while it is found out ---


def in_line(d, count):
    """So many have asked, and those that the thread is through with are counted."""
    def asked():
        all_of_it = scrape(d)
        return all_of_it[("ignyxd_passwords_waiting", "")] + all_of_it[("ignyxd_passwords_checked_total", "")]
    # one is in neither, while it is checked
    wait_until(f"{count} have asked", lambda: asked() >= count - 1)


@contextlib.contextmanager
def occupied(d, count, **kw):
    """So many who wait for a hash that takes its time."""
    before = checked(d)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ask_in(d, basic("slow", f"wrong{i}"), **kw)) for i in range(count)]
        in_line(d, before + count)
        yield clients


def test_who_is_in_is_heard_meanwhile(guarded):
    d = guarded(users=[*QUICK, "slow:" + SLOW], **ONE)
    with enter(d, "anna", "secret") as c, occupied(d, 4):
        before = checked(d)
        for _ in range(200):
            assert heard(c) == "hi"
        # of four, that take a second each
        assert checked(d) - before < 4


def next_answer(clients):
    """Whoever has one, who is none of them then; the last that came first, for over TLS all have heard something."""
    ready = select.select([c.socket for c in clients], [], [], DEADLINE)[0]
    assert ready
    c = next(c for c in reversed(clients) if c.socket in ready)
    clients.remove(c)
    return c.response()


def test_too_many_of_one_address(guarded):
    """Some of these are checked meanwhile, and so many more have a place."""
    d = guarded(users=["slow:" + SLOW], **ONE)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ask_in(d, basic("slow", f"wrong{i}"))) for i in range(2 * MOST_OF_ONE)]
        r = next_answer(clients)
        while r.status != 503:
            r = next_answer(clients)
        assert r.body.startswith(b"busy: ") and r.header("retry-after") == "5"


@way.directly("it is a proxy of its own")
@way.in_the_clear("it is a proxy that speaks no TLS")
def test_a_flood_from_one_address(guarded):
    """Somebody from another one gets in meanwhile, and is not the last."""
    told = {"address": "127.0.0.1", "port": 0, "forwarded": "x-forwarded-for", "trusted": ["127.0.0.1"]}
    d = guarded(users=["slow:" + SLOW, user("anna", "secret")], listen=[told], **ONE)
    with contextlib.ExitStack() as stack:
        for i in range(1 + MOST_OF_ONE):
            flood = {"X-Forwarded-For": "192.0.2.1", **basic("slow", f"wrong{i}")}
            stack.enter_context(ask_in(d, flood))
        wait_until("they wait", lambda: waiting(d) >= MOST_OF_ONE - 4)
        assert answer(d, {"X-Forwarded-For": "192.0.2.2", **basic("anna", "secret")}).status == 101
        assert checked(d) < 1 + MOST_OF_ONE and waiting(d) > 0


def test_who_goes_away_waits_no_more(guarded):
    d = guarded(users=["slow:" + SLOW], **ONE)
    with occupied(d, 8) as clients:
        for c in clients[2:]:
            c.socket.close()
        wait_until("they are gone", lambda: scrape(d)[("ignyxd_handshakes", "")] <= 2)
        assert clients[0].response().status == 401
        assert clients[1].response().status == 401
        # of the six none, unless it was its turn at once
        assert waiting(d) == 0
    wait_until("all are gone", lambda: scrape(d)[("ignyxd_handshakes", "")] == 0)


def test_who_waits_for_too_long(guarded):
    """Behind four that take most of a second each, or more."""
    d = guarded(users=["slow:" + SLOW], workers=1, handshake_timeout="1s")
    with contextlib.ExitStack() as stack:
        for i in range(4):
            stack.enter_context(ask_in(d, basic("slow", f"wrong{i}")))
        r = refused(d, 503, "busy", basic("slow", "wrong"))
    assert r.header("retry-after") == "5"


def test_a_stop_does_not_wait(guarded):
    d = guarded(users=["slow:" + SLOW], **ONE)
    with occupied(d, MOST_OF_ONE) as clients:
        d.kill(signal.SIGTERM)
        last = clients[-1].response()
        assert last.status == 503 and last.body.startswith(b"shutdown: ")
        for c in clients:
            c.socket.close()
        assert d.wait() == 0


def test_a_drain_refuses_who_waits(guarded):
    d = guarded(users=["slow:" + SLOW, user("anna", "secret")], **ONE)
    with occupied(d, 1), ask_in(d, basic("anna", "secret")) as anna:
        in_line(d, 2)
        assert ask(d, "/drain", "POST", {})[0] in (200, 202)
        r = anna.response()
        assert r.status in (503, 101)
        if r.status == 101:
            anna.closed(1001, "drained")
        else:
            assert r.body.startswith(b"drained: ")


def test_a_reload_meanwhile(guarded):
    """By what is in force when the answer comes, which may be what was in force before."""
    d = guarded(users=["slow:" + SLOW, *QUICK], **ONE)
    with occupied(d, 1), ask_in(d, basic("anna", "secret")) as anna, ask_in(d, basic("ben", "other")) as ben:
        in_line(d, 3)
        write_users(d, "slow:" + SLOW, user("anna", "new"), QUICK[1])
        d.reload()
        assert ben.response().status == 101 and heard(ben) == "hi"
        r = anna.response()
        assert r.status in (401, 101)
        if r.status == 101:
            anna.closed(1008, "access-changed")
    wait_until("all are gone", lambda: scrape(d)[("ignyxd_handshakes", "")] == 0)


def test_a_worker_that_is_killed_meanwhile(guarded):
    d = guarded(users=["slow:" + SLOW, *QUICK], **ONE)
    with occupied(d, 3):
        pid = d.workers()[0]
        os.kill(pid, 9)
        d.expect_error("worker")
        d.wait_workers(1, but=[pid])
        with enter(d, "anna", "secret") as c:
            assert heard(c) == "hi"
