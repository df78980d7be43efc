#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Second opinions on code that g++ has built, from clang 19.

tidy            clang-tidy over user space and the ABI, as the host build compiles them (.clang-tidy says which checks)
thread-safety   clang++ -Wthread-safety over the kernel, as the target build compiles it

Both read compile_commands.json of a build directory and use each file's own defines and include paths.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIDY_FOLDERS = ("execd", "selftest", "shell", "user", "abi")
# Defines and include paths: what both compilers understand alike.
PORTABLE_PAIRS = {"-I", "-isystem", "-D", "-include"}


def commands(build_dir, folders):
    """{file: compiler words} for the C++ files of `folders`; each file once."""
    database = pathlib.Path(build_dir, "compile_commands.json")
    found = {}
    for entry in json.loads(database.read_text(encoding="utf-8")):
        file = pathlib.Path(entry["file"])
        if file.suffix == ".cpp" and any(file.is_relative_to(ROOT / folder) for folder in folders):
            words = entry.get("arguments") or shlex.split(entry["command"])
            found.setdefault(str(file), words)
    return found


def portable(words):
    """Defines and include paths of a g++ command, without flags that only g++ knows."""
    kept, words = [], iter(words)
    for word in words:
        if word in PORTABLE_PAIRS:
            argument = next(words)
            # Headers that g++ has precompiled; a file includes what it uses all the same.
            if not argument.endswith("/cmake_pch.hxx"):
                kept += [word, argument]
        elif re.match(r"-(I|D|isystem)", word):
            kept.append(word)
    return kept


def cross_include_directories(compiler="riscv64-linux-gnu-g++"):
    """Where the cross compiler finds libstdc++ and libc."""
    done = subprocess.run([compiler, "-E", "-x", "c++", "-v", os.devnull], check=True, capture_output=True, text=True)
    listing = done.stderr.split("#include <...> search starts here:")[1].split("End of search list.")[0]
    directories = [str(pathlib.Path(line.strip()).resolve()) for line in listing.splitlines() if line.strip()]
    # The compiler's own headers come from clang, the host's are none of the target's business.
    return [path for path in directories if "/include/c++/" in path or path.endswith("riscv64-linux-gnu/include")]


def tidy_command(file, words):
    # libstdc++ 12's own stable_sort uses a function that it deprecates; g++ reports deprecated calls of ours.
    return ["clang-tidy-19", "--quiet", file, "--", "-x", "c++", "-std=c++23", "-Wno-deprecated-declarations",
            *portable(words)]


def thread_safety_command(file, words, system):
    return ["clang++-19", "--target=riscv64-linux-gnu", "-march=rv64imac_zicsr_zifencei", "-mabi=lp64", "-std=c++23",
            "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-fsyntax-only", "-nostdinc++",
            "-Wall", "-Wextra", "-Wthread-safety", "-Werror",
            # g++ is the judge of these; clang's versions differ in detail.
            "-Wno-unknown-warning-option", "-Wno-gnu-statement-expression",
            *portable(words), *[word for path in system for word in ("-isystem", path)], file]


def run_all(lines, jobs):
    """Runs commands {name: words}; prints the output of those that fail and returns how many did."""
    def run(words):
        return subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)

    failures = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        for file, done in zip(lines, pool.map(run, lines.values())):
            if done.returncode != 0:
                failures += 1
                print(f"-- {os.path.relpath(file, ROOT)}\n{done.stdout}{done.stderr}")
    return failures


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("analysis", choices=("tidy", "thread-safety"))
    parser.add_argument("build_dir", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    if options.analysis == "tidy":
        lines = {file: tidy_command(file, words) for file, words in commands(options.build_dir, TIDY_FOLDERS).items()}
    else:
        system = cross_include_directories()
        lines = {file: thread_safety_command(file, words, system)
                 for file, words in commands(options.build_dir, ("kernel",)).items()}
    if not lines:
        print(f"analyse: {options.build_dir}/compile_commands.json has no file to look at", file=sys.stderr)
        return 1
    failures = run_all(lines, options.jobs)
    print(f"{options.analysis}: {len(lines)} files, {failures} with findings")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
