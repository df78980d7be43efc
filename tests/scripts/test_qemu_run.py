# SPDX-License-Identifier: MIT
import contextlib
import io
import pathlib
import tempfile
import unittest
from unittest import mock

import board_cells
import qemu_run


def options(*arguments):
    return qemu_run.parse(["--image", __file__, "--log", "uart.log", *arguments])


def line(*arguments):
    parsed = options(*arguments)
    return " ".join(qemu_run.command(parsed, qemu_run.make_plan(parsed, pathlib.Path("/nonexistent"))))


class CommandTest(unittest.TestCase):
    def test_icount_lane_is_repeatable(self):
        started = line("--append", "loglevel=7")
        self.assertIn("-icount shift=0,sleep=off -seed 1 -rtc base=2025-01-01,clock=vm", started)
        self.assertTrue(started.endswith("-append boothart=0 loglevel=7"), started)

    def test_a_board_brings_its_machine_and_the_options_go_before_it(self):
        self.assertIn("-M sifive_u -smp 5 -m 1G ", line("--board", "sifive_u"))
        self.assertTrue(line("--board", "sifive_u").endswith("-append boothart=1"))
        self.assertIn("-M virt -smp 2 -m 64M ", line("--smp", "2", "--mem", "64M"))
        self.assertIn("-cpu rv64,svade=on,svadu=off", line("--board", "qemu-virt-svade"))
        self.assertIn("-cpu max", line("--board", "qemu-virt-svade", "--cpu", "max"))

    def test_only_machines_that_need_an_answer_get_a_pipe(self):
        self.assertIn("-chardev stdio,id=uart,signal=off ", line("--board", "sifive_u"))
        self.assertIn("-chardev file,id=uart,path=uart.log ", line())

    def test_wrong_boards(self):
        for wrong, message in ((["--board", "none"], "no board is called 'none'"),
                               (["--board", "qemu72-virt"], "qemu72-virt has no icount lane"),
                               (["--board", "icicle", "--interactive"], "--interactive is for qemu-virt")):
            with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit):
                options(*wrong)
            self.assertIn(message, errors.getvalue())
        with self.assertRaisesRegex(board_cells.CellError, "sifive_u has 1 or 2 or 3 or 4 usable harts, not 5"):
            line("--board", "sifive_u", "--smp", "5")

    def test_a_given_boot_hart_stays(self):
        self.assertEqual(qemu_run.kernel_command_line("icount", "a boothart=2"), "a boothart=2")
        self.assertEqual(qemu_run.kernel_command_line("mttcg", "a"), "a")

    def test_turns(self):
        self.assertIn("interval=10", line("--turn-us", "10"))
        self.assertIn("interval=200", line("--smp", "2"))
        for unbounded in (("--smp", "1"), ("--turn-us", "0"), ("--lane", "mttcg")):
            self.assertNotIn("filter-buffer", line(*unbounded))
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


class ConversationTest(unittest.TestCase):
    def test_answers_come_in_order_each_behind_the_one_before(self):
        talk = qemu_run.Conversation([(b"autoboot", b" "), (b"=> ", b"one\r"), (b"=> ", b"two\r")], parks=False)
        self.assertEqual(b"", talk.feed(b"=> Hit any key to stop auto"))
        self.assertEqual(b" ", talk.feed(b"boot: 2"))
        self.assertEqual(b"one\r", talk.feed(b"\r\n=> "))
        self.assertEqual(b"", talk.feed(b"one\r\n"))
        self.assertEqual(b"two\r", talk.feed(b"=> "))
        self.assertEqual(b"", talk.feed(b"=> => "))

    def test_parking_is_a_whole_line_of_the_kernels(self):
        for text, parked in ((b"KINIT: halted, the firmware cannot power off this machine\r\n", True),
                             (b"KINIT: halted, the firmware cannot power off", False),
                             (b"demo: KINIT: halted\r\n", False), (b"KERNEL PANIC end\r\n", True)):
            talk = qemu_run.Conversation([], parks=True)
            talk.feed(b"SELFTEST: end (pass=1 fail=0 skip=0)\r\n" + text)
            self.assertEqual(parked, talk.parked, text)
        talk = qemu_run.Conversation([], parks=False)
        talk.feed(b"KERNEL PANIC end\r\n")
        self.assertFalse(talk.parked)


class RunTest(unittest.TestCase):
    def run_with(self, script, timeout, *arguments):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            fake = pathlib.Path(folder, "qemu")
            fake.write_text("#!/bin/bash\n" + script.replace("LOG", f"{folder}/logs/uart.log"), encoding="utf-8")
            fake.chmod(0o755)
            with mock.patch.object(board_cells, "QEMU", str(fake)):
                status = qemu_run.main(["--image", __file__, "--log", f"{folder}/logs/uart.log", "--timeout", timeout,
                                        *arguments])
            self.log = pathlib.Path(folder, "logs/uart.log").read_bytes()
            return status

    def test_a_machine_that_parks_is_ended(self):
        parked = "KINIT: halted, the firmware cannot power off this machine"
        self.assertEqual(self.run_with(f"echo '{parked}'; exec tail -f /dev/null", "60", "--board", "sifive_u"), 0)
        self.assertEqual(self.log.decode(), parked + "\n")
        self.assertEqual(self.run_with("echo hangs; exec tail -f /dev/null", "0.2", "--board", "sifive_u"), 3)

    def test_statuses(self):
        self.assertEqual(self.run_with("exit 0", "60"), 0)
        self.assertEqual(self.run_with("exit 7", "60"), 1)
        self.assertEqual(self.run_with("echo KERNEL PANIC >LOG; exit 1", "60"), 0)
        self.assertEqual(self.run_with("exec tail -f /dev/null", "0.2"), 3)


if __name__ == "__main__":
    unittest.main()
