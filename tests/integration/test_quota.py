"""How many connections a user, and an endpoint, may have over all workers."""

import os
import signal
import time

import pytest

from asking import ask as admin
from harness import wait_until
from raw import Raw, request, text
from test_access import ANNA, BEN, bearer, line, write_users

ECHO = {"path": "/ws", "behaviour": "echo", "prefix": "Echo: "}
SINK = {"path": "/safe", "behaviour": "sink"}


@pytest.fixture
def of_users(daemon):
    """A daemon that asks who one is: anna, with two tokens, or ben."""
    def make(args=(), **settings):
        d = daemon({"workers": 4, "access": {"tokens": "users"}, "endpoints": [ECHO, SINK],
                    **settings}, start=False, args=args)
        write_users(d, line("anna", ANNA), line("anna", "another-of-anna"), line("ben", BEN))
        return d.start()
    return make


def ask(d, kept, token=None, path="/ws"):
    """Returns the status, and behind a refusal its word; who is let in is kept."""
    c = Raw(d.address)
    c.send(request(path, headers=bearer(token) if token else None))
    r = c.response()
    if r.status == 101:
        kept.append(c)
        return 101
    c.socket.close()
    return r.status, r.body.decode().split(":")[0]


def end(kept):
    for c in kept:
        c.socket.close()
    kept.clear()


OVER_USER = (429, "too-many-from-user")
OVER_ENDPOINT = (503, "too-many-connections")


def test_of_a_user(of_users):
    """However many tokens he has, over all workers and endpoints; and nobody else's."""
    d = of_users(max_connections_per_user=6)
    kept = []
    for n in range(6):
        token = (ANNA, "another-of-anna")[n % 2]
        assert ask(d, kept, token, ("/ws", "/safe")[n % 3 == 0]) == 101
    assert [ask(d, kept, ANNA) for _ in range(8)] == [OVER_USER] * 8
    d.log_contains(r"refused .* /ws with 429: the user has max_connections_per_user open already "
                   r".* user=anna code=429 reason=too-many-from-user")
    assert [ask(d, kept, BEN) for _ in range(7)] == [101] * 6 + [OVER_USER]
    kept.pop(0).socket.close()
    wait_until("a place", lambda: ask(d, kept, ANNA) == 101)
    assert ask(d, kept, ANNA) == OVER_USER
    end(kept)


def test_of_a_user_at_an_endpoint(of_users):
    d = of_users(max_connections_per_user=4, endpoints=[
        {**ECHO, "max_connections_per_user": 2}, SINK])
    kept = []
    assert [ask(d, kept, ANNA) for _ in range(3)] == [101, 101, OVER_USER]
    assert [ask(d, kept, ANNA, "/safe") for _ in range(3)] == [101, 101, OVER_USER]
    end(kept)


def test_a_user_nobody_knows_is_none(daemon):
    d = daemon({"workers": 2, "max_connections_per_user": 1})
    kept = []
    assert [ask(d, kept) for _ in range(4)] == [101] * 4
    end(kept)


def test_of_an_endpoint(daemon):
    """It is not taken from the top, and holds over all workers."""
    d = daemon({"workers": 4, "max_connections": 60, "endpoints": [
        {**ECHO, "max_connections": 10}, SINK]})
    kept = []
    assert [ask(d, kept) for _ in range(13)] == [101] * 10 + [OVER_ENDPOINT] * 3
    d.log_contains(r"refused .* /ws with 503: max_connections are open already, in all or to the "
                   r"endpoint .* reason=too-many-connections")
    assert [ask(d, kept, path="/safe") for _ in range(12)] == [101] * 12
    for c in kept[:10:3]:
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    kept.pop(0).socket.close()
    wait_until("a place", lambda: ask(d, kept) == 101)
    assert ask(d, kept) == OVER_ENDPOINT
    end(kept)


def test_worker_is_killed(of_users):
    """What a dead worker had counts no more, and what the others have still does."""
    d = of_users(workers=2, max_connections_per_user=8, endpoints=[
        {**ECHO, "max_connections": 12}], args=["-v"])
    kept, others = [], []
    for _ in range(8):
        assert ask(d, kept, ANNA) == 101
    for _ in range(4):
        assert ask(d, others, BEN) == 101
    assert ask(d, kept, ANNA) == OVER_USER and ask(d, others, BEN) == OVER_ENDPOINT
    d.expect_error("was ended by signal 9")
    slot = d.worker_of(kept[0].socket.getsockname()[1])
    lost = sum(d.worker_of(c.socket.getsockname()[1]) == slot for c in kept)
    victim = d.worker_at(slot)
    os.kill(victim, signal.SIGKILL)
    d.wait_workers(2, but=[victim])
    assert [ask(d, kept, ANNA) for _ in range(lost + 1)] == [101] * lost + [OVER_USER]
    assert 0 < lost <= 8
    end(kept + others)


def test_reloads(of_users):
    """A limit that is set counts who is there, and ends nobody's connection."""
    d = of_users()
    kept = []
    assert [ask(d, kept, ANNA) for _ in range(5)] == [101] * 5
    d.change(max_connections_per_user=6, endpoints=[{**ECHO, "max_connections": 7}, SINK])
    d.reload()
    d.log_contains(r"setting max_connections_per_user 0 -> 6 ")
    assert [ask(d, kept, ANNA) for _ in range(2)] == [101, OVER_USER]
    assert [ask(d, kept, BEN) for _ in range(2)] == [101, OVER_ENDPOINT]
    d.change(max_connections_per_user=2, endpoints=[{**ECHO, "max_connections": 1}, SINK])
    d.reload()
    for c in kept:
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    assert ask(d, kept, ANNA, "/safe") == OVER_USER
    assert ask(d, kept, BEN) == OVER_ENDPOINT
    d.change(max_connections_per_user=0, endpoints=[ECHO, SINK])
    d.reload()
    assert [ask(d, kept, ANNA) for _ in range(4)] == [101] * 4
    end(kept)


# --- over_user = "oldest" ---


def let_in(d, kept, token, path="/ws"):
    kept.append(Raw(d.address).upgrade(path, headers=bearer(token)))
    # so that each is older than the next, whichever workers they are with
    time.sleep(0.03)


def hears(c):
    c.send(text("hi"))
    return c.text() == "Echo: hi"


def test_the_oldest_makes_place(of_users):
    """Whichever worker it is with; all others of the user's stay, and so do everybody else's."""
    d = of_users(max_connections_per_user=3, over_user="oldest")
    kept, others = [], []
    for _ in range(3):
        let_in(d, others, BEN)
    for _ in range(15):
        let_in(d, kept, ANNA)
        if len(kept) > 3:
            kept.pop(0).closed(1008, "replaced")
        assert all(map(hears, kept))
    assert all(map(hears, others))
    d.log_contains(r"closed /ws .*: replaced \(1008\) .* user=anna code=1008 reason=replaced")
    assert d.worker_of(kept[0].socket.getsockname()[1]) in range(4)
    # who goes by himself makes place for the next
    kept.pop(1).socket.close()
    wait_until("there are two", lambda: len(admin(
        d, "/connections?user=anna")[1]["connections"]) == 2)
    let_in(d, kept, ANNA)
    assert all(map(hears, kept))
    end(kept + others)


def test_many_come_at_once(of_users):
    """In the end there are as many as may be, and nobody was refused."""
    d = of_users(max_connections_per_user=3, over_user="oldest", close_timeout="200ms")
    many = [Raw(d.address) for _ in range(40)]
    for c in many:
        c.send(request("/ws", headers=bearer(ANNA)))
    assert [c.response().status for c in many] == [101] * len(many)
    wait_until("three are left", lambda: len(admin(
        d, "/connections?user=anna")[1]["connections"]) <= 3, timeout=30)
    # one more than had to may have gone where two workers had the last of them
    left = admin(d, "/connections?user=anna")[1]["connections"]
    assert 1 <= len(left) <= 3
    end(many)


def test_who_does_not_answer_counts_no_more(of_users):
    d = of_users(max_connections_per_user=1, over_user="oldest", close_timeout="30s")
    kept = []
    for n in range(6):
        let_in(d, kept, ANNA)
        if n > 0:
            assert kept[n - 1].frame() == (0x88, b"\x03\xf0replaced")
        assert hears(kept[n])
    end(kept)


def test_replaced_and_a_killed_worker(of_users):
    """What a dead worker had makes no place, and takes none."""
    d = of_users(workers=2, max_connections_per_user=6, over_user="oldest", args=["-v"])
    kept = []
    for _ in range(6):
        let_in(d, kept, ANNA)
    d.expect_error("was ended by signal 9")
    slot = d.worker_of(kept[0].socket.getsockname()[1])
    stay = [c for c in kept if d.worker_of(c.socket.getsockname()[1]) != slot]
    lost = len(kept) - len(stay)
    victim = d.worker_at(slot)
    os.kill(victim, signal.SIGKILL)
    d.wait_workers(2, but=[victim])
    for _ in range(lost):
        let_in(d, stay, ANNA)
    assert all(map(hears, stay))
    let_in(d, stay, ANNA)
    stay.pop(0).closed(1008, "replaced")
    assert all(map(hears, stay))
    end(kept + stay)


def test_over_user_and_reloads(of_users):
    d = of_users(max_connections_per_user=2)
    kept = []
    let_in(d, kept, ANNA)
    let_in(d, kept, ANNA)
    assert ask(d, kept, ANNA) == OVER_USER
    d.change(over_user="oldest")
    d.reload()
    let_in(d, kept, ANNA)
    kept.pop(0).closed(1008, "replaced")
    # an endpoint may have it otherwise
    d.change(endpoints=[ECHO, {**ECHO, "path": "/other", "over_user": "refuse"}])
    d.reload()
    assert ask(d, kept, ANNA, "/other") == OVER_USER
    let_in(d, kept, ANNA)
    kept.pop(0).closed(1008, "replaced")
    assert all(map(hears, kept))
    end(kept)
