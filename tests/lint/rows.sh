#!/bin/bash
# rows.sh: every row of the tables that others print from is used: metrics, reasons, events, close codes.
bad=0

# used KIND TABLE ROWS PATTERN: rows is a sed program that prints their names, pattern has % for one.
used() {
    local kind=$1 table=$2 rows=$3 pattern=$4 name
    while read -r name; do
        grep -rqE --include='*.[ch]' --exclude="${table##*/}" "${pattern//%/$name}" src ||
            { echo "$table: nothing uses the $kind $name"; bad=1; }
    done < <(sed -nE "$rows" "$table" | grep . || echo "that could be found: none")
}

used metric src/base/metrics.def '/^METRIC_(DERIVED|INFO)/d; s/^METRIC_[A-Z]+\((\w+)[,)].*/\1/p' '(->|\.)%\b'
# not by a row of answers alone
used reason src/base/reason.def 's/^[A-Z]+\(([A-Z_0-9]+),.*/\1/p' '([^ ]|[^{] )REASON_%\b'
used event src/base/log_event.def '/^LOG_EVENT\(NONE,/d; s/^LOG_EVENT\(([A-Z_0-9]+),.*/\1/p' '(LOG_EVENT_|LOG_OF\()%\b'
used 'close code' src/proto/frame.h 's/^\tWS_CLOSE_(\w+) = 1[0-9]{3}.*/\1/p' 'WS_CLOSE_%\b'
exit $bad
