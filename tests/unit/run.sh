#!/bin/bash
# run.sh DIR: runs every unit test program in DIR; closes with the count. $IGNYX_SLOW is how many
# times longer one may take than usual.
set -u
passed=0 failed=0 skipped=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
for t in "$1"/test_*; do
    case ${t##*/} in *.*) continue;; esac # what the compiler wrote beside them
    timeout $((120 * ${IGNYX_SLOW:-1})) "$t" >"$out" 2>&1
    status=$?
    ok=$(grep -c '^\[       OK \]' "$out")
    bad=$(grep '^\[  FAILED  \] test_' "$out" | sort -u | wc -l)
    [ $status = 0 ] || [ "$bad" != 0 ] || bad=1
    [ $status = 0 ] || cat "$out"
    # "SKIPPED: WHY" is from the test, the other line from cmocka
    left=$(grep '^\[  SKIPPED \] [a-z]' "$out" | sort -u | wc -l)
    [ "$left" = 0 ] || echo "SKIPPED [$left] ${t##*/}: $(sed -n 's/^SKIPPED: //p' "$out" | sort -u | paste -sd' ')"
    printf '%-24s %d ok%s\n' "${t##*/}" "$ok" "$([ "$bad" = 0 ] || echo ", $bad FAILED")"
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + left))
done
line="$passed passed, $failed failed"
[ $skipped = 0 ] || line="$line, $skipped skipped"
echo "$line"
[ $failed = 0 ] && [ $passed != 0 ]
