#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs programs, and what they need, into an initial archive that starts the first of them.

Each PROGRAM is a file of this machine, which becomes /bin/NAME, or one of --root, by its path there. With --root the whole
folder goes in, at /, with its symbolic links; with --needed only the programs, their interpreter and their libraries (ELF
DT_NEEDED, looked up as the dynamic loader does). A root that has no /bin, /sbin or /lib gets links to those of /usr, as
Debian's packages expect.
Prints the words of the kernel's command line: init=PATH -- ARGUMENT...
"""

import argparse
import dataclasses
import os
import pathlib
import posixpath
import stat
import struct
import sys

import mkinitrd

# ELF: System V ABI, chapters 4 and 5.
ELF_MAGIC = b"\x7fELF"
EM_RISCV = 243
MACHINES = {3: "x86", 40: "ARM", 62: "x86-64", 183: "AArch64", EM_RISCV: "RISC-V"}
ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH = 0, 1, 5, 15, 29
# Where Debian's ld.so looks last (ld.so --help).
LIBRARY_FOLDERS = ("/lib/riscv64-linux-gnu", "/usr/lib/riscv64-linux-gnu", "/lib", "/usr/lib")
MERGED_FOLDERS = ("/bin", "/sbin", "/lib")
MAX_LINKS = 40
# What the kernel takes: kernel/init/command_line.hpp.
COMMAND_LINE_BYTES = 2048
MAX_ARGUMENTS = 32


class ProgramError(Exception):
    """Something that cannot be started; the message names it."""


@dataclasses.dataclass(frozen=True)
class Elf:
    interpreter: str  # empty: none
    needed: tuple
    search: tuple  # folders of DT_RUNPATH or DT_RPATH


def read_elf(path, name):
    """The dynamic part of a riscv64 program or library; raises ProgramError with `name` in it."""
    data = path.read_bytes()
    if data[:4] != ELF_MAGIC:
        raise ProgramError(f"{name}: not a riscv64 program, but not an ELF file at all")
    if len(data) < 64 or data[4] != 2 or data[5] != 1:
        raise ProgramError(f"{name}: not a riscv64 program, but a 32-bit, big-endian or cut ELF file")
    kind, machine = struct.unpack_from("<HH", data, 16)
    if machine != EM_RISCV:
        raise ProgramError(f"{name}: not a riscv64 program, but one for {MACHINES.get(machine, f'machine {machine}')}")
    if kind not in (ET_EXEC, ET_DYN):
        raise ProgramError(f"{name}: not a program or library (ELF type {kind}): is it linked?")
    try:
        return parse_dynamic(data)
    except (struct.error, ValueError) as error:
        raise ProgramError(f"{name}: a damaged ELF file: {error}") from error


def parse_dynamic(data):
    (headers,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, headers + i * size) for i in range(count)]

    def text(start):
        return data[start:data.index(b"\0", start)].decode()

    def offset_of(address):
        for kind, _, offset, start, _, bytes_in_file, _, _ in segments:
            if kind == PT_LOAD and start <= address < start + bytes_in_file:
                return offset + address - start
        raise ValueError(f"no segment holds address {address:#x}")

    interpreter, entries = "", []
    for kind, _, offset, _, _, bytes_in_file, _, _ in segments:
        if kind == PT_INTERP:
            interpreter = text(offset)
        elif kind == PT_DYNAMIC:
            entries = list(struct.iter_unpack("<qQ", data[offset:offset + bytes_in_file]))
    if (DT_NULL, 0) in entries:
        entries = entries[:entries.index((DT_NULL, 0))]
    strings = [value for tag, value in entries if tag == DT_STRTAB]
    if not strings:
        return Elf(interpreter, (), ())
    base = offset_of(strings[0])
    search = [text(base + value) for tag, value in entries if tag in (DT_RUNPATH, DT_RPATH)]
    return Elf(interpreter, tuple(text(base + value) for tag, value in entries if tag == DT_NEEDED),
               tuple(folder for folders in search for folder in folders.split(":")))


def script_words(path):
    """What stands behind #! on a script's first line; None for what is no script."""
    with path.open("rb") as file:
        line = file.readline(256)  # as much as the kernel looks at
    return line[2:].decode(errors="replace").split() if line[:2] == b"#!" else None


class Root:
    """A folder of this machine that is the guest's /."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise ProgramError(f"--root {folder}: no such directory")
        self.merged = [top for top in MERGED_FOLDERS
                       if not os.path.lexists(f"{self.folder}{top}") and (self.folder / f"usr{top}").is_dir()]

    def find(self, path):
        """The file of this machine that a guest path leads to, with links as the guest sees them; None without."""
        real = self._resolve(path)
        found = self.folder / real[1:] if real else None
        return found if found and found.is_file() else None

    def real_path(self, path):
        """A guest path without links, the last part excepted; None where there is no such folder."""
        folder = self._resolve(posixpath.dirname(path))
        return folder and posixpath.join(folder, posixpath.basename(path))

    def _resolve(self, path):
        place, parts, links = [], path.split("/"), 0
        while parts:
            part, *parts = parts
            if part in ("", ".", ".."):
                place = place[:-1] if part == ".." else place
                continue
            here = self.folder.joinpath(*place, part)
            if not place and f"/{part}" in self.merged:
                place = ["usr", part]
            elif here.is_symlink():
                links += 1
                if links > MAX_LINKS:
                    return None
                target = os.readlink(here)
                place = [] if target.startswith("/") else place
                parts = [*target.split("/"), *parts]
            elif here.exists():
                place.append(part)
            else:
                return None
        return "/" + "/".join(place)

    def entries(self):
        """{guest path: (mode, data)} of everything."""
        result = {top: link_to(f"usr{top}") for top in self.merged}
        for path in sorted(self.folder.rglob("*")):
            name = "/" + path.relative_to(self.folder).as_posix()
            if path.is_symlink():
                result[name] = link_to(os.readlink(path))
            elif path.is_file():
                result[name] = file_entry(path)
        return result


def file_entry(path):
    """What mkinitrd.pack() takes for a file of this machine."""
    return stat.S_IFREG | (0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644), path.read_bytes()


def link_to(target):
    """The same for a symbolic link."""
    return stat.S_IFLNK | 0o777, target.encode()


class Collection:
    """What goes into the archive, as {guest path: path of this machine}."""

    def __init__(self, root):
        self.root = root
        self.files = {}

    def add_program(self, program):
        """Adds a program with what it needs and returns its guest path."""
        path, source = self._place(program)
        if not source.stat().st_mode & stat.S_IXUSR:
            raise ProgramError(f"{program}: not executable (chmod +x)")
        self.files[path] = source
        words = script_words(source)
        if words is not None:
            if not words:
                raise ProgramError(f"{program}: a script that names no interpreter behind #!")
            _, interpreter = self._add(words[0], program, "interpreter", (words[0],))
            self._add_needed(words[0], words[0], read_elf(interpreter, words[0]))
            return path
        elf = read_elf(source, program)
        if elf.needed and not elf.interpreter:
            raise ProgramError(f"{program}: a library, not a program: it names no interpreter")
        self._add_needed(program, path, elf)
        return path

    def _add_needed(self, user, path, elf):
        if elf.interpreter:
            self._add(elf.interpreter, user, "interpreter", (elf.interpreter,))
        self._add_libraries(user, path, elf)

    def _place(self, program):
        inside = self.root.find(program) if self.root and program.startswith("/") else None
        if inside:
            return program, inside
        source = pathlib.Path(program)
        if not source.is_file():
            where = f", neither here nor in {self.root.folder}" if self.root else ""
            raise ProgramError(f"{program}: no such file{where}")
        if self.root and source.resolve().is_relative_to(self.root.folder.resolve()):
            return "/" + source.resolve().relative_to(self.root.folder.resolve()).as_posix(), source
        path = f"/bin/{source.name}"
        return (self.root and self.root.real_path(path)) or path, source

    def _add(self, name, user, role, candidates):
        for candidate in candidates:
            found = self.root.find(candidate) if self.root else None
            if found:
                self.files[candidate] = found
                return candidate, found
        where = f"which is not in {self.root.folder}" if self.root else "and there is no --root that could have it"
        raise ProgramError(f"{user}: needs the {role} {name}, {where}")

    def _add_libraries(self, user, path, elf):
        for name in elf.needed:
            folders = [folder.replace("$ORIGIN", posixpath.dirname(path)) for folder in elf.search] + list(LIBRARY_FOLDERS)
            candidates = [name] if "/" in name else [posixpath.normpath(f"{folder}/{name}") for folder in folders]
            if any(candidate in self.files for candidate in candidates):
                continue
            library, source = self._add(name, user, "library", candidates)
            self._add_libraries(library, library, read_elf(source, library))


def quoted(argument):
    """A word as the kernel's command line wants it."""
    if '"' in argument or "\n" in argument:
        raise ProgramError(f"argument '{argument}': the kernel's command line cannot carry quotation marks or line ends")
    return f'"{argument}"' if not argument or any(character.isspace() for character in argument) else argument


def command_line(path, arguments):
    """init=PATH -- ARGUMENT..."""
    if len(arguments) > MAX_ARGUMENTS:
        raise ProgramError(f"{len(arguments)} arguments: the kernel passes {MAX_ARGUMENTS}")
    line = " ".join([f"init={path}", *(["--", *map(quoted, arguments)] if arguments else [])])
    if len(line.encode()) > COMMAND_LINE_BYTES:
        raise ProgramError(f"the arguments are longer than the kernel's command line ({COMMAND_LINE_BYTES} bytes)")
    return line


def build(programs, root=None, needed_only=False, extra=None):
    """The archive as bytes and the guest path of the first program. `extra` is {guest path: (mode, data)}."""
    root = Root(root) if root else None
    collection = Collection(root)
    paths = [collection.add_program(program) for program in programs]
    entries = {path: file_entry(source) for path, source in collection.files.items()}
    if root and not needed_only:
        # What the programs need is in the root; a program of this machine is not.
        outside = {path: entry for path, entry in entries.items() if not root.find(path)}
        entries = {**root.entries(), **outside}
    entries.update(extra or {})
    contents = {mkinitrd.destination(path): entry for path, entry in entries.items()}
    return mkinitrd.pack(contents), paths[0]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--root", type=pathlib.Path, help="a folder that becomes /")
    parser.add_argument("--needed", action="store_true", help="of --root, only what the programs need")
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    words = arguments[arguments.index("--") + 1:] if "--" in arguments else []
    options = parser.parse_args(arguments[:arguments.index("--")] if "--" in arguments else arguments)
    try:
        data, path = build(options.programs, options.root, options.needed)
        line = command_line(path, words)
    except (ProgramError, mkinitrd.SpecError) as error:
        print(f"program_archive: {error}", file=sys.stderr)
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(data)
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
