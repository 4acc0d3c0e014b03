#!/bin/bash
# autobahn.sh URL: runs the cases of Autobahn's fuzzing client, where its program
# wstest is installed, against an echo endpoint without a prefix. Everything but OK
# and INFORMATIONAL is a failure. The report is left in build/autobahn.
set -eu
cd "$(dirname "$0")/../.."
url=${1-}

if ! command -v wstest >/dev/null; then
    echo "wstest is not installed: Autobahn's cases were not run"
    exit 0
fi
case $url in
    ws://*|wss://*) ;;
    *) echo "usage: make conformance-autobahn URL=ws://ADDRESS:PORT/PATH" >&2; exit 2;;
esac

out=build/autobahn
rm -rf "$out"
mkdir -p "$out"
cat >"$out/spec.json" <<SPEC
{
    "outdir": "$out",
    "servers": [ { "agent": "ignyxd", "url": "$url" } ],
    "cases": [ "*" ],
    "exclude-cases": [],
    "exclude-agent-cases": {}
}
SPEC
wstest --mode fuzzingclient --spec "$out/spec.json"
exec /usr/bin/python3 tests/conformance/autobahn.py "$out/index.json"
