#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One boot with an expectation: regular expressions that must match lines of the UART log in this order, and ones that
must match none. A kernel panic is never expected unless --panic says so. Everything after `--` goes to qemu_run.py.
"""

import argparse
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import qemu_run  # pylint: disable=wrong-import-position
import uart_check  # pylint: disable=wrong-import-position


def judge(lines, expected, forbidden, panic):
    """What is wrong with the log, in words."""
    wrong = []
    place = 0
    for pattern in expected:
        at = next((number for number in range(place, len(lines)) if re.search(pattern, lines[number])), None)
        if at is None:
            elsewhere = any(re.search(pattern, line) for line in lines[:place])
            wrong.append(f"no line matches '{pattern}'" + (" behind the ones before" if elsewhere else ""))
        else:
            place = at + 1
    if not panic:
        forbidden = [*forbidden, uart_check.PANIC_LINE.pattern]
    for pattern in forbidden:
        wrong += [f"'{pattern}' must not match: {line}" for line in lines if re.search(pattern, line)]
    return wrong


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expect", action="append", default=[], metavar="REGEX")
    parser.add_argument("--forbid", action="append", default=[], metavar="REGEX")
    parser.add_argument("--panic", action="store_true", help="the kernel may panic")
    parser.add_argument("--endless", action="store_true", help="the machine stays up: the timeout is the right end")
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    run_options = qemu_run.parse(arguments[split + 1:])

    status = qemu_run.run(run_options)
    lines = uart_check.clean(run_options.log.read_text(encoding="utf-8", errors="replace"))
    wrong = judge(lines, options.expect, options.forbid, options.panic)
    if status != (qemu_run.TIMEOUT_STATUS if options.endless else 0):
        wrong.insert(0, f"the run ended with status {status}")
    for sentence in wrong:
        print(f"boot_case: {sentence}")
    if wrong:
        print(f"log {run_options.log}:")
        print("\n".join(uart_check.last_words(lines, 40)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
