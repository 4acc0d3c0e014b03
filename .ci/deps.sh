#!/bin/sh
# Finds what is missing to build (deps.sh build), to test (check), to test with a
# browser (browser) or in a bare Debian (bare), to fuzz (fuzz), to measure (bench) or to measure other servers too
# (peers; nginx is one, and Debian starts it), and installs it with apt-get.
# On a terminal it asks first. Says nothing when all is there. "deps.sh tell" installs nothing:
# it says which command would install what building needs, and fails if something is missing.
set -u
: "${CC:=cc}"

build="gcc libc6-dev pkg-config autoconf libevent-dev zlib1g-dev libssl-dev libjansson-dev libconfig-dev libsystemd-dev libcrypt-dev libcurl4-openssl-dev libjose-dev"
check="curl libcmocka-dev python3-pytest python3-pytest-timeout python3-websockets mandoc clang-format procps iproute2 node-ws openssl haproxy python3-jwt python3-cryptography"
browser="chromium"
bench="valgrind openssl python3"
peers="libwebsockets-dev nginx libnginx-mod-nchan python3-websockets node-ws g++ npm"
bare="debootstrap debian-archive-keyring git"
fuzz="clang libclang-rt-dev"

case ${1-} in
    build|tell) wanted=$build;;
    # to build, and a client to try it with, where that is no trouble
    run) wanted=$build; if command -v apt-get >/dev/null; then wanted="$build python3-websockets"; fi;;
    check) wanted="$build $check";;
    bare) wanted=$bare;;
    browser) wanted="$build $check $browser";;
    fuzz) wanted="$build $fuzz";;
    bench) wanted="$build $bench";;
    peers) wanted="$build $bench $peers";;
    *) echo "usage: deps.sh build|tell|run|check|bare|browser|fuzz|bench|peers" >&2; exit 2;;
esac

# What a package is recognised by, on any distribution.
present() {
    case $1 in
        gcc) command -v "${CC%% *}";;
        g++) command -v c++;;
        libc6-dev) echo '#include <stdio.h>' | $CC -E - ;;
        pkg-config|autoconf|mandoc|curl|clang-format|clang|npm|valgrind|openssl|python3|git) command -v "$1";;
        libevent-dev) pkg-config --exists libevent_core libevent_extra libevent_openssl;;
        zlib1g-dev) pkg-config --exists zlib;;
        libssl-dev) pkg-config --exists libcrypto;;
        libjansson-dev) pkg-config --exists jansson;;
        libconfig-dev) pkg-config --exists libconfig;;
        libsystemd-dev) pkg-config --exists libsystemd;;
        libcrypt-dev) pkg-config --exists libxcrypt;;
        # any of its kinds will do
        libcurl4-openssl-dev) pkg-config --exists libcurl;;
        libclang-rt-dev) echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
            clang -w -x c -fsanitize=fuzzer -o /dev/null -;;
        libwebsockets-dev) pkg-config --exists libwebsockets;;
        libnginx-mod-nchan) [ -e /usr/lib/nginx/modules/ngx_nchan_module.so ];;
        libcmocka-dev) pkg-config --exists cmocka;;
        python3-pytest) /usr/bin/python3 -c 'import pytest';;
        python3-pytest-timeout) /usr/bin/python3 -c 'import pytest_timeout';;
        libjose-dev) pkg-config --exists jose;;
        python3-jwt) /usr/bin/python3 -c 'import jwt';;
        python3-cryptography) /usr/bin/python3 -c 'import cryptography';;
        python3-websockets) /usr/bin/python3 -c 'import websockets';;
        node-ws) NODE_PATH=/usr/share/nodejs node -e 'require("ws")';;
        chromium) command -v chromium;;
        procps) command -v pgrep;;
        iproute2) PATH=$PATH:/usr/sbin:/sbin command -v ip;;
        debian-archive-keyring) [ -e /usr/share/keyrings/debian-archive-keyring.gpg ];;
        debootstrap|haproxy|nginx) PATH=$PATH:/usr/sbin:/sbin command -v "$1";;
    esac >/dev/null 2>&1
}

apt_install() {
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing </dev/null
}

# What is missing, by apt-get.
install_packages() {
    if ! command -v apt-get >/dev/null; then
        echo "ignyxd needs these packages (Debian's names), and there is no apt-get to install them with:" >&2
        echo "   $missing" >&2
        echo "Install them with your system's package manager, then run make again." >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "As root, run: apt-get install$missing" >&2
            exit 1
        fi
        sudo=sudo
    fi
    if [ -t 0 ] && [ -t 2 ]; then
        printf 'To be installed with apt-get:%s\nGo on? [Y/n] ' "$missing" >&2
        read -r answer || answer=n
        case $answer in ''|[Yy]*) ;; *) echo "Nothing was installed." >&2; exit 1;; esac
    fi
    echo "Installing:$missing"
    apt_install >/dev/null 2>&1 || { $sudo apt-get update -q </dev/null >/dev/null && apt_install; } || {
        echo "apt-get could not install:$missing" >&2
        exit 1
    }
}

missing=
for p in $wanted; do
    present "$p" || missing="$missing $p"
done
if [ -n "$missing" ] && [ "$1" = tell ]; then
    echo "ignyxd cannot be built: something is missing. On Debian and Ubuntu, this installs it:" >&2
    echo "    apt-get install$missing" >&2
    echo "and so does: make deps" >&2
    exit 1
fi
[ -z "$missing" ] || install_packages
# One of the servers comes from npm.
[ "$1" != peers ] || "${0%/*}/../tests/bench/peers/uwebsockets" --fetch
