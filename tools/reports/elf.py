# SPDX-License-Identifier: MIT
"""What a report's addresses need of an ELF file: its bytes at an address, and source lines by way of addr2line."""
import pathlib
import struct
import subprocess

MAGIC = b"\x7fELF"
ADDR2LINE = "riscv64-linux-gnu-addr2line"
ROOT = pathlib.Path(__file__).resolve().parents[2]
PT_LOAD, PF_X = 1, 1


class ElfError(Exception):
    """The file is none, or not for this machine."""


def from_root(place):
    """"file:line" without where the build was and the way from there to the sources.

    Debug information names a file by the directory it was compiled in and by a name that starts at the source root or leads
    to it, as the compiler's cache had it. Of the ends of such a path that are files below the root the longest is meant.
    """
    file, colon, line = place.rpartition(":")
    parts = pathlib.PurePath(file).parts
    for first in range(len(parts)):
        name = pathlib.PurePath(*parts[first:])
        if not name.is_absolute() and ".." not in name.parts and (ROOT / name).is_file():
            return f"{name}{colon}{line}"
    return place


class Elf:
    """A 64-bit little-endian ELF file."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.data = self.path.read_bytes()
        if self.data[:4] != MAGIC or self.data[4:6] != b"\x02\x01":
            raise ElfError(f"{self.path}: not a 64-bit little-endian ELF file")
        offset, entry_bytes, count = struct.unpack_from("<Q", self.data, 32)[0], *struct.unpack_from("<HH", self.data, 54)
        self.segments = []
        for number in range(count):
            kind, flags, at, address, _, size = struct.unpack_from("<IIQQQQ", self.data, offset + number * entry_bytes)
            if kind == PT_LOAD:
                self.segments.append((address, at, size, flags))

    def address_of(self, offset):
        """The address that the file gives to code at that offset, or None."""
        for address, at, size, flags in self.segments:
            # A mapping begins with the page in which the segment does.
            if flags & PF_X and at & ~0xfff <= offset < at + size:
                return address + offset - at
        return None

    def has_code(self, address):
        """Whether instructions lie there."""
        return any(start <= address < start + size and flags & PF_X for start, _, size, flags in self.segments)

    def bytes_at(self, address, count):
        """What lies there in the file, or b''."""
        for start, at, size, _ in self.segments:
            if start <= address and address + count <= start + size:
                return self.data[at + address - start:at + address - start + count]
        return b""

    def is_return_address(self, address):
        """Whether the instruction before `address` is a call: jal or jalr that links ra or t0, or c.jalr."""
        if address % 2 or not self.has_code(address):
            return False
        long = self.bytes_at(address - 4, 4)
        if len(long) == 4:
            word = struct.unpack("<I", long)[0]
            if word & 0x7f in (0x6f, 0x67) and word >> 7 & 31 in (1, 5):
                return True
        short = self.bytes_at(address - 2, 2)
        if len(short) < 2:
            return False
        half = struct.unpack("<H", short)[0]
        return half & 0xf07f == 0x9002 and half >> 7 & 31 != 0

    def lines_of(self, addresses):
        """address -> "function at file:line" texts, innermost first, what was inlined included."""
        told = {address: [] for address in addresses}
        if not told:
            return told
        try:
            done = subprocess.run([ADDR2LINE, "-a", "-f", "-i", "-C", "-e", self.path, *(hex(address) for address in told)],
                                  check=True, capture_output=True, text=True)
        except FileNotFoundError as why:
            raise ElfError(f"{ADDR2LINE} is not installed: run scripts/setup.sh") from why
        except subprocess.CalledProcessError as why:
            raise ElfError(f"{self.path}: {why.stderr.strip()}") from why
        current, function = None, None
        for line in done.stdout.splitlines():
            if line.startswith("0x"):
                current, function = told[int(line, 16)], None
            elif function is None:
                function = line
            else:
                place = from_root(line.split(" (discriminator")[0])
                if function != "??":
                    current.append(f"{function} at {place}" if not place.startswith("??") else function)
                function = None
        return told


def find_programs(directory):
    """Base name -> the largest ELF file of that name below `directory`: the one that was not stripped."""
    found = {}
    for path in pathlib.Path(directory).rglob("*"):
        if path.suffix in (".o", ".a", ".cpio", ".bin", ".log") or not path.is_file() or "CMakeFiles" in path.parts:
            continue
        with path.open("rb") as file:
            if file.read(4) != MAGIC:
                continue
        if path.name not in found or path.stat().st_size > found[path.name].stat().st_size:
            found[path.name] = path
    return found
