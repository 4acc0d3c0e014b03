"""Users among those who are present: each once, and not gone before presence_grace is over."""

import json
import os
import random
import signal
import subprocess
import time

import pytest

from asking import ask as admin, own
from attending import ASK, Member, connected, plain, room, user
from harness import wait_until
from pretend import CTL, ctl
from way import directly

NAMES = ("ada", "eve", "bob", "10011ad8370002b")


def make(name):
    """A token, and its line in a file."""
    made = json.loads(subprocess.run([CTL, "--json", "token", "make", name, "read"], check=True,
                                     stdin=subprocess.DEVNULL, capture_output=True).stdout)
    return made["token"], f"{name} {made['line'].split()[2]}"


TOKENS = {name: make(name) for name in NAMES}


def as_user(name):
    return {"Authorization": f"Bearer {TOKENS[name][0]}"} if name else None


@pytest.fixture
def known(daemon):
    """A daemon of which a room is for those who are known, and one is for all."""
    def start(workers=2, **settings):
        d = daemon({"workers": workers, "log_level": "debug", "endpoints": [
            {**room(**settings), "access": {"tokens": "users"}}, {**room(), "path": "/open"}]},
            start=False)
        path = os.path.join(d.directory, "users")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for _, line in TOKENS.values()))
        os.chmod(path, 0o600)
        d.start()
        return d
    return start


def test_each_once(known):
    d = known(presence_grace="1s")
    a = Member(d, headers=as_user("ada"))
    assert a.who == {user("ada")} and a.members == 1
    b = Member(d, headers=as_user("10011ad8370002b"))
    again = plain(d, headers=as_user("ada"))
    a.until(lambda m: m.who == b.who == {user("ada"), user("10011ad8370002b")})
    a.client.send(ASK)
    answer = a.take()
    assert list(answer) == ["type", "room", "members", "who", "users"]
    assert answer["members"] == 3 and answer["users"] == 2
    status, told = admin(d, "/presence/chat/a")
    assert status == 200 and told["members"] == 3 and told["users"] == 2
    assert set(told["who"]) == {"ada", "10011ad8370002b"}
    done = ctl("-s", own(d), "presence", "/chat/a")
    assert done.returncode == 0 and set(done.stdout.splitlines()) == {
        "3 members", "ada", "10011ad8370002b"}
    began = time.monotonic()
    again.socket.close()
    b.client.socket.close()
    # the admin interface tells who is connected, and members are told later
    wait_until("one is left", lambda: admin(d, "/presence/chat/a")[1] == {
        "room": "/chat/a", "members": 1, "who": ["ada"], "users": 1})
    a.until(lambda m: m.who == {user("ada")})
    assert time.monotonic() - began > 0.9
    assert a.types == ["joined", "join", "presence", "leave"]
    # who is not known is told by its connection
    assert Member(d, "/open").who <= set(connected(d))


def test_back_in_time(known):
    d = known(presence_grace="1m")
    a, b = Member(d, headers=as_user("ada")), Member(d, headers=as_user("eve"))
    a.until(lambda m: m.who == b.who)
    for _ in range(5):
        b.client.socket.close()
        wait_until("it is gone", lambda: len(connected(d)) == 1)
        b = Member(d, headers=as_user("eve"))
        assert b.who == a.who
    bob = Member(d, headers=as_user("bob"))
    a.until(lambda m: m.who == bob.who)
    assert a.types == ["joined", "join", "join"]


def worker_of_each(d):
    return {int(c["peer"].rsplit(":", 1)[1]): c["worker"] for c in connected(d).values()}


def watch_at_both(d):
    """Of eight the kernel gives all to one worker in 128 runs: then some more."""
    watchers = [Member(d, headers=as_user("ada")) for _ in range(8)]
    while len({worker_of_each(d)[w.client.local_port] for w in watchers}) < 2:
        assert len(watchers) < 64
        watchers.append(Member(d, headers=as_user("ada")))
    return watchers


@directly("one worker may accept all that comes by the one unix socket")
def test_a_worker_dies(known):
    """Those who come back are not missed, others are when it is time."""
    d = known(presence_grace="2s")
    watchers = watch_at_both(d)
    members = {name: plain(d, headers=as_user(name)) for name in ("eve", "bob")}
    slots = worker_of_each(d)
    all_users = {user("ada"), user("eve"), user("bob")}
    dies = slots[members["eve"].local_port]
    watcher = next(w for w in watchers if slots[w.client.local_port] != dies)
    watcher.until(lambda m: m.who == all_users)
    with_it = slots[members["bob"].local_port] == dies
    died = time.monotonic()
    os.kill(d.worker_at(dies), signal.SIGKILL)
    if with_it:
        members["bob"] = plain(d, headers=as_user("bob"))
    in_time = time.monotonic() - died < 1.5
    watcher.until(lambda m: m.who == {user("ada"), user("bob")})
    assert time.monotonic() - died > 1.8
    # on a machine that stands still bob may come too late not to be missed
    assert watcher.types.count("leave") == 1 or not in_time
    d.expect_error("was ended by signal")


def test_they_come_and_go(known):
    """Any of them, anywhere: when all is quiet for longer than the grace all know who is there."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print("seed", seed)
    rng = random.Random(seed)
    d = known(workers=4, presence_grace="500ms")
    members = []
    for _ in range(5):
        for _ in range(30):
            what = rng.random()
            if what < 0.5 and len(members) < 12:
                name = rng.choice(NAMES)
                members.append((name, Member(d, headers=as_user(name))))
            elif what < 0.85 and members:
                members.pop(rng.randrange(len(members)))[1].client.socket.close()
            elif members:
                rng.choice(members)[1].client.send(ASK)
        if not members:
            members.append(("ada", Member(d, headers=as_user("ada"))))
        wait_until("all to be known", lambda: len(connected(d)) == len(members))
        there = {user(name) for name, _ in members}
        for _, m in members:
            m.until(lambda m: m.who == there)
        # that is so when it is over as well
        time.sleep(1)
        for _, m in members:
            answers = m.types.count("presence")
            m.client.send(ASK)
            m.until(lambda m: m.types.count("presence") > answers and m.who == there)
