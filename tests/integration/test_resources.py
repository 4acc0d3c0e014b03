"""When files or memory run out: who comes is told, who is there stays, and then it goes on."""

import resource

import pytest

from harness import PROGRAM, open_files, wait_until
from raw import BINARY, Raw, frame, text

ECHO = {"path": "/ws", "behaviour": "echo", "prefix": "Echo: ", "max_message": "64M"}


def sanitized():
    with open(PROGRAM, "rb") as f:
        return b"__asan_init" in f.read()


# its shadow memory is more than any limit
no_sanitizer = pytest.mark.skipif(
    sanitized(), reason="not under AddressSanitizer: it needs all address space")


def limit(pid, what, most):
    """Sets a limit of a process; returns what it was."""
    old = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, old[1]))
    return old


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
        old = limit(worker, resource.RLIMIT_NOFILE, open_files(worker) + 1)
        with Raw(d.address) as second:
            check_echo(second.upgrade("/ws"))
            with Raw(d.address) as third:
                # instead of waiting for an answer that does not come
                assert third.gone() == b""
            d.log_contains(r"warning: cannot accept connections: Too many open files; pausing for "
                           r"250 ms\. Raise LimitNOFILE= or lower max_connections")
            # and not for each time that it is tried again
            for _ in range(6):
                with Raw(d.address) as other:
                    assert other.gone() == b""
            d.log_count("event=files-exhausted", 4)
            check_echo(first)
            check_echo(second)
            resource.prlimit(worker, resource.RLIMIT_NOFILE, old)
            with Raw(d.address) as fourth:
                check_echo(fourth.upgrade("/ws"))
    wait_until("the end of all", lambda: open_files(worker) < old[0])
    assert d.workers() == [worker]


def test_files_that_are_free_again_are_used(daemon):
    d = daemon({"workers": 1})
    worker, = d.workers()
    limit(worker, resource.RLIMIT_NOFILE, open_files(worker) + 1)
    for _ in range(3):
        with Raw(d.address) as c:
            check_echo(c.upgrade("/ws"))
            port = c.local_port
            with Raw(d.address) as one_too_many:
                assert one_too_many.gone() == b""
        # its place is free when its end was seen
        d.log_contains(rf"closed /.*peer=127\.0\.0\.1:{port}\b")


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
