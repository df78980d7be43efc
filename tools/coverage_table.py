#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The lines that host tests reach, by folder; and whether everything that could be counted is.

usage: coverage_table.py SUMMARY COMMANDS LIST LEAST LEFT_OUT

SUMMARY: gcovr's --json-summary. COMMANDS: compile_commands.json of the same build. LIST: tests/host-testable.toml.
LEFT_OUT: regular expression of the directories whose objects are not counted.
Exit status 1 below LEAST percent, and when LIST and what is compiled do not fit.
"""

import collections
import json
import pathlib
import re
import shlex
import sys
import tomllib

FOLDERS = ("kernel", "execd", "shell", "selftest", "user")


def sources(root):
    """Every source that is expected to be counted or listed."""
    return {str(path.relative_to(root)) for folder in FOLDERS for path in (root / folder).rglob("*.cpp")}


def object_of(entry):
    """Where a compile command puts what it makes."""
    words = shlex.split(entry["command"])
    return words[words.index("-o") + 1]


def list_problems(existing, compiled, groups):
    """What is wrong with the list of files that are not counted."""
    problems = []
    listed = collections.Counter()
    for group in groups:
        if not group.get("reason"):
            problems.append(f"a group without a reason: {group.get('files')}")
        listed.update(group.get("files", []))
    for file, times in sorted(listed.items()):
        if times > 1:
            problems.append(f"{file}: listed twice")
        if file not in existing:
            problems.append(f"{file}: listed, but there is no such file")
        elif file in compiled:
            problems.append(f"{file}: listed, but a host test compiles it")
    for file in sorted(existing - compiled - set(listed)):
        problems.append(f"{file}: no host test compiles it, and it is not listed")
    return problems


def main():
    summary_path, commands_path, list_path, least, left_out = sys.argv[1:]
    root = pathlib.Path(__file__).resolve().parent.parent
    with open(commands_path, encoding="utf-8") as file:
        commands = json.load(file)
    compiled = {str(path.relative_to(root))
                for path in (pathlib.Path(entry["directory"], entry["file"]).resolve() for entry in commands
                             if not re.search(left_out, object_of(entry)))
                if path.is_relative_to(root)}
    with open(list_path, "rb") as file:
        groups = tomllib.load(file)["group"]
    problems = list_problems(sources(root), compiled, groups)
    with open(summary_path, encoding="utf-8") as file:
        summary = json.load(file)
    folders = collections.defaultdict(lambda: [0, 0])
    for entry in summary["files"]:
        sums = folders["/".join(entry["filename"].split("/")[:-1])]
        sums[0] += entry["line_covered"]
        sums[1] += entry["line_total"]
    covered, total = summary["line_covered"], summary["line_total"]
    for name, (reached, lines) in [*sorted(folders.items()), ("sum", (covered, total))]:
        print(f"{name:20} {reached:6} of {lines:6} lines  {100 * reached / max(lines, 1):5.1f} %")
    for problem in problems:
        print(f"tests/host-testable.toml: {problem}", file=sys.stderr)
    return 1 if problems or 100 * covered < float(least) * total else 0


if __name__ == "__main__":
    sys.exit(main())
