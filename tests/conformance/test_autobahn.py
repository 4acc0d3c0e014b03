"""The reader of Autobahn's report, and the script around it, with a report made here."""

import json
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


def report(*behaviours):
    return {"ignyxd": {f"1.1.{i}": {"behavior": b, "behaviorClose": c, "duration": 1,
                                    "remoteCloseCode": 1000, "reportfile": "x.json"}
                       for i, (b, c) in enumerate(behaviours)}}


def judged(tmp_path, index):
    path = tmp_path / "index.json"
    path.write_text(json.dumps(index))
    done = subprocess.run([sys.executable, os.path.join(HERE, "autobahn.py"), str(path)],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_all_good(tmp_path):
    assert judged(tmp_path, report(("OK", "OK"), ("INFORMATIONAL", "INFORMATIONAL"))) == \
        (0, ["2 passed, 0 failed"])


@pytest.mark.parametrize("wrong", [
    ("NON-STRICT", "OK"), ("FAILED", "OK"), ("OK", "FAILED"), ("OK", "UNCLEAN"),
    ("OK", "WRONG CODE"), ("UNIMPLEMENTED", "OK"), ("OK", "FAILED BY CLIENT"), (None, "OK"),
])
def test_one_wrong(tmp_path, wrong):
    assert judged(tmp_path, report(("OK", "OK"), wrong)) == (
        1, [f"FAIL ignyxd 1.1.1: {wrong[0]}, closing {wrong[1]}", "1 passed, 1 failed"])


@pytest.mark.parametrize("index", [{}, {"ignyxd": {}}])
def test_a_report_of_nothing_is_no_pass(tmp_path, index):
    assert judged(tmp_path, index) == (1, ["0 passed, 0 failed"])


def script(tmp_path, url, wstest=None):
    """Runs autobahn.sh of a tree that has nothing else, with that as wstest."""
    there = tmp_path / "tests" / "conformance"
    there.mkdir(parents=True)
    for name in ("autobahn.sh", "autobahn.py"):
        (there / name).write_bytes(open(os.path.join(HERE, name), "rb").read())
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "cat", "mkdir", "rm"):
        (programs / name).symlink_to(f"/bin/{name}")
    if wstest:
        (programs / "wstest").write_text("#!/bin/bash\n" + wstest)
        (programs / "wstest").chmod(0o755)
    return subprocess.run(["/bin/bash", str(there / "autobahn.sh"), url], text=True,
                          capture_output=True, check=False, env={"PATH": str(programs)})


def test_without_wstest(tmp_path):
    done = script(tmp_path, "ws://127.0.0.1:1/ws")
    assert done.returncode == 0
    assert "not run" in done.stdout and "passed" not in done.stdout


@pytest.mark.parametrize("behaviour, status", [("OK", 0), ("NON-STRICT", 1)])
def test_with_a_wstest(tmp_path, behaviour, status):
    index = json.dumps(report((behaviour, "OK")))
    done = script(tmp_path, "ws://127.0.0.1:1/ws",
                  f"[ \"$1 $2 $3\" = '--mode fuzzingclient --spec' ] || exit 9\n"
                  f"cat \"$4\" >seen\necho '{index}' >build/autobahn/index.json\n")
    assert done.returncode == status, done
    assert json.loads((tmp_path / "seen").read_text())["servers"] == [
        {"agent": "ignyxd", "url": "ws://127.0.0.1:1/ws"}]


def test_without_a_url(tmp_path):
    assert script(tmp_path, "", "true\n").returncode == 2
