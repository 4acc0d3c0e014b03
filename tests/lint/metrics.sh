#!/bin/bash
# metrics.sh: every metric is in ignyxd-metrics(7) and no other is; the rules and the dashboard ask
# for none that there is not.
table=src/base/metrics.def page=man/ignyxd-metrics.7
bad=0
complain() { echo "$*"; bad=1; }
names=$(sed '1,/^METRIC_/d' "$table" | tr '\n' ' ' | cat <(grep -m1 '^METRIC_' "$table" | tr '\n' ' ') - |
    grep -Eo 'METRIC_[A-Z]+\([^"]*"[a-z_]+"' | sed 's/.*"\(.*\)"/ignyxd_\1/' | sort)
told=$(sed -n 's/^\.It Li \(ignyxd_[a-z_]*\).*/\1/p' "$page" | sort)
[ -n "$names" ] || complain "no metrics were found in $table"
[ -z "$(uniq -d <<<"$names")" ] || complain "twice in $table: $(uniq -d <<<"$names")"
diff <(echo "$names") <(echo "$told") >/dev/null ||
    complain "$page does not tell of what is in $table: $(diff <(echo "$names") <(echo "$told") | grep '^[<>]')"
histograms=$(tr '\n' ' ' <"$table" | grep -Eo 'METRIC_TIMES\([^"]*"[a-z_]+"' | sed 's/.*"\(.*\)"/ignyxd_\1/')
for h in $histograms; do names+=" ${h}_bucket ${h}_sum ${h}_count"; done
for file in conf/ignyxd.rules.yml conf/ignyxd.dashboard.json; do
    used=$(grep -Eo 'ignyxd_[a-z_]+' "$file" | sort -u)
    [ -n "$used" ] || complain "$file asks for nothing"
    for name in $used; do
        [[ " ${names//$'\n'/ } " == *" $name "* ]] || complain "$file asks for $name, which there is not"
    done
done
exit $bad
