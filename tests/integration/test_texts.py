"""Placeholders in the texts of behaviours: what each connection has in their place."""

import json
import socket

import pytest

from asking import ask
from raw import BINARY, Raw, frame, request, text

ANY = ".*"


def upgrade(d, path):
    c = Raw(d.address)
    c.send(request(path))
    r = c.response()
    assert r.status == 101, r.body
    return c


def heard(c, said="hi"):
    c.send(text(said))
    return c.text()


def test_all_four(daemon):
    d = daemon({"workers": 2, "endpoints": [
        {"path": "/e/{x}/{rest...}", "behaviour": "echo", "prefix": "{x} of {rest}: "},
        {"path": "/r/{room}/{user}", "behaviour": "room", "prefix": "{user}@{room} "},
        {"path": "/n/{user}", "behaviour": "notify", "message": {"hello": "{user}", "as": "{{user}"}},
        {"path": "/o/{user}", "behaviour": "oneshot", "message": "Bye {user}, {} { user }"},
        {"path": "/plain", "behaviour": "echo", "prefix": "{{user} {} {Ann}: "}]})
    e = upgrade(d, "/e/a/b/c?x=y")
    assert heard(e) == "a of b/c: hi"
    e.send(frame(BINARY, b"hi"))
    assert e.message() == (BINARY, b"hi")
    ann = upgrade(d, "/r/a/ann")
    assert heard(ann) == "ann@a hi"
    n = upgrade(d, "/n/ann")
    assert json.loads(n.text()) == {"hello": "ann", "as": "{user}"}
    o = upgrade(d, "/o/%61nn")
    assert o.text() == "Bye ann, {} { user }"
    o.closed(1000)
    assert heard(upgrade(d, "/plain")) == "{user} {} {Ann}: hi"


def test_peer_and_conn_are_as_in_the_log(daemon):
    d = daemon({"endpoints": [{"path": "/e", "behaviour": "echo", "prefix": "{peer} {conn} "}]})
    c = upgrade(d, "/e")
    peer, conn, said = heard(c).split(" ")
    assert (peer, said) == (f"127.0.0.1:{c.local_port}", "hi")
    assert d.log_contains(rf"opened /e {peer} .*conn={conn}\b")
    assert ask(d, f"/connections/{conn}")[1]["peer"] == peer


@pytest.mark.parametrize("value, raw", [
    ('"', "%22"), ("\\", "%5C"), ('","admin":true,"x":"', "%22,%22admin%22:true,%22x%22:%22"),
    ("{user}", "{user}"), ("{{conn}", "%7B%7Bconn%7D"), ("%s%n", "%25s%25n"), ("é😀", "%C3%A9%F0%9F%98%80")])
def test_values_are_data(daemon, value, raw):
    d = daemon({"room_names": ANY, "endpoints": [
        {"path": "/n/{user}", "behaviour": "notify", "message": {"hello": ["<{user}>"]}},
        {"path": "/o/{user}", "behaviour": "oneshot", "message": '{"a":"{user}"}'},
        {"path": "/e/{user}", "behaviour": "echo", "prefix": "{user}: "}]})
    assert json.loads(upgrade(d, f"/n/{raw}").text()) == {"hello": [f"<{value}>"]}
    assert json.loads(upgrade(d, f"/o/{raw}").text()) == {"a": value}
    assert heard(upgrade(d, f"/e/{raw}")) == f"{value}: hi"


@pytest.mark.parametrize("raw", ["%00", "%0A", "%1F", "%7F", "%FF", "%C3", "%ED%A0%80", "a%2Fb"])
def test_no_value_breaks_a_frame(daemon, raw):
    """What is no text is refused at the door, whatever room_names says."""
    d = daemon({"room_names": ANY, "endpoints": [
        {"path": "/n/{user}", "behaviour": "notify", "message": {"hello": "{user}"}}]})
    with Raw(d.address) as c:
        assert c.send(request(f"/n/{raw}")).response().status == (400 if raw == "%00" else 404)


def test_a_reload_changes_it_under_a_connection(daemon):
    def endpoints(prefix, path="/r/{room}/{user}"):
        return [{"path": path, "behaviour": "room", "prefix": prefix}]

    d = daemon({"workers": 1, "endpoints": endpoints("{user}: ")})
    ann, bob = upgrade(d, "/r/a/ann"), upgrade(d, "/r/a/ann")
    for prefix, expected in (("<{user}> ", "<ann> hi"), ("User: ", "User: hi"),
                             ("{room}{room}", "aahi"), ("", "hi")):
        assert ask(d, "/config?prefix=endpoints[0].prefix")[1]["config"][0]["value"] == \
            d.settings["endpoints"][0]["prefix"]
        d.change(endpoints=endpoints(prefix))
        d.reload()
        assert heard(ann) == bob.text() == expected
    # another endpoint that the same path leads to
    d.change(endpoints=endpoints("{rest}! ", "/{rest...}"))
    d.reload()
    assert heard(bob) == ann.text() == "r/a/ann! hi"


def test_the_plan_has_what_is_written(daemon):
    d = daemon({"endpoints": [{"path": "/e/{x}", "behaviour": "echo", "prefix": "{x}: "}]})
    d.change(endpoints=[{"path": "/e/{x}", "behaviour": "echo", "prefix": "{x}; {conn}"}])
    plan = json.dumps(ask(d, "/reload?dry-run", "POST")[1])
    assert '"{x}: "' in plan and '"{x}; {conn}"' in plan


def test_what_nobody_knows(daemon):
    d = daemon({"endpoints": [{"path": "/r/{room}", "behaviour": "room", "prefix": "{rooms}: "}]},
               start=False)
    d.expect_error("not started: ")
    d.refuses(rf'{d.place("rooms}")}: endpoint "/r/{{room}}": "prefix" has an unknown placeholder '
              r'"{rooms}" \(did you mean "{room}"\?\)')
    d.change(endpoints=[{"path": "/n", "behaviour": "notify", "message": {"a": "{user}"}}])
    d.refuses(r'endpoint "/n": "message" has "{user}", and who the user of a connection is nobody knows')


def test_messages_wait_with_the_prefix_of_then(daemon):
    """What is delayed gets the prefix of when it is said; what is said is not changed any more."""
    d = daemon({"workers": 1, "endpoints": [
        {"path": "/r/{user}", "behaviour": "room", "prefix": "{user}1 ", "history": 10, "replay": 10}]})
    ann = upgrade(d, "/r/ann")
    assert heard(ann) == "ann1 hi"
    d.change(endpoints=[
        {"path": "/r/{user}", "behaviour": "room", "prefix": "{user}2 ", "history": 10, "replay": 10}])
    d.reload()
    assert heard(ann) == "ann2 hi"
    late = upgrade(d, "/r/ann")
    assert [late.text(), late.text()] == ["ann1 hi", "ann2 hi"]


def test_over_a_unix_socket(daemon, tmp_path):
    path = str(tmp_path / "ws.sock")
    d = daemon({"listen": [{"address": "127.0.0.1", "port": 0}, {"unix": path}],
                "endpoints": [{"path": "/e", "behaviour": "echo", "prefix": "{peer} "}]})
    with Raw(path) as c:
        c.upgrade("/e")
        assert heard(c).startswith("unix:uid=")
    assert isinstance(c.socket, socket.socket)
