#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What board_run.py makes of the bytes of a serial line; with whole boots: tests/boot/board_runner_test.py."""

import contextlib
import io
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import threading
import tomllib
import tty
import unittest
from unittest import mock

import board_run
import uart_check

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRMWARE = b"U-Boot SPL 2021.10 (x)\r\nOpenSBI v1.2\r\nU-Boot 2021.10\r\nStarting kernel ...\r\n\r\n"
BANNER = b"[    0.000173] NEURON 0.1.0 on starfive, boot hart 1\r\n"
KERNEL = BANNER + b"KINIT: cpu0 online\r\n"
END = b"SELFTEST: end (pass=1 fail=0 skip=0)\r\n"


def boot_of(*pieces):
    boot = board_run.Boot()
    for piece in pieces:
        boot.feed(piece)
    return boot


class BootTest(unittest.TestCase):
    def test_the_kernel_begins_behind_the_firmware(self):
        self.assertEqual(boot_of(FIRMWARE[:20]).kernel_part(), b"")
        self.assertEqual(boot_of(FIRMWARE, KERNEL).kernel_part(), b"Starting kernel ...\r\n\r\n" + KERNEL)
        self.assertEqual(boot_of(b"OpenSBI v1.5\r\n", KERNEL).kernel_part(), KERNEL)
        lost = FIRMWARE.replace(b"Starting kernel", b"Stxrting kernel")
        self.assertEqual(boot_of(lost, KERNEL).kernel_part(), KERNEL)

    def test_the_boot_menu_is_not_the_kernel(self):
        self.assertEqual(boot_of(b"1:\tNEURON on VisionFive 2\r\nEnter choice: ").kernel_part(), b"")

    def test_the_end_needs_its_whole_line(self):
        boot = boot_of(FIRMWARE, KERNEL, END[:-1])
        self.assertEqual(boot.end(), "")
        boot.feed(END[-1:])
        self.assertEqual(boot.end(), "end")

    def test_an_end_that_firmware_prints_is_none(self):
        self.assertEqual(boot_of(END, FIRMWARE, KERNEL).end(), "")

    def test_the_firmware_s_farewell_is_not_judged_but_a_panic_is(self):
        self.assertTrue(boot_of(FIRMWARE, KERNEL, END, b"pmic: off\r\n").judged_part().endswith(END))
        panic = b"KERNEL PANIC begin\r\nx\r\nKERNEL PANIC end\r\n"
        boot = boot_of(FIRMWARE, KERNEL, END, panic)
        self.assertTrue(boot.judged_part().endswith(panic))
        self.assertEqual(boot.end(), "panic")

    def test_a_panic_before_the_banner(self):
        boot = boot_of(b"OpenSBI v1.5\r\n", b"KERNEL PANIC begin\r\r\nx\r\r\nKERNEL PANIC end\r\r\n")
        self.assertEqual(boot.end(), "panic")

    def test_firmware_behind_the_kernel_is_a_restart(self):
        self.assertEqual(boot_of(FIRMWARE, KERNEL, FIRMWARE).end(), "restart")

    def test_prompts(self):
        self.assertEqual(boot_of(b"...\r\nStarFive # ").stopped_at_prompt(), "StarFive #")
        self.assertEqual(boot_of(b"...\r\n=> ").stopped_at_prompt(), "=>")
        self.assertEqual(boot_of(b"a => b").stopped_at_prompt(), "")


class LineTest(unittest.TestCase):
    """The whole runner on a pseudo-terminal that replays bytes."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.board, self.line = pty.openpty()
        tty.setraw(self.line)
        self.addCleanup(os.close, self.board)
        self.addCleanup(os.close, self.line)

    def run_on(self, data, *options, power_cmd=None):
        fifo = self.folder / "power"
        os.mkfifo(fifo)

        def board():
            fifo.read_bytes()  # comes back when there is power
            os.write(self.board, data)

        thread = threading.Thread(target=board, daemon=True)
        thread.start()
        said = io.StringIO()
        # What is waited for on a real line is only silence; here, no byte is under way.
        with contextlib.redirect_stderr(said), mock.patch.multiple(board_run, QUIET_S=0.1, PROMPT_S=0.2):
            status = board_run.main(
                ["--serial", os.ttyname(self.line), "--log", str(self.folder / "log"), "--raw-log", str(self.folder / "raw"),
                 "--power-cmd", power_cmd or f"echo on > {fifo}",
                 "--messages", str(ROOT / "boards/visionfive2/messages.toml"), *options])
        return subprocess.CompletedProcess([], status, stderr=said.getvalue())

    def test_a_good_boot(self):
        done = self.run_on(FIRMWARE + KERNEL + END)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.folder / "raw").read_bytes(), FIRMWARE + KERNEL + END)
        self.assertEqual((self.folder / "log").read_bytes(), b"Starting kernel ...\r\n\r\n" + KERNEL + END)

    def test_silence(self):
        done = self.run_on(b"", "--boot-timeout", "0.5")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("no kernel after 0.5 s\nboard_run: not one byte came", done.stderr)

    def test_a_message_is_explained(self):
        done = self.run_on(b"U-Boot 2021.10\r\nBad Linux RISCV Image magic!\r\nStarFive # ")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("the board waits at the prompt of U-Boot, 'StarFive #'", done.stderr)
        self.assertIn("'Bad Linux RISCV Image magic!': The file Image is damaged", done.stderr)

    def test_what_the_kernel_warns_of_is_explained(self):
        warning = b"[    1.2] cpu0 (hart 0) was started and did not come; going on without it\r\n"
        done = self.run_on(b"No partition table\r\n" + FIRMWARE + KERNEL + warning + END)
        self.assertEqual(done.returncode, 0)
        self.assertIn("'was started and did not come': The firmware said that it started a hart", done.stderr)
        self.assertNotIn("No partition table", done.stderr)

    def test_a_kernel_that_goes_silent(self):
        done = self.run_on(FIRMWARE + KERNEL, "--timeout", "1")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("no end after 1 s", done.stderr)
        self.assertTrue((self.folder / "log").read_bytes().endswith(KERNEL))

    def test_a_board_that_starts_again(self):
        done = self.run_on(FIRMWARE + KERNEL + FIRMWARE)
        self.assertEqual(done.returncode, 0, "the log tells")
        self.assertIn("the board started again", done.stderr)

    def test_a_power_command_that_fails(self):
        done = self.run_on(b"", power_cmd="exit 4")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the power command failed with status 4", done.stderr)

    def test_lines_that_are_none(self):
        for serial, why in (("/nonexistent", "No such file"), ("/dev/null", "Inappropriate ioctl")):
            done = subprocess.run([sys.executable, ROOT / "tools/board_run.py", "--serial", serial, "--log", self.folder / "log",
                                   "--raw-log", self.folder / "raw"], text=True, capture_output=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"board_run: {serial}: {why}", done.stderr)


class BoardFilesTest(unittest.TestCase):
    """What lies in boards/visionfive2 agrees with the list of markers."""

    def setUp(self):
        self.folder = ROOT / "boards/visionfive2"
        self.manifest = uart_check.load_manifest((ROOT / "tests/markers.toml").read_text(encoding="utf-8"))

    def test_expected_logs_are_good_ones(self):
        for name in ("visionfive2", "qemu-virt"):
            boot = boot_of((ROOT / "boards" / name / "expected-boot.log").read_bytes())
            self.assertEqual(boot.end(), "end", name)
            report = uart_check.check(boot.judged_part().decode(), self.manifest, 4, "icount")
            # A log that is older than a marker may lack it; what it shows must be right.
            self.assertEqual([row for row in report.failed() if row.status != "MISSING"], [], name)
            self.assertGreater(sum(row.status == "pass" for row in report.rows), 40, name)

    def test_the_lava_monitor_sees_every_result(self):
        job = (self.folder / "lava-job.yaml").read_text(encoding="utf-8")
        pattern = re.compile(re.search(r"^ *pattern: '(.*)'$", job, re.M)[1])
        fixups = dict(re.findall(r"^        (\w+): (pass|fail|skip)$", job, re.M))
        names = [marker.name for marker in self.manifest if not marker.pattern]
        self.assertGreater(len(names), 15)
        for name in names:
            for result in ("ok", "FAIL 3 of 5", "SKIP (too little ran)"):
                match = pattern.search(f"{name} {result}\r\n")
                self.assertEqual((match["test_case_id"], match["result"]), (name.split(": ")[1], result.split()[0]))
                self.assertIn(match["result"], fixups)
        end = re.compile(re.search(r"^ *end: '(.*)'$", job, re.M)[1])
        self.assertTrue(end.search("SELFTEST: end (pass=18 fail=0 skip=0)"))
        self.assertFalse(end.search("SELFTEST: end (pass=17 fail=1 skip=0)"))


class MessagesTest(unittest.TestCase):
    """boards/visionfive2/messages.toml says what is said."""

    def setUp(self):
        path = ROOT / "boards/visionfive2/messages.toml"
        self.messages = tomllib.loads(path.read_text(encoding="utf-8"))["message"]

    def test_the_texts_are_in_the_programs_that_print_them(self):
        fetched = subprocess.run([ROOT / "scripts/flash/fetch-u-boot.sh"], text=True, capture_output=True, check=True)
        firmware = pathlib.Path(fetched.stdout.strip())
        u_boot = (firmware / "u-boot.itb").read_bytes() + (firmware / "u-boot-spl.bin.normal.out").read_bytes() + \
            pathlib.Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin").read_bytes()
        kernel = b"".join(path.read_bytes() for path in (ROOT / "kernel").rglob("*.cpp"))
        sources = {"u-boot": u_boot, "opensbi": u_boot, "kernel": kernel}
        for entry in self.messages:
            if entry["from"] != "rom":
                self.assertIn(entry["text"].encode(), sources[entry["from"]], entry["text"])

    def test_the_readme_has_them_all(self):
        readme = (ROOT / "boards/visionfive2/README.md").read_text(encoding="utf-8")
        for entry in self.messages:
            self.assertIn(f"| `{entry['text']}` | {entry['means']} | {entry['help']} |\n", readme)


if __name__ == "__main__":
    unittest.main()
