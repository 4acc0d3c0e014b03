#!/bin/bash
# layers.sh: a file includes only its own layer or those to the left, and no two have one name.
# ignyxctl is a program of its own, on base alone. JSON is read where lost memory is noticed.
order="base proto bus config net session behaviours admin process"
bad=0
grep -n '^#include "[a-z]*/' src/*/*.c src/*/*.h | awk -v order="$order" '
    BEGIN { for (n = split(order, layers, " "); n > 0; n--) rank[layers[n]] = n }
    {
        split($0, found, ":")
        split($0, name, "\"")
        split(found[1], from, "/")
        split(name[2], to, "/")
        if (from[2] == "ctl" ? to[1] == "ctl" || to[1] == "base" : to[1] in rank && rank[to[1]] <= rank[from[2]])
            next
        print found[1] ":" found[2] ": " from[2] " must not include " to[1]
        bad = 1
    }
    END { if (NR == 0) print "no includes were found in the source"; exit bad || NR == 0 }' || bad=1
for l in base proto bus net; do
    grep -n '#include "behaviour.h"' src/$l/* && { echo "$l must not know behaviours"; bad=1; }
done
grep -n '\bjson_load[a-z_]*(' src/*/*.c | grep -v '^src/ctl/\|^src/proto/json_memory.c:' && {
    echo "json_memory_read reads all of what JSON says, or nothing"
    bad=1
}
for twice in $(basename -a src/*/*.c | sort | uniq -d); do
    echo "$twice is in two layers: name each by what it is there"
    bad=1
done
exit $bad
