#!/bin/bash
# replay.sh DIR: feeds the committed corpus to the targets in DIR; closes with the count.
set -u
cd "$(dirname "$0")" || exit 1
passed=0 failed=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
for target in corpus/*/; do
    target=$(basename "$target")
    files=(corpus/"$target"/*)
    if timeout 120 "$1/$target" "${files[@]}" >"$out" 2>&1; then
        passed=$((passed + ${#files[@]}))
    else
        failed=$((failed + 1))
        echo "FAIL $target at $(grep '^corpus/' "$out" | tail -n 1)"
        grep -v '^corpus/' "$out"
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
