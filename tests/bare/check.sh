#!/bin/bash
# check.sh RELEASE: what the README promises, in a Debian of that release with nothing but git and make.
#
# This checkout's last commit is cloned into a fresh root, where inside.sh runs the README's commands.
# Needs root and a Debian mirror: $MIRROR, else what apt is configured for, by the proxy that apt uses.
# The root and what was downloaded are kept in build/bare, so that a second run is quicker. All else is
# in a copy that is thrown away, and in mount and PID namespaces of its own: nothing stays mounted or
# running, however it ends.
set -u
self=$(readlink -f -- "$0")
cd "${self%/*}/../.." || exit 1
kept=$PWD/build/bare

fail() {
    echo "check-bare: $*"
    echo "0 passed, 1 failed"
    [ -z "${IGNYX_COUNTS-}" ] || echo "0 1 0" >>"$IGNYX_COUNTS"
    exit 1
}

# __enter ROOT COMMAND...: becomes the command in that root, in the namespaces that were made for it.
if [ "${1-}" = __enter ]; then
    root=$2
    shift 2
    mount --bind -- "$root" "$root" && mount -t proc proc "$root/proc" && mount -t sysfs sysfs "$root/sys" &&
        mount --rbind /dev "$root/dev" && mount -t tmpfs -o mode=0755 tmpfs "$root/run" &&
        mount --bind -- "$kept/cache" "$root/var/cache/apt/archives" || fail "cannot mount in $root"
    # not chroot: what runs there pivots once more, for the bed of check-systemd
    cd "$root" && pivot_root . . && umount -l . && cd / || fail "cannot make $root the root"
    exec "$@"
fi

[ "$(id -u)" = 0 ] || fail "needs root, for a root of its own"
[ -n "${1-}" ] || fail "usage: check.sh RELEASE, such as trixie"
release=$1
.ci/deps.sh bare || fail "see above"
changed=$(git status --porcelain) || fail "a clone needs a git checkout"
[ -z "$changed" ] || echo "check-bare: what is not committed is not in the clone"
mkdir -p "$kept/cache" || fail "cannot make $kept"
tests/systemd/testbed.sh setup "$kept/$release" --suite "$release" ${MIRROR:+--mirror "$MIRROR"} \
    --only git,make --cache "$kept/cache" || fail "no root of $release could be made"

inside=''
clean_up() {
    trap '' INT TERM HUP
    [ -z "$inside" ] || { kill -KILL "$inside"; wait "$inside"; } 2>/dev/null
    # the last processes of the namespace may be about to go
    rm -rf --one-file-system -- "$root" 2>/dev/null || { sleep 1; rm -rf --one-file-system -- "$root"; }
}
root=$(mktemp -d "$kept/run.XXXXXX") || fail "cannot write in $kept"
trap clean_up EXIT
trap 'exit 130' INT; trap 'exit 143' TERM; trap 'exit 129' HUP
cp -a "$kept/$release/." "$root" || fail "cannot copy the root"

# How apt reaches the mirror from here.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
apt-config dump --no-empty | grep -E '^Acquire::(https?::|Check-|ForceIPv|Retries)' \
    >"$root/etc/apt/apt.conf.d/90machine"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || install -D -m 0644 -t "$root/etc/ssl/certs" \
    /etc/ssl/certs/ca-certificates.crt
environment=(HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
for name in CI IGNYX_SLOW http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name-}" ] || environment+=("$name=${!name}")
done

# git takes what belongs to somebody else only if a file says so.
printf '[safe]\n\tdirectory = *\n' >"$root/gitconfig"
GIT_CONFIG_GLOBAL=$root/gitconfig git clone -q --no-hardlinks "$PWD" "$root/root/ignyxd" || fail "cannot clone"
rm "$root/gitconfig"

# Under job control, for else all of it would have SIGINT ignored; Ctrl-C is this shell's alone.
set -m
setpriv --pdeathsig KILL -- unshare --mount --propagation private --pid --fork --kill-child=KILL -- \
    env -i "${environment[@]}" bash "$self" __enter "$root" \
    env IGNYX_COUNTS=/root/counts /root/ignyxd/tests/bare/inside.sh </dev/null &
inside=$!
wait $inside
status=$?
inside=
[ -s "$root/root/counts" ] || fail "it did not come to an end"
[ -z "${IGNYX_COUNTS-}" ] || cat "$root/root/counts" >>"$IGNYX_COUNTS"
exit $status
