"""What a program that is no pytest has looked at, told and counted as tests are."""

import os


def some(problems, most=5):
    """A list of what is wrong as one text, of which the first tell the kind."""
    more = len(problems) - most
    return "; ".join(problems[:most]) + (f" and {more} more" if more > 0 else "")


class Verdicts:
    def __init__(self):
        self.results = {}  # what was looked at: what is wrong, "" if nothing is

    def judge(self, what, problem):
        self.results[what] = problem
        if problem:
            print(f"FAILED {what}: {problem}", flush=True)

    @property
    def failed(self):
        return sum(map(bool, self.results.values()))

    def closing(self):
        """The closing line, and the count for who adds them up: see count.sh. True: some failed."""
        passed = len(self.results) - self.failed
        if os.environ.get("IGNYX_COUNTS"):
            with open(os.environ["IGNYX_COUNTS"], "a", encoding="ascii") as f:
                f.write(f"{passed} {self.failed} 0\n")
        print(f"{passed} passed, {self.failed} failed")
        return self.failed > 0
