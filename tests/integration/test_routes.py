"""Rooms by path: endpoints with placeholders, over several workers, reloads and the admin interface."""

import contextlib
import os
import signal
import urllib.parse

import pytest

from asking import ask, own, scrape
from harness import wait_until
from pretend import ctl
from raw import Raw, client_of, close, request, text

CHAT = {"path": "/chat/{room}", "behaviour": "room", "prefix": "User: "}
FILES = {"path": "/files/{rest...}", "behaviour": "room"}
ECHO = {"path": "/e/{x}", "behaviour": "echo", "prefix": "Echo: "}


def status(d, path):
    with Raw(d.address) as c:
        return c.send(request(path)).response().status


def refused(d, path):
    with Raw(d.address) as c:
        r = c.send(request(path)).response()
        return r.status, r.body.split(b":")[0].decode()


def say(c, what):
    c.send(text(what))


def hears_only(c, what):
    """Nothing else has come before it."""
    assert c.text() == what


def test_each_path_is_a_room(daemon):
    d = daemon({"workers": 2, "endpoints": [CHAT]})
    with client_of(d, 0, "/chat/a") as a0, client_of(d, 1, "/chat/a") as a1, \
            client_of(d, 1, "/chat/b") as b1:
        say(a0, "1")
        assert a0.text() == a1.text() == "User: 1"
        say(b1, "2")
        hears_only(b1, "User: 2")
        say(a1, "3")
        assert a0.text() == a1.text() == "User: 3"
        rooms = {r["room"]: r["members"] for r in ask(d, "/rooms")[1]["rooms"]}
        assert rooms == {"/chat/a": 2, "/chat/b": 1}


def test_one_room_however_it_is_written(daemon):
    d = daemon({"endpoints": [CHAT]})
    with Raw(d.address) as a, Raw(d.address) as b:
        a.upgrade("/chat/alpha?token=1")
        b.upgrade("/%63hat/%61lpha")
        say(a, "hi")
        assert a.text() == b.text() == "User: hi"
    d.log_contains(r"opened /chat/\{room\} .* endpoint=/chat/\{room\} room=/chat/alpha\b")


@pytest.mark.parametrize("path", [
    "/chat", "/chat/", "/chat/.", "/chat/..", "/chat/%2e%2e", "/chat/a/b", "/chat/a%2Fb",
    "/chat/a%00b", "/chat/a%0Ab", "/chat/a%20b", "/chat/%C3%A9", "/chat/" + 65 * "x", "/chat//a",
    "/files", "/files/", "/files/a//b", "/files/a/../b", "/files/a%2fb", "/n/x", "/n/12345"],
    ids=lambda p: p[:20])
def test_what_leads_nowhere(shared_routes, path):
    assert status(shared_routes, path) == (400 if "%00" in path else 404)


@pytest.fixture
def shared_routes(shared):
    if CHAT not in shared.settings["endpoints"]:
        shared.change(endpoints=[CHAT, FILES, ECHO,
                                 {"path": "/n/{id}", "behaviour": "echo", "room_names": "[0-9]{1,4}"},
                                 {"path": "/chat/lit", "behaviour": "oneshot", "message": "one"}])
        shared.reload()
    return shared


def test_what_leads_somewhere(shared_routes):
    for path in "/chat/" + 64 * "x", "/files/a", "/files/a/b/c", "/n/1234", "/e/1":
        assert status(shared_routes, path) == 101, path
    with Raw(shared_routes.address) as c:
        assert c.upgrade("/chat/lit").text() == "one"


def test_reload_from_literal_to_placeholder_and_back(daemon):
    """Members stay, and so do those who are in no room: each by its own path."""
    literal = [{**CHAT, "path": "/chat/a"}, {**CHAT, "path": "/chat/b"},
               {**ECHO, "path": "/e/1"}, {**ECHO, "path": "/e/2"}]
    d = daemon({"workers": 2, "endpoints": literal})
    with client_of(d, 0, "/chat/a") as a, client_of(d, 1, "/chat/a") as also, \
            client_of(d, 0, "/chat/b") as b, client_of(d, 0, "/e/1") as one, \
            client_of(d, 1, "/e/2") as two:
        for endpoints in [CHAT, ECHO], literal, [CHAT, {**ECHO, "path": "/{a}/{b}"}]:
            d.change(endpoints=endpoints)
            mark = d.log_size()
            d.reload()
            d.log_contains("5 connections kept, 0 closed", mark)
            say(a, "x")
            assert a.text() == also.text() == "User: x"
            say(b, "y")
            hears_only(b, "User: y")
            for c in one, two:
                say(c, "z")
                assert c.text() == "Echo: z"
        # no longer found: by its own path, not by its endpoint's
        d.change(endpoints=[{**CHAT, "room_names": "a"}, {**ECHO, "path": "/e/1"}])
        d.reload()
        say(a, "x")
        assert a.text() == also.text() == "User: x"
        b.closed(1012)
        two.closed(1012)
        say(one, "z")
        assert one.text() == "Echo: z"


def test_plan_tells_of_placeholders(daemon):
    d = daemon({"endpoints": [{**CHAT, "path": "/chat/a"}, ECHO]})
    with Raw(d.address) as c:
        c.upgrade("/chat/a")
        d.change(endpoints=[CHAT, {**ECHO, "path": "/e/{y}"}])
        plan = ask(d, "/reload?dry-run", "POST")[1]["plan"]["endpoints"]
    assert [(i["endpoint"], i["change"], i.get("then")) for i in plan] == [
        ("/chat/a", "removed", "stay"), ("/chat/{room}", "added", None),
        ("/e/{x}", "removed", "by-path"), ("/e/{y}", "added", None)]


def test_plan_tells_who_moves(daemon):
    """A more specific path takes those who came by it, and their room, from the one that had it."""
    d = daemon({"workers": 2, "endpoints": [CHAT, ECHO, FILES]})
    with client_of(d, 0, "/chat/vip") as a, client_of(d, 1, "/chat/vip") as b, \
            client_of(d, 0, "/e/1") as e, client_of(d, 1, "/chat/other") as other:
        d.change(endpoints=[CHAT, ECHO, FILES, {**CHAT, "path": "/chat/vip", "prefix": "VIP: "},
                            {**CHAT, "path": "/e/1"}, {**FILES, "path": "/files/a/{x}"},
                            {**CHAT, "path": "/new/{x}"}])
        plan = ask(d, "/reload?dry-run", "POST")[1]["plan"]["endpoints"]
        assert [(i["endpoint"], i["change"], i.get("from"), i.get("then")) for i in plan] == [
            ("/chat/vip", "added", "/chat/{room}", "move"), ("/e/1", "added", "/e/{x}", "close"),
            ("/files/a/{x}", "added", "/files/{rest...}", "move"), ("/new/{x}", "added", None, None)]
        done = ctl("-s", own(d), "reload", "--dry-run")
        assert "endpoint /chat/vip added; connections of /chat/{room} whose paths lead to it move to it" \
            in done.stdout
        d.reload()
        assert d.log_contains("/e/1 added; connections of /e/{x} whose paths lead to it are closed with 1012")
        e.closed(1012)
        say(a, "x")
        assert a.text() == b.text() == "VIP: x"
        say(other, "y")
        hears_only(other, "User: y")


def test_admin_by_path(daemon):
    d = daemon({"workers": 2, "endpoints": [CHAT, FILES, ECHO]})
    with client_of(d, 0, "/chat/a") as a, client_of(d, 1, "/chat/b") as b, \
            client_of(d, 1, "/files/x/y") as f:
        json_type = {"Content-Type": "text/plain"}
        assert ask(d, "/publish/chat/a", "POST", "for a", **json_type)[1]["members"] == 1
        hears_only(a, "for a")
        assert ask(d, "/publish/chat/b", "POST", "for b", **json_type)[0] == 200
        hears_only(b, "for b")
        assert ask(d, "/publish/files/x/y", "POST", "for f", **json_type)[0] == 200
        hears_only(f, "for f")
        assert ask(d, "/publish/chat/nobody", "POST", "x", **json_type)[1]["members"] == 0
        for path in "/chat", "/chat/a/b", "/chat/%20", "/files/x/../y", "/e/1", "/chat/%7Broom%7D":
            assert ask(d, "/publish" + path, "POST", "x", **json_type)[1]["error"] == "no-such-room"
            assert ask(d, "/tail" + path)[0] == 404
        assert ask(d, "/rooms/chat/a")[1]["members"] == 1
        found = ask(d, "/connections?room=/chat/a")[1]["connections"]
        assert [(c["endpoint"], c["room"]) for c in found] == [("/chat/{room}", "/chat/a")]
        quoted = urllib.parse.quote("/chat/{room}")
        found = ask(d, "/connections?endpoint=" + quoted)[1]["connections"]
        assert sorted(c["room"] for c in found) == ["/chat/a", "/chat/b"]
        series = scrape(d)
        assert series["ignyxd_connections", 'endpoint="/chat/{room}"'] == 2
        assert not any("/chat/a" in labels for _, labels in series)
        assert ask(d, "/drain?over=0&endpoint=" + quoted, "POST")[0] == 200
        a.closed(1001)
        b.closed(1001)
        assert refused(d, "/chat/c") == (503, "drained")
        say(f, "still")
        hears_only(f, "still")


# --- how many ---


def test_max_rooms_of_an_endpoint(daemon):
    d = daemon({"workers": 2, "endpoints": [{**CHAT, "max_rooms": 2}, FILES]})
    with contextlib.ExitStack() as opened:
        def open_at(slot, path):
            return opened.enter_context(client_of(d, slot, path))

        a, b = open_at(0, "/chat/a"), open_at(1, "/chat/b")
        for _ in range(8):
            assert refused(d, "/chat/c") == (503, "rooms-full")
        assert ("rooms-full", "/chat/{room}", "/chat/c") in [
            (w.get("reason"), w.get("endpoint"), w.get("room"))
            for w in ask(d, "/why?peer=127.0.0.1")[1]["why"]]
        # those that there are stay open, to others as well, in the other worker too
        also = open_at(1, "/chat/a")
        open_at(1, "/files/a")
        say(also, "x")
        assert a.text() == also.text() == "User: x"
        # one of two members leaves, then the other one
        a.send(close(1000)).closed(1000)
        assert refused(d, "/chat/c") == (503, "rooms-full")
        also.send(close(1000)).closed(1000)
        # who was the first to be there may be there still when the next one comes
        wait_until("there is a place", lambda: status(d, "/chat/d") == 101)
        open_at(0, "/chat/d")
        assert refused(d, "/chat/e") == (503, "rooms-full")
        # what the dead had counts for nobody
        d.expect_error("was ended by signal 9")
        os.kill(ask(d, "/status")[1]["status"]["workers"][0]["pid"], signal.SIGKILL)
        wait_until("there is a place", lambda: status(d, "/chat/e") == 101)
        say(b, "y")
        assert b.text() == "User: y"


def test_a_reload_counts_what_there_is(daemon):
    d = daemon({"workers": 2, "endpoints": [CHAT]})
    with client_of(d, 0, "/chat/a"), client_of(d, 1, "/chat/b"), client_of(d, 1, "/chat/c"):
        d.change(endpoints=[{**CHAT, "max_rooms": 2}])
        mark = d.log_size()
        d.reload()
        d.log_contains("3 connections kept, 0 closed", mark)
        assert refused(d, "/chat/d") == (503, "rooms-full")
        assert status(d, "/chat/c") == 101
