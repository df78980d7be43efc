#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts the recipes that lie beside the initial archive into it, in place of those it holds.

On the SD card: edit the files in recipes/, then run `python3 tools/update_recipes.py` there; the next boot takes them.
It needs Python 3 alone; mkinitrd.py lies beside it. Nothing is written when a recipe is not TOML (as far as Python 3.11
or later can tell), or, where --execd names execd for this machine, when `execd --check` finds an error. Unchanged
recipes leave the archive as it is.
"""

import argparse
import os
import pathlib
import subprocess
import sys

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

sys.dont_write_bytecode = True  # the card is not the place for it
import mkinitrd  # pylint: disable=wrong-import-position

HEADER_BYTES = 110
MODE, SIZE, NAME_SIZE = 1, 6, 11  # of the 13 fields of eight hexadecimal digits behind the magic
TYPE_MASK, FILE_TYPE = 0o170000, 0o100000


class ArchiveError(Exception):
    """The archive is damaged or of another format; the message says where."""


def read_archive(data):
    """{name: (mode, content)} of the files in a cpio "newc" archive; directories are implied by the names."""
    files = {}
    place = 0
    while True:
        header = data[place:place + HEADER_BYTES]
        if len(header) < HEADER_BYTES or not header.startswith(mkinitrd.MAGIC):
            raise ArchiveError(f"no member of a cpio newc archive at byte {place}")
        try:
            fields = [int(header[at:at + 8], 16) for at in range(len(mkinitrd.MAGIC), HEADER_BYTES, 8)]
        except ValueError:
            raise ArchiveError(f"damaged header at byte {place}") from None
        name_at = place + HEADER_BYTES
        name = data[name_at:name_at + fields[NAME_SIZE] - 1].decode("utf-8", "replace")
        if name == mkinitrd.TRAILER:
            return files
        content_at = (name_at + fields[NAME_SIZE] + 3) // 4 * 4
        end = content_at + fields[SIZE]
        if end > len(data):
            raise ArchiveError(f"'{name}' at byte {place} is cut off")
        if fields[MODE] & TYPE_MASK == FILE_TYPE:
            files[name] = (fields[MODE], data[content_at:end])
        place = (end + 3) // 4 * 4


def read_recipes(folder):
    """{name in the archive: (mode, content)} of the TOML files below folder. What an editor or another system leaves beside
    them (backups, ._files) is not taken."""
    found = {}
    for path in sorted(folder.rglob("*.toml")):
        if path.is_file() and not path.name.startswith("."):
            found[f"{folder.name}/{path.relative_to(folder).as_posix()}"] = (FILE_TYPE | 0o644, path.read_bytes())
    return found


def toml_errors(recipes):
    if tomllib is None:
        print("update_recipes: this Python is older than 3.11 and cannot check TOML", file=sys.stderr)
        return []
    errors = []
    for name, (_, content) in recipes.items():
        try:
            tomllib.loads(content.decode("utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            errors.append(f"{name}: {error}")
    return errors


def changes(old, new):
    """What becomes of each recipe, in words."""
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"removed {name}"
        elif name not in old:
            yield f"added {name}"
        elif old[name] != new[name]:
            yield f"changed {name}"


def write_safely(path, data):
    """Through a second file: a card that is pulled out halfway keeps the old archive."""
    part = path.with_name(path.name + ".new")
    with part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def extract(files, folder):
    """Writes the archive's recipes to folder."""
    for name, (_, content) in files.items():
        target = folder.parent / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def main(arguments):
    card = pathlib.Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--initrd", type=pathlib.Path, default=card / "initrd.cpio", help="default: on this card")
    parser.add_argument("--recipes", type=pathlib.Path, default=card / "recipes", help="default: on this card")
    parser.add_argument("--extract", action="store_true", help="the other way: write the archive's recipes to the folder")
    parser.add_argument("--execd", type=pathlib.Path, help="check with this execd first (build/host/execd/execd)")
    parser.add_argument("--cpus", default="4", help="CPUs of the board, for --execd (default 4)")
    options = parser.parse_args(arguments)
    prefix = f"{options.recipes.name}/"
    try:
        files = read_archive(options.initrd.read_bytes())
    except (OSError, ArchiveError) as error:
        print(f"update_recipes: {options.initrd}: {error}", file=sys.stderr)
        return 1
    old = {name: file for name, file in files.items() if name.startswith(prefix)}
    if options.extract:
        extract(old, options.recipes)
        return 0
    new = read_recipes(options.recipes)
    if not new:
        print(f"update_recipes: no recipe (*.toml) in {options.recipes}", file=sys.stderr)
        return 1
    errors = toml_errors(new)
    for error in errors:
        print(f"update_recipes: {error}", file=sys.stderr)
    if errors:
        return 1
    if options.execd and subprocess.run([options.execd, "--check", options.recipes, "--cpus", options.cpus],
                                        stdout=subprocess.DEVNULL, check=False).returncode != 0:
        print("update_recipes: execd finds an error (above): nothing is written", file=sys.stderr)
        return 1
    told = list(changes(old, new))
    if not told:
        print("update_recipes: the archive holds these recipes already")
        return 0
    kept = {name: file for name, file in files.items() if name not in old}
    write_safely(options.initrd, mkinitrd.pack(kept | new))
    for line in told:
        print(f"update_recipes: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
