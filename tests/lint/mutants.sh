#!/bin/bash
# mutants.sh: the tables of small faults fit the code: each one's text is in its file, once.
exec tests/mutants/run.py --check
