#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges a UART log: markers against the manifest, KTAP numbering, FAIL and panic lines.

Exit status: 0 pass, 1 something failed, 2 kernel panic, 3 the run timed out, 4 a marker is missing or out of order.
The first of 2, 3, 1, 4 that applies is the answer.
"""

import argparse
import dataclasses
import pathlib
import re
import sys
import tomllib
import xml.etree.ElementTree as ElementTree

PASS, FAIL, PANIC, TIMEOUT, ORDER = range(5)

RESULT_LINE = re.compile(r"^(KSELFTEST|SELFTEST): (?P<name>.*?) (?P<result>ok|FAIL|SKIP)(?: (?P<detail>.*))?$")
END_LINE = re.compile(r"^SELFTEST: end \(pass=(\d+) fail=(\d+) skip=(\d+)\)$")
# What the kernel says behind the end marker where it cannot switch the machine off.
PARK_LINE = "KINIT: halted, the firmware cannot power off this machine"
KTAP_PLAN = re.compile(r"^1\.\.(\d+)$")
KTAP_LINE = re.compile(r"^(?P<bad>not )?ok (?P<number>\d+)(?: -)? (?P<name>[^#]*?)(?: # (?P<figures>.*))?$")
PANIC_LINE = re.compile(r"^KERNEL PANIC(?! end)")
MARKER_KEYS = {"name", "pattern", "stage", "min_harts", "lanes", "each_hart", "proves"}


@dataclasses.dataclass(frozen=True)
class Marker:
    """One line that a good run prints. A marker without a pattern is a result line: `NAME ok|FAIL|SKIP`. Stages come
    in ascending order; a marker of stage 0 may come at any time."""
    name: str
    proves: str
    stage: int
    pattern: str = ""
    min_harts: int = 1
    lanes: tuple = ("icount", "mttcg")
    each_hart: bool = False

    def is_required(self, smp, lane):
        return smp >= self.min_harts and lane in self.lanes


@dataclasses.dataclass
class Row:
    name: str
    status: str  # pass, FAIL, skip, MISSING, ORDER
    detail: str = ""


@dataclasses.dataclass
class Report:
    rows: list
    code: int

    def failed(self):
        return [row for row in self.rows if row.status not in ("pass", "skip")]


class ManifestError(Exception):
    """The manifest itself is wrong; the message names the marker and the key."""


def load_manifest(text):
    markers = []
    for number, entry in enumerate(tomllib.loads(text).get("marker", []), start=1):
        unknown = set(entry) - MARKER_KEYS
        if unknown:
            raise ManifestError(f"marker {number}: unknown key {', '.join(sorted(unknown))}")
        for key in ("name", "proves", "stage"):
            if entry.get(key) in (None, ""):
                raise ManifestError(f"marker {number}: no {key}")
        if "lanes" in entry:
            entry["lanes"] = tuple(entry["lanes"])
        markers.append(Marker(**entry))
    if not markers:
        raise ManifestError("no [[marker]] in it")
    return markers


def clean(text):
    """Lines of the log; firmware and drivers end theirs with CR LF."""
    return [line.rstrip("\r") for line in text.split("\n")]


def all_harts(smp):
    return (1 << smp) - 1


def cpus_of(mask):
    return [cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1]


def effective_pattern(pattern, online):
    """`{mask:0xf}` stands for that mask clamped to the harts that are online, as the kernel reads it back; a mask that
    names none of them is refused, so the service keeps the default: all harts."""
    return re.sub(r"\{mask:(0x[0-9a-f]+)\}", lambda match: hex((int(match[1], 16) & online) or online), pattern)


def check_each_hart(marker, lines, online):
    pattern = re.compile(marker.pattern)
    found = [(number, int(match[1])) for number, line in enumerate(lines) if (match := pattern.search(line))]
    cpus = [cpu for _, cpu in found]
    wanted = cpus_of(online)
    place = found[-1][0] if found else None
    if cpus == wanted:
        return Row(marker.name, "pass", f"{len(cpus)} of {len(wanted)}"), place
    missing = [cpu for cpu in wanted if cpu not in cpus]
    if missing:
        return Row(marker.name, "MISSING", f"no line for cpu {', '.join(map(str, missing))}"), place
    return Row(marker.name, "ORDER", f"wanted each of {', '.join(map(str, wanted))} once, ascending, got {cpus}"), place


def check_result(marker, lines, required):
    """A result marker: exactly one line, `ok`, or SKIP where the manifest does not ask for it."""
    found = [(number, match) for number, line in enumerate(lines)
             if (match := RESULT_LINE.match(line)) and f"{match[1]}: {match['name']}" == marker.name]
    if not found:
        return Row(marker.name, "MISSING" if required else "skip", "" if required else "not required here"), None
    place, match = found[-1]
    detail = match["detail"] or ""
    if any(other["result"] == "FAIL" for _, other in found):
        return Row(marker.name, "FAIL", detail), place
    if len(found) > 1:
        return Row(marker.name, "ORDER", f"printed {len(found)} times"), place
    if match["result"] == "SKIP":
        if required:
            return Row(marker.name, "MISSING", f"skipped where it is required: {detail}"), place
        return Row(marker.name, "skip", detail or "no reason given"), place
    return Row(marker.name, "pass", detail), place


def check_line(marker, lines, online, required):
    pattern = re.compile(effective_pattern(marker.pattern, online))
    for number, line in enumerate(lines):
        if pattern.search(line):
            return Row(marker.name, "pass", line), number
    if not required:
        return Row(marker.name, "skip", "not required here"), None
    return Row(marker.name, "MISSING", f"no line matches {pattern.pattern}"), None


def check_markers(lines, manifest, online, lane):
    smp = online.bit_count()
    rows = []
    latest, latest_marker = -1, None  # place of the last marker of the stages before
    stage_end, stage_marker, stage = -1, None, None
    for marker in sorted(manifest, key=lambda entry: entry.stage or sys.maxsize):
        if marker.stage != stage:
            latest, latest_marker, stage = stage_end, stage_marker, marker.stage
        required = marker.is_required(smp, lane)
        if marker.each_hart:
            row, place = check_each_hart(marker, lines, online)
        elif marker.pattern:
            row, place = check_line(marker, lines, online, required)
        else:
            row, place = check_result(marker, lines, required)
        if marker.stage == 0:
            rows.append(row)
            continue
        if place is not None and place < latest and row.status == "pass":
            row = Row(marker.name, "ORDER", f"line {place + 1} comes before '{latest_marker}' in line {latest + 1}")
        if place is not None and place > stage_end:
            stage_end, stage_marker = place, marker.name
        rows.append(row)
    known = {marker.name for marker in manifest}
    for line in lines:
        match = RESULT_LINE.match(line)
        if match and f"{match[1]}: {match['name']}" not in known:
            rows.append(Row(f"{match[1]}: {match['name']}", "ORDER", "not in the manifest"))
    return rows


def check_ktap(lines):
    """Numbering, plan and results of the KTAP block; also returns (pass, fail, skip)."""
    plans = [int(match[1]) for line in lines if (match := KTAP_PLAN.match(line))]
    results = [match for line in lines if (match := KTAP_LINE.match(line))]
    if "KTAP version 1" not in lines or len(plans) != 1:
        return [Row("KTAP", "MISSING", f"wanted one 'KTAP version 1' and one plan, found plans {plans}")], (0, 0, 0)
    rows = []
    numbers = [int(match["number"]) for match in results]
    if numbers != list(range(1, plans[0] + 1)):
        rows.append(Row("KTAP", "ORDER", f"plan 1..{plans[0]}, numbers {numbers}"))
    counts = [0, 0, 0]
    for match in results:
        figures = match["figures"] or ""
        status = "FAIL" if match["bad"] else "skip" if figures.startswith("SKIP") else "pass"
        counts[("pass", "FAIL", "skip").index(status)] += 1
        rows.append(Row(f"KTAP {match['number']} {match['name']}", status, figures))
    return rows, tuple(counts)


def check_end(lines, counts, parks=False):
    """The end marker is the last line and agrees with the KTAP results. Where the machine `parks`, the kernel has to say
    so behind it."""
    written = [line for line in lines if line.strip()]
    ends = [END_LINE.match(line) for line in written]
    if not any(ends):
        return Row("SELFTEST: end", "MISSING")
    if parks:
        if written[-1] != PARK_LINE:
            return Row("SELFTEST: end", "ORDER", f"no line behind it that the machine is halted; the last is: {written[-1]}")
        written.pop()
        ends.pop()
    if sum(map(bool, ends)) > 1 or not ends[-1]:
        return Row("SELFTEST: end", "ORDER", f"not the last line, which is: {written[-1]}")
    claimed = tuple(map(int, ends[-1].groups()))
    if claimed != counts:
        return Row("SELFTEST: end", "ORDER", f"says pass, fail, skip = {claimed}, KTAP has {counts}")
    return Row("SELFTEST: end", "pass", written[-1])


def check_expected(lines, patterns):
    """Lines that this machine's log must have, anywhere."""
    rows = []
    for pattern in patterns:
        line = next((line for line in lines if re.search(pattern, line)), None)
        rows.append(Row(f"log: {pattern}", "MISSING" if line is None else "pass", line or ""))
    return rows


def verdict(rows, timed_out):
    statuses = {row.status for row in rows}
    if "PANIC" in statuses:
        return PANIC
    if timed_out:
        return TIMEOUT
    if "FAIL" in statuses:
        return FAIL
    return ORDER if statuses & {"MISSING", "ORDER"} else PASS


def panic_rows(lines):
    return [Row("kernel panic", "PANIC", line) for line in lines if PANIC_LINE.match(line)]


def last_words(lines, count=15):
    """What to show of a run that went wrong: its last lines, or the whole report of a panic with what led to it."""
    panic = next((number for number, line in enumerate(lines) if PANIC_LINE.match(line)), None)
    return lines[-count:] if panic is None else lines[max(0, panic - count):]


def fail_rows(lines):
    return [Row(f"{match[1]}: {match['name']}", "FAIL", match["detail"] or "")
            for line in lines if (match := RESULT_LINE.match(line)) and match["result"] == "FAIL"]


@dataclasses.dataclass(frozen=True)
class Machine:
    """What of the log depends on the machine."""
    online: int            # mask of the CpuIds that come up
    parks: bool = False    # it cannot switch itself off
    expects: tuple = ()    # regular expressions that lines of the log match


def check(text, manifest, smp, lane, timed_out=False, machine=None):
    """A whole selftest run; smp usable harts, 0..smp-1 unless `machine` says otherwise."""
    machine = machine or Machine(all_harts(smp))
    lines = clean(text)
    ktap, counts = check_ktap(lines)
    rows = panic_rows(lines) + check_expected(lines, machine.expects) + \
        check_markers(lines, manifest, machine.online, lane) + ktap + [check_end(lines, counts, machine.parks)]
    return Report(rows, verdict(rows, timed_out))


def check_only_fail(text, name, timed_out=False, parks=False):
    """A negative control: exactly the marker `name` fails, and the run comes to its end."""
    lines = clean(text)
    _, counts = check_ktap(lines)
    rows = panic_rows(lines) + [check_end(lines, counts, parks)]
    failed = [row.name for row in fail_rows(lines)]
    if failed == [name]:
        rows.append(Row(f"{name} fails", "pass"))
    else:
        rows.append(Row(f"{name} fails", "FAIL", f"markers that fail: {', '.join(failed) or 'none'}"))
    return Report(rows, verdict(rows, timed_out))


def check_loose(text, timed_out=False):
    """Any other run: no panic, nothing says FAIL."""
    lines = clean(text)
    rows = panic_rows(lines) + fail_rows(lines)
    return Report(rows, verdict(rows, timed_out))


def table(report):
    width = max([len(row.name) for row in report.rows], default=0)
    return "\n".join(f"  {row.status:8} {row.name:{width}}  {row.detail}".rstrip() for row in report.rows)


def junit(report, suite_name):
    suite = ElementTree.Element("testsuite", name=suite_name, tests=str(len(report.rows)),
                                failures=str(len(report.failed())),
                                skipped=str(sum(row.status == "skip" for row in report.rows)))
    for row in report.rows:
        case = ElementTree.SubElement(suite, "testcase", classname=suite_name, name=row.name)
        if row.status == "skip":
            ElementTree.SubElement(case, "skipped", message=row.detail)
        elif row.status != "pass":
            ElementTree.SubElement(case, "failure", message=f"{row.status} {row.detail}".strip())
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode") + "\n"


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("--manifest", type=pathlib.Path)
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--lane", choices=("icount", "mttcg"), default="icount")
    parser.add_argument("--online", type=lambda text: int(text, 0), metavar="MASK", help="CpuIds that come up (default: 0..smp-1)")
    parser.add_argument("--parks", action="store_true", help="the machine cannot switch itself off and has to say so")
    parser.add_argument("--expect", action="append", default=[], metavar="REGEX", help="a line of the log matches, anywhere")
    parser.add_argument("--only-fail", metavar="MARKER", help="negative control: exactly this marker must FAIL")
    parser.add_argument("--timed-out", action="store_true")
    parser.add_argument("--junit", type=pathlib.Path)
    parser.add_argument("--quiet", action="store_true", help="print what is wrong only")
    options = parser.parse_args(arguments)

    text = options.log.read_text(encoding="utf-8", errors="replace")
    if options.only_fail:
        report = check_only_fail(text, options.only_fail, options.timed_out, options.parks)
    elif options.manifest:
        try:
            manifest = load_manifest(options.manifest.read_text(encoding="utf-8"))
        except (ManifestError, tomllib.TOMLDecodeError) as error:
            parser.error(f"{options.manifest}: {error}")
        machine = Machine(options.online or all_harts(options.smp), options.parks, tuple(options.expect))
        report = check(text, manifest, options.smp, options.lane, options.timed_out, machine)
    else:
        report = check_loose(text, options.timed_out)
    if options.junit:
        options.junit.write_text(junit(report, options.log.stem), encoding="utf-8")
    shown = Report(report.failed(), report.code) if options.quiet else report
    if shown.rows:
        print(table(shown))
    if report.code != PASS:
        print("last lines of the log:")
        print("\n".join(last_words(clean(text))))
    return report.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
