#!/usr/bin/python3
"""Puts small faults into the daemon, one at a time, and says which test notices.

The faults are in the tables beside this file, one table for each layer. An entry is

    name: idle-a-tick-early
    file: src/session/timer.c
    sees: who is silent for nearly idle_timeout is closed
    tests: test_session_timer test_limits.py::test_idle_timeout
    -reached(c->last_data + timer_ticks(l->idle_timeout))
    +reached(c->last_data + timer_ticks(l->idle_timeout) - 1)

with an empty line behind it. The lines with a minus, and those with a space, are text of the
file that is in it exactly once; those with a plus, and those with a space, take its place. White
space at the beginning of the first line is left out on both sides, so a part of a line will do.
`tests` are those to try first; behind them come those that a line `tests:` at the head of the
table names for all of it. `equivalent: WHY` marks a fault that nobody can see.

Each fault goes into a scratch copy of the working tree, and only what it touches is built again.
A test that fails is run once more without the fault: one that fails then, too, notices nothing.
"""

import argparse
import collections
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LAYERS = ["base", "proto", "bus", "config", "net", "session", "behaviours", "admin", "process",
          "ctl"]
INTEGRATION = "tests/integration"

# Seconds that a test program, and a file of pytest's, may take; who takes longer hangs.
UNIT_TIMEOUT, FILE_TIMEOUT, BUILD_TIMEOUT = 60, 300, 600
# Of the faults that somebody could see.
LEAST_NOTICED = 0.95


running = set()  # process groups
stopped = threading.Event()


class TableError(Exception):
    """Something in a table that has to be mended there."""


class Fault:
    def __init__(self, layer, place):
        self.layer, self.place = layer, place
        self.name = self.file = self.sees = self.equivalent = None
        self.tests = []
        self.lines = []

    def _text(self, kept):
        lines = [line[1:] for line in self.lines if line[0] in kept]
        return "\n".join(lines).lstrip(" \t")

    @property
    def before(self):
        return self._text(" -")

    @property
    def after(self):
        return self._text(" +")

    def set(self, key, value):
        if key == "tests":
            self.tests = value.split()
        elif key in ("name", "file", "sees", "equivalent"):
            setattr(self, key, value)
        else:
            raise TableError(f"{self.place}: there is no \"{key}\" in an entry")

    def _check_tests(self, top):
        for test in self.tests:
            name = test.partition("::")[0]
            path = f"{INTEGRATION}/{name}" if name.endswith(".py") else f"tests/unit/{name}.c"
            if not os.path.exists(os.path.join(top, path)):
                raise TableError(f"{self.place}: {self.name}: there is no test {name}")

    def check(self, top):
        """Whether it can be put in; says what to do if not."""
        missing = [k for k in ("name", "file", "sees") if not getattr(self, k)]
        if missing:
            raise TableError(f"{self.place}: the entry lacks \"{missing[0]}\"")
        where = f"{self.place}: {self.name}"
        if not self.before or self.before == self.after:
            raise TableError(f"{where}: it changes nothing")
        self._check_tests(top)
        path = os.path.join(top, self.file)
        if not os.path.exists(path):
            raise TableError(f"{where}: there is no {self.file}; name the file that has it now, "
                             "or remove the entry")
        with open(path, encoding="utf-8") as f:
            n = f.read().count(self.before)
        if n != 1:
            what = "is not in" if n == 0 else f"is {n} times in"
            raise TableError(f"{where}: its text {what} {self.file}: bring the entry in line with "
                             "the code, or remove it if the code is gone")


def read_table(layer, path):
    """The faults of a table; each has the tests of the whole table behind its own."""
    faults, common, current = [], [], None
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            place = f"{os.path.relpath(path, ROOT)}:{number}"
            if line.startswith("#"):
                continue
            if not line:
                current = None
                continue
            key, colon, value = line.partition(":")
            if line[0] not in " -+" and not colon:
                raise TableError(f"{place}: neither \"key: value\" nor a line of code")
            if current is None and key == "tests":
                common = value.split()
                continue
            if current is None:
                current = Fault(layer, place)
                faults.append(current)
            if line[0] in " -+":
                current.lines.append(line)
            else:
                current.set(key, value.strip())
    for fault in faults:
        fault.tests += [t for t in common if t not in fault.tests]
    return faults


def read_tables(only):
    faults = []
    for layer in LAYERS:
        path = os.path.join(HERE, layer + ".txt")
        if os.path.exists(path):
            faults += read_table(layer, path)
    names = collections.Counter(f.name for f in faults)
    for fault in faults:
        if names[fault.name] > 1:
            raise TableError(f"{fault.place}: another fault is named {fault.name}, too")
    chosen = [f for f in faults if not only or f.layer in only or f.name in only]
    unknown = set(only) - {f.layer for f in chosen} - {f.name for f in chosen}
    if unknown:
        raise TableError(f"no layer and no fault is named {sorted(unknown)[0]}")
    return chosen


class Outcome:
    """What a program came to: whether it passed, and its output; hung: it was ended."""

    def __init__(self, status, output, hung):
        self.passed, self.output, self.hung = status == 0, output, hung


def stop(_number, _frame):
    """What runs is ended; each job then finds that it may not go on, and cleans up."""
    stopped.set()
    for pid in list(running):
        end_group(pid)


def end_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(argv, cwd, timeout, env=None):
    """Runs it in a session of its own, of which nothing is left behind."""
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, start_new_session=True) as p:
            hung = False
            running.add(p.pid)
            if stopped.is_set():
                end_group(p.pid)
            try:
                p.wait(timeout)
            except subprocess.TimeoutExpired:
                hung = True
            end_group(p.pid)
            status = p.wait()
            running.discard(p.pid)
        if stopped.is_set():
            raise InterruptedError("it was stopped")
        out.seek(0)
        return Outcome(status, out.read().decode("utf-8", "replace"), hung)


class Scratch:
    """A copy of the working tree with its own build: where one fault at a time is."""

    def __init__(self, directory):
        self.top = directory
        self.clean = os.path.join(directory, "clean")
        self.tmp = os.path.join(directory, "t")
        self.known_good = set()
        os.chmod(directory, 0o755)
        os.mkdir(self.tmp)
        os.chmod(self.tmp, 0o1777)
        self._copy_tree()
        self.env = dict(os.environ, TMPDIR=self.tmp, PYTHONDONTWRITEBYTECODE="1")
        self.env.pop("MAKEFLAGS", None)
        self._build_clean()

    def _copy_tree(self):
        listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT,
                                check=True, stdout=subprocess.PIPE).stdout
        files = listed.decode().split("\0")
        for name in filter(None, files):
            source, target = os.path.join(ROOT, name), os.path.join(self.top, name)
            if not os.path.lexists(source):
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)

    def make(self, *targets):
        argv = ["make", "-s", "-j", str(os.cpu_count() or 1), "WERROR=", "LTO=", "CFLAGS=-O1 -g"]
        return run([*argv, *targets], self.top, BUILD_TIMEOUT, self.env)

    def _build_clean(self):
        built = self.make("all", *(f"build/tests/unit/{t}" for t in self.unit_tests()))
        if not built.passed:
            raise TableError(f"the tree does not build as it is:\n{built.output}")
        shutil.copytree(os.path.join(self.top, "build"), self.clean)

    def unit_tests(self):
        names = os.listdir(os.path.join(self.top, "tests/unit"))
        return sorted(n[:-2] for n in names if re.fullmatch(r"test_\w+\.c", n))

    def integration_tests(self):
        names = os.listdir(os.path.join(self.top, INTEGRATION))
        return sorted(n for n in names if re.fullmatch(r"test_\w+\.py", n))

    def _run_unit(self, name, build):
        program = os.path.join(build, "tests/unit", name)
        return run([program], self.top, UNIT_TIMEOUT, self.env)

    def _run_pytest(self, name, build):
        env = dict(self.env, IGNYXD=os.path.join(build, "ignyxd"))
        return run(["/usr/bin/python3", "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p",
                    "no:cacheprovider", f"{INTEGRATION}/{name}"], self.top, FILE_TIMEOUT, env)

    def run_test(self, name, build):
        return (self._run_pytest if ".py" in name else self._run_unit)(name, build)

    def passes_without(self, name):
        """A second time if need be: the machine may be busy."""
        for _ in range(2):
            if name not in self.known_good and self.run_test(name, self.clean).passed:
                self.known_good.add(name)
        return name in self.known_good

    def failed_test(self, name, outcome):
        """The one of a file that failed, as a name that can be run by itself."""
        found = re.search(rf"^(?:FAILED|ERROR) {INTEGRATION}/(\S+\.py::.+?)(?: - |$)",
                          outcome.output, re.M)
        return found.group(1) if found else name

    def notices(self, name):
        """What to say of the test that notices the fault that is in; None: it does not."""
        if ".py" in name:
            built = self.make("all")
        else:
            built = self.make(f"build/tests/unit/{name}")
        if not built.passed:
            raise TableError(f"it does not build:\n{built.output}")
        outcome = self.run_test(name, os.path.join(self.top, "build"))
        if outcome.passed:
            return None
        failed = self.failed_test(name, outcome)
        if not self.passes_without(name if outcome.hung else failed):
            raise TableError(f"{failed} fails without the fault, too")
        if ".py" not in name:
            words = re.findall(r"\[  FAILED  \] ([a-z]\w+)", outcome.output)
            failed += "::" + words[0] if words else ""
        return failed + (", which hangs" if outcome.hung else "")

    def try_fault(self, fault, everything):
        """The test that notices the fault; None: none does."""
        tests = list(fault.tests)
        stem = "test_" + os.path.basename(fault.file).partition(".")[0]
        units, files = self.unit_tests(), self.integration_tests()
        if stem in units and stem not in tests:
            tests.insert(0, stem)
        if everything:
            tests += [t for t in units + files if t not in tests]
        path = os.path.join(self.top, fault.file)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        try:
            self._write(path, text.replace(fault.before, fault.after))
            for name in tests:
                found = self.notices(name)
                if found:
                    return found
        finally:
            self._write(path, text)
        return None

    @staticmethod
    def _write(path, text):
        """Its time is now: what was made of the file before is older."""
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


class Report:
    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {layer: collections.Counter() for layer in LAYERS}

    def tell(self, fault, what, text, seconds=0):
        with self.lock:
            self.counts[fault.layer][what] += 1
            took = f" ({seconds:.0f} s)" if seconds else ""
            print(f"{what:10} {fault.layer}/{fault.name}: {text}{took}", flush=True)

    def total(self, what):
        return sum(c[what] for c in self.counts.values())

    def close(self):
        for layer, c in self.counts.items():
            if c:
                print(f"{layer:12}" + ", ".join(f"{c[w]} {w.lower()}" for w in
                                                ("noticed", "UNNOTICED", "equivalent")))
        noticed, unnoticed, broken = map(self.total, ("noticed", "UNNOTICED", "ERROR"))
        print(f"{noticed} noticed, {unnoticed} unnoticed, {self.total('equivalent')} equivalent"
              + (f", {broken} errors" if broken else ""))
        enough = noticed >= LEAST_NOTICED * (noticed + unnoticed)
        return 0 if enough and not broken else 1


def remove(directory):
    """Also what somebody who was just ended wrote meanwhile."""
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):
            return
        time.sleep(0.1)


def try_next(scratch, fault, everything, report):
    began = time.monotonic()
    try:
        found = scratch.try_fault(fault, everything)
    except TableError as e:
        report.tell(fault, "ERROR", e)
        return
    took = time.monotonic() - began
    report.tell(fault, "noticed" if found else "UNNOTICED", found or fault.sees, took)


def work(faults, everything, report):
    directory = tempfile.mkdtemp(prefix="ignyx-m-")
    try:
        scratch = Scratch(directory)
        while True:
            try_next(scratch, faults.get_nowait(), everything, report)
    except queue.Empty:
        pass
    finally:
        remove(directory)


def try_all(faults, args):
    report, todo = Report(), queue.Queue()
    for fault in faults:
        if fault.equivalent:
            report.tell(fault, "equivalent", fault.equivalent)
        else:
            todo.put(fault)
    problems = []

    def guarded():
        try:
            work(todo, args.all, report)
        except Exception as e:  # of any kind: a job that ends early has tried nothing
            problems.append(e)

    jobs = [threading.Thread(target=guarded) for _ in range(min(args.jobs, todo.qsize()))]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    status = report.close()
    for e in problems:
        print(f"{type(e).__name__}: {e}")
    return 1 if problems else status


def check_all(faults):
    bad = 0
    for fault in faults:
        try:
            fault.check(ROOT)
        except TableError as e:
            print(e)
            bad += 1
    return bad


def main():
    p = argparse.ArgumentParser(description="Which tests notice which small faults.")
    p.add_argument("only", nargs="*", help="layers and names of faults; without any, all")
    p.add_argument("--check", action="store_true", help="only whether the tables fit the code")
    p.add_argument("--all", action="store_true", help="all tests, before a fault is unnoticed")
    p.add_argument("--jobs", type=int, default=1, help="scratch copies at the same time")
    args = p.parse_args()
    try:
        faults = read_tables(args.only)
    except TableError as e:
        print(e)
        return 1
    if check_all(faults):
        return 1
    return 0 if args.check else try_all(faults, args)


if __name__ == "__main__":
    sys.exit(main())
