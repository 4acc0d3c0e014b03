"""Connections are let go at a pace: by an administrator, a reload, a retirement, a stop."""

import contextlib
import os
import re
import select
import signal
import subprocess
import time

import pytest

import way
from asking import ask, own
from harness import DEADLINE, FIVE, in_time, wait_until
from pretend import CTL
from raw import Raw, client_of, close, request, text
from test_ctl import done, refused

ECHO = FIVE[0]
OTHER = {"path": "/other", "behaviour": "echo"}
MANY = 40


@contextlib.contextmanager
def clients(d, count, path="/ws"):
    """Open ones, over all workers."""
    all_of_them = [Raw(d.address).upgrade(path) for _ in range(count)]
    try:
        yield all_of_them
    finally:
        for c in all_of_them:
            c.socket.close()


def status(d, path="/ws"):
    with Raw(d.address) as c:
        r = c.send(request(path)).response()
        return r.status, r.header("retry-after")


def drain_of(d):
    return ask(d, "/status")[1]["status"]["drain"]


def ended(d):
    wait_until("the drain ends", lambda: drain_of(d)["ended"])
    return drain_of(d)


def ends_of(those, until, deadline=DEADLINE):
    """Answers each close; what they were told, in the order of time: (when, client, code, text)."""
    told, waiting = [], list(those)
    last = time.monotonic() + deadline
    while len(told) < until:
        ready, _, _ = select.select([c.socket for c in waiting], [], [], last - time.monotonic())
        assert ready, f"only {len(told)} of {until} were let go"
        for c in [c for c in waiting if c.socket in ready]:
            code, why = c.closing()
            told.append((time.monotonic(), c, code, why))
            waiting.remove(c)
            c.send(close(code))
    return told


def retry_after(why, word):
    match = re.fullmatch(rf"{word} retry-after=(\d+\.\d)s", why)
    assert match, why
    return float(match.group(1))


def is_open(c):
    c.send(text("hi"))
    return c.text() in ("Echo: hi", "hi")


def check_pace(told, code, word, over, pace):
    """One after the other, over the whole time, and so that they do not come back together."""
    assert {t[2] for t in told} == {code}
    after = [retry_after(t[3], word) for t in told]
    assert all(0 < a <= over for a in after)
    assert min(after) < over / 2 < max(after)
    times = [t[0] - told[0][0] for t in told]
    for before, now in zip(times, times[1:]):
        pace.note(now - before)
    assert times[-1] > over / 2
    # of those that went in the first half there were neither none nor all
    early = sum(t < times[-1] / 2 for t in times)
    assert len(told) / 5 < early < len(told) * 4 / 5


def paced(over, attempt):
    """attempt(pace), once more where the machine stood still for much of the time that they have."""
    in_time(over / 4, attempt)


def test_a_drain(daemon):
    d = daemon()

    def attempt(pace):
        ask(d, "/undrain", "POST")
        with clients(d, MANY) as those:
            answer = ask(d, "/drain?over=2", "POST")
            assert answer == (200, {"drain": {"connections": MANY, "over": 2.0, "refuses": True,
                                              "endpoint": None}})
            assert status(d) == (503, "5")
            assert ask(d, "/ready") == (503, {"ready": False, "reasons": ["drained"]})
            told = ends_of(those, MANY)
            check_pace(told, 1001, "drained", 2, pace)
        now = ended(d)
        assert (now["let_go"], now["late"], now["left"], now["refuses"]) == (MANY, 0, 0, True)

    paced(2, attempt)
    d.log_contains(rf"drain begun: {MANY} connections go within 2.0 s, oldest first; new ones are "
                   "refused event=drain-begun")
    d.log_contains(rf"drain ended: {MANY} connections were let go, 0 of them at its deadline "
                   "event=drain-ended")
    assert status(d) == (503, "5")
    assert ask(d, "/undrain", "POST") == (200, {"undrained": True})
    assert status(d)[0] == 101
    assert ask(d, "/ready")[0] == 200
    assert drain_of(d) is None
    d.log_contains("event=undrained")
    assert ask(d, "/undrain", "POST") == (200, {"undrained": False})


def test_health_check_of_a_drained_daemon(daemon):
    d = daemon({"health": "/health"})
    assert status(d, "/health")[0] == 200
    ask(d, "/drain", "POST")
    assert status(d, "/health")[0] == 503
    ask(d, "/undrain", "POST")
    assert status(d, "/health")[0] == 200


@pytest.mark.parametrize("order, half", [("oldest", slice(0, 5)), ("newest", slice(5, 10))])
def test_the_order(daemon, order, half):
    d = daemon({"workers": 1})
    with clients(d, 10) as those:
        ask(d, f"/drain?over=0&share=0.5&order={order}", "POST")
        told = ends_of(those, 5)
        assert ended(d)["let_go"] == 5
        assert {t[1] for t in told} == set(those[half])
        assert all(is_open(c) for c in those if c not in those[half])


@pytest.mark.parametrize("share, count", [(0.5, 15), (0.1, 3), (0.33, 10), (1, 30)])
def test_a_share(daemon, share, count):
    """Exactly that part, over all workers; who comes is taken."""
    d = daemon({"workers": 3})
    with clients(d, 30) as those:
        answer = ask(d, f"/drain?over=0.5&share={share}&order=random", "POST")[1]["drain"]
        assert (answer["connections"], answer["refuses"]) == (count, False)
        assert ask(d, "/ready")[0] == 200
        told = ends_of(those, count)
        assert {t[2] for t in told} == {1012}
        for t in told:
            retry_after(t[3], "drained")
        assert ended(d)["let_go"] == count
        gone = {t[1] for t in told}
        assert all(is_open(c) for c in those if c not in gone)
        assert status(d)[0] == 101
    assert drain_of(d)["share"] == share


def test_an_endpoint(daemon):
    """Its connections go, and it takes none; the others are not touched."""
    d = daemon({"endpoints": [ECHO, OTHER], "drain_time": "500ms"})
    with clients(d, 6) as stay, clients(d, 6, "/other") as go:
        answer = ask(d, "/drain?endpoint=/other", "POST")[1]["drain"]
        assert (answer["connections"], answer["endpoint"], answer["over"]) == (6, "/other", 0.5)
        assert status(d, "/other") == (503, "5")
        assert status(d, "/ws")[0] == 101
        assert ask(d, "/ready")[0] == 200
        assert {t[2] for t in ends_of(go, 6)} == {1001}
        assert ended(d)["let_go"] == 6
        assert all(is_open(c) for c in stay)
    d.log_contains("6 connections of /other go within 0.5 s, .*endpoint=/other")
    ask(d, "/undrain", "POST")
    assert status(d, "/other")[0] == 101


def test_a_share_of_an_endpoint(daemon):
    d = daemon({"endpoints": [ECHO, OTHER]})
    with clients(d, 6) as stay, clients(d, 8, "/other") as go:
        ask(d, "/drain?endpoint=/other&share=0.25&over=0", "POST")
        told = ends_of(go, 2)
        assert [t[2:] for t in told] == [(1012, "drained")] * 2
        assert ended(d)["let_go"] == 2
        gone = {t[1] for t in told}
        assert all(is_open(c) for c in [*stay, *go] if c not in gone)
        assert status(d, "/other")[0] == 101


def test_what_cannot_be_asked(five):
    for target, code, word in [("/drain?over=x", 400, "bad-parameter"),
                               ("/drain?over=", 400, "bad-parameter"),
                               ("/drain?over=-1", 400, "bad-parameter"),
                               ("/drain?over=86401", 400, "bad-parameter"),
                               ("/drain?share=0", 400, "bad-parameter"),
                               ("/drain?share=1.1", 400, "bad-parameter"),
                               ("/drain?order=young", 400, "bad-parameter"),
                               ("/drain?endpoint=/none", 404, "not-found")]:
        got, answer = ask(five, target, "POST")
        assert (got, answer["error"]) == (code, word), target
    assert ask(five, "/drain")[0] == 405
    assert drain_of(five) is None
    assert status(five)[0] == 101


def test_undrain_while_they_go(daemon):
    d = daemon()
    with clients(d, 10) as those:
        ask(d, "/drain?over=3600", "POST")
        wait_until("that the workers have counted them", lambda: drain_of(d)["left"] == 10)
        ask(d, "/undrain", "POST")
        assert all(is_open(c) for c in those)
        assert drain_of(d) is None
        # another one takes its place, and is at once
        ask(d, "/drain?over=3600", "POST")
        ask(d, "/drain?over=0", "POST")
        assert [t[2:] for t in ends_of(those, 10)] == [(1001, "drained")] * 10
        assert ended(d)["let_go"] == 10


def test_a_worker_dies_while_drained(daemon):
    """The next one begins drained, and its part is not waited for."""
    d = daemon({"log_level": "debug"})
    d.expect_error("worker . .* was ended by signal 9")
    with clients(d, 10):
        ask(d, "/drain?over=3600", "POST")
        for slot in (0, 1):
            pid = d.worker_at(slot)
            os.kill(pid, signal.SIGKILL)
            d.wait_workers(2, but=(pid,))
        assert (ended(d)["let_go"], ended(d)["left"]) == (0, 0)
        for _ in range(10):
            assert status(d) == (503, "5")
    ask(d, "/undrain", "POST")
    for _ in range(10):
        assert status(d)[0] == 101


def test_the_admin_process_dies_while_drained(daemon):
    d = daemon()
    d.expect_error("the admin process")
    ask(d, "/drain", "POST")
    pid = d.admin()
    os.kill(pid, signal.SIGKILL)
    wait_until("there is another", lambda: d.admin() not in (None, pid))
    assert ask(d, "/ready")[0] == 503
    assert drain_of(d)["refuses"]
    assert status(d) == (503, "5")


def test_a_reload_while_drained(daemon):
    d = daemon({"endpoints": [ECHO, OTHER]})
    with clients(d, 10) as those:
        ask(d, "/drain?over=3", "POST")
        d.change(endpoints=[{**ECHO, "prefix": "Hi: "}], workers=3)
        d.reload()
        for _ in range(10):
            assert status(d) == (503, "5")
        check = ends_of(those, 10)
        assert {t[2] for t in check} == {1001}
    assert ended(d)["let_go"] == 10
    d.reload()
    assert status(d) == (503, "5")


def test_a_drained_endpoint_over_a_reload(daemon):
    d = daemon({"endpoints": [ECHO, OTHER]})
    ask(d, "/drain?endpoint=/other", "POST")
    first = {"path": "/first", "behaviour": "echo"}
    d.change(endpoints=[first, ECHO, OTHER])
    d.reload()
    assert [status(d, p)[0] for p in ("/first", "/ws", "/other")] == [101, 101, 503]


def test_removal_of_an_endpoint(daemon):
    d = daemon({"endpoints": [ECHO], "drain_time": "2s"})

    def attempt(pace):
        d.change(endpoints=[ECHO, OTHER])
        d.reload()
        with clients(d, 4) as stay, clients(d, 30, "/other") as go:
            d.change(endpoints=[ECHO])
            d.reload()
            assert status(d, "/other")[0] == 404
            check_pace(ends_of(go, 30), 1012, "endpoint-changed", 2, pace)
            assert all(is_open(c) for c in stay)

    paced(2, attempt)
    d.log_contains("; 4 connections kept, 30 closed")


def test_retirement_of_a_worker(daemon):
    d = daemon({"drain_time": "2s"})
    with contextlib.ExitStack() as all_of_them:
        stay, go = ([all_of_them.enter_context(client_of(d, slot)) for _ in range(10)]
                    for slot in (0, 1))
        d.change(workers=1)
        d.reload()
        told = ends_of(go, len(go))
        assert {t[2] for t in told} == {1012}
        for t in told:
            assert 0 < retry_after(t[3], "drained") <= 2
        assert told[-1][0] - told[0][0] > 0.3
        d.wait_workers(1)
        assert all(is_open(c) for c in stay)


def test_stop(daemon):
    def attempt(pace):
        d = daemon({"drain_time": "2s", "shutdown_grace": "30s"})
        with clients(d, 30) as those:
            d.kill(signal.SIGTERM)
            told = ends_of(those, 30)
            assert d.wait() == 0
            check_pace(told, 1001, "shutdown", 2, pace)

    paced(2, attempt)


def test_stop_without_drain_time(daemon):
    """What is not asked for is not waited for."""
    d = daemon()
    with clients(d, 10) as those:
        d.kill(signal.SIGTERM)
        assert [t[2:] for t in ends_of(those, 10)] == [(1001, "shutdown")] * 10
        assert d.wait() == 0


def test_ctl(daemon):
    d = daemon()
    assert done(d, "undrain") == "there was no drain\n"
    with clients(d, 10) as those:
        assert done(d, "drain", "--over", "1h", "--order", "newest") == \
            "10 connections go within 1 h; new ones are refused\n"
        assert re.search(r"^drain        all endpoints, 10 to go within \d+ min \d+ s; new ones are "
                         "refused$", done(d, "status"), re.M)
        assert "drained" in refused(d, "wait", "ready", "--timeout", "2s")
        assert "did not come in time" in refused(d, "wait", "drained", "--timeout", "2s")
        assert done(d, "undrain") == "new connections are taken again\n"
        assert done(d, "drain", "--share", "0.5", "--over", "500ms", "--endpoint", "/ws", "--wait") == \
            "5 connections of /ws go within 500 ms; new ones are taken\n"
        assert len(ends_of(those, 5)) == 5
        assert done(d, "wait", "drained") == ""
        assert "ended: 5 let go, 0 at the deadline; new ones are taken" in done(d, "status")
    assert "a duration such as" in refused(d, "drain", "--over", "soon", status=2)
    assert "there is no such endpoint" in refused(d, "drain", "--endpoint", "/none")
    assert "above 0" in refused(d, "drain", "--share", "0")


@way.in_the_clear("it is about ignyxctl")
@way.directly("it is about ignyxctl")
def test_ctl_does_not_wait_for_a_daemon_that_is_gone(daemon):
    d = daemon()
    with clients(d, 2), subprocess.Popen([CTL, "-s", own(d), "drain", "--over", "1h", "--wait"],
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         text=True) as p:
        assert "2 connections go within 1 h" in p.stdout.readline()
        assert d.stop() == 0
        _, said = p.communicate(timeout=DEADLINE + 30)
    assert "does ignyxd run" in said, said
    assert p.returncode != 0


def test_metrics(daemon):
    d = daemon()

    def values():
        metrics = done(d, "metrics")
        return [float(re.search(rf"^ignyxd_{n} (\S+)$", metrics, re.M).group(1))
                for n in ("draining", "connections_leaving")]

    with clients(d, 10) as those:
        assert values() == [0, 0]
        ask(d, "/drain?over=3600&share=0.5", "POST")
        wait_until("they are counted", lambda: values() == [0, 5])
        ask(d, "/drain?over=3600", "POST")
        wait_until("they are counted", lambda: values() == [1, 10])
        ask(d, "/drain?over=0", "POST")
        ends_of(those, 10)
        wait_until("they are counted", lambda: values() == [1, 0])
    wait_until("they are counted", lambda: re.search(
        r'connections_closed_total\{.*code="1001".*reason="drained".*\} 10$', done(d, "metrics"), re.M))
