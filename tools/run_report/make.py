#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the page about a test run: scripts/report.sh calls it."""
import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from run_report import page  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    if not options.logs.is_dir():
        print(f"report: {options.logs}: no such folder: run scripts/test.sh", file=sys.stderr)
        return 1
    made = page.Page(options.logs.resolve(), options.build.resolve())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(made.write(), encoding="utf-8")
    missing = ", ".join(what for what, _ in made.missing())
    print(f"report: {options.out}" + (f" (without: {missing})" if missing else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
