#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make-sd-image.sh: the image is the same wherever and whenever it is made, and holds what it should, as read by others'
tools (mtools, dtc) and by a reader of partition tables of our own."""

import hashlib
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest
import uuid
import xml.etree.ElementTree as ElementTree
import zlib

import check_firmware
import mkinitrd

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAKE = ROOT / "scripts/flash/make-sd-image.sh"
BOARD = ROOT / "boards/visionfive2"
SECTOR = 512
BOOT_AT = 8 << 20
LEGACY_BOOT = 1 << 2  # attribute "legacy BIOS bootable" of the UEFI specification, 5.3.3


def run(*command, **options):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False, **options)


def make_build_dir(folder, note=b""):
    """What a build leaves: an Image, an archive with the shipped recipes, device trees."""
    (folder / "dts").mkdir(parents=True)
    (folder / "Image").write_bytes(b"an image" * 50000 + note)
    (folder / "program").write_bytes(b"\x7fELF" + bytes(range(256)) * 4000)
    files = mkinitrd.collect([f"/recipes={ROOT}/recipes", f"/bin/execd={folder}/program"])
    (folder / "initrd.cpio").write_bytes(mkinitrd.archive(files))
    for name in ("jh7110-visionfive2", "visionfive2-map"):
        source = f'/dts-v1/; / {{ compatible = "{name}"; }};'
        subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", folder / f"dts/{name}.dtb"], input=source, text=True,
                       check=True)


def partitions(image):
    """The entries of the partition table, after checking both copies of it (UEFI specification, chapter 5)."""
    def header_at(sector):
        header = bytearray(image[sector * SECTOR:sector * SECTOR + 92])
        assert header[:8] == b"EFI PART", f"no table in sector {sector}"
        checksum = struct.unpack_from("<I", header, 16)[0]
        header[16:20] = bytes(4)
        assert zlib.crc32(header) == checksum, f"checksum of the header in sector {sector}"
        here, other = struct.unpack_from("<QQ", header, 24)
        at, count, size, entries_checksum = struct.unpack_from("<QIII", header, 72)
        entries = image[at * SECTOR:at * SECTOR + count * size]
        assert here == sector and zlib.crc32(entries) == entries_checksum, f"entries of the table in sector {sector}"
        return other, [entries[place:place + size] for place in range(0, count * size, size)]

    backup, entries = header_at(1)
    assert backup == len(image) // SECTOR - 1 and header_at(backup) == (1, entries), "the second copy"
    found = []
    for entry in entries:
        if any(entry):
            first, last, attributes = struct.unpack_from("<QQQ", entry, 32)
            found.append({"type": str(uuid.UUID(bytes_le=entry[:16])), "first": first, "last": last,
                          "attributes": attributes, "name": entry[56:128].decode("utf-16-le").rstrip("\0")})
    return found


class SdImageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.build = pathlib.Path(cls.folder.name) / "build"
        make_build_dir(cls.build)
        made = run(MAKE, "--build-dir", cls.build)
        assert made.returncode == 0, made.stderr
        assert made.stderr == "", made.stderr
        cls.path = cls.build / "neuron-sd.img"
        cls.image = cls.path.read_bytes()

    def card(self, name):
        """A file's content, as mtools reads it."""
        done = subprocess.run(["mcopy", "-n", "-i", f"{self.path}@@{BOOT_AT}", f"::{name}", "-"], capture_output=True,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""), name)
        return done.stdout

    def test_the_same_bytes_in_another_place_at_another_time(self):
        with tempfile.TemporaryDirectory() as other:
            build = pathlib.Path(other) / "elsewhere"
            make_build_dir(build)
            os.utime(build / "Image", (1, 1))
            made = run(MAKE, "--build-dir", ".", "--output", "out/card.img", cwd=build, umask=0o077,
                       env={**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "MTOOLS_LOWER_CASE": "1"})
            self.assertEqual(made.returncode, 0, made.stderr)
            self.assertEqual((build / "out/card.img").read_bytes(), self.image)
            self.assertEqual((build / "out/card.img.bmap").read_bytes(), (self.build / "neuron-sd.img.bmap").read_bytes())

    def test_another_input_or_date_makes_other_bytes(self):
        with tempfile.TemporaryDirectory() as other:
            build = pathlib.Path(other) / "build"
            make_build_dir(build, note=b"!")
            for environment in ({}, {"SOURCE_DATE_EPOCH": "1750000000"}):
                made = run(MAKE, "--build-dir", build, env={**os.environ, **environment})
                self.assertEqual(made.returncode, 0, made.stderr)
                self.assertNotEqual((build / "neuron-sd.img").read_bytes(), self.image)

    def test_partitions(self):
        spl, uboot, boot = partitions(self.image)
        self.assertEqual(spl, {"type": "2e54b353-1271-4842-806f-e436d6af6985", "first": 4096, "last": 8191,
                               "attributes": 0, "name": "spl"})
        self.assertEqual(uboot, {"type": "5b193300-fc78-40cd-8002-e86c45580b47", "first": 8192, "last": 16383,
                                 "attributes": 0, "name": "uboot"})
        self.assertEqual(boot, {"type": "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "first": 16384, "last": 147455,
                                "attributes": LEGACY_BOOT, "name": "boot"})
        self.assertFalse(any(self.image[2 << 20:BOOT_AT]), "partitions 1 and 2 are empty")

    def test_files_on_the_card(self):
        for name in ("Image", "initrd.cpio"):
            self.assertEqual(self.card(name), (self.build / name).read_bytes(), name)
        for name in ("jh7110-visionfive2.dtb", "visionfive2-map.dtb"):
            self.assertEqual(self.card(f"dtbs/{name}"), (self.build / "dts" / name).read_bytes(), name)
        for name in ("uEnv.txt", "vf2_uEnv.txt"):
            self.assertEqual(self.card(name), (BOARD / name).read_bytes(), name)
        self.assertEqual(self.card("extlinux/extlinux.conf"), (BOARD / "extlinux.conf").read_bytes())
        recipes = sorted((ROOT / "recipes").rglob("*.toml"))
        self.assertIn(ROOT / "recipes/services.toml", recipes)
        for path in recipes:
            self.assertEqual(self.card(path.relative_to(ROOT)), path.read_bytes(), path)
        for name in ("update_recipes.py", "mkinitrd.py"):
            self.assertEqual(self.card(f"tools/{name}"), (ROOT / "tools" / name).read_bytes(), name)

    def test_the_file_system_is_sound(self):
        with tempfile.NamedTemporaryFile() as part:
            part.write(self.image[BOOT_AT:147456 * SECTOR])
            part.flush()
            checked = run("fsck.vfat", "-n", part.name, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_every_boot_entry_names_files_that_are_there(self):
        text = self.card("extlinux/extlinux.conf").decode()
        named = re.findall(r"^ *(?:kernel|fdt|initrd) (/\S+)$", text, re.M)
        self.assertEqual(len(named), 8)
        for name in named:
            self.assertTrue(self.card(name), name)
        first = re.split(r"^label ", text, flags=re.M)[1]
        self.assertIn("fdt /dtbs/jh7110-visionfive2.dtb\n", first)
        self.assertEqual(re.search(r"^default (\S+)$", text, re.M)[1], first.split()[0])
        for name in re.findall(r"(?:4[0-9a-f]{7}) (\S+?)[;\s]", self.card("uEnv.txt").decode().split("booti")[0]):
            self.assertTrue(self.card(name), name)

    def test_files_for_the_stock_firmware(self):
        text = (BOARD / "vf2_uEnv.txt").read_bytes()
        self.assertEqual(text, (BOARD / "uEnv.txt").read_bytes())
        lines = text.split(b"\n")
        self.assertTrue(lines[0].startswith(b"bootargs=") and lines[1].startswith(b"boot2="))
        self.assertLessEqual(len(b"\n".join(lines[:2])) + 1, 0x17c, "what its releases import of uEnv.txt: 0x17c ...")
        self.assertGreaterEqual(len(text), 0x200, "... or 0x200 bytes, whatever lies behind a shorter file")
        self.assertTrue(all(not line or line.startswith(b"#") for line in lines[2:]))
        self.assertNotIn(b"\r", text)

    def test_block_map(self):
        tree = ElementTree.parse(self.build / "neuron-sd.img.bmap").getroot()
        block = int(tree.findtext("BlockSize"))
        self.assertEqual(int(tree.findtext("ImageSize")), len(self.image))
        text = (self.build / "neuron-sd.img.bmap").read_text(encoding="ascii")
        checksum = tree.findtext("BmapFileChecksum").strip()
        self.assertEqual(hashlib.sha256(text.replace(checksum, "0" * 64).encode()).hexdigest(), checksum)
        rebuilt = bytearray(b"\xaa" * len(self.image))  # an old card
        count = 0
        for part in tree.find("BlockMap"):
            first, last = map(int, part.text.split("-"))
            data = self.image[first * block:(last + 1) * block]
            self.assertEqual(hashlib.sha256(data).hexdigest(), part.get("chksum"))
            rebuilt[first * block:(last + 1) * block] = data
            count += last - first + 1
        self.assertEqual(int(tree.findtext("MappedBlocksCount")), count)
        self.assertLess(count * block, len(self.image) // 4, "free space is left out")
        reserved, tables, table_sectors = (struct.unpack_from("<H", self.image, BOOT_AT + 14)[0], self.image[BOOT_AT + 16],
                                           struct.unpack_from("<I", self.image, BOOT_AT + 36)[0])
        end = BOOT_AT + (reserved + tables * table_sectors + 1) * SECTOR
        self.assertEqual(rebuilt[BOOT_AT:end], self.image[BOOT_AT:end], "tables and root directory are written whole")

    def test_checksums(self):
        checked = run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=self.build)
        self.assertEqual(checked.stdout, "neuron-sd.img: OK\nneuron-sd.img.bmap: OK\n")

    def test_more_command_line(self):
        made = run(MAKE, "--build-dir", self.build, "--output", self.build / "more/card.img", "--append", "a.b=c,d e")
        self.assertEqual(made.returncode, 0, made.stderr)
        done = run("mcopy", "-n", "-i", f"{self.build}/more/card.img@@{BOOT_AT}", "::extlinux/extlinux.conf", "-")
        self.assertEqual(done.stdout.count("  append loglevel=7 a.b=c,d e\n"), 3)
        done = run("mcopy", "-n", "-i", f"{self.build}/more/card.img@@{BOOT_AT}", "::vf2_uEnv.txt", "-")
        self.assertTrue(done.stdout.startswith("bootargs=loglevel=7 a.b=c,d e\n"))
        made = run(MAKE, "--build-dir", self.build, "--append", "x;reset")
        self.assertEqual(made.returncode, 1)
        self.assertIn("--append 'x;reset'", made.stderr)

    def test_mistakes(self):
        with tempfile.TemporaryDirectory() as empty:
            made = run(MAKE, "--build-dir", empty)
            self.assertEqual(made.returncode, 1)
            self.assertIn(f"no {empty}/Image: build it first", made.stderr)
        self.assertIn("unknown option '--size'", run(MAKE, "--size").stderr)
        self.assertIn("--output wants a value", run(MAKE, "--output").stderr)


class FirmwareTest(unittest.TestCase):
    """The self-contained card, with Debian's SPL and U-Boot."""

    @classmethod
    def setUpClass(cls):
        fetched = run(ROOT / "scripts/flash/fetch-u-boot.sh")
        assert fetched.returncode == 0, fetched.stderr
        cls.firmware = pathlib.Path(fetched.stdout.strip())

    def test_self_contained_card(self):
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder) / "build"
            make_build_dir(build)
            made = run(MAKE, "--build-dir", build, "--firmware", self.firmware)
            self.assertEqual(made.returncode, 0, made.stderr)
            image = (build / "neuron-sd-firmware.img").read_bytes()
            plain = run(MAKE, "--build-dir", build)
            self.assertEqual(plain.returncode, 0, plain.stderr)
            self.assertEqual(image[BOOT_AT:147456 * SECTOR], (build / "neuron-sd.img").read_bytes()[BOOT_AT:147456 * SECTOR],
                             "the third partition is the plain card's")
        found = partitions(image)
        self.assertEqual([part["name"] for part in found], ["spl", "uboot", "boot"])
        for part, name in zip(found, ("u-boot-spl.bin.normal.out", "u-boot.itb")):
            wanted = (self.firmware / name).read_bytes()
            at = part["first"] * SECTOR
            self.assertEqual(image[at:at + len(wanted)], wanted, name)
            self.assertFalse(any(image[at + len(wanted):(part["last"] + 1) * SECTOR]), name)
        # What SPL takes from partition 2 is a FIT with OpenSBI and U-Boot where the board has its memory.
        with tempfile.NamedTemporaryFile() as itb:
            itb.write(image[found[1]["first"] * SECTOR:(found[1]["last"] + 1) * SECTOR])
            itb.flush()
            for node, address in (("opensbi", "0 40000000"), ("uboot", "0 40200000")):
                self.assertEqual(run("fdtget", "-t", "x", itb.name, f"/images/{node}", "load").stdout.strip(), address)

    def test_a_damaged_spl_is_refused(self):
        data = bytearray((self.firmware / "u-boot-spl.bin.normal.out").read_bytes())
        check_firmware.check_spl(data)
        data[5000] ^= 1
        with self.assertRaisesRegex(check_firmware.FirmwareError, "checksum 0x"):
            check_firmware.check_spl(data)
        with self.assertRaisesRegex(check_firmware.FirmwareError, "the header says"):
            check_firmware.check_spl(data[:-1])
        with self.assertRaisesRegex(check_firmware.FirmwareError, "not u-boot-spl.bin"):
            check_firmware.check_spl(data[0x400:])

    def test_a_cut_off_u_boot_is_refused(self):
        data = (self.firmware / "u-boot.itb").read_bytes()
        check_firmware.check_u_boot(data)
        with self.assertRaisesRegex(check_firmware.FirmwareError, "cut off"):
            check_firmware.check_u_boot(data[:-1])
        with self.assertRaisesRegex(check_firmware.FirmwareError, "not a FIT"):
            check_firmware.check_u_boot(data[1:])

    def test_a_folder_without_them_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder) / "build"
            make_build_dir(build)
            made = run(MAKE, "--build-dir", build, "--firmware", folder)
            self.assertEqual(made.returncode, 1)
            self.assertIn("u-boot-spl.bin.normal.out", made.stderr)
            self.assertFalse((build / "neuron-sd-firmware.img").exists())


if __name__ == "__main__":
    unittest.main()
