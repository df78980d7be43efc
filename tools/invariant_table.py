#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints what the proofs measured beside what they promise, from the lines that tests wrote to NEURON_RESULTS.

    invariant_table.py FILE

Each line: number, what, target, measured, ok or FAIL, separated by tabs. A test that ran twice counts once, its last run.
Exit status 1 when a promise does not hold or nothing was measured.
"""

import re
import sys


def rows_of(path):
    rows = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 5 or fields[4] not in ("ok", "FAIL"):
                raise ValueError(f"{path}:{number}: not a result: {line.rstrip()!r}")
            rows[tuple(fields[:2])] = fields
    return list(rows.values())


def order(row):
    """I2 before I10, other names behind."""
    name = re.fullmatch(r"I(\d+)(.*)", row[0])
    return (0, int(name[1]), name[2], row[1]) if name else (1, 0, row[0], row[1])


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        rows = sorted(rows_of(arguments[0]), key=order)
    except (OSError, ValueError) as error:
        print(f"invariant_table: {error}", file=sys.stderr)
        return 1
    if not rows:
        print(f"invariant_table: {arguments[0]}: nothing was measured", file=sys.stderr)
        return 1
    titles = ["", "invariant", "target", "measured", ""]
    widths = [max(len(row[i]) for row in rows + [titles]) for i in range(5)]
    for row in [titles] + rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    failed = sum(row[4] == "FAIL" for row in rows)
    print(f"{len(rows)} figures, {failed} beyond their target")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
