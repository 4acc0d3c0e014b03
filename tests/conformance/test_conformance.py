"""Each case of the tables is one test; the results are in build/conformance.md as well."""

import socket

import closing
import compression
import fragments
import framing
import handshake
import limits
import pytest
import utf8
from five import NO_COMPRESSION, STRICT
from runner import Unread

PLAIN = [c for m in (framing, fragments, utf8, closing, limits, handshake) for c in m.cases()]
COMPRESSED = list(compression.cases())


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=[c.name for c in cases])


def test_names_are_unique():
    names = [c.name for c in PLAIN + COMPRESSED]
    assert len(names) >= 500
    assert len(names) == len(set(names)), sorted(n for n in set(names) if names.count(n) > 1)


def test_chunks_are_read_one_by_one():
    """A chunk can wait until the one before was read: what the kernel says of it is true."""
    unread = Unread()
    with socket.create_server(("127.0.0.1", 0)) as server, \
            socket.create_connection(server.getsockname()) as here, server.accept()[0] as there:
        here.sendall(b"abc")
        assert there.recv(3, socket.MSG_PEEK | socket.MSG_WAITALL) == b"abc"
        if unread.of(here) == 0:
            pytest.skip("needs sock_diag(7): chunks may be read together, and the cases show less")
        for left in (2, 1, 0):
            there.recv(1)
            assert unread.of(here) == left


@named(PLAIN)
def test_case(daemon, results, case):
    results.run(daemon, case)


@named(COMPRESSED)
def test_compression(daemon, results, compresses, case):
    if not compresses:
        results.row(case, [NO_COMPRESSION], "FAIL" if STRICT else "skip")
        (pytest.fail if STRICT else pytest.skip)(NO_COMPRESSION)
    results.run(daemon, case)
