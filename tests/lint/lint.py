#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""House rules that a compiler does not know. Each check returns findings as `file:line: sentence`.

layers   a file includes its own folder and lower layers only
length   no source file over 600 lines
words    no unfinished-work words, no machine paths, nothing about how the text came to be
spdx     each source file names its licence in its first three lines
boards   the kernel names machines only in rows of tables keyed by a device tree's `compatible`
format   clang-format agrees with every C and C++ file
"""

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_LINES = 600
SOURCE_SUFFIXES = {".cpp", ".hpp", ".c", ".h", ".S", ".def", ".ld", ".py", ".sh", ".cmake"}
CXX_SUFFIXES = {".cpp", ".hpp", ".c", ".h"}

# docs/architecture.md: a folder may include folders of a smaller number, and itself.
KERNEL_LAYERS = {"lib": 0, "sched": 1, "fdt": 1, "arch": 2, "sync": 3, "trace": 3, "mm": 4, "smp": 4, "task": 5,
                 "file": 6, "syscall": 7, "drivers": 7, "init": 8}
# What of arch/ the kernel sees. The layers that bring a machine up speak to its firmware directly, and task owns the
# frame that a trap stores.
ARCH_CONTRACT = "arch/contract.hpp"
MACHINE_LAYERS = {"smp", "task", "drivers", "init"}
USER_FOLDERS = {"user": {"user"}, "execd": {"user", "execd"}, "selftest": {"user", "selftest"}, "shell": {"user", "shell"},
                "abi": set()}
# Pure arithmetic of a tool that a program shows too: execd --check tells the shares the simulator is judged by.
SHARED_WITH_TOOLS = {("execd", "fair_shares.hpp")}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
# The word, and why it has no place here.
WORDS = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "unfinished work: finish it or say it in CAVEATS.md"),
    (re.compile(r"\b(stub|placeholder (value|text|code)|not yet implemented)\b", re.IGNORECASE), "unfinished work"),
    (re.compile(r"(?<![\w.])/(home|root|Users)/"), "a path of one machine"),
    (re.compile(r"\b(this|our|next|previous) (issue|milestone|ticket)\b", re.IGNORECASE),
     "says how the text came to be"),
]
# Machines, as grep -w would find them; and the start of a table's row that is keyed by a compatible name.
BOARD = re.compile(r"(?<!\w)(virt|qemu|jh7110|visionfive2?)(?!\w)")
COMPATIBLE_ROW = re.compile(r'^\s*\{"[\w.-]+,[\w.-]+"(?=,)')
WORDS_EXEMPT = ("tests/lint/", "LICENSE")
SPDX_EXEMPT = ("cmake/kernel-include/",)  # stands in for an empty system header


def tracked_files():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace").splitlines()


def layer_problem(name, included):
    """Why `name` may not include `included`, or None. Both are paths; included is as written."""
    parts = name.split("/")
    if included.startswith("nexus_abi/"):
        return None
    if parts[0] == "kernel" and len(parts) > 2:
        own, other = parts[1], included.split("/")[0]
        if other not in KERNEL_LAYERS:
            return f"'{included}' does not start with a kernel folder" if "/" not in included else \
                f"'{other}' is no kernel layer"
        if own == other:
            return None
        if KERNEL_LAYERS[other] >= KERNEL_LAYERS[own]:
            return f"{own} (layer {KERNEL_LAYERS[own]}) must not include {other} (layer {KERNEL_LAYERS[other]})"
        if other == "arch" and included != ARCH_CONTRACT and own not in MACHINE_LAYERS:
            return f"of arch/ only {ARCH_CONTRACT} is for the rest of the kernel"
        return None
    if parts[0] in USER_FOLDERS:
        allowed = USER_FOLDERS[parts[0]]
        if (parts[0], included) in SHARED_WITH_TOOLS:
            return None
        homes = [ROOT / folder / included for folder in allowed] + [ROOT / pathlib.Path(name).parent / included]
        if not any(path.is_file() for path in homes):
            return f"{parts[0]} sees {', '.join(sorted(allowed | {'abi'}))} only"
    return None


def check_layers(names):
    for name in names:
        if pathlib.Path(name).suffix not in CXX_SUFFIXES | {".S", ".def"} or name.startswith("tests/"):
            continue
        for number, line in enumerate(read(name), start=1):
            match = INCLUDE.match(line)
            problem = layer_problem(name, match[1]) if match else None
            if problem:
                yield f"{name}:{number}: {problem}"


def check_length(names):
    for name in names:
        if pathlib.Path(name).suffix in SOURCE_SUFFIXES:
            lines = len(read(name))
            if lines > MAX_LINES:
                yield f"{name}:{lines}: {lines} lines, the limit is {MAX_LINES}: split it by concept"


def check_words(names):
    for name in names:
        if name.startswith(WORDS_EXEMPT):
            continue
        for number, line in enumerate(read(name), start=1):
            for pattern, reason in WORDS:
                match = pattern.search(line)
                if match:
                    yield f"{name}:{number}: '{match[0]}': {reason}"


def check_boards(names):
    for name in names:
        if not name.startswith("kernel/"):
            continue
        for number, line in enumerate(read(name), start=1):
            match = BOARD.search(COMPATIBLE_ROW.sub("", line))
            if match:
                yield f"{name}:{number}: '{match[0]}': one image serves all boards: ask the device tree, by `compatible`"


def check_spdx(names):
    for name in names:
        if pathlib.Path(name).suffix in SOURCE_SUFFIXES - {".cmake"} and not name.startswith(SPDX_EXEMPT):
            if not any("SPDX-License-Identifier: MIT" in line for line in read(name)[:3]):
                yield f"{name}:1: no line 'SPDX-License-Identifier: MIT'"


def check_format(names):
    files = [name for name in names if pathlib.Path(name).suffix in CXX_SUFFIXES]
    done = subprocess.run(["clang-format-19", "--dry-run", "--ferror-limit=1", *files], cwd=ROOT, check=False,
                          capture_output=True, text=True)
    if done.returncode != 0:
        yield done.stderr.strip() or f"clang-format-19 ended with status {done.returncode}"
    for line in done.stderr.splitlines():
        match = re.match(r"(.*?:\d+):\d+: (?:warning|error):", line)
        if match:
            yield f"{match[1]}: clang-format disagrees: run scripts/format.sh"


CHECKS = {"layers": check_layers, "length": check_length, "words": check_words, "boards": check_boards, "spdx": check_spdx,
          "format": check_format}


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="default: all")
    options = parser.parse_args(arguments)
    unknown = [check for check in options.checks if check not in CHECKS]
    if unknown:
        parser.error(f"no check is called {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    names = tracked_files()
    findings = [finding for check in options.checks or CHECKS for finding in CHECKS[check](names)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
