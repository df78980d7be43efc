#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves the measuring: the program runs, two runs are equal, and what is dearer is found.

Boots `bench` three times under icount: twice on the same machine, whose figures must be equal, and once on a hart without
Sstc, where every timer is a call of the firmware. With the first run's figures as budgets, the second must keep all of them,
and the third must break that of a switch and keep that of a call that sets no timer.
Everything else goes to bench_table.py's options. Exit status: 0 when all of that is so.
"""

import dataclasses
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import bench_table  # pylint: disable=wrong-import-position

# Cheap ones of every kind, and such as may be skipped: what is missing must be said, too.
OPERATIONS = ["null_call", "clock_gettime_call", "yield_two", "futex_same_hart", "pipe_same_hart",
              "thread_create_join", "thread_memory", "spawn_wait", "mmap_touch_munmap", "first_touch", "wake_idle",
              "hackbench_pipe", "schbench"]
# A sleep sets the timer, through the firmware where there is no Sstc; a null call does not.
DEARER = "wake_idle.p50"
SAME = "null_call"


def budgets_of(log, rows):
    """The rows that were measured, each with its figure as its budget."""
    return [dataclasses.replace(row, budget=log.figures[row.figure]) for row in rows if row.figure in log.figures]


def differences(first, second):
    """What two logs of the same machine do not agree in, in words."""
    wrong = [f"{name}: {first.figures.get(name)} and then {second.figures.get(name)}"
             for name in sorted(first.figures.keys() | second.figures.keys())
             if first.figures.get(name) != second.figures.get(name)]
    if first.skipped != second.skipped:
        wrong.append(f"skipped: {first.skipped} and then {second.skipped}")
    return wrong


def main(arguments):
    options = bench_table.parse(["--budgets", str(ROOT / "bench" / "budgets.toml")] + arguments)
    boots, rows = bench_table.only(*bench_table.load(options.budgets), OPERATIONS)
    boot = dataclasses.replace(boots["one-hart"], cpu="rv64")
    rows = [row for row in rows if row.boot == boot.name]
    neuron = options.systems[0]
    machines = {name: dataclasses.replace(boot, name=name, cpu=cpu)
                for name, cpu in (("first", "rv64"), ("second", "rv64"), ("no-sstc", "rv64,sstc=off"))}
    logs = {name: bench_table.measure(neuron, machine, options) for name, machine in machines.items()}
    first = logs["first"]
    wrong = [f"{name}: neither measured nor skipped" for name in OPERATIONS
             if name not in first.skipped and not any(figure.split(".")[0] == name for figure in first.figures)]
    wrong += differences(first, logs["second"])
    budgets = budgets_of(first, rows)
    over = {}
    for name in ("second", "no-sstc"):
        printed, _ = bench_table.table({boot.name: boot}, budgets, {(bench_table.NEURON, boot.name): logs[name]},
                                       [bench_table.NEURON])
        over[name] = [cells[0] for cells in printed[1:] if cells[4] != "ok"]
        print(f"{name}, the first run's figures as budgets:")
        print("\n".join(bench_table.aligned(printed, markdown=False)))
    if over["second"]:
        wrong.append(f"the same run breaks its own figures: {over['second']}")
    if DEARER not in over["no-sstc"] or SAME in over["no-sstc"]:
        wrong.append(f"without Sstc these are over: {over['no-sstc']}; wanted {DEARER} among them and {SAME} not")
    for sentence in wrong:
        print(f"check_bench: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (bench_table.RunError, bench_table.TableError) as failure:
        print(f"check_bench: {failure}")
        sys.exit(1)
