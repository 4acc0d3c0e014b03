"""The client's side of permessage-deflate (RFC 7692), with Python's zlib."""

import re
import zlib

from raw import CONT, frame

TAIL = b"\0\0\xff\xff"
NO_TAKEOVER = ("server_no_context_takeover", "client_no_context_takeover")
BITS = ("server_max_window_bits", "client_max_window_bits")


def parameters(extension):
    """The parameters of one offer or answer: name to value, None where it has none."""
    name, *rest = (x.strip() for x in extension.split(";"))
    assert name == "permessage-deflate", extension
    found = {}
    for parameter in rest:
        key, _, value = (x.strip() for x in parameter.partition("="))
        assert key not in found, f"{key} twice: {extension}"
        found[key] = value.strip('"') or None
    return found


def check_answer(offer, answer):
    """The rules of section 7.1 for an answer, given the offer that it accepts."""
    for key, value in answer.items():
        assert key in NO_TAKEOVER + BITS, key
        assert (value is None) == (key in NO_TAKEOVER), f"{key}={value}"
        assert value is None or re.fullmatch("[89]|1[0-5]", value), f"{key}={value}"
    if NO_TAKEOVER[0] in offer:
        assert NO_TAKEOVER[0] in answer, "7.1.1.1: the server must say that it does"
    if BITS[0] in offer:
        assert int(answer.get(BITS[0], 99)) <= int(offer[BITS[0]]), "7.1.2.1"
    if BITS[1] in answer:
        assert BITS[1] in offer, "7.1.2.2: not offered"
        assert int(answer[BITS[1]]) <= int(offer[BITS[1]] or 15), "7.1.2.2"


class Peer:
    """Both directions of one connection, by what was agreed on."""

    def __init__(self, offers, answer, needed):
        assert answer is not None, "no extension was agreed on"
        self.agreed = parameters(answer)
        faults = []
        for offer in offers.split(","):
            try:
                check_answer(parameters(offer), self.agreed)
                break
            except (AssertionError, ValueError) as e:
                faults.append(e)
        else:
            raise AssertionError(f"{answer!r} answers none of {offers!r}: {faults}")
        for parameter in needed:
            key, _, value = parameter.partition("=")
            assert key in self.agreed and self.agreed[key] == (value or None), answer
        self.out = self.source = None

    def compressor(self):
        bits = max(9, int(self.agreed.get(BITS[1], 15)))
        return zlib.compressobj(6, zlib.DEFLATED, -bits)

    def deflate(self, payload):
        if not self.out or NO_TAKEOVER[1] in self.agreed:
            self.out = self.compressor()
        data = self.out.compress(payload) + self.out.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(TAIL)

    def inflate(self, payload):
        """The exact window is used: what refers further back is an error."""
        if not self.source or NO_TAKEOVER[0] in self.agreed:
            self.source = zlib.decompressobj(-int(self.agreed.get(BITS[0], 15)))
        return self.source.decompress(payload + TAIL)

    def message(self, opcode, payload, parts=1):
        """The frames of a compressed message, in so many fragments."""
        return compressed(opcode, self.deflate(payload), parts)


def compressed(opcode, data, parts=1, fin=True):
    """A message of given compressed bytes: RSV1 in the first frame only."""
    size = -(-len(data) // parts) or 1
    cut = [data[i:i + size] for i in range(0, len(data), size)] or [b""]
    return b"".join(frame(CONT if i else opcode, part, fin=fin and i == len(cut) - 1,
                          rsv=0 if i else 4) for i, part in enumerate(cut))
