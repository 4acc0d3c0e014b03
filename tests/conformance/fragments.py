"""RFC 6455 5.4: a message in fragments, cut in every way, with control frames between."""

from itertools import combinations

from cases import (DATA, OPCODES, PROTOCOL_ERROR, Case, Chop, Frame, closed, fragments, pieces)
from raw import BINARY, CONT, PING, PONG, TEXT, close, frame

WORD = b"Hello"


def splits(data):
    """Every way to cut data into parts that are not empty."""
    inner = range(1, len(data))
    for count in range(len(data)):
        for cuts in combinations(inner, count):
            at = [0, *cuts, len(data)]
            yield [data[a:b] for a, b in zip(at, at[1:])]


def every_split():
    """As one read, with a read for each frame and a ping between, and byte by byte."""
    for parts in splits(WORD):
        name = "+".join(str(len(p)) for p in parts)
        frames = fragments(TEXT, parts)
        yield Case(f"5.4 {name} in one read", [b"".join(frames), Frame(TEXT, WORD)])
        yield Case(f"5.4 {name} byte by byte", [*pieces(b"".join(frames)), Frame(TEXT, WORD)])
        if len(parts) > 1:
            pinged = [x for f in frames[:-1] for x in (f, frame(PING, b"p"), Frame(PONG, b"p"))]
            yield Case(f"5.4 {name} with a ping answered after each",
                       [*pinged, frames[-1], Frame(TEXT, WORD)])


def empty_parts():
    for opcode in DATA:
        name = OPCODES[opcode]
        for parts in ([b""] * 2, [b""] * 3, [b"", b"a"], [b"a", b""], [b"", b"a", b""],
                      [b"a", b"", b"b"], [b""] * 5000):
            shape = "+".join(str(len(p)) for p in parts[:3]) + ("+..." if len(parts) > 3 else "")
            yield Case(f"5.4 {name} with empty fragments, {shape}",
                       [b"".join(fragments(opcode, parts)), Frame(opcode, b"".join(parts))])


def many():
    """Long messages in fragments of each size."""
    data = bytes(range(33, 127)) * 700
    for opcode in DATA:
        for size in (1, 16, 125, 126, 1000, 4096, 32768, 65535):
            frames = b"".join(fragments(opcode, pieces(data, size)))
            yield Case(f"5.4 {OPCODES[opcode]} of {len(data)} bytes in fragments of {size}",
                       [frames, Frame(opcode, data)])
    frames = b"".join(fragments(BINARY, pieces(data, 1000)))
    for size in (100, 1004, 1008, 5000):
        yield Case(f"5.4 fragments of 1000 in pieces of {size}",
                   [Chop(frames, size), Frame(BINARY, data)])


def control_between():
    a, b = fragments(TEXT, [b"He", b"llo"])
    for n in (0, 1, 125):
        payload = b"p" * n
        yield Case(f"5.4 ping of {n} bytes between, in one read",
                   [a + frame(PING, payload) + b, Frame(PONG, payload), Frame(TEXT, WORD)])
        yield Case(f"5.4 pong of {n} bytes between, in one read",
                   [a + frame(PONG, payload) + b, Frame(TEXT, WORD)])
        yield Case(f"5.4 ping of {n} bytes between, byte by byte",
                   [*pieces(a + frame(PING, payload)), Frame(PONG, payload), b, Frame(TEXT, WORD)])
    yield Case("5.4 a hundred pings between",
               [a + b"".join(frame(PING, b"%d" % i) for i in range(100)) + b,
                *(Frame(PONG, b"%d" % i) for i in range(100)), Frame(TEXT, WORD)])
    yield Case("5.4 close between", [a + close(1000) + b, *closed(1000)])
    yield Case("5.4 a message, one in fragments, a message",
               [frame(TEXT, b"1") + a + b + frame(BINARY, b"3"), Frame(TEXT, b"1"),
                Frame(TEXT, WORD), Frame(BINARY, b"3")])


def wrong_order():
    """The first byte shows that a frame cannot follow."""
    for fin in (True, False):
        lone = frame(CONT, b"x", fin=fin)
        yield Case(f"5.4 continuation of nothing, fin {fin:d}, first byte alone",
                   [lone[:1], *PROTOCOL_ERROR])
        yield Case(f"5.4 continuation, fin {fin:d}, behind a whole message in the same read",
                   [frame(TEXT, b"a") + lone, Frame(TEXT, b"a"), *PROTOCOL_ERROR])
        yield Case(f"5.4 continuation, fin {fin:d}, behind a message in fragments",
                   [b"".join(fragments(TEXT, [b"a", b"b"])), Frame(TEXT, b"ab"), lone[:1],
                    *PROTOCOL_ERROR])
        yield Case(f"5.4 continuation, fin {fin:d}, behind a ping",
                   [frame(PING, b"p"), Frame(PONG, b"p"), lone[:1], *PROTOCOL_ERROR])
        for first in DATA:
            for second in DATA:
                yield Case(f"5.4 {OPCODES[second]}, fin {fin:d}, within {OPCODES[first]}, "
                           "first byte alone",
                           [frame(first, b"a", fin=False), frame(second, b"b", fin=fin)[:1],
                            *PROTOCOL_ERROR])
    yield Case("5.4 text within a message behind a ping in the same read",
               [frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(TEXT, b"b"),
                Frame(PONG, b"p"), *PROTOCOL_ERROR])


def cases():
    for table in (every_split, empty_parts, many, control_between, wrong_order):
        yield from table()
