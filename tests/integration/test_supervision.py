"""Workers that die or stand still: who notices, who does not, and what comes back."""

import asyncio
import collections
import ctypes
import os
import platform
import random
import re
import signal
import socket
import struct
import time
import zlib

import pytest

import stepper
from apart import needs_root, status_of
from asking import ask, scrape
from harness import (DEADLINE, LOCAL, SLOW, alive, descriptors, free_port, open_files, stand_still,
                     wait_until)
from raw import TEXT, Member, Raw, client_of, close, frame, request, run, text

DEBUG = {"log_level": "debug"}
PIDFD_GETFD = 438
DOING = r"(starting|waiting for events|accepting connections|serving a connection|" \
    "writing to a connection|delivering to rooms|looking at timers|reloading)"

# a sanitizer would catch some of the signals that a test sends
NO_HANDLERS = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
               ":handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0"}


def answer(address, path="/ws"):
    with Raw(address) as c:
        return c.upgrade(path).send(text("hi")).text()


async def member_of(d, slot, path="/chat"):
    while True:
        m = await Member.open(d.address, path)
        if d.worker_of(m.local_port) == slot:
            return m
        await m.end()


def kill_worker(d, slot, sig=signal.SIGKILL):
    """Kills the worker in a slot; returns its pid once it is gone."""
    pid = d.worker_at(slot)
    mark = d.log_size()
    os.kill(pid, sig)
    d.log_contains(rf"worker {slot} \(pid {pid}\) was ended by signal {sig.value} ", mark)
    return pid


# --- death ---


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_worker_that_dies_comes_back(daemon, sig):
    d = daemon(DEBUG, env=NO_HANDLERS, wrap=("sh", "-c", 'ulimit -c 0; exec "$@"', "sh"))
    d.expect_error("was ended by signal")
    with client_of(d, 0) as c, client_of(d, 1) as other:
        victim = kill_worker(d, 0, sig)
        d.wait_workers(2, but=[victim])
        d.log_count("worker 0 runs with pid", 2)
        [line] = d.log_count(rf"worker 0 \(pid {victim}\) was ended by signal", 1)
        assert re.match(rf"ignyxd\[master\]: error: worker 0 \(pid {victim}\) was ended by signal "
                        rf"{sig.value} \([A-Z][a-z ]+\) while {DOING}; [1-9] connections? w(as|ere) lost; "
                        rf"replaced by pid {d.worker_at(0)} event=worker-died", line)
        c.gone()
        other.send(text("still"))
        assert other.text() == "Echo: still"
        with client_of(d, 0) as again:
            again.send(text("hi"))
            assert again.text() == "Echo: hi"
    # one death is one entry, and no reason to wait
    d.log_count("event=worker-died", 1)
    assert "keeps dying" not in d.log()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE,
                                 signal.SIGUSR1, signal.SIGXFSZ])
def test_signals_that_are_not_for_workers(five, sig):
    """As a terminal sends them to all, or an operator to the wrong process."""
    before = five.workers()
    with Raw(five.address) as a, Raw(five.address) as b:
        a.upgrade()
        b.upgrade()
        for pid in before:
            os.kill(pid, sig)
        for c in (a, b):
            c.send(text("hi"))
            assert c.text() == "Echo: hi"
    assert five.workers() == before


def test_back_off(daemon):
    """Five deaths within a minute are made good at once; then others accept for it a while."""
    d = daemon(DEBUG)
    d.wear_out(0)
    lines = d.log_count("event=worker-died", 6)
    assert all("; replaced by pid " in x for x in lines[:5])
    assert re.search(r"; 0 connections were lost; it keeps dying: worker 1 accepts for it, "
                     r"starting it again in 1 s event=", lines[5])
    mark = d.log_size()
    for _ in range(40):
        assert answer(d.address) == "Echo: hi"
    used = set(re.findall(r"(worker \d)\]: info: opened", d.log(mark)))
    assert used == {"worker 1"}
    d.log_count("worker 0 runs with pid", 7)
    with client_of(d, 0) as c:
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    mark = d.log_size()
    kill_worker(d, 0)
    d.log_contains(r"worker 0 .*; it keeps dying: .*starting it again in 2 s", mark)
    # the other's deaths are its own
    kill_worker(d, 1)
    d.log_count("worker 1 runs with pid", 2)
    assert answer(d.address) == "Echo: hi"


def test_many_deaths(daemon):
    """One entry each; who connects at the same moment is served without a pause."""
    d = daemon({**DEBUG, "workers": 4})
    d.expect_error("was ended by signal 9")
    waited = []
    for n in range(40):
        slot = n % 3
        if n < 15:
            d.log_count(rf"worker {slot} runs with pid", 1 + n // 3)
        else:
            wait_until("that it runs or has nobody", lambda: d.workers())
        pid = d.worker_at(slot)
        if pid not in d.workers():
            continue
        os.kill(pid, signal.SIGKILL)
        since = time.monotonic()
        for c in [Raw(d.address).send(request("/ws"), text("hi")) for _ in range(8)]:
            assert c.response().status == 101
            assert c.text() == "Echo: hi"
            c.socket.close()
        waited.append(time.monotonic() - since)
    assert len(waited) >= 18, "beyond what is made good at once"
    d.log_count("event=worker-died", len(waited))
    # a pause would be a second at least; what remains is how busy this machine is
    assert max(waited) < 1 * SLOW


def test_back_off_with_one_worker(daemon):
    """Nobody can accept for it: the connections wait a second, and are served."""
    d = daemon({**DEBUG, "workers": 1})
    d.wear_out(0)
    d.log_contains("; it keeps dying: starting it again in 1 s")
    waiting = [Raw(d.address).send(request("/ws"), text("hi")) for _ in range(10)]
    for c in waiting:
        assert c.response().status == 101
        assert c.text() == "Echo: hi"
        c.socket.close()


def test_no_long_pause_when_all_keep_dying(daemon):
    """A pause grows only as long as there is somebody else who serves."""
    d = daemon(DEBUG)
    d.wear_out(0)
    for n in range(1, 3):
        d.log_count("worker 0 runs with pid", 6 + n)
        kill_worker(d, 0)
    d.log_contains("starting it again in 4 s")
    since = time.monotonic()
    d.wear_out(1)
    assert answer(d.address) == "Echo: hi"
    assert time.monotonic() - since < 3 * SLOW


def test_what_a_dead_worker_had_counts_no_more(daemon):
    d = daemon({**DEBUG, "max_connections": 4})
    d.expect_error("was ended by signal 9")
    held = [client_of(d, 0), client_of(d, 0), client_of(d, 0)]
    d.notify.wait(r"STATUS=2 workers, 3 connections")
    kill_worker(d, 0)
    d.log_contains("; 3 connections were lost; replaced by pid")
    for c in held:
        c.gone()
    d.notify.wait(r"STATUS=2 workers, 0 connections", len(d.notify.messages) - 1)
    d.log_count("worker 0 runs with pid", 2)
    again = [Raw(d.address).upgrade() for _ in range(4)]
    with Raw(d.address) as c:
        assert c.send(request("/ws")).response().status == 503
    for c in (*held, *again):
        c.socket.close()


def test_death_of_a_worker_that_retires(daemon):
    """Nobody comes in its place, and it is a death all the same, wherever deaths are counted."""
    d = daemon({**DEBUG, "drain_time": "1h"})
    d.expect_error("was ended by signal 9")
    with client_of(d, 1) as c:
        d.change(workers=1)
        d.reload()
        kill_worker(d, 1)
        c.gone()
    d.change(workers=2)
    d.reload()

    def counted():
        workers = ask(d, "/status")[1]["status"]["workers"]
        return [w["deaths"] for w in workers] == [0, 1]

    wait_until("its death in /status", counted)
    assert scrape(d)["ignyxd_worker_restarts_total", 'cause="signal"'] == 1


def test_who_had_not_asked_yet_counts_no_more_either(daemon):
    d = daemon({**DEBUG, "workers": 1})
    d.expect_error("was ended by signal 9")
    held = [Raw(d.address).send(b"GET /ws HT") for _ in range(3)]
    wait_until("that they are there", lambda: "3 before the upgrade" in state_of(d, 0))
    kill_worker(d, 0)
    d.log_count("worker 0 runs with pid", 2)
    for c in held:
        c.gone()
    with Raw(d.address) as c:
        c.upgrade()
        assert "1 connections, 0 before the upgrade" in state_of(d, 0)


# --- connections that wait in its queue ---


def queued_at(d, victim, count=40):
    """Clients of which some are in the queue of a worker that stands still, and have asked."""
    stand_still(victim)
    clients = [Raw(d.address).send(request("/ws"), text("hi")) for _ in range(count)]
    unanswered = []
    # the other worker has answered all of its own when it answers the last of these
    probes = [Raw(d.address).send(request("/ws"), text("hi")) for _ in range(count)]
    for c in clients + probes:
        c.socket.settimeout(0.05)
        try:
            c.fill()
        except TimeoutError:
            unanswered.append(c)
        c.socket.settimeout(DEADLINE)
    assert 0 < len(unanswered) < 2 * count
    return clients + probes


def check_all_served(clients):
    for c in clients:
        assert c.response().status == 101
        assert c.text() == "Echo: hi"
        c.socket.close()


def test_queue_of_a_killed_worker_is_served(daemon):
    d = daemon(DEBUG)
    d.expect_error("was ended by signal 9")
    clients = queued_at(d, d.worker_at(0), 15)
    kill_worker(d, 0)
    check_all_served(clients)


def test_queue_of_a_worker_in_back_off_is_served(daemon):
    """By another worker, at once."""
    d = daemon(DEBUG)
    d.wear_out(0)
    d.log_count("worker 0 runs with pid", 7)
    clients = queued_at(d, d.worker_at(0), 15)
    kill_worker(d, 0)
    d.log_contains("it keeps dying: worker 1 accepts for it, starting it again in 2 s")
    check_all_served(clients)
    assert len(re.findall("worker 0 runs with pid", d.log())) == 7, "it had not come back yet"


def state_of(d, slot):
    """What the daemon says of a slot when it is asked, which it does once a second at most."""
    mark = d.log_size()

    def asked():
        d.kill(signal.SIGUSR1)
        return re.search(rf"worker {slot}: .*", d.log(mark))

    return wait_until("its state in the log", asked).group()


@needs_root
@pytest.mark.parametrize("after", ["back-off", "standing still"])
def test_who_accepts_for_another_does_until_that_listens(daemon, after):
    """Not only until a new worker is forked, which may take its time to start."""
    d = daemon({**DEBUG, "worker_timeout": f"{int(3 * SLOW)}s"})
    d.expect_error("was ended by signal 9|has not moved for worker_timeout")
    own = open_files(d.worker_at(1))
    if after == "back-off":
        d.wear_out(0)
        child = stepper.stopped_child(d.pid)
    else:
        stand_still(d.worker_at(0))
        d.notify.wait("not responding: worker 0")
        assert "worker 1 accepts for it" in state_of(d, 0)
        child = stepper.stopped_child(d.pid)
    assert re.match(r"worker 0: starting, .*, worker 1 accepts for it", state_of(d, 0))
    files = open_files(d.worker_at(1))
    # more than a tick of the master, less than what makes the new one stand still
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        assert open_files(d.worker_at(1)) == files, "it goes on with the socket of the other"
        time.sleep(0.02)
    check_all_served([Raw(d.address).send(request("/ws"), text("hi")) for _ in range(20)])
    os.kill(child, signal.SIGCONT)
    d.log_contains(rf"worker 0 runs with pid {child}\b")
    with client_of(d, 0) as c:
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    assert "accepts" not in state_of(d, 0)
    wait_until("the other's socket to be given back", lambda: open_files(d.worker_at(1)) <= own)


def test_unix_socket_is_shared_by_all(daemon):
    d = daemon(DEBUG, start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[{"unix": path}])
    d.start()
    d.expect_error("was ended by signal 9")
    victim = d.worker_at(0)
    stand_still(victim)
    # the other serves all of them, whichever the kernel would have woken
    for _ in range(10):
        assert answer(path) == "Echo: hi"
    kill_worker(d, 0)
    for _ in range(10):
        assert answer(path) == "Echo: hi"


# --- standing still ---


def test_worker_that_stands_still(daemon):
    """Ended after worker_timeout, with an entry that names what it was doing."""
    d = daemon({**DEBUG, "worker_timeout": "1s"})
    d.expect_error("was ended by signal 9|has not moved for worker_timeout")
    # a whole daemon that stands still, as on a machine that sleeps, is another matter
    asleep = daemon({**DEBUG, "worker_timeout": "1s"})
    their_pids = (asleep.pid, *asleep.workers())
    with client_of(d, 0) as c, client_of(d, 1) as other:
        for pid in their_pids:
            stand_still(pid)
        victim = d.worker_at(0)
        stand_still(victim)
        line = d.log_contains("^.*has not moved for worker_timeout.*$").group()
        assert re.match(rf"ignyxd\[master\]: error: worker 0 \(pid {victim}\) has not moved for "
                        rf"worker_timeout while {DOING}; ending it event=worker-stuck", line)
        d.log_contains(rf"worker 0 \(pid {victim}\) was ended by signal 9 \(Killed\)")
        c.gone()
        other.send(text("still"))
        assert other.text() == "Echo: still"
    d.wait_workers(2, but=[victim])
    with client_of(d, 0) as c:
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    d.log_count("has not moved", 1)
    for pid in their_pids:
        os.kill(pid, signal.SIGCONT)
    held = [Raw(asleep.address).upgrade() for _ in range(3)]
    asleep.notify.wait("STATUS=2 workers, 3 connections")
    for c in held:
        c.socket.close()
    asleep.notify.wait("STATUS=2 workers, 0 connections", len(asleep.notify.messages) - 1)
    assert (asleep.pid, *asleep.workers()) == their_pids
    assert "worker_timeout" not in asleep.log()


# A worker that has work for longer than this, all of it asked for at once, is busy and not hung.
BUSY = {**DEBUG, "workers": 1, "worker_timeout": "1s", "max_message": "1M", "bus_lag": "2M",
        "bus_size": "8M"}
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}

# Seconds that it may take.
SLOW_WORK = 6 * DEADLINE

JSON_OF_A_MEGABYTE = b"[" + b"0," * ((1 << 19) - 2) + b"0]"

# A byte of it costs zlib hundreds of times what one of a common text does.
SLOW_TO_COMPRESS = "".join(random.Random(1).choices("ab", k=1 << 20))


def deflated(payload):
    z = zlib.compressobj(9, wbits=-15)
    return (z.compress(payload) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


def check_not_ended(d, c, path="/alive"):
    """The worker goes on with what comes after all that work."""
    line = d.log_contains("worker 0 runs with pid ([0-9]+)")
    with Raw(d.address, timeout=SLOW_WORK) as other:
        other.upgrade(path).send(text("hi"))
        assert other.text() == "hi"
    assert d.workers() == [int(line.group(1))], d.log()
    c.socket.close()


def busy(daemon, **endpoint):
    return daemon({**BUSY, "endpoints": [{"path": "/busy", **endpoint},
                                         {"path": "/alive", "behaviour": "echo"}]})


def test_bombs_for_notify_are_no_hang(daemon):
    """One read brings messages of 1 MiB each of JSON, in 1 KiB each."""
    d = busy(daemon, behaviour="notify", message="hi", compression={"enabled": True})
    bomb = frame(TEXT, deflated(JSON_OF_A_MEGABYTE), rsv=4)
    with Raw(d.address, timeout=SLOW_WORK) as c:
        c.upgrade("/busy", headers=DEFLATE)
        c.send(bomb * 60, text('{"content": "the last"}'))
        d.log_contains("Received JSON: the last", timeout=SLOW_WORK)
        check_not_ended(d, c)


def test_json_that_ends_at_once_is_no_hang(daemon):
    """Many clients have sent all but the last byte of a long JSON, and then send that."""
    d = busy(daemon, behaviour="notify", message="hi")
    sent = frame(TEXT, JSON_OF_A_MEGABYTE)
    clients = [Raw(d.address, timeout=SLOW_WORK).upgrade("/busy") for _ in range(60)]
    for c in clients:
        assert c.text() == '"hi"'
        c.send(sent[:-1])
    for c in clients:
        c.send(sent[-1:], close(1000))
    for c in clients:
        c.closed(1000)
    check_not_ended(d, clients[0])


def test_one_text_for_many_that_remember_is_no_hang(daemon):
    """With context takeover a room compresses a message for each member anew."""
    d = busy(daemon, behaviour="room", compression={"enabled": True, "level": 6,
                                                    "server_context_takeover": True})
    members = [Raw(d.address, timeout=SLOW_WORK).upgrade("/busy", headers=DEFLATE)
               for _ in range(20)]
    members[0].send(text(SLOW_TO_COMPRESS))
    for m in members:
        assert m.frame()[0] == 0xc1
        m.socket.close()
    check_not_ended(d, members[0])


def test_one_text_that_is_slow_to_compress_is_no_hang(daemon):
    """At level 9 half a megabyte of it takes seconds, and is one message."""
    d = busy(daemon, behaviour="echo", compression={"enabled": True, "level": 9})
    with Raw(d.address, timeout=SLOW_WORK) as c:
        c.upgrade("/busy", headers=DEFLATE)
        c.send(text(SLOW_TO_COMPRESS[:1 << 19]))
        assert c.frame()[0] == 0xc1
        check_not_ended(d, c)


def test_stopped_master_holds_nobody_up(five):
    with Raw(five.address) as c, Raw(five.address) as room:
        room.upgrade("/chat")
        stand_still(five.pid)
        try:
            c.upgrade().send(text("hi"))
            assert c.text() == "Echo: hi"
            room.send(text("hi"))
            assert room.text() == "User: hi"
        finally:
            os.kill(five.pid, signal.SIGCONT)
    five.reload()


# --- the master's death ---


def test_no_worker_outlives_the_master(daemon):
    d = daemon({"workers": 4})
    workers = d.workers()
    with Raw(d.address) as c:
        address = d.address
        c.upgrade()
        # some may see the end of its socket before the kernel ends them
        d.expect_error("the master is gone")
        d.kill(signal.SIGKILL)
        assert d.wait() == -signal.SIGKILL
        c.gone()
    wait_until("the end of the workers", lambda: not any(map(alive, workers)))
    with pytest.raises(ConnectionRefusedError):
        Raw(address)


def test_worker_that_stands_still_does_not_outlive_the_master(daemon):
    """It sees no end of a socket: the kernel ends it."""
    d = daemon({"workers": 1})
    # the admin process may see one
    d.expect_error("the master is gone")
    worker, = d.workers()
    stand_still(worker)
    d.kill(signal.SIGKILL)
    assert d.wait() == -signal.SIGKILL
    wait_until("the end of the worker", lambda: not alive(worker))


def test_start_after_a_master_was_killed(daemon, directory):
    """What it left - pid file, unix socket - is in nobody's way."""
    port = free_port()
    path = os.path.join(directory, "ws.sock")
    settings = {"listen": [{"address": "127.0.0.1", "port": port}, {"unix": path}],
                "runtime_dir": directory}
    first = daemon(settings)
    workers = first.workers()
    first.expect_error("the master is gone")
    first.kill(signal.SIGKILL)
    first.wait()
    wait_until("the end of the workers", lambda: not any(map(alive, workers)))
    assert os.path.exists(path)
    second = daemon(settings)
    assert answer(second.address) == answer(path) == "Echo: hi"


# --- rooms ---


class Crowd:
    """Members of /chat who all speak; each checks what it can when all is over."""

    def __init__(self):
        self.members = {}
        self.said = collections.Counter()

    async def add(self, d, name, slot):
        self.members[name] = await member_of(d, slot)

    async def speak(self, name, stop, pause):
        m = self.members[name]
        while not stop.is_set() and not m.lost:
            m.send(b"%s %d" % (name.encode(), self.said[name]))
            self.said[name] += 1
            await asyncio.sleep(pause)

    def spoken(self, name):
        """What that member was seen to say, by the first survivor."""
        begin = f"User: {name} ".encode()
        first = next(m for m in self.members.values() if not m.lost)
        return [int(x[len(begin):]) for x in first.messages if x.startswith(begin)]


def test_members_do_not_notice_the_death_of_other_workers(daemon):
    """Workers 2 and 3 are killed again and again: for the others no gap, no double, one order."""
    d = daemon({**DEBUG, "workers": 4})
    d.expect_error("was ended by signal 9")
    crowd = Crowd()
    survivors = [f"s{i}" for i in range(8)]

    async def client():
        stop = asyncio.Event()
        for i, name in enumerate(survivors):
            await crowd.add(d, name, i % 2)
        speakers = [asyncio.create_task(crowd.speak(n, stop, 0.001)) for n in survivors]
        victims = []
        for n, slot in enumerate((2, 3, 2, 3, 2)):
            await asyncio.to_thread(d.log_count, rf"worker {slot} runs with pid", 1 + n // 2)
            # in its own words: a member that is there when the worker dies, speaking
            name = f"v{n}"
            await crowd.add(d, name, slot)
            speakers.append(asyncio.create_task(crowd.speak(name, stop, 0)))
            victims.append(name)
            m = crowd.members[name]
            await m.until(lambda m=m: m.messages, "that it hears something")
            os.kill(d.worker_at(slot), signal.SIGKILL)
            await m.until(lambda m=m: m.lost, "its end")
        stop.set()
        await asyncio.gather(*speakers)
        for name in survivors:
            m = crowd.members[name]
            m.send(b"end")
        living = [crowd.members[n] for n in survivors]
        for m in living:
            await m.until(lambda m=m: m.messages.count(b"User: end") == len(living), "the end")
        first = living[0].messages
        for m in living:
            # they joined one after the other; the first has heard all
            assert not m.lost
            assert m.messages == first[len(first) - len(m.messages):]
        for name in survivors:
            assert crowd.spoken(name) == list(range(crowd.said[name])), name
        for name in victims:
            # what it said last may be lost with its worker, but nothing before it
            heard = crowd.spoken(name)
            assert heard == list(range(len(heard))), name
            # and what it heard is a run of what all heard
            mine = b"\n".join(crowd.members[name].messages) + b"\n"
            assert mine in b"\n".join(first) + b"\n"
        await asyncio.gather(*(m.end() for m in living))

    run(client())
    d.log_count("was ended by signal 9", 5)


def test_members_of_a_worker_that_stands_still_hold_up_and_then_not(daemon):
    """Its cursor is back-pressure on all; when it is ended the others go on without a gap."""
    d = daemon({**DEBUG, "workers": 2, "worker_timeout": "1s", "bus_lag": "16K",
                "max_message": "16K", "bus_size": "256K"})
    d.expect_error("was ended by signal 9|has not moved for worker_timeout")
    total = 60

    async def client():
        slow = await member_of(d, 0)
        speaker = await member_of(d, 1)
        listener = await member_of(d, 1)
        stand_still(d.worker_at(0))
        for n in range(total):
            speaker.send(b"%03d" % n + b"." * 2000)
        await speaker.count(5)
        assert len(speaker.messages) < total, "nothing may be lost for the one that stands still"
        await asyncio.gather(speaker.count(total), listener.count(total))
        assert speaker.messages == listener.messages
        assert [int(m[6:9]) for m in speaker.messages] == list(range(total))
        await slow.until(lambda: slow.lost, "its end")

    run(client())


def test_who_waits_for_the_bus_is_not_idle(daemon):
    """Nothing is read from it, neither messages nor pongs: its silence is the daemon's own."""
    short, long = f"{int(400 * SLOW)}ms", f"{int(2000 * SLOW)}ms"
    d = daemon({**DEBUG, "workers": 2, "worker_timeout": long, "bus_lag": "16K",
                "max_message": "16K", "bus_size": "256K", "idle_timeout": short,
                "message_timeout": short,
                "ping_interval": short, "ping_timeout": short})
    d.expect_error("was ended by signal 9|has not moved for worker_timeout|the rooms wait for it")

    async def client():
        await member_of(d, 0)
        speaker = await member_of(d, 1)
        stand_still(d.worker_at(0))
        for n in range(60):
            speaker.send(b"%03d" % n + b"." * 2000)
        await speaker.count(60)
        assert not speaker.lost

    run(client())


def bus_of(d):
    """The file that is the memory of its bus."""
    [n] = [n for n, what in descriptors(d.pid).items() if "memfd:ignyx-bus" in what]
    return f"/proc/{d.pid}/fd/{n}"


def ring_in(f):
    """Where the ring begins in that file and how long it is, as the file's header says."""
    magic, _, _, begin, size = struct.unpack("16s4Q", os.pread(f.fileno(), 48, 0))
    assert magic.rstrip(b"\0") == b"ignyx-bus"
    return begin, size


@needs_root
def test_bus_that_is_corrupt(daemon):
    """The worker that finds it ends, the master makes a new one, and all begin anew."""
    d = daemon({**DEBUG, "bus_size": "1M"})
    d.expect_error("bus corrupt|exited with status|was ended by signal 9")
    with client_of(d, 0, "/chat") as reader, client_of(d, 1, "/chat") as writer:
        victim, other = d.worker_at(0), d.worker_at(1)
        stand_still(victim)
        writer.send(text("hi"))
        assert writer.text() == "User: hi"
        with open(bus_of(d), "r+b", buffering=0) as f:
            begin, size = ring_in(f)
            assert size == 1 << 20
            os.pwrite(f.fileno(), b"\xff" * size, begin)
        os.kill(victim, signal.SIGCONT)
        d.log_contains(r"worker 0\]: error: bus corrupt: .* event=bus-corrupt")
        reader.gone()
        writer.gone()
    d.wait_workers(2, but=[victim, other])
    d.log_count(r"worker \d runs with pid", 4)
    with client_of(d, 0, "/chat") as a, client_of(d, 1, "/chat") as b:
        a.send(text("anew"))
        assert a.text() == b.text() == "User: anew"
    with open(bus_of(d), "rb", buffering=0) as f:
        begin, size = ring_in(f)
        assert os.pread(f.fileno(), 4096, begin + size - 4096) == bytes(4096), "it is the old one"


# --- held up ---


def test_new_clients_of_a_stopped_worker_are_served(daemon):
    """After a second without a beat another accepts for it; when it moves, it does so itself."""
    d = daemon({**DEBUG, "worker_timeout": "1h", "workers": 3})
    pids = d.workers()
    victims = [d.worker_at(0), d.worker_at(1)]
    clients = queued_at(d, victims[0], 20)
    # and a second one, which may be the one that accepts for the first
    stand_still(victims[1])
    clients += [Raw(d.address).send(request("/ws"), text("hi")) for _ in range(20)]
    check_all_served(clients)
    d.notify.wait(r"STATUS=3 workers, \d+ connections; not responding: worker 0, 1$")
    for pid in victims:
        os.kill(pid, signal.SIGCONT)
    d.notify.wait(r"STATUS=3 workers, \d+ connections$", len(d.notify.messages) - 1)
    for slot in range(3):
        with client_of(d, slot) as c:
            c.send(text("hi"))
            assert c.text() == "Echo: hi"
    assert d.workers() == pids
    assert "worker-died" not in d.log()


def test_reload_while_another_accepts_for_a_stopped_worker(daemon):
    """It goes on until the stopped one is replaced, by one that has the new configuration."""
    d = daemon({**DEBUG, "worker_timeout": "1h", "workers": 2})
    d.expect_error("has not answered for 2 s whether it can reload|was ended by signal 9")
    victim = d.worker_at(0)
    stand_still(victim)
    d.notify.wait("not responding: worker 0$")
    d.change(listen=[LOCAL, {"address": "127.0.0.2", "port": 0}])
    d.kill(signal.SIGHUP)
    port = d.port_of("127.0.0.2")
    clients = [Raw(address).send(request("/ws"), text("hi"))
               for address in [d.address, ("127.0.0.2", port)] for _ in range(12)]
    check_all_served(clients)
    d.log_contains("configuration reloaded: ")
    d.wait_workers(2, but=[victim])
    for slot in range(2):
        with client_of(d, slot) as c:
            c.send(text("hi"))
            assert c.text() == "Echo: hi"


def test_listener_that_is_removed_while_another_accepts_on_it(daemon):
    """Who has adopted it lets it go, too: nobody is left who listens there."""
    d = daemon({**DEBUG, "listen": [LOCAL, {"address": "127.0.0.2", "port": 0}]})
    gone = ("127.0.0.2", d.port_of("127.0.0.2"))
    d.wear_out(0)
    d.log_count("worker 0 runs with pid", 7)
    kill_worker(d, 0)
    d.log_contains("it keeps dying: worker 1 accepts for it, starting it again in 2 s")
    assert answer(gone) == "Echo: hi"
    d.change(listen=[LOCAL])
    d.reload()
    with pytest.raises(ConnectionRefusedError):
        Raw(gone)
    check_all_served([Raw(d.address).send(request("/ws"), text("hi")) for _ in range(20)])


def test_queue_of_a_retiring_worker_that_stands_still_is_served(daemon):
    """Nobody has to wait for it, be it with connections that it has not accepted or new ones."""
    d = daemon({**DEBUG, "worker_timeout": "1h"})
    clients = queued_at(d, d.worker_at(1), 15)
    d.change(workers=1)
    d.kill(signal.SIGHUP)
    check_all_served(clients)
    check_all_served([Raw(d.address).send(request("/ws"), text("hi")) for _ in range(20)])
    os.kill(d.worker_at(1), signal.SIGCONT)
    d.log_contains("configuration reloaded: ")
    d.log_contains("worker 1 retired")
    assert answer(d.address) == "Echo: hi"


def test_queue_of_a_worker_in_back_off_that_is_not_wanted_any_more(daemon):
    """Who accepts for it may be at something else when a reload says so."""
    d = daemon({**DEBUG, "worker_timeout": "1h"})
    d.wear_out(1)
    os.kill(d.pid, signal.SIGSTOP)
    # the master has not seen that it stands still when it reloads
    adopter = d.worker_at(0)
    stand_still(adopter)
    # more for each socket than it accepts before it looks at what else there is
    clients = [Raw(d.address).send(request("/ws"), text("hi")) for _ in range(240)]
    d.change(workers=1)
    at = len(d.notify.messages)
    d.kill(signal.SIGHUP)
    os.kill(d.pid, signal.SIGCONT)
    d.notify.wait("^RELOADING=1$", at)
    os.kill(adopter, signal.SIGCONT)
    check_all_served(clients)


def is_refused(address):
    try:
        Raw(address).socket.close()
        return False
    except ConnectionRefusedError:
        return True


def test_queue_of_a_listener_that_is_removed(daemon):
    """Who waits there when the worker learns of it is served; who comes then is refused."""
    d = daemon({"workers": 1,
                "listen": [LOCAL, {"address": "127.0.0.2", "port": 0, "accept_rate": 1}]})
    gone = ("127.0.0.2", d.port_of("127.0.0.2"))
    clients = [Raw(gone).send(request("/ws"), text("hi")) for _ in range(240)]
    d.change(listen=[LOCAL])
    d.reload()
    check_all_served(clients)
    wait_until("that nobody is let in", lambda: is_refused(gone))


def test_reload_that_a_worker_does_not_answer(daemon):
    """It has 2 s, whatever worker_timeout: then another begins with what is decided."""
    d = daemon({**DEBUG, "worker_timeout": "1h"})
    d.expect_error("has not answered for 2 s whether it can reload|was ended by signal 9")
    victim = d.worker_at(1)
    stand_still(victim)
    since = time.monotonic()
    mark = d.log_size()
    d.change(endpoints=[{"path": "/new", "behaviour": "echo", "prefix": "Echo: "}])
    d.kill(signal.SIGHUP)
    d.log_contains(rf"worker 1 \(pid {victim}\) has not answered for 2 s whether it can reload while {DOING}; "
                   "ending it event=worker-stuck", mark)
    assert time.monotonic() - since > 1.5
    d.log_contains("configuration reloaded: ", mark)
    assert len(d.wait_workers(2, but=[victim])) == 2
    d.log_count("ending it", 1, mark)
    # its successor was never of the old one
    d.log_contains(r"worker 1\]: debug: worker 1 runs with pid", mark)
    d.kill(signal.SIGUSR1)
    d.log_count(r"worker \d+: running, pid \d+, generation 2,", 2, mark)
    check_all_served([Raw(d.address).send(request("/new"), text("hi")) for _ in range(20)])


def pending(pid, sig):
    return int(status_of(pid)["ShdPnd"], 16) >> (sig - 1) & 1


def test_many_reloads_while_a_worker_reads_nothing(daemon):
    """It is replaced once; the others serve, and the last reload is done."""
    d = daemon({**DEBUG, "workers": 3, "worker_timeout": "1h"})
    d.expect_error("has not answered for 2 s whether it can reload|was ended by signal 9")
    victim = d.worker_at(1)
    with client_of(d, 0) as c:
        stand_still(victim)
        d.notify.wait("not responding: worker 1")
        for _ in range(100):
            d.kill(signal.SIGHUP)
            wait_until("that it was taken", lambda: not pending(d.pid, signal.SIGHUP))
        check_all_served([Raw(d.address).send(request("/ws"), text("hi")) for _ in range(20)])
        d.log_contains("configuration reloaded: ")
        d.notify.wait("reloaded ")
        d.reload()
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    assert len(d.wait_workers(3, but=[victim])) == 3
    d.log_count("ending it", 1)


def control_of(pid):
    """A copy of a worker's end of what it and the master talk over."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        fd = libc.syscall(PIDFD_GETFD, process, int(name), 0)
        if fd < 0:
            continue
        try:
            s = socket.socket(fileno=fd)
            if (s.family, s.type) == (socket.AF_UNIX, socket.SOCK_STREAM):
                os.close(process)
                return s
            s.close()
        except OSError:
            os.close(fd)
    raise AssertionError("it has none")


@needs_root
@pytest.mark.parametrize("said", [b"\x41\0\0\0" b"\0\0\0\0" b"\7\0\0\0" b"\0\0\0\0", b"\xff" * 100])
def test_worker_that_tells_the_master_what_cannot_be(daemon, said):
    """It is replaced, and nobody else notices."""
    d = daemon(DEBUG)
    d.expect_error("told the master what cannot be|was ended by signal 9")
    victim, other = d.worker_at(1), d.worker_at(0)
    with control_of(victim) as s:
        s.send(said)
    d.log_contains(rf"worker 1 \(pid {victim}\) told the master what cannot be while {DOING}; ending "
                   "it event=worker-stuck")
    d.wait_workers(2, but=[victim])
    d.log_count("worker 1 runs with pid", 2)
    assert d.worker_at(0) == other
    d.reload()


def test_stopped_worker_holds_up_its_own_rooms_alone(daemon):
    """Others take many times bus_lag while it stands still, and so nobody has to end it for them."""
    d = daemon({**DEBUG, "workers": 3, "worker_timeout": "1h", "bus_lag": "16K",
                "max_message": "16K", "bus_size": "1M",
                "endpoints": [{"path": p, "behaviour": "room"} for p in ("/its", "/other")]})
    d.expect_error("was ended by signal 9|stands still, and the rooms wait for it")
    total = 60

    async def client():
        slow = await member_of(d, 0, "/its")
        waiting = await member_of(d, 1, "/its")
        speaker = await member_of(d, 1, "/other")
        listener = await member_of(d, 2, "/other")
        victim = d.worker_at(0)
        stand_still(victim)
        for n in range(total):
            speaker.send(b"%03d" % n + b"." * 8000)
        await asyncio.gather(speaker.count(total), listener.count(total))
        assert speaker.messages == listener.messages
        assert alive(victim), "nobody waits for it yet"

        # its own rooms: one message, for it has read the last; the next ones wait for it
        for n in range(3):
            waiting.send(b"%03d" % n)
        await waiting.count(1)
        for n in range(total):
            speaker.send(b"%03d" % n)
        await asyncio.gather(speaker.count(2 * total), listener.count(2 * total))
        await waiting.count(3)
        assert [int(m) for m in waiting.messages] == [0, 1, 2]
        await slow.until(lambda: slow.lost, "its end")

    run(client())
    d.log_count("event=worker-died", 1)


def test_stopped_worker_that_the_rooms_wait_for(daemon):
    """It is replaced after two seconds, whatever worker_timeout; one that nobody waits for is not."""
    d = daemon({**DEBUG, "workers": 3, "worker_timeout": "1h", "bus_lag": "16K",
                "max_message": "16K", "bus_size": "256K"})
    d.expect_error("was ended by signal 9|stands still, and the rooms wait for it")
    total = 60

    async def client():
        slow = await member_of(d, 0)
        speaker = await member_of(d, 1)
        victim, idle = d.worker_at(0), d.worker_at(2)
        stand_still(victim)
        stand_still(idle)
        since = time.monotonic()
        for n in range(total):
            speaker.send(b"%03d" % n + b"." * 2000)
        await speaker.count(5)
        assert len(speaker.messages) < total
        await speaker.count(total)
        # ticks of the master, which may be late on a busy machine, but not early
        assert 1.5 < time.monotonic() - since < 2.5 + 2 * SLOW
        await slow.until(lambda: slow.lost, "its end")
        d.log_contains(rf"worker 0 \(pid {victim}\) stands still, and the rooms wait for it, while "
                       rf"{DOING}; ending it event=worker-stuck")
        assert alive(idle)
        os.kill(idle, signal.SIGCONT)

    run(client())
    d.log_count("event=worker-died", 1)


@needs_root
@pytest.mark.skipif(platform.machine() != "x86_64", reason="it is stepped through with x86's registers")
@pytest.mark.parametrize("where", ["taken", "given back"])
def test_worker_that_stands_still_with_the_lock(daemon, where):
    """With the first instruction after it was taken, or the last before it is free: it is ended."""
    # steps take long on a busy machine
    d = daemon({**DEBUG, "worker_timeout": "1h", "ping_interval": "0"})
    d.expect_error("holds the lock of the bus|was ended by signal 9")
    with client_of(d, 0, "/chat") as speaker, client_of(d, 1, "/chat") as other:
        victim, stays = d.worker_at(0), d.worker_at(1)
        # the room's first is another way through; and so are other lengths
        speaker.send(text("a"))
        assert speaker.text() == other.text() == "User: a"
        with open(bus_of(d), "rb", buffering=0) as f:
            with stepper.Traced(victim) as t:
                speaker.send(text("b"))
                steps = t.count_while_held(f)
            assert speaker.text() == other.text() == "User: b"
            with stepper.Traced(victim) as t:
                speaker.send(text("c"))
                t.stop_when_held(f, 0 if where == "taken" else steps - 1)
        d.log_contains(rf"worker 0 \(pid {victim}\) holds the lock of the bus while {DOING}; "
                       "ending it")
        d.log_count(r"worker 0 runs with pid", 2)
        other.send(text("hi"))
        said = other.text()
        assert (other.text() if said == "User: c" else said) == "User: hi"
        with client_of(d, 0, "/chat") as back:
            back.send(text("back"))
            assert other.text() == back.text() == "User: back"
        assert d.worker_at(1) == stays


def test_deaths_leave_no_files_open(daemon):
    """What the master keeps for a slot is used again, not made again."""
    d = daemon({**DEBUG, "workers": 16})
    d.expect_error("was ended by signal 9")

    # one may be open for a moment, such as the socket of a notification
    most = open_files(d.pid) + 1
    for slot in range(16):
        os.kill(d.worker_at(slot), signal.SIGKILL)
    for slot in range(16):
        d.log_count(rf"worker {slot} runs with pid", 2)
    wait_until("as many open files as before", lambda: open_files(d.pid) <= most)
    assert len(d.workers()) == 16
    assert answer(d.address) == "Echo: hi"
