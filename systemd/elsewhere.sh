#!/bin/sh
# elsewhere.sh SBINDIR UNITDIR: warns of every other ignyxd that is installed, under the
# root folder $DESTDIR. Of two units systemd takes the first that it comes across, which may be the
# one whose configuration nobody edits.
set -u
root=${DESTDIR-}
found='' owners='' first=yes

# Folders that are one (/sbin is /usr/sbin on most systems) have the same file.
same() { [ "$root$1" -ef "$root$2" ]; }
add() {
    found="$found
    $root$1"
    owners="$owners $2"
}

# In the order in which systemd looks.
for d in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system; do
    if same "$d" "$2"; then first=; fi
    unit=$d/ignyxd.service
    if [ ! -e "$root$unit" ] || same "$unit" "$2/ignyxd.service"; then continue; fi
    if [ -n "$first" ]; then add "$unit   (which systemd prefers to that in $2)" "${d%/lib/systemd/system}"
    else add "$unit   (to which systemd prefers that in $2)" "${d%/lib/systemd/system}"; fi
done
for d in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /opt/ignyxd/sbin; do
    if [ ! -e "$root$d/ignyxd" ] || same "$d/ignyxd" "$1/ignyxd"; then continue; fi
    add "$d/ignyxd" "${d%/*}"
done
[ -n "$found" ] || exit 0

echo "WARNING: there is another ignyxd:$found"
# shellcheck disable=SC2086
for owner in $(printf '%s\n' $owners | sort -u); do
    case $owner in
        */systemd/system)
            echo "The unit in $owner is the administrator's. Remove it, or keep what it changes in a drop-in:"
            echo "    systemctl edit ignyxd";;
        *)
            [ "$owner" = /usr ] && etc=" --sysconfdir=/etc" || etc=
            echo "To have this version in the place of that one:"
            echo "    make uninstall && ./configure --prefix=$owner$etc && make install"
            echo "To do without that one, which keeps its configuration:"
            echo "    make uninstall prefix=$owner";;
    esac
done
