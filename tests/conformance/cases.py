"""What a case of the conformance suite is made of: what is sent, and what must come back.

A case is one connection. Its script is a list: bytes are sent, each item by itself - the next
one only when the daemon has read the one before - and frames, answers and ends are awaited. A
script without the end of the connection is followed by a ping, which must be answered next, and
by a clean close: so every case also shows that nothing else was sent.
"""

import struct
from dataclasses import dataclass, field

from raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame

OPCODES = {CONT: "continuation", TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping",
           PONG: "pong"}
DATA = (TEXT, BINARY)
CONTROL = (CLOSE, PING, PONG)


def shown(data):
    """A payload, or how long it is."""
    return repr(bytes(data))[1:] if len(data) <= 32 else f"{len(data)} bytes"


@dataclass(frozen=True)
class Frame:
    """One frame of the daemon, with FIN unless it says otherwise."""
    opcode: int
    payload: bytes = b""
    bits: int = 8  # FIN, RSV1, RSV2, RSV3

    def __str__(self):
        bits = "" if self.bits == 8 else f" bits {self.bits:04b}"
        return f"{OPCODES.get(self.opcode, self.opcode)}{bits} {shown(self.payload)}"


@dataclass(frozen=True)
class Close:
    """A close frame, without a code an empty one."""
    code: int = None
    reason: str = ""

    def __str__(self):
        return " ".join(map(str, filter(None, ("close", self.code or "empty", self.reason))))


@dataclass(frozen=True)
class Http:
    """An answer to the request; have and lack name headers that must, and must not, be there."""
    status: int
    word: str = None
    have: dict = field(default_factory=dict)
    lack: tuple = ()

    def __str__(self):
        return " ".join(map(str, filter(None, (
            "HTTP", self.status, self.word, self.have or None,
            self.lack and f"without {', '.join(self.lack)}"))))


@dataclass(frozen=True)
class End:
    """How TCP ends, or what else is not a frame."""
    how: str

    def __str__(self):
        return self.how


@dataclass(frozen=True)
class Chop:
    """Bytes that are sent in pieces of a size without waiting in between."""
    data: bytes
    size: int


FIN = End("FIN")
SHUT = End("(we end our side)")
ALIVE = b"are you there?"


@dataclass
class Case:
    name: str
    script: list
    path: str = "/ws"
    raw: bool = False  # the script has the request itself
    offer: str = None  # of extensions; see compression.py
    agreed: tuple = ()  # parameters that the answer to the offer must have; None: no extension


def fails(code, reason):
    """A failure that the peer caused: the daemon says why and waits for no answer."""
    return [Close(code, reason), FIN]


PROTOCOL_ERROR = fails(1002, "protocol-error")
NOT_MASKED = fails(1002, "not-masked")
BAD_UTF8 = fails(1007, "bad-utf8")
TOO_BIG = fails(1009, "message-too-big")


def closed(code=None):
    """The answer to a close of ours."""
    return [Close(code), FIN]


def pieces(data, size=1):
    """Bytes in pieces, each of which the daemon reads by itself."""
    return [data[i:i + size] for i in range(0, len(data), size)]


def fragments(opcode, parts, fin=True, **kw):
    """The frames of a message; the last ends it if fin."""
    last = len(parts) - 1
    return [frame(CONT if i else opcode, part, fin=fin and i == last, **kw)
            for i, part in enumerate(parts)]


def odd_frame(first, length, form, payload=b"", key=b"\0\0\0\0"):
    """A masked frame by its parts: first byte, length field of 0, 16 or 64 bits, key."""
    field_ = {0: lambda: bytes([0x80 | length]),
              16: lambda: struct.pack("!BH", 0x80 | 126, length),
              64: lambda: struct.pack("!BQ", 0x80 | 127, length)}[form]()
    masked = bytes(b ^ key[i & 3] for i, b in enumerate(payload))
    return bytes([first]) + field_ + key + masked
