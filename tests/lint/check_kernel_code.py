#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the kernel's disassembly for what it must not contain: instructions of the F and D extensions outside the two
functions that save and restore a program's FP registers (they would clobber a program's state), and writes to sstatus
that could set SUM (the kernel reaches user memory through the page table only).

    check_kernel_code.py OBJDUMP ELF COMPILE_COMMANDS
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
# What the kernel may do to sstatus: clear bits, set FS and SPIE (through a register, see the callers), read it.
SUM_IMMEDIATE = re.compile(r"^lui\s+\w+,0x40$")  # 1 << 18


def offences(listing):
    """(function, instruction) pairs that must not be."""
    found = []
    function, previous = "", ""
    for line in listing.splitlines():
        if match := FUNCTION.match(line):
            function, previous = match.group(1), ""
            continue
        if not (match := INSTRUCTION.match(line)):
            continue
        mnemonic, operands = match.groups()
        text = f"{mnemonic} {operands}".strip()
        if FLOAT.match(mnemonic) and function not in FP_FUNCTIONS:
            found.append((function, text))
        if mnemonic in ("csrs", "csrw", "csrrs", "csrrw") and "sstatus" in operands and SUM_IMMEDIATE.match(previous):
            found.append((function, f"{previous}; {text} may set SUM"))
        previous = text
    return found


def careless(database):
    """Kernel sources that were compiled without -mstrict-align: the harts of many boards trap on misaligned accesses, and
    firmware emulates them a thousand times slower. An emulator does not show it."""
    return [entry["file"] for entry in database
            if ("/kernel/" in entry["file"] or "/libfdt/" in entry["file"]) and "-mstrict-align" not in entry.get("command", "").split()]


def main():
    objdump, elf, commands = sys.argv[1:]
    files = careless(json.loads(pathlib.Path(commands).read_text(encoding="utf-8")))
    for file in files:
        print(f"{file}: compiled without -mstrict-align")
    listing = subprocess.run([objdump, "-d", elf], check=True, capture_output=True, text=True).stdout
    found = offences(listing)
    for function, text in found:
        print(f"{elf}: {function}: {text}")
    saved = [name for name in FP_FUNCTIONS if f"<{name}>:" in listing]
    if len(saved) != len(FP_FUNCTIONS):
        print(f"{elf}: the FP save and restore functions are missing: is this the kernel?")
        return 1
    return 1 if found or files else 0


if __name__ == "__main__":
    sys.exit(main())
