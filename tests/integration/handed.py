"""handed.py NAMES PROGRAM ARG...: becomes the program, with sockets as a service manager gives them.

NAMES are joined by colons; each is a socket of its own that listens on 127.0.0.1, or for both
families if it is "dual"; "datagram" and "deaf" take no connections. Their ports are the first
line of standard output. As a service manager does, somebody has them open as long as the program
runs.
"""

import os
import select
import socket
import sys

FIRST = 3  # SD_LISTEN_FDS_START


def listening(name):
    if name == "dual":
        return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    if name in ("datagram", "deaf"):
        s = socket.socket(type=socket.SOCK_DGRAM if name == "datagram" else socket.SOCK_STREAM)
        s.bind(("127.0.0.1", 0))
        return s
    return socket.create_server(("127.0.0.1", 0))


def keep_open_while(pid):
    """Leaves a process behind, which is not one of the program's own."""
    child = os.fork()
    if child != 0:
        os.waitpid(child, 0)
        return
    if os.fork() == 0:
        os.closerange(0, 3)
        select.select([os.pidfd_open(pid)], [], [])
    os._exit(0)


if __name__ == "__main__":
    names = sys.argv[1].split(":")
    made = [listening(name) for name in names]
    # out of the way of where they go
    held = [os.dup2(s.fileno(), 100 + i) for i, s in enumerate(made)]
    print(*(s.getsockname()[1] for s in made), flush=True)
    for i, fd in enumerate(held):
        os.dup2(fd, FIRST + i)
        os.close(fd)
    os.closerange(FIRST + len(names), 100)
    keep_open_while(os.getpid())
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)),
                      LISTEN_FDNAMES=sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
