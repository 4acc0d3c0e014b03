#!/usr/bin/python3
"""Instructions that a byte on the wire costs at most, whatever a client sends.

wire.c has the inputs and their bounds; callgrind counts while it decodes them, one dump each.
Fails when a byte costs more than its bound.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import servers

PROGRAM = os.path.join(servers.BUILD, "tests/bench/wire")
FUNCTION = "decode_input"


def run(directory):
    """The lines that the program wrote, and the instructions of each call."""
    lines = subprocess.run(
        ["valgrind", "--quiet", "--tool=callgrind", f"--toggle-collect={FUNCTION}",
         f"--dump-after={FUNCTION}", f"--callgrind-out-file={directory}/out", PROGRAM],
        check=True, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout.splitlines()
    dumps = sorted(glob.glob(f"{directory}/out.*"), key=lambda n: int(n.rpartition(".")[2]))
    if len(dumps) != len(lines):
        raise servers.Failed(f"{len(dumps)} counts for {len(lines)} inputs")
    counts = []
    for name in dumps:
        with open(name, encoding="utf-8", errors="replace") as f:
            counts.append(int(re.search(r"^(?:totals|summary): (\d+)", f.read(), re.M).group(1)))
    return zip(lines, counts)


def main():
    if not shutil.which("valgrind"):
        print("there is no valgrind", file=sys.stderr)
        return 1
    good = True
    with tempfile.TemporaryDirectory(prefix="ignyx-bench-") as directory:
        for line, count in run(directory):
            size, bound, name = line.split(" ", 2)
            cost = count / int(size)
            word = "ok" if cost <= int(bound) else "FAILED: more than that"
            good &= cost <= int(bound)
            print(f"{name}: {cost:.1f} instructions a byte, of {bound} {word}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (servers.Failed, subprocess.SubprocessError) as e:
        print(e, file=sys.stderr)
        sys.exit(1)
