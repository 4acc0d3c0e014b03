"""What others can get at: private keys in memory, descriptors and rights of workers, files of others."""

import ctypes
import itertools
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile

import pytest

from apart import (AS_NOBODY, NOBODY, give_to_nobody, needs_root, not_under_a_sanitizer,
                   not_under_gcov, status_of)
from certificates import Authority
from harness import (DEADLINE, LOCAL, PROGRAM, children, descriptors, proc_stat, stand_still,
                     wait_until)
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


def opened(pid):
    """What a process has open."""
    return list(descriptors(pid).values())


# --- keys ---


def memory_of(pid):
    """All that a process may write to, and so may hold a copy in."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, \
            open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            begin, size = int(begin, 16), int(end, 16) - int(begin, 16)
            # more than that is what a sanitizer has of its own
            if rights.startswith("rw") and "[vvar" not in line and size < 1 << 30:
                mem.seek(begin)
                try:
                    yield mem.read(size)
                except OSError:
                    pass  # behind the end of a file


@needs_root
@not_under_a_sanitizer("it keeps what was freed")
@not_under_gcov("without optimization a piece may stay behind")
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
    # nobody waits for the admin process to have it
    wait_until("that nobody else may look", lambda: owners() == {0})
    assert status_of(d.pid)["Uid"].split() == [str(NOBODY.pw_uid)] * 4


# --- files of others ---


def unix_daemon(daemon, mode="0600"):
    d = daemon(start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[LOCAL, {"unix": path, "mode": mode}])
    return d, path


def rights(path):
    s = os.lstat(path)
    return stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid, s.st_ino


def strangers_file(d):
    path = os.path.join(d.directory, "precious")
    with open(path, "w", encoding="ascii") as f:
        f.write("precious")
    os.chmod(path, 0o640)
    return path


@pytest.mark.parametrize("what", ["a link", "a file", "a socket"])
def test_file_in_the_place_of_a_unix_socket_is_left_alone(daemon, what):
    """
    Who may write to the folder can put something else in the place of the socket: a reload
    does not give that, or what it leads to, its mode, and the end does not remove it.
    """
    d, path = unix_daemon(daemon)
    d.start()
    other = strangers_file(d)
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as s:
        if what == "a link":
            os.symlink(other, path)
        elif what == "a file":
            os.rename(other, path)
            other = path
        else:
            s.bind(path)
            other = path
        before = rights(other)
        d.change(listen=[LOCAL, {"unix": path, "mode": "0666"}])
        d.reload()
        assert rights(other) == before
        d.log_contains(rf"warning: .*cannot set mode and group of {path}: .*the file is gone")
        d.change(listen=[LOCAL])
        d.reload()
        assert rights(other) == before and os.path.lexists(path)
        d.change(listen=[LOCAL, {"unix": path, "mode": "0666"}])
        d.expect_error("cannot listen on|reload refused")
        if what != "a socket":
            d.reload(expect=False)
            assert "there is a file in the way" in d.log()
            assert rights(other) == before
    assert d.stop() == 0
    assert os.path.lexists(path)


def test_link_in_the_place_of_a_unix_socket_at_the_start(daemon):
    d, path = unix_daemon(daemon, "0666")
    other = strangers_file(d)
    os.symlink(other, path)
    before = rights(other)
    d.refuses("cannot listen on unix:.*there is a file in the way")
    assert rights(other) == before and os.path.islink(path)


@needs_root
def test_root_does_not_replace_the_socket_of_another_user(daemon):
    """It may be bound already and not listen yet; who is no root is held up by the kernel."""
    d, path = unix_daemon(daemon)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    give_to_nobody(path)
    d.refuses("cannot listen on unix:.*or that of another user: remove it")
    assert os.stat(path).st_uid == NOBODY.pw_uid


IN_ATTRIB, IN_CREATE = 0x4, 0x100


class Folder:
    """Notes what happens to the files of a folder (inotify)."""

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self.fd, path.encode(), IN_ATTRIB | IN_CREATE) >= 0

    def events(self):
        data, out = os.read(self.fd, 65536), []
        while data:
            _, mask, _, size = struct.unpack_from("iIII", data)
            out.append((data[16:16 + size].rstrip(b"\0").decode(), mask))
            data = data[16 + size:]
        return out

    def close(self):
        os.close(self.fd)


def test_unix_socket_is_never_open_to_more(daemon):
    """It has its mode when it is made, and not a moment later."""
    d, path = unix_daemon(daemon, "0640")
    folder, before = Folder(d.directory), os.umask(0)
    try:
        d.start()
    finally:
        os.umask(before)
    assert [mask for name, mask in folder.events() if name == "ws.sock"] == [IN_CREATE]
    folder.close()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


# --- ignyxd -r by root, with files of a user whom root need not trust ---


class Victim:
    """A process of root's that a SIGHUP would end."""

    def __enter__(self):
        self.process = subprocess.Popen(["sleep", "60"])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def is_well(self):
        return self.process.poll() is None


# What ends it may be ignored by whoever runs the tests, with nohup for one.
LOCKS = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)
"""


def folder_of_nobody(d, pid):
    """What the daemon's user could write there, to have root signal a process."""
    for name, content in (("ignyxd.pid", f"{pid}\n"), ("reload", "0 applied\n")):
        path = os.path.join(d.directory, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(content)
        give_to_nobody(path)
    give_to_nobody(d.directory)
    return os.path.join(d.directory, "ignyxd.pid")


@needs_root
@pytest.mark.parametrize("by_root", [False, True])
def test_r_signals_no_pid_that_stands_in_a_file(daemon, by_root):
    """Whom to signal is who holds the lock, and that is to be a process of the file's owner."""
    d = daemon(start=False)
    with Victim() as victim:
        path = folder_of_nobody(d, victim.process.pid)
        locker = subprocess.Popen([*([] if by_root else AS_NOBODY), sys.executable, "-c", LOCKS,
                                   path], stdout=subprocess.PIPE, text=True)
        try:
            assert locker.stdout.readline() == "locked\n"
            done = subprocess.run([PROGRAM, "-r", "-c", d.file], env=d.env, text=True,
                                  capture_output=True, stdin=subprocess.DEVNULL,
                                  timeout=DEADLINE, check=False)
            assert done.returncode == 1
            assert victim.is_well()
            if by_root:
                assert "locked by a process that does not run as the file's owner" in done.stderr
                assert locker.poll() is None
            else:
                assert locker.wait(DEADLINE) == -signal.SIGHUP, "it was its own"
                assert "the daemon ended during the reload" in done.stderr
        finally:
            locker.kill()
            locker.wait()
            locker.stdout.close()


@pytest.mark.parametrize("name", ["ignyxd.pid", "reload"])
def test_r_does_not_wait_for_a_fifo(daemon, name):
    d = daemon()
    os.unlink(os.path.join(d.directory, name))
    os.mkfifo(os.path.join(d.directory, name))
    done = subprocess.run([PROGRAM, "-r", "-c", d.file], env=d.env, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=DEADLINE,
                          check=False)
    assert done.returncode == 1
    assert re.search("cannot read (ignyxd.pid|the outcome file) in runtime_dir", done.stderr)


def test_outcome_cannot_act_on_a_terminal(daemon):
    d = daemon()

    def tamper():
        path = os.path.join(d.directory, "reload")
        with open(path + ".x", "w", encoding="ascii") as f:
            f.write("9 refused\n\x1b[2Jcleared\n")
        os.rename(path + ".x", path)

    stand_still(d.pid)
    r = subprocess.Popen([PROGRAM, "-r", "-c", d.file], env=d.env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until("that it waits", lambda: proc_stat(r.pid)["state"] == "S" and any(
        "pidfd" in x for x in opened(r.pid)))
    tamper()
    out, err = r.communicate(timeout=DEADLINE)
    d.kill(signal.SIGCONT)
    assert (out, err) == ("", "?[2Jcleared\n")


@pytest.mark.parametrize("what,said", [
    ("fifo", "it is not a file of its own; remove it"),
    ("link", "it is not a file of its own; remove it"),
    ("stranger", "it belongs to another user; remove it")])
def test_pid_file_that_is_not_ours(daemon, what, said):
    d = daemon(start=False)
    path = os.path.join(d.directory, "ignyxd.pid")
    other = strangers_file(d)
    if what == "fifo":
        os.mkfifo(path)
    elif what == "link":
        os.link(other, path)
    elif os.geteuid() == 0:
        os.rename(other, path)
        give_to_nobody(path)
        other = path
    else:
        pytest.skip("needs root, to give a file away")
    d.refuses(f"runtime_dir {re.escape(d.directory)}: cannot use ignyxd.pid: {said}")
    with open(other, encoding="ascii") as f:
        assert f.read() == "precious"


# --- workers ---


def sockets(pid):
    return [x for x in opened(pid) if x.startswith("socket:")]


def check_what_is_open(d, listeners):
    """Of the workers: nothing but what is theirs. listeners: how many, one of them a unix socket."""
    masters, workers = opened(d.pid), d.workers()
    for pid in workers:
        d.log_contains(rf"runs with pid {pid}\b")
        # a listener that is gone is closed when those who waited there are accepted
        wait_until(f"that {pid} has pairs with master and admin, and listeners",
                   lambda pid=pid: len(sockets(pid)) == 2 + listeners)
        files = opened(pid)
        assert set(sockets(pid)) <= set(masters), "one that the master does not know"
        # libevent makes one for signals
        assert not {x for x in files if x.startswith("pipe:")} & set(masters)
        assert {x for x in files if x.startswith("/")} == \
            {"/dev/null", d.log_file, f"{d.log_file}.out"}
        assert {x for x in files if x.startswith("anon_inode:")} == \
            {f"anon_inode:[{x}]" for x in ("eventfd", "eventpoll", "timerfd")}
        assert files.count("anon_inode:[eventfd]") == 64, "one for each place on the bus"
        assert files.count("anon_inode:[eventpoll]") == files.count("anon_inode:[timerfd]") == 1
    for a, b in itertools.combinations(workers, 2):
        assert len(set(sockets(a)) & set(sockets(b))) == 1, "the unix socket is all that they share"


def test_the_admin_process_has_nothing_of_the_masters_open(daemon):
    """Its pair, its socket, where the log goes and the wake-ups; no listener of clients."""
    d = daemon()
    masters, pid = opened(d.pid), d.admin()
    wait_until("it has closed the rest, and has a loop", lambda: d.directory not in opened(pid)
               and "anon_inode:[eventpoll]" in opened(pid))
    files = opened(pid)
    assert len(set(sockets(pid)) & set(masters)) == 2 + 60, "and a pair with each worker"
    # libevent has a pair of its own for signals, or a pipe
    assert {x for x in files if x.startswith("/")} == \
        {"/dev/null", d.log_file, f"{d.log_file}.out"}
    assert files.count("anon_inode:[eventfd]") == 64
    assert files.count("anon_inode:[eventpoll]") == 1
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        assert re.search(r"^CapEff:\t0+$", f.read(), re.M)


@needs_root
def test_workers_have_nothing_of_the_masters_open(daemon, pair):
    """
    Neither the runtime directory nor the pid file, which is locked and can be written; no
    shared memory, no socket of another worker. At the start, after reloads, a death.
    """
    d = daemon(start=False, args=["-v"])
    own = {"unix": os.path.join(d.directory, "ws.sock")}
    d.change(listen=[*with_tls(pair), own])
    d.start()
    masters = opened(d.pid)
    assert {f"{d.directory}/ignyxd.pid", d.directory} <= set(masters)
    for name in ("bus", "metrics", "tickets"):
        assert masters.count(f"/memfd:ignyx-{name} (deleted)") == 1
    check_what_is_open(d, 3)
    d.reload()
    check_what_is_open(d, 3)
    dead = d.workers()[0]
    d.expect_error("was ended by signal 9")
    os.kill(dead, signal.SIGKILL)
    d.wait_workers(2, but=[dead])
    d.log_contains(f"pid {dead}")
    check_what_is_open(d, 3)
    # one listener less, and a worker more, which is forked while the others have theirs
    d.change(listen=[LOCAL, own], workers=3)
    d.reload()
    d.wait_workers(3)
    check_what_is_open(d, 2)
