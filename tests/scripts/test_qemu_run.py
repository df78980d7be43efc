# SPDX-License-Identifier: MIT
import contextlib
import io
import pathlib
import tempfile
import unittest
from unittest import mock

import qemu_run


def options(*arguments):
    return qemu_run.parse(["--image", __file__, "--log", "uart.log", *arguments])


class CommandTest(unittest.TestCase):
    def test_icount_lane_is_repeatable(self):
        line = " ".join(qemu_run.command(options("--append", "loglevel=7")))
        self.assertIn("-icount shift=0,sleep=off -seed 1 -rtc base=2025-01-01,clock=vm", line)
        self.assertTrue(line.endswith("-append boothart=0 loglevel=7"), line)

    def test_a_given_boot_hart_stays(self):
        self.assertEqual(qemu_run.kernel_command_line("icount", "a boothart=2"), "a boothart=2")
        self.assertEqual(qemu_run.kernel_command_line("mttcg", "a"), "a")

    def test_turns(self):
        self.assertIn("interval=10", " ".join(qemu_run.command(options("--turn-us", "10"))))
        self.assertIn("interval=200", " ".join(qemu_run.command(options("--smp", "2"))))
        for unbounded in (("--smp", "1"), ("--turn-us", "0"), ("--lane", "mttcg")):
            self.assertNotIn("filter-buffer", " ".join(qemu_run.command(options(*unbounded))))
        with self.assertRaises(ValueError):
            qemu_run.lane_arguments("mttcg", 4, 10)

    def test_the_expected_warning_is_kept_back_and_nothing_else(self):
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            qemu_run.pass_on(["q: warning: hub port turn0 has no peer\n", "q: could not load kernel\n"])
        self.assertEqual("q: could not load kernel\n", errors.getvalue())

    def test_missing_initrd_is_an_error_here(self):
        with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit):
            options("--initrd", "/no/such")
        self.assertIn("no such file: /no/such", errors.getvalue())


class RunTest(unittest.TestCase):
    def run_with(self, script, timeout):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            fake = pathlib.Path(folder, "qemu")
            fake.write_text("#!/bin/bash\n" + script.replace("LOG", f"{folder}/logs/uart.log"), encoding="utf-8")
            fake.chmod(0o755)
            with mock.patch.object(qemu_run, "QEMU", str(fake)):
                return qemu_run.main(["--image", __file__, "--log", f"{folder}/logs/uart.log", "--timeout", timeout])

    def test_statuses(self):
        self.assertEqual(self.run_with("exit 0", "60"), 0)
        self.assertEqual(self.run_with("exit 7", "60"), 1)
        self.assertEqual(self.run_with("echo KERNEL PANIC >LOG; exit 1", "60"), 0)
        self.assertEqual(self.run_with("exec tail -f /dev/null", "0.2"), 3)


if __name__ == "__main__":
    unittest.main()
