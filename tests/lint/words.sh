#!/bin/bash
# words.sh: what an operator may look for is in the manuals: every event, reason, field of the
# journal and option in ignyxd(8), every reason that an open connection ends with in ignyxd.conf(5)
# too. Every command and option of ignyxctl is in ignyxctl(8). Message ids are unique.
bad=0
complain() { echo "$*"; bad=1; }
# manual WORD FILE: the word stands there by itself.
manual() { grep -Eq -- "(^|[ ,(])$1([ ,.)]|\$)" "$2" || complain "${2#man/} lacks $1"; }
# words FILE MACRO [NAME]: the second argument of each call, whose first one is such a NAME.
words() { tr '\n' ' ' <"$1" | grep -Eo "$2\(${3-[A-Z0-9_]+}, *\"[^\"]+\"" | cut -d'"' -f2; }

events=$(words src/base/log_event.def LOG_EVENT) reasons=$(words src/base/reason.def '(REASON|FAULT)')
fields=$(grep -Eo 'IGNYX_[A-Z]+=' src/base/log.c | tr -d =)
options=$(sed -n 's/^\t"  -\([A-Za-z]\) .*/\1/p' src/main.c)
for list in events reasons fields options; do
    [ -n "${!list}" ] || complain "no $list were found in the source"
done
for w in $events $reasons $fields; do manual "$w" man/ignyxd.8; done
endings=$(words <(sed '/why an upgrade is refused/,$d' src/base/reason.def) '(REASON|FAULT)')
[ -n "$endings" ] && [ "$endings" != "$reasons" ] || complain "reason.def does not tell endings from refusals"
for w in $endings; do manual "$w" man/ignyxd.conf.5; done
for o in $options; do grep -q "^\.It Fl $o\b" man/ignyxd.8 || complain "ignyxd.8 lacks -$o"; done

# ignyxctl: a row of a command or an option is in its manual.
commands=$(words src/ctl/commands.def COMMAND '[a-z_0-9]+')
switches=$(tr '\n' ' ' <src/ctl/options.def | grep -Eo 'OPTION\([A-Z_]+, *[^,]+, *"[^"]+"' | cut -d'"' -f2)
for list in commands switches; do
    [ -n "${!list}" ] || complain "no $list of ignyxctl were found in the source"
done
for w in $commands; do grep -Eq "^\.It Cm $w( |\$)" man/ignyxctl.8 || complain "ignyxctl.8 lacks $w"; done
for o in $switches; do grep -Eq "^\.It Fl (. , )?-$o( |\$)" man/ignyxctl.8 || complain "ignyxctl.8 lacks --$o"; done

ids=$(grep -Eo '"[^"]*"\)$' src/base/log_event.def | tr -d '")' | sort)
for id in $(uniq -d <<<"$ids"); do complain "two events have the id $id"; done
for id in $ids; do [[ $id =~ ^[0-9a-f]{32}$ ]] || complain "not a message id: $id"; done
exit $bad
