"""Signals: those that mean something, those that mean nothing, and what a parent did to them."""

import os
import re
import signal
import sys

import pytest

import strange
from harness import free_port, wait_until
from raw import Raw, text

UNUSED = [signal.SIGUSR2, signal.SIGQUIT, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
          signal.SIGIO, signal.SIGPWR, signal.SIGSTKFLT, signal.SIGRTMIN, signal.SIGRTMIN + 7,
          signal.SIGRTMAX]


def begun(daemon, *what, settings=None):
    """A daemon that somebody began so, see strange.py."""
    return daemon(settings, start=False, wrap=(sys.executable, strange.__file__, *what, "--"))


def check_serves(d):
    with Raw(d.address) as c:
        c.upgrade().send(text("hi"))
        assert c.text() == "Echo: hi"


# --- what it was begun with ---


@pytest.mark.parametrize("what", ["blocked=SIGCHLD", "ignored=SIGCHLD", "blocked=all",
                                  "ignored=all"])
def test_signals_that_its_parent_blocked_or_ignored(daemon, what):
    """A worker's death is seen, a reload is answered, and it can be stopped all the same."""
    d = begun(daemon, what, settings={"log_level": "debug"}).start()
    d.expect_error("was ended by signal 9")
    victim = d.worker_at(0)
    os.kill(victim, signal.SIGKILL)
    d.log_contains(rf"worker 0 \(pid {victim}\) was ended by signal 9")
    d.wait_workers(2, but=[victim])
    d.reload()
    check_serves(d)
    assert d.stop() == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_blocked_signal_for_the_master(daemon, sig):
    d = begun(daemon, f"blocked={sig.name}", f"ignored={sig.name}").start()
    if sig == signal.SIGHUP:
        d.reload()
    else:
        assert d.stop(sig) == 0


def test_workers_have_no_blocked_signals(daemon):
    """Nor does one ignore what tells of a fault."""
    d = begun(daemon, "blocked=all", "ignored=all").start()
    for pid in d.workers():
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = dict(line.split(":\t", 1) for line in f if line.startswith("Sig"))
        assert int(status["SigBlk"], 16) == 0
        for fault in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL):
            assert not int(status["SigIgn"], 16) >> fault - 1 & 1


# --- those that mean nothing ---


@pytest.mark.parametrize("sig", UNUSED, ids=str)
def test_signal_that_nobody_uses(five, sig):
    """As `systemctl kill` sends it, to all: it ends nobody, and the master says that it came."""
    before = (five.pid, *five.workers())
    with Raw(five.address) as c:
        c.upgrade()
        for pid in before:
            os.kill(pid, sig)
        line = five.log_contains(rf"^.*signal {sig} .*$").group()
        assert re.fullmatch(rf"ignyxd\[master\]: warning: signal {sig} \([^)]+\) is not used; see "
                            r"ignyxd\(8\) event=signal-unused", line)
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    five.reload()
    assert (five.pid, *five.workers()) == before
    five.log_count(f"signal {sig} ", 1)


def test_signal_that_nobody_uses_before_it_is_ready(daemon):
    d = daemon({"bus_size": "64M"}, start=False).launch()
    path = os.path.join(d.directory, "ignyxd.pid")
    wait_until("the process id", lambda: os.path.exists(path) and os.path.getsize(path))
    for sig in (*UNUSED, signal.SIGUSR1):
        d.kill(sig)
    d.log_contains("ready: 2 workers")
    check_serves(d)


def test_signals_in_a_loop_do_not_flood_the_log(five):
    """One entry on each a second."""
    for _ in range(3000):
        five.kill(signal.SIGUSR1)
        five.kill(signal.SIGUSR2)
    five.reload()
    seconds = 30
    assert 0 < five.log().count("event=signal-unused") < seconds
    assert 0 < five.log().count("info: state: ") < seconds


# --- the state ---


@pytest.mark.parametrize("level", ["error", "info"])
def test_state_on_demand(daemon, level):
    """SIGUSR1 has the master log what it knows: of all and of each worker, at any log_level."""
    port = free_port()
    d = daemon({"log_level": level, "listen": [{"address": "127.0.0.1", "port": port}]})
    pids = d.workers()
    clients = [Raw(("127.0.0.1", port)).upgrade() for _ in range(3)]
    mark = d.log_size()
    d.kill(signal.SIGUSR1)
    d.log_contains(r"ignyxd\[master\]: info: state: 2 workers, 3 connections, generation 1 "
                   "event=state", mark)
    lines = d.log_count(r"worker \d: running, pid \d+, generation 1, \d connections, 0 before the "
                        r"upgrade, [a-z ]+, last moved \d+ ms ago event=state", 2, mark)
    assert sorted(int(re.search(r"pid (\d+)", x).group(1)) for x in lines) == pids
    assert sum(int(re.search(r"(\d) connections", x).group(1)) for x in lines) == 3
    for c in clients:
        c.socket.close()
