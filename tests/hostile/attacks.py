"""What strangers do: each attack is a function, bounded in bytes and in time.

An attacker may be refused, closed or cut at any moment; what becomes of it is not looked at.
"""

import base64
import random
import select
import socket
import ssl
import struct
import time
import zlib

from raw import BINARY, CONT, PING, TEXT, close, frame, request

DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover"}
MIB = 1 << 20
ATTACKS = []


def attack(function):
    ATTACKS.append(function)
    return function


class Field:
    """Where the attacks of a run take place: addresses, chance, the daemon, for what its operator
    does meanwhile, and the sockets that are open."""

    def __init__(self, places, seed, daemon=None):
        self.places, self.random, self.daemon = places, random.Random(seed), daemon
        self.open = []

    def connect(self, place="plain", rcvbuf=None, wait=5):
        s = socket.socket()
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.settimeout(wait)
        s.connect(self.places[place])
        self.open.append(s)
        return s

    def upgrade(self, path, headers=None, rcvbuf=None, wait=5):
        s = self.connect(rcvbuf=rcvbuf, wait=wait)
        s.sendall(request(path, headers=headers))
        got = b""
        while b"\r\n\r\n" not in got:
            more = s.recv(65536)
            if not more:
                break
            got += more
        return s

    def reset(self, s):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()

    def leave(self):
        while self.open:
            self.open.pop().close()


def until_closed(s, seconds):
    """Reads and drops for so long, or until the end."""
    end = time.monotonic() + seconds
    s.settimeout(seconds)
    try:
        while time.monotonic() < end and s.recv(65536):
            pass
    except OSError:
        pass


def send_some(s, data, seconds=5):
    """Sends without reading, for so long at most."""
    s.settimeout(seconds)
    try:
        s.sendall(data)
    except OSError:
        pass


def exchange(s, data, back, seconds=30):
    """Sends, and reads meanwhile, until so many bytes came back, or nothing for a second."""
    poll, end, data = select.poll(), time.monotonic() + seconds, memoryview(data)
    s.setblocking(False)
    while back > 0 and time.monotonic() < end:
        poll.register(s, select.POLLIN | (select.POLLOUT if data else 0))
        events = poll.poll(1000)
        if not events and not data:
            return
        for _, event in events:
            if event & select.POLLOUT:
                data = data[s.send(data[:MIB]):]
            if event & ~select.POLLOUT:
                more = s.recv(MIB)
                if not more:
                    return
                back -= len(more)


def deflated(payload):
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (z.compress(payload) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


@attack
def json_bombs(f):
    """1 MiB of JSON in 1 KB, as many as one read takes."""
    for body in (b"[" + b"0," * (MIB // 2 - 2) + b"0]", b"[" * 2000 + b"]" * 2000,
                 b'{"content":"' + b"a" * (MIB - 20) + b'"}'):
        bomb = frame(TEXT, deflated(body), rsv=4)
        s = f.upgrade("/notifications", DEFLATE)
        send_some(s, bomb * (128 * 1024 // len(bomb)))
        until_closed(s, 2)


@attack
def json_at_once(f):
    """240 clients that finish 1 MiB of JSON together."""
    body = frame(TEXT, b"[" + b"0," * (MIB // 2 - 2) + b"0]")
    crowd = [f.upgrade("/notifications") for _ in range(240)]
    for s in crowd:
        send_some(s, body[:-1])
    for s in crowd:
        send_some(s, body[-1:])
    until_closed(crowd[-1], 3)


@attack
def takeover(f):
    """1 MB of text to 600 members that each have a compressor of their own; half of them wait for
    it, the others have room for little."""
    for i in range(600):
        f.upgrade("/takeover", {"Sec-WebSocket-Extensions": "permessage-deflate"},
                  rcvbuf=4096 if i % 2 else None)
    s = f.upgrade("/takeover", rcvbuf=4096)
    send_some(s, frame(TEXT, (b"what is said again and again, %d; " * 40 % tuple(range(40))) * 700))
    until_closed(s, 5)


@attack
def empty_blocks(f):
    """Compressed input of nothing but final blocks."""
    s = f.upgrade("/notifications", DEFLATE)
    body = frame(TEXT, b"\x03\x00" * (MIB // 2), rsv=4)
    send_some(s, body * 3)
    until_closed(s, 3)


@attack
def dribbled_messages(f):
    """Messages that never become whole."""
    crowd = [f.upgrade(f.random.choice(("/ws", "/dribble"))) for _ in range(150)]
    for i in range(30):
        for k, s in enumerate(crowd):
            send_some(s, frame(CONT if i else BINARY, b"x", fin=False) if k % 2 else
                      frame(BINARY, bytes(900))[i:i + 1])
        time.sleep(0.1)


@attack
def dribbled_heads(f):
    head = request("/ws")
    crowd = [f.connect(f.random.choice(("plain", "proxy"))) for _ in range(200)]
    for i in range(30):
        for s in crowd:
            send_some(s, head[i:i + 1])
        time.sleep(0.05)


@attack
def logged_lines(f):
    """Behaviours' own lines, as many as can be made."""
    body = frame(TEXT, b'{"content":"' + b"x" * 80 + b'"}') * 3000
    crowd = [f.upgrade("/notifications") for _ in range(20)]
    for s in crowd:
        send_some(s, body)
    until_closed(crowd[-1], 1)


@attack
def refusals(f):
    for i in range(1500):
        s = f.connect()
        head = (request(f"/nope{i}"), request("/ws", method="POST"), b"GET / HTTP/1.0\r\n\r\n",
                request("/ws", drop=["Sec-WebSocket-Key"]))[i % 4]
        send_some(s, head)
        if i % 50 == 49:
            until_closed(s, 1)
            f.leave()


@attack
def guesses(f):
    """Wrong passwords, more than can be checked, of which some do not wait for the answer."""
    for i in range(1200):
        s = f.connect()
        pair = base64.b64encode(f"{('anna', 'nobody')[i % 2]}:{i}".encode()).decode()
        send_some(s, request("/people", headers={"Authorization": f"Basic {pair}"}))
        if i % 3 == 0:
            f.reset(s)
        if i % 200 == 199:
            until_closed(s, 1)
            f.leave()


@attack
def half_open(f):
    """Connections that say nothing."""
    crowd = [f.connect(f.random.choice(("plain", "tls", "proxy"))) for _ in range(600)]
    time.sleep(1)
    for s in crowd:
        f.reset(s)


@attack
def slow_readers(f):
    """Who is sent much and reads nothing: in the rooms of the innocents, and of echoes."""
    for i in range(40):
        f.upgrade(f"/chat{i % 4}", rcvbuf=2048)
    for _ in range(20):
        s = f.upgrade("/ws", rcvbuf=2048)
        send_some(s, frame(BINARY, bytes(200000)) * 40, 0.2)
    time.sleep(1)


@attack
def tls_handshakes(f):
    """Whole ones, begun ones, and what is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing).do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    for i in range(400):
        s = f.connect("tls")
        if i % 4 == 0:
            try:
                context.wrap_socket(s).close()
            except OSError:
                pass
        else:
            send_some(s, (hello, hello[:100], hello + f.random.randbytes(300))[i % 4 - 1])
        if i % 50 == 49:
            f.leave()


@attack
def garbage(f):
    for i in range(300):
        s = f.connect(f.random.choice(("plain", "tls", "proxy")))
        send_some(s, f.random.randbytes(f.random.randint(1, 4000)))
    for i in range(100):
        s = f.upgrade(f.random.choice(("/ws", "/chat", "/notifications", "/safe")), DEFLATE)
        send_some(s, frame(TEXT, f.random.randbytes(200), rsv=4) + f.random.randbytes(2000))


@attack
def reconnects(f):
    """A storm of clients that come, join and are gone."""
    for i in range(1000):
        s = f.upgrade(f.random.choice(("/ws", "/chat", "/chat0")))
        f.open.pop()
        if i % 2:
            f.reset(s)
        else:
            send_some(s, close(1000))
            s.close()


@attack
def publishing(f):
    """Rooms on the same bus as those of the innocents, filled without end."""
    crowd = [f.upgrade("/chat", rcvbuf=4096) for _ in range(16)]
    for i, s in enumerate(crowd[:8]):
        send_some(s, frame(TEXT, b"x" * (20, 3000)[i % 2]) * (20000, 600)[i % 2], 1)
    s = f.upgrade("/chat")
    send_some(s, frame(BINARY, bytes(MIB // 2)) * 8, 1)
    until_closed(s, 1)


@attack
def control_frames(f):
    crowd = [f.upgrade("/ws") for _ in range(4)]
    for s in crowd:
        send_some(s, frame(PING, b"x" * 125) * 10000, 1)


@attack
def abandoned_uploads(f):
    """Long messages that are left when they are nearly whole."""
    for _ in range(100):
        s = f.upgrade("/ws")
        send_some(s, frame(BINARY, bytes(MIB))[:-1])
    time.sleep(0.5)


@attack
def crowded_room(f):
    """2,000 members, who are told what is short and what is long."""
    crowd = [f.upgrade("/chat") for _ in range(2000)]
    for size in (32, 32, 16384):
        crowd[0].sendall(frame(BINARY, bytes(size)))
        time.sleep(0.3)


@attack
def slow_members(f):
    """300 that read nothing of 11.7 MB, which are theirs as long as they stay."""
    for _ in range(300):
        f.upgrade("/slow", rcvbuf=4096)
    exchange(f.upgrade("/slow"), frame(BINARY, bytes(13000)) * 900, 900 * 13000)
    time.sleep(0.5)


@attack
def pinged(f):
    """1,000 whose pings are due at the same time."""
    for _ in range(1000):
        f.upgrade("/pinged")
    time.sleep(2)


@attack
def reloads(f):
    """The operator's, with many connections."""
    for _ in range(1500):
        f.upgrade("/ws")
    for _ in range(3):
        f.daemon.reload()
