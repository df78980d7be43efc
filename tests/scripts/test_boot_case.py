# SPDX-License-Identifier: MIT
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "boot"))
import boot_case

LINES = ["KINIT: cpu0 online", "hello: argument 1 is 'a'", "init ended with status 0"]


class JudgeTest(unittest.TestCase):
    def test_in_order(self):
        self.assertEqual(boot_case.judge(LINES, ["^hello", "status 0$"], [], False), [])
        self.assertEqual(boot_case.judge(LINES, ["status 0$", "^hello"], [], False),
                         ["no line matches '^hello' behind the ones before"])

    def test_missing_and_forbidden(self):
        self.assertEqual(boot_case.judge(LINES, ["bye"], [], False), ["no line matches 'bye'"])
        self.assertEqual(boot_case.judge(LINES, [], ["WRONG", "^hello"], False),
                         ["'^hello' must not match: hello: argument 1 is 'a'"])

    def test_panic(self):
        self.assertEqual(len(boot_case.judge(["KERNEL PANIC begin"], [], [], False)), 1)
        self.assertEqual(boot_case.judge(["KERNEL PANIC begin"], [], [], True), [])


if __name__ == "__main__":
    unittest.main()
