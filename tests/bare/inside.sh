#!/bin/bash
# inside.sh: runs the README's commands in a bare Debian, see check.sh, and counts. It takes what comes
# to install; there is no client of WebSocket before that, but this shell.
set -u
cd "$(dirname "$0")/../.." || exit 1
counts=${IGNYX_COUNTS-}
unset IGNYX_COUNTS
. tests/count.sh

serves() { (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null; }

# Sends "hi" to the echo; prints the answer.
ask() {
    local line
    exec 3<>/dev/tcp/127.0.0.1/8080 || return 1
    printf '%s\r\n' 'GET /ws HTTP/1.1' 'Host: localhost' 'Upgrade: websocket' 'Connection: Upgrade' \
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' 'Sec-WebSocket-Version: 13' '' >&3
    read -r -t 10 line <&3 && [ "$line" = $'HTTP/1.1 101 Switching Protocols\r' ] || { echo "${line-}"; return 1; }
    while read -r -t 10 line <&3 && [ "$line" != $'\r' ]; do :; done
    # one masked text, with a mask of zeros; a server's header is two bytes
    printf '\x81\x82\0\0\0\0hi' >&3
    timeout 10 head -c 10 <&3 | tail -c 8
}

# `make run` as by somebody who tries it and ends it with Ctrl-C.
try_it() {
    local run said
    ! serves || { echo "somebody else serves on 127.0.0.1:8080"; return 1; }
    set -m
    make --no-print-directory run </dev/null &
    run=$!
    set +m
    # it ends by itself, with a word, where it cannot serve
    until serves; do kill -0 $run 2>/dev/null && sleep 0.2 || break; done
    said=$(ask 2>&1)
    kill -INT -- -$run
    wait $run
    [ "$said" = "Echo: hi" ] || { echo "it answered: $said"; return 1; }
    ! serves || { echo "it serves after Ctrl-C"; return 1; }
    echo "1 passed, 0 failed"
}

part "make run" try_it
part "make check" make --no-print-directory check
part "make check-systemd" make --no-print-directory check-systemd
IGNYX_COUNTS=$counts
closing
