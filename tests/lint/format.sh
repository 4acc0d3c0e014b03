#!/bin/sh
# format.sh: clang-format finds nothing to do.
git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format --dry-run -Werror
