"""autobahn.py INDEX: judges a report of Autobahn's fuzzing client.

The index has an agent's cases by number, each with a behavior, for the messages, and a
behaviorClose, for the end of the connection. Prints what is wrong and a line of counts.
"""

import json
import sys

GOOD = ("OK", "INFORMATIONAL")


def judge(index):
    """How many cases are good, and lines about the others."""
    passed, wrong = 0, []
    for agent, cases in index.items():
        for number, case in cases.items():
            behaviour, close = case.get("behavior"), case.get("behaviorClose")
            if behaviour in GOOD and close in GOOD:
                passed += 1
            else:
                wrong.append(f"{agent} {number}: {behaviour}, closing {close}")
    return passed, wrong


def main(path):
    with open(path, encoding="utf-8") as f:
        passed, wrong = judge(json.load(f))
    for line in wrong:
        print("FAIL", line)
    print(f"{passed} passed, {len(wrong)} failed")
    return 0 if passed and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
