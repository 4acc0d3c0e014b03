"""Why somebody was cut off or not let in: what is kept of ends and refusals, for who asks later."""

import os
import signal
import time

import pytest

import way
from asking import Admin, ask
from harness import SLOW, wait_until
from raw import PING, PONG, Raw, close, frame, request, text


def known(d, query):
    """What is known by now, the latest first."""
    status, answer = ask(d, f"/why?{query}")
    assert status == 200, answer
    return answer["why"]


def waits_for(d, query, event):
    """The latest that is known, once it is that event."""
    def there():
        status, answer = ask(d, f"/why?{query}")
        return status == 200 and answer["why"] and answer["why"][0]["event"] == event and answer
    return wait_until(f"{event} of {query}", there)


def id_of(d, c):
    """The id of a connection that is open."""
    found = ask(d, f"/connections?peer=127.0.0.1:{c.local_port}")[1]["connections"]
    assert len(found) == 1
    return found[0]["id"]


def refused(d, **kw):
    """The port that was refused, and with which status."""
    with Raw(d.address) as c:
        c.send(request(**kw))
        return c.local_port, c.response().status


def test_what_is_true_of_it_now(daemon):
    """Its pings, and what it may be cut off by; in no list."""
    d = daemon({"ping_interval": "300ms", "ping_timeout": "1h", "max_pending": "64K"})
    with Raw(d.address).upgrade("/ws") as c:
        conn = id_of(d, c)

        def now():
            one = ask(d, f"/connections/{conn}")[1]
            assert ask(d, f"/why?conn={conn}")[1]["connections"][0]["limits"] == one["limits"]
            return one

        limits = now()["limits"]
        assert (limits["max_pending"], limits["ping_timeout"]) == (65536, 3600)
        assert (limits["idle_timeout"], limits["slow_consumer"]) == (0, "close")
        assert "limits" not in ask(d, "/connections")[1]["connections"][0]
        first, payload = c.frame()
        assert first == 0x80 | PING
        assert 0 <= wait_until("it is awaited", lambda: now().get("pong_awaited", -1) + 1) - 1 < 60
        assert "last_pong" not in now()
        c.send(frame(PONG, payload))
        one = wait_until("it came", lambda: (one := now()).get("last_pong") is not None and one)
        assert 0 <= one["last_pong"] < 60 and 0 < one["round_trip"] < 60
        assert "pong_awaited" not in one


def test_cut_off_for_what_it_did(daemon):
    d = daemon({"access_log": False})
    before = time.time()
    with Raw(d.address).upgrade("/ws") as c:
        port, conn = c.local_port, id_of(d, c)
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
        c.send(text(b"\xff"))
        assert c.closing() == (1007, "bad-utf8")
        c.socket.close()
    answer = waits_for(d, f"conn={conn}", "conn-close")
    assert answer["connections"] == []
    end, begin = answer["why"]
    assert before - 1 < end.pop("time") < time.time() + 1 and 0 <= end.pop("duration") < 60
    assert end.pop("received_bytes") > 8 and end.pop("sent_bytes") > 10
    assert end == {"event": "conn-close", "id": conn, "worker": int(conn, 16) >> 56,
                   "peer": f"127.0.0.1:{port}", "endpoint": "/ws", "code": 1007,
                   "initiator": "server", "reason": "bad-utf8",
                   "text": "a text message was not UTF-8", "received": 1, "sent": 1}
    assert (begin["event"], begin["id"], begin["endpoint"]) == ("conn-open", conn, "/ws")
    # whoever asks has its address, with the port or without
    for peer in (f"127.0.0.1:{port}", "127.0.0.1", "::ffff:127.0.0.1", f"[::ffff:127.0.0.1]:{port}"):
        assert known(d, f"peer={peer}")[0]["id"] == conn
    assert "nothing-known" == ask(d, "/why?peer=127.0.0.2")[1]["error"]
    assert "nothing-known" == ask(d, f"/why?peer=127.0.0.1:{port ^ 1}")[1]["error"]


def test_the_peer_closed(five):
    with Raw(five.address).upgrade("/safe") as c:
        conn = id_of(five, c)
        c.send(close(4321))
        c.closing()
    end = waits_for(five, f"conn={conn}", "conn-close")["why"][0]
    assert (end["initiator"], end["code"], end["reason"]) == ("client", 4321, "peer-closed")


def test_kicked_with_a_code(five):
    with Raw(five.address).upgrade("/chat") as c:
        conn = id_of(five, c)
        assert ask(five, f"/connections/{conn}?code=4000&reason=bye", "DELETE") == (200, {"closed": 1})
        assert c.closing() == (4000, "bye")
        c.send(close(4000))
    end = waits_for(five, f"conn={conn}", "conn-close")["why"][0]
    assert (end["code"], end["reason"], end["initiator"]) == (4000, "kicked", "server")
    assert end["text"] == "an administrator ended the connection"


def test_what_is_true_now(five):
    with Raw(five.address).upgrade("/chat") as c:
        conn = id_of(five, c)
        for query in (f"conn={conn}", f"peer=127.0.0.1:{c.local_port}"):
            answer = ask(five, f"/why?{query}")[1]
            assert [w["event"] for w in answer["why"]] == ["conn-open"]
            assert answer["connections"] == [ask(five, f"/connections/{conn}")[1] | {
                k: answer["connections"][0][k] for k in ("age", "since")}]


def test_refused(daemon):
    d = daemon({"max_connections_per_address": 1, "access_log": False})
    port, status = refused(d, path="/nothing%20here")
    assert status == 404
    last = known(d, f"peer=127.0.0.1:{port}")[0]
    conn = last.pop("id")
    assert last.pop("time") > 0 and last.pop("worker") in (0, 1)
    assert last == {"event": "conn-refused", "peer": f"127.0.0.1:{port}", "path": "/nothing here",
                    "status": 404, "reason": "not-found", "text": "no endpoint has this path"}
    with Raw(d.address).upgrade("/ws"):
        port, status = refused(d, path="/ws")
        assert status == 429
        last = known(d, f"peer=127.0.0.1:{port}")[0]
        assert (last["status"], last["reason"], last["endpoint"]) == (429, "too-many-from-address", "/ws")
        assert "path" not in last
    # its end is no second refusal
    wait_until("it is gone", lambda: ask(d, "/status")[1]["status"]["connections"] == 0)
    for i in (conn, last["id"]):
        assert [w["event"] for w in known(d, f"conn={i}")] == ["conn-refused"]


def test_a_path_of_a_stranger(five):
    """As it is but for what acts on a terminal; and no more of it than there is space for."""
    port, status = refused(five, path="/%1b[2J%C3%A9" + "a" * 300)
    assert status == 404
    path = known(five, f"peer=127.0.0.1:{port}")[0]["path"]
    assert path.startswith("/%1B[2J\u00e9aaa") and len(path) < 110


@way.directly("it sends a PROXY header itself")
@way.in_the_clear("it sends a PROXY header itself")
def test_refused_without_an_answer(daemon):
    """What is silent is told of once the time is over; there is no status then."""
    d = daemon({"listen": [{"address": "127.0.0.1", "port": 0, "proxy_protocol": True,
                           "trusted": ["127.0.0.1"]}]})
    with Raw(d.address) as c:
        c.send(b"nonsense\r\n")
        assert c.gone() == b""
        port = c.local_port
    last = waits_for(d, f"peer=127.0.0.1:{port}", "conn-refused")["why"][0]
    assert last["reason"] == "bad-proxy-header" and "status" not in last


def test_a_worker_that_was_killed(daemon):
    d = daemon({"workers": 1})
    d.expect_error("was ended by signal 9")
    with Raw(d.address).upgrade("/ws") as c, Raw(d.address).upgrade("/ws") as other:
        conn, port = id_of(d, c), c.local_port
        done = id_of(d, other)
        other.send(close(1000))
        other.closing()
        other.socket.close()
        waits_for(d, f"conn={done}", "conn-close")
        old = d.workers()
        os.kill(old[0], signal.SIGKILL)
        c.gone()
    d.wait_workers(1, old)
    death = waits_for(d, f"conn={conn}", "worker-died")["why"][0]
    assert death.pop("time") > 0
    assert death == {"event": "worker-died", "id": conn, "worker": 0, "pid": old[0], "lost": 1,
                     "text": "was ended by signal 9 (Killed)"}
    # whoever knows but the address finds it as well
    assert [(w["event"], w["id"]) for w in known(d, f"peer=127.0.0.1:{port}")] == \
        [("worker-died", conn), ("conn-open", conn)]
    # what had ended before was not lost by that, and what comes behind it is another's
    assert [w["event"] for w in known(d, f"conn={done}")] == ["conn-close", "conn-open"]
    new = d.workers()
    with Raw(d.address).upgrade("/ws") as c:
        conn = id_of(d, c)
        assert [w["event"] for w in known(d, f"conn={conn}")] == ["conn-open"]
        os.kill(new[0], signal.SIGKILL)
        c.gone()
    assert waits_for(d, f"conn={conn}", "worker-died")["why"][0]["pid"] == new[0]


def test_of_ten_thousand_ends(daemon):
    """One is found behind so many ends, and no flood of refusals comes between."""
    d = daemon({"max_connections": 500, "access_log": False})
    with Raw(d.address).upgrade("/ws") as c:
        conn, port = id_of(d, c), c.local_port
        c.send(text(b"\xff"))
        c.closing()
        c.socket.close()
    waits_for(d, f"conn={conn}", "conn-close")
    for _ in range(50):
        many = [Raw(d.address) for _ in range(200)]
        for c in many:
            c.send(request("/once"))
        for c in many:
            c.socket.close()
    for _ in range(20):
        refused(d, path="/nothing")
    wait_until("so many ends", lambda: ends(d) > 9000)
    for query in (f"conn={conn}", f"peer=127.0.0.1:{port}"):
        took = []
        while not took or (min(took) >= 1 and len(took) < 5):
            began = time.monotonic()
            found = [w for w in known(d, query + "&limit=1000") if w.get("reason") == "bad-utf8"]
            took.append(time.monotonic() - began)
            assert [w["id"] for w in found] == [conn]
        assert min(took) < 1
    assert len(known(d, "peer=127.0.0.1")) == 100
    times = [w["time"] for w in known(d, "peer=127.0.0.1&limit=1000")]
    # each worker looks at the clock ten times a second, when it runs
    assert len(times) == 1000 and all(b < a + 1 * SLOW for a, b in zip(times, times[1:]))


def ends(d):
    """How many connections that were open have ended."""
    return sum(e["closed"] for e in ask(d, "/endpoints")[1]["endpoints"])


def test_a_unix_socket(daemon, directory):
    path = os.path.join(directory, "ws.sock")
    d = daemon({"listen": [{"unix": path}]})
    with Raw(path).upgrade("/ws") as c:
        peer = f"unix:uid={os.geteuid()},pid={os.getpid()}"
        wait_until("it is open", lambda: ask(d, f"/why?peer={peer}")[0] == 200)
        for p in (peer, "unix"):
            assert known(d, f"peer={p}")[0]["peer"] == peer
        assert ask(d, f"/why?peer={peer}1")[0] == 404
        assert c


@pytest.mark.parametrize("query", [
    "", "?limit=5", "?peer=", "?peer=nobody", "?peer=1.2.3", "?peer=1.2.3.4:", "?peer=1.2.3.4:0",
    "?peer=1.2.3.4:65536", "?peer=1.2.3.4:1x", "?peer=[::1", "?peer=[1.2.3.4]x", "?peer=unix:uid=1",
    "?peer=unixx", "?conn=", "?conn=0", "?conn=xyz", "?conn=ffffffffffffffff", "?conn=1&peer=::1",
    "?peer=::1&limit=0", "?peer=::1&limit=1001", "?peer=" + "1" * 500,
])
def test_what_cannot_be_asked(five, query):
    status, answer = ask(five, "/why" + query)
    assert (status, answer["error"]) == (400, "bad-parameter")


def test_of_whom_nothing_is_known(five):
    for query in ("peer=::1", "peer=[::1]:80", "peer=192.0.2.1:7", "conn=1", "conn=11234567890abcde"):
        status, answer = ask(five, f"/why?{query}")
        assert (status, answer["error"]) == (404, "nothing-known")
        assert "not among the last 0 ends and 0 refusals" in answer["message"]


def test_a_worker_that_does_not_answer(daemon):
    d = daemon({"workers": 1, "worker_timeout": "60s"})
    with Raw(d.address).upgrade("/ws") as c:
        conn = id_of(d, c)
        pid = d.workers()[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            answer = ask(d, f"/why?conn={conn}")[1]
        finally:
            os.kill(pid, signal.SIGCONT)
        assert answer["silent"] == [0] and [w["event"] for w in answer["why"]] == ["conn-open"]


def test_it_outlives_the_admin_process(five):
    five.expect_error("the admin process")
    port, _ = refused(five, path="/nothing")
    os.kill(five.admin(), signal.SIGKILL)
    wait_until("another one", lambda: known_again(five, port))


def known_again(d, port):
    try:
        return Admin(d).ask(f"/why?peer=127.0.0.1:{port}")[0] == 200
    except OSError:
        return False
