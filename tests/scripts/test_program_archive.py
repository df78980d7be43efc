# SPDX-License-Identifier: MIT
"""tools/program_archive.py on programs made of a few bytes."""
import contextlib
import io
import os
import pathlib
import struct
import tempfile
import unittest

import program_archive
from program_archive import ProgramError

LOADER = "/lib/ld.so.1"


def elf(machine=243, kind=3, interpreter=LOADER, needed=(), runpath="", elf_class=2):
    """A 64-bit little-endian ELF file with one PT_LOAD over all of it, PT_INTERP and PT_DYNAMIC as wanted."""
    strings = b"\0"
    entries = []
    for tag, text in [(program_archive.DT_NEEDED, name) for name in needed] + [(program_archive.DT_RUNPATH, runpath)] * bool(runpath):
        entries.append((tag, len(strings)))
        strings += text.encode() + b"\0"
    count = 1 + bool(interpreter) + bool(entries)
    start = 64 + 56 * count
    interpreter_bytes = interpreter.encode() + b"\0" if interpreter else b""
    strings_at = start + len(interpreter_bytes)
    dynamic_at = (strings_at + len(strings) + 7) & ~7
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in [*entries, (program_archive.DT_STRTAB, strings_at), (0, 0)]) if entries else b""
    end = dynamic_at + len(dynamic)

    def segment(kind, offset, size):
        return struct.pack("<IIQQQQQQ", kind, 5, offset, offset, offset, size, size, 1)
    headers = segment(program_archive.PT_LOAD, 0, end)
    if interpreter:
        headers += segment(program_archive.PT_INTERP, start, len(interpreter_bytes))
    if entries:
        headers += segment(program_archive.PT_DYNAMIC, dynamic_at, len(dynamic))
    identity = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9)
    header = identity + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    body = header + headers + interpreter_bytes + strings
    return body + bytes(dynamic_at - len(body)) + dynamic


def names(archive):
    """What an archive has besides directories; {path: target} of links behind them."""
    result, links, place = set(), {}, 0
    while True:
        fields = [int(archive[place + 6 + 8 * i:place + 14 + 8 * i], 16) for i in range(13)]
        name = archive[place + 110:place + 110 + fields[11] - 1].decode()
        if name == "TRAILER!!!":
            return (result, links) if links else result
        place = place + 110 + fields[11] + 3 & ~3
        if fields[1] & 0o170000 == 0o100000:
            result.add("/" + name)
        elif fields[1] & 0o170000 == 0o120000:
            links["/" + name] = archive[place:place + fields[6]].decode()
        place = place + fields[6] + 3 & ~3


class ProgramArchiveTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.root = self.folder / "root"
        self.root.mkdir()

    def put(self, path, data, mode=0o755):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(mode)
        return str(file)

    def refused(self, pattern, *arguments, **options):
        with self.assertRaisesRegex(ProgramError, pattern):
            program_archive.build(*arguments, **options)

    def test_a_static_program_goes_to_bin(self):
        archive, path = program_archive.build([self.put("hello", elf(kind=2, interpreter=""))])
        self.assertEqual(path, "/bin/hello")
        self.assertEqual(names(archive), {"/bin/hello"})

    def test_what_is_no_program_is_named(self):
        self.refused("/none: no such file$", ["/none"])
        self.refused("text: not a riscv64 program, but not an ELF file", [self.put("text", b"hello")])
        self.refused("script: needs the interpreter /bin/sh, and there is no --root", [self.put("script", b"#! /bin/sh -e\n")])
        self.refused("empty: a script that names no interpreter", [self.put("empty", b"#! \n")])
        self.refused("x86: .* one for x86-64", [self.put("x86", elf(machine=62))])
        self.refused("odd: .* one for machine 4711", [self.put("odd", elf(machine=4711))])
        self.refused("small: .* 32-bit", [self.put("small", elf(elf_class=1))])
        self.refused("object: .*is it linked", [self.put("object", elf(kind=1))])
        self.refused("cut: .*cut ELF", [self.put("cut", elf()[:40])])
        self.refused("torn: a damaged ELF file", [self.put("torn", elf()[:90])])
        self.refused("plain: not executable", [self.put("plain", elf(interpreter=""), mode=0o644)])
        self.refused("library: a library, not a program", [self.put("library", elf(interpreter="", needed=["libc"]))])

    def test_missing_pieces_are_named(self):
        program = self.put("program", elf(needed=["libx.so.1"]))
        self.refused("program: needs the interpreter /lib/ld.so.1, and there is no --root", [program])
        self.refused("program: needs the interpreter /lib/ld.so.1, which is not in .*/root$", [program], self.root)
        self.put("root/lib/ld.so.1", elf(interpreter=""))
        self.refused("program: needs the library libx.so.1, which is not in .*/root$", [program], self.root)
        self.put("root/usr/lib/libx.so.1", elf(interpreter="", needed=["liby.so.1"]))
        self.refused("/usr/lib/libx.so.1: needs the library liby.so.1", [program], self.root)
        self.refused("--root .*nowhere: no such directory", [program], self.folder / "nowhere")

    def test_only_what_is_needed(self):
        self.put("root/usr/bin/program", elf(needed=["libx.so.1", "libz.so.1"]))
        self.put("root/usr/lib/ld.so.1", elf(interpreter=""))
        self.put("root/usr/lib/riscv64-linux-gnu/libx.so.1.2.3", elf(interpreter="", needed=["liby.so.1", "ld.so.1"]))
        os.symlink("libx.so.1.2.3", self.root / "usr/lib/riscv64-linux-gnu/libx.so.1")
        self.put("root/usr/lib/liby.so.1", elf(interpreter="", needed=["libx.so.1"], runpath="/a:$ORIGIN/private"))
        self.put("root/opt/libz.so.1", elf(interpreter=""))
        self.put("root/usr/share/data", b"", 0o644)
        os.symlink("/opt/libz.so.1", self.root / "usr/lib/libz.so.1")  # absolute: within the root
        archive, path = program_archive.build(["/usr/bin/program"], self.root, needed_only=True)
        self.assertEqual(path, "/usr/bin/program")
        # The root has no /lib of its own, so /usr/lib is meant.
        self.assertEqual(names(archive), {"/usr/bin/program", LOADER, "/lib/riscv64-linux-gnu/libx.so.1",
                                          "/lib/liby.so.1", "/lib/libz.so.1"})

    def test_libraries_of_a_runpath_come_first(self):
        self.put("root/lib/ld.so.1", elf(interpreter=""))
        self.put("root/opt/bin/program", elf(needed=["libx.so.1"], runpath="$ORIGIN/../lib:/other"))
        self.put("root/opt/lib/libx.so.1", elf(interpreter=""))
        self.put("root/lib/libx.so.1", elf(interpreter=""))
        archive, _ = program_archive.build(["/opt/bin/program"], self.root, needed_only=True)
        self.assertEqual(names(archive), {"/opt/bin/program", LOADER, "/opt/lib/libx.so.1"})

    def test_the_whole_root(self):
        self.put("root/usr/lib/ld.so.1", elf(interpreter=""))
        self.put("root/usr/bin/other", b"")
        self.put("root/etc/motd", b"hello", 0o644)
        os.symlink("nowhere", self.root / "etc/dangling")
        os.symlink("..", self.root / "etc/above")
        os.symlink("/usr/lib", self.root / "usr/lib64")
        archive, path = program_archive.build([self.put("program", elf())], self.root)
        self.assertEqual(path, "/usr/bin/program", "a link is no folder to put something into")
        files, links = names(archive)
        self.assertEqual(files, {"/usr/bin/program", "/usr/bin/other", "/usr/lib/ld.so.1", "/etc/motd"})
        self.assertEqual(links, {"/bin": "usr/bin", "/lib": "usr/lib", "/etc/dangling": "nowhere", "/etc/above": "..",
                                 "/usr/lib64": "/usr/lib"})

    def test_a_script(self):
        self.put("root/bin/sh", elf(needed=["libx.so.1"]))
        script = self.put("script", b"#!/bin/sh -e\necho hello\n")
        self.refused("/bin/sh: needs the interpreter /lib/ld.so.1", [script], self.root)
        self.put("root/lib/ld.so.1", elf(interpreter=""))
        self.put("root/lib/libx.so.1", elf(interpreter=""))
        archive, path = program_archive.build([script], self.root, needed_only=True)
        self.assertEqual(path, "/bin/script")
        self.assertEqual(names(archive), {"/bin/script", "/bin/sh", LOADER, "/lib/libx.so.1"})

    def test_links_without_an_end_lead_nowhere(self):
        (self.root / "lib").mkdir()
        os.symlink("b", self.root / "lib/a")
        os.symlink("/lib/a", self.root / "lib/b")
        program = self.put("program", elf(interpreter="/lib/a"))
        self.refused("needs the interpreter /lib/a, which is not in", [program], self.root)

    def test_a_program_of_the_root_by_its_path_on_this_machine(self):
        program = self.put("root/usr/bin/program", elf(interpreter=""))
        _, path = program_archive.build([program], self.root)
        self.assertEqual(path, "/usr/bin/program")

    def test_the_command_line(self):
        line = program_archive.command_line
        self.assertEqual(line("/bin/x", []), "init=/bin/x")
        self.assertEqual(line("/bin/x", ["-c", "a 'b'", "", "k=v"]), "init=/bin/x -- -c \"a 'b'\" \"\" k=v")
        for arguments, pattern in ((['say "a"'], "quotation"), (["a\nb"], "line ends"), (["x"] * 33, "33 arguments"),
                                   (["x" * 2048], "longer")):
            with self.assertRaisesRegex(ProgramError, pattern):
                line("/bin/x", arguments)

    def test_main(self):
        program, output = self.put("hello", elf(interpreter="")), self.folder / "deep/archive.cpio"
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(program_archive.main(["--output", str(output), program, "--", "-n", "--root"]), 0)
        self.assertEqual(printed.getvalue(), "init=/bin/hello -- -n --root\n")
        self.assertEqual(names(output.read_bytes()), {"/bin/hello"})
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            self.assertEqual(program_archive.main(["--output", str(output), "/none"]), 1)
        self.assertEqual(printed.getvalue(), "program_archive: /none: no such file\n")


if __name__ == "__main__":
    unittest.main()
