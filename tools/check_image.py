#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the header of a RISC-V Linux `Image`, as boot loaders read it; run after each link.

Fields: Linux Documentation/arch/riscv/boot-image-header.rst. With --elf the sizes are compared with the kernel they
were made from: an image_size without .bss would let U-Boot put the device tree into our .bss.
"""

import argparse
import dataclasses
import pathlib
import struct
import sys

HEADER = struct.Struct("<IIQQQIIQQII")
MAGIC = 0x5643534952  # "RISCV\0\0\0"
MAGIC2 = 0x05435352  # "RSC\x05"
TEXT_OFFSET = 0x200000
VERSION = 2  # 0.2
MAX_BYTES = 1 << 20  # the kernel without an initrd
MAX_DEBUG_BYTES = 2 << 20  # checks and UBSan's traps make up to twice as much of the same source
OPCODE_JAL_ZERO = 0x6F  # `j`: jal x0
PT_LOAD = 1


@dataclasses.dataclass(frozen=True)
class Header:
    code0: int
    code1: int
    text_offset: int
    image_size: int
    flags: int
    version: int
    res1: int
    res2: int
    magic: int
    magic2: int
    res3: int


def jump_target(code):
    """Byte offset a `jal x0` goes to, or None for any other instruction (also a compressed one)."""
    if code & 0xFFF != OPCODE_JAL_ZERO:
        return None
    offset = (code >> 21 & 0x3FF) << 1 | (code >> 20 & 1) << 11 | (code >> 12 & 0xFF) << 12
    return offset - (1 << 20) if code >> 31 else offset


def elf_extent(data):
    """(bytes in the file, bytes in memory) of the loadable segments of a 64-bit little-endian ELF."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF")
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, offset + index * size) for index in range(count)]
    loads = [(address, in_file, in_memory)
             for kind, _, _, address, _, in_file, in_memory, _ in segments if kind == PT_LOAD and in_memory]
    if not loads:
        raise ValueError("no loadable segment")
    start = min(address for address, _, _ in loads)
    return (max(address + in_file for address, in_file, _ in loads if in_file) - start,
            max(address + in_memory for address, _, in_memory in loads) - start)


def problems(image, elf=None, limit=MAX_BYTES):
    if len(image) >= limit:
        return [f"{len(image)} bytes, the limit is {limit}"]
    if len(image) < HEADER.size:
        return [f"only {len(image)} bytes, a header has {HEADER.size}"]
    header = Header(*HEADER.unpack_from(image))
    found = []

    def expect(name, value, wanted):
        if value != wanted:
            found.append(f"{name} is {value:#x}, wanted {wanted:#x}")

    target = jump_target(header.code0)
    if target is None:
        found.append(f"code0 {header.code0:#010x} is not an uncompressed jump")
    elif not HEADER.size <= target < len(image):
        found.append(f"code0 jumps to offset {target:#x}, outside the image behind the header")
    expect("code1", header.code1, 0)
    expect("text_offset", header.text_offset, TEXT_OFFSET)
    expect("flags", header.flags, 0)
    expect("version", header.version, VERSION)
    expect("res1", header.res1, 0)
    expect("res2", header.res2, 0)
    expect("magic", header.magic, MAGIC)
    expect("magic2", header.magic2, MAGIC2)
    expect("res3", header.res3, 0)
    if header.image_size < len(image):
        found.append(f"image_size {header.image_size:#x} is less than the file, {len(image):#x} bytes")
    if elf is not None:
        in_file, in_memory = elf_extent(elf)
        if len(image) < in_file:
            found.append(f"the file has {len(image):#x} bytes, the ELF's segments fill {in_file:#x}")
        if header.image_size < in_memory:
            found.append(f"image_size {header.image_size:#x} leaves out .bss: the ELF needs {in_memory:#x}")
    return found


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=pathlib.Path)
    parser.add_argument("--elf", type=pathlib.Path, help="the kernel that the image was made from")
    parser.add_argument("--debug", action="store_true", help="it is not the one that is shipped: twice the size will do")
    options = parser.parse_args(arguments)
    try:
        found = problems(options.image.read_bytes(), options.elf.read_bytes() if options.elf else None,
                         MAX_DEBUG_BYTES if options.debug else MAX_BYTES)
    except (OSError, ValueError) as error:
        found = [str(error)]
    for problem in found:
        print(f"check_image: {options.image}: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
