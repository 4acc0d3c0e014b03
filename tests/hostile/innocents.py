"""The 200 clients that do nothing wrong, in a process of their own.

Each checks all that it is sent: echoes for their content, rooms for order and completeness, pongs
for their payload. How long each answer took is noted with the time, and told at the end.
"""

import asyncio
import contextlib
import json
import random
import time
import zlib

from raw import BINARY, CLOSE, PING, PONG, TEXT, frame, request, split_frame

ROOMS, MEMBERS, ECHOES, NOTIFIED, SUNK = 4, 20, 60, 40, 20
LOST = 180  # seconds without an answer


class Lost(Exception):
    """What an innocent client complains about."""


class Client(asyncio.Protocol):
    """One connection; what comes is put in a queue as (opcode, payload)."""

    def __init__(self, name, path, headers=None, before=b""):
        self.name, self.path, self.headers, self.before = name, path, headers, before
        self.data, self.upgraded, self.ending = bytearray(), None, False
        self.came = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport
        self.upgraded = asyncio.get_running_loop().create_future()
        transport.write(self.before + request(self.path, headers=self.headers))

    def data_received(self, data):
        self.data += data
        if not self.upgraded.done():
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return
            self.upgraded.set_result(bytes(self.data[:end]))
            del self.data[:end + 4]
        at = 0
        while found := split_frame(self.data, at):
            first, payload, at = found
            opcode = first & 0x0f
            if first & 0x40:
                inflater = zlib.decompressobj(-15)
                payload = inflater.decompress(payload + b"\0\0\xff\xff")
            if opcode == PING:
                self.transport.write(frame(PONG, payload))
            else:
                self.came.put_nowait((opcode, payload))
        del self.data[:at]

    def connection_lost(self, error):
        if not self.upgraded.done():
            self.upgraded.set_result(b"")
        self.came.put_nowait((None, str(error)))

    async def open(self, address, tls=None):
        loop = asyncio.get_running_loop()
        name = {"server_hostname": "localhost"} if tls else {}
        await loop.create_connection(lambda: self, *address, ssl=tls, **name)
        async with asyncio.timeout(LOST):
            head = await self.upgraded
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Lost(f"{self.name}: no upgrade: {head!r}")
        return self

    def send(self, data):
        self.transport.write(data)

    async def next(self):
        try:
            async with asyncio.timeout(LOST):
                opcode, payload = await self.came.get()
        except TimeoutError:
            raise Lost(f"{self.name}: no answer for {LOST} s") from None
        if opcode in (None, CLOSE):
            raise Lost(f"{self.name}: its connection ended: {payload!r}")
        return opcode, payload

    async def expect(self, opcode, payload):
        got = await self.next()
        if got != (opcode, payload):
            raise Lost(f"{self.name}: {got!r} came instead of {(opcode, payload)!r}"[:400])


class Crowd:
    def __init__(self, seed, places, tls):
        self.random = random.Random(seed)
        self.places, self.tls = places, tls
        self.waits, self.problems = [], []
        self.stopping = asyncio.Event()
        self.clients, self.tasks, self.heard, self.said = [], [], {}, {}

    async def pause(self, seconds):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.random.uniform(seconds / 2, seconds * 3 / 2)):
                await self.stopping.wait()

    def note(self, began):
        self.waits.append((began, time.monotonic() - began))

    async def echo(self, c):
        n = 0
        while not self.stopping.is_set():
            said = f"{c.name} {n} ".encode() * self.random.randint(1, 200)
            began = time.monotonic()
            if n % 2:
                c.send(frame(TEXT, said))
                await c.expect(TEXT, b"Echo: " + said)
            else:
                c.send(frame(BINARY, said))
                await c.expect(BINARY, said)
            self.note(began)
            n += 1
            await self.pause(0.4)

    async def ping(self, c, n):
        said = f"{c.name} {n}".encode()
        began = time.monotonic()
        c.send(frame(PING, said))
        await c.expect(PONG, said)
        self.note(began)

    async def notified(self, c):
        opcode, payload = await c.next()
        if opcode != TEXT or json.loads(payload)["type"] != "info":
            raise Lost(f"{c.name}: {payload!r} is no welcome")
        n = 0
        while not self.stopping.is_set():
            z = zlib.compressobj(6, zlib.DEFLATED, -15)
            body = z.compress(json.dumps({"content": f"{c.name} {n}"}).encode())
            c.send(frame(TEXT, (body + z.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=4))
            await self.ping(c, n)
            n += 1
            await self.pause(1)

    async def sunk(self, c):
        n = 0
        while not self.stopping.is_set():
            c.send(frame(BINARY, bytes(self.random.randint(0, 4000))))
            await self.ping(c, n)
            n += 1
            await self.pause(1)

    async def speak(self, c):
        """Says numbered things; what others hear of it is looked at in the end."""
        while not self.stopping.is_set():
            n = self.said[c.name]
            c.send(frame(TEXT, f"{c.name} {n} {time.monotonic()}".encode()))
            self.said[c.name] = n + 1
            await self.pause(2)
        c.send(frame(TEXT, f"{c.name} end 0".encode()))

    async def listen(self, c):
        """Until all members of its room have said that they are at the end."""
        ends = 0
        while ends < MEMBERS:
            _, payload = await c.next()
            who, n, at = payload.decode().removeprefix("User: ").split()
            if n == "end":
                ends += 1
            elif who == c.name:
                self.note(float(at))
            self.heard[c.name].append((who, n))

    async def guard(self, c, what):
        try:
            await what
        except Lost as e:
            self.problems.append(str(e))
        except Exception as e:  # whatever it is, this client has not got what it should
            self.problems.append(f"{c.name}: {e!r}")

    async def add(self, name, path, *, tls=False, proxied=False, headers=None):
        before = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n" if proxied else b""
        c = Client(name, path, headers, before)
        place = self.places["tls" if tls else "proxy" if proxied else "plain"]
        await c.open(place, self.tls if tls else None)
        self.clients.append(c)
        return c

    async def gather(self):
        """All connect; members are in their rooms before anybody speaks."""
        for i in range(ECHOES):
            c = await self.add(f"echo{i}", "/ws", tls=i % 5 == 0, proxied=i % 5 == 1)
            self.tasks.append((c, self.echo(c)))
        for i in range(NOTIFIED):
            c = await self.add(f"notified{i}", "/notifications", tls=i % 5 == 0,
                               headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
            self.tasks.append((c, self.notified(c)))
        for i in range(SUNK):
            c = await self.add(f"sunk{i}", "/safe")
            self.tasks.append((c, self.sunk(c)))
        for i in range(ROOMS * MEMBERS):
            c = await self.add(f"member{i}", f"/chat{i % ROOMS}", tls=i % 7 == 0)
            self.said[c.name], self.heard[c.name] = 0, []
            self.tasks += [(c, self.listen(c)), (c, self.speak(c))]

    def check_rooms(self):
        """All members of a room heard the same; of each speaker all, once and in order."""
        for room in range(ROOMS):
            names = [f"member{i}" for i in range(room, ROOMS * MEMBERS, ROOMS)]
            first = self.heard[names[0]]
            for name in names:
                if self.heard[name] != first:
                    self.problems.append(f"{name} heard something else than {names[0]}")
                spoken = [n for who, n in first if who == name]
                if spoken != [*map(str, range(self.said[name])), "end"]:
                    self.problems.append(f"what {name} said was not heard once and in order: "
                                         f"{len(spoken)} of {self.said[name] + 1}")

    async def live(self, pipe):
        await self.gather()
        running = [asyncio.create_task(self.guard(c, what)) for c, what in self.tasks]
        pipe.send(len(self.clients))
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        self.stopping.set()
        await asyncio.gather(*running)
        self.check_rooms()
        for c in self.clients:
            c.transport.abort()
        pipe.send((self.waits, self.problems))


def main(pipe, seed, places, tls):
    async def live():
        await Crowd(seed, places, tls).live(pipe)
    asyncio.run(live())
