#!/bin/bash
# check.sh: the service under a real systemd, in a bed of its own (testbed.sh).
#
# What make install installs is put into a freshly booted Debian, where inside.py
# does what an administrator does. Needs root, a Debian host (the bed has the same
# release, so that the program runs there) and its mirror; without them it says so
# and counts as skipped, or as failed where CI is set.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$PWD/build/systemd
# what the programs are linked with, by the names of this release, and what README.md uses beside them
packages=python3,curl,procps,$(ldd build/ignyxd build/ignyxctl | awk '$3 ~ /^\// { n = split($3, a, "/"); print "*/" a[n - 1] "/" a[n] }' |
    xargs dpkg-query -S 2>/dev/null | sed 's/:.*//' | sort -u | paste -sd,)

count() { [ -z "${IGNYX_COUNTS-}" ] || echo "$1 $2 $3" >>"$IGNYX_COUNTS"; }
fail() { echo "FAIL: $*"; echo "0 passed, 1 failed"; count 0 1 0; exit 1; }
skip() {
    [ -z "${CI-}" ] || fail "$*"
    echo "SKIP: $*"; echo "0 passed, 0 failed, 1 skipped"; count 0 0 1; exit 0
}

[ "$(id -u)" = 0 ] || skip "a real systemd needs root"
# shellcheck disable=SC1091
. /etc/os-release
[ "$ID" = debian ] || skip "the bed is a Debian, and programs that are built here may not run there"
mkdir -p "$work" || exit 1
if ! lack=$(tests/systemd/testbed.sh check 2>&1); then skip "$lack"; fi
if ! tests/systemd/testbed.sh setup "$work/bed" --cache "$work/cache" --include $packages; then
    apt-get update -q -o APT::Update::Error-Mode=any </dev/null >/dev/null 2>&1 ||
        skip "no Debian mirror can be reached"
    fail "the bed could not be built"
fi

rm -rf "$work/stage"
make --no-print-directory install prefix=/usr DESTDIR="$work/stage" >"$work/install.log" ||
    { cat "$work/install.log"; fail "make install"; }

# The next version, for which nobody says again where it is to be.
newer() {
    rm -rf "$work/tree" "$work/newer"
    mkdir "$work/tree" && git ls-files -co --exclude-standard -z | tar -c --null -T - | tar -x -C "$work/tree" &&
        cd "$work/tree" && autoconf && ./configure --quiet --prefix=/usr --sysconfdir=/etc &&
        sed -i 's/\[ignyxd\], \[.*\]/[ignyxd], [9.9.9]/' configure.ac &&
        make --no-print-directory CFLAGS=-O0 LTO= install DESTDIR="$work/newer"
}
(newer) >"$work/newer.log" 2>&1 || { cat "$work/newer.log"; fail "make install of the next version"; }

out=$work/outcome
tests/systemd/testbed.sh run "$work/bed" --quiet --timeout 300 --journal "$work/journal.log" \
    --bind-ro "$work/stage:/stage" --bind-ro "$work/newer:/newer" --bind-ro "$PWD/tests:/tests" \
    --bind-ro "$PWD/README.md:/README.md" --env IGNYX_SLOW="${IGNYX_SLOW:-1}" -- \
    /usr/bin/python3 -B /tests/systemd/inside.py 2>&1 | tee "$out"
status=${PIPESTATUS[0]}

# The configuration is the administrator's: kept by a second install and by uninstall.
config=$work/stage/etc/ignyx/ignyxd.conf
passed=$(grep -c '^PASS ' "$out") failed=$(grep -c '^FAIL ' "$out")
verdict() { if [ "$1" = 0 ]; then echo "PASS $2"; passed=$((passed + 1)); else echo "FAIL $2"; failed=$((failed + 1)); fi; }
echo "# edited" >>"$config"
make --no-print-directory install prefix=/usr DESTDIR="$work/stage" >/dev/null && tail -n 1 "$config" | grep -q "# edited"
verdict $? "a second install keeps an edited configuration"
make --no-print-directory uninstall prefix=/usr DESTDIR="$work/stage" >/dev/null &&
    [ "$(find "$work/stage" ! -type d -o -name ignyxd)" = "$config" ]
verdict $? "uninstall removes all but the configuration"

[ "$status" = 0 ] || [ "$failed" != 0 ] || failed=1
if [ "$failed" != 0 ]; then echo "the journal is in ${work#"$PWD/"}/journal.log"; fi
echo "$passed passed, $failed failed"
count "$passed" "$failed" 0
[ "$failed" = 0 ]
