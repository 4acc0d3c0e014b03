#!/bin/bash
# check.sh plain|asan: builds and runs all tests, and closes with their count.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/count.sh
mode=$1

make_flags=(--no-print-directory)
[ -z "${CI-}" ] || make_flags+=(WERROR=yes)
build=build
if [ "$mode" = asan ]; then
    build=build/asan
    make_flags+=(BUILD=$build SANITIZE=yes)
    export IGNYX_SLOW=4
    export UBSAN_OPTIONS=print_stacktrace=1
fi

if ! make -j"$(nproc)" "${make_flags[@]}" all unit-programs fuzz-programs; then
    failed=1
    closing
    exit 1
fi
[ "$mode" = asan ] || part lint tests/lint/run.sh
part unit tests/unit/run.sh "$build/tests/unit"
[ "$mode" = asan ] || part metrics tests/metrics/check.sh
part fuzz tests/fuzz/replay.sh "$PWD/$build/fuzz"
export IGNYXD=$PWD/$build/ignyxd
# The daemon has permessage-deflate: no test may be skipped for want of it.
export IGNYX_CONFORMANCE_STRICT=1
pytests integration tests/integration
pytests conformance tests/conformance
if [ "$mode" = plain ]; then
    # the same once more, in other ways: see tests/integration/way.py
    pytests "integration over wss" tests/integration IGNYX_TLS=1
    pytests "conformance over wss" tests/conformance IGNYX_TLS=1
    pytests "integration behind HAProxy" tests/integration IGNYX_HAPROXY=1
fi
closing
