#!/usr/bin/python3
"""What a handshake costs where a token is asked for: CPU of the server, beside a plain one.

Each round has portions of handshakes of each kind, one behind the other; a figure is the median over the
rounds, and what a kind costs more than a plain handshake the median of the differences within each round. Each
client shows a token of its own, so that nothing can be kept of one for the next.
"""

import argparse
import os
import socket
import statistics
import sys
import tempfile
import time

import servers

sys.path.insert(0, os.path.join(servers.ROOT, "tests", "integration"))
sys.dont_write_bytecode = True
import tokens  # noqa: E402  pylint: disable=wrong-import-position,wrong-import-order

KINDS = ["plain", *(a for a in tokens.ALGORITHMS if a[0] != "P"), "PS256"]
REQUEST = ("GET /{} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n{}\r\n")
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


def keys():
    pair = tokens.new_rsa()
    made = {}
    for alg in KINDS[1:]:
        private = tokens.SECRET if alg[0] == "H" else pair if alg[0] in "RP" else tokens.new_ec(alg)
        made[alg] = tokens.Key(private, alg)
    return made


def configure(directory, port, made):
    for alg, key in made.items():
        with open(os.path.join(directory, alg), "wb") as f:
            f.write(key.private if alg[0] == "H" else key.pem())
        os.chmod(os.path.join(directory, alg), 0o600)
    asks = (f' access = {{ jwt = {{ key = "{a}"; algorithms = ( "{a}" ); required = {{ room = "x"; }}; }}; }};'
            for a in made)
    endpoints = [servers.endpoint("/plain", "echo"),
                 *(servers.endpoint(f"/{a}", "echo", more) for a, more in zip(made, asks))]
    return servers.write_config(directory, port, endpoints)


def requests(kind, key, count):
    """Made ahead: signing takes longer than what is measured."""
    if kind == "plain":
        return [REQUEST.format(kind, "").encode()] * count
    return [REQUEST.format(kind, f"Authorization: Bearer {key.sign(kind, sub=str(i), room=['x', 'y'])}\r\n")
            .encode() for i in range(count)]


def shake(port, request):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(request)
        got = s.recv(4096)
        if not got.startswith(b"HTTP/1.1 101 "):
            raise servers.Failed(got.decode(errors="replace"))
        s.sendall(CLOSE)
        while s.recv(4096):
            pass


def measure(server, all_of_kind):
    before = servers.cpu_of_all(server.pids())
    for r in all_of_kind:
        shake(server.port, r)
    # the last of them has ended
    time.sleep(0.05)
    return (servers.cpu_of_all(server.pids()) - before) / len(all_of_kind) * 1e6


def run(server, made, options):
    each = options.handshakes // options.rounds
    asked = {k: requests(k, made.get(k), options.handshakes) for k in KINDS}
    rounds = []
    for i in range(options.rounds):
        portion = slice(i * each, (i + 1) * each)
        rounds.append({k: measure(server, asked[k][portion]) for k in KINDS})
    return rounds


def table(rounds):
    print("| CPU of the server, us, for each handshake | in all | more than plain |")
    print("| --- | --: | --: |")
    for kind in KINDS:
        own = statistics.median(r[kind] for r in rounds)
        more = statistics.median(r[kind] - r["plain"] for r in rounds)
        print(f"| {kind} | {own:.1f} | {'-' if kind == 'plain' else format(more, '.1f')} |")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--handshakes", type=int, default=5000, help="of each kind")
    p.add_argument("--rounds", type=int, default=20)
    options = p.parse_args()
    made = keys()
    with tempfile.TemporaryDirectory(prefix="ignyx-bench-") as directory:
        port = servers.free_port()
        server = servers.Server("ignyxd", [servers.PROGRAM, "-c", configure(directory, port, made)],
                                env={"NOTIFY_SOCKET": ""}, port=port)
        try:
            table(run(server, made, options))
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
