# SPDX-License-Identifier: MIT
"""The reports in a UART log, and the addresses in them.

    KERNEL PANIC begin / end        what kernel/init/panic.cpp prints
    crash PID: ...                  what kernel/init/crash.cpp prints; lines of others may come in between
"""
import re

from . import elf

BEGIN, END = "KERNEL PANIC begin", "KERNEL PANIC end"
KERNEL_START = 0xffffffff80000000
# A code address, and what it is: pc where something happened, else where a call returns to.
PANIC_ADDRESS = re.compile(r"^\s+(?P<what>pc|ra|#\d+|\?)\s+0x(?P<address>[0-9a-f]+)")
# What builds with shadow memory or watched accesses found; the addresses of code are return addresses.
SANITIZER = re.compile(r"^K[AC]SAN: ")
# "  cpu 1: stopped; runs spinner (tid 3 of process 1 demo, normal) at 0x10234; ..."
RUNS = re.compile(r"^\s+cpu \d+: .*\bruns .* \(tid \d+ of process \d+ (?P<name>\S+), .*\) at 0x(?P<address>[0-9a-f]+)")
CRASH = re.compile(r"\bcrash (?P<pid>\d+): (?P<rest>.*)$")
CRASH_PROGRAM = re.compile(r"^(?P<name>.*), program (?P<path>\S+)$")
CRASH_MAPPING = re.compile(r"^code 0x(?P<start>[0-9a-f]+)-0x(?P<end>[0-9a-f]+) of (?P<path>\S+) "
                           r"from offset 0x(?P<offset>[0-9a-f]+)$")
CRASH_CODE = re.compile(r"^(?P<what>pc|called from|perhaps from) (?P<addresses>0x.*)$")


class Programs:
    """ELF files by the name of the program, opened once."""

    def __init__(self, kernel, build):
        self.kernel = elf.Elf(kernel)
        self.build = build
        self.paths = None
        self.opened = {}

    def find(self, path):
        """The program that was started as `path` (or whose task has that name), or None."""
        if self.paths is None:
            self.paths = elf.find_programs(self.build)
        name = path.rsplit("/", 1)[-1]
        if name not in self.opened:
            self.opened[name] = elf.Elf(self.paths[name]) if name in self.paths else None
        return self.opened[name]


class Code:
    """The files of a crashed program's code, and where they lay."""

    def __init__(self):
        self.ranges = []  # (start, end, file, what to add to an address for the file's own)

    def add(self, match, file):
        start, end, offset = (int(match[part], 16) for part in ("start", "end", "offset"))
        own = file.address_of(offset)
        if own is not None:
            self.ranges.append((start, end, file, own - start))

    def place(self, address):
        """The file and its own address, or (None, address)."""
        for start, end, file, shift in self.ranges:
            if start <= address < end:
                return file, address + shift
        return None, address


def told(file, address, is_return):
    """Lines for one address. A return address belongs to the call before it."""
    at = address - 1 if is_return else address
    return [f"        {text}" for text in file.lines_of([at])[at]]


def sanitizer_lines(line, programs):
    """What to add below a report of a kernel that looks at its accesses: each place in the code, in their order."""
    if SANITIZER.match(line):
        for match in re.finditer(r"0x([0-9a-f]+)", line):
            address = int(match[1], 16)
            if address >= KERNEL_START and programs.kernel.has_code(address):
                yield from told(programs.kernel, address, True)


def panic_lines(line, programs):
    """What to add below a line of a panic report."""
    match = PANIC_ADDRESS.match(line)
    if match:
        address = int(match["address"], 16)
        if address < KERNEL_START or not programs.kernel.has_code(address):
            return []
        if match["what"] == "?" and not programs.kernel.is_return_address(address):
            return ["        (not the return address of a call)"]
        return told(programs.kernel, address, match["what"] != "pc")
    match = RUNS.match(line)
    if match:
        file = programs.find(match["name"])
        return told(file, int(match["address"], 16), False) if file else []
    return []


class Crashes:
    """The programs of the crash reports under way, by pid."""

    def __init__(self, programs):
        self.programs = programs
        self.files = {}
        self.code = {}

    def lines(self, match):
        """What to add below a line of a crash report."""
        pid, rest = match["pid"], match["rest"]
        program = CRASH_PROGRAM.match(rest)
        if program:
            self.files[pid] = self.programs.find(program["path"])
            self.code[pid] = Code()
            return [] if self.files[pid] else [f"        (no file {program['path']} with these addresses is known)"]
        mapping = CRASH_MAPPING.match(rest)
        if mapping and pid in self.code:
            file = self.programs.find(mapping["path"])
            if file:
                self.code[pid].add(mapping, file)
            return []
        code = CRASH_CODE.match(rest)
        if not code:
            return []
        lines = []
        for word in code["addresses"].split():
            address = int(word, 16)
            file = self.files.get(pid)
            if self.code.get(pid) and self.code[pid].ranges:
                file, address = self.code[pid].place(address)
            if not file:
                continue
            if code["what"] == "pc":
                lines += told(file, address, False)
            elif code["what"] == "called from" or file.is_return_address(address):
                lines += told(file, address, True)
        return lines


def annotate(lines, kernel, build, reports_only=False):
    """The lines of the log, with what their addresses mean below them."""
    programs = Programs(kernel, build)
    crashes = Crashes(programs)
    in_panic = False
    for line in lines:
        if line == BEGIN:
            in_panic = True
        crash = None if in_panic else CRASH.search(line)
        if in_panic or crash or SANITIZER.match(line) or not reports_only:
            yield line
        yield from sanitizer_lines(line, programs)
        if in_panic:
            yield from panic_lines(line, programs)
        elif crash:
            yield from crashes.lines(crash)
        if line == END:
            in_panic = False
