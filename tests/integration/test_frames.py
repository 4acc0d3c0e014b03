"""The WebSocket protocol on an open connection: fragments, control frames, what breaks it."""

import socket
import struct

import pytest

from raw import (BINARY, CLOSE, CONT, PING, PONG, TEXT, Raw, close, close_parts, frame, text)
from way import directly


@pytest.fixture
def client(shared):
    with Raw(shared.address) as c:
        yield c.upgrade("/ws")


def test_fragments_are_one_message(client):
    client.send(frame(TEXT, b"He", fin=False), frame(CONT, b"", fin=False),
                frame(CONT, b"ll", fin=False), frame(CONT, b"o"))
    assert client.message() == (TEXT, b"Echo: Hello")


def test_fragments_of_binary(client):
    client.send(frame(BINARY, b"\x00" * 300, fin=False))
    client.send(frame(CONT, b"\xff" * 70000))
    assert client.message() == (BINARY, b"\x00" * 300 + b"\xff" * 70000)


def test_control_frames_between_fragments(client):
    client.send(frame(TEXT, b"a", fin=False), frame(PING, b"now"), frame(CONT, b"b", fin=False),
                frame(PONG, b"unasked"), frame(CONT, b"c"))
    assert client.frame() == (0x80 | PONG, b"now")
    assert client.message() == (TEXT, b"Echo: abc")


def test_a_character_cut_by_fragments(client):
    snowman = "\N{SNOWMAN}".encode()
    client.send(frame(TEXT, snowman[:1], fin=False), frame(CONT, snowman[1:2], fin=False),
                frame(CONT, snowman[2:]))
    assert client.message() == (TEXT, b"Echo: " + snowman)


def test_many_fragments(client):
    parts = [frame(TEXT, b"", fin=False)] + [frame(CONT, b"x", fin=False)] * 5000
    client.send(b"".join(parts), frame(CONT))
    assert client.message() == (TEXT, b"Echo: " + b"x" * 5000)


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00\xff" * 62, b"y" * 125])
def test_ping(client, payload):
    client.send(frame(PING, payload))
    assert client.frame() == (0x80 | PONG, payload)


def test_pings_are_answered_in_order(client):
    client.send(*(frame(PING, b"%d" % i) for i in range(50)), text("end"))
    for i in range(50):
        assert client.frame() == (0x80 | PONG, b"%d" % i)
    assert client.text() == "Echo: end"


def test_pong_unasked_is_ignored(client):
    client.send(frame(PONG), frame(PONG, b"x"), text("hi"))
    assert client.frame() == (0x80 | TEXT, b"Echo: hi")


@pytest.mark.parametrize("code, reason", [
    (1000, b""), (1001, b"leaving"), (3000, b""), (4999, b"r" * 123),
])
def test_close_is_answered_with_its_code(client, code, reason):
    client.send(close(code, reason))
    assert client.closing()[0] == code
    client.ends()


def test_close_without_a_code(client):
    client.send(close())
    first, payload = client.frame()
    assert (first, payload) == (0x80 | CLOSE, b"")
    client.ends()


def test_nothing_is_handled_after_a_close(shared, client):
    mark = shared.log_size()
    client.send(text("before"), close(1000), text("after"), frame(PING, b"after"))
    assert client.frame() == (0x80 | TEXT, b"Echo: before")
    assert client.frame()[0] == 0x80 | CLOSE
    client.ends()
    client.socket.close()
    shared.log_contains(
        r"closed /.*; 1 messages, \d+ bytes received; 1 messages, 18 bytes sent", mark)


@pytest.mark.parametrize("sent, code, word", [
    (text("x", mask=False), 1002, "not-masked"),
    (text("x", rsv=4), 1002, "protocol-error"),
    (text("x", rsv=1), 1002, "protocol-error"),
    (frame(3, b"x"), 1002, "protocol-error"),
    (frame(11, b"x"), 1002, "protocol-error"),
    (frame(CONT, b"x"), 1002, "protocol-error"),
    (frame(TEXT, b"x", fin=False) + text("y"), 1002, "protocol-error"),
    (frame(PING, b"x", fin=False), 1002, "protocol-error"),
    (frame(PING, b"x" * 126), 1002, "protocol-error"),
    (frame(CLOSE, b"\x03"), 1002, "protocol-error"),
    (close(1005), 1002, "protocol-error"),
    (close(1006), 1002, "protocol-error"),
    (close(999), 1002, "protocol-error"),
    (close(5000), 1002, "protocol-error"),
    (close(1000, b"\xff"), 1007, "bad-utf8"),
    (frame(TEXT, b"\xff"), 1007, "bad-utf8"),
    (frame(TEXT, b"\xc0\xaf"), 1007, "bad-utf8"),
    (frame(TEXT, b"\xed\xa0\x80"), 1007, "bad-utf8"),
    (frame(TEXT, "\N{SNOWMAN}".encode()[:2]), 1007, "bad-utf8"),
    (frame(TEXT, b"a\xff", fin=False), 1007, "bad-utf8"),
])
def test_violations(shared, client, sent, code, word):
    mark = shared.log_size()
    client.send(text("good"), sent)
    assert client.text() == "Echo: good"
    assert client.closing() == (code, word)
    client.ends()
    port = client.local_port
    client.socket.close()
    line = shared.log_contains(rf"^.*closed /.*127.0.0.1:{port}\b.*$", mark).group()
    assert word in line and str(code) in line


def test_binary_may_be_any_bytes(client):
    client.send(frame(BINARY, b"\xff\xfe\xc0\xaf"))
    assert client.message() == (BINARY, b"\xff\xfe\xc0\xaf")


def test_violation_behind_a_message_in_pieces(client):
    whole = text("ok") + frame(BINARY, b"b" * 200) + frame(3)
    for byte in whole:
        client.send(bytes([byte]))
    assert client.text() == "Echo: ok"
    assert client.message() == (BINARY, b"b" * 200)
    opcode, payload = client.message()
    assert opcode == CLOSE and close_parts(payload) == (1002, "protocol-error")
    client.ends()


def test_length_that_is_announced_is_not_waited_for(client):
    client.send(frame(BINARY, b"", length=1 << 40))
    assert client.closing() == (1009, "message-too-big")
    client.ends()


# --- how the end leaves ---


def segments_in(raw):
    """How many segments a client's kernel has received on its connection; None: it does not say."""
    at = 140  # of tcpi_segs_in in struct tcp_info
    info = raw.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    return struct.unpack_from("=I", info, at)[0] if len(info) >= at + 4 else None


@directly("the segments are HAProxy's")
@pytest.mark.parametrize("last_words", [close(1000), frame(0x3)], ids=["answer", "error"])
def test_the_end_leaves_with_the_close_frame(shared, last_words):
    # An acknowledgment may come by itself, ahead of them; but where the end has a segment of its
    # own it is never one in all, and else nearly always.
    counts = []
    for _ in range(50):
        with Raw(shared.address) as raw:
            raw.upgrade("/ws")
            before = segments_in(raw)
            if before is None:
                pytest.skip("this kernel does not count the segments that a connection receives")
            raw.send(last_words)
            assert raw.gone()[0] == 0x80 | CLOSE
            counts.append(segments_in(raw) - before)
        if counts[-1] == 1:
            return
    pytest.fail(f"the close frame and the end came in so many segments: {counts}")
