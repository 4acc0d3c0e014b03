"""RFC 6455 5.2, 5.3, 5.5: headers, masks, reserved bits and opcodes, pings and pongs."""

from cases import (CONTROL, DATA, NOT_MASKED, OPCODES, PROTOCOL_ERROR, Case, Frame, fragments,
                   odd_frame, pieces)
from raw import BINARY, CONT, PING, PONG, TEXT, frame

BYTES = bytes(range(256))
KINDS = {"text": TEXT, "binary": BINARY}


def body(opcode, n):
    """n bytes that are ASCII for text, anything for binary; of period 251, a prime."""
    unit = bytes(range(33, 127)) if opcode == TEXT else BYTES[:251]
    return (unit * (n // len(unit) + 1))[:n]


def lengths():
    """Each encoding of the length, at its edges."""
    for kind, opcode in KINDS.items():
        for n in (0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537):
            yield Case(f"5.2 {kind} of {n} bytes",
                       [frame(opcode, body(opcode, n)), Frame(opcode, body(opcode, n))])
    for n in (0, 5, 125, 126, 65536):
        whole = frame(BINARY, body(BINARY, n))
        head = len(whole) - n
        yield Case(f"5.2 header byte by byte, binary of {n} bytes",
                   [*pieces(whole[:head]), whole[head:], Frame(BINARY, body(BINARY, n))])
    for n in (1, 17, 126):
        yield Case(f"5.2 frame byte by byte, text of {n} bytes",
                   [*pieces(frame(TEXT, body(TEXT, n))), Frame(TEXT, body(TEXT, n))])
    whole = frame(TEXT, b"a") + frame(BINARY, BYTES) + frame(PING, b"b")
    for size in (2, 3, 5, 7, 64):
        yield Case(f"5.2 three frames in reads of {size} bytes",
                   [*pieces(whole, size), Frame(TEXT, b"a"), Frame(BINARY, BYTES),
                    Frame(PONG, b"b")])


def other_lengths():
    """Lengths that are not in the shortest form, or have the highest bit: known without a key."""
    for opcode in DATA:
        for form, values in ((16, (0, 1, 125)), (64, (0, 125, 126, 65535))):
            for n in values:
                yield Case(f"5.2 length {n} in {form} bits, {OPCODES[opcode]}",
                           [odd_frame(0x80 | opcode, n, form)[:2 + form // 8], *PROTOCOL_ERROR])
    yield Case("5.2 length 5 in 16 bits, behind a message in the same read",
               [frame(TEXT, b"a") + odd_frame(0x81, 5, 16, b"hello"), Frame(TEXT, b"a"),
                *PROTOCOL_ERROR])
    yield Case("5.2 length 5 in 64 bits, in a continuation",
               [frame(TEXT, b"a", fin=False), odd_frame(0x80, 5, 64)[:10], *PROTOCOL_ERROR])
    for length in (1 << 63, (1 << 64) - 1):
        yield Case(f"5.2 length {length:#x}, known by its first byte",
                   [odd_frame(0x82, length, 64)[:3], *PROTOCOL_ERROR])


def masks():
    for key in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\0\0\0", b"\0\0\0\x80", b"\x37\xfa\x21\x3d"):
        yield Case(f"5.3 key {key.hex()}",
                   [odd_frame(0x81, 11, 0, b"hello world", key), Frame(TEXT, b"hello world")])
    for size in (1, 2, 3, 5, 7, 8, 9, 15, 17, 31, 33, 63, 65, 127, 129, 255):
        yield Case(f"5.3 the phase of the key, payload in reads of {size} bytes",
                   [*pieces(frame(BINARY, BYTES), size), Frame(BINARY, BYTES)])
    for n in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 191, 257):
        yield Case(f"5.3 the end of the payload, {n} bytes",
                   [frame(BINARY, body(BINARY, n)), Frame(BINARY, body(BINARY, n))])
    yield Case("5.3 a key of its own for each fragment",
               [b"".join(fragments(BINARY, [BYTES[:3], BYTES[3:10], BYTES[10:]])),
                Frame(BINARY, BYTES)])


def unmasked():
    """A bare header is enough."""
    for opcode in DATA + CONTROL:
        for n in (0, 5):
            yield Case(f"5.1 no mask on {OPCODES[opcode]} of {n} bytes, header alone",
                       [frame(opcode, b"x" * n, mask=False)[:2], *NOT_MASKED])
    yield Case("5.1 no mask on continuation, header alone",
               [frame(TEXT, b"a", fin=False), frame(CONT, b"b", mask=False)[:2], *NOT_MASKED])
    yield Case("5.1 no mask behind a message and a ping in the same read",
               [frame(TEXT, b"a") + frame(PING, b"p") + frame(TEXT, b"b", mask=False),
                Frame(TEXT, b"a"), Frame(PONG, b"p"), *NOT_MASKED])
    for n in (126, 65536):
        yield Case(f"5.1 no mask, {n} bytes, known by the second byte",
                   [frame(BINARY, b"x" * n, mask=False)[:2], *NOT_MASKED])


def reserved_bits():
    """Without an extension each of the three bits is wrong, and the first byte shows it."""
    for opcode in DATA + CONTROL:
        for rsv in range(1, 8):
            yield Case(f"5.2 rsv {rsv:03b} on {OPCODES[opcode]}, first byte alone",
                       [frame(opcode, rsv=rsv)[:1], *PROTOCOL_ERROR])
    for rsv in range(1, 8):
        yield Case(f"5.2 rsv {rsv:03b} on continuation, first byte alone",
                   [frame(TEXT, b"a", fin=False), frame(CONT, rsv=rsv)[:1], *PROTOCOL_ERROR])
        yield Case(f"5.2 rsv {rsv:03b} behind a message and a ping in the same read",
                   [frame(TEXT, b"a") + frame(PING, b"p") + frame(TEXT, b"x", rsv=rsv),
                    Frame(TEXT, b"a"), Frame(PONG, b"p"), *PROTOCOL_ERROR])


def reserved_opcodes():
    for opcode in (*range(3, 8), *range(11, 16)):
        for fin in (True, False):
            yield Case(f"5.2 opcode {opcode}, fin {fin:d}, first byte alone",
                       [frame(opcode, fin=fin)[:1], *PROTOCOL_ERROR])
        yield Case(f"5.2 opcode {opcode} behind a message in the same read",
                   [frame(TEXT, b"a") + frame(opcode, b"x"), Frame(TEXT, b"a"), *PROTOCOL_ERROR])
        yield Case(f"5.2 opcode {opcode} between fragments",
                   [frame(TEXT, b"a", fin=False), frame(opcode)[:1], *PROTOCOL_ERROR])


def pings():
    for payload in (b"", b"x", b"\0", b"\xff" * 2, BYTES[-124:], BYTES[:125]):
        ping = frame(PING, payload)
        yield Case(f"5.5.2 ping of {len(payload)} bytes, {payload[:2].hex() or 'none'}",
                   [ping, Frame(PONG, payload)])
        yield Case(f"5.5.2 ping of {len(payload)} bytes, {payload[:2].hex() or 'none'}, "
                   "byte by byte", [*pieces(ping), Frame(PONG, payload)])
        yield Case(f"5.5.3 unsolicited pong of {len(payload)} bytes, {payload[:2].hex() or 'none'}",
                   [frame(PONG, payload), frame(TEXT, b"a"), Frame(TEXT, b"a")])
    for n in (10, 1000):
        yield Case(f"5.5.2 {n} pings in one read, answered in order",
                   [b"".join(frame(PING, b"%d" % i) for i in range(n)),
                    *(Frame(PONG, b"%d" % i) for i in range(n))])
    yield Case("5.5.2 pings and messages answered in their order",
               [b"".join(frame(PING if i % 2 else TEXT, b"%d" % i) for i in range(20)),
                *(Frame(PONG if i % 2 else TEXT, b"%d" % i) for i in range(20))])
    yield Case("5.5.3 pongs, then a ping", [frame(PONG, b"a") * 10 + frame(PING, b"b"),
                                            Frame(PONG, b"b")])


def control_headers():
    for opcode in CONTROL:
        name = OPCODES[opcode]
        yield Case(f"5.5 {name} without fin, first byte alone",
                   [frame(opcode, fin=False)[:1], *PROTOCOL_ERROR])
        for n in (126, 65536):
            yield Case(f"5.5 {name} of {n} bytes, known by the second byte",
                       [frame(opcode, length=n)[:2], *PROTOCOL_ERROR])
        yield Case(f"5.5 {name} of 126 bytes between fragments",
                   [frame(TEXT, b"a", fin=False) + frame(opcode, b"x" * 126), *PROTOCOL_ERROR])
    for opcode in (PING, PONG):
        yield Case(f"5.5 {OPCODES[opcode]} without fin behind a message in the same read",
                   [frame(TEXT, b"a") + frame(opcode, b"x", fin=False) + frame(CONT, b"y"),
                    Frame(TEXT, b"a"), *PROTOCOL_ERROR])


def runs():
    for n in (100, 2000):
        yield Case(f"5.2 {n} messages in one read, answered in order",
                   [b"".join(frame(TEXT, b"%d" % i) for i in range(n)),
                    *(Frame(TEXT, b"%d" % i) for i in range(n))])
    yield Case("5.2 what is behind a wrong frame is not answered",
               [frame(3) + frame(TEXT, b"a") + frame(PING), *PROTOCOL_ERROR])
    yield Case("5.2 a wrong frame, then much more",
               [frame(3) + frame(TEXT, b"a") * 20000, *PROTOCOL_ERROR])
    yield Case("5.2 the TLS record of a client that expects TLS",
               [bytes.fromhex("160301"), *PROTOCOL_ERROR])


def cases():
    for table in (lengths, other_lengths, masks, unmasked, reserved_bits, reserved_opcodes, pings,
                  control_headers, runs):
        yield from table()
