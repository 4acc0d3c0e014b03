"""RFC 6455 5.5.1 and 7: codes and reasons, what comes behind a close, and how TCP ends."""

from cases import (BAD_UTF8, FIN, NOT_MASKED, PROTOCOL_ERROR, SHUT, Case, Close, Frame, closed,
                   fails, pieces)
from raw import BINARY, CLOSE, CONT, PING, TEXT, close, frame

MAY_BE_SENT = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
MUST_NOT = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535)
REASON = "grüß \N{SNOWMAN} \N{GRINNING FACE}".encode()


def codes():
    for code in MAY_BE_SENT:
        yield Case(f"7.4 code {code}", [close(code), *closed(code)])
        yield Case(f"7.4 code {code} with a reason", [close(code, b"because"), *closed(code)])
    for code in MUST_NOT:
        yield Case(f"7.4 code {code}", [close(code), *PROTOCOL_ERROR])
        yield Case(f"7.4 code {code} with a reason", [close(code, b"because"), *PROTOCOL_ERROR])
        yield Case(f"7.4 code {code} behind a message in the same read",
                   [frame(TEXT, b"a") + close(code), Frame(TEXT, b"a"), *PROTOCOL_ERROR])


def payloads():
    yield Case("5.5.1 no payload", [close(), *closed()])
    yield Case("5.5.1 no payload, byte by byte", [*pieces(close()), *closed()])
    for byte in (b"\x03", b"\0", b"\xff"):
        yield Case(f"5.5.1 one byte, {byte.hex()}", [frame(CLOSE, byte), *PROTOCOL_ERROR])
    yield Case("5.5.1 one byte, in two reads", [*pieces(frame(CLOSE, b"\x03"), 6), *PROTOCOL_ERROR])
    for n in (1, 2, 122, 123):
        yield Case(f"5.5.1 reason of {n} bytes", [close(1000, b"r" * n), *closed(1000)])
        yield Case(f"5.5.1 reason of {n} bytes, byte by byte",
                   [*pieces(close(1000, b"r" * n)), *closed(1000)])
    yield Case("5.5 reason of 124 bytes", [close(1000, b"r" * 124)[:2], *PROTOCOL_ERROR])
    yield Case("5.5.1 without a mask", [close(1000, mask=False)[:2], *NOT_MASKED])


def early():
    """What of a close frame is wrong is known before it is whole."""
    yield Case("5.5.1 one byte, known by the second byte",
               [frame(CLOSE, b"\x03")[:2], *PROTOCOL_ERROR])
    for code in MUST_NOT:
        begun = close(code, b"because")[:6 + 2]
        yield Case(f"7.4 code {code}, nothing behind it", [begun, *PROTOCOL_ERROR])
    for what, data in (("ff", b"\xff"), ("overlong", b"\xc0"), ("surrogate", b"\xed\xa0"),
                       ("beyond U+10FFFF", b"\xf4\x90"), ("lone 80", b"ok \x80")):
        begun = close(1000, data + b"because")[:6 + 2 + len(data)]
        yield Case(f"5.5.1 reason, {what}, nothing behind it", [begun, *BAD_UTF8])
        yield Case(f"5.5.1 reason, {what}, byte by byte, nothing behind it",
                   [*pieces(begun), *BAD_UTF8])


def reasons():
    for what, data in (("of all lengths", REASON), ("U+10FFFF", "\U0010ffff".encode()),
                       ("NUL", b"\0"), ("123 bytes", "ß".encode() * 61 + b"z")):
        yield Case(f"5.5.1 reason, {what}", [close(1000, data), *closed(1000)])
    for what, data in (("ff", b"\xff"), ("overlong", b"\xc0\xaf"), ("surrogate", b"\xed\xa0\x80"),
                       ("beyond U+10FFFF", b"\xf4\x90\x80\x80"), ("lone 80", b"\x80"),
                       ("cut", b"ok \xf0\x9f\x98"), ("cut at 123 bytes", b"r" * 122 + b"\xc3"),
                       ("wrong in the middle", b"ok \xce ok")):
        yield Case(f"5.5.1 reason, {what}", [close(1000, data), *BAD_UTF8])
        yield Case(f"5.5.1 reason, {what}, byte by byte",
                   [*pieces(close(1000, data)), *BAD_UTF8])


BEHIND = [("a message", frame(TEXT, b"after")), ("a ping", frame(PING, b"after")),
          ("a second close", close(1001)), ("a wrong frame", frame(3)),
          ("no UTF-8", frame(TEXT, b"\xff")), ("no frames", b"\xff" * 1000),
          ("a message without a mask", frame(TEXT, b"a", mask=False)),
          ("part of a message", frame(BINARY, b"x" * 100)[:50]),
          ("a MiB of messages", frame(BINARY, b"x" * 60000) * 18)]


def behind_a_close():
    """Nothing is handled after a close frame, neither the peer's nor one of ours."""
    for what, data in BEHIND:
        yield Case(f"5.5.1 {what} behind a close in the same read",
                   [close(1000) + data, *closed(1000)])
        yield Case(f"5.5.1 {what} behind a close in another read",
                   [close(1000), data, *closed(1000)])
        yield Case(f"7.1.7 {what} behind a failure in the same read",
                   [frame(3) + data, *PROTOCOL_ERROR])
        yield Case(f"7.1.7 {what} behind a failure in another read",
                   [frame(3)[:1], data, *PROTOCOL_ERROR])


def ahead_of_a_close():
    """What came before it is answered before it."""
    for n in (1, 100):
        yield Case(f"5.5.1 {n} messages and a ping ahead of a close in the same read",
                   [frame(TEXT, b"a") * n + frame(PING, b"p") + close(1000),
                    *[Frame(TEXT, b"a")] * n, Frame(10, b"p"), *closed(1000)])
    yield Case("5.5.1 a long message ahead of a close",
               [frame(BINARY, b"x" * 100000) + close(1000), Frame(BINARY, b"x" * 100000),
                *closed(1000)])
    yield Case("5.5.1 a close within a message in fragments",
               [frame(TEXT, b"a", fin=False) + close(1001) + frame(CONT, b"b"), *closed(1001)])
    yield Case("5.5.1 a close behind part of a message, in reads of one byte",
               [*pieces(frame(TEXT, b"a", fin=False) + close(4000, REASON)), *closed(4000)])


GOODBYE = [Frame(TEXT, b"Goodbye!"), Close(1000)]


def started_by_us():
    """The daemon has sent its close: only the peer's is of interest, then TCP ends."""
    for what, data in (("the same code", close(1000)), ("another code", close(4321)),
                       ("no code", close()), ("a reason", close(1000, REASON)),
                       ("a code that must not be sent", close(1005)), ("one byte", frame(8, b"x")),
                       ("a reason that is not UTF-8", close(1000, b"\xff")),
                       ("no mask", close(1000, mask=False)), ("a wrong frame", frame(3)),
                       ("a message, then a close", frame(TEXT, b"a") + close(1000)),
                       ("a ping, then a close", frame(PING, b"p") + close(1000)),
                       ("a pong, then a close", frame(10, b"p") + close(1000)),
                       ("a message in fragments, then a close",
                        frame(TEXT, b"a", fin=False) + frame(CONT, b"b") + close(1000)),
                       ("a MiB of messages, then a close",
                        frame(BINARY, b"x" * 60000) * 18 + close(1000))):
        yield Case(f"7.1.2 our close is answered with {what}", [*GOODBYE, data, FIN], path="/once")
    yield Case("7.1.2 our close is answered byte by byte",
               [*GOODBYE, *pieces(close(1000)), FIN], path="/once")
    yield Case("7.1.1 our close is answered with the end of TCP", [*GOODBYE, SHUT, FIN],
               path="/once")
    yield Case("7.1.1 our close is not answered: cut after close_timeout", [*GOODBYE, FIN],
               path="/impatient")
    yield Case("7.1.1 our close is answered with messages only: cut after close_timeout",
               [*GOODBYE, frame(TEXT, b"a"), FIN], path="/impatient")


def no_close():
    """TCP ends without a close frame."""
    for what, data in (("at once", []),
                       ("behind a message", [frame(TEXT, b"a"), Frame(TEXT, b"a")]),
                       ("within a header", [frame(TEXT, b"a")[:1]]),
                       ("within a frame", [frame(TEXT, b"abc")[:7]]),
                       ("within a message", [frame(TEXT, b"a", fin=False)])):
        yield Case(f"7.1.5 the peer ends TCP {what}", [*data, SHUT, FIN])
    yield Case("7.1.2 the peer ends TCP behind its close", [close(1000), SHUT, *closed(1000)])
    yield Case("7.1.7 the peer ends TCP behind a wrong frame",
               [frame(3)[:1], SHUT, *fails(1002, "protocol-error")])


def cases():
    for table in (codes, payloads, early, reasons, behind_a_close, ahead_of_a_close, started_by_us,
                  no_close):
        yield from table()
