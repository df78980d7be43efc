# SPDX-License-Identifier: MIT
"""tools/coverage_table.py: each way in which the list of files that are not counted can be wrong."""

import pathlib
import unittest

import coverage_table

ROOT = pathlib.Path(__file__).resolve().parents[2]


class ListTest(unittest.TestCase):
    def problems(self, groups):
        return coverage_table.list_problems({"kernel/a.cpp", "kernel/b.cpp"}, {"kernel/a.cpp"}, groups)

    def test_a_list_that_fits_has_no_problems(self):
        self.assertEqual(self.problems([{"reason": "registers", "files": ["kernel/b.cpp"]}]), [])

    def test_what_nobody_compiles_must_be_listed(self):
        self.assertEqual(self.problems([]), ["kernel/b.cpp: no host test compiles it, and it is not listed"])

    def test_what_is_compiled_must_not_be_listed(self):
        groups = [{"reason": "registers", "files": ["kernel/a.cpp", "kernel/b.cpp"]}]
        self.assertEqual(self.problems(groups), ["kernel/a.cpp: listed, but a host test compiles it"])

    def test_what_is_gone_must_not_be_listed(self):
        groups = [{"reason": "registers", "files": ["kernel/b.cpp", "kernel/c.cpp"]}]
        self.assertEqual(self.problems(groups), ["kernel/c.cpp: listed, but there is no such file"])

    def test_once_and_with_a_reason(self):
        groups = [{"reason": "registers", "files": ["kernel/b.cpp"]}, {"reason": "", "files": ["kernel/b.cpp"]}]
        self.assertEqual(self.problems(groups),
                         ["a group without a reason: ['kernel/b.cpp']", "kernel/b.cpp: listed twice"])

    def test_the_project_s_list_names_files_that_exist(self):
        existing = coverage_table.sources(ROOT)
        with open(ROOT / "tests/host-testable.toml", "rb") as file:
            groups = coverage_table.tomllib.load(file)["group"]
        listed = {file for group in groups for file in group["files"]}
        self.assertLessEqual(listed, existing)


if __name__ == "__main__":
    unittest.main()
