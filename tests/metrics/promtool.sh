#!/bin/bash
# promtool.sh ARGUMENTS: runs Prometheus' promtool. It comes from Debian's package, which is only
# unpacked, below build/promtool: up to Debian 12 it is that of a service. Standard input is promtool's.
cd "$(dirname "$0")/../.." || exit 1
dir=$PWD/build/promtool
tool=$dir/usr/bin/promtool
get() { apt-get download -q promtool || apt-get download -q prometheus; }
fetch() {
    mkdir -p "$dir" && cd "$dir" || return 1
    get || { apt-get update -q && get; } || return 1
    dpkg-deb -x ./*.deb . && rm -f ./*.deb usr/bin/prometheus
}
if [ ! -x "$tool" ]; then
    (fetch) </dev/null >&2 || { echo "promtool.sh: Debian's package prometheus cannot be had" >&2; exit 1; }
fi
exec "$tool" "$@"
