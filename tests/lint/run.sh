#!/bin/bash
# run.sh: every lint, one line each; goes on after a failure.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
for t in tests/lint/[a-z]*.sh; do
    [ "$t" = tests/lint/run.sh ] && continue
    if out=$("$t" 2>&1); then
        echo "PASS ${t##*/}"
        passed=$((passed + 1))
    else
        echo "FAIL ${t##*/}"
        printf '%s\n' "$out" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
