"""How tests are counted: what is unsteady or was skipped is told, and has failed where $CI is set."""

import os
import subprocess

from harness import ROOT

UNSTEADY = """
import os

def test_steady():
    pass

def test_at_the_second_try():
    if not os.path.exists("tried"):
        open("tried", "w").close()
        raise AssertionError("not yet")
"""

SKIPS = """
import pytest

def test_steady():
    pass

@pytest.mark.skipif(True, reason="not over TLS: it is about the clear")
@pytest.mark.parametrize("n", [1, 2])
def test_left_out(n):
    pass

def test_that_lacks_something():
    pytest.skip("needs the moon")
"""

# what a unit test's program prints where it cannot trace
TRACED = """#!/bin/sh
echo "SKIPPED: needs ptrace, which is not allowed here"
echo "[  SKIPPED ] test_append"
echo "[       OK ] test_other"
echo "[  SKIPPED ] 1 test(s), listed below:"
echo "[  SKIPPED ] test_append"
"""


def count(directory, commands, ci):
    """Runs parts of tests in a directory; returns the status, the output and its last line."""
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "IGNYX_COUNTS")}
    done = subprocess.run(
        ["bash", "-uc", f". {ROOT}/tests/count.sh\n{commands}\nclosing"], cwd=directory,
        env={**env, "CI": "true"} if ci else env, stdin=subprocess.DEVNULL, text=True,
        capture_output=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout, done.stdout.splitlines()[-1]


def write(directory, name, text):
    path = os.path.join(directory, "tests", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, 0o755)


def test_one_that_passes_at_the_second_try_counts_apart(directory):
    write(directory, "test_x.py", UNSTEADY)
    status, told, last = count(directory, "pytests here tests", ci=False)
    assert (status, last) == (0, "1 passed, 0 failed")
    assert ("-- UNSTEADY, passed at the second try only: here: "
            "tests/test_x.py::test_at_the_second_try\n") in told


def test_one_that_passes_at_the_second_try_fails_in_ci(directory):
    write(directory, "test_x.py", UNSTEADY)
    status, told, last = count(directory, "pytests here tests", ci=True)
    assert (status, last) == (1, "1 passed, 1 failed")
    assert "UNSTEADY" in told


def test_one_that_fails_twice_has_failed(directory):
    write(directory, "test_x.py", "def test_x():\n    assert False\n")
    status, told, last = count(directory, "pytests here tests", ci=False)
    assert (status, last) == (1, "0 passed, 1 failed")
    assert "once more" in told and "UNSTEADY" not in told


def test_skips_are_told_with_each_reason_once(directory):
    write(directory, "test_x.py", SKIPS)
    status, told, last = count(directory, "pytests one tests; pytests two tests", ci=False)
    assert (status, last) == (0, "2 passed, 0 failed, 6 skipped")
    assert ("-- skipped: 6\n   4 not over TLS: it is about the clear\n   2 needs the moon\n"
            in told)


def test_what_was_skipped_for_want_of_something_fails_in_ci(directory):
    write(directory, "test_x.py", SKIPS)
    status, told, last = count(directory, "pytests here tests", ci=True)
    assert (status, last) == (1, "1 passed, 1 failed, 2 skipped")
    assert "1 needs the moon" in told


def test_a_skipped_ptrace_test_is_told_and_fails_in_ci(directory):
    write(directory, "unit/test_bus_step", TRACED)
    part = f"part unit {ROOT}/tests/unit/run.sh $PWD/tests/unit"
    status, told, last = count(directory, part, ci=False)
    assert (status, last) == (0, "1 passed, 0 failed, 1 skipped")
    assert "   1 needs ptrace, which is not allowed here\n" in told
    assert count(directory, part, ci=True)[0::2] == (1, "1 passed, 1 failed")
