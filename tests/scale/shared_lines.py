#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the kernel's stores to cache lines that another hart wrote last, while each hart does its own work
(scale_lines.cpp), and says which function makes them. In the mttcg lane: the plugin wants harts that are threads.

Exit status: 0 when each case has what is expected of it, 1 otherwise.
"""

import argparse
import bisect
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import qemu_run  # pylint: disable=wrong-import-position

INDEPENDENT = ("null", "yield", "futex", "fault", "timer")
# The control: harts that do share. A round is two wake-ups across harts, each of which needs the other's queue.
SHARED = "shared"
# Of a hart in the window. Balancing between harts looks at the others every few milliseconds of a hart that has several
# tasks, whatever these do; it is switched off.
LEAST_STORES = 1000


def build_plugin(folder):
    source = pathlib.Path(__file__).with_name("shared_lines.cpp")
    plugin = folder / "shared_lines.so"
    if not plugin.exists() or plugin.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["c++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                        "-o", str(plugin), str(source)], check=True)
    return plugin


class Symbols:
    """Functions and objects of the kernel by address."""

    def __init__(self, kernel):
        lines = subprocess.run(["riscv64-linux-gnu-nm", "-nC", str(kernel)], check=True, capture_output=True,
                               text=True).stdout.splitlines()
        named = [line.split(" ", 2) for line in lines]
        self.starts = [int(start, 16) for start, _, _ in named]
        self.names = [name for _, _, name in named]

    def at(self, address):
        place = bisect.bisect_right(self.starts, address) - 1
        if place < 0 or (place == len(self.starts) - 1 and address - self.starts[place] > 1 << 20):
            return f"{address:#x}"
        return f"{self.names[place]}+{address - self.starts[place]:#x}"


def run_case(case, options, plugin):
    """(rounds of the first hart, stores of each hart, [(pc, address, count)])"""
    log = options.logs / f"lines-{case}.uart.log"
    counts = options.logs / f"lines-{case}.txt"
    counts.unlink(missing_ok=True)
    run = qemu_run.parse(["--image", str(options.build / "Image"), "--initrd", str(options.build / "scale-initrd.cpio"),
                          "--log", str(log), "--smp", str(options.smp), "--timeout", str(options.timeout), "--lane", "mttcg",
                          "--plugin", f"{plugin},out={counts}", "--cpu", "rv64,zicboz=off",
                          "--append", f"neuron.break=machine init=/bin/scale_lines -- {case}"])
    status = qemu_run.run(run)
    text = log.read_text(encoding="utf-8", errors="replace")
    if status != 0 or f"scale_lines: {case} done" not in text or not counts.exists():
        print("\n".join(text.splitlines()[-30:]))
        raise SystemExit(f"shared_lines: the run of '{case}' ended with status {status}; log {log}")
    head, *rest = counts.read_text(encoding="ascii").splitlines()
    stores = [int(word) for word in head.split()]
    takers = []
    for line in rest:
        pc, address, count = line.split()
        takers.append((int(pc, 16), int(address, 16), int(count)))
    rounds = int(re.search(r"scale_lines: (\d+) rounds", text)[1])
    return rounds, stores, takers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="of a riscv preset")
    parser.add_argument("--logs", type=pathlib.Path, required=True)
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--timeout", type=int, default=120)
    parser.add_argument("cases", nargs="*", default=[*INDEPENDENT, SHARED])
    options = parser.parse_args()
    options.logs.mkdir(parents=True, exist_ok=True)
    plugin = build_plugin(options.logs)
    symbols = Symbols(options.build / "kernel" / "neuron.elf")
    failed = False
    for case in options.cases:
        rounds, stores, takers = run_case(case, options, plugin)
        transfers = sum(count for _, _, count in takers)
        harts = 2 if case == SHARED else options.smp
        # Each hart was at work in the window, or nothing was looked at.
        was_busy = len(stores) == harts and min(stores) > LEAST_STORES
        per_round = transfers / max(1, rounds)
        good = was_busy and (per_round >= 1 if case == SHARED else transfers == 0)
        failed |= not good
        print(f"shared_lines: {case}: {rounds} rounds on cpu0, stores of the kernel by hart {stores}; {transfers} to a line "
              f"another hart wrote last, {per_round:.4f} a round: {'ok' if good else 'WRONG'}")
        if case != SHARED:
            for pc, address, count in sorted(takers, key=lambda taker: -taker[2]):
                print(f"    {count:6} {symbols.at(pc)} wrote {symbols.at(address)}")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.exit(main())
