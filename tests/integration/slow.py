"""Members that do not read for a while: what they are sent, and what they got of it."""

import random
import zlib

from raw import PING, PONG, TEXT

DEFLATE = {"enabled": True, "threshold": "64", "level": 1}
KINDS = {"plain": {}, "deflate": DEFLATE, "takeover": {**DEFLATE, "server_context_takeover": True}}


def more_than_the_kernel_keeps():
    """So many messages of noise(), compressed or not, that some of them must wait in the daemon."""
    with open("/proc/sys/net/ipv4/tcp_wmem", encoding="ascii") as limits:
        return 3 * int(limits.read().split()[2]) // 2 // 6000


def noise(n):
    """A message whose number comes first, and that no compression makes small."""
    return b"%08d" % n + random.Random(n).randbytes(6000).hex().encode()


class Reader:
    """What a member got, decompressed as was agreed on."""

    def __init__(self, raw, kind):
        self.raw = raw
        self.inflate = zlib.decompressobj(-15) if kind == "takeover" else None
        self.kind = kind

    def message(self):
        while (first := (found := self.raw.frame())[0]) in (0x80 | PING, 0x80 | PONG):
            pass
        assert first & 0x8f == 0x80 | TEXT
        if not first & 0x40:
            return found[1]
        inflate = self.inflate or zlib.decompressobj(-15)
        return inflate.decompress(found[1] + b"\x00\x00\xff\xff")
