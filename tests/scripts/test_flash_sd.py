#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""flash-sd.sh, on a made-up system of files: what it refuses, and that it writes nothing then."""

import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLASH = ROOT / "scripts/flash/flash-sd.sh"
MIB = 1 << 20
IMAGE = bytes(range(256)) * 4096 * 3 + b"the end of 3 MiB and a bit"
BEFORE = b"what was on the card" * 400000


class FlashTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.image = self.root / "card.img"
        self.image.write_bytes(IMAGE)
        (self.root / "dev/disk/by-id").mkdir(parents=True)
        self.put("proc/self/mounts", "sysfs /sys sysfs rw 0 0\n/dev/vda1 / ext4 rw 0 0\n")
        self.put("proc/swaps", "Filename Type Size Used Priority\n")
        self.disk("vda", removable=0, partitions=["vda1"])
        self.card = self.disk("sdx", removable=1, partitions=["sdx1", "sdx2"])
        (self.root / "dev/disk/by-id/usb-reader").symlink_to("../../sdx")

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")

    def disk(self, name, removable, partitions=(), size=8 * MIB, kind=None, content=BEFORE):
        block = f"sys/block/{name}"
        self.put(f"{block}/removable", f"{removable}\n")
        self.put(f"{block}/ro", "0\n")
        self.put(f"{block}/size", f"{size // 512}\n")
        self.put(f"{block}/device/model", "Card Reader     \n")
        if kind:
            self.put(f"{block}/device/type", f"{kind}\n")
        (self.root / block / "holders").mkdir()
        for partition in partitions:
            self.put(f"{block}/{partition}/start", "2048\n")
            (self.root / block / partition / "holders").mkdir()
            (self.root / "dev" / partition).write_bytes(b"")
        path = self.root / "dev" / name
        path.write_bytes(content[:size])
        return path

    def flash(self, *arguments, typed=""):
        return subprocess.run([FLASH, "--image", self.image, *arguments], input=typed, text=True, capture_output=True,
                              check=False, env={"PATH": "/usr/bin:/bin", "NEURON_FLASH_TEST_ROOT": str(self.root)})

    def assert_refused(self, done, why):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(why, done.stderr)
        self.assertEqual(self.card.read_bytes(), BEFORE, "nothing is written")

    def test_writes_when_the_name_is_typed(self):
        for device, typed in (("/dev/sdx", "sdx\n"), ("/dev/disk/by-id/usb-reader", "/dev/sdx\n")):
            self.card.write_bytes(BEFORE)
            done = self.flash(device, typed=typed)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("EVERYTHING on /dev/sdx will be lost", done.stdout)
            self.assertIn("written and compared", done.stdout)
            self.assertEqual(self.card.read_bytes(), IMAGE + BEFORE[len(IMAGE):])

    def test_an_sd_card_in_a_reader_of_the_host(self):
        path = self.disk("mmcblk0", removable=0, kind="SD")
        self.assertEqual(self.flash("/dev/mmcblk0", typed="mmcblk0\n").returncode, 0)
        self.assertEqual(path.read_bytes()[:len(IMAGE)], IMAGE)

    def test_soldered_flash_is_refused(self):
        self.disk("mmcblk1", removable=0, kind="MMC")
        self.assert_refused(self.flash("/dev/mmcblk1", typed="mmcblk1\n"), "/dev/mmcblk1 cannot be taken out")

    def test_dry_run_writes_nothing(self):
        done = self.flash("--dry-run", "/dev/sdx", typed="sdx\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("device: /dev/sdx,  Card Reader, 8 MiB; partitions now: 2", done.stdout)
        self.assertIn("nothing is written", done.stdout)
        self.assertEqual(self.card.read_bytes(), BEFORE)

    def test_another_name_or_none_is_refused(self):
        for typed in ("vda\n", "y\n", "yes\n", "\n", "", "sd"):
            self.assert_refused(self.flash("/dev/sdx", typed=typed), "nothing is written")

    def test_no_device_lists_the_ones_there_are(self):
        done = self.flash()
        self.assert_refused(done, "which device?")
        self.assertIn("/dev/sdx ", done.stderr)
        self.assertNotIn("vda", done.stderr)

    def test_devices_that_are_none(self):
        self.assert_refused(self.flash("/dev/sdy", typed="sdy\n"), "no such device: /dev/sdy")
        self.assert_refused(self.flash("/dev/sdx1", typed="sdx1\n"), "/dev/sdx1 is a partition: the image has its own, give "
                                                                     "the whole disk /dev/sdx")
        self.assert_refused(self.flash("/dev/sdx", "/dev/vda"), "one device at a time")
        self.assert_refused(self.flash("/dev/disk", typed="disk\n"), "a test writes to files only")
        self.assert_refused(self.flash("/card.img", typed="card.img\n"), "outside the test's folder")
        self.assert_refused(self.flash("--force", "/dev/sdx"), "unknown option '--force'")

    def test_the_test_folder_opens_no_way_to_a_real_disk(self):
        (self.root / "dev/sdz").symlink_to("/dev/null")
        self.assert_refused(self.flash("/dev/sdz", typed="null\n"), "a test writes to files only")

    def test_a_disk_that_stays_is_refused(self):
        self.assert_refused(self.flash("/dev/vda", typed="vda\n"), "/dev/vda cannot be taken out")
        self.assertEqual((self.root / "dev/vda").read_bytes(), BEFORE)

    def test_mounted_is_refused(self):
        for source in ("/dev/sdx", "/dev/sdx2", "/dev/disk/by-id/usb-reader"):
            self.put("proc/self/mounts", f"/dev/vda1 / ext4 rw 0 0\n{source} /media/card vfat rw 0 0\n")
            self.assert_refused(self.flash("/dev/sdx", typed="sdx\n"), "is mounted on /media/card")
            self.assert_refused(self.flash("--dry-run", "/dev/sdx"), "is mounted on /media/card")

    def test_swap_and_holders_are_refused(self):
        self.put("proc/swaps", "Filename Type Size Used Priority\n/dev/sdx2 partition 1 0 -2\n")
        self.assert_refused(self.flash("/dev/sdx", typed="sdx\n"), "/dev/sdx2 is used as swap space")
        self.put("proc/swaps", "Filename Type Size Used Priority\n")
        (self.root / "sys/block/sdx/sdx1/holders/dm-3").mkdir()
        self.assert_refused(self.flash("/dev/sdx", typed="sdx\n"), "/dev/sdx1 is used by dm-3")

    def test_card_that_cannot_take_it(self):
        for attribute, value, why in (("ro", 1, "write-protected"), ("size", 0, "no card in /dev/sdx"),
                                      ("size", 6144, "too small: the image has 3 MiB")):
            before = (self.root / "sys/block/sdx" / attribute).read_text(encoding="ascii")
            self.put(f"sys/block/sdx/{attribute}", f"{value}\n")
            self.assert_refused(self.flash("/dev/sdx", typed="sdx\n"), why)
            self.put(f"sys/block/sdx/{attribute}", before)

    def test_damaged_image_is_refused(self):
        self.put("SHA256SUMS", f"{'0' * 64}  card.img\n")
        self.assert_refused(self.flash("/dev/sdx", typed="sdx\n"), "make it again")
        self.image.unlink()
        self.assert_refused(self.flash("/dev/sdx", typed="sdx\n"), "make it first")

    def test_a_card_that_forgets_is_found_out(self):
        # dd as a bad card makes it seem: it reports success, and one byte is another.
        tools = self.root / "tools"
        tools.mkdir()
        dd = tools / "dd"
        dd.write_text('#!/bin/sh\n/bin/dd "$@" || exit\ncase "$*" in *of=*) printf X |\n'
                      f'/bin/dd of={self.card} bs=1 seek=2000000 conv=notrunc status=none ;; esac\n', encoding="ascii")
        dd.chmod(0o755)
        done = subprocess.run([FLASH, "--image", self.image, "/dev/sdx"], input="sdx\n", text=True, capture_output=True,
                              check=False, env={"PATH": f"{tools}:/usr/bin:/bin", "NEURON_FLASH_TEST_ROOT": str(self.root)})
        self.assertEqual(done.returncode, 1)
        self.assertIn("what was read back differs", done.stderr)
        self.assertNotIn("written and compared", done.stdout)

    def test_without_a_test_folder_a_file_is_no_disk(self):
        done = subprocess.run([FLASH, "--image", self.image, self.card], input="sdx\n", text=True, capture_output=True,
                              check=False, env={"PATH": "/usr/bin:/bin"})
        self.assert_refused(done, "is not a disk but a regular file")


if __name__ == "__main__":
    unittest.main()
