"""How often an address may ask, and fail to say who it is, over all workers.

Rates are of an hour, so that nothing comes back within a test, however long it takes.
"""

import os
import signal

import way
from asking import ask, scrape
from harness import LOCAL, wait_until
from raw import Raw, plain, request
from test_access import ANNA, bearer, enter, guarded, heard  # noqa: F401 (a fixture)
from test_per_address import PROXY

ECHO = {"path": "/ws", "behaviour": "echo", "prefix": "Echo: "}


def answer(d, path="/ws", headers=None, ahead=b""):
    with Raw(d.address) as c:
        c.send(ahead, request(path, headers=headers))
        return c.response()


def word(r):
    return r.status if r.status == 101 else (r.status, r.body.decode().split(":")[0])


OFTEN, FAILED = (429, "connection-rate"), (429, "too-many-failures")
BAD_TOKEN, NO_CREDENTIALS = (401, "bad-token"), (401, "no-credentials")


def asked(d, times, *args, **kw):
    return [word(answer(d, *args, **kw)) for _ in range(times)]


def test_requests_over_workers(daemon):
    d = daemon({"workers": 4, "connection_rate_per_address": "12/h", "health": "/healthz"})
    assert asked(d, 20) == [101] * 12 + [OFTEN] * 8
    # whatever is asked for, but how we are
    assert asked(d, 1, "/nowhere") == [OFTEN]
    r = answer(d)
    assert 1 <= int(r.header("retry-after")) <= 300
    with Raw(d.address) as c:
        assert c.send(plain("/healthz")).response().status == 200
    d.log_contains(r"refused 127\.0\.0\.1:\d+ /ws with 429: the address asks more often than "
                   r"connection_rate_per_address allows.* code=429 reason=connection-rate$")
    wait_until("they are counted", lambda: scrape(d)[
        ("ignyxd_connections_refused_total", 'reason="connection-rate"')] == 10)


def test_why_others_were_refused_stays_known(daemon):
    """One address does not wash all others out of what is kept: of a flood it is a part."""
    d = daemon({"workers": 1, "connection_rate_per_address": "1/h", "log_level": "notice"})
    assert asked(d, 300) == [101] + [OFTEN] * 299
    why = ask(d, "/why?peer=127.0.0.1&limit=1000")[1]["why"]
    assert 100 <= sum(x.get("reason") == "connection-rate" for x in why) < 299


def test_who_is_connected_is_not_asked_again(daemon):
    d = daemon({"workers": 2, "connection_rate_per_address": "1/h"})
    with Raw(d.address).upgrade("/ws") as c:
        assert asked(d, 2) == [OFTEN] * 2
        assert [heard(c, f"{n}") for n in range(100)] == [f"Echo: {n}" for n in range(100)]


def test_a_killed_worker_forgets_nothing(daemon):
    d = daemon({"workers": 2, "connection_rate_per_address": "5/h"})
    assert asked(d, 6) == [101] * 5 + [OFTEN]
    d.expect_error("was ended by signal 9")
    victims = d.workers()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    d.wait_workers(2, but=victims)
    assert asked(d, 4) == [OFTEN] * 4


def test_reloads(daemon):
    d = daemon({"workers": 2})
    assert asked(d, 5) == [101] * 5
    d.change(connection_rate_per_address="2/h")
    d.reload()
    d.log_contains('setting connection_rate_per_address "0" -> "2/h"')
    assert asked(d, 4) == [101, 101, OFTEN, OFTEN]
    d.change(connection_rate_per_address="0")
    d.reload()
    assert asked(d, 5) == [101] * 5


@way.directly("it sends PROXY headers itself")
@way.in_the_clear("it sends PROXY headers itself")
def test_behind_a_proxy(daemon):
    """It is the client whom the proxy names, IPv6 by its first 64 bits."""
    d = daemon({"workers": 2, "connection_rate_per_address": "2/h", "listen": [
        {**LOCAL, "proxy_protocol": True, "trusted": ["127.0.0.1"]}]})

    def of(client, family=4, there="192.0.2.200"):
        return word(answer(d, ahead=PROXY.format(family, client, there).encode()))

    assert [of("192.0.2.1") for _ in range(3)] == [101, 101, OFTEN]
    assert of("192.0.2.2") == 101
    assert [of(f"2001:db8::{n}", 6, "2001:db8::") for n in range(1, 4)] == [101, 101, OFTEN]
    assert of("2001:db8:0:1::1", 6, "2001:db8::") == 101


def test_failures(guarded):  # noqa: F811
    """Who has failed too often is not listened to, whatever he shows; who is in already stays."""
    free = {**ECHO, "path": "/free", "access": {"tokens": ""}}
    d = guarded({**ECHO, "access": {"tokens": "users"}}, free, workers=4,
                auth_failures="6/h", auth_penalty="2h")
    with enter(d, ANNA) as c:
        assert asked(d, 10) == [NO_CREDENTIALS] * 10
        assert asked(d, 5, headers=bearer("wrong")) == [BAD_TOKEN] * 5
        assert asked(d, 2, headers=bearer(ANNA)) == [101] * 2
        assert asked(d, 3, headers=bearer("wrong")) == [BAD_TOKEN] + [FAILED] * 2
        assert asked(d, 8, headers=bearer(ANNA)) == [FAILED] * 8
        r = answer(d, headers=bearer(ANNA))
        assert 7000 <= int(r.header("retry-after")) <= 7200
        assert asked(d, 2, "/free") == [101] * 2
        assert heard(c) == "Echo: hi"
    d.log_contains(r"refused .* with 429: the address has failed auth_failures times to say who it "
                   r"is.* reason=too-many-failures$")
    why = ask(d, "/why?peer=127.0.0.1")[1]["why"]
    assert "too-many-failures" in {x.get("reason") for x in why}


def test_failures_and_a_killed_worker(guarded):  # noqa: F811
    d = guarded(workers=2, auth_failures="3/h", auth_penalty="1h")
    assert asked(d, 4, headers=bearer("wrong")) == [BAD_TOKEN] * 3 + [FAILED]
    d.expect_error("was ended by signal 9")
    victims = d.workers()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    d.wait_workers(2, but=victims)
    assert asked(d, 3, headers=bearer(ANNA)) == [FAILED] * 3
    # a reload that takes the limit away lets everybody try again
    d.change(auth_failures="0")
    d.reload()
    assert asked(d, 2, headers=bearer(ANNA)) == [101] * 2


def test_a_penalty_ends(guarded):  # noqa: F811
    d = guarded(workers=2, auth_failures="1/h", auth_penalty="1s")
    assert asked(d, 1, headers=bearer("wrong")) == [BAD_TOKEN]
    wait_until("its end", lambda: asked(d, 1, headers=bearer(ANNA)) == [101])
    # and the first that fails then is one too many again
    assert asked(d, 1, headers=bearer("wrong")) == [BAD_TOKEN]


def test_wrong_settings(daemon):
    d = daemon({"connection_rate_per_address": "10/d", "auth_failures": "2000000/m",
                "auth_penalty": "10ms"}, start=False)
    d.expect_error("not started: ")
    d.refuses(r'"connection_rate_per_address" must be so many in a while, in quotes, such as '
              r'"10/s", "100/m" or "5/h", at most 1000000, not the string "10/d"',
              r'"auth_failures" must be .*, not the string "2000000/m"',
              r'"auth_penalty" must be from "1s" to "24h", not "10ms"')
