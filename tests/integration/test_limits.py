"""Limits of a connection: sizes, pings, idleness, the end that a peer does not answer."""

import os
import re
import signal
import socket
import struct
import time

import pytest

import way
from apart import option_of_listening
from harness import DEADLINE, LOCAL, ROOMY, SLOW, in_time, stand_still, wait_until_asleep
from raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, Raw, close, close_parts, frame, text
from way import PROXIED, directly, in_the_clear

ECHO = {"path": "/ws", "behaviour": "echo"}

# Timers are exact to a tick of 100 ms; what is measured here also waits for the machine.
TICK = 0.1


def ms(n):
    """A duration that is stretched on slow machines: how it is written, and in seconds."""
    return f"{int(n * SLOW)}ms", n * SLOW / 1000


# --- max_message ---


@pytest.mark.parametrize("opcode, prefix", [(TEXT, b"Echo: "), (BINARY, b"")])
def test_max_message(daemon, opcode, prefix):
    d = daemon({"max_message": "1000"})
    with Raw(d.address) as c:
        c.upgrade("/ws").send(frame(opcode, b"x" * 1000))
        assert c.message() == (opcode, prefix + b"x" * 1000)
        c.send(frame(opcode, b"x" * 1001))
        assert c.closing() == (1009, "message-too-big")
        c.ends()
    line = d.log_contains(r"^.*closed /.*$").group()
    assert "code=1009" in line and "reason=message-too-big" in line


def test_max_message_counts_all_fragments(daemon):
    d = daemon({"max_message": "1000"})
    with Raw(d.address) as c:
        c.upgrade("/ws").send(frame(TEXT, b"x" * 500, fin=False), frame(CONT, b"x" * 500))
        assert c.message() == (TEXT, b"Echo: " + b"x" * 1000)
        c.send(frame(TEXT, b"x" * 500, fin=False), frame(CONT, b"x" * 500, fin=False),
               frame(CONT, b"x"))
        assert c.closing() == (1009, "message-too-big")


def test_max_message_is_known_from_the_header(daemon):
    d = daemon({"max_message": "1000"})
    for length in (1001, 65536, 1 << 32, (1 << 63) - 1):
        with Raw(d.address) as c:
            c.upgrade("/ws").send(frame(BINARY, b"some", length=length))
            assert c.closing() == (1009, "message-too-big")


def test_max_message_of_an_endpoint(daemon):
    d = daemon({"max_message": "100", "endpoints": [
        ECHO, {"path": "/big", "behaviour": "echo", "max_message": "2000"}]})
    with Raw(d.address) as c:
        c.upgrade("/big").send(text("x" * 2000))
        assert c.text() == "x" * 2000
    with Raw(d.address) as c:
        c.upgrade("/ws").send(text("x" * 101))
        assert c.closing() == (1009, "message-too-big")


def test_default_max_message_is_a_mebibyte(daemon):
    d = daemon({**ROOMY})
    with Raw(d.address) as c:
        c.upgrade("/ws").send(frame(BINARY, b"x" * (1 << 20)))
        assert c.message() == (BINARY, b"x" * (1 << 20))
        c.send(frame(BINARY, b"", length=(1 << 20) + 1))
        assert c.closing() == (1009, "message-too-big")


# --- idle_timeout ---


def test_idle_timeout(daemon):
    written, seconds = ms(500)
    d = daemon({"idle_timeout": written})
    began = time.monotonic()
    with Raw(d.address) as c:
        c.upgrade("/ws")
        assert c.closing() == (1001, "idle-timeout")
        assert time.monotonic() - began > seconds - 2 * TICK
        c.send(close(1001)).ends()
    d.log_contains(r"closed /.*code=1001 reason=idle-timeout")


def test_pings_and_pongs_are_no_messages(daemon):
    written, _ = ms(500)
    d = daemon({"idle_timeout": written, "ping_interval": "100ms"})
    with Raw(d.address) as c:
        c.upgrade("/ws").send(frame(PING, b"mine"))
        pings = 0
        while True:
            first, payload = c.frame()
            if first == 0x80 | PING:
                pings += 1
                c.send(frame(PONG, payload))
            elif first == 0x80 | CLOSE:
                break
        assert close_parts(payload) == (1001, "idle-timeout")
        assert pings >= 1


def test_messages_keep_a_connection_from_being_idle(daemon):
    written, seconds = ms(1000)
    d = daemon({"idle_timeout": written,
                "endpoints": [{"path": "/chat", "behaviour": "room"}, ECHO]})

    def attempt(pace):
        pace.step()
        with Raw(d.address) as talker, Raw(d.address) as listener, Raw(d.address) as idle:
            talker.upgrade("/chat")
            listener.upgrade("/chat")
            idle.upgrade("/ws")
            idle.socket.settimeout(seconds / 5)
            n = 0
            while True:
                # either way: one sends, the other only receives
                talker.send(text(str(n)))
                assert talker.text() == listener.text() == str(n)
                pace.step()
                n += 1
                try:
                    assert idle.closing() == (1001, "idle-timeout")
                    break
                except TimeoutError:
                    pass
            assert n >= 4
            talker.send(text("on"))
            assert talker.text() == listener.text() == "on"
            # and then they are
            assert listener.closing() == talker.closing() == (1001, "idle-timeout")

    in_time(seconds / 2, attempt)


# --- message_timeout: a message that dribbles in for ever is bounded ---

PAUSE = 0.05
HUGE = frame(BINARY, b"x" * 4000)
DEFLATED = b"\xca\xc8\xe4\x02\x00\x00\x00\xff\xff"
# what comes at once, then what is sent again and again
DRIBBLES = {
    "fragments": (b"", frame(BINARY, b"x", fin=False), frame(CONT, b"y", fin=False)),
    "one frame": (b"", HUGE[:20], b"x"),
    "a header": (b"", HUGE[:1], None),
    "a longer header": (b"", frame(BINARY, b"", length=1 << 16)[:7], None),
    "with pings": (b"", frame(TEXT, b"x", fin=False), frame(PING, b"p")),
    "a ping": (b"", frame(PING, b"p" * 125)[:8], b"p"),
    "compressed": (b"", frame(TEXT, DEFLATED, rsv=4, fin=False), frame(CONT, b"", fin=False)),
    "behind a message": (text("hi"), frame(BINARY, b"x", fin=False), frame(CONT, b"y", fin=False)),
}


def dribble(c, first, again):
    """Sends on and on until the close comes, which must be; returns when that was, and the close."""
    began = time.monotonic()
    c.send(first)
    c.socket.settimeout(PAUSE)
    while time.monotonic() - began < DEADLINE:
        try:
            opcode, payload = c.message()
            assert opcode == CLOSE
            return time.monotonic() - began, close_parts(payload)
        except TimeoutError:
            c.send(again or b"")
    raise AssertionError("it was not closed")


@pytest.mark.parametrize("kind", DRIBBLES)
def test_message_timeout(daemon, kind):
    """From its first byte, whatever comes later; and a message in time starts nothing."""
    before, first, again = DRIBBLES[kind]
    written, seconds = ms(600)
    d = daemon({"message_timeout": written, "compression": {"enabled": True}})
    with Raw(d.address) as c:
        offer = {"Sec-WebSocket-Extensions": "permessage-deflate"} if kind == "compressed" else {}
        c.upgrade("/ws", headers=offer)
        if before:
            time.sleep(seconds / 2)
            c.send(before)
            assert c.text() == "Echo: hi"
        took, said = dribble(c, first, again)
        assert said == (1008, "message-timeout")
        assert took > seconds - 2 * TICK
    d.log_contains(r"closed /.*code=1008 reason=message-timeout")


def test_message_timeout_is_of_one_message(daemon):
    """Who always has one under way, but each for less, is let be."""
    written, seconds = ms(800)
    d = daemon({"message_timeout": written})

    def attempt(pace):
        pace.step()
        with Raw(d.address) as c:
            c.upgrade("/ws").send(frame(TEXT, b"0", fin=False))
            for n in range(8):
                time.sleep(seconds / 4)
                # the end of one and the beginning of the next come together
                c.send(frame(CONT, b"."), frame(TEXT, b"%d" % (n + 1), fin=False))
                assert c.text() == f"Echo: {n}."
                pace.step()

    in_time(seconds / 2, attempt)


def test_message_timeout_of_zero_is_never(daemon):
    d = daemon({"message_timeout": "200ms", "endpoints": [
        ECHO, {"path": "/slow", "behaviour": "echo", "message_timeout": "0"}]})
    with Raw(d.address) as slow, Raw(d.address) as c:
        slow.upgrade("/slow").send(frame(TEXT, b"x", fin=False))
        c.upgrade("/ws").send(frame(TEXT, b"x", fin=False))
        assert c.closing() == (1008, "message-timeout")
        slow.send(frame(CONT, b"y"))
        assert slow.text() == "xy"


def test_reload_changes_the_message_timeout_of_what_is_under_way(daemon):
    d = daemon({"message_timeout": "1h"})
    with Raw(d.address) as c:
        c.upgrade("/ws").send(frame(TEXT, b"x", fin=False))
        c.send(frame(PING, b"came"))
        assert c.frame() == (0x80 | PONG, b"came")
        d.change(message_timeout=ms(300)[0])
        d.reload()
        assert c.closing() == (1008, "message-timeout")


# --- pings ---


def test_pings_come_at_their_interval(daemon):
    written, seconds = ms(200)
    d = daemon({"ping_interval": written, "ping_timeout": "30s"})
    began = time.monotonic()
    with Raw(d.address) as c:
        c.upgrade("/ws")
        tokens = []
        for _ in range(8):
            first, payload = c.frame()
            assert first == 0x80 | PING and len(payload) <= 125
            tokens.append(payload)
            c.send(frame(PONG, payload))
        # the first two come at moments of the connection's own
        assert time.monotonic() - began > 6 * seconds - 2 * TICK
        assert len(set(tokens)) == 8, "a pong must tell which ping it answers"
        c.send(text("alive"))
        assert c.text() == "Echo: alive"
    d.log_contains(r"closed /.*; round trip \d+\.\d{3} ms\b")


def test_a_wrong_pong_tells_no_round_trip(daemon):
    d = daemon({"ping_interval": ms(200)[0], "ping_timeout": "30s"})
    with Raw(d.address) as c:
        c.upgrade("/ws")
        _, payload = c.frame()
        c.send(frame(PONG, payload + b"x"), frame(PONG), frame(PONG, b"none"), text("x"))
        assert c.text() == "Echo: x"
    assert "round trip" not in d.log_contains(r"^.*closed /.*$").group()


def test_ping_timeout(daemon):
    d = daemon({"ping_interval": ms(200)[0], "ping_timeout": ms(300)[0]})
    began = time.monotonic()
    with Raw(d.address) as c:
        c.upgrade("/ws")
        assert c.frame()[0] == 0x80 | PING
        assert c.closing() == (1011, "ping-timeout")
        assert time.monotonic() - began > ms(300)[1] - 3 * TICK
    d.log_contains(r"closed /.*reason=ping-timeout")


def test_any_byte_is_a_sign_of_life(daemon):
    """Pongs, messages, other pings: all of them tell that the peer is there."""
    d = daemon({"ping_interval": ms(200)[0], "ping_timeout": ms(1000)[0]})
    answers = [text("x"), frame(PONG, b"another"), frame(PING, b"p"), frame(BINARY, b"b")]

    def attempt(pace):
        pace.step()
        with Raw(d.address) as c, Raw(d.address) as dead:
            c.upgrade("/ws")
            dead.upgrade("/ws")
            for i in range(10):
                while c.frame()[0] != 0x80 | PING:
                    pass
                c.send(answers[i % 4])
                pace.step()
            assert dead.closing() == (1011, "ping-timeout")
            c.send(text("alive"))
            while True:
                opcode, payload = c.message()
                assert opcode != CLOSE
                if payload == b"Echo: alive":
                    break

    in_time(ms(500)[1], attempt)


@way.directly("what a proxy takes it keeps itself")
def test_who_reads_slowly_is_alive(daemon):
    """What it was sent is in the kernel, and the ping behind it."""
    # TCP gives nobody up
    d = daemon({**ROOMY, "ping_interval": ms(200)[0], "ping_timeout": ms(600)[0],
                "endpoints": [ECHO, {**ECHO, "path": "/patient", "ping_timeout": "1h"}]})
    much = 200000

    def attempt(pace):
        with Raw(d.address, rcvbuf=4096) as c:
            c.upgrade("/ws").send(text("x" * much))
            pace.step()
            while len(c.data) < much:
                some = c.socket.recv(4000)
                assert some, "it was cut off"
                c.data += some
                time.sleep(ms(50)[1])
                pace.step()
            while c.frame()[0] != 0x80 | PING:
                pass
            c.send(text("alive"))
            assert c.message() == (TEXT, b"alive")

    in_time(ms(300)[1], attempt)
    with Raw(d.address, rcvbuf=4096) as c:
        c.upgrade("/ws").send(text("x" * much))
        d.log_contains(rf"closed /.*:{c.local_port}: ping-timeout")


def test_no_pings(daemon):
    d = daemon({"endpoints": [{**ECHO, "ping_interval": "0"},
                              {**ECHO, "path": "/pinged", "ping_interval": ms(200)[0]}]})
    with Raw(d.address) as c, Raw(d.address) as pinged:
        c.upgrade("/ws")
        pinged.upgrade("/pinged")
        for _ in range(4):
            first, payload = pinged.frame()
            assert first == 0x80 | PING
            pinged.send(frame(PONG, payload))
        c.send(text("x"))
        assert c.frame() == (0x80 | TEXT, b"x"), "no ping came before"


def test_ping_timeout_off(daemon):
    d = daemon({"ping_interval": ms(200)[0], "ping_timeout": "0"})
    with Raw(d.address) as c:
        c.upgrade("/ws")
        for _ in range(4):
            assert c.frame()[0] == 0x80 | PING
        c.send(text("x"))
        assert c.message() == (TEXT, b"Echo: x")


TCP_USER_TIMEOUT = 18


def patience(d):
    """What its listening socket has TCP wait for, in milliseconds."""
    return option_of_listening(d.workers()[0], TCP_USER_TIMEOUT)


@way.directly("HAProxy comes by a unix socket")
def test_tcp_is_as_patient_as_pings(daemon):
    d = daemon({"workers": 1, "endpoints": [
        ECHO, {"path": "/slow", "behaviour": "echo", "ping_timeout": "2m"}]})
    assert patience(d) == 25000 + 120000
    d.change(endpoints=[ECHO])
    d.reload()
    assert patience(d) == 25000 + 20000
    d.change(ping_timeout="0")
    d.reload()
    assert patience(d) == 0, "it gives nobody up before TCP does by itself"


def test_to_read_is_a_sign_of_life(daemon):
    """Who reads more slowly than it is sent to cannot be pinged, and has nothing to say."""
    d = daemon({"workers": 1, "max_pending": "1M", "slow_consumer": "drop_newest",
                "ping_interval": ms(200)[0], "ping_timeout": ms(1000)[0],
                "close_timeout": ms(200)[0]})

    def attempt(pace):
        pace.step()
        mark = d.log_size()
        with Raw(d.address, rcvbuf=4096) as slow, Raw(d.address, rcvbuf=4096) as dead, \
                Raw(d.address) as speaker:
            for c in (slow, dead, speaker):
                c.upgrade("/chat")
            # until the one that does not read is given up, and as long again
            ended = None
            end = time.monotonic() + DEADLINE
            while ended is None or time.monotonic() < ended:
                assert time.monotonic() < end
                speaker.send(*[frame(BINARY, b"x" * 60000)] * 5)
                for _ in range(5):
                    speaker.message()
                assert slow.message() == (BINARY, b"x" * 60000)
                pace.step()
                if ended is None and "reason=ping-timeout" in d.log(mark):
                    ended = time.monotonic() + ms(2000)[1]
            # the one that was given up was not this one
            d.log_count("reason=ping-timeout", 1, mark)

    in_time(ms(300)[1], attempt)


@directly("the proxy takes much for a client that does not read")
@in_the_clear("TLS holds back what is not taken, and encrypts no more")
def test_what_waits_in_the_kernel_counts(daemon):
    """A socket may take more of long messages than others do; that is as if it waited with us."""
    d = daemon({**ROOMY, "workers": 1, "max_pending": "4M", "close_timeout": ms(200)[0]})
    with Raw(d.address, rcvbuf=4096) as c:
        c.upgrade("/ws").send(frame(BINARY, bytes(900000)))
        message = frame(BINARY, bytes(100000))
        with pytest.raises(OSError):
            while True:
                c.socket.sendall(message)
    line = d.log_contains("closed /.*reason=slow-consumer").group()
    count, sent = map(int, re.search(r"; (\d+) messages, .*messages, (\d+) bytes sent", line).groups())
    assert sent >= 900000, "its socket did not take more"
    # 256 KiB that each socket takes, max_pending, and the message that was too much; less, for what waits
    # in the kernel counts by the memory that it takes
    assert 3000000 <= 800000 + count * 100000 <= 4700000, line


# --- close_timeout ---


def test_close_timeout(daemon):
    """A peer that does not answer a close is cut off, not earlier and not much later."""
    written, seconds = ms(500)
    d = daemon({"close_timeout": written})
    began = time.monotonic()
    with Raw(d.address) as c:
        c.upgrade("/once")
        assert c.text() == "Goodbye!"
        assert c.closing() == (1000, "")
        c.gone()
        assert time.monotonic() - began > seconds - 2 * TICK
    d.log_contains(r"closed /.*endpoint=/once")


def test_peer_that_does_not_end_its_side(daemon):
    """Its answer to the close came, the end of its stream does not."""
    written, _ = ms(500)
    d = daemon({"close_timeout": written})
    with Raw(d.address) as c:
        c.upgrade("/once")
        assert c.text() == "Goodbye!"
        c.closed(1000)
        # our socket is still open here; the daemon lets go of its own
        d.log_contains(rf"closed /.*endpoint=/once{PROXIED} code=1000 reason=done")


def test_what_comes_after_a_close_is_not_answered(daemon):
    d = daemon({"close_timeout": ms(500)[0]})
    with Raw(d.address) as c:
        c.upgrade("/once")
        assert c.text() == "Goodbye!"
        assert c.closing() == (1000, "")
        c.send(text("but"), frame(PING, b"?"), frame(3), b"\xff" * 100)
        assert c.gone() == b""


def test_close_frame_behind_much_output(daemon):
    """A close waits for what was sent before it, however slowly that is read."""
    d = daemon({"max_pending": "8M", "close_timeout": "30s", **ROOMY})
    with Raw(d.address, rcvbuf=4096) as c:
        c.upgrade("/ws")
        for i in range(6):
            c.send(frame(BINARY, struct.pack("!I", i) * 250000))
        c.send(close(1000, b"done"))
        for i in range(6):
            assert c.message() == (BINARY, struct.pack("!I", i) * 250000)
        assert c.closing()[0] == 1000
        c.ends()


def test_end_of_a_peer_that_still_reads(daemon):
    """It closes, ends its direction at once, and gets all that was under way all the same."""
    d = daemon({"max_pending": "8M", "close_timeout": "30s", **ROOMY})
    with Raw(d.address, rcvbuf=4096) as c, Raw(d.address, rcvbuf=4096) as gone:
        for peer in (c, gone):
            peer.upgrade("/ws")
            for i in range(6):
                peer.send(frame(BINARY, struct.pack("!I", i) * 250000))
            peer.send(close(1000, b"done"))
            peer.socket.shutdown(socket.SHUT_WR)
        # this one does not wait for it
        gone.socket.close()
        d.log_count("closed /", 1)
        for i in range(6):
            assert c.message() == (BINARY, struct.pack("!I", i) * 250000)
        assert c.closing()[0] == 1000
        c.ends()
    d.log_contains(r"closed /.*code=1000 reason=peer-closed")


def on_unix_socket(daemon, settings):
    """One worker that listens there too, where it is known how much a socket takes; and the path."""
    d = daemon({"workers": 1, **settings}, start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[LOCAL, {"unix": path}])
    d.start()
    return d, path


def settle(other):
    """What came before is answered before this."""
    other.send(text("x"))
    assert other.text() == "Echo: x"


def send_together(d, other, c, *frames):
    """What the worker reads at once, apart from what c has sent before."""
    settle(other)
    # what c has sent may go on in later turns: then there is space for this
    wait_until_asleep(d.workers()[0])
    stand_still(d.workers()[0])
    c.send(*frames)
    os.kill(d.workers()[0], signal.SIGCONT)


def test_close_in_one_turn_with_messages(daemon):
    """The socket is full in the midst of what was gathered: all of it goes out, and the close."""
    d, path = on_unix_socket(daemon, {"max_pending": "1M"})
    with Raw(path) as other:
        other.upgrade()
        for before in range(100000, 260000, 4000):
            with Raw(path) as c:
                c.upgrade().send(*[frame(BINARY, b"b" * 1000)] * (before // 1000))
                settle(other)
                c.send(*(text(f"{n} " + "x" * 1000) for n in range(10)), close(1000))
                for _ in range(before // 1000):
                    assert c.message() == (BINARY, b"b" * 1000)
                for n in range(10):
                    assert c.text() == f"Echo: {n} " + "x" * 1000
                assert c.closing()[0] == 1000
                c.ends()


@pytest.mark.parametrize("size", [20000, 40000, 60000])
def test_nothing_follows_the_close_of_a_slow_consumer(daemon, size):
    """It is closed in the midst of what one read brought; no frame comes behind the close."""
    d, path = on_unix_socket(daemon, {"max_pending": "64K", "max_message": "64K"})
    with Raw(path) as c:
        c.upgrade().send(frame(BINARY, b"x" * size) * (1500000 // size))
        messages = taken = 0
        opcode, payload = c.message()
        while opcode == BINARY:
            messages += 1
            taken += len(payload) + (2 if size < 126 else 4)
            opcode, payload = c.message()
        assert (opcode, payload[:2]) == (CLOSE, struct.pack("!H", 1013))
        c.send(close(1013))
        c.ends()
    # what was kept for it and thrown away was not sent
    d.log_contains(rf"; {messages} messages, {taken + 2 + len(payload)} bytes sent "
                   ".* reason=slow-consumer")


@pytest.mark.parametrize("last", [close(1000), frame(3)], ids=["close", "violation"])
def test_slow_consumer_whose_last_word_is_there(daemon, last):
    """The end that its own bytes ask for is not told as well, when that comes first."""
    d, path = on_unix_socket(daemon, {"max_pending": "64K", "max_message": "64K"})
    with Raw(path) as other:
        other.upgrade()
        for before in range(210, 340, 4):
            with Raw(path) as c:
                c.upgrade().send(*[frame(BINARY, b"b" * 1000)] * before)
                send_together(d, other, c, *[frame(BINARY, b"b" * 1000)] * 62, last)
                opcode = BINARY
                while opcode == BINARY:
                    opcode, _ = c.message()
                assert opcode == CLOSE
                c.ends()
    d.log_contains("reason=slow-consumer")


@pytest.mark.parametrize("last", [close(1000), frame(3)], ids=["close", "violation"])
def test_no_gap_before_the_close(daemon, last):
    """What is too much, in a turn that ends the connection anyway, is the last of it."""
    d, path = on_unix_socket(daemon, {"max_pending": "4K", "max_message": "4K"})
    cut = 0
    with Raw(path) as other:
        other.upgrade()
        for before in range(180, 270, 4):
            with Raw(path) as c:
                sent = [frame(BINARY, struct.pack("!I", n) * 250) for n in range(before + 50)]
                sent.append(frame(BINARY, struct.pack("!I", before + 50)))
                c.upgrade().send(*sent[:before])
                send_together(d, other, c, *sent[before:], last)
                n = 0
                opcode, payload = c.message()
                while opcode == BINARY:
                    assert payload[:4] == struct.pack("!I", n)
                    n += 1
                    opcode, payload = c.message()
                assert opcode == CLOSE
                cut += n < len(sent)
                c.ends()
    assert cut
