"""Members of a room who are told who is there, and keep account of it."""

import json
import time

from asking import ask as admin
from harness import DEADLINE
from raw import Raw, request, text

PROTOCOL = "ignyx.room.v1"
ASK = text('{"ignyx":"presence"}')


def room(presence="list", **settings):
    return {"path": "/chat/{room}", "behaviour": "room", "format": "both", "presence": presence,
            **settings}


def user(name):
    """As a member knows one; a connection is its id."""
    return "user", name


def names(f):
    users = f.get("users", 0)
    ids = f["who"][:len(f["who"]) - users]
    assert len(set(f["who"])) == len(f["who"]) and users == len(f["who"]) - len(ids)
    return ids + [user(name) for name in f["who"][len(ids):]]


class Member:
    """A client that gets envelopes, and knows what it was told; what cannot be is an error."""

    def __init__(self, d, path="/chat/a", rcvbuf=None, headers=None):
        self.client = Raw(d.address, rcvbuf)
        self.client.send(request(path, headers={"Sec-WebSocket-Protocol": PROTOCOL,
                                                    **(headers or {})}))
        assert self.client.response().status == 101
        self.path, self.who, self.members, self.types = path, None, 0, []
        self.take()
        assert self.types == ["joined"]

    def take(self):
        f = json.loads(self.client.text())
        self.types.append(f["type"])
        if f["type"] in ("message", "gap"):
            return f
        assert f["room"] == self.path
        if f["type"] in ("joined", "presence"):
            self.who = set(names(f)) if "who" in f else None
        elif f["type"] == "join":
            assert (self.who is not None) == ("who" in f)
            assert not self.who or not self.who & set(names(f))
            if self.who:
                self.who |= set(names(f))
        elif f["type"] == "leave":
            assert (self.who is not None) == ("who" in f)
            assert not self.who or self.who >= set(names(f))
            if self.who:
                self.who -= set(names(f))
        else:
            assert False, f
        self.members = f["members"]
        return f

    def until(self, check):
        end = time.monotonic() + DEADLINE
        while not check(self):
            assert time.monotonic() < end, (self.types, self.who, self.members)
            self.take()


def plain(d, path="/chat/a", headers=None):
    c = Raw(d.address)
    c.send(request(path, headers=headers))
    assert c.response().status == 101
    return c


def connected(d):
    return {c["id"]: c for c in admin(d, "/connections?limit=1000")[1]["connections"]}
