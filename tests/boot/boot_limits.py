#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What boot may cost, and where the image may lie.

cost     Boots under icount, where a microsecond of the guest is 1000 instructions, firmware calls included, and judges
         the kernel's own line `boot: N us from entry to the first program`.
address  Boots the image at other addresses than the usual one: wrapped into an ELF file, whose address QEMU obeys.
Exit status: 0 when all is as promised.
"""

import argparse
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import board_cells  # pylint: disable=wrong-import-position
import qemu_run  # pylint: disable=wrong-import-position
import uart_check  # pylint: disable=wrong-import-position

# From kernel entry to the first user instruction, on virt with 512 MiB.
MAX_INSTRUCTIONS = 2_000_000
BOOT_LINE = re.compile(r"\] boot: (\d+) us from entry to the first program$")
GOOD_END = re.compile(r"^init: exited with status 0, powering off$")
HEADER_BYTES = 4096
# (where, what the boot must print): behind the usual place, in the middle of RAM; then no multiple of 2 MiB.
ADDRESSES = [(0x80400000, GOOD_END), (0x8C200000, GOOD_END),
             (0x80201000, re.compile(r"^NEURON: the image must lie at a multiple of 2 MiB$"))]


def elf_of(image, address):
    """A RISC-V executable with one segment: the image at `address`, entered at its start."""
    memory = struct.unpack_from("<Q", image, 16)[0]  # image_size of the header: with .bss
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, address, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, HEADER_BYTES, address, address, len(image), memory, 4096)
    return (header + segment).ljust(HEADER_BYTES, b"\0") + image


def instructions(lines):
    """What the boot cost, or None."""
    matches = [match for line in lines if (match := BOOT_LINE.search(line))]
    return int(matches[0][1]) * 1000 if len(matches) == 1 else None


def check_cost(options):
    wrong = []
    for harts in (1, 4):
        log = options.log.with_name(f"{options.log.name}-{harts}.uart.log")
        arguments = ["--image", str(options.image), "--initrd", str(options.initrd), "--log", str(log), "--smp", str(harts),
                     "--mem", "512M", "--append", "neuron.selftest=none", "--timeout", "60"]
        qemu_run.run(qemu_run.parse(arguments))
        found = instructions(uart_check.clean(log.read_text(encoding="utf-8", errors="replace")))
        print(f"boot_limits: {harts} hart{'s' if harts > 1 else ''}: "
              f"{'no figure' if found is None else f'{found} instructions'}, limit {MAX_INSTRUCTIONS}")
        if found is None or found > MAX_INSTRUCTIONS:
            wrong.append(f"the boot on {harts} harts is too long or never got to its end: {log}")
    return wrong


def check_addresses(options):
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for address, expected in ADDRESSES:
            kernel = pathlib.Path(folder) / "kernel.elf"
            kernel.write_bytes(elf_of(options.image.read_bytes(), address))
            log = options.log.with_name(f"{options.log.name}-{address:x}.uart.log")
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_bytes(b"")
            line = [board_cells.QEMU, "-M", "virt", "-smp", "2", "-m", "512M", "-nodefaults", "-display", "none", "-no-reboot",
                    "-serial", f"file:{log}", "-kernel", str(kernel), "-initrd", str(options.initrd), "-append",
                    "init=/bin/hello"]
            # A kernel that refuses to run parks.
            seconds = 60 if expected is GOOD_END else 5
            try:
                subprocess.run(line, check=False, stdin=subprocess.DEVNULL, timeout=seconds)
            except subprocess.TimeoutExpired:
                pass
            lines = uart_check.clean(log.read_text(encoding="utf-8", errors="replace"))
            is_good = any(expected.search(text) for text in lines)
            print(f"boot_limits: at {address:#x}: {'as promised' if is_good else f'no line matches {expected.pattern}'}")
            if not is_good:
                wrong.append(f"log {log}")
    return wrong


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=("cost", "address"))
    parser.add_argument("--image", type=pathlib.Path, required=True)
    parser.add_argument("--initrd", type=pathlib.Path, required=True)
    parser.add_argument("--log", type=pathlib.Path, required=True, help="start of the logs' names")
    options = parser.parse_args(arguments)
    wrong = check_cost(options) if options.check == "cost" else check_addresses(options)
    for sentence in wrong:
        print(f"boot_limits: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
