#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeded defects, and the tests that must find them.

    mutants.py generate LIST --root DIR --out DIR   copies of the sources LIST names, every defect a run-time switch
    mutants.py run LIST --binary FILE               each defect must make the tests it names fail; exit 1 if not

LIST is TOML, one [[mutant]] table each:

    name       unique
    file       source or header, relative to the root
    find       text that occurs exactly once in the file
    replace    what stands there in the mutant
    kind       "statement" (default): whole statements, if/else around them;
               "expression": part of one, chosen by ?:
               "text": an if ( ) or while ( ) condition, or an initialiser: the one expression in which `find` and
               `replace` differ is chosen by ?:
    killed_by  a gtest filter: tests that pass without the defect and of which at least one must fail with it

One build holds all defects of a list; NEURON_MUTANT=N in the environment chooses the Nth, 0 or nothing none.
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time
import tomllib

REQUIRED = ("name", "file", "find", "replace", "killed_by")
OPTIONAL = ("kind",)
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
            return f"{head}neuron_mutant == {mutant['number']} ? ({new}) : ({old}){closing}"
    raise ListError(f"mutant {mutant['name']}: find and replace are not one condition or initialiser")


def switch(mutant, text):
    number, replace = mutant["number"], mutant["replace"]
    if mutant["kind"] == "expression":
        return f"(neuron_mutant == {number} ? ({replace}) : ({text}))"
    if mutant["kind"] == "text":
        return choose_inside(mutant, text)
    return f"if (neuron_mutant == {number}) {{\n{replace}\n}} else {{\n{text}\n}}"


def apply(mutants, source, path):
    """The source with a switch for each mutant. Texts may not overlap."""
    spans = []
    for mutant in mutants:
        count = source.count(mutant["find"])
        if count != 1:
            raise ListError(f"{path}: mutant {mutant['name']}: its text occurs {count} times, not once")
        start = source.index(mutant["find"])
        spans.append((start, start + len(mutant["find"]), mutant))
    spans.sort(key=lambda span: span[0])
    for before, after in zip(spans, spans[1:]):
        if before[1] > after[0]:
            raise ListError(f"{path}: mutants {before[2]['name']} and {after[2]['name']} overlap")
    out, at = ["extern \"C\" const int neuron_mutant;\n"], 0
    if source.lstrip().startswith("#pragma once") or "#pragma once" in source:
        out = []  # a header: the declaration goes behind its pragma
        head = source.index("#pragma once") + len("#pragma once")
        if spans[0][0] < head:
            raise ListError(f"{path}: mutant {spans[0][2]['name']} stands before #pragma once")
        out += [source[:head], "\nextern \"C\" const int neuron_mutant;"]
        at = head
    for start, end, mutant in spans:
        out += [source[at:start], switch(mutant, source[start:end])]
        at = end
    return "".join(out + [source[at:]])


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


def run_tests(binary, number, tests, timeout=TIMEOUT_S):
    """(failed, how) of the tests with one mutant."""
    environment = dict(os.environ, NEURON_MUTANT=str(number))
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
    args = parser.parse_args(arguments)
    try:
        return generate(args) if args.command == "generate" else run(args)
    except (ListError, tomllib.TOMLDecodeError, OSError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
