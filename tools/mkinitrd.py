#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the initial archive: cpio "newc", byte for byte the same for the same files.

Each ENTRY is DEST=PATH: DEST is where it lies in the archive (absolute), PATH a file or a directory that is taken with
everything below it; or DEST->TARGET, a symbolic link. Entries are sorted, owner and times are zero, parent directories are added. An executable file is
0755, another one 0644. Format: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import argparse
import pathlib
import stat
import sys

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
NAME_MAX_BYTES = 4095  # Linux PATH_MAX less the NUL


class SpecError(Exception):
    """A bad ENTRY; the message quotes it."""


def destination(text):
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not text.startswith("/") or not parts or ".." in parts:
        raise SpecError(f"'{text}': wanted an absolute path without ..")
    return "/".join(parts)


class Link(str):
    """What a symbolic link stands for."""


def collect(entries):
    """{archive path: host path, or Link} of all files."""
    files = {}

    def add(target, source):
        if files.get(target, source) != source:
            raise SpecError(f"/{target} comes from both {files[target]} and {source}")
        files[target] = source

    for entry in entries:
        target, arrow, source = entry.partition("->")
        if arrow and source and "=" not in target:
            add(destination(target), Link(source))
            continue
        target, separator, source = entry.partition("=")
        if not separator or not source:
            raise SpecError(f"'{entry}': wanted DEST=PATH or DEST->TARGET")
        target, source = destination(target), pathlib.Path(source)
        if source.is_dir():
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    add(f"{target}/{path.relative_to(source).as_posix()}", path)
        elif source.is_file():
            add(target, source)
        else:
            raise SpecError(f"'{entry}': no such file or directory: {source}")
    return files


def record(number, name, mode, data=b"", links=1):
    encoded = name.encode() + b"\0"
    if len(encoded) > NAME_MAX_BYTES + 1:
        raise SpecError(f"'{name}': name too long")
    # inode, mode, uid, gid, links, mtime, size, device major and minor, its own major and minor, name size, check
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    out = MAGIC + b"".join(b"%08x" % field for field in fields) + encoded
    out += b"\0" * (-len(out) % 4)
    return out + data + b"\0" * (-len(data) % 4)


def pack(contents):
    """The archive of {archive path: (mode, data)}."""
    directories = {parent.as_posix() for name in contents for parent in pathlib.PurePosixPath(name).parents} - {"."}
    for name in sorted(directories & set(contents)):
        raise SpecError(f"/{name} is both a file and a directory")
    records = []
    for number, name in enumerate(sorted(directories | set(contents), key=lambda name: name.split("/")), start=1):
        if name in directories:
            records.append(record(number, name, stat.S_IFDIR | 0o755, links=2))
        else:
            records.append(record(number, name, *contents[name]))
    records.append(record(0, TRAILER, 0))
    out = b"".join(records)
    return out + b"\0" * (-len(out) % 512)


def archive(files):
    """The archive of {archive path: host path, or Link}."""
    def mode(path):
        return stat.S_IFREG | (0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)

    def contents(source):
        if isinstance(source, Link):
            return stat.S_IFLNK | 0o777, source.encode()
        return mode(source), source.read_bytes()
    return pack({name: contents(source) for name, source in files.items()})


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--depfile", type=pathlib.Path, help="write the input files as a Make rule")
    parser.add_argument("entries", nargs="+", metavar="ENTRY")
    options = parser.parse_args(arguments)
    try:
        files = collect(options.entries)
        options.output.write_bytes(archive(files))
    except SpecError as error:
        print(f"mkinitrd: {error}", file=sys.stderr)
        return 1
    if options.depfile:
        inputs = " ".join(str(path).replace(" ", "\\ ") for path in sorted(
            source for source in files.values() if not isinstance(source, Link)))
        options.depfile.write_text(f"{options.output}: {inputs}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
