"""permessage-deflate as a stock client sees it, and what of it shows in a room and in limits."""

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import string
import zlib

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

import stock
import way
from harness import DEADLINE, LOCAL, stand_still, wait_until, wait_until_asleep
from raw import BINARY, CLOSE, Raw, close, frame, run, text

ON = {"enabled": True, "threshold": "0"}
TEXT = json.dumps([{"type": "info", "n": n, "text": "like the one before"} for n in range(40)])


def connect(d, path, sock=None, **parameters):
    factory = ClientPerMessageDeflateFactory(**{"client_max_window_bits": True, **parameters})
    name = {"server_hostname": "localhost"} if sock and way.TLS else {}
    return stock.connect(d.url(path), extensions=[factory], compression=None, sock=sock,
                         open_timeout=DEADLINE, max_size=None, **name)


PARAMETERS = [
    {"server_no_context_takeover": s, "client_no_context_takeover": c,
     "server_max_window_bits": sb, "client_max_window_bits": cb}
    for (s, c), (sb, cb) in itertools.product(
        itertools.product((False, True), repeat=2), ((None, True), (9, 9), (15, 12)))]


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_echo_with_all_parameters(daemon, takeover, parameters):
    d = daemon({"workers": 1, "compression": {
        **ON, "server_context_takeover": takeover, "client_context_takeover": takeover}})

    async def client():
        async with connect(d, "/ws", **parameters) as ws:
            assert stock.agreed(ws).startswith("permessage-deflate")
            for message in ("", "x", TEXT, "é" * 5000, TEXT, TEXT[:100]):
                await ws.send(message)
                assert await ws.recv() == "Echo: " + message
            await ws.send(TEXT.encode())
            assert await ws.recv() == TEXT.encode()
            # in fragments, of which the client compresses the whole
            await ws.send([TEXT[:50], TEXT[50:60], "", TEXT[60:]])
            assert await ws.recv() == "Echo: " + TEXT

    run(client())


def test_not_asked_for_or_off(daemon):
    d = daemon({"endpoints": [{"path": "/on", "behaviour": "echo", "compression": ON},
                              {"path": "/off", "behaviour": "echo"}]})

    async def client():
        async with stock.connect(d.url("/on"), compression=None) as ws:
            assert stock.agreed(ws) is None
            await ws.send(TEXT)
            assert await ws.recv() == TEXT
        async with stock.connect(d.url("/off")) as ws:
            assert stock.agreed(ws) is None
            await ws.send(TEXT)
            assert await ws.recv() == TEXT

    run(client())


def inflating(d, path="/ws"):
    """A raw client that may be sent compressed messages, to look at their first byte."""
    c = Raw(d.address)
    c.upgrade(path, headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
    return c


def test_ends_that_clients_get_wrong(daemon):
    """A final block with no empty one behind it, and the four bytes that are not to be sent."""
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "compression": ON}]})
    message = b"Welcome, welcome to the real-time era!"
    kept = zlib.compressobj(wbits=-15)
    ends = [zlib.compress(message, wbits=-15),
            kept.compress(message) + kept.flush(zlib.Z_SYNC_FLUSH),
            bytes.fromhex("0b4fcd49cecf4d0500")]
    with inflating(d) as c:
        for payload, echoed in zip(ends, (message, message, b"Welcome")):
            c.send(text(payload, rsv=4))
            first, back = c.frame()
            if first & 0x40:
                back = zlib.decompressobj(-15).decompress(back + b"\0\0\xff\xff")
            assert back == echoed
        # with a byte less it may as well have been cut
        c.send(text(ends[1][:-1], rsv=4))
        assert c.closing() == (1007, "bad-deflate")


def test_threshold(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo",
                               "compression": {**ON, "threshold": "100"}}]})
    with inflating(d) as c:
        for size, first in ((99, 0x81), (100, 0xc1), (99, 0x81)):
            c.send(text("x" * size))
            assert c.frame()[0] == first


def test_what_would_get_longer_goes_out_plain(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "compression": ON}]})
    noise = bytes((i * 7919 + i * i * 31) % 251 for i in range(40))
    with inflating(d) as c:
        c.send(frame(BINARY, noise))
        assert c.frame() == (0x82, noise)


def test_room_of_all_kinds(daemon):
    """Plain members, members with each window and with takeover see the same sequence."""
    d = daemon({"workers": 2, "endpoints": [
        {"path": "/chat", "behaviour": "room", "compression": ON},
        {"path": "/others", "behaviour": "room", "include_sender": False,
         "compression": {**ON, "server_context_takeover": True}}]})

    async def member(path, i, ready, **parameters):
        async with (connect(d, path, **parameters) if parameters else
                    stock.connect(d.url(path), compression=None)) as ws:
            ready[i].set()
            await asyncio.gather(*(r.wait() for r in ready))
            for n in range(10):
                await ws.send(f"{i} {n} {TEXT}")
            own = path == "/others"
            return [await ws.recv() for _ in range(10 * (len(ready) - own))]

    kinds = [{}, {"server_max_window_bits": 9}, {"server_max_window_bits": 10},
             {"server_no_context_takeover": True}, {"client_max_window_bits": 9}, {}]

    async def client():
        for path in ("/chat", "/others"):
            ready = [asyncio.Event() for _ in kinds]
            seen = await asyncio.gather(*(member(path, i, ready, **k)
                                          for i, k in enumerate(kinds)))
            if path == "/chat":
                assert all(s == seen[0] for s in seen)
                continue
            for i, s in enumerate(seen):
                assert not any(m.startswith(f"{i} ") for m in s)
                for j, other in enumerate(seen):
                    both = [m for m in s if m.split(" ")[0] not in (str(i), str(j))]
                    assert both == [m for m in other if m.split(" ")[0] not in (str(i), str(j))]

    run(client())


def test_drops_do_not_break_the_stream(daemon):
    """A message that was compressed and then dropped must not be referred to."""
    d = daemon({"workers": 1, "max_pending": "8K", "slow_consumer": "drop_newest",
                "max_message": "64K", "endpoints": [
                    {"path": "/r", "behaviour": "room", "max_message": "64K",
                     "compression": {**ON, "server_context_takeover": True, "level": 9}}]})

    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(d.address)
    chars = random.Random(1)
    # twice what the kernel may keep for whoever sends to it: what is new in one has 3,000 bytes
    with open("/proc/sys/net/ipv4/tcp_wmem", encoding="ascii") as limits:
        count = 2 * int(limits.read().split()[2]) // 3000

    async def client():
        async with connect(d, "/r", narrow, client_no_context_takeover=True) as slow, \
                stock.connect(d.url("/r"), compression=None, max_size=None) as speaker:

            async def say(count):
                # half of it is new, and half is what was new in the one before
                for _ in range(count):
                    noise = "".join(chars.choices(string.ascii_letters + string.digits, k=4000))
                    before = sent[-1].split(" ")[1] if sent else noise
                    sent.append(f"{len(sent)} {noise} {before}")
                    await speaker.send(sent[-1])
                    assert await speaker.recv() == sent[-1]

            async def read_to(mark):
                got = []
                while not got or got[-1] != mark:
                    if len(got) % 50 == 0:
                        await speaker.send(mark)
                        await speaker.recv()
                    got.append(await slow.recv())
                return [m for m in got if m != mark]

            sent = []
            slow.transport.pause_reading()
            await say(count)
            slow.transport.resume_reading()
            got = await read_to("mark")
            # who is sent nothing for a while may have space for one again
            numbers = [int(m.split(" ")[0]) for m in got]
            assert got == [sent[n] for n in sorted(set(numbers))] and len(got) < count
            # the first of these repeats one that was dropped
            await say(20)
            got = [m for m in await read_to("end") if m != "mark"]
            assert got == sent[count:]

    run(client())


def test_drops_of_what_was_gathered_before(daemon):
    """One read brings more than is gathered at once: what refers to the dropped is dropped."""
    d = daemon({"workers": 1, "max_pending": "100K", "slow_consumer": "drop_newest", "endpoints": [
        {"path": "/ws", "behaviour": "echo",
         "compression": {**ON, "server_context_takeover": True, "level": 9}}]}, start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[LOCAL, {"unix": path}])
    d.start()
    noise = random.Random(1)
    seen = 0
    for before in range(200, 330, 5):
        with Raw(path) as c, Raw(path) as other:
            c.upgrade(headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
            sent = [noise.randbytes(1000) for _ in range(before)]
            c.send(*(frame(BINARY, m) for m in sent))
            # these are read first, and some of them wait
            other.upgrade().send(text("x"))
            assert other.text() == "x"
            wait_until_asleep(d.workers()[0])
            stand_still(d.workers()[0])
            sent += (noise.randbytes(16000) for _ in range(4))
            for _ in range(12):
                # most of it is of the one before
                sent.append(sent[-1][-3500:] + noise.randbytes(300))
            c.send(*(frame(BINARY, m) for m in sent[before:]), close(1000))
            other.send(text("y"))
            os.kill(d.workers()[0], signal.SIGCONT)
            # nothing is read, and so nothing is sent, before the worker has seen all of that
            assert other.text() == "y"
            wait_until_asleep(d.workers()[0])
            inflater, rest = zlib.decompressobj(-15), iter(sent)
            first, payload = c.frame()
            while first & 0x0f != CLOSE:
                if first & 0x40:
                    payload = inflater.decompress(payload + b"\0\0\xff\xff")
                assert payload in rest, "not one of those that were to come"
                first, payload = c.frame()
            seen += len(list(rest)) > 0
            c.ends()
    assert seen, "nothing was dropped"


def test_settings_of_a_reload(daemon):
    """A connection keeps what it agreed on; what is sent follows the new settings."""
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "compression": ON}]})
    with inflating(d) as c:
        c.send(text(TEXT))
        assert c.frame()[0] == 0xc1
        d.change(endpoints=[{"path": "/ws", "behaviour": "echo"}])
        d.reload()
        c.send(text(TEXT))
        assert c.frame() == (0x81, TEXT.encode())
        d.change(endpoints=[{"path": "/ws", "behaviour": "echo",
                             "compression": {**ON, "level": 9}}])
        d.reload()
        c.send(text(TEXT))
        assert c.frame()[0] == 0xc1
    wait_until("the end", lambda: "closed /" in d.log())
