#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the instructions of an operation of bench go, by function of the kernel, of all harts together.

Runs the operation under bench_profile.cpp, and a boot without one; what is left of the first without the second is divided
by the number of turns, those that warm up included. What the program itself executes is left out; the firmware is a line of
its own."""

import argparse
import bisect
import collections
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import qemu_run  # pylint: disable=wrong-import-position

NOTHING = "boot_to_init"
KERNEL = 1 << 63
# Where QEMU's machine has its RAM, and there the firmware. No code of bench is there.
FIRMWARE = range(0x8000_0000, 0x8020_0000)


def build_plugin(logs):
    plugin = logs / "bench_profile.so"
    source = pathlib.Path(__file__).with_suffix(".cpp")
    subprocess.run(["g++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(plugin),
                    str(source)], check=True)
    return plugin


def run(operation, options, plugin):
    """({pc: instructions}, the operation's own figure)"""
    log = options.logs / f"profile-{operation}.uart.log"
    counts = options.logs / f"profile-{operation}.txt"
    counts.unlink(missing_ok=True)
    words = ["--image", str(options.build / "Image"), "--initrd", str(options.build / "bench-initrd.cpio"),
             "--log", str(log), "--smp", str(options.smp), "--mem", "512M", "--timeout", str(options.timeout),
             "--plugin", f"{plugin},out={counts}", "--append", f"boothart=0 init=/bin/bench -- {operation}"]
    if options.turn_us is not None:
        words += ["--turn-us", str(options.turn_us)]
    status = qemu_run.run(qemu_run.parse(words))
    text = log.read_text(encoding="utf-8", errors="replace")
    figure = re.search(rf"^BENCH {operation}\S* ([0-9.]+)", text, re.M)
    if status != 0 or figure is None or not counts.exists():
        raise SystemExit(f"bench_profile: the run of '{operation}' ended with status {status}; log {log}")
    blocks = collections.Counter()
    for line in counts.read_text(encoding="ascii").splitlines():
        pc, instructions = line.split()
        blocks[int(pc, 16)] += int(instructions)
    return blocks, figure[1]


def by_function(blocks, kernel):
    lines = subprocess.run(["riscv64-linux-gnu-nm", "-nC", str(kernel)], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    named = [(int(start, 16), name) for start, kind, name in (line.split(" ", 2) for line in lines)
             if kind in "tTwW" and not name.startswith((".L", "$"))]
    starts = [start for start, _ in named]
    sums = collections.Counter()
    for pc, instructions in blocks.items():
        if pc >= KERNEL:
            sums[named[max(0, bisect.bisect_right(starts, pc) - 1)][1]] += instructions
        elif pc in FIRMWARE:
            sums["(firmware)"] += instructions
    return sums


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operation")
    parser.add_argument("--per", type=float, required=True, metavar="TURNS", help="divide by this")
    parser.add_argument("--least", type=float, default=1, help="leave out functions with less, each turn")
    parser.add_argument("--smp", type=int, default=1, metavar="HARTS")
    parser.add_argument("--turn-us", type=int, metavar="US", help="how long a hart's turn is, as bench/budgets.toml has it")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/riscv-release"))
    parser.add_argument("--logs", type=pathlib.Path, default=pathlib.Path("build/logs/bench"))
    parser.add_argument("--timeout", type=int, default=300)
    options = parser.parse_args()
    options.logs.mkdir(parents=True, exist_ok=True)
    plugin = build_plugin(options.logs)
    kernel = options.build / "kernel" / "neuron.elf"
    blocks, figure = run(options.operation, options, plugin)
    sums = by_function(blocks, kernel)
    sums.subtract(by_function(run(NOTHING, options, plugin)[0], kernel))
    print(f"{options.operation}: {figure} by its own measure, here by function, each of {options.per:g} turns")
    for name, instructions in sums.most_common():
        if instructions / options.per >= options.least:
            print(f"{instructions / options.per:9.1f}  {name}")
    return 0


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.exit(main())
