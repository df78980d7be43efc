#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/board-test.sh against a board that is not there: a pseudo-terminal with QEMU behind it, and what goes wrong on real
lines. BUILD_DIR and LOG_DIR say where the image is and the logs go.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["BUILD_DIR"])
LOGS = pathlib.Path(os.environ["LOG_DIR"])
U_BOOT = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"
MACHINE = ["qemu-system-riscv64", "-M", "virt", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]
# One hart and time by instructions: every marker must be there, and the same boot comes each time.
ICOUNT = ["-smp", "1", "-m", "512M", "-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2025-01-01,clock=vm"]
PASS, FAIL, PANIC, TIMEOUT, ORDER = range(5)


class Board:
    """A board on a line, and what came of its boot."""

    def __init__(self, folder, command, *distortion):
        self.line = folder / "ttyUSB0"
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "tests/boot/fake_board.py", "--link", self.line, *distortion, "--", *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.power_cmd = f"kill -USR1 {int(self.process.stdout.readline())}"

    def typed(self):
        """How many bytes the board was sent; takes its power away."""
        self.process.stdin.close()
        self.process.stdin = None
        out, _ = self.process.communicate()
        return int(out.split("typed: ")[1])


class BoardRunnerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def boot(self, command, *distortion, options=()):
        """Runs board-test.sh; returns its result and the bytes that it typed."""
        board = Board(self.folder, command, *distortion)
        try:
            done = subprocess.run(
                [ROOT / "scripts/board-test.sh", "--serial", board.line, "--power-cmd", board.power_cmd, "--harts", "1",
                 "--log-dir", LOGS, "--log-name", self.id().rpartition(".")[2], *options],
                stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False)
        finally:
            typed = board.typed()
        self.assertEqual(typed, 0, "nothing may be sent to a board")
        return done

    def kernel(self):
        return [*MACHINE, *ICOUNT, "-kernel", BUILD / "Image", "-initrd", BUILD / "initrd.cpio"]

    def log(self, kind):
        return LOGS / f"{self.id().rpartition('.')[2]}.{kind}"

    def test_pass_after_noise(self):
        """Line noise before the firmware's first word does no harm."""
        done = self.boot(self.kernel(), "--noise", "3000")
        self.assertEqual(done.returncode, PASS, done.stdout + done.stderr)
        self.assertIn("test_pass_after_noise: pass\n", done.stdout)
        self.assertIn(b"OpenSBI v", self.log("serial.log").read_bytes())
        self.assertNotIn(b"OpenSBI v", self.log("uart.log").read_bytes())
        suite = ElementTree.parse(self.log("xml")).getroot()
        self.assertEqual(suite.get("failures"), "0")
        self.assertGreater(int(suite.get("tests")), 30)

    def test_dropped_bytes(self):
        """A marker that lost a byte is a marker missing, and is named."""
        done = self.boot(self.kernel(), "--replace", "SELFTEST: qos perms ok=>SELFTEST: qos prms ok")
        self.assertEqual(done.returncode, ORDER, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"MISSING +SELFTEST: qos perms\n")
        self.assertIn("marker missing or out of order\n", done.stdout)
        self.assertNotIn("FAIL", done.stdout)

    def test_hangs_in_u_boot(self):
        """No card: U-Boot ends at its prompt."""
        done = self.boot([*MACHINE, "-m", "512M", "-kernel", U_BOOT])
        self.assertEqual(done.returncode, TIMEOUT, done.stdout + done.stderr)
        self.assertIn("no kernel: U-Boot waits for commands\n", done.stderr)
        self.assertIn("the board waits at the prompt of U-Boot, '=>'", done.stderr)
        self.assertIn("TIMEOUT", done.stdout)
        self.assertIn(b"U-Boot 20", self.log("serial.log").read_bytes())
        self.assertEqual(self.log("uart.log").read_bytes(), b"")

    def test_kernel_panic(self):
        """A device tree without memory, on which the kernel gives up."""
        tree = self.folder / "virt.dtb"
        subprocess.run([MACHINE[0], "-M", f"virt,dumpdtb={tree}", "-display", "none", "-m", "128M"], check=True, capture_output=True)
        subprocess.run(["fdtput", "-r", tree, "/memory@80000000"], check=True)
        done = self.boot([*MACHINE, "-m", "128M", "-dtb", tree, "-kernel", BUILD / "Image"])
        self.assertEqual(done.returncode, PANIC, done.stdout + done.stderr)
        self.assertIn("KERNEL PANIC\n", done.stdout)
        self.assertIn("no usable memory", done.stdout)


if __name__ == "__main__":
    unittest.main()
