#!/bin/bash
# keys.sh: every setting is in the manual and in the sample.
make --no-print-directory -s keys >&2 || exit 1
bad=0
while read -r scope key; do
    grep -Eq "^\.It Cm $key( |$)" man/ignyxd.conf.5 || { echo "ignyxd.conf(5) lacks $key ($scope)"; bad=1; }
    grep -Eq "\b$key\b" conf/ignyxd.conf || { echo "conf/ignyxd.conf lacks $key ($scope)"; bad=1; }
done < <(build/tests/keys)
exit $bad
