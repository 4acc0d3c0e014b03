"""RFC 7692: the offer and its answer, compressed messages both ways, and what breaks them.

The other side is Python's zlib (deflate.py), which is strict: it uses the window and the
takeover that were agreed on and no more.
"""

import random
import zlib
from functools import lru_cache

from cases import (BAD_UTF8, CONTROL, OPCODES, PROTOCOL_ERROR, TOO_BIG, Case, Frame, closed, fails,
                   pieces)
from deflate import compressed
from raw import BINARY, CONT, PING, PONG, TEXT, close, frame

PMD = "permessage-deflate"
Z = 0b1100  # FIN and RSV1
SIZES = (16, 64, 256, 1024, 4096, 16384, 65536, 131072)
SET = ("server_no_context_takeover", "client_no_context_takeover")

# How each endpoint is configured, over compression = { enabled = true; }.
ENDPOINTS = {
    "/z": {},
    "/z-both": {"server_context_takeover": True, "client_context_takeover": True},
    "/z-server": {"server_context_takeover": True},
    "/z-client": {"client_context_takeover": True},
    "/z-window": {"server_max_window_bits": 9, "client_max_window_bits": 10,
                  "server_context_takeover": True, "client_context_takeover": True},
    "/z-little": {"level": 1, "memory_level": 1, "server_max_window_bits": 9},
    "/z-hard": {"level": 9, "memory_level": 9},
    "/z-threshold": {"threshold": "1K"},
    "/z-small": {},  # with a max_message of 1000
}
SMALL = 1000
MOST = 128 << 10  # max_message of the others

OFFERS = {
    "nothing": PMD,
    "server_no_context_takeover": f"{PMD}; {SET[0]}",
    "client_no_context_takeover": f"{PMD}; {SET[1]}",
    "both without takeover": f"{PMD}; {SET[0]}; {SET[1]}",
    "client_max_window_bits": f"{PMD}; client_max_window_bits",
    "windows of 9": f"{PMD}; client_max_window_bits=9; server_max_window_bits=9",
    "a server window of 10": f"{PMD}; server_max_window_bits=10",
    "all four": f"{PMD}; {SET[0]}; {SET[1]}; server_max_window_bits=12; client_max_window_bits=11",
}


@lru_cache(maxsize=None)
def words(n, seed=1):
    """Text that compresses about as JSON does, with repeats at all distances."""
    if n < 64:
        return (b"%d, " % seed * n)[:n]  # shorter by compression, as short texts seldom are
    r = random.Random(seed)
    vocabulary = [f'"{r.getrandbits(40):x}": {r.getrandbits(20)}, ' for _ in range(400)]
    out = []
    size = 0
    while size < n:
        out.append(r.choice(vocabulary))
        size += len(out[-1])
    return "".join(out)[:n].encode()


def noise(n):
    """Bytes that do not compress."""
    return random.Random(n).randbytes(n)


def both_ways(opcode, payload, parts=1, bits=Z):
    return [lambda peer: peer.message(opcode, payload, parts), Frame(opcode, payload, bits)]


def case(name, script, path="/z", offer=PMD, agreed=()):
    return Case(f"7692 {name}", script, path=path, offer=offer, agreed=agreed)


def negotiation():
    hi = both_ways(TEXT, words(100))
    for path, agreed in (("/z", SET), ("/z-both", ()), ("/z-server", SET[1:]),
                         ("/z-client", SET[:1])):
        yield case(f"7.1 {path}: what the endpoint does not keep is said", hi, path, agreed=agreed)
    for n in range(9, 16):
        yield case(f"7.1.2.1 server_max_window_bits={n}", hi,
                   offer=f"{PMD}; server_max_window_bits={n}",
                   agreed=[f"server_max_window_bits={n}"])
        yield case(f"7.1.2.2 client_max_window_bits={n}", hi,
                   offer=f"{PMD}; client_max_window_bits={n}")
    yield case("7.1.2.2 client_max_window_bits=8", hi, offer=f"{PMD}; client_max_window_bits=8")
    yield case("7.1.2.1 server_max_window_bits=8 is kept to, or the next offer taken",
               both_ways(BINARY, noise(400) * 2), offer=f"{PMD}; server_max_window_bits=8, {PMD}")
    yield case("7.1.2.1 server_max_window_bits where the endpoint has less", hi, "/z-window",
               f"{PMD}; server_max_window_bits=12", ["server_max_window_bits=9"])
    yield case("7.1.2.2 client_max_window_bits where the endpoint has less", hi, "/z-window",
               f"{PMD}; client_max_window_bits", ["client_max_window_bits=10"])
    yield case("7.1.2.2 client_max_window_bits=12 where the endpoint has less", hi, "/z-window",
               f"{PMD}; client_max_window_bits=12", ["client_max_window_bits=10"])
    for offer in (f"{PMD};server_no_context_takeover", f" {PMD} ;  client_max_window_bits ",
                  f'{PMD}; server_max_window_bits="10"',
                  f"foo, {PMD}", f"{PMD}, foo; bar", f"x-webkit-deflate-frame, {PMD}"):
        yield case(f"7.1 offer {offer!r}", hi, offer=offer)
    yield case("5.1 the first offer that can be accepted", hi,
               offer=f"{PMD}; server_max_window_bits=99, {PMD}; server_max_window_bits=11, {PMD}",
               agreed=["server_max_window_bits=11"])
    yield case("5.1 the first of two good offers", hi,
               offer=f"{PMD}; server_max_window_bits=10, {PMD}; server_max_window_bits=12",
               agreed=["server_max_window_bits=10"])
    for parameter in ("server_max_window_bits", "server_max_window_bits=",
                      "server_max_window_bits=7",
                      "server_max_window_bits=16", "server_max_window_bits=010",
                      "server_max_window_bits=+10", "server_max_window_bits=1e1",
                      "client_max_window_bits=7", "client_max_window_bits=16",
                      "client_max_window_bits=", "client_max_window_bits=08",
                      "server_no_context_takeover=1", "client_no_context_takeover=true", "unknown",
                      "unknown=1", "server_no_context_takeover; server_no_context_takeover",
                      "server_max_window_bits=10; server_max_window_bits=10",
                      "client_max_window_bits; client_max_window_bits=10"):
        yield case(f"7.1 declined: {parameter}", [frame(TEXT, b"hi"), Frame(TEXT, b"hi")],
                   offer=f"{PMD}; {parameter}", agreed=None)
    for offer in ("", "permessage-deflat", "permessage-bzip2", "x-webkit-deflate-frame"):
        yield case(f"7.1 no offer of it: {offer!r}", [frame(TEXT, b"hi"), Frame(TEXT, b"hi")],
                   offer=offer, agreed=None)


def sizes():
    """Each parameter set with each size, whole and in fragments, with and without takeover."""
    for path in ("/z", "/z-both"):
        for what, offer in OFFERS.items():
            for n in SIZES:
                for parts in (1, 3):
                    script = [x for i in range(3) for x in both_ways(TEXT, words(n, i // 2), parts)]
                    yield case(f"6 {path}, {what}: {n} bytes in {parts}", script, path, offer)
    for path in ("/z-server", "/z-client", "/z-window", "/z-little", "/z-hard"):
        for n in SIZES[::2] + SIZES[-1:]:
            yield case(f"6 {path}: {n} bytes of binary",
                       [x for i in range(5) for x in both_ways(BINARY, words(n, i // 2))], path,
                       f"{PMD}; client_max_window_bits")


def windows():
    """Repeats that lie further back than the window: a compressor that looks there is caught."""
    for path in ("/z", "/z-both"):
        for n in range(9, 16):
            far = noise((1 << n) - 300)
            yield case(f"7.1.2.1 {path}: repeats at the edge of a window of {n} bits",
                       both_ways(BINARY, far + words(600) + far + words(600), bits=Z) * 2, path,
                       f"{PMD}; server_max_window_bits={n}; client_max_window_bits={n}")


def mixed():
    """Compressed and plain messages, control frames, many at once."""
    text = words(2000)
    for path in ("/z", "/z-both"):
        yield case(f"6 {path}: plain messages between compressed ones",
                   [*both_ways(TEXT, text), frame(TEXT, text), Frame(TEXT, text, Z),
                    *both_ways(TEXT, text)], path)
        yield case(f"6.1 {path}: control frames between the fragments",
                   [lambda peer, t=text:
                    frame(PING, b"p").join(by_frames(peer.message(TEXT, t, 4))),
                    *[Frame(PONG, b"p")] * 3, Frame(TEXT, text, Z)], path)
        yield case(f"6.2 {path}: byte by byte",
                   [*byte_by_byte(b"Hello" * 6), Frame(TEXT, b"Hello" * 6, Z)], path)
        yield case(f"6 {path}: a hundred messages in one read",
                   [lambda peer: b"".join(peer.message(TEXT, words(200, i)) for i in range(100)),
                    *(Frame(TEXT, words(200, i), Z) for i in range(100))], path)
        yield case(f"6.1 {path}: fragments of one byte",
                   both_ways(TEXT, words(300), 10000), path)
        yield case(f"6.1 {path}: a close behind a compressed message in the same read",
                   [lambda peer, t=text: peer.message(TEXT, t) + close(1001), Frame(TEXT, text, Z),
                    *closed(1001)], path)
        yield case(f"6 {path}: all lengths of UTF-8",
                   both_ways(TEXT, "aß\N{SNOWMAN}\N{GRINNING FACE}".encode() * 500, 7), path)
    yield case("6 what does not compress comes back, 60000 bytes",
               [lambda peer: peer.message(BINARY, noise(60000)), any_bits(BINARY, noise(60000))])
    for n, bits in ((1023, 8), (1024, Z), (0, 8)):
        yield case(f"7.2.1 {n} bytes where the threshold is 1024",
                   both_ways(TEXT, words(n), bits=bits), "/z-threshold")


def by_frames(data):
    """The frames of a message apart; all are shorter than 64 KiB."""
    while data:
        n = data[1] & 0x7f
        size = 6 + n if n < 126 else 8 + int.from_bytes(data[2:4], "big")
        yield data[:size]
        data = data[size:]


def byte_by_byte(payload):
    """Chunks of one byte; how many there are is known when it is compressed, so some are empty."""
    data = []

    def chunk(peer, i):
        if i == 0:
            data[:] = pieces(peer.message(TEXT, payload))
        return data[i] if i < len(data) else b""
    return [lambda peer, i=i: chunk(peer, i) for i in range(len(payload) + 20)]


class any_bits(Frame):
    """A frame that may be compressed or not."""

    def __init__(self, opcode, payload):
        super().__init__(opcode, payload)

    def __eq__(self, other):
        return isinstance(other, Frame) and (self.opcode, self.payload) == \
            (other.opcode, other.payload) and other.bits in (8, Z)


# RFC 7692 7.2.3, and empty messages: the bytes of a message, and what they stand for.
EXAMPLES = {
    "7.2.3.1 one block": ("f248cdc9c90700", b"Hello"),
    "7.2.3.3 no compression": ("000500faff48656c6c6f00", b"Hello"),
    "7.2.3.4 a final block": ("f348cdc9c9070000", b"Hello"),
    "7.2.3.5 two blocks": ("f248050000 00ffffcac9c90700", b"Hello"),
    "7.2.3.6 an empty message": ("00", b""),
    "7.2.3.6 an empty message, a fixed block": ("0200", b""),
}


def examples():
    for what, (data, payload) in EXAMPLES.items():
        data = bytes.fromhex(data)
        for parts in {1, len(data)}:
            yield case(f"{what}, in {parts}",
                       [compressed(TEXT, data, parts), any_bits(TEXT, payload)])
    yield case("7.2.3.2 a message that refers to the one before",
               [compressed(TEXT, bytes.fromhex("f248cdc9c90700")), any_bits(TEXT, b"Hello"),
                compressed(TEXT, bytes.fromhex("f200110000")), any_bits(TEXT, b"Hello")],
               "/z-client")
    for level in range(10):
        data = words(5000)
        c = zlib.compressobj(level, zlib.DEFLATED, -15, 9 - level % 9, level % 5)
        packed = (c.compress(data) + c.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")
        yield case(f"7.2.2 made with level {level}, strategy {level % 5}",
                   [compressed(TEXT, packed, 2), Frame(TEXT, data, Z)])


def reserved_bits():
    """RSV1 is for the first frame of a message, and the other bits are for nobody."""
    for opcode in CONTROL:
        yield case(f"6 rsv1 on {OPCODES[opcode]}, first byte alone",
                   [frame(opcode, rsv=4)[:1], *PROTOCOL_ERROR])
    yield case("6.1 rsv1 on the continuation of a compressed message, first byte alone",
               [compressed(TEXT, b"\xf2\x48", fin=False), frame(CONT, rsv=4)[:1], *PROTOCOL_ERROR])
    yield case("6.1 rsv1 on the continuation of a plain message, first byte alone",
               [frame(TEXT, b"a", fin=False), frame(CONT, rsv=4)[:1], *PROTOCOL_ERROR])
    for rsv in (1, 2, 3, 5, 6, 7):
        yield case(f"6 rsv {rsv:03b} on text, first byte alone",
                   [frame(TEXT, rsv=rsv)[:1], *PROTOCOL_ERROR])
    for opcode in (CONT, 3, 11):
        yield case(f"6 rsv1 on opcode {opcode} outside of a message, first byte alone",
                   [frame(opcode, rsv=4)[:1], *PROTOCOL_ERROR])
    yield case("6 rsv1 on ping behind a compressed message in the same read",
               [lambda peer: peer.message(TEXT, words(500)) + frame(PING, rsv=4),
                Frame(TEXT, words(500), Z), *PROTOCOL_ERROR])
    yield case("5.1 no mask on a compressed frame",
               [frame(TEXT, b"\0", rsv=4, mask=False)[:2], *fails(1002, "not-masked")])


BROKEN = {
    "a block of type 3": b"\x07",
    "a stored block with a wrong complement": b"\x00\x05\x00\x00\x00Hello\x00",
    "a distance beyond what there is": bytes.fromhex("f200110000"),
    "too many codes": b"\xfc" + b"\xff" * 20,
    "ff alone": b"\xff" * 8,
    "noise": bytes.fromhex("ed bd 0d 5a 77 13 3f 9e 9e 9e"),
}


def broken():
    """Not DEFLATE."""
    wrong = fails(1007, "bad-deflate")
    for what, data in BROKEN.items():
        for opcode in (TEXT, BINARY):
            yield case(f"7.2.2 {what}, {OPCODES[opcode]}", [compressed(opcode, data), *wrong])
        yield case(f"7.2.2 {what}, in fragments of one byte",
                   [compressed(TEXT, data, len(data)), *wrong])
    cut = b"\x00\x64\x00\x9b\xffH"
    yield case("7.2.2 a stored block that is cut, binary", [compressed(BINARY, cut), *wrong])
    yield case("7.2.2 a stored block that is cut, text: 00 00 ff ff becomes part of it",
               [compressed(TEXT, cut), *BAD_UTF8])
    yield case("7.2.2 a broken message behind a good one in the same read",
               [lambda peer: peer.message(TEXT, words(500)) + compressed(TEXT, b"\x07"),
                Frame(TEXT, words(500), Z), *wrong])
    yield case("7.2.2 broken in the middle of a long one",
               [lambda peer: compressed(TEXT, peer.deflate(words(60000))[:9000] + b"\xff" * 1000),
                *wrong])
    yield case("7.1.1.2 a message that refers to the one before, where nothing is kept",
               [compressed(TEXT, bytes.fromhex("f248cdc9c90700")), any_bits(TEXT, b"Hello"),
                compressed(TEXT, bytes.fromhex("f200110000")), *wrong])
    yield case("7.2.2 broken in the first fragment, nothing behind it",
               [compressed(TEXT, b"\x07", fin=False), *wrong])


def bad_utf8():
    for what, text in (("ff", b"\xff"), ("surrogate", b"ok\xed\xa0\x80ok"), ("cut", b"ok\xf0\x9f"),
                       ("at the end of 60000", b"a" * 60000 + b"\xff")):
        yield case(f"8.1 {what} in a compressed message",
                   [lambda peer, t=text: peer.message(TEXT, t), *BAD_UTF8])
        yield case(f"8.1 {what} in a compressed message in fragments",
                   [lambda peer, t=text: peer.message(TEXT, t, 3), *BAD_UTF8])
        yield case(f"5.6 {what} in a compressed binary message",
                   [lambda peer, t=text: peer.message(BINARY, t), any_bits(BINARY, text)])
    yield case("8.1 ff in the first fragment of a compressed message, nothing behind it",
               [lambda peer: compressed(TEXT, peer.deflate(b"ok\xff") + b"\0\0\xff\xff", fin=False),
                *BAD_UTF8])


def bombs():
    def zeros(n, **kw):
        return lambda peer: compressed(BINARY, peer.deflate(bytes(n)), **kw)
    yield case(f"10.4 {SMALL} bytes inflated, where {SMALL} may be",
               [zeros(SMALL), Frame(BINARY, bytes(SMALL), Z)], "/z-small")
    yield case("10.4 again and again as much as may be",
               [zeros(SMALL), Frame(BINARY, bytes(SMALL), Z)] * 10, "/z-small")
    for n in (SMALL + 1, 2 * SMALL, 1 << 16, 900 << 10):
        yield case(f"10.4 {n} bytes inflated, where {SMALL} may be",
                   [zeros(n), *TOO_BIG], "/z-small")
        yield case(f"10.4 {n} bytes inflated, in fragments, where {SMALL} may be",
                   [zeros(n, parts=3), *TOO_BIG], "/z-small")
    yield case("10.4 a bomb of 100 MiB where 128 KiB may be", [zeros(100 << 20), *TOO_BIG])
    yield case("10.4 a bomb behind a good message in the same read",
               [lambda peer: peer.message(TEXT, words(500)) + zeros(1 << 20)(peer),
                Frame(TEXT, words(500), Z), *TOO_BIG])
    for n in (2 * MOST, 1 << 32, (1 << 63) - 1):
        yield case(f"10.4 {n} bytes on the wire where {MOST} may be, known before the key",
                   [frame(BINARY, length=n, rsv=4)[:-4], *TOO_BIG])
    yield case(f"10.4 {MOST} bytes that got longer by it, where so many may be",
               [lambda peer: peer.message(BINARY, noise(MOST)), any_bits(BINARY, noise(MOST))])
    yield case(f"10.4 {MOST + 1} bytes that got longer by it, where {MOST} may be",
               [lambda peer: peer.message(BINARY, noise(MOST + 1)), *TOO_BIG])
    yield case("10.4 a bomb in the first fragment, nothing behind it",
               [zeros(1 << 16, fin=False), *TOO_BIG], "/z-small")


def cases():
    for table in (negotiation, sizes, windows, mixed, examples, reserved_bits, broken, bad_utf8,
                  bombs):
        yield from table()
