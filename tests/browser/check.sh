#!/bin/bash
# check.sh: runs the browser's tests, where Debian's chromium is installed.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/count.sh
if command -v chromium >/dev/null; then
    pytests browser tests/browser
else
    part browser echo "SKIPPED [1] browser: needs chromium, which .ci/deps.sh browser installs: 1 skipped"
fi
closing
