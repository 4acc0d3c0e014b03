"""Who may come in: by network, by origin, by a token; what a reload makes of who is in already."""

import contextlib
import hashlib
import json
import os
import re

import pytest

import way
from asking import ask, own, scrape
from harness import FAILED, LOCAL, run_program, wait_until
from pretend import ctl
from raw import BINARY, Raw, frame, plain, request, text

ANNA, BEN, OTHER = "anna-has-this-one", "ben-has-this-one", "anna-has-that-one"
GUARDED = {"path": "/ws", "behaviour": "echo", "access": {"tokens": "users"}}


def line(name, token):
    return f"{name} {hashlib.sha256(token.encode()).hexdigest()}"


def write_users(d, *lines, name="users", mode=0o600):
    path = os.path.join(d.directory, name)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(x + "\n" for x in lines)
    os.chmod(path, mode)
    return path


def is_wrong(daemon, settings, *errors):
    """A file by which no daemon starts."""
    d = daemon(settings, start=False)
    d.expect_error("not started: ")
    d.refuses(*(e.format(place=d.place("access =")) for e in errors))


@pytest.fixture
def guarded(daemon):
    """A daemon with users anna and ben, and endpoints that ask who one is."""
    def make(*endpoints, users=(line("anna", ANNA), line("ben", BEN)), **settings):
        d = daemon({"endpoints": list(endpoints) or [GUARDED], **settings}, start=False)
        write_users(d, *users)
        return d.start()
    return make


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def answer(address, path="/ws", headers=None, **kw):
    with Raw(address, **kw) as c:
        return c.send(request(path, headers=headers)).response()


def refused(d, status, word, path="/ws", headers=None, address=None):
    """The answer to a request that is refused so, there and in the log."""
    mark = d.log_size()
    r = answer(address or d.address, path, headers)
    assert r.status == status and r.body.decode().startswith(word + ": "), (r.status, r.body)
    d.log_contains(rf"refused .* with {status}: .*code={status} reason={word}$", mark)
    return r


def enter(d, token=None, path="/ws", address=None):
    return Raw(address or d.address).upgrade(path, headers=bearer(token) if token else None)


def heard(c, said="hi"):
    return c.send(text(said)).text()


# --- tokens ---


def test_without_a_token(guarded):
    d = guarded()
    for headers in (None, {"Authorization": "Basic " + "YTpi"}, {"Authorization": "Bearer"}):
        r = refused(d, 401, "no-credentials", headers=headers)
        assert r.header("www-authenticate") == 'Bearer realm="ignyxd"'
    # they are counted when they have ended
    wait_until("three are counted", lambda: scrape(d)[
        ("ignyxd_connections_refused_total", 'reason="no-credentials"')] == 3)


@pytest.mark.parametrize("value", [
    "Bearer wrong", "Bearer " + ANNA + "x", "Bearer " + ANNA[:-1], "Bearer " + ANNA.upper(),
    "bearer  " + line("anna", ANNA).split()[1], "Bearer " + "x" * 4000, f"Bearer {ANNA},{BEN}"])
def test_with_a_wrong_one(guarded, value):
    d = guarded(GUARDED)
    r = refused(d, 401, "bad-token", headers={"Authorization": value})
    assert r.header("www-authenticate") == 'Bearer realm="ignyxd", error="invalid_token"'
    assert value.split()[1] not in d.log()


def test_a_path_is_its_users_alone(guarded):
    inbox = {"path": "/users/{user}/inbox", "behaviour": "room", "prefix": "{user}: ",
             "access": {"tokens": "users"}}
    d = guarded(inbox, GUARDED)
    with enter(d, ANNA, "/users/anna/inbox") as anna:
        assert heard(anna) == "anna: hi"
        for path in ("/users/ben/inbox", "/users/Anna/inbox", "/users/ann/inbox", "/users/annaa/inbox"):
            r = refused(d, 403, "not-allowed", path, bearer(ANNA))
            assert "another one than who comes" in r.body.decode()
        assert answer(d.address, "/users/ann%61/inbox", bearer(BEN)).status == 403
        refused(d, 401, "no-credentials", "/users/anna/inbox")
        with enter(d, BEN, "/users/%62en/inbox") as ben:
            assert heard(ben) == "ben: hi"
            # an endpoint whose path becomes one of users
            d.change(endpoints=[inbox, {**GUARDED, "path": "/{user}"}])
            with enter(d, ANNA) as other:
                assert heard(other) == "hi"
                d.reload()
                other.closed(1008, "access-changed")
            assert heard(ben) == "ben: hi" and heard(anna) == "anna: hi"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
def test_with_a_good_one(guarded, scheme):
    d = guarded()
    with Raw(d.address) as c:
        c.upgrade(headers={"Authorization": f"{scheme} {ANNA}"})
        assert heard(c) == "hi"
        d.log_contains(r"opened /ws .*event=conn-open conn=\S+ peer=\S+ endpoint=/ws"
                       rf"{way.PROXIED} user=anna$")
    d.log_contains(rf"closed /ws .*event=conn-close .*endpoint=/ws{way.PROXIED} user=anna code=")
    assert ANNA not in d.log()


def test_a_doubled_header(guarded):
    d = guarded({"path": "/free", "behaviour": "echo"}, GUARDED)
    both = {"Authorization": f"Bearer {ANNA}", "authorization": f"Bearer {BEN}"}
    for path in ("/ws", "/free"):
        r = refused(d, 400, "bad-request", path, both)
        assert r.body.decode() == "bad-request: the request has Authorization more than once\n"


def test_the_order_of_checks(guarded):
    nobody = {"networks": {"allow": ["192.0.2.1"]}, "origins": ["https://a.example"],
              "tokens": "users"}
    d = guarded({"path": "/ws", "behaviour": "echo", "access": nobody},
                {"path": "/here", "behaviour": "echo", "require_subprotocol": True,
                 "subprotocols": ["v1"], "access": {**nobody, "networks": {"allow": ["*"]}}})
    origin = {"Origin": "https://a.example"}
    refused(d, 404, "not-found", "/none")
    with Raw(d.address) as c:
        assert c.send(plain("/ws", "POST")).response().status == 405
    with Raw(d.address) as c:
        assert c.send(plain()).response().status == 426
    refused(d, 403, "bad-network")
    refused(d, 403, "bad-origin", "/here", {"Origin": "https://b.example", **bearer("wrong")})
    refused(d, 401, "no-credentials", "/here", origin)
    refused(d, 400, "subprotocol-required", "/here", {**origin, **bearer(ANNA)})
    r = answer(d.address, "/here", {**origin, **bearer(ANNA), "Sec-WebSocket-Protocol": "v1"})
    assert r.status == 101


def test_a_token_that_nobody_asks_for(guarded):
    """It says nothing: who may be anybody has no name."""
    d = guarded({"path": "/ws", "behaviour": "echo"})
    with enter(d, ANNA):
        d.log_contains("opened /ws ")
        assert "user" not in ask(d, "/connections")[1]["connections"][0]
    assert "user=" not in d.log()


def test_what_is_inherited(daemon):
    d = daemon({"access": {"tokens": "users", "networks": {"deny": ["192.0.2.0/24"]}}, "endpoints": [
        {"path": "/top", "behaviour": "echo"},
        {"path": "/own", "behaviour": "echo", "access": {"tokens": "others"}},
        {"path": "/nets", "behaviour": "echo", "access": {"networks": {"allow": ["192.0.2.1"]}}},
        {"path": "/free", "behaviour": "echo", "access": {"tokens": ""}}]}, start=False)
    write_users(d, line("anna", ANNA))
    write_users(d, line("ben", BEN), name="others")
    d.start()
    for path, token, status in (("/top", ANNA, 101), ("/top", BEN, 401), ("/own", ANNA, 401),
                                ("/own", BEN, 101), ("/nets", ANNA, 403), ("/free", "x", 101)):
        assert answer(d.address, path, bearer(token)).status == status, (path, token)


# --- the user ---


def test_of_the_user(guarded):
    d = guarded(GUARDED, {"path": "/free", "behaviour": "echo"},
                users=[line("anna", ANNA), line("anna", OTHER), line("josé", BEN)])
    with enter(d, ANNA) as a, enter(d, OTHER) as b, enter(d, BEN) as jose, enter(d, path="/free") as free:
        def users(query=""):
            found = ask(d, "/connections" + query)[1]["connections"]
            return sorted(x.get("user", "") for x in found)

        assert users() == ["", "anna", "anna", "josé"]
        assert users("?user=anna") == ["anna", "anna"]
        assert users("?user=jos%C3%A9") == ["josé"]
        assert users("?user=jos") == [] and users("?user=anna&endpoint=/free") == []
        one = ask(d, "/connections?user=anna")[1]["connections"][0]["id"]
        assert ask(d, f"/connections/{one}")[1]["user"] == "anna"
        shown = ctl("-s", own(d), "connections", "--user", "josé")
        assert shown.returncode == 0 and re.search(r"USER.*\n.*\sjosé\s", shown.stdout), shown
        mark = d.log_size()
        assert ask(d, "/connections?user=anna&code=4001", "DELETE")[1]["closed"] == 2
        for c in (a, b):
            c.closed(4001, "kicked")
            c.socket.close()
        d.log_count(r"closed /ws .*user=anna code=4001 reason=kicked", 2, mark)
        kicked = ctl("-s", own(d), "kick", "--user", "josé")
        assert kicked.returncode == 0 and kicked.stdout == "1 closed\n", kicked
        jose.closed(1008, "kicked")
        assert heard(free) == "hi"


def test_in_texts(guarded):
    d = guarded({"path": "/r/{room}", "behaviour": "room", "prefix": "{user}@{room}: ",
                 "access": {"tokens": "users"}},
                {"path": "/n", "behaviour": "notify", "message": {"hello": "{user}"},
                 "access": {"tokens": "users"}},
                # the path's is the same
                {"path": "/p/{user}", "behaviour": "echo", "prefix": "{user}: ",
                 "access": {"tokens": "users"}},
                users=[line('a"{conn}', ANNA), line("ben", BEN)])
    with enter(d, ANNA, "/r/x") as anna, enter(d, BEN, "/r/x") as ben:
        assert heard(ben) == "ben@x: hi" and anna.text() == "ben@x: hi"
        d.reload()
        d.log_contains("2 connections kept, 0 closed")
        assert heard(anna) == 'a"{conn}@x: hi'
    with enter(d, ANNA, "/n") as n:
        assert json.loads(n.text()) == {"hello": 'a"{conn}'}
    with enter(d, BEN, "/p/ben") as p:
        assert heard(p) == "ben: hi"


def test_in_a_text_where_nobody_is_known(daemon):
    is_wrong(daemon, {"access": {"tokens": ""}, "endpoints": [
        {"path": "/ws", "behaviour": "echo", "prefix": "{user}: "}]},
             r'"prefix" has ".user.", and who the user of a connection is nobody knows unless '
             r'"access" asks for it \("tokens", "jwt", "users", "client_certificates"\), or "path" has a placeholder')


def test_of_a_behaviour_s_line(guarded):
    d = guarded({"path": "/ws", "behaviour": "sink", "access": {"tokens": "users"}})
    with enter(d, ANNA) as c:
        c.send(text("hi"), frame(BINARY, b"1"))
    d.log_contains(r"event=behaviour .*user=anna$")


# --- a reload ---


def test_rotation_keeps_the_connection(guarded):
    d = guarded()
    with enter(d, ANNA) as old:
        write_users(d, line("anna", ANNA), line("anna", OTHER), line("ben", BEN))
        mark = d.log_size()
        d.reload()
        d.log_contains("1 connections kept, 0 closed", mark)
        with enter(d, OTHER) as new:
            # another line of that name does not help whose own is gone
            write_users(d, line("anna", OTHER), line("ben", BEN))
            mark = d.log_size()
            d.reload()
            old.closed(1008, "access-changed")
            old.socket.close()
            d.log_contains(r"closed /ws .*user=anna code=1008 reason=access-changed", mark)
            d.log_contains("1 connections kept, 1 closed", mark)
            assert heard(new) == "hi"
        refused(d, 401, "bad-token", headers=bearer(ANNA))
        wait_until("it is counted", lambda: [
            n for (name, labels), n in scrape(d).items() if name == "ignyxd_connections_closed_total"
            and 'code="1008"' in labels and 'reason="access-changed"' in labels] == [1])


def test_another_name_is_somebody_else(guarded):
    d = guarded()
    with enter(d, ANNA) as anna, enter(d, BEN) as ben:
        write_users(d, line("anne", ANNA), line("ben", BEN))
        d.reload()
        anna.closed(1008, "access-changed")
        assert heard(ben) == "hi"


def test_who_came_when_nobody_asked(guarded):
    d = guarded({"path": "/ws", "behaviour": "echo"})
    with enter(d) as c, enter(d, ANNA) as anna:
        d.change(endpoints=[GUARDED])
        d.reload()
        c.closed(1008, "access-changed")
        anna.closed(1008, "access-changed")


def test_who_is_known_stays_so(guarded):
    """Where nobody asks any more, and when it is asked again."""
    d = guarded()
    with enter(d, ANNA) as c:
        d.change(endpoints=[{"path": "/ws", "behaviour": "echo"}])
        d.reload()
        assert ask(d, "/connections?user=anna")[1]["connections"][0]["user"] == "anna"
        d.change(endpoints=[GUARDED])
        d.reload()
        assert heard(c) == "hi"


def test_a_network_that_is_barred(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "room"},
                              {"path": "/own", "behaviour": "echo"}]})
    with enter(d) as member, enter(d, path="/own") as other:
        d.change(endpoints=[{"path": "/ws", "behaviour": "room",
                             "access": {"networks": {"deny": ["127.0.0.0/8"]}}},
                            {"path": "/own", "behaviour": "echo"}])
        d.reload()
        member.closed(1008, "access-changed")
        assert heard(other) == "hi"
        refused(d, 403, "bad-network")


def test_what_a_reload_would_change(guarded):
    d = guarded(GUARDED, {"path": "/free", "behaviour": "echo"})
    write_users(d, line("anna", OTHER), line("ben", BEN), line("carl", "c"))
    d.change(endpoints=[GUARDED, {"path": "/free", "behaviour": "echo",
                                  "access": {"networks": {"deny": ["192.0.2.0/24"]}}}])
    shown = ctl("-s", own(d), "reload", "--dry-run")
    assert shown.returncode == 0, shown
    for said in (r"/ws", r'access\.tokens.*anna \(goes\).*anna \(new\).*carl \(new\)', r"/free",
                 r"access\.networks\.deny.*192\.0\.2\.0/24"):
        assert re.search(said, shown.stdout, re.DOTALL), (said, shown.stdout)
    assert "ben" not in shown.stdout and hashlib.sha256(ANNA.encode()).hexdigest() not in shown.stdout


def test_many_are_closed_in_portions(guarded):
    many = 300
    d = guarded()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(enter(d, ANNA)) for _ in range(many)]
        ben = stack.enter_context(enter(d, BEN))
        write_users(d, line("ben", BEN))
        d.reload()
        for c in clients:
            c.closed(1008, "access-changed")
        d.log_contains(f"1 connections kept, {many} closed")
        assert heard(ben) == "hi"


# --- the file ---


def test_a_bad_file_keeps_the_old_one(guarded):
    d = guarded()
    with enter(d, ANNA) as c:
        path = write_users(d, line("anna", ANNA), "ben " + BEN)
        for said in (rf"{re.escape(path)}:2: the line has a HASH that is not of 64 digits",
                     "reload refused: "):
            d.expect_error(said)
        mark = d.log_size()
        d.reload(expect=False)
        d.log_contains(rf"{re.escape(path)}:2: the line has a HASH", mark)
        assert BEN not in d.log()
        assert heard(c) == "hi" and answer(d.address, headers=bearer(BEN)).status == 101


def test_the_check_reads_it(daemon):
    d = daemon({"endpoints": [GUARDED]}, start=False)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == FAILED and re.search(r'access: "tokens" "\S*/users" cannot be read',
                                                r.stderr), r
    path = write_users(d, "anna", line("anna", ANNA))
    r = run_program("-t", "-c", d.file)
    assert r.returncode == FAILED and f"{path}:1: the line has to be NAME HASH" in r.stderr, r
    write_users(d, line("anna", ANNA), mode=0o644)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == 0 and re.search(r"has mode 0644, by which every user", r.stderr), r


def test_origins_by_both_names(daemon):
    is_wrong(daemon, {"allowed_origins": ["https://a.example"],
                      "access": {"origins": ["https://b.example"]}},
             r'{place}: access: "origins" is the same as "allowed_origins", which is set at '
             r"\S+/ignyxd.conf:\d+: leave one of them out")


def test_the_nearer_name_of_origins_counts(daemon):
    d = daemon({"allowed_origins": ["https://a.example"], "endpoints": [
        {"path": "/top", "behaviour": "echo"},
        {"path": "/long", "behaviour": "echo", "access": {"origins": ["https://b.example"]}},
        {"path": "/any", "behaviour": "echo", "access": {"origins": ["*"]}}]})
    for path, origins in (("/top", "a"), ("/long", "b"), ("/any", "abc")):
        for origin in "abc":
            r = answer(d.address, path, {"Origin": f"https://{origin}.example"})
            assert r.status == (101 if origin in origins else 403), (path, origin)


def test_a_token_by_ignyxctl(daemon):
    made = ctl("--json", "token", "make", "josé")
    assert made.returncode == 0, made
    made = json.loads(made.stdout)
    assert re.fullmatch(r"josé [0-9a-f]{64}", made["line"])
    d = daemon({"endpoints": [GUARDED]}, start=False)
    write_users(d, made["line"])
    d.start()
    with enter(d, made["token"]):
        d.log_contains(r"opened /ws .* user=josé$")
    for name in ("a b", "#a", "", "x" * 129, "a\x07"):
        r = ctl("token", "make", name)
        assert r.returncode == 2 and "a NAME is of up to 128 bytes" in r.stderr, (name, r)


# --- networks ---


def by_networks(daemon, networks, *listen):
    return daemon({"listen": list(listen) or [LOCAL], "endpoints": [
        {"path": "/ws", "behaviour": "echo", "access": {"networks": networks}}]})


@pytest.mark.parametrize("networks, status", [
    ({"allow": ["127.0.0.0/8"]}, 101), ({"allow": ["127.0.0.1"]}, 101),
    ({"allow": ["10.0.0.0/8", "::1"]}, 403), ({"deny": ["127.0.0.0/8"]}, 403),
    ({"deny": ["10.0.0.0/8"]}, 101), ({"deny": []}, 101), ({"allow": ["*"]}, 101),
    # who is denied is so, however well he is allowed
    ({"allow": ["127.0.0.1"], "deny": ["127.0.0.0/8"]}, 403),
    ({"allow": ["127.0.0.0/8"], "deny": ["127.0.0.1"]}, 403),
    ({"allow": ["::ffff:127.0.0.1"]}, 101), ({"allow": ["unix"]}, 403)])
def test_by_network(daemon, networks, status):
    d = by_networks(daemon, networks)
    if status == 403:
        refused(d, 403, "bad-network")
    else:
        assert answer(d.address).status == status


@way.directly("there is no HAProxy on ::1")
def test_by_network_of_ipv6(daemon):
    six = {"address": "::1", "port": 0}
    for networks, status in (({"allow": ["::1"]}, 101), ({"allow": ["2001:db8::/32"]}, 403),
                             ({"deny": ["::/0"]}, 403), ({"allow": ["0.0.0.0/0"]}, 403)):
        d = by_networks(daemon, networks, six)
        assert answer(("::1", d.port_of("[::1]"))).status == status, networks


@way.directly("it is about a unix socket")
@pytest.mark.parametrize("networks, status", [
    ({"allow": ["0.0.0.0/0", "::/0"]}, 403), ({"allow": ["10.0.0.0/8", "unix"]}, 101),
    ({"allow": ["*"]}, 101), ({"deny": ["0.0.0.0/0", "::/0"]}, 101), ({"deny": ["unix"]}, 403)])
def test_a_client_without_an_address(daemon, directory, networks, status):
    path = os.path.join(directory, "ws.sock")
    by_networks(daemon, networks, LOCAL, {"unix": path})
    assert answer(path).status == status


@way.directly("it is a proxy of its own")
@way.in_the_clear("it is a proxy that speaks no TLS")
def test_the_address_is_the_client_s(daemon):
    """Of who stands behind a proxy, however that tells it."""
    told = {"address": "127.0.0.1", "port": 0, "proxy_protocol": True,
            "forwarded": "x-forwarded-for", "trusted": ["127.0.0.1", "192.0.2.7"]}
    d = by_networks(daemon, {"allow": ["192.0.2.0/24", "2001:db8::/32"]}, told)

    def status(source, headers=None):
        family = "TCP6" if ":" in source else "TCP4"
        header = f"PROXY {family} {source} {source} 4711 443\r\n".encode()
        with Raw(d.address) as c:
            return c.send(header, request(headers=headers)).response().status

    assert status("192.0.2.9") == 101 and status("198.51.100.1") == 403
    assert status("2001:db8::7") == 101 and status("2001:db9::7") == 403
    # a proxy that is trusted itself tells of others
    assert status("192.0.2.7", {"X-Forwarded-For": "192.0.2.8"}) == 101
    assert status("192.0.2.7", {"X-Forwarded-For": "198.51.100.1"}) == 403
    assert status("198.51.100.1", {"X-Forwarded-For": "192.0.2.8"}) == 403


@way.directly("it is a proxy of its own")
@way.in_the_clear("it is a proxy that speaks no TLS")
def test_whom_a_proxy_does_not_name(daemon):
    """The proxy's own address opens nothing to its clients, nor with the next reload."""
    told = {"address": "127.0.0.1", "port": 0, "proxy_protocol": True, "trusted": ["127.0.0.1"]}
    d = by_networks(daemon, {"deny": ["10.0.0.0/8"]}, told)
    with Raw(d.address) as c:
        assert c.send(b"PROXY UNKNOWN\r\n", request()).response().status == 101
        d.change(endpoints=[{"path": "/ws", "behaviour": "echo",
                             "access": {"networks": {"allow": ["127.0.0.0/8"]}}}])
        d.reload()
        c.closed(1008, "access-changed")
    for header, status in ((b"PROXY UNKNOWN\r\n", 403),
                           (b"PROXY TCP4 127.0.0.2 127.0.0.1 5 6\r\n", 101)):
        with Raw(d.address) as c:
            assert c.send(header, request()).response().status == status


def test_networks_of_the_top(daemon):
    """Key by key: an endpoint has those of the top that it does not set."""
    d = daemon({"access": {"networks": {"allow": ["10.0.0.0/8"], "deny": ["127.0.0.1"]}}, "endpoints": [
        {"path": "/top", "behaviour": "echo"},
        {"path": "/allow", "behaviour": "echo", "access": {"networks": {"allow": ["127.0.0.0/8"]}}},
        {"path": "/deny", "behaviour": "echo", "access": {"networks": {"deny": []}}},
        {"path": "/both", "behaviour": "echo", "access": {"networks": {"allow": ["*"], "deny": []}}}]})
    assert [answer(d.address, path).status for path in ("/top", "/allow", "/deny", "/both")] == \
        [403, 403, 403, 101]
    d.change(access={"networks": {"allow": ["127.0.0.0/8"]}})
    d.reload()
    assert [answer(d.address, path).status for path in ("/top", "/allow", "/deny", "/both")] == 4 * [101]


def test_wrong_networks(daemon):
    is_wrong(daemon, {"access": {"networks": {"allow": ["10.0.0.1/8", "localhost"], "deny": ["*"]}}},
             r'{place}: access: networks: "allow" must have blocks .*, not "10.0.0.1/8"',
             r'{place}: access: networks: "allow" must have blocks .*, not "localhost"',
             r'{place}: access: networks: "deny" must have blocks .*, not "\*"')


# --- what is known of a refusal ---


def test_why(guarded):
    d = guarded()
    refused(d, 401, "bad-token", headers=bearer("wrong"))
    wait_until("it is told", lambda: "bad-token" in ctl("-s", own(d), "why", "127.0.0.1").stdout)
    assert "wrong" not in json.dumps(ask(d, "/why?peer=127.0.0.1")[1])
    with enter(d, ANNA):
        d.log_contains("opened /ws")
    d.log_contains("closed /ws")

    def known():
        return ask(d, "/why?peer=127.0.0.1")[1]["why"]

    wait_until("all is told", lambda: len(known()) == 3)
    events = known()
    # in whatever order: what is of one tick has none
    assert sorted((e["event"], e.get("user", "")) for e in events) == [
        ("conn-close", "anna"), ("conn-open", "anna"), ("conn-refused", "")]
    assert ANNA not in json.dumps(events)


@way.in_the_clear("it is about listeners without it")
def test_in_the_clear(daemon):
    """What lets in is read by everybody on the way: a warning, where it is not for this machine alone."""
    behind = {"trusted": ["192.0.2.3"]}
    listen = [{"address": "127.0.0.2", "port": 80}, {"address": "::1", "port": 80},
              {"unix": "/run/ignyxd/none"}, {"systemd": "web"}, {"address": "192.0.2.1", "port": 81},
              {"address": "192.0.2.1", "port": 82, "proxy_protocol": True, **behind},
              {"address": "192.0.2.1", "port": 83, "forwarded": "x-real-ip", **behind},
              {"address": "::", "port": 84}]
    d = daemon({"listen": listen, "endpoints": [GUARDED]}, start=False)
    write_users(d, line("anna", ANNA))

    def said():
        r = run_program("-t", "-c", d.file)
        assert r.returncode == 0, r
        return [x for x in r.stderr.splitlines() if "in the clear" in x]

    assert [re.search(r"in the clear to (\S+), port (\d+), for the endpoint at \S+:\d+ asks for it: ", x).groups()
            for x in said()] == [("192.0.2.1", "81"), ("::", "84")]
    d.change(endpoints=[{**GUARDED, "access": {"tokens": ""}}])
    assert said() == []


def test_the_plan_of_who_moves(guarded):
    """To an endpoint that asks who one is, or back to one that does: some may be closed."""
    chat, asks = {"path": "/c/{x}", "behaviour": "echo"}, {"access": {"tokens": "users"}}
    d = guarded(chat)
    with enter(d, path="/c/vip") as other:
        d.change(endpoints=[chat, {**chat, "path": "/c/vip", **asks}, {**chat, "path": "/c/free"}])
        plan = ask(d, "/reload?dry-run", "POST")[1]["plan"]["endpoints"]
        assert [(i["endpoint"], i.get("then")) for i in plan] == [("/c/free", "move"), ("/c/vip", "move-by-access")]
        said = ctl("-s", own(d), "reload", "--dry-run").stdout
        assert re.search("/c/vip added; .*paths lead to it move to it where the client may come in\n", said), said
        mark = d.log_size()
        d.reload()
        d.log_contains("/c/vip added; .*move to it where the client may come in", mark)
        other.closed(1008, "access-changed")
    with enter(d, ANNA, "/c/vip") as anna:
        d.change(endpoints=[{**chat, **asks}])
        plan = ask(d, "/reload?dry-run", "POST")[1]["plan"]["endpoints"]
        assert [(i["endpoint"], i["then"]) for i in plan] == [
            ("/c/free", "by-access"), ("/c/vip", "stay"), ("/c/{x}", "by-access")]
        d.reload()
        assert heard(anna) == "hi"
