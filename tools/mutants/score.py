#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which part of the mutants of a group of sources do its tests find?

    score.py GROUP [--sample N] [--seed S] [--jobs J] [--least PERCENT] [--files WORD] [--tests FILTER]

tests/mutants/groups.toml says what a group is: its sources and the GoogleTest programs that concern it. schemata.py makes
the mutants. They are compiled once, in a tree of links below build/score/GROUP in which the sources stand rewritten: each
mutant is a switch that the environment sets (score_switch.hpp). Those that do not compile are found by what the compiler
says about their lines, left out and not counted. Every test runs once to see which mutants it reaches and how long it
takes; then each mutant of the sample meets the tests that reach it, the fast ones first, until one fails, crashes or
uses ten times its processor time. A mutant that no test reaches survives.

tests/mutants/equivalent.toml names mutants that no test can find, each with its reason. They are not in the sample; an entry
that names no mutant, or one that a test finds, is an error.

    --sample N       so many, drawn by --seed; 0: all
    --least PERCENT  exit with 1 where the score is lower
    --files WORD     only files whose path contains the word
    --tests FILTER   only tests that GoogleTest's filter lets in; '' lets none in, and the score is 0
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import time
import tomllib

import schemata

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = "tools/mutants"
LISTS = "tests/mutants"
CPU_TIMES = 10          # what a test may take, in multiples of what it takes without a mutant
CPU_BASE_S = 1          # and before that: starting, and tests that take next to nothing
WALL_TIMES = 20         # of the processor time allowed: other work on the machine, and tests that sleep for ever
MEMORY_BYTES = 4 << 30  # a mutant that allocates without end
QUICK_S = 0.3           # what the first batch of tests of a mutant takes; the next take eight times as much each


class ScoreError(Exception):
    """What is wrong with the lists or the build."""


# -- groups, sources, mutants


@dataclasses.dataclass
class Placed:
    """A mutant and the file it is in."""
    file: str
    mutant: schemata.Mutant

    def shown(self):
        return f"{self.file}:{self.mutant.line}: {self.mutant.shown()}"


def read_group(root, name):
    with open(root / LISTS / "groups.toml", "rb") as file:
        groups = tomllib.load(file)
    if name not in groups:
        raise ScoreError(f"no group {name}; there are {', '.join(groups)}")
    group = groups[name]
    files = []
    for pattern in group["files"]:
        found = sorted(str(path.relative_to(root)) for path in root.glob(pattern))
        if not found:
            raise ScoreError(f"group {name}: {pattern} names no file")
        files += [file for file in found if file not in files]
    return files, group["targets"], group.get("slow_tests", "")


def make_mutants_of(sources):
    """({file: its rewriter}, every mutant, numbered from 1), of {file: text}."""
    rewriters, placed = {}, []
    for file, text in sources.items():
        rewriters[file] = schemata.Rewriter(text)
        for mutant in rewriters[file].mutants():
            placed.append(Placed(file, mutant))
            mutant.number = len(placed)
    return rewriters, placed


def match_equivalents(entries, placed, files):
    """The numbers of the mutants that the entries name. Each names exactly as many as it says (`places`, else 1)."""
    numbers = {}
    for entry in entries:
        if set(entry) - {"file", "line", "change", "reason", "places"} or not entry.get("reason"):
            raise ScoreError(f"equivalent: {entry}: wants file, line, change, reason and at most places")
        if entry["file"] not in files:
            continue
        found = [p for p in placed if p.file == entry["file"] and p.mutant.context == entry["line"]
                 and p.mutant.shown() == entry["change"]]
        if len(found) != entry.get("places", 1):
            raise ScoreError(f"equivalent: {entry['file']}: {entry['line']}: {entry['change']}: {len(found)} such mutants")
        numbers.update({p.mutant.number: entry for p in found})
    return numbers


# -- building


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def mirror(root, tree, rewritten):
    """Directories with a link for each file that git knows or would; the rewritten ones are left alone."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=True).stdout.split("\0")
    wanted = {name for name in listed if name and (root / name).exists()}
    for path in list(tree.rglob("*")) if tree.exists() else []:
        if (path.is_symlink() or path.is_file()) and str(path.relative_to(tree)) not in wanted:
            path.unlink()
    for name in wanted - rewritten:
        link = tree / name
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(root / name)


SEEN = re.compile(r"neuron_score_(?:on|is)\((\d+)\)")
MESSAGE = re.compile(r"([^\s:]+):(\d+)(?::\d+)?[:,]")


def numbers_by_line(text):
    """{line: mutant} of a rewritten source: at most one mutant stands on a line."""
    return {line: int(match[1]) for line, match in
            ((line, SEEN.search(content)) for line, content in enumerate(text.split("\n"), 1)) if match}


def blamed(output, rewritten):
    """The mutants on the lines that errors are about; where an error is about none, those on the lines it came by."""
    lines = {file: numbers_by_line(text) for file, text in rewritten.items()}

    def at(path, line):
        for file, numbers in lines.items():
            if path.endswith(file):
                return numbers.get(int(line))
        return None

    found, on_the_way = set(), set()
    for line in output.split("\n"):
        is_error = ": error: " in line or ": fatal error: " in line
        here = {number for path, place in MESSAGE.findall(line) if (number := at(path, place)) is not None}
        if is_error:
            found |= here or on_the_way
            on_the_way = set()
        else:
            on_the_way |= here
    return found or on_the_way


class Build:
    """The tree of links, configured, and the group's programs in it."""

    def __init__(self, root, name, files, targets, jobs):
        self.root, self.files, self.targets, self.jobs = root, files, targets, jobs
        self.tree = root / "build/score" / name / "tree"
        self.build = root / "build/score" / name / "build"
        self.known = root / "build/score" / name / "uncompilable.json"

    def configure(self):
        if (self.build / "build.ninja").exists():
            return
        flags = f"-w -Wno-narrowing -include {self.tree}/{HERE}/score_switch.hpp"
        command = ["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                   "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g0 -D_GLIBCXX_ASSERTIONS", f"-DCMAKE_CXX_FLAGS={flags}",
                   "-DNEURON_DEBUG=ON", "-DNEURON_SANITIZE="]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise ScoreError(done.stdout + done.stderr)

    def make(self, rewriters, placed):
        """Builds; returns the numbers of the mutants that do not compile."""
        support = "tests/support/host_check.cpp"
        mirror(self.root, self.tree, {*self.files, support})
        listener = (self.root / HERE / "score_listener.cpp").read_text()
        write(self.tree / support, (self.root / support).read_text() +
              f"\n#define NEURON_SCORE_MUTANTS {len(placed)}\n{listener}")
        # What did not compile before does not now, where the source is the same.
        marks = {}
        for p in placed:
            marks[p.mutant.number] = f"{p.file} {rewriters[p.file].hash} {p.mutant.line} {p.mutant.shown()}"
        known = set(json.loads(self.known.read_text())) if self.known.exists() else set()
        dropped = {number for number, mark in marks.items() if mark in known}
        while True:
            rewritten = {file: rewriters[file].render(lambda mutant: mutant.number not in dropped) for file in self.files}
            for file, text in rewritten.items():
                write(self.tree / file, text)
            self.configure()
            command = ["ninja", "-C", self.build, "-k", "0", "-j", str(self.jobs), *self.targets]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                return dropped
            new = blamed(done.stdout + done.stderr, rewritten) - dropped
            if not new:
                raise ScoreError(done.stdout[-6000:] + done.stderr[-2000:])
            print(f"score: {len(new)} mutants do not compile", file=sys.stderr, flush=True)
            dropped |= new
            known |= {marks[number] for number in new}
            self.known.write_text(json.dumps(sorted(known)))

    def programs(self):
        found = []
        for target in self.targets:
            paths = [path for path in self.build.rglob(target) if path.is_file() and os.access(path, os.X_OK)]
            if len(paths) != 1:
                raise ScoreError(f"{target}: {len(paths)} programs of that name")
            found.append(paths[0])
        return found


# -- running


@dataclasses.dataclass
class Test:
    program: pathlib.Path
    name: str
    seconds: float
    reached: frozenset


def run_program(program, arguments, environment, cpu_s):
    """(status, output); a status other than 0 also where it used more than its processor time."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    child = dict(os.environ, **environment)
    child.pop("NEURON_RESULTS", None)  # what a mutant makes of a figure is no result
    try:
        done = subprocess.run([program, *arguments], env=child, capture_output=True, text=True, errors="replace",
                              timeout=cpu_s * WALL_TIMES, preexec_fn=limit)
    except subprocess.TimeoutExpired:
        return 1, "no end"
    return done.returncode, done.stdout + done.stderr


def read_reached(path, program):
    tests = []
    for line in path.read_text().splitlines():
        name, nanoseconds, *numbers = line.split()
        tests.append(Test(program, name, int(nanoseconds) / 1e9, frozenset(map(int, numbers))))
    return tests


def look_at_tests(programs, scratch, tests, jobs):
    """Every test, without a mutant: it must pass."""
    def one(program):
        path = scratch / f"{program.name}.reached"
        path.unlink(missing_ok=True)
        status, output = run_program(program, [f"--gtest_filter={tests}"], {"NEURON_SCORE_REACHED": str(path)}, 600)
        if status != 0:
            raise ScoreError(f"{program.name} fails without a mutant:\n{output[-3000:]}")
        return read_reached(path, program) if path.exists() else []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return [test for found in pool.map(one, programs) for test in found]


def batches(tests):
    """Of one program each, the fast tests first; a later batch takes longer than those before it."""
    limit, batch, total = QUICK_S, {}, 0.0
    for test in sorted(tests, key=lambda test: test.seconds):
        if batch and total + test.seconds > limit:
            yield from batch.items()
            limit, batch, total = limit * 8, {}, 0.0
        batch.setdefault(test.program, []).append(test)
        total += test.seconds
    yield from batch.items()


def killer(number, tests):
    """The name of a test that finds the mutant, or None."""
    for program, batch in batches([test for test in tests if number in test.reached]):
        seconds = CPU_BASE_S + CPU_TIMES * sum(test.seconds for test in batch)
        names = ":".join(test.name for test in batch)
        status, output = run_program(program, [f"--gtest_filter={names}", "--gtest_fail_fast"],
                                     {"NEURON_SCORE_MUTANT": str(number)}, seconds)
        if status != 0:
            failed = re.search(r"\[  FAILED  \] (\S+)", output)
            begun = re.findall(r"\[ RUN      \] (\S+)", output)
            return failed[1] if failed else f"{begun[-1] if begun else program.name} (status {status})"
    return None


def measure(candidates, tests, jobs, report=lambda done, placed, found: None):
    """{number: what found it, or None}"""
    results = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(killer, p.mutant.number, tests): p for p in candidates}
        for done in concurrent.futures.as_completed(waiting):
            placed = waiting[done]
            results[placed.mutant.number] = done.result()
            report(len(results), placed, results[placed.mutant.number])
    return results


def percent(results):
    """Of the mutants, those found. Without mutants there is no score."""
    if not results:
        raise ScoreError("no mutants to look at")
    return 100 * sum(found is not None for found in results.values()) / len(results)


def draw(candidates, sample, seed):
    """The same sample for the same seed, in the order of the sources."""
    if sample == 0 or sample >= len(candidates):
        return candidates
    return sorted(random.Random(seed).sample(candidates, sample), key=lambda p: p.mutant.number)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group")
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--least", type=float, default=0)
    parser.add_argument("--files", default="")
    parser.add_argument("--tests", default="*")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    args = parser.parse_args(arguments)
    try:
        return score(args)
    except (ScoreError, tomllib.TOMLDecodeError, OSError, ValueError) as error:
        print(f"score: {error}", file=sys.stderr)
        return 1


def score(args):
    began = time.monotonic()
    files, targets, slow_tests = read_group(args.root, args.group)
    rewriters, placed = make_mutants_of({file: (args.root / file).read_text() for file in files})
    with open(args.root / LISTS / "equivalent.toml", "rb") as file:
        equivalent = match_equivalents(tomllib.load(file).get("mutant", []), placed, files)
    build = Build(args.root, args.group, files, targets, args.jobs)
    dropped = build.make(rewriters, placed)
    built = time.monotonic()
    tests = []
    if args.tests:
        chosen = args.tests if "-" in args.tests or not slow_tests else f"{args.tests}-{slow_tests}"
        tests = look_at_tests(build.programs(), build.build, chosen, args.jobs)
    reached = frozenset().union(*(test.reached for test in tests))
    candidates = [p for p in placed if p.mutant.number not in dropped and p.mutant.number not in equivalent
                  and args.files in p.file]
    chosen = draw(candidates, args.sample, args.seed)
    results = measure(chosen, tests, args.jobs, progress(len(chosen)))
    argued = [p for p in placed if p.mutant.number in equivalent]
    wrong = [(p, found) for p in argued if (found := killer(p.mutant.number, tests)) is not None]
    for p in chosen:
        if results[p.mutant.number] is None:
            why = "" if p.mutant.number in reached else "  (no test reaches it)"
            print(f"SURVIVED {p.shown()}{why}\n         {p.mutant.context}")
    for p, found in wrong:
        print(f"NOT EQUIVALENT {p.shown()}: {found} finds it")
    result = percent(results)
    found = sum(found is not None for found in results.values())
    print(f"{args.group}: {found} of {len(results)} mutants found: {result:.1f} % (at least {args.least:g} %), seed {args.seed}; "
          f"{len(placed)} mutants of {len(files)} files, {len(dropped)} do not compile, {len(argued)} equivalent; "
          f"{len(tests)} tests; {built - began:.0f} s to build, {time.monotonic() - built:.0f} s to run")
    return 1 if wrong or result < args.least else 0


def progress(total):
    def report(done, placed, found):
        if done % 25 == 0:
            print(f"score: {done} of {total}", file=sys.stderr, flush=True)
    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
