#!/bin/bash
# run.sh DIR SECONDS: runs every target in DIR for so long, from its corpus and what earlier
# runs found (kept in DIR); a find is left in DIR/finds and fails the run.
set -u
cd "$(dirname "$0")" || exit 1
dir=$1 seconds=$2 failed=0
mkdir -p "$dir/finds"
for target in corpus/*/; do
    target=$(basename "$target")
    mkdir -p "$dir/grown/$target"
    echo "-- $target, $seconds s"
    "$dir/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
        -dict="$target.dict" -artifact_prefix="$dir/finds/$target-" -print_final_stats=1 \
        "$dir/grown/$target" "corpus/$target" >"$dir/$target.log" 2>&1 || {
        failed=$((failed + 1))
        tail -n 40 "$dir/$target.log"
    }
    grep -E 'number_of_executed_units|new_units_added|cov:' "$dir/$target.log" | tail -n 3
done
ls "$dir/finds"
[ $failed = 0 ]
