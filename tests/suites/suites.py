#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds other people's tests, runs them on NEURON or on Linux, and compares. scripts/suites.sh gives the arguments."""

import argparse
import dataclasses
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tools")]

import boots  # noqa: E402
import build  # noqa: E402
import plan  # noqa: E402
import verdict  # noqa: E402

BASELINE = HERE / "linux.baseline"
SAMPLE = HERE / "sample.list"
SKIPS = ROOT / "docs/skip.list"
# What a test finds in /bin beside itself: the shell for system() and popen().
SHELL = "usr/bin/busybox"


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("sources", "programs", "kernel-build", "build", "logs"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--linux", type=pathlib.Path, metavar="IMAGE")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--lane", choices=("icount", "mttcg"), default="icount")
    parser.add_argument("--smp", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=1800, help="seconds of wall time for one boot")
    parser.add_argument("--listed", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--not-built", action="store_true")
    options = parser.parse_args(arguments)
    try:
        options.only = re.compile(options.only)
    except re.error as error:
        parser.error(f"--only: {error}")
    return options


def choose(options, tests, skips):
    """The tests this run is about. Raises verdict.ListError."""
    names = [test.name for test in tests]
    if not options.all:
        sample = verdict.read_sample(SAMPLE, names)
        tests = [test for test in tests if test.name in sample]
    if options.lane == "icount":
        tests = [test for test in tests if not plan.BUSY.search(test.name)]
    else:
        tests = [dataclasses.replace(test, limit_s=plan.RACING_LIMIT_FACTOR * test.limit_s) for test in tests]
    if not options.linux and not options.listed:
        tests = [test for test in tests if not verdict.find_skip(skips, test.name)]
    return [test for test in tests if options.only.search(test.name)]


def keep_baseline(results):
    baseline = verdict.read_baseline(BASELINE)
    baseline.update({name: result.status for name, result in results.items()})
    verdict.write_baseline(BASELINE, baseline)


def show(name, result):
    print(f"  {name}: {result.end}")
    for line in result.output:
        print(f"      {line}")


def compare(options, suites, missing, statuses, results, skips):
    """Prints what failed and the table; the totals."""
    baseline = verdict.read_baseline(BASELINE)
    rows, failed, stale = [], [], []
    for suite in suites:
        row, bad, good = verdict.judge(suite.name, [test.name for test in suite.tests],
                                       {test.name for test in suite.tests if test.program in missing}, statuses, baseline, skips)
        rows.append(row)
        failed += bad
        stale += good
    both = sorted(name for name, status in statuses.items() if status == "fail" and baseline.get(name) == "fail")
    if not options.table:
        if failed:
            print("pass on Linux and not here:")
        for name in failed:
            show(name, results[name]) if name in results else print(f"  {name}")
        for name in stale:
            print(f"passes, take it out of {SKIPS.name}: {name}")
        if both:
            print("fail on Linux and here:")
        for name in both:
            print(f"  {name}")
    lines, total = verdict.table([row for row in rows if row.run or row.not_built])
    print("\n".join(lines))
    return total


def store(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=0, sort_keys=True), encoding="utf-8")


def load(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def run(options):
    suites = plan.suites(options.sources)
    every = [test for suite in suites for test in suite.tests]
    skips = verdict.read_skips(SKIPS, [test.name for test in every])
    kept = options.build / "statuses.json"
    kept_missing = options.build / "missing.json"
    if options.table:
        compare(options, suites, load(kept_missing), load(kept), {}, skips)
        return 0
    tests = choose(options, every, skips)
    if not tests:
        print("suites: no test has such a name", file=sys.stderr)
        return 2
    missing = build.build(options.sources, options.build, suites, tests)
    known = load(kept_missing)
    store(kept_missing, {name: why for name, why in known.items() if name not in {test.program for test in tests}} | missing)
    if options.not_built:
        for name, why in sorted(missing.items()):
            print(f"{name}: {why}")
        return 0
    tests = [test for test in tests if test.program not in missing]
    system = boots.System("linux" if options.linux else "neuron", options.linux or options.kernel_build / "Image", bool(options.linux))
    settings = boots.Settings(options.lane, options.smp, options.timeout, options.logs / f"{system.name}-{options.lane}", options.jobs)
    tools = {"bin/suite_runner": options.kernel_build / "tests/suites/suite_runner", "bin/sh": options.programs / SHELL}
    results = boots.run(system, tests, options.build / "root", tools, settings)
    if options.linux:
        keep_baseline(results)
        for name, result in sorted(results.items()):
            if result.status != "pass":
                show(name, result)
        print(f"{len(results)} tests, {sum(result.status == 'pass' for result in results.values())} pass")
        return 0
    statuses = {name: result.status for name, result in results.items()}
    store(kept, load(kept) | statuses)
    total = compare(options, suites, missing, statuses, results, skips)
    return 0 if total.counted and total.percent() >= (verdict.GOAL_PERCENT if options.all else 100) else 1


def main(arguments):
    try:
        return run(parse(arguments))
    except (verdict.ListError, build.BuildError, OSError) as error:
        print(f"suites: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
