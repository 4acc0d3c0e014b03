#!/bin/bash
# run-sample.sh PROGRAM CONFIGURATION [PORT]: runs it in the foreground, on another port if
# one is given, and says how to try it when it serves.
set -u
program=$1 config=$2 port=${3:-8080}
python=/usr/bin/python3
ws="ws://127.0.0.1:$port"

case $port in
    *[!0-9]*) echo "PORT must be a number, not \"$port\"" >&2; exit 2;;
esac
if [ "$port" != 8080 ]; then
    moved=$(mktemp) || exit 1
    trap 'rm -f "$moved"' EXIT
    sed "1,/port = 8080;/s/port = 8080;/port = $port;/" "$config" >"$moved"
    config=$moved
fi

welcome() {
    echo "ignyxd serves, until Ctrl-C:"
    sed -n "s,^[^#]*path = \"\([^\"]*\)\".*,  $ws\1,p" "$config"
    if "$python" -c 'import websockets' 2>/dev/null; then
        echo "Try it in another terminal: $python -m websockets $ws/ws"
    else
        echo "To try it, a client is needed, such as Debian's: sudo apt-get install python3-websockets"
        echo "Then, in another terminal: $python -m websockets $ws/ws"
    fi
}

# Ctrl-C is the daemon's; it is read to its end.
trap '' INT
"$program" -c "$config" 2>&1 | while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in
        *" ready: "*) welcome;;
        *"cannot listen on 127.0.0.1:$port: Address already in use"*) echo "For another port: make run PORT=9090";;
    esac
done
exit "${PIPESTATUS[0]}"
