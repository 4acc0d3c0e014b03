"""The daemon that is attacked: its settings, and what it tells of itself.

It is one that was built with counters: see src/session/turn_counters.h.
"""

import os
import re

import innocents
from harness import WELCOME

ADDRESSES = {"plain": "127.0.0.1", "tls": "127.0.0.2", "proxy": "127.0.0.3"}
COMPRESSION = {"enabled": True}
TURNS = re.compile(r"turns: (\d+), over 5 ms (\d+), longest (\d+) us \(([\d ]+)\), work (\d+) us, "
                   r"unlooked (\d+) us, behind the end (\d+) us")
LINES = re.compile(r"in line: (.*)")
WAIT = re.compile(r"(\w+) (\d+) of (\d+)")


def users_beside(path):
    """A file with one whose password nobody knows."""
    name = os.path.join(os.path.dirname(path), "users")
    with open(name, "w", encoding="ascii", opener=lambda p, flags: os.open(p, flags, 0o640)) as f:
        f.write("anna:$y$j9T$saltsaltsaltsalt$" + "0123456789" * 4 + "012\n")
    return name


def settings(pair):
    room = {"behaviour": "room", "prefix": "User: "}
    return {
        "workers": 2, "bus_size": "64M", "bus_lag": "1M", "max_message": "1M", "max_pending": "4M",
        "listen": [{"address": ADDRESSES["plain"], "port": 0},
                   {"address": ADDRESSES["tls"], "port": 0, "tls": {"certificates": [
                       {"certificate": pair.certificate, "key": pair.key}]}},
                   {"address": ADDRESSES["proxy"], "port": 0, "proxy_protocol": True,
                    "trusted": ["127.0.0.0/8"]}],
        "endpoints": [
            {"path": "/ws", "behaviour": "echo", "prefix": "Echo: "},
            {"path": "/dribble", "behaviour": "echo", "message_timeout": "1s"},
            {"path": "/pinged", "behaviour": "echo", "ping_interval": "1s"},
            {"path": "/notifications", "behaviour": "notify", "message": WELCOME,
             "compression": COMPRESSION},
            {"path": "/safe", "behaviour": "sink"},
            {"path": "/chat", **room},
            {"path": "/people", **room, "access": {"users": users_beside(pair.certificate)}},
            {"path": "/slow", **room, "slow_consumer": "drop_newest"},
            {"path": "/takeover", **room, "compression": {
                **COMPRESSION, "level": 6, "server_context_takeover": True}},
            *({"path": f"/chat{i}", **room} for i in range(innocents.ROOMS)),
        ],
    }


class Turns:
    """What a piece of the log tells of turns of the loop, of whichever worker."""

    def __init__(self, log):
        found = TURNS.findall(log)
        self.count = sum(int(f[0]) for f in found)
        self.long = sum(int(f[1]) for f in found)
        # the longest, and of what its parts took
        self.longest, self.parts = max(((int(f[2]), f[3]) for f in found), default=(0, ""))
        self.work, self.unlooked, self.behind = (
            max((int(f[i]) for f in found), default=0) for i in (4, 5, 6))
        # of each line: the most turns that one waited, of how many that waited
        self.lines = {}
        for name, turns, of in WAIT.findall("\n".join(LINES.findall(log))):
            before = self.lines.get(name, (0, 0))
            self.lines[name] = (max(before[0], int(turns)), max(before[1], int(of)))
