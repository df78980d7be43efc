#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the kernel's disassembly for what it must not contain: instructions of the F and D extensions outside the two
functions that save and restore a program's FP registers (they would clobber a program's state), and writes to sstatus
of anything but what was read there or a constant without SUM and MXR (the kernel reaches user memory through the page
table only). Debug kernels have one function that sets SUM, to show that they notice.

    check_kernel_code.py OBJDUMP ELF COMPILE_COMMANDS [--debug]
"""

import json
import pathlib
import re
import subprocess
import sys

FP_FUNCTIONS = {"arch_save_fp", "arch_restore_fp"}
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\s+[0-9a-f]{4,8}\s+(\S+)\s*(.*)$")
# Every F and D mnemonic begins with f; so do the fences, which are not theirs.
FLOAT = re.compile(r"^(c\.)?f(?!ence)[a-z]")
SUM_AND_MXR = 1 << 18 | 1 << 19
# The immediate forms reach bits 0 to 4 only, csrc clears.
SETS_SSTATUS = {"csrs", "csrw", "csrrs", "csrrw"}
BREAKS_ON_PURPOSE = "arch_open_user_memory"
READ = "what was read"


class Registers:
    """What the instructions of a function, one after the other, leave in registers, as far as constants go."""

    def __init__(self):
        self.values = {"zero": 0}

    def note(self, mnemonic, operands):
        words = [word.split("#")[0].strip().split(" ")[0] for word in operands.split(",")]
        target = words[0]
        if mnemonic in ("sd", "sw", "sh", "sb") or mnemonic.startswith(("b", "j", "csrw", "csrs", "csrc")):
            return
        value = None
        if mnemonic == "li":
            value = int(words[1], 0)
        elif mnemonic == "lui":
            value = int(words[1], 0) << 12
        elif mnemonic in ("add", "addi", "addw", "addiw") and re.fullmatch(r"-?(0x[0-9a-f]+|[0-9]+)", words[-1]):
            before = self.values.get(words[1])
            value = before + int(words[-1], 0) if isinstance(before, int) else None
        elif mnemonic == "csrr" and words[1] == "sstatus":
            value = READ
        self.values[target] = value


def sets_sum(mnemonic, operands, registers):
    """Whether this may set SUM or MXR."""
    words = [word.strip().split(" ")[0] for word in operands.split(",")]
    if mnemonic not in SETS_SSTATUS or "sstatus" not in words:
        return False
    value = registers.values.get(words[-1])
    if value == READ:
        return mnemonic not in ("csrw", "csrrw")  # what was set stays set: nothing new
    return value is None or value & SUM_AND_MXR != 0


def offences(listing, is_debug=False):
    """(function, instruction) pairs that must not be."""
    found = []
    function, registers = "", Registers()
    for line in listing.splitlines():
        if match := FUNCTION.match(line):
            function, registers = match.group(1), Registers()
            continue
        if not (match := INSTRUCTION.match(line)):
            continue
        mnemonic, operands = match.groups()
        text = f"{mnemonic} {operands}".strip()
        if FLOAT.match(mnemonic) and function not in FP_FUNCTIONS:
            found.append((function, text))
        if sets_sum(mnemonic, operands, registers) and not (is_debug and function == BREAKS_ON_PURPOSE):
            found.append((function, f"{text} may set SUM"))
        registers.note(mnemonic, operands)
    return found


def careless(database):
    """Kernel sources that were compiled without -mstrict-align: the harts of many boards trap on misaligned accesses, and
    firmware emulates them a thousand times slower. An emulator does not show it."""
    return [entry["file"] for entry in database
            if ("/kernel/" in entry["file"] or "/libfdt/" in entry["file"]) and "-mstrict-align" not in entry.get("command", "").split()]


def main():
    objdump, elf, commands, *options = sys.argv[1:]
    files = careless(json.loads(pathlib.Path(commands).read_text(encoding="utf-8")))
    for file in files:
        print(f"{file}: compiled without -mstrict-align")
    listing = subprocess.run([objdump, "-d", elf], check=True, capture_output=True, text=True).stdout
    found = offences(listing, "--debug" in options)
    for function, text in found:
        print(f"{elf}: {function}: {text}")
    saved = [name for name in FP_FUNCTIONS if f"<{name}>:" in listing]
    if len(saved) != len(FP_FUNCTIONS):
        print(f"{elf}: the FP save and restore functions are missing: is this the kernel?")
        return 1
    return 1 if found or files else 0


if __name__ == "__main__":
    sys.exit(main())
