"""Each case of the tables is one test; the results are in build/conformance.md as well."""

import closing
import compression
import fragments
import framing
import handshake
import limits
import pytest
import utf8
from five import NO_COMPRESSION, STRICT

PLAIN = [c for m in (framing, fragments, utf8, closing, limits, handshake) for c in m.cases()]
COMPRESSED = list(compression.cases())


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=[c.name for c in cases])


def test_names_are_unique():
    names = [c.name for c in PLAIN + COMPRESSED]
    assert len(names) >= 500
    assert len(names) == len(set(names)), sorted(n for n in set(names) if names.count(n) > 1)


@named(PLAIN)
def test_case(daemon, results, case):
    results.run(daemon, case)


@named(COMPRESSED)
def test_compression(daemon, results, compresses, case):
    if not compresses:
        results.row(case, [NO_COMPRESSION], "FAIL" if STRICT else "skip")
        (pytest.fail if STRICT else pytest.skip)(NO_COMPRESSION)
    results.run(daemon, case)
