"""Runs a case: connects, follows its script, and says what came back."""

import contextlib
import os
import socket
import struct
import time

from cases import ALIVE, FIN, SHUT, Case, Chop, Close, End, Frame, Http, closed
from deflate import Peer
from harness import DEADLINE
from raw import CLOSE, KEY, PING, PONG, Raw, accept_of, close, frame, request, split_frame

RST = End("RST")
NOTHING = End("nothing")
SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1


def connect(daemon):
    """The one place that knows how a case reaches the daemon."""
    return Client(daemon.address)


class Unread:
    """What the program at the other end of a local connection has not read yet.

    The kernel tells by sock_diag(7). That is how a chunk can wait until the one before was
    read. Where there is no such interface chunks may be read together: the answers are the
    same, only the test is weaker.
    """

    def __init__(self):
        try:
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG)
        except OSError:
            self.socket = None

    def of(self, connection):
        """Bytes; 0 also if the connection is over."""
        if not self.socket:
            return 0
        (there, port), (here, own) = connection.getpeername(), connection.getsockname()
        ask = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xffffffff)
        ask += struct.pack("!HH4s12x4s12x", port, own, socket.inet_aton(there),
                           socket.inet_aton(here))
        ask += struct.pack("=III", 0, 0xffffffff, 0xffffffff)
        self.socket.send(struct.pack("=IHHII", 16 + len(ask), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST,
                                     0, 0) + ask)
        answer = self.socket.recv(4096)
        if struct.unpack_from("=H", answer, 4)[0] != SOCK_DIAG_BY_FAMILY:
            return 0
        return struct.unpack_from("=I", answer, 72)[0]


class Client(Raw):
    unread = Unread()

    def __init__(self, address):
        super().__init__(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = None  # of permessage-deflate

    def was_read(self):
        """Waits until the daemon has read all that was sent, or has ended."""
        until = time.monotonic() + DEADLINE
        with contextlib.suppress(OSError):  # it has ended
            while self.unread.of(self.socket) and time.monotonic() < until:
                os.sched_yield()

    def send_item(self, item):
        if isinstance(item, Chop):
            for i in range(0, len(item.data), item.size):
                self.socket.sendall(item.data[i:i + item.size])
        elif item is SHUT:
            self.socket.shutdown(socket.SHUT_WR)
        else:
            self.socket.sendall(item(self.peer) if callable(item) else item)

    def answer(self):
        """The response to the request, as an Http."""
        r = self.response()
        if r.status == 101:
            headers = {name: value.lower() for name, value in r.headers}
            assert headers["upgrade"] == "websocket" and headers["connection"] == "upgrade", headers
        return Http(r.status, r.body.decode().partition(":")[0] or None, dict(r.headers))

    def event(self):
        """The next frame, or how it ended."""
        try:
            while not (found := split_frame(self.data)):
                if not self.fill():
                    return FIN if not self.data else End(f"FIN behind {bytes(self.data[:40])!r}")
        except ConnectionError:
            return RST
        except TimeoutError:
            return NOTHING
        first, payload, end = found
        del self.data[:end]
        return self.read_frame(first & 0x0f, payload, first >> 4)

    def read_frame(self, opcode, payload, bits):
        if bits & 4 and self.peer:
            payload = self.peer.inflate(payload)
        if opcode == CLOSE and bits == 8 and len(payload) != 1:
            code = struct.unpack("!H", payload[:2])[0] if payload else None
            return Close(code, payload[2:].decode())
        return Frame(opcode, payload, bits)


def upgrade(client, case: Case):
    """Opens the WebSocket; the script comes behind that."""
    headers = {"Sec-WebSocket-Extensions": case.offer} if case.offer is not None else {}
    client.send(request(case.path, headers=headers))
    got = client.answer()
    assert got.status == 101, f"{got.status} {got.word}"
    assert got.have["sec-websocket-accept"] == accept_of(KEY), got.have
    agreed = got.have.get("sec-websocket-extensions")
    if case.offer is None or case.agreed is None:
        assert agreed is None, f"an extension that was not to be agreed on: {agreed}"
    else:
        client.peer = Peer(case.offer, agreed, case.agreed)
    return [f"agreed: {agreed}"] if agreed else []


def is_sent(item):
    return isinstance(item, (bytes, Chop)) or item is SHUT or callable(item)


def matches(item, got):
    if not isinstance(item, Http):
        return item == got
    return item.status == got.status and item.word in (None, got.word) and \
        all(got.have.get(k) == v for k, v in item.have.items()) and \
        not any(k in got.have for k in item.lack)


def expected(case):
    """What a case awaits, in words."""
    return [str(x) for x in case.script if not is_sent(x)] or ["nothing"]


def follow(client, script, got):
    """Sends and awaits; what comes goes to got. Fails with the first difference."""
    sent_before = False
    for item in script:
        if is_sent(item):
            if sent_before:
                client.was_read()
            with contextlib.suppress(ConnectionError):  # what is read next tells of it
                client.send_item(item)
        else:
            came = client.answer() if isinstance(item, Http) else client.event()
            got.append(str(item if matches(item, came) else came))
            assert matches(item, came), f"expected {item}, got {came}"
        sent_before = is_sent(item)


def run(daemon, case, got):
    """Runs a case, and sees that there is nothing more than what it awaits."""
    with connect(daemon) as client:
        if not case.raw:
            got += upgrade(client, case)
        follow(client, case.script, got)
        if any(isinstance(x, Http) and x.status != 101 for x in case.script):
            client.ends()
        elif FIN not in case.script:
            follow(client, [frame(PING, ALIVE), Frame(PONG, ALIVE), close(1000), *closed(1000)], [])
