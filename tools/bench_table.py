#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots the program `bench` on NEURON, and on Linux if asked, and prints what operations cost beside their budgets.

A row is OVER when NEURON's figure is above its budget by more than the tolerance of its boot. Exit status: 0 when every row
with a budget was measured and is within it, 1 otherwise, 2 when the budgets or the arguments are wrong.
"""

import argparse
import dataclasses
import pathlib
import re
import sys
import tomllib

import qemu_run
import uart_check

FIGURE_LINE = re.compile(r"^BENCH (?P<figure>[\w.]+) (?P<value>-?\d+\.\d+|0x[0-9a-f]+)$")
SKIP_LINE = re.compile(r"^SKIP (?P<operation>\w+) (?P<reason>.+)$")
END_LINE = re.compile(r"^BENCH end (\d+) (\d+)$")
# Found by the difference of two boots, see add_boot_time().
BOOT_FIGURE = "boot_to_init"
NEURON = "NEURON"
LINUX_CONSOLE = "console=ttyS0 quiet panic=-1"


class TableError(Exception):
    """The budgets are wrong; the message names the file and the entry."""


class RunError(Exception):
    """A boot did not end well; the message names its log."""


@dataclasses.dataclass(frozen=True)
class Boot:
    """One run of the program."""
    name: str
    harts: int
    tolerance_percent: float
    why: str
    operations: list
    cpu: str = ""
    turn_us: int | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table."""
    figure: str
    boot: str
    what: str
    name: str = ""
    unit: str = "instructions"
    budget: float | None = None

    def title(self):
        return self.name or self.figure


@dataclasses.dataclass
class Log:
    """What one run printed."""
    figures: dict = dataclasses.field(default_factory=dict)
    skipped: dict = dataclasses.field(default_factory=dict)
    ended: bool = False


@dataclasses.dataclass(frozen=True)
class System:
    """A kernel to measure: NEURON, or a Linux."""
    name: str
    image: pathlib.Path


def load(path):
    """Boots by name, and rows, of a budgets file."""
    with open(path, "rb") as file:
        table = tomllib.load(file)
    try:
        boots = {entry["name"]: Boot(**entry) for entry in table.get("boot", [])}
        rows = [Row(**entry) for entry in table.get("row", [])]
    except (TypeError, KeyError) as error:
        raise TableError(f"{path}: {error}") from error
    titles = set()
    for row in rows:
        if row.boot not in boots:
            raise TableError(f"{path}: {row.title()}: no boot '{row.boot}'")
        if row.figure.split(".")[0] not in boots[row.boot].operations:
            raise TableError(f"{path}: {row.title()}: boot '{row.boot}' does not measure it")
        if row.title() in titles:
            raise TableError(f"{path}: {row.title()}: twice")
        titles.add(row.title())
    for boot in boots.values():
        for operation in boot.operations:
            if not any(row.boot == boot.name and row.figure.split(".")[0] == operation for row in rows):
                raise TableError(f"{path}: boot '{boot.name}': no row shows '{operation}'")
    return boots, rows


def read_log(lines):
    """The figures and skipped operations among the lines of a UART log."""
    log = Log()
    for line in lines:
        if match := FIGURE_LINE.match(line):
            value = match["value"]
            log.figures[match["figure"]] = float(int(value, 16)) if value.startswith("0x") else float(value)
        elif match := SKIP_LINE.match(line):
            log.skipped[match["operation"]] = match["reason"]
        elif END_LINE.match(line):
            log.ended = True
    return log


def add_boot_time(log, firmware):
    """Nanoseconds from the firmware's end to init, when both boots told their clocks."""
    ticks = log.figures.get("boot_to_init.ticks")
    tick_ns = log.figures.get("boot_to_init.tick_ns")
    begin = firmware.figures.get("firmware.ticks")
    if None not in (ticks, tick_ns, begin):
        log.figures[BOOT_FIGURE] = (ticks - begin) * tick_ns


def verdict(row, boot, log):
    """What the table says about NEURON's figure, and whether that is as it should be."""
    value = log.figures.get(row.figure)
    if value is None:
        reason = log.skipped.get(row.figure.split(".")[0], "not in the log")
        return f"SKIP {reason}", row.budget is None
    if row.budget is None:
        return "", True
    if value > row.budget * (1 + boot.tolerance_percent / 100):
        return "OVER" + (f" {value / row.budget:.2f} times" if row.budget else ""), False
    return "ok", True


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.1f}".removesuffix(".0")


def ratio(neuron, other):
    """How many times as much the other kernel takes."""
    return f"{other / neuron:.2f}" if neuron and other is not None else "-"


def table(boots, rows, logs, systems):
    """The printed rows, header first, and what is wrong in words. logs: {(system, boot): Log}."""
    others = [name for name in systems if name != NEURON]
    header = ["operation", "unit", NEURON, "budget", "verdict"]
    for name in others:
        header += [name, "ratio"]
    printed = [header]
    wrong = []
    for row in rows:
        log = logs[NEURON, row.boot]
        says, good = verdict(row, boots[row.boot], log)
        value = log.figures.get(row.figure)
        cells = [row.title(), row.unit, number(value), number(row.budget), says]
        for name in others:
            theirs = logs[name, row.boot].figures.get(row.figure)
            cells += [number(theirs), ratio(value, theirs)]
        printed.append(cells)
        if not good:
            wrong.append(f"{row.title()}: {number(value)} {row.unit}, budget {number(row.budget)}: {says} ({row.what})")
    return printed, wrong


def aligned(rows, markdown):
    """Columns of equal width; the first two and the verdict to the left, figures to the right."""
    left = (0, 1, 4)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if i in left else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("| " + " | ".join(cells) + " |" if markdown else "  ".join(cells).rstrip())
    if markdown:
        lines.insert(1, "|" + "|".join(("-" if i in left else "-:").rjust(3, "-") for i in range(len(widths))) + "|")
    return lines


def boot_once(image, boot, options, log_name, append):
    """Runs QEMU once; the cleaned lines of the log. Raises RunError."""
    log = options.logs / f"{log_name}.uart.log"
    words = ["--image", str(image), "--initrd", str(options.initrd), "--log", str(log), "--smp", str(boot.harts), "--mem",
             options.mem, "--lane", "icount", "--timeout", str(options.timeout)]
    if boot.cpu:
        words += ["--cpu", boot.cpu]
    if boot.turn_us is not None:
        words += ["--turn-us", str(boot.turn_us)]
    if append:
        words += ["--append", append]
    status = qemu_run.run(qemu_run.parse(words))
    lines = uart_check.clean(log.read_text(encoding="utf-8", errors="replace"))
    if status != 0:
        raise RunError(f"the run ended with status {status}: see {log}")
    for line in lines:
        if uart_check.PANIC_LINE.search(line):
            raise RunError(f"{line}: see {log}")
    return lines


def measure(system, boot, options):
    """The Log of one boot of one system."""
    log_name = f"{system.name.lower().replace(' ', '-')}-{boot.name}"
    # Linux is given time to finish its own start; NEURON has nothing left to do.
    words = f"{options.append} " if options.append else ""
    start = f"{words}init=/bin/bench --" if system.name == NEURON else f"{LINUX_CONSOLE} rdinit=/bin/bench -- settle"
    lines = boot_once(system.image, boot, options, log_name, f"{start} {' '.join(boot.operations)}")
    log = read_log(lines)
    if not log.ended:
        raise RunError(f"{system.name}: bench did not end: see {options.logs / log_name}.uart.log")
    if "boot_to_init.ticks" in log.figures:
        add_boot_time(log, read_log(boot_once(options.firmware, boot, options, f"{log_name}-firmware", "")))
    return log


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="build directory: Image, bench-initrd.cpio")
    parser.add_argument("--logs", type=pathlib.Path, required=True, help="directory for the UART logs")
    parser.add_argument("--system", action="append", default=[], metavar="NAME=IMAGE", help="measure this Linux, too")
    parser.add_argument("--only", help="operations to measure, separated by commas")
    parser.add_argument("--append", default="", metavar="WORDS", help="more of NEURON's command line")
    parser.add_argument("--mem", default="512M")
    parser.add_argument("--timeout", type=float, default=600, help="seconds of wall time for one boot")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args(arguments)
    options.initrd = options.build / "bench-initrd.cpio"
    options.firmware = options.build / "bench-firmware.bin"
    options.systems = [System(NEURON, options.build / "Image")]
    for entry in options.system:
        name, separator, image = entry.partition("=")
        if not separator or not name:
            parser.error(f"--system '{entry}': wanted NAME=IMAGE")
        options.systems.append(System(name, pathlib.Path(image)))
    for path in [options.initrd, options.firmware] + [system.image for system in options.systems]:
        if not path.is_file():
            parser.error(f"no such file: {path}")
    return options


def only(boots, rows, names):
    """The boots and rows of these operations. Raises TableError for a name that no row has."""
    known = {row.figure.split(".")[0] for row in rows}
    for name in names:
        if name not in known:
            raise TableError(f"no operation '{name}'; there are: {' '.join(sorted(known))}")
    rows = [row for row in rows if row.figure.split(".")[0] in names]
    boots = {boot.name: dataclasses.replace(boot, operations=[name for name in boot.operations if name in names])
             for boot in boots.values() if any(row.boot == boot.name for row in rows)}
    return boots, rows


def main(arguments):
    options = parse(arguments)
    try:
        boots, rows = load(options.budgets)
        if options.only:
            boots, rows = only(boots, rows, options.only.split(","))
    except (OSError, tomllib.TOMLDecodeError, TableError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    logs = {}
    try:
        for system in options.systems:
            for boot in boots.values():
                print(f"bench: {system.name}, {boot.name}", file=sys.stderr, flush=True)
                logs[system.name, boot.name] = measure(system, boot, options)
    except RunError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    printed, wrong = table(boots, rows, logs, [system.name for system in options.systems])
    print("\n".join(aligned(printed, options.markdown)))
    if options.system:
        print("ratio: how many times as much as NEURON that kernel takes")
    if wrong:
        print()
        print("\n".join(f"bench: {sentence}" for sentence in wrong))
    budgeted = sum(row.budget is not None for row in rows)
    print(f"bench: {budgeted - len(wrong)} of {budgeted} budgets kept")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
