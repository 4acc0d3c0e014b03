#!/bin/bash
# layers.sh: a file includes only its own layer or those to the left.
order="base proto bus config net session behaviours process"
rank() { local n=0 l; for l in $order; do n=$((n + 1)); [ "$l" = "$1" ] && echo $n && return; done; echo 0; }
bad=0
while IFS=: read -r file line text; do
    own=$(echo "$file" | cut -d/ -f2)
    to=$(echo "$text" | sed -n 's,.*"\([a-z]*\)/.*,\1,p')
    [ -n "$to" ] || continue
    if [ "$(rank "$to")" = 0 ] || [ "$(rank "$to")" -gt "$(rank "$own")" ]; then
        echo "$file:$line: $own must not include $to"
        bad=1
    fi
done < <(grep -n '^#include "' src/*/*.c src/*/*.h)
for l in base proto bus net; do
    grep -n '#include "behaviour.h"' src/$l/* && { echo "$l must not know behaviours"; bad=1; }
done
exit $bad
