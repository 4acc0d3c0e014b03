#!/bin/bash
# count.sh: read by what runs tests; runs them in parts, counts, and closes with the count.
#
# A pytest that fails is tried once more, by itself, for a deadline may pass on a machine with other
# work. One that passes then is unsteady: it is named, and is neither passed nor failed. A skip says
# why; each reason is told once, at the end. Where $CI is set what is unsteady has failed, and so has
# what was skipped for want of something: all but what a way of running leaves out by design, which
# says "not over ...", "not through ..." or "not under ...". A pytest that does not come to its end is ended.
passed=0 failed=0 skipped=0 unsteady=()
out=$(mktemp) && reasons=$(mktemp) || exit 1
trap 'rm -f "$out" "$reasons"' EXIT

# Adds the figures of a closing line such as "3 passed, 1 failed, 2 skipped", and the reasons.
add() {
    local n
    n=$(grep -E '[0-9]+ (passed|failed|skipped|error)' "$out" | tail -n 1 |
        grep -Eo '[0-9]+ (passed|failed|skipped|error)' | awk '
        $2 == "passed" { p = $1 } $2 == "failed" { f = $1 } $2 == "error" { e = $1 } $2 == "skipped" { s = $1 }
        END { print p + 0, f + e, s + 0 }')
    # shellcheck disable=SC2086
    set -- $n
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    sed -En 's/^SKIPPED \[([0-9]+)\] [^ ]+: (.*)$/\1 \2/p' "$out" >>"$reasons"
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

# pytests NAME DIR [VARIABLE=VALUE...]: with a second try for up to three that fail.
pytests() {
    local name=$1 dir=$2 again run
    run=(/usr/bin/python3 -m pytest -q -rfEs -p no:cacheprovider --timeout $((180 * ${IGNYX_SLOW:-1})))
    shift 2
    part "$name" env "$@" "${run[@]}" "$dir"
    mapfile -t again < <(sed -En 's/^(FAILED|ERROR) (tests[^ ]*::.*)$/\2/p' "$out" | sed 's/ - .*//' | sort -u)
    if [ ${#again[@]} = 0 ] || [ ${#again[@]} -gt 3 ]; then return; fi
    echo "-- $name: ${#again[@]} once more: ${again[*]}"
    if env "$@" "${run[@]}" "${again[@]}"; then
        unsteady+=("${again[@]/#/$name: }")
        # one may have failed twice, by itself and when its daemons were looked at
        failed=$((failed - $(grep -Ec '^(FAILED|ERROR) tests' "$out")))
    fi
}

# What was skipped and why: "3 REASON" a line, the most first.
why_skipped() {
    awk '{ n = $1; sub(/^[0-9]+ /, ""); sum[$0] += n } END { for (why in sum) print sum[why], why }' \
        "$reasons" | sort -k1,1nr -k2
}

# closing: says what was skipped and what is unsteady, and the count; returns whether all is well.
closing() {
    local meant line
    if [ $skipped != 0 ]; then
        echo "-- skipped: $skipped"
        why_skipped | sed 's/^/   /'
    fi
    [ ${#unsteady[@]} = 0 ] || printf -- '-- UNSTEADY, passed at the second try only: %s\n' "${unsteady[@]}"
    if [ -n "${CI-}" ]; then
        meant=$(why_skipped | awk '/^[0-9]+ not (over|through|under) / { n += $1 } END { print n + 0 }')
        [ "$skipped" = "$meant" ] || echo "-- here, where CI is set, $((skipped - meant)) of the skipped have failed"
        failed=$((failed + ${#unsteady[@]} + skipped - meant)) skipped=$meant
    fi
    [ -z "${IGNYX_COUNTS-}" ] || echo "$passed $failed $skipped" >>"$IGNYX_COUNTS"
    line="$passed passed, $failed failed"
    [ $skipped = 0 ] || line="$line, $skipped skipped"
    echo "$line"
    [ $failed = 0 ]
}
