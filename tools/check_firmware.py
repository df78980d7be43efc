#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks SPL and U-Boot for a self-contained SD card: what the JH7110's boot ROM and SPL check before they run them.

The SPL has the header of StarFive's spl_tool (u-boot/u-boot: tools/sfspl.c): little-endian words, sizes in bytes.
"""

import argparse
import pathlib
import struct
import sys
import zlib

SPL_NAME, U_BOOT_NAME = "u-boot-spl.bin.normal.out", "u-boot.itb"
SPL_PARTITION_BYTES, U_BOOT_PARTITION_BYTES = 2 << 20, 4 << 20  # as in neuron-sd-firmware.genimage.cfg
HEADER_BYTES = 0x400
HEADER_AT, FIELDS_AT = 0x240, 0x284
FDT_MAGIC = 0xD00DFEED


class FirmwareError(Exception):
    """A file that the board would not start; the message says why."""


def check_spl(data):
    if len(data) <= HEADER_BYTES:
        raise FirmwareError(f"{len(data)} bytes are no SPL")
    header_at, _ = struct.unpack_from("<II", data)
    _, size, offset, checksum = struct.unpack_from("<4I", data, FIELDS_AT)
    if header_at != HEADER_AT or offset != HEADER_BYTES:
        raise FirmwareError("no header of spl_tool: the file wanted is u-boot-spl.bin.normal.out, not u-boot-spl.bin")
    body = data[HEADER_BYTES:]
    if size != len(body):
        raise FirmwareError(f"the header says {size} bytes behind it, there are {len(body)}")
    if checksum != zlib.crc32(body):
        raise FirmwareError(f"checksum {zlib.crc32(body):#010x}, the header says {checksum:#010x}")
    if len(data) > SPL_PARTITION_BYTES:
        raise FirmwareError(f"{len(data)} bytes, its partition has {SPL_PARTITION_BYTES}")


def check_u_boot(data):
    """A FIT: a device tree with the images in or behind it."""
    if len(data) < 40 or struct.unpack_from(">I", data)[0] != FDT_MAGIC:
        raise FirmwareError("not a FIT image: the file wanted is u-boot.itb with OpenSBI and U-Boot in it")
    total = struct.unpack_from(">I", data, 4)[0]
    if total > len(data):
        raise FirmwareError(f"cut off: {total} bytes wanted, there are {len(data)}")
    for wanted in (b"opensbi", b"standalone"):
        if wanted not in data:
            raise FirmwareError(f"no {wanted.decode()} image in it")
    if len(data) > U_BOOT_PARTITION_BYTES:
        raise FirmwareError(f"{len(data)} bytes, its partition has {U_BOOT_PARTITION_BYTES}")


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help=f"where {SPL_NAME} and {U_BOOT_NAME} are")
    options = parser.parse_args(arguments)
    for name, check in ((SPL_NAME, check_spl), (U_BOOT_NAME, check_u_boot)):
        path = options.folder / name
        try:
            check(path.read_bytes())
        except (OSError, FirmwareError) as error:
            print(f"check_firmware: {path}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
