#!/bin/sh
# run-sample.sh PROGRAM CONFIGURATION: says how to try it, then runs it.
paths=$(sed -n 's/^[^#]*path = "\([^"]*\)".*/\1/p' "$2")
echo "ignyxd serves, until Ctrl-C:"
for p in $paths; do echo "  ws://127.0.0.1:8080$p"; done
echo "Try it in another terminal: /usr/bin/python3 -m websockets ws://127.0.0.1:8080/ws  (Debian: python3-websockets)"
exec "$1" -c "$2"
