# SPDX-License-Identifier: MIT
"""What a test run left behind, read back: stages, tests, boots, figures, costs, a trace, proofs, coverage.

Every reader returns what is there. What is not there is nothing (None or an empty list), never a made-up value; the page says
so and names the command that makes it.
"""
import dataclasses
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests/boot"))

import bench_table  # noqa: E402
import figures as gates  # noqa: E402
import uart_check  # noqa: E402
from tracing import frames, timeline  # noqa: E402


@dataclasses.dataclass
class Stage:
    """A stage of scripts/test.sh."""
    name: str
    seconds: int
    budget: int
    status: str  # ok or FAIL
    what: str

    @property
    def over(self):
        return self.seconds > self.budget


@dataclasses.dataclass
class Run:
    """One run of scripts/test.sh. began: seconds since 1970."""
    began: float = 0.0
    stages: list = dataclasses.field(default_factory=list)
    passed: int | None = None
    failed: int | None = None
    unreadable: list = dataclasses.field(default_factory=list)  # (file, why)


@dataclasses.dataclass
class Test:
    """A ctest test. status: pass, FAIL or skip."""
    name: str
    stage: str
    preset: str
    status: str
    seconds: float
    output: str = ""


@dataclasses.dataclass
class Boot:
    """A boot of the selftest, as scripts/qemu-test.sh judged it."""
    name: str
    folder: str
    rows: list  # of uart_check.Row
    log: pathlib.Path
    lines: list

    @property
    def failed(self):
        return [row for row in self.rows if row.status not in ("pass", "skip")]

    @property
    def control(self):
        """Whether a marker had to fail here."""
        return self.name.startswith("control-")

    @property
    def harts(self):
        return sum(1 for line in self.lines if re.match(r"KINIT: cpu\d+ online", line))

    @property
    def counts(self):
        return next((match[0][len("SELFTEST: end ("):-1] for line in reversed(self.lines)
                     if (match := uart_check.END_LINE.match(line))), "")

    @property
    def guest_ms(self):
        return next((int(match[1]) for line in reversed(self.lines) if (match := re.match(r"# all took (\d+) ms$", line))), None)

    def detail(self, marker):
        """The figures of a result line, from the KTAP line that stands before it."""
        name = marker.partition(": ")[2]
        for line in self.lines:
            match = uart_check.KTAP_LINE.match(line)
            if match and match["name"].strip() == name:
                return match["figures"] or ""
        return ""


@dataclasses.dataclass
class Cost:
    """An operation: its budget, what it cost now, and what the table in docs/perf/bench.md has."""
    row: bench_table.Row
    tolerance: float
    now: float | None
    recorded: float | None
    why_not: str = ""

    @property
    def over_budget(self):
        return None not in (self.now, self.row.budget) and self.now > self.row.budget * (1 + self.tolerance)

    @property
    def dearer(self):
        """Whether it costs more than the record by more than the tolerance."""
        return None not in (self.now, self.recorded) and self.now > self.recorded * (1 + self.tolerance)


def read_lines(path):
    return uart_check.clean(path.read_text(encoding="utf-8", errors="replace"))


def run_of(logs):
    """The run that these logs are of; an empty one when scripts/test.sh did not write stages.tsv."""
    path = logs / "stages.tsv"
    run = Run()
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            fields = line.split("\t")
            if fields[0] == "began":
                run.began = float(fields[1])
            elif fields[0] == "stage":
                run.stages.append(Stage(fields[1], int(fields[2]), int(fields[3]), fields[4], fields[5]))
            elif fields[0] == "total":
                run.passed, run.failed = int(fields[1]), int(fields[2])
    return run


def fresh(path, run):
    """Whether a file is of this run and not of one before it. File systems keep times to a few milliseconds."""
    return path.is_file() and path.stat().st_mtime >= run.began - 1


def xml_of(path, run):
    """The root of an XML file, or None: then the run notes that it cannot be read."""
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as why:
        run.unreadable.append((path, str(why)))
        return None


def tests(logs, run):
    """The tests of every stage, out of ctest's JUnit files."""
    found = []
    for path in filter(lambda path: fresh(path, run), sorted(logs.glob("ctest-*.xml"))):
        stage, _, preset = path.stem.removeprefix("ctest-").partition("-")
        root = xml_of(path, run)
        for case in root.iter("testcase") if root is not None else ():
            bad = case.find("failure") is not None or case.get("status") == "fail"
            left_out = case.find("skipped") is not None or case.get("status") in ("disabled", "notrun")
            found.append(Test(case.get("name"), stage, preset, "FAIL" if bad else "skip" if left_out else "pass",
                              float(case.get("time") or 0), (case.findtext("system-out") or "").strip()))
    return found


def row_of(case):
    failure, skipped = case.find("failure"), case.find("skipped")
    if failure is not None:
        status, _, detail = failure.get("message", "").partition(" ")
        return uart_check.Row(case.get("name"), status, detail)
    if skipped is not None:
        return uart_check.Row(case.get("name"), "skip", skipped.get("message", ""))
    return uart_check.Row(case.get("name"), "pass")


# What the tests of the board runner (tests/boot/board_runner_test.py) feed it: boots that go wrong on purpose.
REHEARSED = re.compile(r"^test_")


def boots(logs, run):
    """Every boot with a verdict: NAME.xml beside NAME.uart.log."""
    found = []
    for path in sorted(logs.rglob("*.xml")):
        log = path.with_suffix(".uart.log")
        if path.name.startswith("ctest-") or REHEARSED.match(path.name) or not log.is_file() or not fresh(path, run):
            continue
        suite = xml_of(path, run)
        if suite is None:
            continue
        folder = str(path.parent.relative_to(logs))
        found.append(Boot(path.stem, "" if folder == "." else folder, [row_of(case) for case in suite.iter("testcase")], log,
                          read_lines(log)))
    return found


def panics(logs, run):
    """(log, reports) of the boots that have a panic in their log. Those of the tests named here provoke it."""
    provoked = re.compile(r"^(report-|test_kernel_panic)")
    found = []
    for path in sorted(logs.rglob("*.uart.log")):
        if provoked.match(path.name) or not fresh(path, run):
            continue
        lines = read_lines(path)
        if any(uart_check.PANIC_LINE.match(line) for line in lines):
            begin = next(number for number, line in enumerate(lines) if uart_check.PANIC_LINE.match(line))
            found.append((path, lines[begin:begin + 60]))
    return found


def gated_figures(logs, run):
    """(boot, gate, value or None) of tests/boot/figures.toml, for boots that ran."""
    boots_by_name, all_gates = gates.load(ROOT / "tests/boot/figures.toml")
    found = []
    for boot in boots_by_name.values():
        path = logs / "riscv-release" / f"figures-{boot.name}.uart.log"
        if fresh(path, run):
            rows, _ = gates.judge(boot, all_gates, gates.figures_of(read_lines(path)))
            found += [(boot, gate, value) for gate, value in rows]
    return found


def recorded_costs(document):
    """operation -> NEURON's figure in the Markdown table of docs/perf/bench.md."""
    found = {}
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 5 and re.fullmatch(r"[\d ]+(\.\d+)?", cells[2]):
            found[cells[0]] = float(cells[2].replace(" ", ""))
    return found


def costs(logs, run):
    """The rows of bench/budgets.toml with what this run measured; [] when it measured nothing."""
    boots_by_name, rows = bench_table.load(ROOT / "bench/budgets.toml")
    recorded = recorded_costs((ROOT / "docs/perf/bench.md").read_text(encoding="utf-8"))
    measured = {}
    for name in boots_by_name:
        log = bench_table.Log()
        for suffix in ("", "-firmware"):
            path = logs / "bench" / f"neuron-{name}{suffix}.uart.log"
            if fresh(path, run):
                part = bench_table.read_log(read_lines(path))
                if suffix:
                    bench_table.add_boot_time(log, part)
                else:
                    log = part
        measured[name] = log
    if not any(log.figures for log in measured.values()):
        return []
    return [Cost(row, boots_by_name[row.boot].tolerance_percent / 100, measured[row.boot].figures.get(row.figure),
                 recorded.get(row.title()), measured[row.boot].skipped.get(row.figure.split(".")[0], "not measured in this run"))
            for row in rows]


def trace(logs, run):
    """The timeline of the shares case, as the test trace.shares left it, or None."""
    path = logs / "riscv-release/trace-shares.uart.log"
    if not fresh(path, run):
        return None
    dumps = frames.from_log(path.read_text(encoding="utf-8", errors="replace"))
    told = timeline.build(dumps[-1]) if dumps else None
    return told if told and told.cpus else None


HISTOGRAM = re.compile(r"^# histogram (?P<name>[\w-]+) (?P<unit>\w+) (?P<bars>(?:[\d.]+:\d+ ?)+)$")


@dataclasses.dataclass
class Histogram:
    """name, unit, and (upper end, count) in rising order."""
    name: str
    unit: str
    bars: list


def histograms(logs, run):
    """What the measuring program printed of its distributions."""
    found = []
    for path in filter(lambda path: fresh(path, run), sorted((logs / "riscv-release").glob("figures-*.uart.log"))):
        for line in read_lines(path):
            if match := HISTOGRAM.match(line):
                bars = [bar.split(":") for bar in match["bars"].split()]
                found.append(Histogram(match["name"], match["unit"], [(float(end), int(count)) for end, count in bars]))
    return found


def proofs(logs, run):
    """(invariant, what, target, measured, verdict) of the proofs stage."""
    path = logs / "invariants.tsv"
    if not fresh(path, run):
        return []
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return list({tuple(row[:2]): row for row in rows if len(row) == 5}.values())


def coverage(build):
    """gcovr's summary (gcovr --json-summary), or None."""
    path = build / "coverage/summary.json"
    if not path.is_file():
        return None
    summary = json.loads(path.read_text(encoding="utf-8"))
    return summary if summary.get("line_total") else None


def recorded_coverage(document):
    """(folder, what is said of it) in the table below the heading `Coverage` of docs/reliability.md, and the sentence above it."""
    part = document.partition("\n## Coverage\n")[2].partition("\n## ")[0]
    rows = []
    for line in part.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        rows += [(name, value) for name, value in zip(cells, cells[1:]) if re.match(r"[\d.]+ (%|to )", value) and name]
    said = re.search(r"(?m)^Last measured.*$", part)
    return rows, said[0] if said else ""
