"""What needs root: a daemon as another user, or in namespaces of its own.

A network of its own has all ports free; a mount namespace can hold a journal socket that is
ours. Where the machine does not permit that, the tests are skipped and say why.
"""

import ctypes
import os
import pwd
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from harness import PROGRAM, descriptors

NOBODY = pwd.getpwnam("nobody")
CLONE_NEWNET = 0x40000000


def permitted(*command):
    """Whether a command does its work; False if it is not there."""
    return shutil.which(command[0]) is not None and \
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False).returncode == 0


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change the user")

needs_network = pytest.mark.skipif(
    not permitted("unshare", "-n", "ip", "link", "set", "lo", "up"),
    reason="needs a network namespace of its own (root and iproute2)")

needs_mounts = pytest.mark.skipif(
    not permitted("unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"),
    reason="needs a mount namespace of its own (root)")

# these become the daemon, with the same pid
OWN_NETWORK = ("unshare", "-n", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
AS_NOBODY = ("setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}",
             "--clear-groups", "--inh-caps=-all", "--")


def give_to_nobody(*paths):
    for path in paths:
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)


PIDFD_OPEN, PIDFD_GETFD = 434, 438  # on all architectures


def duplicate(pid, fd):
    """A descriptor of another process, here."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    handle = call(PIDFD_OPEN, pid, 0)
    own = call(PIDFD_GETFD, handle, fd, 0)
    error = ctypes.get_errno()
    os.close(handle)
    if own < 0:
        pytest.skip(f"descriptors of others cannot be looked at here: {os.strerror(error)}")
    return socket.socket(fileno=own)


def listening_of(pid):
    """A copy of a listening socket of a process, of IPv4."""
    for fd, what in descriptors(pid).items():
        if not what.startswith("socket:"):
            continue
        s = duplicate(pid, fd)
        if s.family == socket.AF_INET and s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return s
        s.close()
    raise AssertionError("no listening socket")


def option_of_listening(pid, option):
    """What TCP has been told for the connections of a listening socket of a process."""
    with listening_of(pid) as s:
        return s.getsockopt(socket.IPPROTO_TCP, option)


def backlog_of(pid):
    """How many connections may wait in the queue of a listening socket of a process."""
    with listening_of(pid) as s:
        # tcpi_sacked, which is that of a socket that listens
        return struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104),
                                  8 + 5 * 4)[0]


def in_network_of(pid, make):
    """Calls make() in the network of a process: the sockets that it opens stay there."""
    out = []

    def run():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{pid}/ns/net", "rb") as f:
            # of this thread alone, which ends here
            assert libc.setns(f.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            out.append(make())
        except Exception as e:  # pylint: disable=broad-except
            out.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(out[0], Exception):
        raise out[0]
    return out[0]


def status_of(pid):
    """The fields of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return {k: v.strip() for k, v in (line.split(":", 1) for line in f)}


def program_has(symbol):
    with open(PROGRAM, "rb") as f:
        return symbol in f.read()


def not_under_a_sanitizer(why):
    return pytest.mark.skipif(program_has(b"__asan_init"),
                              reason=f"not under AddressSanitizer: {why}")


def not_under_gcov(why):
    return pytest.mark.skipif(program_has(b"__gcov_dump"), reason=f"not under gcov: {why}")
