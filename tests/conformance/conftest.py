"""Fixtures of the conformance suite: its one daemon, the probe, the table of results."""

import os
import shutil
import sys
import tempfile
import time
from collections import Counter

import pytest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "integration")]

from cases import Case  # noqa: E402  (the path is set above)
from compression import ENDPOINTS, MOST, PMD, SMALL  # noqa: E402
from harness import PROGRAM, ROOT, Daemon, run_program  # noqa: E402
from raw import request  # noqa: E402
from runner import connect, expected, run  # noqa: E402

BUILD = os.path.join(ROOT, "build")
REPORT = os.path.join(os.path.dirname(PROGRAM) if PROGRAM.startswith(BUILD + os.sep) else BUILD,
                      "conformance.md")

ECHO = {"behaviour": "echo", "ping_interval": "0"}
GOODBYE = {"behaviour": "oneshot", "message": "Goodbye!"}
CHATS = ["chat", "superchat"]
PLAIN = [
    {"path": "/ws", **ECHO},
    {"path": "/small", **ECHO, "max_message": "1000"},
    {"path": "/one", **ECHO, "max_message": "1"},
    {"path": "/large", **ECHO, "max_message": "16M", "max_pending": "64M"},
    {"path": "/once", **GOODBYE},
    {"path": "/impatient", **GOODBYE, "close_timeout": "200ms"},
    {"path": "/sub", **ECHO, "subprotocols": CHATS},
    {"path": "/must", **ECHO, "subprotocols": CHATS, "require_subprotocol": True},
    {"path": "/own", **ECHO, "allowed_origins": ["https://own.test", "*.example.net"]},
]


def compressing():
    """The endpoints of compression.py."""
    for path, settings in ENDPOINTS.items():
        group = {"enabled": True, "level": 6, "threshold": "0", "memory_level": 8, **settings}
        size = {"max_message": str(SMALL)} if path == "/z-small" else {}
        yield {"path": path, **ECHO, **size, "compression": group}


def accepts(daemon):
    return run_program("-t", "-c", daemon.file).returncode == 0


@pytest.fixture(scope="session")
def daemon():
    """One for all cases: each has a connection of its own."""
    path = tempfile.mkdtemp(prefix="ignyxd-")
    d = Daemon(path, {"endpoints": PLAIN + list(compressing()), "max_message": str(MOST),
                      "max_pending": "8M"})
    if not accepts(d):
        d.change(endpoints=PLAIN)
    d.start()
    yield d
    try:
        d.finish()
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def compresses(daemon):
    """Whether an offer is agreed on where compression is on."""
    with connect(daemon) as client:
        client.send(request("/z", headers={"Sec-WebSocket-Extensions": PMD}))
        r = client.response()
        return r.status == 101 and r.header("sec-websocket-extensions") is not None


class Results:
    """Collects a row for each case and writes them all at the end."""

    def __init__(self):
        self.rows = []
        self.began = time.monotonic()

    def run(self, daemon, case: Case):
        got, verdict, began = [], "FAIL", time.monotonic()
        try:
            run(daemon, case, got)
            verdict = "pass"
        except AssertionError as e:
            got.append(f"({e})")
            raise
        finally:
            self.row(case, got, verdict, time.monotonic() - began)

    def row(self, case, got, verdict, seconds=0):
        self.rows.append((case.name, brief(expected(case)), brief(got), verdict,
                          f"{seconds * 1000:.1f}"))

    def write(self):
        counts = Counter(row[3] for row in self.rows)
        summed = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
        os.makedirs(os.path.dirname(REPORT), exist_ok=True)
        with open(REPORT, "w", encoding="utf-8") as f:
            f.write(f"# Conformance: {len(self.rows)} cases, {summed}, "
                    f"{time.monotonic() - self.began:.1f} s\n\n"
                    "| case | expected | got | verdict | ms |\n|---|---|---|---|---|\n")
            for row in self.rows:
                f.write("| " + " | ".join(x.replace("|", "\\|") for x in row) + " |\n")


def brief(events):
    """Events in words; of a run of many the first and the last."""
    if len(events) > 6:
        events = [*events[:3], f"... {len(events) - 5} more", *events[-2:]]
    return "; ".join(events)


@pytest.fixture(scope="session")
def results():
    r = Results()
    yield r
    r.write()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of the daemon's log where a case failed."""
    report = (yield).get_result()
    d = getattr(item, "funcargs", {}).get("daemon")
    if report.failed and d:
        report.sections.append(("log of the daemon", d.log()[-1000:]))
