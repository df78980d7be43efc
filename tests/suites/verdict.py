# SPDX-License-Identifier: MIT
"""What counts: the list of what is skipped and why, how tests end on Linux, and the table of both kernels."""

import dataclasses
import fnmatch

GOAL_PERCENT = 99
BASELINE_HEADER = """\
# How the tests end on Debian's riscv64 kernel in the emulator: pass, fail or skip (the test says that it does not apply).
# Written by: scripts/suites.sh --all --linux; scripts/suites.sh --all --linux --lane mttcg
"""


class ListError(Exception):
    """A list of tests is wrong; the message names file and line."""


@dataclasses.dataclass(frozen=True)
class Skip:
    """An entry of docs/skip.list."""
    pattern: str
    missing: str
    why: str


def entries(path):
    """(line number, text) of what is neither empty nor a comment."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def read_skips(path, names):
    """The entries; each names at least one test there is. Raises ListError."""
    skips = []
    for number, line in entries(path):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 3 or not all(fields):
            raise ListError(f"{path}:{number}: wanted 'test | missing call or property | why'")
        skip = Skip(*fields)
        if not fnmatch.filter(names, skip.pattern):
            raise ListError(f"{path}:{number}: no test is called '{skip.pattern}'")
        skips.append(skip)
    return skips


def find_skip(skips, name):
    return next((skip for skip in skips if fnmatch.fnmatchcase(name, skip.pattern)), None)


def read_sample(path, names):
    """The names of the sample. Raises ListError."""
    sample = set()
    for number, line in entries(path):
        found = fnmatch.filter(names, line)
        if not found:
            raise ListError(f"{path}:{number}: no test is called '{line}'")
        sample.update(found)
    return sample


def read_baseline(path):
    """{name: status}. Raises ListError."""
    baseline = {}
    if path.is_file():
        for number, line in entries(path):
            status, _, name = line.partition(" ")
            if status not in ("pass", "fail", "skip") or not name:
                raise ListError(f"{path}:{number}: wanted 'pass|fail|skip test', found '{line}'")
            baseline[name] = status
    return baseline


def write_baseline(path, baseline):
    path.write_text(BASELINE_HEADER + "".join(f"{status} {name}\n" for name, status in sorted(baseline.items())), encoding="utf-8")


@dataclasses.dataclass
class Row:
    """One suite's line of the table."""
    suite: str
    run: int = 0
    not_built: int = 0
    on_linux: int = 0
    listed: int = 0
    counted: int = 0
    passed: int = 0
    neither: int = 0

    def percent(self):
        return 100 * self.passed / self.counted if self.counted else 100.0


def judge(suite, names, missing, statuses, baseline, skips):
    """(Row, names that should have passed, listed names that pass). statuses: {name: status} of our run."""
    row, failed, stale = Row(suite), [], []
    for name in names:
        if name in missing:
            row.not_built += 1
            continue
        listed = find_skip(skips, name)
        if name not in statuses:
            if listed and baseline.get(name) == "pass":
                row.on_linux += 1
                row.listed += 1
            continue
        row.run += 1
        passed = statuses[name] == "pass"
        if baseline.get(name) != "pass":
            row.neither += not passed
            continue
        row.on_linux += 1
        if listed:
            row.listed += 1
            if passed:
                stale.append(name)
            continue
        row.counted += 1
        row.passed += passed
        if not passed:
            failed.append(name)
    return row, failed, stale


def table(rows):
    """Markdown lines."""
    lines = ["| suite | tests run | do not compile | pass on Linux | in skip.list | counted | pass here | % | fail on both |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    total = Row("all")
    for row in rows:
        for field in dataclasses.fields(Row)[1:]:
            setattr(total, field.name, getattr(total, field.name) + getattr(row, field.name))
    for row in [*rows, total]:
        lines.append(f"| {row.suite} | {row.run} | {row.not_built} | {row.on_linux} | {row.listed} | {row.counted} | {row.passed} | "
                     f"{row.percent():.1f} | {row.neither} |")
    return lines, total
