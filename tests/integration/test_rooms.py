"""Rooms over several workers: one order for all, nothing lost or doubled, slow members."""

import asyncio
import collections
import contextlib
import os
import re
import socket
import ssl

import pytest

import stock
from harness import DEADLINE, ROOMY, descriptors, wait_until
from raw import BINARY, CLOSE, PING, Member, Raw, close, close_parts, frame, request, run, split_frame, text
from way import HAPROXY, OPENED

FOUR = {"workers": 4}


def check_sequences(sequences, publishers, each, prefix=b"User: "):
    """All saw the same, which has every publisher's messages once and in its order."""
    assert all(s == sequences[0] for s in sequences[1:]), "members saw different sequences"
    assert len(sequences[0]) == publishers * each
    seen = collections.defaultdict(list)
    for payload in sequences[0]:
        assert payload.startswith(prefix)
        who, n = payload[len(prefix):].split(b" ")[:2]
        seen[int(who)].append(int(n))
    assert seen == {i: list(range(each)) for i in range(publishers)}


def check_workers_in_use(d, count):
    """All serve the connections that were opened, one line each; behind a proxy, which comes by
    the one unix socket of all workers, those that are late may get none, and one has all."""
    lines = d.log_count(rf"\b{OPENED} event=conn-open\b", count)
    assert len({line.split("]")[0] for line in lines}) >= (1 if HAPROXY else 4)


def test_a_hundred_members_all_publishing(daemon):
    members, each = 100, 20
    d = daemon(FOUR)

    async def client():
        all_of_them = await asyncio.gather(*(Member.open(d.address) for _ in range(members)))
        for n in range(each):
            for i, m in enumerate(all_of_them):
                m.send(b"%d %d" % (i, n))
            await asyncio.sleep(0)
        await asyncio.gather(*(m.count(members * each, 3 * DEADLINE) for m in all_of_them))
        check_sequences([m.messages for m in all_of_them], members, each)
        await asyncio.gather(*(m.end() for m in all_of_them))

    run(client())
    check_workers_in_use(d, members)


def test_a_hundred_stock_clients_all_publishing(daemon):
    members, each = 100, 2
    d = daemon(FOUR)

    async def member(i, ready):
        async with stock.connect(d.url("/chat"), open_timeout=3 * DEADLINE,
                                 ping_interval=None, max_queue=None) as ws:
            ready[i].set()
            await asyncio.gather(*(r.wait() for r in ready))
            for n in range(each):
                await ws.send(f"{i} {n}")
            return [(await ws.recv()).encode() for _ in range(members * each)]

    async def client():
        ready = [asyncio.Event() for _ in range(members)]
        return await asyncio.gather(*(member(i, ready) for i in range(members)))

    check_sequences(run(client()), members, each)
    check_workers_in_use(d, members)


def test_members_come_and_go_meanwhile(daemon):
    """A member sees a run of the sequence without a gap, from when it joined to when it left."""
    d = daemon(FOUR)

    async def guest(stop, runs):
        while not stop.is_set():
            m = await Member.open(d.address)
            await m.count(5)
            await m.end()
            runs.append(m.messages)

    async def client():
        stop, runs = asyncio.Event(), []
        watcher = await Member.open(d.address)
        speakers = [await Member.open(d.address) for _ in range(4)]
        guests = [asyncio.create_task(guest(stop, runs)) for _ in range(8)]
        for n in range(300):
            for i, m in enumerate(speakers):
                m.send(b"%d %d" % (i, n))
            await asyncio.sleep(0.001)
        await watcher.count(1200)
        stop.set()
        while not all(g.done() for g in guests):
            # the last ones wait for their messages still
            speakers[0].send(b"0 more")
            await asyncio.wait(guests, timeout=0.01)
        await asyncio.gather(*guests)
        await asyncio.gather(*(m.end() for m in speakers))
        await watcher.end()
        return watcher.messages, runs

    whole, runs = run(client())
    check_sequences([whole[:1200]], 4, 300)
    assert len(runs) >= 8
    joined = b"\n".join(whole) + b"\n"
    for one in runs:
        assert b"\n".join(one) + b"\n" in joined


def test_many_rooms_do_not_mix(daemon):
    rooms = [f"/r{i}" for i in range(20)]
    d = daemon({**FOUR, "endpoints": [{"path": r, "behaviour": "room"} for r in rooms]})

    async def client():
        inside = {r: [await Member.open(d.address, r) for _ in range(5)] for r in rooms}
        for n in range(20):
            for r in rooms:
                inside[r][n % 5].send(f"{r} {n}".encode())
        for r in rooms:
            for m in inside[r]:
                await m.count(20)
            assert all(m.messages == inside[r][0].messages for m in inside[r])
            assert sorted(inside[r][0].messages) == sorted(f"{r} {n}".encode() for n in range(20))

    run(client())


def test_messages_keep_their_kind_and_size(daemon):
    d = daemon({**FOUR, **ROOMY})
    with Raw(d.address) as a, Raw(d.address) as b:
        a.upgrade("/chat")
        b.upgrade("/chat")
        for n in (0, 125 - 6, 126, 65536, 1 << 20):
            a.send(frame(BINARY, b"\xff" * n), text(b"t" * n))
            for c in (a, b):
                assert c.message() == (BINARY, b"\xff" * n)
                assert c.message()[1] == b"User: " + b"t" * n


def test_a_fragmented_message_is_passed_on_whole(shared):
    with Raw(shared.address) as a, Raw(shared.address) as b:
        a.upgrade("/chat")
        b.upgrade("/chat")
        a.send(frame(1, b"one ", fin=False), frame(0, b"mes", fin=False), frame(0, b"sage"))
        assert a.message() == b.message() == (1, b"User: one message")


def test_a_member_who_does_not_read_is_closed(daemon):
    """slow_consumer = close: 1013 behind what was sent whole, and nobody else suffers."""
    d = daemon({**FOUR, "max_pending": "64K", "max_message": "16K", "close_timeout": "300ms"})
    with Raw(d.address, rcvbuf=4096) as slow:
        slow.upgrade("/chat")

        async def client():
            speaker = await Member.open(d.address)
            others = [await Member.open(d.address) for _ in range(4)]
            n = 0
            while "reason=slow-consumer" not in d.log():
                assert n < 20000, "it is never closed"
                for _ in range(20):
                    speaker.send(b"%08d" % n + b"." * 8000)
                    n += 1
                # who lags because the machine is busy is no slow consumer
                await asyncio.gather(*(m.count(n) for m in (speaker, *others)))
            for o in others:
                assert o.messages == speaker.messages
            return n

        total = run(client())
        data = slow.gone()
    at, got = 0, []
    while True:
        found = split_frame(data, at)
        if not found:
            break
        first, payload, at = found
        got.append((first, payload))
    messages = [p for first, p in got if first == 0x81]
    assert messages == [b"User: %08d" % i + b"." * 8000 for i in range(len(messages))]
    assert len(messages) < total
    line = d.log_contains(r"^.*closed /.*slow-consumer.*$").group()
    assert "code=1013" in line


def test_the_close_frame_of_a_slow_consumer(daemon):
    d = daemon({"max_pending": "64K", "max_message": "16K", "log_level": "debug",
                "endpoints": [{"path": "/ws", "behaviour": "echo"}]})
    with Raw(d.address, rcvbuf=4096) as c:
        c.upgrade("/ws")
        c.socket.setblocking(False)
        sent, rest = 0, b""

        # a peer that sends and does not read: at some time its echoes do not fit
        def is_too_slow():
            nonlocal sent, rest
            with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError, ConnectionError):
                for _ in range(100):
                    if not rest:
                        rest = frame(BINARY, b"%08d" % sent + b"." * 8000)
                        sent += 1
                    rest = rest[c.socket.send(rest):]
            return re.search(r": OPEN -> (?!OPEN)", d.log())

        wait_until("the decision to close", is_too_slow)
        c.socket.settimeout(DEADLINE)
        n = 0
        while True:
            opcode, payload = c.message()
            if opcode == CLOSE:
                break
            assert payload == b"%08d" % n + b"." * 8000
            n += 1
        assert close_parts(payload) == (1013, "slow-consumer")
        assert n < sent


def test_drop_newest(daemon):
    """A member who does not read misses messages, but keeps its place and an order."""
    d = daemon({**FOUR, "max_pending": "64K", "max_message": "16K",
                "slow_consumer": "drop_newest"})
    total = 3000
    with Raw(d.address, rcvbuf=4096) as slow:
        slow.upgrade("/chat")

        async def client():
            speaker = await Member.open(d.address)
            other = await Member.open(d.address)
            for n in range(total):
                speaker.send(b"%08d" % n + b"." * 8000)
                if n % 10 == 9:
                    await speaker.count(n + 1)
                    # who lags because the machine is busy would miss some, too
                    await other.count(n + 1)
            assert other.messages == speaker.messages

        run(client())
        with Raw(d.address) as last:
            last.upgrade("/chat")
            got, asked = [], 0

            # what was kept for it, then it is up to date again; what is asked before is dropped
            def is_there():
                nonlocal asked
                slow.socket.settimeout(0.05)
                try:
                    while (said := slow.text()) != "User: are you there?":
                        got.append(int(said[6:14]))
                    asked -= 1
                    return True
                except TimeoutError:
                    last.send(text("are you there?"))
                    asked += 1
                    return False
                finally:
                    slow.socket.settimeout(DEADLINE)

            wait_until("a message that is not dropped", is_there)
            assert 0 < len(got) < total
            assert got == sorted(set(got))
            assert got[:5] == list(range(5))
            slow.send(text("yes"))
            while (said := slow.text()) != "User: yes":
                assert said == "User: are you there?"
                asked -= 1
        slow.send(close(1000)).closed(1000)
        peer = f"127.0.0.1:{slow.local_port}"
    # the log: once when it begins, and how many they were at the end
    dropping, = d.log_count("event=conn-dropping", 1)
    assert re.search(r"notice: dropping messages to /chat \S+: .* max_pending \(65536 bytes\) is "
                     r"reached.* endpoint=/chat .*reason=slow-consumer", dropping), dropping
    ended = d.log_contains(r"^.*closed /chat .*messages dropped.*$").group()
    assert f"; {total - len(got) + asked} messages dropped event=" in ended, ended
    conn = re.search(r"conn=\S+", dropping).group()
    assert conn in ended and (HAPROXY or f" {peer}: " in ended)
    d.log_count("messages dropped", 1)


@pytest.mark.parametrize("access_log", [True, False])
def test_dropping_promises_an_entry_at_the_end_where_there_is_one(daemon, access_log):
    d = daemon({**FOUR, "max_pending": "64K", "max_message": "64K", "access_log": access_log,
                "slow_consumer": "drop_newest"})
    with Raw(d.address, rcvbuf=4096) as slow, Raw(d.address) as speaker:
        slow.upgrade("/chat")
        speaker.upgrade("/chat")

        def is_said():
            for _ in range(20):
                speaker.send(frame(BINARY, bytes(60000)))
                speaker.message()
            return re.search("^.*event=conn-dropping .*$", d.log(), re.M)

        line = wait_until("that it misses messages", is_said).group()
    assert ("; the entry at its end has the number event=" in line) == access_log


@pytest.mark.parametrize("lag, size, each", [("16K", 3000, 60), ("64K", 60000, 12)])
def test_back_pressure_loses_nothing(daemon, lag, size, each):
    """A bus far smaller than what is published at once: publishers wait, all arrives."""
    members = 12
    d = daemon({**FOUR, "bus_size": "512K", "bus_lag": lag, "max_message": lag,
                "max_pending": "64M"})

    async def client():
        all_of_them = [await Member.open(d.address) for _ in range(members)]
        for i, m in enumerate(all_of_them):
            for n in range(each):
                m.send(b"%d %d " % (i, n) + b"x" * size)
        await asyncio.gather(*(m.count(members * each, 3 * DEADLINE) for m in all_of_them))
        check_sequences([m.messages for m in all_of_them], members, each)

    run(client())


def test_who_waits_for_the_bus_is_answered_later(daemon):
    """Messages and pings behind a message that has to wait are handled in their order."""
    d = daemon({**FOUR, "bus_size": "512K", "bus_lag": "16K", "max_message": "16K",
                "max_pending": "64M"})
    rounds = 300
    batch = b"".join(text(b"%04d" % i + b"y" * 4000) + frame(PING, b"%d" % i)
                     for i in range(rounds))

    async def client():
        m = await Member.open(d.address)
        others = [await Member.open(d.address) for _ in range(3)]
        for o in others:
            for i in range(rounds):
                o.send(b"noise" + b"z" * 4000)
        m.transport.write(batch)
        await m.count(4 * rounds, 3 * DEADLINE)
        mine = [x for x in m.messages if not x.startswith(b"User: noise")]
        assert mine == [b"User: %04d" % i + b"y" * 4000 for i in range(rounds)]
        await m.until(lambda: m.pongs[-1:] == [b"%d" % (rounds - 1)], "the last pong")
        assert m.pongs == sorted(m.pongs, key=int)

    run(client())


def test_a_publisher_who_is_gone_has_said_what_it_said(daemon):
    """What was received whole before a close is published, even when it had to wait."""
    d = daemon({**FOUR, "bus_size": "512K", "bus_lag": "16K", "max_message": "16K",
                "max_pending": "64M"})

    async def client():
        m = await Member.open(d.address)
        speaker = await Member.open(d.address)
        for n in range(200):
            speaker.send(b"%d" % n + b" " * 3000)
        speaker.transport.write(close(1000))
        await speaker.until(lambda: speaker.lost, "its end")
        await m.count(200)
        assert [int(x[6:]) for x in m.messages] == list(range(200))
        assert speaker.code == 1000

    run(client())


def test_room_after_all_have_left(daemon):
    d = daemon(FOUR)
    for i in range(20):
        with Raw(d.address) as a, Raw(d.address) as b:
            a.upgrade("/chat")
            b.upgrade("/chat")
            a.send(text(str(i)))
            assert a.text() == b.text() == f"User: {i}"


def test_max_rooms(daemon):
    d = daemon({"workers": 1, "max_rooms": 2,
                "endpoints": [{"path": f"/r{i}", "behaviour": "room"} for i in range(3)]})
    with Raw(d.address) as a, Raw(d.address) as b, Raw(d.address) as c:
        a.upgrade("/r0", behind=text("hi"))
        assert a.text() == "hi"
        b.upgrade("/r1")
        r = c.send(request("/r2")).response()
        assert (r.status, r.header("Retry-After")) == (503, "5") and r.body.startswith(b"rooms-full:")
        a.send(text("still"))
        assert a.text() == "still"


def test_notify_shares_no_room_with_its_clients(shared):
    """What a client sends to a notify endpoint is logged, not passed on."""
    with Raw(shared.address) as a, Raw(shared.address) as b:
        a.upgrade("/notifications").text()
        b.upgrade("/notifications").text()
        mark = shared.log_size()
        a.send(text('{"content": "secret"}'), close(1000))
        a.closing()
        shared.log_contains("Received JSON: secret", mark)
        b.send(close(1000))
        assert b.closing() == (1000, "")


def wake_ups(d):
    """How many there were: what is in the eventfds of all workers."""
    count = 0
    eventfds = [n for n, what in descriptors(d.pid).items() if what == "anon_inode:[eventfd]"]
    for n in eventfds:
        with open(f"/proc/{d.pid}/fdinfo/{n}", encoding="ascii") as f:
            count += int(re.search("^eventfd-count: *([0-9a-f]+)$", f.read(), re.M)[1], 16)
    return count


def test_what_wakes_a_worker_is_not_read(daemon):
    """A wake-up is the write alone: a system call less for each."""
    d = daemon(FOUR)
    with Raw(d.address) as a:
        a.upgrade("/chat")
        home = d.worker_of(a.local_port)
        with contextlib.ExitStack() as others:
            def elsewhere():
                c = others.enter_context(Raw(d.address)).upgrade("/chat")
                return c if d.worker_of(c.local_port) != home else None

            b = wait_until("a member in another worker", elsewhere)
            before = wake_ups(d)
            for i in range(20):
                a.send(text(f"a{i}"))
                assert b.text() == f"User: a{i}"
            assert wake_ups(d) > before


def test_a_message_is_delivered_without_waiting_for_a_tick(daemon):
    """Members in other workers are woken: a conversation of 100 turns takes no 100 ticks."""
    d = daemon(FOUR)
    with Raw(d.address) as a:
        a.upgrade("/chat")
        home = d.worker_of(a.local_port)
        others = []
        try:
            def elsewhere():
                c = Raw(d.address)
                others.append(c)
                c.upgrade("/chat")
                return c if d.worker_of(c.local_port) != home else None

            b = wait_until("a member in another worker", elsewhere)
            a.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            b.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            async def talk():
                for i in range(100):
                    a.send(text(f"a{i}"))
                    assert b.text() == a.text() == f"User: a{i}"
                    b.send(text(f"b{i}"))
                    assert a.text() == b.text() == f"User: b{i}"

            run(talk(), DEADLINE)
        finally:
            for c in others:
                c.socket.close()
