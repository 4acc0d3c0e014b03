"""Who is present, as members of a room are told, over all workers and their deaths."""

import json
import os
import random
import signal
import time

import pytest

from asking import ask as admin, own
from attending import ASK, Member, connected, plain, room
from harness import SLOW, wait_until
from pretend import ctl
from raw import text


def test_who_is_there(daemon):
    d = daemon({"workers": 2, "endpoints": [room()]})
    a = Member(d)
    own = set(connected(d))
    assert a.who == own and a.members == 1
    b = Member(d)
    assert b.who == set(connected(d)) and b.members == 2
    a.until(lambda m: m.members == 2)
    assert a.who == b.who and a.types == ["joined", "join"]
    c = plain(d)
    for m in (a, b):
        m.until(lambda m: m.members == 3)
        assert m.who == set(connected(d))
    c.socket.close()
    a.until(lambda m: m.members == 2)
    assert a.types[-1] == "leave" and a.who == set(connected(d))
    a.client.send(ASK)
    answer = a.take()
    assert list(answer) == ["type", "room", "members", "who"]
    assert answer["type"] == "presence" and set(answer["who"]) == set(connected(d))
    # another room is another
    assert Member(d, "/chat/b").members == 1


def test_counted(daemon):
    d = daemon({"workers": 2, "endpoints": [room(True)]})
    a = Member(d)
    assert a.who is None and a.members == 1
    c = plain(d)
    a.until(lambda m: m.members == 2)
    assert a.types == ["joined", "join"]
    a.client.send(ASK)
    assert a.take() == {"type": "presence", "room": "/chat/a", "members": 2}
    c.socket.close()
    a.until(lambda m: m.members == 1)
    assert a.types[-1] == "leave"


def test_not_told(daemon):
    d = daemon({"workers": 1, "endpoints": [room("none")]})
    a, _ = Member(d), plain(d)
    a.client.send(ASK)
    assert json.loads(a.client.text())["error"] == "no-presence"


def test_more_than_are_told(daemon):
    d = daemon({"workers": 1, "endpoints": [room(presence_max=2)]})
    a = Member(d)
    b, c = plain(d), plain(d)
    a.until(lambda m: m.members == 3)
    assert a.who is None
    c.socket.close()
    a.until(lambda m: m.members == 2)
    assert a.who == set(connected(d)) and a.types[-1] == "presence"
    assert "who" not in Member(d).types
    b.socket.close()


def test_a_worker_dies(daemon):
    """Its members have left, and the others know it within two seconds."""
    d = daemon({"workers": 2, "log_level": "debug", "endpoints": [room()]})
    members, slots = [], {}
    # of a unix socket one worker may take many, one after the other
    while len(members) < 16 or set(slots.values()) != {0, 1}:
        members.append(Member(d))
        slots = {i: c["worker"] for i, c in connected(d).items()}
        assert len(members) < 200
    for m in members:
        m.until(lambda m: m.members == len(members))
    gone = {i for i, slot in slots.items() if slot == 0}
    left = [m for m in members if m.client.local_port in
            {int(c["peer"].rsplit(":", 1)[1]) for i, c in connected(d).items() if i not in gone}]
    assert len(left) == len(members) - len(gone)
    began = time.monotonic()
    os.kill(d.worker_at(0), signal.SIGKILL)
    for m in left:
        m.until(lambda m: m.members == len(left))
        assert m.who == set(slots) - gone
    assert time.monotonic() - began < 2 * SLOW
    d.expect_error("was ended by signal")


def test_a_reload_turns_it_on_and_off(daemon):
    d = daemon({"workers": 2, "endpoints": [room("none")]})
    a, b = Member(d), Member(d)
    assert a.who is None
    d.change(endpoints=[room("list")])
    d.reload()
    for m in (a, b):
        m.until(lambda m: m.who is not None)
        assert m.who == set(connected(d)) and m.members == 2
    d.change(endpoints=[room("count")])
    d.reload()
    for m in (a, b):
        m.until(lambda m: m.who is None)
        assert m.members == 2
    d.change(endpoints=[room("none")])
    d.reload()
    a.client.send(ASK)
    while "error" not in (f := json.loads(a.client.text())):
        assert f["type"] == "presence"
    assert f["error"] == "no-presence"


def test_they_come_and_go(daemon):
    """Any of them, anywhere, and workers die: what each is told last is what is so."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print("seed", seed)
    rng = random.Random(seed)
    d = daemon({"workers": 4, "log_level": "debug", "endpoints": [room(presence_max=20)]})
    members = []

    def drop_the_dead():
        there = {int(c["peer"].rsplit(":", 1)[1]) for c in connected(d).values()}
        for m in [m for m in members if m.client.local_port not in there]:
            m.client.socket.close()
            members.remove(m)

    for step in range(6):
        for _ in range(25):
            what = rng.random()
            if what < 0.5 and len(members) < 24:
                members.append(Member(d))
            elif what < 0.85 and members:
                members.pop(rng.randrange(len(members))).client.socket.close()
            elif members:
                m = rng.choice(members)
                m.client.send(ASK)
        if step % 2:
            victim = d.worker_at(rng.randrange(4))
            os.kill(victim, signal.SIGKILL)
            wait_until("another worker", lambda: victim not in d.workers())
            d.wait_workers(4, but=[victim])
            d.expect_error("was ended by signal")
            drop_the_dead()
        if not members:
            members.append(Member(d))
        n = len(members)
        wait_until("all to be known", lambda: len(connected(d)) == n)
        ids = set(connected(d))
        for m in members:
            m.until(lambda m: m.members == n and (m.who == ids if n <= 20 else m.who is None))


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "latest"])
def test_who_is_slow_is_told_what_is_so(daemon, policy):
    """Messages are dropped, but not who came and went meanwhile."""
    d = daemon({"endpoints": [room(slow_consumer=policy, max_pending="16K", max_message="16K",
                                   include_sender=False)]})
    slow, watcher, speaker = Member(d, rcvbuf=4096), Member(d), plain(d)

    def say_much(n):
        speaker.send(text("x" * 100) * n)

    watcher.until(lambda m: m.members == 3)
    wait_until("a message that is dropped", lambda: say_much(400) or [
        c for c in connected(d).values() if c.get("dropped")])
    members = [Member(d)]
    for i in range(6):
        members.append(Member(d))
        watcher.until(lambda m: m.members == 3 + len(members))
        say_much(400)
        # one who was seen leaves, or one who was not
        members.pop(-i % 2).client.socket.close()
        watcher.until(lambda m: m.members == 3 + len(members))
        say_much(400)
    last = Member(d)
    ids = set(connected(d))
    assert last.who == ids
    slow.until(lambda m: m.who == ids)
    assert slow.members == 5 and "gap" in slow.types


@pytest.mark.parametrize("setting, error", [
    ({"presence": "all"}, 'presence.*must be "none", "count" or "list"'),
    ({"presence": 1}, 'presence.*must be "none", "count" or "list"'),
    ({"presence_max": 0}, "presence_max"),
    ({"presence_max": 5001}, "presence_max"),
    ({"presence_rate": "often"}, "presence_rate"),
    ({"presence_grace": "6m"}, "presence_grace"),
    ({"presence_grace": 5}, "presence_grace"),
])
def test_settings(daemon, setting, error):
    d = daemon({"endpoints": [room(**setting)]}, start=False)
    d.refuses(error, "has errors")


def test_asked_from_outside(daemon):
    d = daemon({"workers": 2, "endpoints": [room(presence_max=2),
                                            {**room("count"), "path": "/n"},
                                            {**room("none"), "path": "/none"},
                                            {"path": "/ws", "behaviour": "echo"}]})
    assert admin(d, "/presence/chat/a") == (200, {"room": "/chat/a", "members": 0, "who": []})
    _, c = Member(d), plain(d)
    both = sorted(connected(d), key=lambda i: int(i, 16))
    assert admin(d, "/presence/chat/a") == (200, {"room": "/chat/a", "members": 2, "who": both})
    assert admin(d, "/presence/chat/b")[1]["members"] == 0
    more = plain(d)
    assert admin(d, "/presence/chat/a") == (200, {"room": "/chat/a", "members": 3})
    more.socket.close()
    wait_until("two are left", lambda: len(connected(d)) == 2)
    n = plain(d, "/n")
    assert admin(d, "/presence/n") == (200, {"room": "/n", "members": 1})
    n.socket.close()
    for path, status, error in (("/none", 409, "no-presence"), ("/ws", 404, "no-such-room"),
                                ("/no", 404, "no-such-room"), ("", 404, "no-such-room")):
        got, answer = admin(d, f"/presence{path}")
        assert (got, answer["error"]) == (status, error)
    done = ctl("-s", own(d), "presence", "/chat/a")
    assert (done.returncode, done.stdout) == (0, "2 members\n" + "".join(f"{i}\n" for i in both))
    done = ctl("-s", own(d), "presence", "--json", "/chat/a")
    assert json.loads(done.stdout) == {"room": "/chat/a", "members": 2, "who": both}
    done = ctl("-s", own(d), "presence", "/none")
    assert done.returncode == 1 and "presence" in done.stderr
    c.socket.close()
