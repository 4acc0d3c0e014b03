"""What a member of the format "json" gets in the place of messages that policy costs it."""

import json
import time

import pytest

from asking import ask as admin
from harness import wait_until
from raw import Raw, text
from slow import KINDS, Reader, more_than_the_kernel_keeps, noise
from test_format import PROTOCOL, number

TOTAL = more_than_the_kernel_keeps()


def room(**settings):
    return {"path": "/chat", "behaviour": "room", "format": "both", **settings}


def start(daemon, kind, **settings):
    compression = {"compression": KINDS[kind]} if KINDS[kind] else {}
    return daemon({"workers": 1, "max_pending": "200K", "max_message": "64K",
                   "endpoints": [room(**compression, **settings)]})


def enter_without_reading(d, kind):
    slow = Raw(d.address, rcvbuf=4096)
    headers = {"Sec-WebSocket-Protocol": PROTOCOL}
    if kind != "plain":
        headers["Sec-WebSocket-Extensions"] = "permessage-deflate"
    slow.upgrade("/chat", headers=headers)
    return slow


def say(speaker, numbers):
    for n in numbers:
        speaker.send(text(noise(n)))
        assert speaker.text().encode() == noise(n)


def read_up_to(reader, joined, last):
    """The gaps among what it gets; each message comes, or is in one of them, and in its place."""
    at, gaps, frames = number(joined["position"]), [], []
    while at < number(joined["position"]) + last:
        m = json.loads(reader.message())
        frames.append(m["type"])
        assert m["room"] == "/chat"
        if m["type"] == "gap":
            assert list(m) == ["type", "room", "from", "to"]
            assert number(m["from"]) == at < number(m["to"])
            at = number(m["to"])
            gaps.append(m)
            continue
        assert m["type"] == "message" and number(m["position"]) == at + 1
        at += 1
        assert m["data"].encode() == noise(at - number(joined["position"]) - 1)
    return gaps, frames


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "latest"])
def test_what_is_missing_is_told(daemon, policy, kind):
    d = start(daemon, kind, slow_consumer=policy)
    with enter_without_reading(d, kind) as slow, Raw(d.address) as speaker:
        speaker.upgrade("/chat")
        say(speaker, range(TOTAL))
        reader = Reader(slow, kind)
        joined = json.loads(reader.message())
        assert joined["type"] == "joined"
        gaps, frames = read_up_to(reader, joined, TOTAL)
        assert len(gaps) == 1
        assert frames[-1] == ("gap" if policy == "drop_newest" else "message")
        # it is up to date, and goes on
        say(speaker, range(TOTAL, TOTAL + 3))
        assert [json.loads(reader.message())["data"][:8] for _ in range(3)] == \
            [noise(n)[:8].decode() for n in range(TOTAL, TOTAL + 3)]


def test_what_was_too_old_is_told(daemon):
    d = start(daemon, "plain", slow_consumer="drop_oldest", max_age="1s", max_pending="64M")
    with enter_without_reading(d, "plain") as slow, Raw(d.address) as speaker:
        speaker.upgrade("/chat")
        began = time.monotonic()
        say(speaker, range(TOTAL - 1))
        # the first of them has waited as long as it took to say them all, and then for so long
        old = time.monotonic() - began + 2.2
        wait_until("all are old", lambda: any(
            old < c.get("waits", 0) for c in admin(d, "/connections")[1]["connections"]))
        say(speaker, [TOTAL - 1])
        reader = Reader(slow, "plain")
        gaps, frames = read_up_to(reader, json.loads(reader.message()), TOTAL)
        assert len(gaps) == 1 and frames[-2:] == ["gap", "message"]


def test_texts_have_no_gaps(daemon):
    d = start(daemon, "plain", slow_consumer="drop_oldest")
    with Raw(d.address, rcvbuf=4096) as slow, Raw(d.address) as speaker:
        slow.upgrade("/chat")
        speaker.upgrade("/chat")
        say(speaker, range(TOTAL))
        reader, last = Reader(slow, "plain"), b""
        while last != noise(TOTAL - 1):
            last = reader.message()
            assert last == noise(int(last[:8]))
