#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The SD card as its user meets it: a recipe edited on the card, upstream's firmware, and the files for StarFive's, each booted
by U-Boot on QEMU from a copy of the card. BUILD_DIR and LOG_DIR say where the image is and the logs go.
"""

import os
import pathlib
import re
import select
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["BUILD_DIR"])
LOGS = pathlib.Path(os.environ["LOG_DIR"])
U_BOOT = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"
PROMPT = r"\n=> $"
TIMEOUT_S = 90


class Machine:
    """QEMU's virt machine with U-Boot and the card; its UART as text."""

    def __init__(self, card, log, u_boot):
        self.process = subprocess.Popen(
            ["qemu-system-riscv64", "-M", "virt", "-smp", "2", "-m", "1G", "-nodefaults", "-display", "none", "-no-reboot",
             "-serial", "stdio", "-kernel", u_boot, "-drive", f"file={card},format=raw,if=none,id=card",
             "-device", "virtio-blk-device,drive=card"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.log = log
        self.text = ""
        self.seen = 0
        self.deadline = time.monotonic() + TIMEOUT_S

    def expect(self, pattern):
        """Waits for the pattern behind what was expected before."""
        while not (match := re.compile(pattern, re.M if "$" not in pattern else 0).search(self.text, self.seen)):
            left = self.deadline - time.monotonic()
            data = b""
            if left > 0 and select.select([self.process.stdout], [], [], left)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError(f"no line matches {pattern} (log {self.log}); last:\n{self.text[-800:]}")
            self.text += data.decode("utf-8", "replace").replace("\r", "")
            self.log.write_text(self.text, encoding="utf-8")
        self.seen = match.end()
        return match

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\r")
        self.process.stdin.flush()

    def stop_autoboot(self):
        """The key waits in the UART for the countdown, whose two seconds a slow host could miss. Any sooner, U-Boot sets the
        UART up once more and loses it."""
        self.expect(r"^Net: +No ethernet found\.")
        self.command("")

    def command(self, line):
        self.type(line)
        self.expect(PROMPT)

    def close(self):
        self.process.kill()
        self.process.communicate()


def clear_attributes(image, partition):
    """Takes a partition's attributes away, in both copies of the table."""
    data = bytearray(image.read_bytes())
    for header in (512, len(data) - 512):
        at, count, size = struct.unpack_from("<QII", data, header + 72)
        struct.pack_into("<Q", data, at * 512 + (partition - 1) * size + 48, 0)
        struct.pack_into("<I", data, header + 88, zlib.crc32(data[at * 512:at * 512 + count * size]))
        struct.pack_into("<I", data, header + 16, 0)
        struct.pack_into("<I", data, header + 16, zlib.crc32(data[header:header + 92]))
    image.write_bytes(data)


class CardTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.image = self.folder / "card.img"
        self.drive = f"{self.image}@@8M"
        self.run_tool(ROOT / "scripts/flash/make-sd-image.sh", "--build-dir", BUILD, "--output", self.image)

    def run_tool(self, *command):
        done = subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def choose_firmware_tree(self):
        """What a user does whose board is not the first entry's: another default. QEMU's machine is not."""
        text = self.run_tool("mcopy", "-n", "-i", self.drive, "::extlinux/extlinux.conf", "-")
        self.assertEqual(text.count("default neuron\n"), 1)
        menu = self.folder / "extlinux.conf"
        menu.write_text(text.replace("default neuron\n", "default firmware-dt\n"), encoding="utf-8")
        self.run_tool("mcopy", "-o", "-i", self.drive, menu, "::extlinux/")

    def boot(self, u_boot=U_BOOT):
        LOGS.mkdir(parents=True, exist_ok=True)
        machine = Machine(self.image, LOGS / f"card-{self.id().rpartition('.')[2]}.uart.log", u_boot)
        self.addCleanup(machine.close)
        return machine

    def test_a_recipe_edited_on_the_card(self):
        """On a PC: mount, edit, run the script that lies there, unmount. The next boot takes it, without a key pressed."""
        card = self.folder / "mounted"
        card.mkdir()
        self.run_tool("mcopy", "-s", "-n", "-i", self.drive, "::/", card)
        recipe = card / "recipes/sched/qos.toml"
        text = recipe.read_text(encoding="utf-8")
        self.assertEqual(text.count("shares = 300"), 1)
        recipe.write_text(text.replace("shares = 300", "shares = 450  # edited on the card"), encoding="utf-8", newline="\r\n")
        self.assertEqual(self.run_tool(sys.executable, card / "tools/update_recipes.py"),
                         "update_recipes: changed recipes/sched/qos.toml\n")
        self.run_tool("mcopy", "-s", "-o", "-i", self.drive, *sorted(card.iterdir()), "::/")
        self.choose_firmware_tree()

        machine = self.boot()
        machine.expect(r"Enter choice: ")
        machine.expect(r"^Starting kernel \.\.\.\n")
        machine.expect(r"^execd: qos set \(svc=audio class=interactive shares=450 lat=5ms burst=0ms\)\n")
        machine.expect(r"^execd: qos set \(svc=ui class=interactive shares=200 lat=0ms burst=4ms\)\n")

    def bootflow_scan(self):
        folder = self.run_tool(ROOT / "scripts/flash/fetch-u-boot.sh", "qemu").strip()
        machine = self.boot(f"{folder}/u-boot.bin")
        machine.expect(r"^U-Boot 2025\.01")
        machine.stop_autoboot()
        machine.type("bootflow scan")
        return machine

    def test_upstream_firmware_wants_the_attribute(self):
        """Control of the next one: without the attribute, the search goes on to the network."""
        clear_attributes(self.image, 3)
        machine = self.bootflow_scan()
        machine.expect(r"^No ethernet found\.")
        machine.expect(PROMPT)
        self.assertNotIn("with extlinux", machine.text)

    def test_upstream_firmware(self):
        """The bootcmd of upstream's U-Boot for the board, `bootflow scan`, of the release on the self-contained card: it looks at
        partitions that have the attribute legacy-boot, and at nothing else but partition 1."""
        self.choose_firmware_tree()
        machine = self.bootflow_scan()
        machine.expect(r"^\*\* Booting bootflow 'virtio-blk#0\.bootdev\.part_3' with extlinux\n")
        machine.expect(r"^Starting kernel \.\.\.\n")
        machine.expect(r"^KINIT: cpu1 online\n")
        machine.expect(r"^execd: qos set \(svc=audio class=interactive shares=300 ")

    def test_stock_firmware(self):
        """What StarFive's U-Boot 2021.10 does with the card, typed: vf2_uEnv.txt imported whole, of uEnv.txt the 0x17c bytes
        of its most stingy release, boot2 run. The card's slot and the addresses become this machine's, the tree, too."""
        tree = self.folder / "jh7110-visionfive2.dtb"
        self.run_tool("qemu-system-riscv64", "-M", f"virt,dumpdtb={tree}", "-smp", "2", "-m", "1G", "-display", "none")
        self.run_tool("mcopy", "-o", "-i", self.drive, tree, "::dtbs/")
        for name in ("vf2_uEnv.txt", "uEnv.txt"):
            text = (ROOT / "boards/visionfive2" / name).read_text(encoding="utf-8")
            # As long as what it replaces: the first 0x17c bytes are to hold what they hold on the card.
            for old, new in (("fatload mmc", "load virtio"), ("40200000", "84000000"), ("46000000", "88000000"),
                             ("46100000", "88100000")):
                self.assertIn(old, text)
                text = text.replace(old, new)
            (self.folder / name).write_text(text, encoding="utf-8")
            self.run_tool("mcopy", "-o", "-i", self.drive, self.folder / name, "::")

        machine = self.boot()
        machine.stop_autoboot()
        machine.command("fatload virtio 0:3 84000000 vf2_uEnv.txt")
        machine.command("env import -t 84000000 ${filesize}")
        machine.command("fatload virtio 0:3 84000000 uEnv.txt")
        machine.command("env import 84000000 17c")
        machine.command("setenv memory_addr 80000000; setenv memory_size 30000000")
        machine.type("run boot2")
        machine.expect(r"^Starting kernel \.\.\.\n")
        machine.expect(r"memory: 768MiB of RAM")  # not the tree's 1 GiB: what the firmware found
        machine.expect(r"^KINIT: cpu1 online\n")
        machine.expect(r"^execd: qos set \(svc=audio class=interactive shares=300 ")


if __name__ == "__main__":
    unittest.main()
