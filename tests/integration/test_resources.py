"""When files or memory run out: who comes is told, who is there stays, and then it goes on."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import time

import pytest

from apart import needs_mounts, not_under_a_sanitizer
from harness import DEADLINE, PROGRAM, ROOMY, config_text, open_files, run_program, wait_until, wait_until_asleep
import way
from raw import BINARY, Raw, frame, text

# no pings: a busy machine takes longer for 48 MB than they wait
ECHO = {"path": "/ws", "behaviour": "echo", "prefix": "Echo: ", "max_message": "64M",
        "ping_interval": "0"}


# its shadow memory is more than any limit
no_sanitizer = not_under_a_sanitizer("it needs all address space")


def limit(pid, what, most):
    """Sets a limit of a process; returns what it was."""
    old = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, old[1]))
    return old


def limit_files(d, pid, more):
    """Leaves a worker files for so many more; returns what the limit was, and clients.

    The limit is one of numbers, and what a worker has has holes: these the clients fill."""
    fds = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    holes = [Raw(d.address).upgrade("/ws") for _ in range(max(fds) + 1 - len(fds))]
    return limit(pid, resource.RLIMIT_NOFILE, max(fds) + 1 + more), holes


def size_of(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[0]) * resource.getpagesize()


def check_echo(c, said="hi"):
    c.send(text(said))
    assert c.text() == f"Echo: {said}"


def test_out_of_files(daemon):
    d = daemon({"workers": 1})
    worker, = d.workers()
    with Raw(d.address) as first:
        check_echo(first.upgrade("/ws"))
        old, holes = limit_files(d, worker, 1)
        with Raw(d.address) as second:
            check_echo(second.upgrade("/ws"))
            with Raw(d.address) as third:
                # instead of waiting for an answer that does not come
                assert third.gone() == b""
            d.log_contains(r"warning: cannot accept connections: Too many open files; pausing for "
                           r"250 ms\. Raise LimitNOFILE= or lower max_connections")
            # and not for each time that it is tried again, which is four times a second
            since = time.monotonic()
            for _ in range(6):
                with Raw(d.address) as other:
                    assert other.gone() == b""
            assert time.monotonic() - since > 1
            d.log_count("event=files-exhausted", 4)
            check_echo(first)
            check_echo(second)
            resource.prlimit(worker, resource.RLIMIT_NOFILE, old)
            with Raw(d.address) as fourth:
                check_echo(fourth.upgrade("/ws"))
    for c in holes:
        c.socket.close()
    wait_until("the end of all", lambda: open_files(worker) < old[0])
    assert d.workers() == [worker]


def test_files_that_are_free_again_are_used(daemon):
    d = daemon({"workers": 1})
    worker, = d.workers()
    _, holes = limit_files(d, worker, 1)
    for _ in range(3):
        with Raw(d.address) as c:
            check_echo(c.upgrade("/ws"))
            port = c.local_port
            with Raw(d.address) as one_too_many:
                assert one_too_many.gone() == b""
        # its place is free when its end was seen
        d.log_contains(rf"closed /.*peer=127\.0\.0\.1:{port}\b")
    for c in holes:
        c.socket.close()


@no_sanitizer
def test_out_of_memory_for_a_message(daemon):
    d = daemon({"workers": 1, "endpoints": [ECHO]})
    worker, = d.workers()
    with Raw(d.address) as other, Raw(d.address) as c:
        check_echo(other.upgrade("/ws"))
        c.upgrade("/ws")
        old = limit(worker, resource.RLIMIT_AS, size_of(worker) + (1 << 20))
        try:
            c.send(frame(BINARY, bytes(48 << 20)))
        except ConnectionError:
            pass
        line = d.log_contains(r"^.*closed /.*$").group()
        assert "code=1011 reason=no-memory" in line
        check_echo(other)
        resource.prlimit(worker, resource.RLIMIT_AS, old)
        with Raw(d.address) as c:
            c.upgrade("/ws").send(frame(BINARY, bytes(48 << 20)))
            assert c.message() == (BINARY, bytes(48 << 20))
        check_echo(other)
    assert d.workers() == [worker]


def anonymous(pid):
    """Mebibytes of memory that are its own."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Pss_Anon: +(\d+) kB$", f.read(), re.M).group(1)) / 1024


def partial_message(d, size):
    c = Raw(d.address)
    c.upgrade("/ws").send(frame(BINARY, bytes(size))[:-1])
    return c


def fill_by_partial_messages(d, crowd):
    for _ in range(150):
        crowd.append(partial_message(d, 1 << 20))
        yield


def fill_by_slow_clients(d, crowd):
    for _ in range(30):
        # over the socket's own buffers, of which the daemon's may be 4 MiB
        c = Raw(d.address, rcvbuf=4096)
        crowd.append(c)
        c.upgrade("/ws")
        # of which max_pending keeps all
        for _ in range(8):
            c.send(frame(BINARY, bytes(900000)))
        yield


def fill_by_compressors(d, crowd):
    # so much that all of a compressor's memory is touched
    said = text(os.urandom(35000).hex())
    for _ in range(500):
        c = Raw(d.address)
        crowd.append(c)
        c.upgrade("/ws", headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
        c.send(said)
        assert c.frame()[0] == 0xc1
        yield


@no_sanitizer
@pytest.mark.parametrize("fill", [fill_by_partial_messages, fill_by_slow_clients,
                                  fill_by_compressors])
def test_memory_comes_back(daemon, fill):
    """What a spike needed goes back to the system, whoever came meanwhile and stays."""
    d = daemon({**ROOMY, "workers": 1, "access_log": False, "max_pending": "8M",
                "ping_interval": "0", "endpoints": [
                    {**ECHO, "compression": {"enabled": True, "server_context_takeover": True}},
                    {"path": "/chat", "behaviour": "room"}]})
    worker, = d.workers()
    before, crowd, staying = anonymous(worker), [], []
    try:
        for n, _ in enumerate(fill(d, crowd)):
            if n % 10 == 0:
                staying.append(partial_message(d, 20000))
        wait_until("100 MiB more", lambda: anonymous(worker) > before + 100)
        while crowd:
            crowd.pop().socket.close()
        wait_until("its end", lambda: anonymous(worker) < before + 30, 3 * DEADLINE)
        for c in staying:
            assert c.send(b"\0").message()[0] == BINARY
    finally:
        for c in crowd + staying:
            c.socket.close()


def slow_members(d, count):
    for _ in range(count):
        c = Raw(d.address, rcvbuf=4096)
        c.upgrade("/chat")
        yield c


@no_sanitizer
@pytest.mark.parametrize("size, total", [(120, 5 << 20), (150000, 12 << 20)])
def test_what_slow_members_wait_for_is_there_once(daemon, size, total):
    d = daemon({**ROOMY, "workers": 1, "access_log": False, "max_pending": "32M",
                "ping_interval": "0", "endpoints": [{"path": "/chat", "behaviour": "room"}]})
    worker, = d.workers()
    before = anonymous(worker)
    crowd = list(slow_members(d, 40))
    message = frame(BINARY, bytes(size))
    with Raw(d.address) as speaker:
        speaker.upgrade("/chat")
        for _ in range(total // size // 20):
            speaker.send(message * 20)
            for _ in range(20):
                assert len(speaker.message()[1]) == size
    assert 1 < anonymous(worker) - before < 40
    # and each has all of it
    with crowd.pop() as c:
        for _ in range(total // size // 20 * 20):
            assert len(c.message()[1]) == size
    while crowd:
        crowd.pop().socket.close()
    wait_until("its end", lambda: anonymous(worker) < before + 20, 3 * DEADLINE)


def queues_in_kernel(port, client_port):
    """Bytes that the kernel has of a socket's, by its ports: of what it sends, and of what it was sent."""
    ends = f":{port:04X}", f":{client_port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f:
            fields = line.split()
            if fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
                return [int(n, 16) for n in fields[4].split(":")]
    raise AssertionError("there is no such socket")


@no_sanitizer
@way.directly("what a proxy takes it keeps itself")
@pytest.mark.parametrize("size", [100000, 700000, 1000000, 1 << 20])
def test_what_clients_that_do_not_read_cost(daemon, size):
    d = daemon({"workers": 1, "slow_consumer": "drop_newest", "max_pending": "4M",
                "endpoints": [ECHO]})
    worker, = d.workers()
    with contextlib.ExitStack() as crowd:
        slow = [crowd.enter_context(Raw(d.address, rcvbuf=4096)).upgrade("/ws") for _ in range(20)]
        before = anonymous(worker)
        for c in slow:
            for _ in range(12 * (1 << 20) // size):
                c.send(frame(BINARY, bytes(size)))

        def queues():
            return [queues_in_kernel(d.address[1], c.local_port) for c in slow]

        wait_until("that all is read", lambda: all(read == 0 for _, read in queues()))
        wait_until_asleep(worker)
        # the kernel spends half of it again on small segments
        in_kernel = sum(unsent for unsent, _ in queues()) / (1 << 20)
        assert in_kernel >= 0.1 * len(slow)
        assert anonymous(worker) - before + 1.45 * in_kernel < 4.5 * len(slow)


@no_sanitizer
@way.directly("what a proxy takes it keeps itself")
def test_what_a_member_that_does_not_read_has_in_the_kernel(daemon):
    """What a room says is kept once for all who are slow, and so not in the kernel for each."""
    d = daemon({**ROOMY, "workers": 1, "slow_consumer": "drop_newest", "max_pending": "4M",
                "endpoints": [{"path": "/chat", "behaviour": "room"}]})
    with Raw(d.address, rcvbuf=4096) as slow, Raw(d.address) as speaker:
        slow.upgrade("/chat")
        speaker.upgrade("/chat")
        for _ in range(16):
            speaker.send(frame(BINARY, bytes(500000)))
            speaker.message()
        d.log_contains("event=conn-dropping")
        assert queues_in_kernel(d.address[1], slow.local_port)[0] / (1 << 20) < 0.3


@no_sanitizer
def test_the_sum_of_what_is_kept_has_a_bound(daemon):
    d = daemon({**ROOMY, "workers": 1, "max_memory": "24M", "max_pending": "8M",
                "access_log": True, "endpoints": [ECHO]})
    worker, = d.workers()
    before = anonymous(worker)
    crowd = []
    with Raw(d.address) as other:
        check_echo(other.upgrade("/ws"))
        for _ in range(12):
            c = Raw(d.address, rcvbuf=4096)
            crowd.append(c)
            c.upgrade("/ws")
            try:
                for _ in range(6):
                    c.send(frame(BINARY, bytes(1 << 20)))
            except ConnectionError:
                pass
            assert anonymous(worker) - before < 24 + 8
        check_echo(other)
    d.log_contains("code=1013 reason=memory-pressure")
    for c in crowd:
        c.socket.close()


@no_sanitizer
def test_out_of_memory_for_the_bus(daemon):
    d = daemon({"bus_size": "1G"}, start=False,
               wrap=("sh", "-c", 'ulimit -v 1000000; exec "$@"', "sh"))
    d.refuses(r"there is no memory for the bus of 1073741824 bytes: Cannot allocate memory; "
              r"lower bus_size")


def test_no_files_for_the_workers(daemon):
    d = daemon(start=False, wrap=("sh", "-c", 'ulimit -n 150; exec "$@"', "sh"))
    d.refuses(r'"max_connections" cannot be met: the limit of open files \(RLIMIT_NOFILE\) is 150, '
              r"of which \d+ are needed otherwise", "not started")


def limited(daemon, files, settings=None):
    return daemon(settings, start=False,
                  wrap=("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"))


def test_files_for_a_reload(daemon):
    """A limit with which it could start, but take no reload, is refused with the number it needs."""
    listeners = [{"address": f"127.0.0.{n}", "port": 0} for n in (1, 2)]
    d = limited(daemon, 200, {"listen": listeners, "workers": 30})
    log = d.refuses("not started", r'"workers" and listeners need \d+ open files together, and the limit of them '
                    r"\(RLIMIT_NOFILE\) is 200: raise it \(ulimit -n, LimitNOFILE=\)")
    needed = int(re.search(r"need (\d+) open files", log).group(1))
    limited(daemon, needed - 1, {"listen": listeners, "workers": 30}).refuses(
        "not started", "open files together")
    d = limited(daemon, needed, {"listen": listeners, "workers": 30}).start()
    # every address is another one
    d.change(listen=[{"address": f"127.0.0.{n}", "port": 0} for n in (3, 4)])
    d.reload()
    d.change(workers=60)
    d.expect_error("open files together|reload refused")
    d.reload(expect=False)
    d.log_contains(r"reload refused: 1 error in the configuration; the running configuration")
    with Raw(("127.0.0.3", d.port_of("127.0.0.3"))) as c:
        c.upgrade().send(text("hi"))
        assert c.text() == "Echo: hi"


# what tmpfs has left when this is written to it, is nothing
FULL = 'mount -t tmpfs -o size=64k none "$0"; exec "$@"'


def in_mounts_of(d, *command, **env):
    """Runs a command where the daemon's file systems are."""
    return subprocess.run(["nsenter", f"--mount=/proc/{d.pid}/ns/mnt", "--", *command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=DEADLINE, env={**os.environ, **env})


@needs_mounts
def test_reload_with_a_full_runtime_dir(daemon, directory):
    """What came of it is told at once all the same."""
    run = os.path.join(directory, "run")
    os.mkdir(run)
    d = daemon({"runtime_dir": run}, start=False,
               wrap=("unshare", "-m", "--", "sh", "-c", FULL, run))
    d.start()
    in_mounts_of(d, "sh", "-c", f"cat /dev/zero > {run}/zero; : > {run}/more")
    for _ in range(2):
        r = in_mounts_of(d, PROGRAM, "-r", "-c", d.file)
        assert (r.returncode, r.stderr) == (0, "")
        assert re.fullmatch("configuration reloaded: .*\n", r.stdout)
    text_of_file = config_text(d.settings)
    d.expect_error("unknown setting|reload refused")
    d.write("".join(f"unknown{n} = 1;\n" for n in range(200)) + text_of_file)
    # it finds the daemon although the file is wrong
    r = in_mounts_of(d, PROGRAM, "-r", "-c", d.file, RUNTIME_DIRECTORY=run)
    assert r.returncode == 1
    assert r.stderr.startswith(f'{d.file}:1: unknown setting "unknown0"')
    assert r.stderr.endswith("... see the log\n")
    d.write()
    in_mounts_of(d, "rm", f"{run}/zero")
    r = in_mounts_of(d, PROGRAM, "-r", "-c", d.file)
    assert (r.returncode, r.stderr) == (0, "")
    assert re.fullmatch("configuration reloaded: .*\n", r.stdout)


@needs_mounts
def test_full_runtime_dir_at_start(daemon, directory):
    run = os.path.join(directory, "run")
    os.mkdir(run)
    d = daemon({"runtime_dir": run}, start=False,
               wrap=("unshare", "-m", "--", "sh", "-c",
                     FULL.replace("exec", 'cat /dev/zero > "$0/zero"; exec'), run))
    d.refuses(rf"runtime_dir {run}: cannot write \S+: No space left on device")


# each look at the clock on the wall finds it a day further on
JUMPING_CLOCK = """
#include <time.h>
time_t time(time_t *t)
{
	static time_t now = 1800000000;

	now += 86400;
	if (t)
		*t = now;
	return now;
}
"""


@no_sanitizer
@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_clock_that_is_set_during_a_reload(five, directory):
    """Who asks for a reload goes on waiting for what comes of it."""
    source, library = (os.path.join(directory, f"clock.{kind}") for kind in ("c", "so"))
    with open(source, "w", encoding="ascii") as f:
        f.write(JUMPING_CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True,
                   stdin=subprocess.DEVNULL)
    r = run_program("-r", "-c", five.file, env={**os.environ, "LD_PRELOAD": library})
    assert (r.returncode, r.stderr) == (0, "")
    assert r.stdout.startswith("configuration reloaded: ")
