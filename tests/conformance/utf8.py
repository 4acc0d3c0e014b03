"""RFC 6455 8.1 and RFC 3629: text is UTF-8, and what cannot become it fails at once.

The classes are those of the usual stress tests of UTF-8 decoders. Where a sequence goes wrong
is worked out byte by byte with Python's own decoder.
"""

import codecs

from cases import BAD_UTF8, Case, Chop, Frame, closed, fragments, pieces
from raw import BINARY, CONT, PING, PONG, TEXT, close, frame

# (what, bytes)
VALID = [
    ("Greek", "κόσμε".encode()),
    ("mixed lengths", "aß\N{SNOWMAN}\N{GRINNING FACE}z".encode()),
    *((f"U+{c:04X}", chr(c).encode()) for c in (
        # the first and last of each length, and their neighbours
        0x0, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xcfff, 0xd000, 0xd7ff, 0xe000, 0xfffd,
        0xffff, 0x10000, 0x3ffff, 0x40000, 0xfffff, 0x100000, 0x10ffff,
        # characters that are none, which is no matter of the encoding
        0xfdd0, 0xfdef, 0xfffe, 0x1fffe, 0x1ffff, 0xfffff - 1, 0x10fffe,
        # a mark of byte order, a combining one, a private one
        0xfeff, 0x301, 0xe001)),
]


def overlong(c, length):
    """A code point in more bytes than it needs."""
    lead = {2: 0xc0, 3: 0xe0, 4: 0xf0, 5: 0xf8, 6: 0xfc}[length]
    shifts = range(6 * (length - 1), -1, -6)
    return bytes((lead if i == 0 else 0x80) | (c >> s & (0x3f if i else 0xff))
                 for i, s in enumerate(shifts))


def raw_code(c):
    """A code point by the pattern of bits alone, as for surrogates and beyond U+10FFFF."""
    return overlong(c, 2 if c < 0x800 else 3 if c < 0x10000 else 4 if c < 0x200000 else
                    5 if c < 0x4000000 else 6)


# Wrong wherever they stand, and known before the message ends.
INVALID = [
    *((f"lone continuation {n} x {b:02x}", bytes([b]) * n)
      for b, n in ((0x80, 1), (0xbf, 1), (0x9f, 1), (0xa0, 1), (0x80, 2), (0xbf, 7))),
    *((f"impossible byte {b:02x}", bytes([b]))
      for b in (0xc0, 0xc1, *range(0xf5, 0x100))),
    *((f"lead {b:02x} and a space", bytes([b]) + b" ")
      for b in (0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4)),
    *((f"{data.hex()} and a letter", data + b"a")
      for data in (b"\xe0\xa0", b"\xef\xbf", b"\xf0\x90", b"\xf0\x90\x80", b"\xf4\x8f\xbf")),
    *((f"{data.hex()} and another lead", data + b"\xc3\xa4")
      for data in (b"\xc3", b"\xe2\x98", b"\xf0\x9f\x98")),
    *((f"overlong U+{c:04X} in {n}", overlong(c, n))
      for c, n in ((0x2f, 2), (0x2f, 3), (0x2f, 4), (0x2f, 5), (0x2f, 6), (0, 2), (0, 3), (0, 4),
                   (0x7f, 2), (0x7ff, 3), (0xffff, 4), (0x1fffff, 5), (0x3ffffff, 6))),
    *((f"surrogate U+{c:04X}", raw_code(c))
      for c in (0xd800, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80, 0xdfff)),
    *((f"surrogates U+{a:04X} U+{b:04X}", raw_code(a) + raw_code(b))
      for a, b in ((0xd800, 0xdc00), (0xdb7f, 0xdfff), (0xdbff, 0xdfff))),
    *((f"beyond, U+{c:X}", raw_code(c))
      for c in (0x110000, 0x13ffff, 0x140000, 0x1fffff, 0x200000, 0x3ffffff, 0x4000000,
                0x7fffffff)),
    ("a good character, then cut and good", "ß".encode() + b"\xce" + "ß".encode()),
    ("Latin-1", "grüß".encode("latin-1")),
    ("UTF-16 with a mark of byte order", "\ufeffa".encode("utf-16-le")),
]

# Good beginnings that the end of the message cuts.
CUT = [data[:n] for data in ("ß".encode(), "ࠀ".encode(), "\ud7ff".encode(), "\uffff".encode(),
                             "\U00010000".encode(), "\U0010ffff".encode())
       for n in range(1, len(data))]


def wrong_at(data):
    """How many bytes it takes to see that data is not the beginning of UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    for i, b in enumerate(data):
        try:
            decoder.decode(bytes([b]))
        except UnicodeDecodeError:
            return i + 1
    raise AssertionError(f"{data!r} may become UTF-8")


def valid():
    for what, data in VALID:
        yield Case(f"8.1 {what}, whole", [frame(TEXT, data), Frame(TEXT, data)])
        if len(data) == 1:
            continue
        yield Case(f"8.1 {what}, a read for each byte",
                   [*pieces(frame(TEXT, data)), Frame(TEXT, data)])
        yield Case(f"8.1 {what}, a fragment for each byte",
                   [b"".join(fragments(TEXT, pieces(data))), Frame(TEXT, data)])
        for at in range(1, len(data)) if len(data) < 5 else ():
            yield Case(f"8.1 {what}, cut at {at} with a ping between",
                       [frame(TEXT, data[:at], fin=False) + frame(PING, b"p"), Frame(PONG, b"p"),
                        frame(CONT, data[at:]), Frame(TEXT, data)])


def invalid():
    """Sent up to the byte that is wrong, of a frame or a message that would go on."""
    for what, data in INVALID:
        n = wrong_at(data)
        begun = frame(TEXT, b"ok" + data + b"x" * 100)
        yield Case(f"8.1 {what}, whole", [frame(TEXT, data), *BAD_UTF8])
        yield Case(f"8.1 {what}, up to the wrong byte", [begun[:6 + 2 + n], *BAD_UTF8])
        yield Case(f"8.1 {what}, up to the wrong byte, a read for each",
                   [*pieces(begun[:6 + 2 + n]), *BAD_UTF8])
        yield Case(f"8.1 {what}, up to the wrong byte, a fragment for each",
                   [b"".join(fragments(TEXT, pieces(b"ok" + data[:n]), fin=False)), *BAD_UTF8])


def cut():
    for data in CUT:
        yield Case(f"8.1 {data.hex()} at the end of a frame", [frame(TEXT, data), *BAD_UTF8])
        yield Case(f"8.1 {data.hex()} at the end of the last fragment",
                   [frame(TEXT, b"a", fin=False) + frame(CONT, data), *BAD_UTF8])
        yield Case(f"8.1 {data.hex()} and an empty last fragment",
                   [frame(TEXT, data, fin=False) + frame(PING), Frame(PONG), frame(CONT),
                    *BAD_UTF8])
        yield Case(f"8.1 {data.hex()} at the end, behind a message in the same read",
                   [frame(TEXT, b"a") + frame(TEXT, data), Frame(TEXT, b"a"), *BAD_UTF8])


def places():
    """The same at each place of the blocks in which a fast validator works."""
    face = "\N{GRINNING FACE}".encode()
    for at in (*range(12, 17), *range(28, 33), *range(60, 65), *range(124, 129)):
        data = b"a" * at + face + b"z" * 140
        yield Case(f"8.1 four bytes at {at}", [frame(TEXT, data), Frame(TEXT, data)])
    for at in (0, 1, 7, 8, 14, 15, 16, 31, 32, 62, 63, 64, 127, 128, 255):
        for what, bad in (("ff", b"\xff"), ("80", b"\x80"), ("surrogate", b"\xed\xa0\x80"),
                          ("cut lead", b"\xf0\x9f")):
            data = b"a" * at + bad + b"z" * 140
            yield Case(f"8.1 {what} at {at}", [frame(TEXT, data), *BAD_UTF8])
    for at in (13, 29, 61, 125):
        data = "é".encode() * at + b"\xc3"
        yield Case(f"8.1 a lead byte alone at the end, behind {2 * at} bytes",
                   [frame(TEXT, data), *BAD_UTF8])


def long():
    for what, unit in (("ASCII", "text "), ("two bytes", "ß"), ("three bytes", "\N{SNOWMAN}"),
                       ("four bytes", "\N{GRINNING FACE}"), ("mixed", "aß\N{SNOWMAN}\U0001f600")):
        data = (unit * (60000 // len(unit.encode()))).encode()
        yield Case(f"8.1 {what}, {len(data)} bytes, whole",
                   [frame(TEXT, data), Frame(TEXT, data)])
        yield Case(f"8.1 {what}, {len(data)} bytes, in pieces of 997",
                   [Chop(frame(TEXT, data), 997), Frame(TEXT, data)])
        yield Case(f"8.1 {what}, {len(data)} bytes, in fragments of 997",
                   [b"".join(fragments(TEXT, pieces(data, 997))), Frame(TEXT, data)])
        yield Case(f"8.1 {what}, {len(data)} bytes, the last of them wrong",
                   [frame(TEXT, data + b"\xff"), *BAD_UTF8])


def elsewhere():
    """What is not text is not looked at; what is, is looked at in each message anew."""
    for what, data in INVALID[::6]:
        yield Case(f"5.6 {what} as binary", [frame(BINARY, data), Frame(BINARY, data)])
        yield Case(f"5.6 {what} as binary in fragments",
                   [b"".join(fragments(BINARY, pieces(data + b"ab"))), Frame(BINARY, data + b"ab")])
        yield Case(f"5.5.2 {what} in a ping", [frame(PING, data), Frame(PONG, data)])
    good = frame(TEXT, "ß".encode())
    yield Case("8.1 a good message, then a wrong one in the same read",
               [good + frame(TEXT, b"\xff"), Frame(TEXT, "ß".encode()), *BAD_UTF8])
    yield Case("8.1 binary in fragments does not leave a state behind",
               [b"".join(fragments(BINARY, [b"\xf0", b"\x9f"])) + good,
                Frame(BINARY, b"\xf0\x9f"), Frame(TEXT, "ß".encode())])
    yield Case("8.1 a wrong byte, then much more",
               [frame(TEXT, b"\xff") + good * 20000, *BAD_UTF8])
    yield Case("8.1 a close in the middle of a character",
               [frame(TEXT, b"\xf0\x9f", fin=False) + close(1000), *closed(1000)])


def cases():
    for table in (valid, invalid, cut, places, long, elsewhere):
        yield from table()
