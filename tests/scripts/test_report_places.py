#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How tools/reports names source files, whatever directory the compiler was called in."""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from reports import elf  # noqa: E402


class Places(unittest.TestCase):
    def test_start_at_the_source_root(self):
        for told in ("kernel/init/provoke.cpp:22", "/somewhere/build/riscv-release/kernel/init/provoke.cpp:22",
                     "build/riscv-release/kernel/init/provoke.cpp:22", "/somewhere/build/riscv-release/../../kernel/init/provoke.cpp:22",
                     f"{ROOT}/kernel/init/provoke.cpp:22"):
            self.assertEqual(elf.from_root(told), "kernel/init/provoke.cpp:22", told)

    def test_of_others_stay(self):
        for told in ("/usr/include/c++/12/bits/no_such_header.h:618", "crtstuff.c:?", "??:0", "??:?"):
            self.assertEqual(elf.from_root(told), told)


if __name__ == "__main__":
    unittest.main()
