"""Those who ask the admin interface without a pause, in a process of their own, and bad ones beside.

Some ask what there is to ask, some follow the events, one publishes numbered messages to all rooms,
and some send half a request or never read. The admin process may end at any moment: who was asking
sees the end of the connection and nothing else, and asks again. What is published is so once, for
it has an Idempotency-Key and is sent again until it is answered.
"""

import asyncio
import collections
import contextlib
import json
import random

PATIENCE = 180
# what may be answered; 503: it has as much to do as it takes on at a time
GETS = {"/status": {200}, "/connections?limit=200": {200}, "/connections?slow=1": {200},
        "/metrics": {200}, "/rooms": {200}, "/endpoints": {200}, "/config": {200},
        "/why?peer=127.1.0.1": {200, 404}}
DRY_RUN = {200, 422, 503, 504}  # 422: the file has errors at the moment
ASKERS, FOLLOWERS, STALLERS = 4, 2, 8
FOLLOWED = {"conn-open", "conn-close", "conn-refused", "worker-died", "admin-died", "reloaded",
            "reload-refused", "lost"}


class Cut(Exception):
    """The connection ended before the answer had come."""


class Asker:
    """A connection to the admin process, made anew when it was cut."""

    def __init__(self, path):
        self.path, self.reader, self.writer = path, None, None

    async def open(self):
        if not self.writer:
            self.reader, self.writer = await asyncio.open_unix_connection(self.path)

    def leave(self):
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def head(self):
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        return int(first.split()[1]), dict(x.lower().split(": ", 1) for x in lines if x)

    async def exchange(self, method, target, body, headers):
        await self.open()
        head = {"Host": "ignyxd", "Content-Length": str(len(body)), **headers}
        lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
        self.writer.write(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        status, head = await self.head()
        said = await self.reader.readexactly(int(head["content-length"]))
        if head.get("connection") == "close":
            self.leave()
        return status, said

    async def ask(self, method, target, body=b"", **headers):
        """The status and the body; raises Cut when there was no whole answer."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.exchange(method, target, body, headers)
        except (OSError, asyncio.IncompleteReadError) as e:
            self.leave()
            raise Cut(str(e)) from e


class Hammer:
    def __init__(self, seed, path, rooms):
        self.random, self.path, self.rooms = random.Random(seed), path, rooms
        self.stopping = asyncio.Event()
        self.answers, self.events = collections.Counter(), collections.Counter()
        self.published = dict.fromkeys(rooms, 0)
        self.cut = self.stalled = 0
        self.problems = []

    async def pause(self, seconds):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.random.uniform(0, 2 * seconds)):
                await self.stopping.wait()

    def judge(self, target, status, body, wanted):
        self.answers[status] += 1
        if status not in wanted:
            self.problems.append(f"{target} was answered with {status}: {body[:200]!r}")
        elif target != "/metrics":
            json.loads(body)

    async def asks(self):
        a = Asker(self.path)
        while not self.stopping.is_set():
            method, target, wanted = "GET", *self.random.choice(list(GETS.items()))
            if self.random.random() < 0.15:
                method, target, wanted = "POST", "/reload?dry-run", DRY_RUN
            try:
                self.judge(target, *await a.ask(method, target), wanted)
            except Cut:
                self.cut += 1
            await self.pause(0.25)
        a.leave()

    async def follows(self):
        while not self.stopping.is_set():
            a = Asker(self.path)
            try:
                await a.open()
                a.writer.write(b"GET /events HTTP/1.1\r\nHost: ignyxd\r\n\r\n")
                status, _ = await a.head()
                self.answers[status] += 1
                if status != 200:
                    self.problems.append(f"/events was answered with {status}")
                await self.read_events(a)
            except (OSError, asyncio.IncompleteReadError):
                self.cut += 1
            a.leave()
            await self.pause(0.3)

    async def read_events(self, a):
        """Chunks of lines, until it is cut or all comes to an end."""
        ending = asyncio.create_task(self.stopping.wait())
        text = b""
        while True:
            size = asyncio.create_task(a.reader.readuntil(b"\r\n"))
            await asyncio.wait({size, ending}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                size.cancel()
                return
            text += (await a.reader.readexactly(int(await size, 16) + 2))[:-2]
            *lines, text = text.split(b"\n")
            for line in lines:
                event = json.loads(line)["event"]
                self.events[event] += 1
                if event not in FOLLOWED:
                    self.problems.append(f"an event of no known kind: {line!r}")

    async def stalls(self):
        """Says half of what it has to, or asks for much and reads nothing."""
        kinds = (b"GET /sta", b"GET /status HTTP/1.1\r\nHost: ign",
                 b"POST /publish/chat0 HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                 b"Content-Length: 1000\r\n\r\nhalf",
                 b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
        while not self.stopping.is_set():
            a = Asker(self.path)
            with contextlib.suppress(OSError):
                await a.open()
                a.writer.transport.pause_reading()
                a.writer.write(self.random.choice(kinds))
                self.stalled += 1
                await self.pause(4)
            a.leave()
            await self.pause(0.5)

    async def publish(self, a, path, n):
        """Until it is answered: sent again with the same key it is published once."""
        body, key = f"p 0 {n}".encode(), f"{path}-{n}"
        while True:
            try:
                status, said = await a.ask("POST", f"/publish{path}", body,
                                           **{"Content-Type": "text/plain",
                                              "Idempotency-Key": key})
            except Cut:
                self.cut += 1
                await asyncio.sleep(0.1)
                continue
            self.answers[status] += 1
            if status == 200:
                return
            if status != 503:
                self.problems.append(f"a publication got {status}: {said!r}")
                return
            await asyncio.sleep(0.1)

    async def publishes(self):
        a = Asker(self.path)
        while not self.stopping.is_set():
            path = self.random.choice(self.rooms)
            await self.publish(a, path, self.published[path])
            self.published[path] += 1
            await self.pause(0.2)
        a.leave()

    async def guard(self, what):
        try:
            await what
        except Exception as e:  # whatever it is, it is no answer
            self.problems.append(repr(e))

    async def live(self, pipe):
        work = [self.asks() for _ in range(ASKERS)] + [self.follows() for _ in range(FOLLOWERS)] + \
            [self.stalls() for _ in range(STALLERS)] + [self.publishes()]
        running = [asyncio.create_task(self.guard(w)) for w in work]
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        self.stopping.set()
        await asyncio.gather(*running)
        pipe.send({"problems": self.problems, "answers": dict(self.answers), "cut": self.cut,
                   "events": dict(self.events), "stalled": self.stalled,
                   "published": self.published})


def main(pipe, seed, path, rooms):
    async def live():
        await Hammer(seed, path, rooms).live(pipe)
    asyncio.run(live())
