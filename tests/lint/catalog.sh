#!/bin/bash
# catalog.sh: every event with a MESSAGE_ID is explained (journalctl -x), once, and nothing else is.
table=src/base/log_event.def catalog=systemd/ignyxd.catalog
bad=0
ids=$(sed -nE 's/^LOG_EVENT\(.*, "([0-9a-f]{32})"\)$/\1/p' $table | sort)
told=$(sed -nE 's/^-- (.*)$/\1/p' $catalog | sort)
[ -n "$ids" ] || { echo "$table: no ids were found"; bad=1; }
for id in $(uniq -d <<<"$ids"); do echo "$table: $id stands there twice"; bad=1; done
for id in $(uniq -d <<<"$told"); do echo "$catalog: $id stands there twice"; bad=1; done
for id in $(comm -23 <(uniq <<<"$ids") <(uniq <<<"$told")); do echo "$catalog: nothing explains $id"; bad=1; done
for id in $(comm -13 <(uniq <<<"$ids") <(uniq <<<"$told")); do echo "$table: no event has $id"; bad=1; done
# An entry is headers, an empty line, and what is told; journalctl shows the name of a field that an
# entry lacks, and the master's have no worker and no connection.
awk -v catalog=$catalog '
    function wrong(what) { print catalog ": " id ": " what; bad = 1 }
    function end() { if (id && !text) wrong("tells nothing"); text = 0 }
    /^-- / { end(); id = $2; want = 1; next }
    want && want <= 4 {
        split("Subject: Defined-By: Support: Documentation:", names, " ")
        if (index($0, names[want] " ") != 1) wrong("lacks \"" names[want] "\"")
        want++
        next
    }
    want == 5 { if ($0 != "") wrong("has no empty line behind its headers"); want = 0; next }
    id && NF { text++ }
    { rest = $0
      while (match(rest, /@[A-Z_]+@/)) {
          name = substr(rest, RSTART, RLENGTH)
          if (name != "@_SYSTEMD_UNIT@" && name != "@IGNYX_GENERATION@") wrong("names " name)
          rest = substr(rest, RSTART + RLENGTH)
      } }
    END { end(); exit bad }' $catalog || bad=1
exit $bad
