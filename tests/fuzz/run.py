#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the fuzz targets of the preset `fuzz`.

    run.py quick TARGET      the seeds and kept inputs, then --runs new ones
    run.py planted           each defect of planted.toml, switched on, must be found by its target
    run.py long TARGET       --minutes of new inputs; what is new and worth it goes to corpus/ with --keep
    run.py replay TARGET FILE...   these inputs alone

A failure prints the input's path and how to replay it. Exit status: 0 nothing found, 1 something found (or a planted
defect not found), 2 not built.
"""
import argparse
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import tomllib

import seeds

# Longer inputs show nothing that shorter ones do not.
MAX_BYTES = {"fdt": 8192, "elf": 4096, "cpio": 4096, "cmdline": 4096, "recipe": 8192}
PLANTED_RUNS = 500_000
KEPT_BYTES = 2048  # of one input; larger ones are not worth their place


def dictionary(target, directory):
    words = seeds.DICTIONARIES.get(target)
    if not words:
        return []
    path = directory / "words"
    path.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n' for word in words))
    return [f"-dict={path}"]


def fuzz(target, build, directory, options, mutant=0):
    """Runs a target on a fresh unpacked corpus; returns the finished process, and where its inputs are."""
    binary = build / "tests/fuzz" / f"fuzz_{target}"
    if not binary.exists():
        print(f"fuzz: {binary} is not built: scripts/build.sh fuzz fuzzers", file=sys.stderr)
        sys.exit(2)
    corpus = directory / "corpus"
    count = seeds.unpack(target, build, corpus)
    command = [binary, f"-max_len={MAX_BYTES[target]}", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=1",
               f"-artifact_prefix={directory}/found-", *dictionary(target, directory), *options, corpus]
    environment = dict(os.environ, NEURON_MUTANT=str(mutant), UBSAN_OPTIONS="print_stacktrace=1",
                       ASAN_OPTIONS="detect_leaks=1:symbolize=0")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    return done, corpus, count


def figures(text):
    """Inputs run, and edges covered, as libFuzzer says."""
    runs = re.findall(r"^#(\d+)\s", text, re.M)
    covered = re.findall(r"cov: (\d+)", text)
    return int(runs[-1]) if runs else 0, int(covered[-1]) if covered else 0


def processor_minutes():
    """What the finished targets took of a processor: a busy machine gives less than the time that passed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def cause(text):
    match = re.search(r"^.*(?:broken promise|ERROR: |runtime error: |CHECK failed).*$", text, re.M)
    return match[0].strip() if match else text.strip().splitlines()[-1:]


def report(target, done, directory, seed):
    """Keeps the input that failed and says how to repeat it."""
    logs = seeds.ROOT / "build/logs"
    logs.mkdir(parents=True, exist_ok=True)
    print(f"fuzz {target}: FOUND with seed {seed}: {cause(done.stderr)}")
    print("\n".join(done.stderr.splitlines()[-60:]))
    for found in directory.glob("found-*"):
        place = logs / f"fuzz-{target}-{found.name.removeprefix('found-')}"
        place.write_bytes(found.read_bytes())
        print(f"fuzz {target}: repeat with scripts/fuzz.sh {target} --replay {place}")


def run_target(args, options):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        done, corpus, count = fuzz(args.target, args.build, directory, [f"-seed={args.seed}", *options])
        runs, covered = figures(done.stderr)
        if done.returncode != 0:
            report(args.target, done, directory, args.seed)
            return 1
        print(f"fuzz {args.target}: {runs} inputs from {count} seeds, {covered} edges, {processor_minutes():.1f} min of a processor, "
              f"nothing found (seed {args.seed})")
        if getattr(args, "keep", False):
            smallest = directory / "smallest"
            smallest.mkdir()
            binary = args.build / "tests/fuzz" / f"fuzz_{args.target}"
            subprocess.run([binary, "-merge=1", f"-max_len={KEPT_BYTES}", smallest, corpus], capture_output=True, check=True)
            inputs = [path.read_bytes() for path in smallest.iterdir()]
            seeds.keep(args.target, inputs)
            print(f"fuzz {args.target}: keeps {len(inputs)} inputs")
        return 0


def quick(args):
    return run_target(args, [f"-runs={args.runs}"])


def long(args):
    return run_target(args, [f"-max_total_time={args.minutes * 60}", "-print_final_stats=0"])


def replay(args):
    binary = args.build / "tests/fuzz" / f"fuzz_{args.target}"
    return subprocess.run([binary, *args.files], check=False).returncode and 1


def planted(args):
    with open(seeds.HERE / "planted.toml", "rb") as file:
        mutants = tomllib.load(file)["mutant"]
    missed = 0
    for number, mutant in enumerate(mutants, 1):
        if args.target and mutant["killed_by"] != args.target:
            continue
        with tempfile.TemporaryDirectory() as name:
            done, _, _ = fuzz(mutant["killed_by"], args.build, pathlib.Path(name),
                              [f"-seed={args.seed}", f"-runs={PLANTED_RUNS}", "-max_total_time=120"], number)
        runs, _ = figures(done.stderr)
        found = done.returncode != 0
        missed += 0 if found else 1
        print(f"{'found ' if found else 'MISSED'} {mutant['name']}: {cause(done.stderr) if found else ''} ({runs} inputs)")
    print(f"{missed} missed")
    return 1 if missed else 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in (("quick", quick), ("long", long), ("replay", replay), ("planted", planted)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--build", type=pathlib.Path, default=seeds.ROOT / "build/fuzz")
        command.add_argument("--seed", type=int, default=1)
        if name == "planted":
            command.add_argument("--target", choices=MAX_BYTES)
        else:
            command.add_argument("target", choices=MAX_BYTES)
        if name == "quick":
            command.add_argument("--runs", type=int, required=True)
        if name == "long":
            command.add_argument("--minutes", type=float, default=1)
            command.add_argument("--keep", action="store_true")
        if name == "replay":
            command.add_argument("files", nargs="+")
    args = parser.parse_args(arguments)
    return args.function(args)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
