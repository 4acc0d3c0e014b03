#!/bin/bash
# check.sh plain|asan: builds and runs all tests, and closes with their count.
set -u
cd "$(dirname "$0")/.." || exit 1
mode=$1
passed=0 failed=0 skipped=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

make_flags=(--no-print-directory)
[ -z "${CI-}" ] || make_flags+=(WERROR=yes)
build=build
if [ "$mode" = asan ]; then
    build=build/asan
    make_flags+=(BUILD=$build SANITIZE=yes)
    export IGNYX_SLOW=4
    export UBSAN_OPTIONS=print_stacktrace=1
fi

# Adds the figures of a closing line such as "3 passed, 1 failed, 2 skipped".
add() {
    local n
    n=$(grep -Eo '[0-9]+ (passed|failed|skipped|error)' "$out" | awk '
        $2 == "passed" { p = $1 } $2 == "failed" { f = $1 } $2 == "error" { e = $1 } $2 == "skipped" { s = $1 }
        END { print p + 0, f + e, s + 0 }')
    # shellcheck disable=SC2086
    set -- $n
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# part NAME COMMAND...: what fails without a count is one failure.
part() {
    local name=$1 status
    shift
    echo "-- $name"
    "$@" 2>&1 | tee "$out"
    status=${PIPESTATUS[0]}
    add
    if [ "$status" != 0 ] && ! grep -Eq '[1-9][0-9]* (failed|error)' "$out"; then
        failed=$((failed + 1))
    fi
}

# pytests NAME DIR [VARIABLE=VALUE...]: what fails of it is tried once more, by itself, for a
# deadline may pass on a machine with other work. That is told; what fails twice has failed.
pytests() {
    local name=$1 dir=$2 again run=(/usr/bin/python3 -m pytest -q -p no:cacheprovider)
    shift 2
    part "$name" env "$@" "${run[@]}" "$dir"
    mapfile -t again < <(sed -En 's/^(FAILED|ERROR) (tests[^ ]*::.*)$/\2/p' "$out" | sed 's/ - .*//' | sort -u)
    if [ ${#again[@]} = 0 ] || [ ${#again[@]} -gt 3 ]; then return; fi
    echo "-- $name: ${#again[@]} once more: ${again[*]}"
    if env "$@" "${run[@]}" "${again[@]}"; then
        echo "-- $name: UNSTEADY, passed at the second try: ${again[*]}"
        # one may have failed twice, by itself and when its daemons were looked at
        passed=$((passed + ${#again[@]})) failed=$((failed - $(grep -Ec '^(FAILED|ERROR) tests' "$out")))
    fi
}

make "${make_flags[@]}" all unit-programs fuzz-programs || { echo "0 passed, 1 failed"; [ -z "${IGNYX_COUNTS-}" ] || echo "0 1 0" >>"$IGNYX_COUNTS"; exit 1; }
[ "$mode" = asan ] || part lint tests/lint/run.sh
part unit tests/unit/run.sh "$build/tests/unit"
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

[ -z "${IGNYX_COUNTS-}" ] || echo "$passed $failed $skipped" >>"$IGNYX_COUNTS"
line="$passed passed, $failed failed"
[ $skipped = 0 ] || line="$line, $skipped skipped"
echo "$line"
[ $failed = 0 ]
