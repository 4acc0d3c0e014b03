"""What others can get at: private keys in memory, descriptors and rights of workers, files of others."""

import os
import re
import shutil
import signal
import tempfile

import pytest

from apart import AS_NOBODY, NOBODY, give_to_nobody, needs_root, status_of
from certificates import Authority
from harness import LOCAL, children
from raw import Raw, text


@pytest.fixture(scope="module")
def pair():
    path = tempfile.mkdtemp(prefix="ignyxd-")
    os.chmod(path, 0o755)
    made = Authority(os.path.join(path, "root")).pair("DNS:localhost", kind="rsa")
    os.chmod(made.key, 0o644)
    yield made
    shutil.rmtree(path)


def with_tls(pair):
    return [LOCAL, {"address": "127.0.0.2", "port": 0, "tls": {"certificates": [pair.group()]}}]


# --- keys ---


def memory_of(pid):
    """All that a process may write to, and so may hold a copy in."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, \
            open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if rights.startswith("rw") and "[vvar" not in line:
                mem.seek(int(begin, 16))
                try:
                    yield mem.read(int(end, 16) - int(begin, 16))
                except OSError:
                    pass  # behind the end of a file


@needs_root
def test_text_of_keys_is_cleared(daemon, pair):
    """What was read from a key's file, or packed for the workers, is in no process afterwards."""
    with open(pair.key, "rb") as f:
        lines = [x for x in f.read().splitlines() if not x.startswith(b"-")]
    d = daemon({"listen": with_tls(pair)})
    for _ in range(3):
        for pid in (d.pid, *d.workers()):
            seen = [x for part in memory_of(pid) for x in lines if x in part]
            assert not seen, (pid, len(seen))
        d.reload()
    with Raw(d.address) as c:
        c.upgrade().send(text("hi"))


@needs_root
def test_no_core_dump_of_keys(daemon, pair):
    """
    A process with a private key cannot be dumped, which the kernel shows by the owner of
    its files in /proc: core dumps do not have it, and others of its user may not look.
    """
    d = daemon(start=False, wrap=AS_NOBODY)
    give_to_nobody(d.directory)
    d.start()

    def owners():
        return {os.stat(f"/proc/{pid}/maps").st_uid for pid in (d.pid, *children(d.pid))}

    assert owners() == {NOBODY.pw_uid}
    d.change(listen=with_tls(pair))
    d.reload()
    assert owners() == {0}
    assert status_of(d.pid)["Uid"].split() == [str(NOBODY.pw_uid)] * 4


# --- workers ---


def opened(pid):
    """What a process has open."""
    return [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]


@needs_root
def test_workers_have_nothing_of_the_masters_open(daemon, pair):
    """
    Neither the runtime directory nor the pid file, which is locked and can be written; no
    memory of the ticket keys, no socket of another worker. At the start, after a reload, a death.
    """
    d = daemon({"listen": [*with_tls(pair), {"unix": "/tmp/nowhere"}]}, start=False)
    d.change(listen=[*with_tls(pair), {"unix": os.path.join(d.directory, "ws.sock")}])
    d.start()
    assert f"{d.directory}/ignyxd.pid" in opened(d.pid)

    def check():
        for pid in d.workers():
            files = opened(pid)
            kinds = [x.partition(":")[0] for x in files]
            assert kinds.count("socket") == 1 + 3, "the pair with the master, three listeners"
            # libevent makes one for signals
            assert not {x for x in files if x.startswith("pipe:")} & set(opened(d.pid))
            assert {x for x in files if x.startswith("/")} == \
                {"/dev/null", d.log_file, f"{d.log_file}.out"}
            assert {x for x in files if x.startswith("anon_inode:")} == \
                {f"anon_inode:[{x}]" for x in ("eventfd", "eventpoll", "timerfd")}
            assert kinds.count("anon_inode") <= 64 + 3

    check()
    d.reload()
    check()
    dead = d.workers()[0]
    d.expect_error("was ended by signal 9")
    os.kill(dead, signal.SIGKILL)
    d.wait_workers(2, but=[dead])
    d.log_contains(f"pid {dead}")
    check()
    with Raw(d.address) as c:
        c.upgrade().send(text("hi"))
        assert c.text() == "Echo: hi"
