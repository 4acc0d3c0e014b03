"""Who may be in a room, who may speak there, and how much."""

import os
import shutil
import tempfile
import threading
import time

import pytest

from asking import ask as admin, scrape
from certificates import Authority, client
from harness import LOCAL, wait_until
from raw import PING, PONG, Raw, close, frame, request, text
from slow import KINDS, Reader, more_than_the_kernel_keeps, noise


def room(**settings):
    return {"path": "/chat", "behaviour": "room", **settings}


def ask(d, kept, path="/chat"):
    """Asks for an upgrade; what is open is kept. Returns status and body."""
    c = Raw(d.address)
    c.send(request(path))
    r = c.response()
    if r.status == 101:
        kept.append(c)
    else:
        c.socket.close()
    return r.status, r.body


def members(d):
    status, room = admin(d, "/rooms/chat")
    return room["members"] if status == 200 else 0


# --- max_members ---

def test_no_more_members_over_workers(daemon):
    d = daemon({"workers": 4, "endpoints": [room(max_members=10), {"path": "/ws", "behaviour": "echo"}]})
    kept = []
    for _ in range(10):
        assert ask(d, kept)[0] == 101
    for _ in range(10):
        status, body = ask(d, kept)
        assert status == 503 and b"room-full" in body
    d.log_contains(r"refused .* /chat with 503: the room has max_members members already.*"
                   r" reason=room-full")
    assert ask(d, [], "/ws")[0] == 101
    kept[0].send(text("hi"))
    assert [c.text() for c in kept] == 10 * ["hi"]
    kept.pop().socket.close()
    wait_until("a place", lambda: ask(d, kept)[0] == 101)
    assert ask(d, kept)[0] == 503
    # who is there stays, and one that died has left
    d.change(endpoints=[room(max_members=4)])
    d.reload()
    kept[0].send(text("all"))
    assert [c.text() for c in kept] == 10 * ["all"]
    for c in kept:
        c.socket.close()


def test_many_come_together(daemon):
    """Never more are let in than may be; and who comes alone then gets what places are left."""
    limit, many = 10, 40
    d = daemon({"workers": 4, "access_log": False, "endpoints": [room(max_members=limit)]})
    for _ in range(5):
        kept = []
        threads = [threading.Thread(target=ask, args=(d, kept)) for _ in range(many)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert 1 <= len(kept) <= limit
        while len(kept) < limit:
            assert ask(d, kept)[0] == 101
        assert ask(d, kept)[0] == 503
        for c in kept:
            c.socket.close()
        wait_until("an empty room", lambda: members(d) == 0)


def test_not_where_there_is_no_room(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "max_members": 3}]}, start=False)
    d.refuses(r'endpoint "/ws": "max_members" is of rooms, and behaviour "echo" has none',
              r"not started: .* has errors \(1\)")


# --- publish ---

NOTIFY = {"path": "/notes", "behaviour": "notify", "message": "hello", "data": "text"}


def publish(d, path, payload):
    return admin(d, f"/publish{path}", "POST", payload, **{"Content-Type": "text/plain"})


def test_a_backend_alone_publishes(daemon):
    d = daemon({"workers": 2, "endpoints": [room(publish="backend"), {**NOTIFY, "publish": "backend"}]})
    with Raw(d.address) as a, Raw(d.address) as b, Raw(d.address) as n:
        for c in (a, b):
            c.upgrade("/chat", behind=text("mine") + text("and mine"))
        n.upgrade("/notes").text()
        n.send(text('{"content": "logged as ever"}'))
        d.log_contains("Received JSON: logged as ever")
        d.log_count(r"not taking messages of /chat .*: a client may not do that there "
                    r"event=conn-unheard .* reason=not-allowed", 2)
        for path, members in (("/chat", (a, b)), ("/notes", (n,))):
            assert publish(d, path, "news")[0] == 200
            assert [c.text() for c in members] == len(members) * ["news"]
        assert scrape(d)["ignyxd_messages_not_allowed_total", 'endpoint="/chat"'] == 4
        assert scrape(d)["ignyxd_messages_not_allowed_total", 'endpoint="/notes"'] == 0
        a.send(close(1000))
        a.closing()
    d.log_contains("closed /chat .*; 2 messages not taken")


def test_nobody_publishes(daemon):
    d = daemon({"endpoints": [room(publish="none"), {**NOTIFY, "publish": "none"}, {**NOTIFY, "path": "/x"}]})
    with Raw(d.address) as a:
        a.upgrade("/chat", behind=text("mine"))
        for path in ("/chat", "/notes"):
            status, body = publish(d, path, "news")
            assert (status, body["error"]) == (403, "not-allowed")
        # none of a batch where one is refused
        batch = '[{"path": "/x", "data": "a"}, {"path": "/chat", "data": "b"}]'
        status, body = admin(d, "/publish", "POST", batch, **{"Content-Type": "application/json"})
        assert (status, body["error"]) == (403, "not-allowed")
        assert admin(d, "/rooms/x")[0] == 404
        d.change(endpoints=[room()])
        d.reload()
        a.send(text("now"))
        assert a.text() == "now"


# --- rate ---

def echo(**settings):
    return {"path": "/ws", "behaviour": "echo", **settings}


def limited(d, path="/ws"):
    return scrape(d)["ignyxd_messages_rate_limited_total", f'endpoint="{path}"']


def test_what_is_over_the_rate_comes_later(daemon):
    """All of it, in its order, at that rate; nobody else waits, and control frames are no messages."""
    d = daemon({"workers": 1, "endpoints": [echo(rate="20/s", burst=5)]})
    with Raw(d.address) as a, Raw(d.address) as b:
        a.upgrade()
        b.upgrade()
        a.send(*(frame(PING, b"%d" % i) for i in range(50)))
        assert [a.frame()[1] for _ in range(50)] == [b"%d" % i for i in range(50)]
        begin = time.monotonic()
        a.send(*(text(str(i)) for i in range(25)))
        assert [a.text() for _ in range(5)] == [str(i) for i in range(5)]
        b.send(text("meanwhile"))
        assert b.text() == "meanwhile"
        assert [a.text() for _ in range(20)] == [str(i) for i in range(5, 25)]
        assert time.monotonic() - begin > 0.95
        assert limited(d) > 0


def test_a_request_that_had_to_wait_is_none_of_the_rooms(daemon):
    d = daemon({"workers": 1, "endpoints": [room(rate="10/s", burst=1)]})
    with Raw(d.address) as a, Raw(d.address) as b:
        a.upgrade("/chat")
        b.upgrade("/chat")
        a.send(text("1"), text("2"), text("3"), text('{"ignyx":"nothing"}'), text("4"))
        assert [b.text() for _ in range(4)] == ["1", "2", "3", "4"]
        heard = [a.text() for _ in range(5)]
        assert [h for h in heard if not h.startswith("{")] == ["1", "2", "3", "4"]


def test_what_is_over_the_rate_is_dropped(daemon):
    d = daemon({"endpoints": [echo(rate="1/h", burst=3, over_rate="drop")]})
    with Raw(d.address) as a:
        a.upgrade(behind=b"".join(text(str(i)) for i in range(10)))
        a.send(frame(PING, b"still there"))
        assert [a.text() for _ in range(3)] == ["0", "1", "2"]
        assert a.frame() == (0x80 | PONG, b"still there")
        d.log_contains("not taking messages of /ws .*: more came than rate, bandwidth or room_rate allows "
                       "event=conn-unheard .* reason=rate-limited")
        assert limited(d) == 7


def test_who_is_over_the_rate_is_closed(daemon):
    d = daemon({"rate": "1/h", "burst": 2, "over_rate": "close",
                "endpoints": [echo(), {"path": "/safe", "behaviour": "sink"}, room(rate="0")]})
    for path in ("/ws", "/safe"):
        with Raw(d.address) as a:
            a.upgrade(path, behind=text("1") + text("2") + text("3"))
            if path == "/ws":
                assert [a.text() for _ in range(2)] == ["1", "2"]
            a.closed(1008, "rate-limited")
    with Raw(d.address) as a:
        a.upgrade("/chat", behind=b"".join(text(str(i)) for i in range(10)))
        assert [a.text() for _ in range(10)] == [str(i) for i in range(10)]


def test_bandwidth_delays(daemon):
    """As many bytes as that in a second, in their order; a request of the room's counts, too."""
    d = daemon({"workers": 1, "endpoints": [echo(bandwidth="1K")]})
    with Raw(d.address) as a, Raw(d.address) as b:
        a.upgrade()
        b.upgrade()
        begin = time.monotonic()
        a.send(*(text(f"{i:0256}") for i in range(8)))
        assert [a.text() for _ in range(4)] == [f"{i:0256}" for i in range(4)]
        b.send(text("meanwhile"))
        assert b.text() == "meanwhile"
        assert [a.text() for _ in range(4)] == [f"{i:0256}" for i in range(4, 8)]
        # 2 KiB less the second's that came at once
        assert time.monotonic() - begin > 0.7
        assert limited(d) > 0


def test_bandwidth_drops_and_closes(daemon):
    """One that is longer than all a second has passes, and then nothing does for hours."""
    long = "x" * 60000
    d = daemon({"workers": 1, "bandwidth": "2", "over_rate": "drop", "endpoints": [
        echo(), room(), echo(path="/close", over_rate="close"), echo(path="/free", bandwidth="0")]})
    with Raw(d.address) as a:
        a.upgrade(behind=text(long) + text("1") + text("2"))
        a.send(frame(PING, b"still there"))
        assert a.text() == long
        assert a.frame() == (0x80 | PONG, b"still there")
        assert limited(d) == 2
    with Raw(d.address) as a:
        a.upgrade("/close", behind=text(long) + text("1"))
        assert a.text() == long
        a.closed(1008, "rate-limited")
    with Raw(d.address) as a:
        a.upgrade("/free", behind=b"".join(text(long) for _ in range(4)))
        assert [a.text() for _ in range(4)] == [long] * 4
        # a reload applies it to who is there, and lifts it
        d.change(bandwidth="2", endpoints=[echo(), echo(path="/free", over_rate="drop")])
        d.reload()
        a.send(text(long), text("no"), frame(PING, b"1"))
        assert a.text() == long and a.frame() == (0x80 | PONG, b"1")
        d.change(endpoints=[echo(path="/free", bandwidth="1G")])
        d.reload()
        a.send(text("yes"))
        assert a.text() == "yes"


def test_a_bandwidth_below_messages_is_a_warning(daemon):
    d = daemon({"bandwidth": "1K", "endpoints": [echo()]})
    d.log_contains(r'behind a message of "max_message" a client is not read from for more than a minute')


def test_a_slow_delay_is_a_warning(daemon):
    d = daemon({"endpoints": [echo(rate="30/h")]})
    d.log_contains(r'"rate" is less than one a minute, and so long a client that says more is not read')


def test_wrong_rates(daemon):
    d = daemon({"endpoints": [echo(rate="20", burst=-1, over_rate="wait"), room(room_rate="2000000/s")]},
               start=False)
    d.refuses(r'"rate" must be a rate in quotes such as "20/s", "100/m" or "5/h"', '"burst" must be from 0',
              r'"over_rate" must be "delay", "drop" or "close"', r'"room_rate" must be a rate',
              r"not started: .* has errors \(4\)")


def test_a_room_has_one_rate_over_workers(daemon):
    d = daemon({"workers": 4, "endpoints": [room(room_rate="1/h", over_rate="drop")]})
    kept = []
    for _ in range(20):
        assert ask(d, kept)[0] == 101
    for c in kept:
        c.send(text("me"))
    assert [c.text() for c in kept] == 20 * ["me"]
    wait_until("all were heard", lambda: limited(d, "/chat") == 19)
    # a new room begins anew
    for c in kept:
        c.socket.close()


def test_a_room_goes_on_at_its_rate(daemon):
    d = daemon({"workers": 2, "endpoints": [room(room_rate="20/s")]})
    kept = []
    for _ in range(4):
        assert ask(d, kept)[0] == 101
    begin = time.monotonic()
    for c in kept:
        c.send(*(text(f"{i}") for i in range(10)))
    heard = [[c.text() for _ in range(40)] for c in kept]
    assert time.monotonic() - begin > 0.95
    assert all(h == heard[0] for h in heard)
    assert sorted(heard[0]) == sorted(4 * [str(i) for i in range(10)])
    for c in kept:
        c.socket.close()


def test_a_backend_has_the_rate_of_the_room(daemon):
    d = daemon({"endpoints": [{**NOTIFY, "room_rate": "1/m"}, room()]})
    with Raw(d.address) as a:
        a.upgrade("/notes").text()
        assert publish(d, "/notes", "one")[0] == 200
        status, body = publish(d, "/notes", "two")
        assert (status, body["error"]) == (429, "rate-limited")
        # all of a batch or nothing of it; texts of clients are none of the room's
        batch = '[{"path": "/chat", "data": "a"}, {"path": "/notes", "data": "b"}]'
        assert admin(d, "/publish", "POST", batch, **{"Content-Type": "application/json"})[0] == 429
        assert admin(d, "/rooms/chat")[1].get("position", ".0").endswith(".0")
        for i in range(5):
            a.send(text('{"content": "%d"}' % i))
        d.log_contains("Received JSON: 4")
        assert a.text() == "one"
        assert limited(d, "/notes") == 0


# --- slow_consumer ---

def speak_to_one_who_does_not_read(d, kind, total, tls=None):
    """Returns the numbers that it got, when it read at last, up to the newest."""
    headers = {} if kind == "plain" else {"Sec-WebSocket-Extensions": "permessage-deflate"}
    with Raw(d.address, rcvbuf=4096, tls=tls) as slow, Raw(d.address, tls=tls) as speaker:
        slow.upgrade("/chat", headers=headers)
        speaker.upgrade("/chat")
        for n in range(total):
            speaker.send(text(noise(n)))
            assert speaker.text().encode() == noise(n)
        reader, got = Reader(slow, kind), []
        while not got or got[-1] != total - 1:
            payload = reader.message()
            got.append(int(payload[:8]))
            assert payload == noise(got[-1])
        slow.send(close(1000))
        slow.closing()
    assert got == sorted(set(got))
    assert d.log_contains(rf"closed /chat .*; {total - len(got)} messages dropped")
    return got


@pytest.fixture(scope="module")
def root():
    path = tempfile.mkdtemp(prefix="ignyxd-")
    os.chmod(path, 0o755)
    yield Authority(os.path.join(path, "root"))
    shutil.rmtree(path)


def listener(root, over_tls):
    return {**LOCAL, "tls": {"certificates": [root.pair("DNS:localhost").group()]}} if over_tls else LOCAL


@pytest.mark.parametrize("over_tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["drop_oldest", "latest"])
def test_who_reads_slowly_gets_the_newest(daemon, root, policy, kind, over_tls):
    """Whole messages, in order, each that it gets as it was sent, and the last of all."""
    total = more_than_the_kernel_keeps()
    compression = {"compression": KINDS[kind]} if KINDS[kind] else {}
    d = daemon({"workers": 1, "listen": [listener(root, over_tls)], "max_pending": "200K",
                "max_message": "64K", "slow_consumer": policy, "endpoints": [room(**compression)]})
    got = speak_to_one_who_does_not_read(d, kind, total, client(root) if over_tls else None)
    gaps = [b for a, b in zip(got, got[1:]) if b != a + 1]
    assert len(gaps) == 1, gaps
    behind = total - gaps[0]
    # what takeover has compressed already stays
    assert behind <= 2 if policy == "latest" else 5 < behind <= 60


def test_what_is_old_is_not_sent(daemon):
    d = daemon({"workers": 1, "max_pending": "64M", "max_message": "64K", "slow_consumer": "drop_oldest",
                "max_age": "1s", "endpoints": [room()]})
    with Raw(d.address, rcvbuf=4096) as slow, Raw(d.address) as speaker:
        slow.upgrade("/chat")
        speaker.upgrade("/chat")
        total = more_than_the_kernel_keeps()
        began = time.monotonic()
        for n in range(total):
            if n == total - 1:
                # the first of them has waited as long as it took to say them all, and then for so long
                old = time.monotonic() - began + 2.2
                wait_until("all are old", lambda: any(
                    old < c.get("waits", 0) for c in admin(d, "/connections")[1]["connections"]))
            speaker.send(text(noise(n)))
            assert speaker.text().encode() == noise(n)
        got = []
        while not got or got[-1] != total - 1:
            got.append(int(slow.text()[:8]))
        assert got[:-1] == list(range(len(got) - 1)) and len(got) < total
        slow.send(close(1000))
        slow.closing()


def test_age_without_what_drops_by_it(daemon):
    d = daemon({"endpoints": [room(max_age="1s")]}, start=False)
    d.refuses(r'"max_age" needs "slow_consumer" to be "drop_oldest" or "latest"',
              r"not started: .* has errors \(1\)")
