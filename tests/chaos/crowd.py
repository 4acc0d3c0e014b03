"""The clients of the daemon, in a process of their own: members of rooms, and some that want echoes.

Each message names its sender, the sender's epoch and a number: "m12 3 45". An epoch is a connection
of its own: who loses one comes back with the next. What may be missing is what a sender has not
heard itself when its connection ended; all else is heard by everybody who is there, in one order.
That is looked at as it comes: of each message all who hear it have the same one before and behind
it, so that a gap, a double or another order of anybody contradicts what somebody else has heard.

The last of the rooms keep what is said: who comes back to one of them names the position of what was
heard last, and to such members the end of a connection is none. Behind the last message of one epoch
comes what others heard behind it, and nothing is missing at all.
"""

import asyncio
import collections
import contextlib
import json
import random
import re
import time

from raw import TEXT, Member

ROOMS, MEMBERS, ECHOES = 10, 30, 100
KEPT = 5  # of the rooms
COUNT = ROOMS * MEMBERS + ECHOES
PATIENCE = 180  # seconds for what has to come
PAUSE = 4  # seconds between two messages of a client, about
ECHO, PREFIX = b"Echo: ", "User: "
# of a close of a worker that a reload does not want any more
DRAINED = re.compile(r"drained(?: retry-after=([\d.]+)s)?")


def path_of(room):
    return f"/chat{room}" if room < ROOMS - KEPT else f"/kept{room}"


class Room:
    """What was heard there by all together."""

    def __init__(self, crowd, path):
        self.crowd, self.path = crowd, path
        self.behind, self.ahead = {}, {}  # a message: the one that came next, the one before it
        self.began = {}  # (sender, epoch): when its first one was sent

    def note(self, who, before, payload):
        """Somebody has heard this, and before it that, None at first."""
        self.behind.setdefault(payload, None)
        if before is None:
            return
        for known, a, b, word in ((self.behind, before, payload, "behind"),
                                  (self.ahead, payload, before, "before")):
            if known.get(a) is None:
                known[a] = b
            elif known[a] != b:
                self.crowd.complain(f"{who} in {self.path} heard {b!r} {word} {a!r}, "
                                    f"others {known[a]!r}")


class Epoch(Member):
    """A connection of a client."""

    def __init__(self, client):
        super().__init__(client.path)
        self.client, self.opened_at = client, None
        self.over = asyncio.Event()  # it was lost, or all comes to an end

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.over.set()


class Voice(Epoch):
    """One of a member of a room."""

    def __init__(self, client):
        super().__init__(client)
        self.last, self.numbers = None, {}
        self.ends = set()  # who has said that it is at the end

    def took(self, payload):
        self.heard(payload)

    def heard(self, payload):
        room, name = self.client.room, self.client.name
        who, epoch, n, *end = payload.decode().removeprefix(PREFIX).split()
        key, n = (who, epoch), int(n)
        first = room.began.get(key, 0) > (self.opened_at or time.monotonic())
        wanted = self.numbers[key] + 1 if key in self.numbers else 0 if first else n
        if n != wanted:
            self.client.crowd.complain(f"{name} in {room.path} heard {payload!r}, and not "
                                       f"number {wanted} of {who} {epoch}")
        self.numbers[key] = n
        room.note(name, self.last, payload)
        self.last = payload
        self.client.crowd.heard += 1
        if end:
            self.ends.add(who)


class Recovered(Voice):
    """One of a member that is told what it missed."""

    def __init__(self, client):
        super().__init__(client)
        if client.position:
            self.path += "?since=" + client.position

    def took(self, payload):
        said = json.loads(payload)
        getattr(self, "took_" + said["type"])(said)

    def took_joined(self, said):
        c = self.client
        if not c.position:
            c.position, c.came = said["position"], time.monotonic()
        elif said["recovered"]:
            c.crowd.recovered += 1
            self.last, self.numbers, self.ends = c.before.last, c.before.numbers, c.before.ends
        elif c.crowd.keeps:
            c.crowd.complain(f"{c.name} in {c.room.path} was not told all since {c.position}: {said}")
        else:
            c.came = time.monotonic()
        # what it heard until it came first, or was not told all, may have been said before
        self.opened_at = c.came
        c.before = self

    def took_message(self, said):
        self.client.position = said["position"]
        self.heard(said["data"].encode())


class Answers(Epoch):
    """One of a client that wants echoes."""

    def __init__(self, client):
        super().__init__(client)
        self.answered, self.wanted = 0, collections.deque()

    def took(self, payload):
        wanted = self.wanted.popleft() if self.wanted else None
        if payload != wanted:
            self.client.crowd.complain(f"{self.client.name} got {payload!r}, not {wanted!r}")
        self.answered += 1


class Client:
    """Comes back whenever its connection ends; each has an address of its own."""

    def __init__(self, crowd, number, name, path):
        self.crowd, self.name, self.path = crowd, name, path
        self.local = f"127.1.{number >> 8}.{number & 255}"
        self.epoch, self.conn, self.opened_at = -1, None, None

    async def come(self):
        """Until it is connected, however often it has to try."""
        pause = 0.05
        while True:
            conn = self.made()
            try:
                await conn.connect(self.crowd.address, PATIENCE, local_addr=(self.local, 0))
                break
            except ConnectionRefusedError as e:
                self.crowd.complain(f"{self.name}: nobody listens: {e}")
            except (AssertionError, OSError) as e:
                # its worker died with it in hand, which had not answered
                if conn.data or isinstance(e, AssertionError):
                    self.crowd.complain(f"{self.name} was not let in: {e}")
                self.crowd.ends["before it was open"] += 1
            await asyncio.sleep(self.crowd.random.uniform(pause / 2, pause))
            pause = min(2 * pause, 2)
        self.opened_at = time.monotonic()
        conn.opened_at = conn.opened_at or self.opened_at
        self.epoch += 1
        self.conn = conn

    async def note_end(self):
        """Why its connection ended; it comes back when it was told to, or soon."""
        c, drained = self.conn, DRAINED.fullmatch(self.conn.reason)
        self.conn = None
        if c.code is None:
            self.crowd.ends["with its worker"] += 1
            self.crowd.gone.append(f"{self.local}:{c.local_port}")
        elif c.code == 1012 and drained:
            self.crowd.ends["drained"] += 1
        else:
            self.crowd.complain(f"{self.name} was closed with {c.code} {c.reason!r}")
        wait = float(drained[1] or 0) if drained else 0
        await asyncio.sleep(wait + self.crowd.random.uniform(0.02, 0.3))

    async def live(self):
        while True:
            await self.come()
            self.crowd.connected += 1
            await self.speak(self.conn)
            self.crowd.longest = max(self.crowd.longest, time.monotonic() - self.opened_at)
            if not self.conn.lost:
                return
            self.crowd.connected -= 1
            if self.crowd.finishing.is_set():
                self.crowd.complain(f"{self.name}: its connection ended when nobody died: "
                                    f"{self.conn.code} {self.conn.reason!r}")
            await self.note_end()

    async def pause(self, c):
        """For a while, unless the connection ends or all comes to an end."""
        if self.crowd.finishing.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.crowd.random.uniform(PAUSE / 2, PAUSE * 1.5)):
                await c.over.wait()


class RoomMember(Client):
    def __init__(self, crowd, number, room):
        super().__init__(crowd, number, f"m{number}", room.path)
        self.room = room

    def made(self):
        return Voice(self)

    def say(self, c, n, word=""):
        payload = f"{self.name} {self.epoch} {n}{word}"
        if n == 0:
            self.room.began[self.name, str(self.epoch)] = time.monotonic()
        c.send(payload.encode(), TEXT)
        self.crowd.said += 1

    async def speak(self, c):
        n = 0
        await self.pause(c)
        while not c.lost and not self.crowd.finishing.is_set():
            self.say(c, n)
            n += 1
            await self.pause(c)
        if not c.lost:
            self.say(c, n, " end")
            n += 1
            await self.hear_the_end(c)
        self.crowd.unheard += n - c.numbers.get((self.name, str(self.epoch)), -1) - 1

    async def hear_the_end(self, c):
        """Of all members, and of who publishes there."""
        def all_of_them():
            return c.lost or len(c.ends) == MEMBERS + 1
        try:
            await c.until(all_of_them, "the end of all", PATIENCE)
        except AssertionError:
            self.crowd.complain(f"{self.name} in {self.path} heard the end of {len(c.ends)} "
                                f"instead of {MEMBERS + 1}")


class Rejoining(RoomMember):
    """Of a room that keeps what is said."""

    def __init__(self, crowd, number, room):
        super().__init__(crowd, number, room)
        # of what it heard last; the epoch in which it did; since when it has heard everything
        self.position, self.before, self.came = None, None, None

    def made(self):
        return Recovered(self)


class Echoed(Client):
    def __init__(self, crowd, number):
        super().__init__(crowd, number, f"e{number}", "/ws")

    def made(self):
        return Answers(self)

    async def speak(self, c):
        n = 0
        while not c.lost:
            said = f"{self.name} {self.epoch} {n}".encode()
            c.wanted.append(ECHO + said)
            c.send(said, TEXT)
            n += 1
            try:
                await c.until(lambda: c.lost or c.answered == n, "its echo", PATIENCE)
            except AssertionError as e:
                self.crowd.complain(f"{self.name}: {e}")
                return
            if c.lost or self.crowd.finishing.is_set():
                break
            await self.pause(c)
        self.crowd.echoes += c.answered
        self.crowd.unheard += n - c.answered


class Crowd:
    def __init__(self, seed, address, keeps):
        self.random, self.address = random.Random(seed), address
        self.keeps = keeps  # there is enough space for what is said while somebody is away
        self.finishing = asyncio.Event()
        self.problems, self.gone = [], []  # gone: peers whose worker must have died
        self.ends = collections.Counter()
        self.said = self.heard = self.echoes = self.unheard = self.connected = self.recovered = 0
        self.longest = 0  # seconds that a connection lasted
        self.rooms = [Room(self, path_of(i)) for i in range(ROOMS)]
        self.clients = [(RoomMember if i % ROOMS < ROOMS - KEPT else Rejoining)(
            self, i, self.rooms[i % ROOMS]) for i in range(ROOMS * MEMBERS)]
        self.clients += [Echoed(self, i) for i in range(ROOMS * MEMBERS, COUNT)]

    def complain(self, problem):
        self.problems.append(problem)

    async def all_are_there(self):
        end = time.monotonic() + PATIENCE
        while self.connected < COUNT and time.monotonic() < end:
            await asyncio.sleep(0.05)
        return self.connected

    def look_at_the_last(self):
        """All members of a room have heard the same to the end."""
        for room in self.rooms:
            last = {c.conn.last for c in self.clients if c.path == room.path and c.conn}
            if len(last) != 1:
                self.complain(f"the last that members of {room.path} heard is {last}")

    async def live(self, pipe):
        loop = asyncio.get_running_loop()
        running = [asyncio.create_task(c.live()) for c in self.clients]
        pipe.send(await self.all_are_there())
        # when the deeds are done
        await loop.run_in_executor(None, pipe.recv)
        pipe.send(await self.all_are_there())
        await loop.run_in_executor(None, pipe.recv)
        self.finishing.set()
        for c in self.clients:
            if c.conn:
                c.conn.over.set()
        done, late = await asyncio.wait(running, timeout=2 * PATIENCE)
        for task in done:
            if task.exception():
                self.complain(f"{task.exception()!r}")
        if late:
            self.complain(f"{len(late)} did not come to an end")
        self.look_at_the_last()
        pipe.send(self.told())
        for c in self.clients:
            if c.conn:
                c.conn.transport.abort()

    def told(self):
        return {"problems": self.problems, "gone": self.gone, "ends": dict(self.ends),
                "epochs": sum(c.epoch + 1 for c in self.clients), "longest": self.longest,
                "said": self.said, "heard": self.heard, "echoes": self.echoes,
                "unheard": self.unheard, "recovered": self.recovered}


def main(pipe, seed, address, keeps):
    async def live():
        await Crowd(seed, address, keeps).live(pipe)
    asyncio.run(live())
