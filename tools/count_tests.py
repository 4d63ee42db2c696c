#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the cases in the log of `meson test` (one JSON object a line) and ends with "N passed, N failed".

A program that speaks TAP counts case by case, any other as one.  One that failed without saying which case (it
crashed, hung, or leaked) adds a failure."""
import json
import re
import sys


def count(test):
    """(passed, failed) of one entry."""
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    if test["result"] == "SKIP":
        return 0, 0
    output = test.get("stdout") or ""
    if re.search(r"^1\.\.[0-9]+", output, re.M):
        passed = len(re.findall(r"^ok\b(?!.*# *skip)", output, re.M | re.I))
        failed = len(re.findall(r"^not ok\b", output, re.M))
    else:
        passed, failed = int(good), 0
    return passed, failed if good or failed else 1


def main():
    passed = failed = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                test = json.loads(line)
                ok, bad = count(test)
                passed, failed = passed + ok, failed + bad
                if bad:
                    print(f"FAIL {test['name']}: {bad} failed ({test['result']}, exit {test['returncode']})")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
