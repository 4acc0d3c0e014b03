"""RFC 6455 10.4: max_message to the byte, and large messages in pieces of each size."""

from cases import DATA, OPCODES, TOO_BIG, Case, Chop, Frame, fragments, pieces
from framing import body
from raw import BINARY, CONT, PING, PONG, TEXT, frame

SMALL = 1000  # max_message of /small
MIB = 1 << 20
LARGE = 16 * MIB  # of /large


def to_the_byte():
    for opcode in DATA:
        name = OPCODES[opcode]
        for n in (0, SMALL - 1, SMALL):
            yield Case(f"10.4 {name} of {n} bytes where {SMALL} may be",
                       [frame(opcode, body(opcode, n)), Frame(opcode, body(opcode, n))],
                       path="/small")
        yield Case(f"10.4 {name}, again and again as much as may be",
                   [frame(opcode, body(opcode, SMALL)) * 20,
                    *[Frame(opcode, body(opcode, SMALL))] * 20], path="/small")
        for n in (SMALL + 1, 65535, 65536, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 5,
                  (1 << 63) - 1):
            head = frame(opcode, length=n)[:-4]
            yield Case(f"10.4 {name} of {n} bytes, known before the key", [head, *TOO_BIG],
                       path="/small")
        yield Case(f"10.4 {name} too long behind a message in the same read",
                   [frame(opcode, b"a") + frame(opcode, b"x" * (SMALL + 1)), Frame(opcode, b"a"),
                    *TOO_BIG], path="/small")
    for n in (1, 2):
        yield Case(f"10.4 {n} bytes where 1 may be",
                   [frame(BINARY, b"x" * n), *([Frame(BINARY, b"x")] if n == 1 else TOO_BIG)],
                   path="/one")


def in_fragments():
    x = b"x" * SMALL
    for sizes in ((500, 500), (SMALL, 0), (0, SMALL), (SMALL, 0, 0), (1, 998, 1)):
        yield Case(f"10.4 fragments of {'+'.join(map(str, sizes))} where {SMALL} may be",
                   [b"".join(fragments(TEXT, [x[:n] for n in sizes])), Frame(TEXT, x)],
                   path="/small")
    for first, then in ((500, 501), (SMALL, 1), (999, 2), (1, SMALL), (1, (1 << 63) - 1)):
        yield Case(f"10.4 a fragment of {first}, then {then}, known before the key",
                   [frame(TEXT, x[:first], fin=False), frame(CONT, length=then)[:-4], *TOO_BIG],
                   path="/small")
    yield Case("10.4 a thousand fragments of one byte, then one more",
               [b"".join(fragments(BINARY, pieces(x), fin=False)), frame(CONT, length=1)[:2],
                *TOO_BIG], path="/small")
    yield Case("10.4 pings between do not count",
               [frame(BINARY, x[:500], fin=False) + frame(PING, x[:125]) * 8
                + frame(CONT, x[:500]), *[Frame(PONG, x[:125])] * 8, Frame(BINARY, x)],
               path="/small")
    yield Case("10.4 a ping may be longer than a message where 1 byte may be",
               [frame(PING, x[:125]), Frame(PONG, x[:125])], path="/one")


def large():
    for opcode in DATA:
        for n in (64 << 10, 256 << 10, MIB, 4 * MIB, LARGE):
            data = body(opcode, n)
            yield Case(f"10.4 {OPCODES[opcode]} of {n >> 10} KiB, whole",
                       [frame(opcode, data), Frame(opcode, data)], path="/large")
    data = body(BINARY, LARGE)
    for size in (4096, 65536, MIB + 3):
        yield Case(f"10.4 binary of 16384 KiB in pieces of {size}",
                   [Chop(frame(BINARY, data), size), Frame(BINARY, data)], path="/large")
    data = ("aß\N{SNOWMAN}\N{GRINNING FACE}" * (4 * MIB // 10)).encode()
    for size in (1000, 4097, 100001):
        yield Case(f"10.4 text of all lengths, 4 MiB in pieces of {size}",
                   [Chop(frame(TEXT, data), size), Frame(TEXT, data)], path="/large")
    for opcode in DATA:
        data = body(opcode, MIB)
        for size in (64, 128, 512, 1024, 2048):
            yield Case(f"10.4 {OPCODES[opcode]} of 1024 KiB in pieces of {size}",
                       [Chop(frame(opcode, data), size), Frame(opcode, data)], path="/large")
        data = body(opcode, 4 * MIB)
        for size in (1 << 10, 16 << 10, 256 << 10, MIB):
            yield Case(f"10.4 {OPCODES[opcode]} of 4096 KiB in fragments of {size >> 10} KiB",
                       [b"".join(fragments(opcode, pieces(data, size))), Frame(opcode, data)],
                       path="/large")
    yield Case("10.4 one byte more than 16384 KiB, known before the key",
               [frame(BINARY, length=LARGE + 1)[:-4], *TOO_BIG], path="/large")


def cases():
    for table in (to_the_byte, in_fragments, large):
        yield from table()
