#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots the measuring program and judges its figures by the gates of figures.toml.

Everything after `--` goes to qemu_run.py. Exit status: 0 when every figure is within its gate.
"""

import argparse
import dataclasses
import pathlib
import re
import sys
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import qemu_run  # pylint: disable=wrong-import-position
import uart_check  # pylint: disable=wrong-import-position

FIGURE = re.compile(r"(\w+)=(-?\d+(?:\.\d+)?)(?=\s|$)")


@dataclasses.dataclass(frozen=True)
class Gate:
    """A limit of one figure, and why it is that."""
    gauge: str
    figure: str
    why: str
    at_most: float | None = None
    at_least: float | None = None

    def limit(self):
        return f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"

    def holds(self, value):
        return value <= self.at_most if self.at_most is not None else value >= self.at_least


@dataclasses.dataclass(frozen=True)
class Boot:
    """One run of the program."""
    name: str
    harts: int
    gauges: list
    soak: bool = False
    turn_us: int | None = None  # of qemu_run.py; None: its default


class TableError(Exception):
    """figures.toml itself is wrong."""


def load(path):
    """The boots and gates of a table."""
    with open(path, "rb") as file:
        table = tomllib.load(file)
    try:
        boots = {entry["name"]: Boot(**entry) for entry in table.get("boot", [])}
        gates = [Gate(**entry) for entry in table.get("gate", [])]
    except (TypeError, KeyError) as error:
        raise TableError(f"{path}: {error}") from error
    for gate in gates:
        if (gate.at_most is None) == (gate.at_least is None):
            raise TableError(f"{path}: {gate.gauge}.{gate.figure}: wants at_most or at_least")
        if not any(gate.gauge in boot.gauges for boot in boots.values()):
            raise TableError(f"{path}: {gate.gauge}.{gate.figure}: no boot runs that gauge")
    return boots, gates


def figures_of(lines):
    """{gauge: {figure: value}} of the KTAP lines that are ok."""
    found = {}
    for line in lines:
        match = uart_check.KTAP_LINE.match(line)
        if match and not match["bad"] and match["figures"]:
            found[match["name"].strip()] = {name: float(value) for name, value in FIGURE.findall(match["figures"])}
    return found


def judge(boot, gates, figures):
    """Rows (gate, value or None) of this boot's gates, and what is wrong, in words."""
    rows = []
    wrong = []
    for gate in gates:
        if gate.gauge not in boot.gauges:
            continue
        value = figures.get(gate.gauge, {}).get(gate.figure)
        rows.append((gate, value))
        if value is None:
            wrong.append(f"{gate.gauge}: no figure '{gate.figure}' in the log")
        elif not gate.holds(value):
            wrong.append(f"{gate.gauge}: {gate.figure} is {value:g}, wanted {gate.limit()}: {gate.why}")
    for gauge in boot.gauges:
        if gauge not in figures:
            wrong.append(f"{gauge}: it was not measured")
        elif not any(gate.gauge == gauge for gate in gates):
            wrong.append(f"{gauge}: no gate judges it")
    return rows, wrong


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=pathlib.Path, default=pathlib.Path(__file__).with_name("figures.toml"))
    parser.add_argument("--boot", required=True, help="which [[boot]]")
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    try:
        boots, gates = load(options.table)
    except (OSError, tomllib.TOMLDecodeError, TableError) as error:
        print(f"figures: {error}")
        return 1
    if options.boot not in boots:
        print(f"figures: no boot '{options.boot}' in {options.table}; there are: {' '.join(boots)}")
        return 1
    boot = boots[options.boot]
    turns = [] if boot.turn_us is None else ["--turn-us", str(boot.turn_us)]
    run_options = qemu_run.parse(arguments[split + 1:] + ["--smp", str(boot.harts), *turns, "--append",
                                                          f"init=/bin/gauge -- {' '.join(boot.gauges)}"])
    status = qemu_run.run(run_options)
    lines = uart_check.clean(run_options.log.read_text(encoding="utf-8", errors="replace"))
    rows, wrong = judge(boot, gates, figures_of(lines))
    if status != 0:
        wrong.insert(0, f"the run ended with status {status}")
    wrong += [f"the kernel: {line}" for line in lines if uart_check.PANIC_LINE.search(line)]
    for gate, value in rows:
        measured = "none" if value is None else f"{value:g}"
        print(f"  {gate.gauge:10} {gate.figure:18} {measured:>12}  {gate.limit()}")
    for sentence in wrong:
        print(f"figures: {sentence}")
    if wrong:
        print(f"log {run_options.log}:")
        print("\n".join(lines[-15:]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
