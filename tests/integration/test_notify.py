"""What the service manager is told, by a real notify socket."""

import os
import re
import resource
import signal
import subprocess
import time

import pytest

from apart import AS_NOBODY, give_to_nobody, needs_root
from harness import FIVE, children, config_text, stand_still, wait_until
from raw import Raw

# these hold for the process that the shell becomes
WATCHED = ("sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh")


TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def fields(message):
    return dict(line.split("=", 1) for line in message.splitlines())


def count(d, regex, since=0):
    return sum(1 for _, t in d.notify.messages[since:] if re.search(regex, t, re.M))


def test_ready_once(daemon):
    d = daemon()
    sender, message = d.notify.messages[0]
    assert sender == d.pid
    assert fields(message) == {"READY": "1", "STATUS": "2 workers, 0 connections"}
    with Raw(d.address) as c:
        c.upgrade()
        d.notify.wait("STATUS=2 workers, 1 connections")
    assert count(d, "^READY=1$") == 1


def test_ready_waits_for_every_worker(daemon):
    """A worker is stopped before it listens: the others serve, but the daemon is not ready."""
    for _ in range(10):
        d = daemon({"workers": 16, "log_level": "debug", "admin": {"enabled": False}},
                   start=False).launch()
        seen = set()

        def stopped(d=d, seen=seen):
            for pid in set(children(d.pid)) - seen:
                os.kill(pid, signal.SIGSTOP)
                seen.add(pid)
            return len(seen) == 16

        wait_until("all workers", stopped)
        late = [pid for pid in seen if f"runs with pid {pid} " not in d.log()]
        for pid in seen - set(late[:1]):
            os.kill(pid, signal.SIGCONT)
        if late:
            break
    else:
        pytest.fail("the workers were always faster than this test")
    d.log_count("runs with pid", 15)
    assert d.notify.find("READY=1") is None
    os.kill(late[0], signal.SIGCONT)
    d.notify.wait("READY=1")
    d.log_count("runs with pid", 16)


def test_reload(five):
    at = len(five.notify.messages)
    before = time.monotonic_ns() // 1000
    five.change(workers=3)
    five.reload()
    after = time.monotonic_ns() // 1000
    (first_pid, first), (second_pid, second) = five.notify.messages[at:at + 2]
    assert first_pid == second_pid == five.pid
    reloading = fields(first)
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= after
    assert "READY" not in reloading
    assert fields(second)["READY"] == "1"
    assert re.fullmatch(rf"3 workers, 0 connections; reloaded {TIME}", fields(second)["STATUS"])


def test_each_reload_has_its_own_time(five):
    for _ in range(3):
        five.reload()
    times = [int(fields(t)["MONOTONIC_USEC"]) for _, t in five.notify.messages if "RELOADING" in t]
    assert len(times) == 3
    assert times == sorted(set(times))


def test_refused_reload(five):
    five.expect_error("reload refused|unknown setting")
    at = len(five.notify.messages)
    five.change(workerz=3)
    five.reload(expect=False)
    texts = [t for _, t in five.notify.messages[at:]]
    assert fields(texts[0])["RELOADING"] == "1"
    assert fields(texts[1])["READY"] == "1"
    assert re.fullmatch(rf"2 workers, 0 connections; reload refused {TIME}: "
                        rf'{five.place("workerz")}: unknown setting "workerz" \(did you mean '
                        r'"workers"\?\)', fields(texts[1])["STATUS"])


def test_the_status_keeps_the_outcome_of_the_last_reload(five):
    """Its first error, and how many there were; one line whatever the file says, until the next."""
    five.expect_error("reload refused|unknown behaviour|unknown setting")
    five.change(endpoints=[*FIVE[:4], {"path": "/x", "behaviour": "a\\nMAINPID=1\\x1b\\xff"}],
                workerz=1)
    five.write(config_text(five.settings).replace("\\\\", "\\"))
    five.reload(expect=False)
    five.notify.wait(r"^STATUS=2 workers, 0 connections; reload refused \S+ \S+: "
                     rf"{five.place('/x')}: .*unknown behaviour \"a.*MAINPID=1.* \(and 1 more\)$")
    assert not any("MAINPID" in fields(text) for _, text in five.notify.messages)
    with Raw(five.address) as c:
        c.upgrade()
        five.notify.wait(r"^STATUS=2 workers, 1 connections; reload refused .*\(and 1 more\)$")
    del five.settings["workerz"]
    five.change(endpoints=FIVE)
    at = len(five.notify.messages)
    five.reload()
    five.notify.wait(rf"^STATUS=2 workers, \d connections; reloaded {TIME}$", at)


def test_the_status_tells_of_a_worker_that_does_not_respond(five):
    victim = five.workers()[0]
    stand_still(victim)
    five.notify.wait(r"^STATUS=2 workers, 0 connections; not responding: worker \d$")
    os.kill(victim, signal.SIGCONT)
    five.notify.wait("^STATUS=2 workers, 0 connections$", len(five.notify.messages) - 1)


def test_ready_only_when_the_new_configuration_serves(five):
    victim = five.workers()[0]
    stand_still(victim)
    at = len(five.notify.messages)
    five.change(endpoints=FIVE[:4], workers=4)
    five.kill(signal.SIGHUP)
    five.notify.wait("^RELOADING=1$", at)
    # the one that stands still has not answered, and is not ended for that yet
    with pytest.raises(AssertionError):
        five.notify.wait("^READY=1$", at, timeout=0.5)
    os.kill(victim, signal.SIGCONT)
    five.notify.wait("^READY=1$", at)
    assert len(five.workers()) == 4


def test_status(five):
    held = [Raw(five.address).upgrade() for _ in range(3)]
    five.notify.wait("^STATUS=2 workers, 3 connections$")
    at = len(five.notify.messages)
    for c in held:
        c.socket.close()
    five.notify.wait("^STATUS=2 workers, 0 connections$", at)
    assert {pid for pid, _ in five.notify.messages} == {five.pid}


def test_handshakes_are_no_connections(five):
    with Raw(five.address) as half, Raw(five.address) as c:
        half.send(b"GET /ws HTTP/1.1\r\n")
        c.upgrade()
        i, _ = five.notify.wait("STATUS=2 workers, [1-9]")
        assert fields(five.notify.messages[i][1])["STATUS"] == "2 workers, 1 connections"


def test_status_is_told_when_it_changes(five):
    """And not with each tick: who asks for the state, which is once a second, waits for some."""
    with Raw(five.address) as c:
        c.upgrade()
        five.notify.wait(r"STATUS=2 workers, 1 connections$")
        at = len(five.notify.messages)
        for _ in range(2):
            mark = five.log_size()

            def asked():
                five.kill(signal.SIGUSR1)
                return "state: " in five.log(mark)

            wait_until("its state in the log", asked)
        assert five.notify.messages[at:] == []


def test_stopping(five):
    at = len(five.notify.messages)
    five.change(shutdown_grace="7s")
    five.reload()
    with Raw(five.address) as c:
        c.upgrade()
        five.kill(signal.SIGTERM)
        i, message = five.notify.wait("^STOPPING=1$", at)
        stopping = fields(message)
        # what the service manager must grant at least
        assert int(stopping["EXTEND_TIMEOUT_USEC"]) > 7_000_000
        assert stopping["STATUS"]
        c.closed(1001)
    assert five.wait() == 0
    assert count(five, "READY=1|RELOADING=1", i) == 0


def test_without_a_service_manager(daemon):
    d = daemon(notify=False)
    with Raw(d.address) as c:
        c.upgrade()
    mark = d.log_size()
    d.kill(signal.SIGHUP)
    d.log_contains("configuration reloaded", mark)
    assert d.stop() == 0


def test_service_manager_that_is_gone(daemon, directory):
    d = daemon(notify=False, env={"NOTIFY_SOCKET": os.path.join(directory, "none"),
                                  "WATCHDOG_USEC": "1000000"})
    with Raw(d.address) as c:
        c.upgrade()
    assert d.stop() == 0


# --- the watchdog ---


def test_watchdog(daemon):
    """Fed at least twice in its time, by the master; only if it is meant for this process."""
    d = daemon(env={"WATCHDOG_USEC": "2000000"}, wrap=WATCHED)
    other = daemon(env={"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())})
    unwatched = daemon()
    i, _ = d.notify.wait("^WATCHDOG=1$")

    def next_two():
        """How long they take."""
        nonlocal i
        began = time.monotonic()
        for _ in range(2):
            i, _ = d.notify.wait("^WATCHDOG=1$", i + 1)
        return time.monotonic() - began

    # more than once only on a machine that stands still meanwhile
    assert any(next_two() < 2 for _ in range(5))
    assert {pid for pid, _ in d.notify.messages} == {d.pid}
    assert count(other, "WATCHDOG") == count(unwatched, "WATCHDOG") == 0


def test_watchdog_follows_the_master(daemon):
    d = daemon(env={"WATCHDOG_USEC": "1000000"}, wrap=WATCHED)
    other = daemon(env={"WATCHDOG_USEC": "1000000"}, wrap=WATCHED)
    d.notify.wait("^WATCHDOG=1$")
    stand_still(d.pid)
    at = len(d.notify.messages)
    i = len(other.notify.messages) - 1
    for _ in range(3):
        i, _ = other.notify.wait("^WATCHDOG=1$", i + 1)
    assert count(d, "WATCHDOG=1", at) == 0
    os.kill(d.pid, signal.SIGCONT)
    d.notify.wait("^WATCHDOG=1$", at)


def test_watchdog_is_fed_while_a_worker_is_in_back_off(daemon):
    """A pause of a second is shorter than worker_timeout: no reason to restart the daemon."""
    d = daemon({"workers": 1, "log_level": "debug"}, env={"WATCHDOG_USEC": "1000000"},
               wrap=WATCHED)
    d.wear_out(0)
    i = len(d.notify.messages) - 1
    for _ in range(2):
        i, _ = d.notify.wait("^WATCHDOG=1$", i + 1)
    assert d.workers() == []
    d.log_count("worker 0 runs with pid", 7)


def limit_processes(pid, soft):
    """As the user itself: root may lack the privilege to do it to others."""
    soft = "unlimited" if soft == resource.RLIM_INFINITY else soft
    subprocess.run([*AS_NOBODY, "prlimit", "--pid", str(pid), f"--nproc={soft}:"], check=True)


@needs_root
def test_watchdog_is_withheld_when_no_worker_moves(daemon):
    """A daemon that cannot fork serves nobody: the service manager is to start it anew."""
    d = daemon({"workers": 1, "user": "nobody", "worker_timeout": "1s"}, start=False,
               env={"WATCHDOG_USEC": "1000000"}, wrap=WATCHED)
    give_to_nobody(d.directory)
    d.start()
    d.expect_error("was ended by signal 9|cannot fork")
    d.notify.wait("^WATCHDOG=1$")
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    limit_processes(d.pid, 0)
    os.kill(d.workers()[0], signal.SIGKILL)
    d.log_contains("worker 0 .* was ended by signal 9 .* lost; starting it again in 1 s")

    def tries():
        return len(re.findall("cannot fork a worker: Resource temporarily unavailable; trying again", d.log()))

    # tried again every second; the last beat was before the first of them
    wait_until("two tries", lambda: tries() >= 2)
    at, before = len(d.notify.messages), tries()
    wait_until("one more", lambda: tries() > before)
    assert count(d, "WATCHDOG=1", at) == 0
    limit_processes(d.pid, soft)
    d.wait_workers(1)
    d.notify.wait("^WATCHDOG=1$", at)
    with Raw(d.address) as c:
        c.upgrade()


@needs_root
def test_a_reload_that_is_refused_during_the_start_does_not_end_it(daemon):
    """Ready is who has workers."""
    d = daemon({"workers": 1, "user": "nobody"}, start=False, wrap=("prlimit", "--nproc=0:", "--"))
    give_to_nobody(d.directory)
    d.expect_error("cannot fork|unknown setting|reload refused")
    d.launch()
    d.log_contains("cannot fork a worker")
    d.write("nothing = 1;\n" + config_text(d.settings))
    d.kill(signal.SIGHUP)
    d.log_contains("reload refused")
    d.log_contains("cannot fork a worker", d.log_size())
    assert d.notify.find("^READY=1$") is None
    limit_processes(d.pid, resource.getrlimit(resource.RLIMIT_NPROC)[0])
    d.notify.wait("^READY=1$")
    with Raw(d.address) as c:
        c.upgrade()
