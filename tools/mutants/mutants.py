#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeded defects, and the tests that must find them.

    mutants.py generate LIST --root DIR --out DIR   copies of the sources LIST names, every defect a run-time switch
    mutants.py run LIST --binary FILE               each defect must make the tests it names fail; exit 1 if not
    mutants.py who-kills NAME LIST --binary FILE    every test of the binary that finds this one
    mutants.py reports TEXT NAME... LIST --binary FILE   the tests of each of these fail and say TEXT; without it they pass

LIST is TOML, one [[mutant]] table each:

    name       unique
    file       source or header, relative to the root
    find       text that occurs exactly once in the file; any whitespace in it stands for any whitespace
    after      optional: `find` means the first one behind this text, which occurs exactly once
    replace    what stands there in the mutant
    kind       "statement" (default): whole statements, if/else around them;
               "expression": part of one, chosen by ?:
               "text": an if ( ) or while ( ) condition, or an initialiser: the one expression in which `find` and
               `replace` differ is chosen by ?:
    killed_by  a gtest filter: tests that pass without the defect and of which at least one must fail with it

Several mutants may replace the same text, or one a part of what another replaces. In constant expressions the original
holds. One build holds all defects of a list; NEURON_MUTANT=N in the environment chooses the Nth, 0 or nothing none.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib

REQUIRED = ("name", "file", "find", "replace", "killed_by")
OPTIONAL = ("kind", "after")
KINDS = ("statement", "expression", "text")
TIMEOUT_S = 60
BASELINE_TIMEOUT_S = 600  # every test of the list, to its end


class ListError(Exception):
    """What is wrong with the list, by the name of the mutant."""


def read_list(path):
    with open(path, "rb") as file:
        mutants = tomllib.load(file).get("mutant", [])
    seen = set()
    for number, mutant in enumerate(mutants, 1):
        name = mutant.get("name", f"number {number}")
        missing = [key for key in REQUIRED if not mutant.get(key) and key != "replace"]
        unknown = [key for key in mutant if key not in REQUIRED + OPTIONAL]
        if missing or unknown or "replace" not in mutant:
            raise ListError(f"{path}: mutant {name}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}")
        if name in seen:
            raise ListError(f"{path}: mutant {name}: named twice")
        if mutant.setdefault("kind", "statement") not in KINDS:
            raise ListError(f"{path}: mutant {name}: kind is one of {', '.join(KINDS)}")
        seen.add(name)
        mutant["number"] = number
    if not mutants:
        raise ListError(f"{path}: no mutants")
    return mutants


# A constant expression cannot read the switch.
DECLARATION = """
#ifndef NEURON_MUTANT_IS
#define NEURON_MUTANT_IS
extern "C" const int neuron_mutant;
constexpr bool neuron_mutant_is(int number) {
    return !__builtin_is_constant_evaluated() && neuron_mutant == number;
}
#endif
"""


def chosen(mutant):
    return f"neuron_mutant_is({mutant['number']})"


def choose_inside(mutant, text):
    """`if (A) {` and `if (B) {` become `if (neuron_mutant == N ? (B) : (A)) {`; the same with `= A;`."""
    replace = mutant["replace"]
    for opening, closing in (("if (", ") {"), ("while (", ") {"), (" = ", ";"), ("return ", ";")):
        start = text.find(opening)
        if start < 0 or not text.endswith(closing):
            continue
        head = text[:start + len(opening)]
        if replace.startswith(head) and replace.endswith(closing):
            old, new = text[len(head):-len(closing)], replace[len(head):-len(closing)]
            return f"{head}({chosen(mutant)}) ? ({new}) : ({old}){closing}"
    raise ListError(f"mutant {mutant['name']}: find and replace are not one condition or initialiser")


def switch(mutant, text):
    replace = mutant["replace"]
    if mutant["kind"] == "expression":
        return f"(({chosen(mutant)}) ? ({replace}) : ({text}))"
    if mutant["kind"] == "text":
        return choose_inside(mutant, text)
    return f"if ({chosen(mutant)}) {{\n{replace}\n}} else {{\n{text}\n}}"


@dataclasses.dataclass
class Span:
    """A stretch of the source, the mutants that replace all of it, and the stretches inside it."""
    start: int
    end: int
    mutants: list = dataclasses.field(default_factory=list)
    inner: list = dataclasses.field(default_factory=list)


def occurrences(text, source):
    pattern = r"\s+".join(re.escape(word) for word in text.split())
    return [match.span() for match in re.finditer(pattern, source)]


def find_span(mutant, source, path):
    found = occurrences(mutant["find"], source)
    if "after" in mutant:
        anchors = occurrences(mutant["after"], source)
        if len(anchors) != 1:
            raise ListError(f"{path}: mutant {mutant['name']}: its anchor occurs {len(anchors)} times, not once")
        found = [span for span in found if span[0] >= anchors[0][1]][:1]
    if len(found) != 1:
        raise ListError(f"{path}: mutant {mutant['name']}: its text occurs {len(found)} times, not once")
    return found[0]


def nest(spans, path):
    """The outermost stretches, each holding those inside it."""
    outermost = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        siblings = outermost
        while siblings and span.start < siblings[-1].end:
            if span.end > siblings[-1].end:
                names = siblings[-1].mutants[0]["name"], span.mutants[0]["name"]
                raise ListError(f"{path}: mutants {names[0]} and {names[1]} overlap")
            siblings = siblings[-1].inner
        siblings.append(span)
    return outermost


def render(source, start, end, spans):
    out = []
    for span in spans:
        text = render(source, span.start, span.end, span.inner)
        for mutant in span.mutants:
            text = switch(mutant, text)
        out += [source[start:span.start], text]
        start = span.end
    return "".join(out + [source[start:end]])


def apply(mutants, source, path):
    """The source with a switch for each mutant."""
    spans = {}
    for mutant in mutants:
        place = find_span(mutant, source, path)
        spans.setdefault(place, Span(*place)).mutants.append(mutant)
    body = 0
    if "#pragma once" in source:  # a header: the declaration goes behind its pragma
        body = source.index("#pragma once") + len("#pragma once")
    if min(start for start, _ in spans) < body:
        raise ListError(f"{path}: a mutant stands before #pragma once")
    return source[:body] + DECLARATION + render(source, body, len(source), nest(spans.values(), path))


def generate(args):
    by_file = {}
    for mutant in read_list(args.list):
        by_file.setdefault(mutant["file"], []).append(mutant)
    for name, mutants in by_file.items():
        text = apply(mutants, (args.root / name).read_text(), name)
        target = args.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
    return 0


def run_tests(binary, number, tests, timeout=TIMEOUT_S, text=None):
    """(failed, how) of the tests with one mutant; with a text, failed means that they say it."""
    environment = dict(os.environ, NEURON_MUTANT=str(number))
    environment.pop("NEURON_RESULTS", None)  # what a defect makes of a figure is no result
    try:
        done = subprocess.run([binary, f"--gtest_filter={tests}", "--gtest_fail_fast"], env=environment,
                              capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return True, f"no end after {timeout} s"
    if "[==========] 0 tests" in done.stdout or "Running 0 tests" in done.stdout:
        raise ListError(f"no test matches {tests}")
    failed = [line.split("]", 1)[1].split("(")[0].strip() for line in done.stdout.splitlines()
              if line.startswith("[  FAILED  ]") and "(" in line]
    if done.returncode == 0:
        return False, "survived"
    if text is not None:
        return text in done.stdout + done.stderr, f"ended with status {done.returncode}"
    return True, failed[0] if failed else f"ended with status {done.returncode}"


def run(args):
    mutants = read_list(args.list)
    everything = ":".join(sorted({mutant["killed_by"] for mutant in mutants}))
    failed, how = run_tests(args.binary, 0, everything, BASELINE_TIMEOUT_S)
    if failed:
        print(f"mutants: without any defect: {how}")
        return 1
    survivors = 0
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        results = pool.map(lambda mutant: run_tests(args.binary, mutant["number"], mutant["killed_by"]), mutants)
        for mutant, (killed, how) in zip(mutants, results):
            survivors += 0 if killed else 1
            print(f"{'killed  ' if killed else 'SURVIVED'} {mutant['name']:40} {how if killed else mutant['killed_by']}")
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants killed in {time.monotonic() - start:.0f} s")
    return 1 if survivors else 0


def who_kills(args):
    found = [mutant for mutant in read_list(args.list) if mutant["name"] == args.name]
    if not found:
        raise ListError(f"{args.list}: no mutant is named {args.name}")
    listing = subprocess.run([args.binary, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout
    suite, tests = "", []
    for line in listing.splitlines():
        name = line.split("#")[0].rstrip()
        if line.startswith("  "):
            tests.append(suite + name.strip())
        elif name.endswith("."):
            suite = name
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for test, (killed, how) in zip(tests, pool.map(lambda t: run_tests(args.binary, found[0]["number"], t), tests)):
            if killed:
                print(f"{test}: {how}")
    return 0


def reports(args):
    mutants = {mutant["name"]: mutant for mutant in read_list(args.list)}
    for name in args.names:
        if name not in mutants:
            raise ListError(f"{args.list}: no mutant is named {name}")
        for number, wanted in ((0, False), (mutants[name]["number"], True)):
            found, how = run_tests(args.binary, number, mutants[name]["killed_by"], text=args.text if number else None)
            if found != wanted:
                print(f"mutants: {name}: {how} {'without' if number else 'with'} '{args.text}'")
                return 1
        print(f"reported {name}")
    return 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("generate")
    make.add_argument("list", type=pathlib.Path)
    make.add_argument("--root", type=pathlib.Path, required=True)
    make.add_argument("--out", type=pathlib.Path, required=True)
    test = commands.add_parser("run")
    test.add_argument("list", type=pathlib.Path)
    test.add_argument("--binary", required=True)
    test.add_argument("--jobs", type=int, default=os.cpu_count())
    who = commands.add_parser("who-kills")
    who.add_argument("name")
    who.add_argument("list", type=pathlib.Path)
    who.add_argument("--binary", required=True)
    who.add_argument("--jobs", type=int, default=os.cpu_count())
    report = commands.add_parser("reports")
    report.add_argument("text")
    report.add_argument("names", nargs="+")
    report.add_argument("list", type=pathlib.Path)
    report.add_argument("--binary", required=True)
    args = parser.parse_args(arguments)
    try:
        return {"generate": generate, "run": run, "who-kills": who_kills, "reports": reports}[args.command](args)
    except (ListError, tomllib.TOMLDecodeError, OSError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
