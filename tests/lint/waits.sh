#!/bin/bash
# waits.sh: what a test waits for it waits for in a way that can be ended.
bad=0
# in Python 3.11 it forgets that it was cancelled where what it waits for is there at that moment,
# and its task, which was to end, goes on for ever
grep -rn --include='*.py' 'wait_for(' tests | grep 'asyncio\.' && {
    echo "asyncio.wait_for may outlive its task's end: use asyncio.timeout"
    bad=1
}
exit $bad
