# SPDX-License-Identifier: MIT
"""Runs tests on a kernel in QEMU, many in one boot, and reads how each ended.

A kernel that dies or hangs in the middle of a boot costs the test that was running its result ("crash", "hang"); the tests
behind it run in another boot.
"""

import concurrent.futures
import dataclasses
import pathlib
import re
import sys

import mkinitrd
import qemu_run
import uart_check

# What one boot carries; the rest of the memory is for the tests, and Linux copies its archive.
ARCHIVE_MAX_BYTES = 300 << 20
MEMORY = "2G"
RESULT = re.compile(r"^(?P<not>not )?ok \d+ - (?P<name>\S+) # (?P<skip>SKIP )?(?P<end>[\w: ]+?)(?:, (?P<ms>\d+) ms)?$")
BEGUN = re.compile(r"^# run (?P<name>\S+)$")
END = re.compile(r"^SUITES: end \(")
LINUX_CONSOLE = "console=ttyS0 quiet panic=-1"


@dataclasses.dataclass(frozen=True)
class System:
    """A kernel; linux: whether it wants Linux' command line."""
    name: str
    image: pathlib.Path
    linux: bool


@dataclasses.dataclass(frozen=True)
class Result:
    """How a test ended: status is pass, skip or fail, end says it in the runner's words."""
    status: str
    end: str
    ms: int = 0
    output: tuple = ()


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of every boot of a run."""
    lane: str
    harts: int
    timeout_s: float
    logs: pathlib.Path
    jobs: int
    append: str = ""


def shards(tests, root):
    """The tests in groups, each of whose programs fit one archive."""
    groups, size = [[]], 0
    held = set()
    for test in tests:
        bytes_ = 0 if test.program in held else (root / "suites" / test.program).stat().st_size
        if groups[-1] and size + bytes_ > ARCHIVE_MAX_BYTES:
            groups.append([])
            size, held = 0, set()
        groups[-1].append(test)
        size += bytes_
        held.add(test.program)
    return [group for group in groups if group]


def manifest(tests):
    lines = ["\t".join((test.name, str(test.limit_s), test.expect, f"/suites/{test.program}", *test.arguments)) for test in tests]
    return "".join(line + "\n" for line in lines)


def pack(tests, root, tools, path):
    """Writes the archive of these tests. tools: {archive path: host path}."""
    files = {f"suites/{test.program}": root / "suites" / test.program for test in tests}
    files.update(tools)
    contents = {name: (0o100755, file.read_bytes()) for name, file in files.items()}
    contents["suites/manifest"] = (0o100644, manifest(tests).encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mkinitrd.pack(contents))


def read(lines):
    """({name: Result}, test that was running at the end or None, whether the runner came to its end)."""
    results, running, output = {}, None, []
    for line in lines:
        if match := RESULT.match(line):
            status = "skip" if match["skip"] else "fail" if match["not"] else "pass"
            results[match["name"]] = Result(status, match["end"], int(match["ms"] or 0))
            running, output = None, []
            last = match["name"]
        elif match := BEGUN.match(line):
            running = match["name"]
        elif line.startswith("#   ") and results and running is None:
            output.append(line[4:])
            results[last] = dataclasses.replace(results[last], output=tuple(output))
        elif END.match(line):
            return results, None, True
    return results, running, False


def boot(system, archive, log, settings):
    """One boot's cleaned log, and whether the time was up."""
    start = (f"{LINUX_CONSOLE} rdinit=/bin/suite_runner" if system.linux else f"init=/bin/suite_runner") + f" {settings.append}"
    words = ["--image", str(system.image), "--initrd", str(archive), "--log", str(log), "--smp", str(settings.harts), "--mem", MEMORY,
             "--lane", settings.lane, "--timeout", str(settings.timeout_s), "--append", start.strip()]
    status = qemu_run.run(qemu_run.parse(words))
    return uart_check.clean(log.read_text(encoding="utf-8", errors="replace")), status == qemu_run.TIMEOUT_STATUS


def run_group(system, tests, root, tools, settings, label):
    """{name: Result} of one group, in as many boots as it takes."""
    results, number = {}, 0
    left = list(tests)
    while left:
        number += 1
        archive = settings.logs / f"{label}.cpio"
        log = settings.logs / f"{label}-{number}.uart.log"
        pack(left, root, tools, archive)
        lines, late = boot(system, archive, log, settings)
        archive.unlink()
        found, running, ended = read(lines)
        results.update(found)
        print(f"suites: {label}: boot {number}: {len(found)} of {len(left)} tests{'' if ended else f', broke off: {log}'}",
              file=sys.stderr, flush=True)
        if ended:
            break
        if running is None and not found:
            running = left[0].name
        if running is not None:
            results[running] = Result("fail", "hang" if late else "crash", 0, tuple(lines[-12:]))
        left = [test for test in left if test.name not in results]
    return results


def run(system, tests, root, tools, settings):
    """{name: Result} of all tests on one system."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    results = {}
    groups = shards(tests, root)
    with concurrent.futures.ThreadPoolExecutor(settings.jobs) as pool:
        for found in pool.map(lambda entry: run_group(system, entry[1], root, tools, settings, f"{system.name}-{entry[0]}"),
                              enumerate(groups)):
            results.update(found)
    return results
