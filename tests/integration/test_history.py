"""What rooms keep, and what who joins gets of it: the last messages, or all since a position."""

import json
import os
import signal
import threading

import pytest

from asking import Admin, own, scrape
from asking import ask as admin
from harness import wait_until
from pretend import ctl
from raw import Raw, frame, BINARY, request, text


def room(**settings):
    return {"path": "/chat", "behaviour": "room", "history": 5, **settings}


def enter(d, path="/chat"):
    """A member, and the head of the answer to its request."""
    c = Raw(d.address)
    c.send(request(path))
    r = c.response()
    assert r.status == 101, r.body
    return c, r


def refused(d, path):
    with Raw(d.address) as c:
        c.send(request(path))
        r = c.response()
        return r.status, r.body


def publish(d, *texts, path="/chat", asker=None):
    """Says what their positions are."""
    out = []
    for t in texts:
        status, answer = (asker or Admin(d)).ask(f"/publish{path}", "POST", t.encode(),
                                                 **{"Content-Type": "text/plain"})
        assert status == 200, answer
        out.append(answer["position"])
    return out


def texts(c, count):
    return [c.text() for _ in range(count)]


def take(c, count=1):
    out = [json.loads(c.text()) for _ in range(count)]
    return out[0] if count == 1 else out


def nothing_more(d, c, path="/chat"):
    """What comes next is what is said now."""
    publish(d, "now", path=path)
    assert c.text() == "now"


def test_replay(daemon):
    d = daemon({"workers": 2, "endpoints": [room(replay=3)]})
    publish(d, *"abcdefg")
    for path, count in (("/chat", 3), ("/chat?replay=2", 2), ("/chat?replay=0", 0),
                        ("/chat?x=y&replay=4&z", 4), ("/chat?replay=99", 5)):
        c, r = enter(d, path)
        assert texts(c, count) == list("abcdefg")[7 - count:]
        assert r.header("ignyx-recovered") is None
        with c:
            pass
    c, _ = enter(d)
    assert texts(c, 3) == ["e", "f", "g"]
    nothing_more(d, c)


def test_since(daemon):
    d = daemon({"workers": 2, "endpoints": [room(replay=1)]})
    p = publish(d, *"abcdefgh")
    for i in range(3, 8):
        c, r = enter(d, f"/chat?since={p[i]}")
        assert (r.header("ignyx-position"), r.header("ignyx-recovered")) == (p[-1], "true")
        assert texts(c, 7 - i) == list("abcdefgh")[i + 1:]
        c.socket.close()
    # of what is gone what there is, and it is said
    for i in range(2):
        c, r = enter(d, f"/chat?since={p[i]}")
        assert r.header("ignyx-recovered") == "false"
        assert texts(c, 5) == list("defgh")
        c.socket.close()
    # since wins; and a position of another log, or that was never given, is none of this room
    epoch, number = p[-1].split(".")
    for position in ("0123456789abcdef.3", f"{epoch}.{int(number) + 1}"):
        c, r = enter(d, f"/chat?replay=1&since={position}")
        assert r.header("ignyx-recovered") == "false"
        assert texts(c, 5) == list("defgh")
    nothing_more(d, c)


@pytest.mark.parametrize("query", [
    "since=", "since=1", "since=x", "since=0123456789abcdef.", "since=0123456789abcdef.01",
    "since=0123456789abcdef.1&since=0123456789abcdef.1", "since=0123456789ABCDEF.1",
    "since=0123456789abcdef.99999999999999999999", "replay=", "replay=-1", "replay=1x",
    "replay=1&replay=2", "replay=99999999999"])
def test_bad_queries(daemon, query):
    d = daemon({"workers": 1, "endpoints": [room()]})
    status, body = refused(d, "/chat?" + query)
    assert status == 400 and b"bad-target" in body and query.split("=")[0].encode() in body


def test_only_where_messages_are_kept(daemon):
    """Elsewhere a query is what it always was: the client's own."""
    d = daemon({"workers": 1, "endpoints": [room(history=0), {"path": "/ws", "behaviour": "echo"}]})
    for path in ("/chat", "/ws"):
        c, r = enter(d, path + "?since=yesterday&replay=all")
        assert r.header("ignyx-position") is None
        c.send(text("hi"))
        assert c.text() == "hi"


def test_envelopes(daemon):
    d = daemon({"workers": 2, "endpoints": [room(format="json", replay=2)]})
    p = publish(d, *"abcdefgh")
    c, _ = enter(d)
    joined = take(c)
    assert list(joined) == ["type", "room", "position", "from", "members"]
    assert (joined["position"], joined["from"]) == (p[-1], p[-3])
    assert [(m["data"], m["position"]) for m in take(c, 2)] == [("g", p[6]), ("h", p[7])]
    c, _ = enter(d, f"/chat?since={p[4]}")
    joined = take(c)
    assert list(joined) == ["type", "room", "position", "recovered", "from", "members"]
    assert (joined["recovered"], joined["from"]) == (True, p[4])
    assert [m["data"] for m in take(c, 3)] == ["f", "g", "h"]
    c, _ = enter(d, f"/chat?since={p[0]}")
    joined = take(c)
    assert (joined["recovered"], joined["from"]) == (False, p[2])
    assert [m["data"] for m in take(c, 5)] == list("defgh")
    # up to date
    c, _ = enter(d, f"/chat?since={p[7]}")
    joined = take(c)
    assert (joined["recovered"], joined["from"]) == (True, p[7])
    publish(d, "now")
    assert take(c)["data"] == "now"


def test_of_all_kinds(daemon):
    """Binary as it was, one's own too, with the welcome ahead of it; and compressed."""
    d = daemon({"workers": 1, "endpoints": [
        room(replay=5, prefix="User: "),
        {"path": "/n", "behaviour": "notify", "message": {"a": 1}, "history": 1, "replay": 1}]})
    c, _ = enter(d)
    c.send(frame(BINARY, b"\x00\xff"), text("hi"))
    assert [c.message()[1] for _ in range(2)] == [b"\x00\xff", b"User: hi"]
    again, _ = enter(d)
    assert [again.message() for _ in range(2)] == [(BINARY, b"\x00\xff"), (1, b"User: hi")]
    assert admin(d, "/publish/n", "POST", b'[1,2]', **{"Content-Type": "application/json"})[0] == 200
    n, _ = enter(d, "/n")
    assert [json.loads(x) for x in texts(n, 2)] == [{"a": 1}, [1, 2]]


def test_kept_over_all_deaths(daemon):
    """By an empty room, over the death of each worker, and a reload."""
    d = daemon({"workers": 2, "log_level": "debug", "endpoints": [room()]})
    p = publish(d, "a", "b", "c")
    d.expect_error("was ended by signal 9")
    for slot in range(2):
        pid = d.worker_at(slot)
        os.kill(pid, signal.SIGKILL)
        wait_until("another worker", lambda: d.worker_at(slot) != pid)
    d.change(log_level="info")
    d.reload()
    c, r = enter(d, f"/chat?since={p[0]}")
    assert r.header("ignyx-recovered") == "true"
    assert texts(c, 2) == ["b", "c"]


def test_a_reload_changes_what_is_kept(daemon):
    d = daemon({"workers": 2, "endpoints": [room(replay=5)]})
    publish(d, *"abcde")
    member, _ = enter(d)
    assert texts(member, 5) == list("abcde")
    d.change(endpoints=[room(history=2, replay=2)])
    d.reload()
    c, _ = enter(d)
    assert texts(c, 2) == ["d", "e"]
    d.change(endpoints=[room(history=0)])
    d.reload()
    c, r = enter(d, "/chat?replay=2")
    assert r.header("ignyx-position") is None
    nothing_more(d, c)


def test_rooms_by_path(daemon):
    d = daemon({"workers": 2, "endpoints": [room(path="/chat/{room}", replay=5)]})
    publish(d, "a", path="/chat/one")
    publish(d, "b", path="/chat/two")
    one, two = enter(d, "/chat/one")[0], enter(d, "/chat/two")[0]
    assert (one.text(), two.text()) == ("a", "b")
    nothing_more(d, one, "/chat/one")
    nothing_more(d, two, "/chat/two")


def test_for_its_time(daemon):
    d = daemon({"workers": 1, "endpoints": [room(history_ttl="1s", replay=5)]})

    def is_gone():
        _, r = enter(d, f"/chat?since={first}")
        return r.header("ignyx-recovered") == "false"
    first = publish(d, "b")[0]
    publish(d, "c")
    wait_until("that it is too old", is_gone)
    c, _ = enter(d)
    nothing_more(d, c)


def test_a_busy_room_takes_nothing_of_a_quiet_one(daemon):
    """As much is written as the log has space for, several times."""
    d = daemon({"workers": 2, "bus_size": "1M", "bus_lag": "128K", "max_message": "16K",
                "access_log": False,
                "endpoints": [room(history_bytes="16K"), {"path": "/busy", "behaviour": "room"}]})
    p = publish(d, *"abc")
    busy, _ = enter(d, "/busy")
    for _ in range(40):
        busy.send(*[frame(BINARY, bytes(10000))] * 10)
        for _ in range(10):
            busy.message()
    c, r = enter(d, f"/chat?since={p[0]}")
    assert r.header("ignyx-recovered") == "true"
    assert texts(c, 2) == ["b", "c"]
    nothing_more(d, c)


def test_who_comes_back_misses_nothing(daemon):
    """A client that loses its connection again and again has each message once, in order."""
    d = daemon({"workers": 4, "access_log": False, "log_level": "debug",
                "endpoints": [room(history=1000, format="json")]})
    stop, seen = threading.Event(), []

    def write():
        asker, said = Admin(d), 0
        while not stop.is_set():
            # it is not to say more than is kept while the client has no time
            if said - len(seen) > 500:
                stop.wait(0.001)
                continue
            publish(d, str(said), asker=asker)
            said += 1

    d.expect_error("was ended by signal 9")
    publish(d, "first")
    c, _ = enter(d)
    position = take(c)["position"]
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(30):
            c, r = enter(d, f"/chat?since={position}")
            assert r.header("ignyx-recovered") == "true"
            assert take(c)["recovered"] is True
            for _ in range(20 + n):
                m = take(c)
                seen.append(int(m["data"]))
                position = m["position"]
            c.socket.close()
            if n == 10:
                os.kill(d.worker_at(1), signal.SIGKILL)
    finally:
        stop.set()
        writer.join()
    assert seen == list(range(len(seen)))
    d.log_contains("event=worker-died")


# --- the admin interface ---

def test_read_by_an_administrator(daemon):
    d = daemon({"workers": 1, "endpoints": [room(prefix="User: "),
                                            {"path": "/ws", "behaviour": "echo"}]})
    assert admin(d, "/history/chat")[0] == 404
    p = publish(d, *"abc")
    c, _ = enter(d)
    c.send(text("hi"), frame(BINARY, b"\x00\xff"))
    assert (c.text(), c.message()) == ("User: hi", (BINARY, b"\x00\xff"))
    status, h = admin(d, "/history/chat")
    assert status == 200 and sorted(h) == ["from", "messages", "position"]
    assert [m.get("data", m.get("base64")) for m in h["messages"]] == ["a", "b", "c", "User: hi", "AP8="]
    assert [m["position"] for m in h["messages"]][:3] == p
    assert h["position"] == h["messages"][-1]["position"]
    assert h["messages"][3]["sender"] and "sender" not in h["messages"][0]
    h = admin(d, f"/history/chat?since={p[1]}")[1]
    assert (h["recovered"], h["from"]) == (True, p[1])
    assert len(h["messages"]) == 3
    h = admin(d, "/history/chat?limit=2")[1]
    assert [m.get("data", m.get("base64")) for m in h["messages"]] == ["User: hi", "AP8="]
    publish(d, *"def")
    h = admin(d, f"/history/chat?since={p[0]}")[1]
    assert h["recovered"] is False and len(h["messages"]) == 5
    h = admin(d, "/history/chat?since=0123456789abcdef.7")[1]
    assert h["recovered"] is False and len(h["messages"]) == 5
    for target, status in (("/history/chat?since=x", 400), ("/history/chat?limit=0", 400),
                           ("/history/chat?limit=1001", 400), ("/history/ws", 404),
                           ("/history/no", 404), ("/history", 404)):
        assert admin(d, target)[0] == status, target


def test_thrown_away(daemon):
    d = daemon({"workers": 2, "endpoints": [room(replay=5, format="json")]})
    member, _ = enter(d)
    take(member)
    p = publish(d, "a", "b")
    assert admin(d, "/history/chat", "DELETE") == (200, {"position": p[1]})
    assert admin(d, "/history/chat")[1]["messages"] == []
    assert admin(d, "/history/no", "DELETE")[0] == 404
    publish(d, "c")
    late, _ = enter(d)
    assert take(late)["from"] == p[1]
    assert take(late)["data"] == "c"
    assert [m["data"] for m in take(member, 3)] == ["a", "b", "c"]


def test_ctl(daemon):
    d = daemon({"workers": 1, "endpoints": [room()]})
    p = publish(d, "a", "\x1b[2J", "c")
    done = ctl("-s", own(d), "history", "/chat")
    assert (done.returncode, done.stderr) == (0, "")
    assert [x.split(" ", 1)[1] for x in done.stdout.splitlines()] == ["a", "\\x1b[2J", "c"]
    done = ctl("-s", own(d), "history", "--json", "--since", p[0], "/chat")
    assert [json.loads(x)["data"] for x in done.stdout.splitlines()] == ["\x1b[2J", "c"]
    publish(d, *"defgh")
    done = ctl("-s", own(d), "history", "--raw", "--since", p[0], "/chat")
    assert done.stdout == "d\ne\nf\ng\nh\n" and "missing" in done.stderr
    done = ctl("-s", own(d), "history", "/no")
    assert done.returncode == 1 and "no endpoint with a room" in done.stderr


def test_what_could_be_too_much(daemon):
    """A warning with what it may come to; and how much it is now can be seen."""
    d = daemon({"bus_size": "4M", "max_rooms": 100, "endpoints": [
        room(path="/r/{x}", history=1000, history_bytes="32K"), room()]})
    d.log_contains(r'rooms may have up to 3 MiB of history, and a quarter of "bus_size" is "1M"')
    assert admin(d, "/status")[1]["status"]["log"]["kept"] == 0
    publish(d, "x" * 1000)
    assert 1000 < admin(d, "/status")[1]["status"]["log"]["kept"] < 1200
    assert 1000 < scrape(d)["ignyxd_bus_kept_bytes", ""] < 1200
    d.change(endpoints=[room(path="/r/{x}", history=1000, history_bytes="32K", max_rooms=10)])
    mark = d.log_size()
    d.reload()
    assert "of history" not in d.log(mark)


@pytest.mark.parametrize("settings, error", [
    ({"history": 2, "replay": 3}, r'"replay" is 3, and "history" is 2'),
    ({"history_bytes": "512K"}, r'"history_bytes" is "512K", more than a quarter of "bus_lag", which is "256K"')])
def test_wrong_settings(daemon, settings, error):
    d = daemon({"bus_size": "64M", "bus_lag": "1M", "endpoints": [room(**settings)]}, start=False)
    d.refuses(error, r"not started: .* has errors \(1\)")


def test_what_goes_early_is_told(daemon):
    """More than a quarter of bus_size: the log, the metric and the room's line say so."""
    d = daemon({"workers": 1, "max_rooms": 100, "log_level": "warning", "endpoints": [
        room(path="/r/{x}", history=1000, history_bytes="16K"),
        {"path": "/busy", "behaviour": "room"}]})
    asker = Admin(d)
    for n in range(30):
        publish(d, *["x" * 1000] * 15, path=f"/r/{n}", asker=asker)
    status, r = admin(d, "/rooms/r/29")
    assert status == 200 and r["kept"]["messages"] == 15
    assert 15000 < r["kept"]["bytes"] <= 16 * 1024 and 0 <= r["kept"]["age"] < 60
    busy, _ = enter(d, "/busy")
    while scrape(d)["ignyxd_room_evicted_total", 'endpoint="/r/{x}"'] == 0:
        busy.send(*[frame(BINARY, bytes(10000))] * 20)
        for _ in range(20):
            busy.message()
    assert scrape(d)["ignyxd_room_evicted_total", 'endpoint="/busy"'] == 0
    assert admin(d, "/rooms/r/29")[1]["kept"]["evicted"] > 0
    assert "kept" not in admin(d, "/rooms/busy")[1]
    assert d.log_contains(r"warning: history goes early: \d+ messages that rooms of /r/\{x\} .*event=history-evicted")
