#!/usr/bin/python3
"""Which lines and branches of src/ the tests run, by layer and by file.

The build is one that gcov counts in (make coverage). Unit tests are run first and looked at, then,
where it is asked for, the integration tests, whose counts add to those. A branch is one way out of
a condition as gcc sees it at -O0; those that only a lack of memory takes are among them.
"""

import argparse
import collections
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LAYERS = ["base", "proto", "bus", "config", "net", "session", "behaviours", "process", "ctl"]


class Share:
    """Of how many there are, how many were run."""

    def __init__(self, run=0, there=0):
        self.run, self.there = run, there

    def __add__(self, other):
        return Share(self.run + other.run, self.there + other.there)

    def __str__(self):
        return f"{100 * self.run / self.there:5.1f} %" if self.there else "      -"


Figures = collections.namedtuple("Figures", "lines branches")
NOTHING = Figures(Share(), Share())


def add(a, b):
    return Figures(a.lines + b.lines, a.branches + b.branches)


def counted(notes, gcov):
    """What gcov says of one object: (file, its lines) for each file that it was made from."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([gcov, "--json-format", "--branch-probabilities", notes], cwd=directory,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        for name in glob.glob(os.path.join(directory, "*.gcov.json.gz")):
            with gzip.open(name, "rt", encoding="utf-8") as f:
                for file in json.load(f)["files"]:
                    yield file["file"], file["lines"]


def figures_of(lines):
    """A line may be in several functions, or in several copies of one: any of them will do."""
    run, ways = collections.Counter(), {}
    for line in lines:
        at = line["line_number"]
        run[at] += line["count"]
        key = at, line.get("function_name")
        taken = [b["count"] for b in line["branches"]]
        before = ways.get(key, [0] * len(taken))
        ways[key] = [x + y for x, y in zip(before, taken)]
    branches = [n for taken in ways.values() for n in taken]
    return Figures(Share(sum(n > 0 for n in run.values()), len(run)),
                   Share(sum(n > 0 for n in branches), len(branches)))


def look(build, gcov):
    """Figures of each file src/LAYER/NAME.c."""
    figures = {}
    for notes in sorted(glob.glob(os.path.join(build, "obj/src/*/*.gcno"))):
        own = os.path.relpath(notes, os.path.join(build, "obj"))[:-len(".gcno")] + ".c"
        if not os.path.exists(os.path.join(ROOT, own)):  # left of a build before it went
            continue
        lines = [line for file, lines in counted(notes, gcov) if file == own for line in lines]
        figures[own] = figures_of(lines)
    return figures


def forget(build):
    for path in glob.glob(os.path.join(build, "**/*.gcda"), recursive=True):
        os.unlink(path)


def run_unit(build):
    argv = [os.path.join(ROOT, "tests/unit/run.sh"), os.path.join(build, "tests/unit")]
    return subprocess.run(argv, check=False).returncode


def run_integration(build):
    env = dict(os.environ, IGNYXD=os.path.join(build, "ignyxd"))
    return subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           "tests/integration"], cwd=ROOT, env=env, check=False).returncode


def print_row(name, of_each):
    print(f"{name:<28}" + "".join(f"  {f.lines}  {f.branches}" for f in of_each))


def report(runs):
    """runs: the name of each, and the figures of the files behind it."""
    print()
    print(" " * 28 + "".join(f"  {name:<16}" for name, _ in runs))
    print(" " * 28 + "    lines  branches" * len(runs))
    for layer in LAYERS:
        of_each = []
        for _, figures in runs:
            total = NOTHING
            for file, f in figures.items():
                if file.startswith(f"src/{layer}/"):
                    total = add(total, f)
            of_each.append(total)
        print_row(f"src/{layer}", of_each)
    print()
    for file in sorted(runs[0][1], key=lambda name: (LAYERS.index(name.split("/")[1]), name)):
        print_row(file, [figures[file] for _, figures in runs])


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("build", help="the folder of a build that gcov counts in")
    p.add_argument("more", nargs="?", choices=["integration"],
                   help="what is run behind the unit tests")
    p.add_argument("--gcov", default=os.environ.get("GCOV", "gcov"), help="that of the compiler")
    args = p.parse_args()
    build = os.path.abspath(args.build)

    # daemons that gave up being root add to the counts, too
    os.umask(0)
    # counting takes its time, and nothing is optimized
    os.environ.setdefault("IGNYX_SLOW", "4")
    forget(build)
    failed = run_unit(build) != 0
    runs = [("unit tests", look(build, args.gcov))]
    if args.more:
        failed = run_integration(build) != 0 or failed
        runs.append(("with integration", look(build, args.gcov)))
    report(runs)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
