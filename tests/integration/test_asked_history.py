"""Members that ask for what their room keeps, in band."""

import json

import pytest

from raw import Raw, text
from slow import Reader, noise
from test_format import PROTOCOL, number, take, upgrade
from test_history import publish


def room(**settings):
    return {"path": "/chat", "behaviour": "room", "format": "json", "history": 5, **settings}


def ask(c, **wanted):
    c.send(text(json.dumps({"ignyx": "history", **wanted}, separators=(",", ":"))))


def answer(c, **wanted):
    ask(c, **wanted)
    head = take(c)
    assert head["type"] == "history" and head["room"] == "/chat", head
    messages = [take(c) for _ in range(head["messages"])]
    assert all(m["type"] == "message" for m in messages)
    numbers = [number(m["position"]) for m in messages]
    assert numbers == list(range(number(head["from"]) + 1, number(head["position"]) + 1))
    return head, [m["data"] for m in messages]


def test_what_is_kept(daemon):
    d = daemon({"workers": 2, "endpoints": [room()]})
    c = upgrade(d)[0]
    take(c)
    head, messages = answer(c)
    assert list(head) == ["type", "room", "position", "from", "messages"]
    assert messages == [] and head["from"] == head["position"]
    positions = publish(d, *"abcdef")
    live = [take(c) for _ in range(6)]
    head, messages = answer(c)
    assert messages == list("bcdef") and head["position"] == positions[5]
    assert answer(c, limit=2)[1] == ["e", "f"]
    assert answer(c, limit=0)[1] == []
    assert answer(c, limit=10**15)[1] == list("bcdef")
    head, messages = answer(c, since=positions[3])
    assert list(head) == ["type", "room", "position", "recovered", "from", "messages"]
    assert (messages, head["recovered"]) == (["e", "f"], True)
    head, messages = answer(c, since=positions[0])
    assert (messages, head["recovered"]) == (list("bcdef"), True)
    # what is cut short has its newest
    head, messages = answer(c, since=positions[3], limit=1)
    assert (messages, head["recovered"]) == (["f"], False)
    publish(d, "g")
    assert take(c)["data"] == "g"
    head, messages = answer(c, since=positions[0])
    assert (messages, head["recovered"]) == (list("cdefg"), False)
    head, messages = answer(c, since="0123456789abcdef.7")
    assert (messages, head["recovered"]) == (list("cdefg"), False)
    # as it was sent
    ask(c, since=positions[3], limit=2)
    assert take(c)["messages"] == 2
    assert take(c) == live[5]


@pytest.mark.parametrize("wanted, word", [
    ({"since": 7}, "bad-since"), ({"since": "x"}, "bad-since"), ({"since": None}, "bad-since"),
    ({"since": ["0123456789abcdef.7"]}, "bad-since"), ({"limit": "2"}, "bad-limit"),
    ({"limit": -1}, "bad-limit"), ({"limit": 1.5}, "bad-limit"), ({"limit": None}, "bad-limit")])
def test_what_cannot_be_asked(daemon, wanted, word):
    d = daemon({"workers": 1, "endpoints": [room()]})
    c = upgrade(d)[0]
    take(c)
    ask(c, **wanted)
    e = take(c)
    assert (e["type"], e["error"]) == ("error", word)


def test_where_nothing_is_kept(daemon):
    d = daemon({"workers": 1, "endpoints": [room(history=0)]})
    c = upgrade(d)[0]
    take(c)
    ask(c)
    assert take(c)["error"] == "no-history"


def test_many_at_once(daemon):
    """Each answer as a whole, in order."""
    d = daemon({"workers": 1, "bus_size": "16M", "bus_lag": "2M",
                "endpoints": [room(history=100, history_bytes="512K", max_message="64K")]})
    c = upgrade(d)[0]
    take(c)
    publish(d, *(noise(n).decode() for n in range(30)))
    for n in range(30):
        take(c)
    one = text('{"ignyx":"history"}')
    c.send(*[one] * 64)
    for _ in range(64):
        head = take(c)
        if head["type"] == "error":
            assert head["error"] == "slow-consumer"
            continue
        assert head["messages"] == 30
        assert [take(c)["data"][:8] for _ in range(30)] == [noise(n)[:8].decode() for n in range(30)]


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "latest"])
def test_who_has_a_gap_gets_what_is_in_it(daemon, policy):
    total = 300
    d = daemon({"workers": 1, "max_pending": "200K", "max_message": "64K", "bus_size": "4M",
                "bus_lag": "512K",
                "endpoints": [room(format="both", history=total, history_bytes="128K",
                                   slow_consumer=policy)]})
    with Raw(d.address, rcvbuf=4096) as slow, Raw(d.address) as speaker:
        slow.upgrade("/chat", headers={"Sec-WebSocket-Protocol": PROTOCOL})
        speaker.upgrade("/chat")
        for n in range(total):
            speaker.send(text(noise(n)))
            assert speaker.text().encode() == noise(n)
        reader = Reader(slow, "plain")
        while (gap := json.loads(reader.message()))["type"] != "gap":
            pass
        # it is longer than max_pending has space for beside what waits, and is not dropped
        ask(slow, since=gap["from"])
        while (head := json.loads(reader.message()))["type"] != "history":
            pass
        assert head["recovered"] is False and head["messages"] > 5
        for n in range(total - head["messages"], total):
            m = json.loads(reader.message())
            assert (m["type"], m["data"]) == ("message", noise(n).decode())
