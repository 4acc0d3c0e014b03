#!/bin/bash
# check.sh: runs the browser's tests, where Debian's chromium is installed.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v chromium >/dev/null; then
    echo "chromium is not installed (.ci/deps.sh browser does it): the browser was not tested"
    exit 0
fi
out=$(/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/browser 2>&1)
status=$?
printf '%s\n' "$out"
[ -z "${IGNYX_COUNTS-}" ] || printf '%s\n' "$out" | tail -1 | awk '
    { for (i = 2; i <= NF; i++) { w = $i; sub(/,$/, "", w); n[w] += $(i - 1) } }
    END { print n["passed"] + 0, n["failed"] + n["error"] + n["errors"] + 0, n["skipped"] + 0 }' >>"$IGNYX_COUNTS"
exit $status
