#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each rule of lint.py finds a planted offence and leaves good text alone."""
import contextlib
import pathlib
import tempfile
import unittest
from unittest import mock

import analyse
import check_kernel_code  # pylint: disable=wrong-import-position
import lint


@contextlib.contextmanager
def tree(**files):
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            names.append(name)
        with mock.patch.object(lint, "ROOT", pathlib.Path(folder)):
            yield names


def findings(check, **files):
    with tree(**files) as names:
        return list(lint.CHECKS[check](names))


class LintTest(unittest.TestCase):
    def test_layers(self):
        allowed = {"kernel/mm/a.cpp": '#include "mm/b.hpp"\n#include "sync/s.hpp"\n#include "nexus_abi/x.hpp"\n'
                                      '#include <array>\n#include "arch/contract.hpp"\n',
                   "kernel/drivers/uart.cpp": '#include "arch/riscv64/sbi.hpp"\n',
                   "execd/a.cpp": '#include "b.hpp"\n#include "console.hpp"\n', "execd/b.hpp": "",
                   "user/console.hpp": ""}
        self.assertEqual(findings("layers", **allowed), [])
        for name, included in (("kernel/lib/a.hpp", "sched/s.hpp"), ("kernel/sched/a.cpp", "fdt/m.hpp"),
                               ("kernel/mm/a.cpp", "smp/s.hpp"), ("kernel/mm/a.cpp", "arch/riscv64/csr.hpp"),
                               ("kernel/mm/a.cpp", "b.hpp"), ("execd/a.cpp", "kernel/lib/result.hpp"),
                               ("user/a.cpp", "execd.hpp")):
            with self.subTest(name=name, included=included):
                found = findings("layers", **{name: f'// x\n#include "{included}"\n', "execd/execd.hpp": ""})
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(f"{name}:2: "), found)

    def test_length(self):
        self.assertEqual(findings("length", **{"a.cpp": "x\n" * 600}), [])
        self.assertEqual(len(findings("length", **{"a.cpp": "x\n" * 601})), 1)

    def test_words(self):
        self.assertEqual(findings("words", **{"a.md": "A hacker's todo list; /dev/null; 'stubs'; http://a/home/x.\n"}), [])
        for text in ("// TODO later", "a stub", "see /home/anna/x", "a placeholder value", "as this issue says"):
            self.assertEqual(len(findings("words", **{"a.cpp": text})), 1, text)

    def test_boards(self):
        table = '    {"starfive,jh7110-uart", UartKind::DesignWare},\n    {"qemu,aplic", 1},\n'
        self.assertEqual(findings("boards", **{"kernel/drivers/a.cpp": table + "// virtual, QEMU, JH7110\n",
                                               "tools/a.cpp": "// virt\n"}), [])
        for text in ("// on virt only", "if (board == visionfive2) {", 'const auto name = "starfive,jh7110-uart";',
                     '    {"acme,uart", is_qemu ? 1 : qemu},'):
            self.assertEqual(len(findings("boards", **{"kernel/drivers/a.cpp": text})), 1, text)

    def test_spdx(self):
        self.assertEqual(findings("spdx", **{"a.cpp": "// SPDX-License-Identifier: MIT\n", "a.md": ""}), [])
        self.assertEqual(len(findings("spdx", **{"a.cpp": "int x;\n"})), 1)

    def test_format(self):
        good = {".clang-format": "BasedOnStyle: Google\n", "a.cpp": "int x;\n"}
        self.assertEqual(findings("format", **good), [])
        self.assertNotEqual(findings("format", **good | {"a.cpp": "int   x;\n"}), [])


class KernelCodeTest(unittest.TestCase):
    def test_floating_point_and_sum_are_found(self):
        listing = "\n".join([
            "ffffffff80000100 <arch_save_fp>:",
            "ffffffff80000100: 00053507          \tfld\tfa0,0(a0)",
            "ffffffff80000200 <stray>:",
            "ffffffff80000200: 00053507          \tfld\tfa0,0(a0)",
            "ffffffff80000204: 0ff0000f          \tfence",
            "ffffffff80000208: 000402b7          \tlui\tt0,0x40",
            "ffffffff8000020c: 1002a073          \tcsrs\tsstatus,t0",
        ])
        found = check_kernel_code.offences(listing)
        self.assertEqual([("stray", "fld fa0,0(a0)"), ("stray", "csrs sstatus,t0 may set SUM")], found)

    def test_writes_to_sstatus(self):
        def found(*instructions, function="f", is_debug=False):
            lines = ["ffffffff80000200: 00053507          \t" + line.replace(" ", "\t", 1) for line in instructions]
            return len(check_kernel_code.offences("\n".join([f"ffffffff80000200 <{function}>:", *lines]), is_debug))
        self.assertEqual(found("lui a5,0x4", "add a5,a5,32 # 4020 <x>", "csrs sstatus,a5"), 0)
        self.assertEqual(found("li a5,32", "csrs sstatus,a5"), 0)
        self.assertEqual(found("csrr s3,sstatus", "li a5,0", "csrw sstatus,s3"), 0)
        self.assertEqual(found("csrsi sstatus,2"), 0)
        self.assertEqual(found("lui a5,0x4", "add a5,a5,a4", "csrs sstatus,a5"), 1)
        self.assertEqual(found("lui a5,0x40", "csrc sstatus,a5"), 0)
        self.assertEqual(found("lui a5,0x40", "nop", "csrs sstatus,a5"), 1)
        self.assertEqual(found("lui a5,0xc4", "addw a5,a5,32", "csrrs a0,sstatus,a5"), 1)
        self.assertEqual(found("lui a5,0x80", "csrw sstatus,a5"), 1)
        self.assertEqual(found("ld a5,0(a0)", "csrs sstatus,a5"), 1)
        self.assertEqual(found("csrr s3,sstatus", "or s3,s3,a0", "csrw sstatus,s3"), 1)
        planted = ("lui a5,0x40", "csrs sstatus,a5")
        self.assertEqual(found(*planted, function="arch_open_user_memory", is_debug=True), 0)
        self.assertEqual(found(*planted, function="arch_open_user_memory"), 1)


    def test_misaligned_accesses_are_ruled_out(self):
        database = [{"file": "/a/kernel/lib/x.cpp", "command": "g++ -mstrict-align -c x.cpp"},
                    {"file": "/a/kernel/lib/y.cpp", "command": "g++ -mno-strict-align -c y.cpp"},
                    {"file": "/a/user/z.cpp", "command": "g++ -c z.cpp"}]
        self.assertEqual(check_kernel_code.careless(database), ["/a/kernel/lib/y.cpp"])


class AnalyseTest(unittest.TestCase):
    def test_portable_words(self):
        words = "g++ -O2 -DA=1 -D B -Ikernel -isystem cmake/include -mno-relax -std=gnu++23 -o x.o -c x.cpp".split()
        self.assertEqual(analyse.portable(words), ["-DA=1", "-D", "B", "-Ikernel", "-isystem", "cmake/include"])

    def test_thread_safety_finds_an_unlocked_access(self):
        source = """\
class __attribute__((capability("lock"))) Lock { };
Lock lock;
int value __attribute__((guarded_by(lock)));
int read() { return value; }
"""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "a.cpp")
            file.write_text(source, encoding="utf-8")
            lines = {"a": analyse.thread_safety_command(str(file), [], analyse.cross_include_directories())}
            with contextlib.redirect_stdout(None):
                self.assertEqual(analyse.run_all(lines, 1), 1)


if __name__ == "__main__":
    unittest.main()
