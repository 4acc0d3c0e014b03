"""How many connections a user, and an endpoint, may have over all workers."""

import os
import signal

import pytest

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
