#!/bin/bash
# circles.sh: in these layers no files call each other in a circle, by what they are compiled to.
layers="base session behaviours admin process ctl"
make --no-print-directory -s all >&2 || exit 1
bad=0
for l in $layers; do
    # "user definer" for each symbol that another file of the layer defines
    edges=$(for o in build/obj/src/"$l"/*.o; do gcc-nm "$o" 2>/dev/null | sed "s,^,${o##*/} ,"; done | awk '
        $(NF - 1) ~ /^[TDBRVWC]$/ { defined[$NF] = $1 }
        $(NF - 1) == "U" { users[$NF] = users[$NF] " " $1 }
        END {
            for (s in defined)
                for (n = split(users[s], u, " "); n > 0; n--)
                    if (u[n] != defined[s])
                        print u[n], defined[s]
        }' | sort -u)
    # nothing at all is no good sign: objects are read by what belongs to the compiler
    [ -n "$edges" ] || { echo "src/$l: no calls between its files were found"; bad=1; }
    if ! loop=$(tsort <<<"$edges" 2>&1 >/dev/null); then
        echo "src/$l: these call each other in a circle:"
        sed -n 's/^tsort: \(.*\)\.o$/    \1.c/p' <<<"$loop"
        bad=1
    fi
done
exit $bad
