"""HTTP and WebSocket by hand, for tests that need exact bytes.

Raw is a blocking client on a TCP or unix socket. Member is an asyncio client that is cheap
enough to have hundreds of, for tests of what many see.
"""

import asyncio
import base64
import hashlib
import os
import re
import socket
import struct

import way
from harness import DEADLINE

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3

UPGRADE = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def request(path="/ws", method="GET", headers=None, drop=(), version="HTTP/1.1"):
    """A request head; headers go over those of an upgrade, drop leaves some out."""
    lines = {k: v for k, v in UPGRADE.items() if k not in drop}
    lines.update(headers or {})
    head = f"{method} {path} {version}\r\n"
    return (head + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n").encode()


def plain(path="/ws", method="GET", headers=None):
    """A request that asks for no upgrade."""
    return request(path, method, headers, drop=[k for k in UPGRADE if k != "Host"])


def frame(opcode, payload=b"", fin=True, mask=True, rsv=0, length=None):
    """A frame as a client sends it. length announces another length than the payload's."""
    n = len(payload) if length is None else length
    out = bytearray([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if n < 126:
        out.append(bit | n)
    elif n < 65536:
        out += struct.pack("!BH", bit | 126, n)
    else:
        out += struct.pack("!BQ", bit | 127, n)
    if not mask:
        return bytes(out) + payload
    key = os.urandom(4)
    repeated = (key * (len(payload) // 4 + 1))[:len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return bytes(out) + key + masked.to_bytes(len(payload), "big")


def text(payload, **kw):
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload, **kw)


def close(code=None, reason=b"", **kw):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason, **kw)


def split_frame(data, at=0):
    """The frame that begins at data[at]: (first byte, payload, end), None if it is not whole."""
    have = len(data) - at
    if have < 2:
        return None
    n, start = data[at + 1], at + 2
    if n & 0x80:
        raise AssertionError("a server must not mask")
    if n == 126:
        if have < 4:
            return None
        n, start = struct.unpack_from("!H", data, at + 2)[0], at + 4
    elif n == 127:
        if have < 10:
            return None
        n, start = struct.unpack_from("!Q", data, at + 2)[0], at + 10
    if len(data) < start + n:
        return None
    return data[at], bytes(data[start:start + n]), start + n


def close_parts(payload):
    """Code and reason of a close frame; (None, "") of an empty one."""
    if not payload:
        return None, ""
    return struct.unpack("!H", payload[:2])[0], payload[2:].decode()


class Response:
    def __init__(self, head):
        first, *lines = head.decode("ascii").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) (.+)", first)
        assert match, first
        self.status, self.phrase = int(match.group(1)), match.group(2)
        self.headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and name == name.strip() and name, line
            self.headers.append((name.lower(), value.strip()))
        self.body = b""

    def header(self, name):
        """The one value of a header; None if there is none."""
        values = [v for n, v in self.headers if n == name.lower()]
        assert len(values) < 2, self.headers
        return values[0] if values else None


class Raw:
    """A connection: address is (host, port), or the path of a unix socket.

    tls is a client's context; without one the way of this run is taken. name is asked for and
    checked.
    """

    def __init__(self, address, rcvbuf=None, timeout=DEADLINE, tls=None, name="localhost",
                 session=None):
        family = socket.AF_UNIX if isinstance(address, str) else \
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.settimeout(timeout)
        self.data = bytearray()
        try:
            self.socket.connect(address)
            tls = tls or (way.CONTEXT if family != socket.AF_UNIX else None)
            if tls:
                # a message is several records, and so several writes
                if family != socket.AF_UNIX:
                    self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.socket = tls.wrap_socket(self.socket, server_hostname=name, session=session)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @property
    def local_port(self):
        return self.socket.getsockname()[1]

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))
        return self

    def fill(self):
        """Reads some more; False at the end of the stream."""
        more = self.socket.recv(262144)
        self.data += more
        return bool(more)

    def take(self, n):
        while len(self.data) < n:
            assert self.fill(), f"the end came after {bytes(self.data)!r}"
        out = bytes(self.data[:n])
        del self.data[:n]
        return out

    def ends(self):
        """Asserts that nothing more comes but the end of the stream."""
        while self.fill():
            pass
        assert bytes(self.data) == b""

    def gone(self):
        """Waits for the end of the connection, however rude; returns what came before it."""
        try:
            while self.fill():
                pass
        except ConnectionError:
            pass
        return bytes(self.data)

    def response(self, body=True):
        """Reads one HTTP response, without a body for HEAD and 101."""
        while b"\r\n\r\n" not in self.data:
            assert self.fill(), f"no whole response: {bytes(self.data)!r}"
        end = self.data.index(b"\r\n\r\n")
        r = Response(self.take(end))
        self.take(4)
        if body and r.status != 101:
            r.body = self.take(int(r.header("content-length")))
        return r

    def upgrade(self, path="/ws", behind=b"", **kw):
        """Opens a WebSocket; behind is sent together with the head."""
        self.send(request(path, **kw), behind)
        r = self.response()
        assert r.status == 101, (r.status, r.body)
        assert r.header("sec-websocket-accept") == accept_of(KEY)
        return self

    def frame(self):
        """The next frame: (first byte, payload)."""
        while True:
            found = split_frame(self.data)
            if found:
                first, payload, end = found
                del self.data[:end]
                return first, payload
            assert self.fill(), f"the end came after {bytes(self.data)!r}"

    def message(self, but=(PING, PONG)):
        """The next frame that is not one of those: (opcode, payload). It must be whole."""
        while True:
            first, payload = self.frame()
            assert first & 0xf0 == 0x80, f"first byte {first:#x}"
            if first & 0x0f not in but:
                return first & 0x0f, payload

    def text(self):
        opcode, payload = self.message()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    def closing(self):
        """The next data or close frame must be a close: its code and reason."""
        opcode, payload = self.message()
        assert opcode == CLOSE, (opcode, payload[:100])
        return close_parts(payload)

    def closed(self, code, reason=None):
        """Expects that close, answers it, expects the end of the stream."""
        got = self.closing()
        assert got[0] == code, got
        if reason is not None:
            assert got[1] == reason, got
        try:
            self.send(close(code))
        except ConnectionError:
            pass
        self.ends()

    def reset(self):
        """Ends the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def client_of(d, slot, path="/ws"):
    """A connection that the worker in that slot serves."""
    while True:
        c = Raw(d.address).upgrade(path)
        if d.worker_of(c.local_port) == slot:
            return c
        c.socket.close()


class Member(asyncio.Protocol):
    """A client on an asyncio loop that keeps what it is sent, in order."""

    all = set()  # that are open; run() ends those that a test leaves

    def __init__(self, path):
        self.path = path
        self.data = bytearray()
        self.at = 0
        self.opened = False
        self.messages = []  # payloads of text and binary messages
        self.code = None  # of the close frame that came; None: none
        self.reason = ""
        self.lost = False
        self.pongs = []
        self.changed = asyncio.Event()

    @classmethod
    async def open(cls, address, path="/chat"):
        return await cls(path).connect(address)

    async def connect(self, address, timeout=DEADLINE, **kw):
        """Until it is open; kw are those of create_connection."""
        loop = asyncio.get_running_loop()
        if isinstance(address, str):
            await loop.create_unix_connection(lambda: self, address)
        else:
            if way.TLS:
                kw["server_hostname"] = "localhost"
            await loop.create_connection(lambda: self, *address, ssl=way.CONTEXT, **kw)
        await self.until(lambda: self.opened or self.lost, "the answer to the upgrade", timeout)
        if not self.opened:
            raise ConnectionError(f"no upgrade: {bytes(self.data)!r}")
        return self

    def connection_made(self, transport):
        self.transport = transport
        name = transport.get_extra_info("sockname")
        self.local_port = name[1] if isinstance(name, tuple) else None
        Member.all.add(self)
        transport.write(request(self.path))

    def data_received(self, data):
        self.data += data
        if not self.opened:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self.data.startswith(b"HTTP/1.1 101 "):
                return
            self.at = end + 4
            self.opened = True
        self.take_frames()
        self.changed.set()

    def take_frames(self):
        while True:
            found = split_frame(self.data, self.at)
            if not found:
                break
            first, payload, self.at = found
            opcode = first & 0x0f
            if opcode in (TEXT, BINARY):
                self.took(payload)
            elif opcode == PING:
                self.transport.write(frame(PONG, payload))
            elif opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                self.code, self.reason = close_parts(payload)
                self.transport.write(close(self.code))
        if self.at > 1 << 16:
            del self.data[:self.at]
            self.at = 0

    def took(self, payload):
        """A text or a binary message came."""
        self.messages.append(payload)

    def connection_lost(self, exc):
        self.lost = True
        Member.all.discard(self)
        self.changed.set()

    def eof_received(self):
        return False

    def send(self, payload, opcode=TEXT):
        self.transport.write(frame(opcode, payload))

    async def until(self, check, what, timeout=DEADLINE):
        try:
            async with asyncio.timeout(timeout):
                while not check():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"in {timeout:g} s this did not come: {what}; there are {len(self.messages)} "
                f"messages, close {self.code} {self.reason!r}, lost {self.lost}") from None

    async def count(self, n, timeout=DEADLINE):
        """Waits for the n-th message."""
        await self.until(lambda: len(self.messages) >= n or self.lost, f"message {n}", timeout)
        assert len(self.messages) >= n, (len(self.messages), self.code, self.reason)

    async def end(self):
        """Closes with 1000 and waits for the end."""
        if not self.lost:
            self.transport.write(close(1000))
            await self.until(lambda: self.lost, "the end of the connection")


def run(coroutine, timeout=6 * DEADLINE):
    """Runs an asyncio test with a deadline over all."""
    async def bounded():
        try:
            async with asyncio.timeout(timeout):
                return await coroutine
        finally:
            for m in list(Member.all):
                m.transport.abort()
            # aborted transports are closed by the loop's next turn
            await asyncio.sleep(0)
            Member.all.clear()
    return asyncio.run(bounded())
