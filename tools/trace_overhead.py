#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What operations cost while the scheduler's trace is on (neuron.trace=events), beside what they cost while it is off.

Instructions under icount are exact, and so is their ratio. Exit status: 0 when no operation of --limit costs more than it
may, 1 otherwise.
"""
import argparse
import pathlib
import sys

sys.dont_write_bytecode = True

import bench_table  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
ON = "neuron.trace=events"


def figures(options, boots, append, folder):
    """figure -> instructions, of one boot after the other."""
    words = ["--budgets", str(options.budgets), "--build", str(options.build), "--logs", str(options.logs / folder),
             "--timeout", str(options.timeout), f"--append={append}"]
    settings = bench_table.parse(words)
    system = settings.systems[0]
    told = {}
    for boot in boots.values():
        told.update(bench_table.measure(system, boot, settings).figures)
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/riscv-release", metavar="DIR")
    parser.add_argument("--budgets", type=pathlib.Path, default=ROOT / "bench/budgets.toml")
    parser.add_argument("--logs", type=pathlib.Path, default=ROOT / "build/logs/trace-overhead")
    parser.add_argument("--only", default="null_call,yield_two,futex_same_hart,pipe_same_hart,first_touch,hackbench_pipe",
                        help="the operations")
    parser.add_argument("--limit", action="append", default=[], metavar="OPERATION=PERCENT", help="what one may cost more")
    parser.add_argument("--timeout", type=float, default=180)
    options = parser.parse_args()
    limits = {name: float(percent) for name, percent in (limit.split("=") for limit in options.limit)}
    boots, rows = bench_table.load(options.budgets)
    try:
        boots, rows = bench_table.only(boots, rows, options.only.split(","))
    except bench_table.TableError as why:
        parser.error(str(why))
    unknown = limits.keys() - {row.figure for row in rows}
    if unknown:
        parser.error(f"--limit: not measured: {' '.join(sorted(unknown))}")
    try:
        off = figures(options, boots, "", "off")
        on = figures(options, boots, ON, "on")
    except bench_table.RunError as why:
        print(f"trace_overhead: {why}", file=sys.stderr)
        return 1
    over = []
    print(f"{'operation':20} {'off':>10} {'on':>10} {'more':>9}")
    for row in rows:
        before, after = off[row.figure], on[row.figure]
        percent = 100 * (after / before - 1)
        limit = limits.get(row.figure)
        print(f"{row.title():20} {before:10.1f} {after:10.1f} {percent:7.2f} %" + (f", may be {limit:g} %" if limit else ""))
        if limit is not None and percent > limit:
            over.append(row.title())
    if over:
        print(f"trace_overhead: too much: {', '.join(over)}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
