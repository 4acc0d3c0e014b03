#!/bin/bash
# check.sh: what Prometheus' own tool says to the metrics, with every counter set, and to the rules.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
try() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1) && [ -z "${strict-}" -o -z "$out" ]; then
        echo "PASS $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name"
        printf '%s\n' "$out" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}
all() { build/tests/unit/test_exposition all | tests/metrics/promtool.sh check metrics; }
tests/metrics/promtool.sh --version </dev/null >/dev/null || { echo "0 passed, 1 failed"; exit 1; }
# it says nothing where all is well
strict=1 try "promtool check metrics" all
try "promtool check rules" tests/metrics/promtool.sh check rules conf/ignyxd.rules.yml
try "promtool test rules" tests/metrics/promtool.sh test rules tests/metrics/rules_test.yml
echo "$passed passed, $failed failed"
[ $failed = 0 ]
