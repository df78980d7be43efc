# SPDX-License-Identifier: MIT
import struct
import unittest

import check_image

JUMP_64 = 0x0400006F  # j +64
COMPRESSED = 0xA0816F0D


def image(code0=JUMP_64, text_offset=0x200000, image_size=0x3000, flags=0, version=2, magic=0x5643534952,
          magic2=0x05435352, body=0x1000):
    header = struct.pack("<IIQQQIIQQII", code0, 0, text_offset, image_size, flags, version, 0, 0, magic, magic2, 0)
    return header + bytes(body - len(header))


def elf(in_file, in_memory):
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    text = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, 0xFFFFFFFF80000000, 0, 0x800, 0x800, 4096)
    data = struct.pack("<IIQQQQQQ", 1, 6, 0x1800, 0xFFFFFFFF80000800, 0, in_file - 0x800, in_memory - 0x800, 4096)
    return header + text + data


class CheckImageTest(unittest.TestCase):
    def test_good_image(self):
        self.assertEqual(check_image.problems(image(), elf(0x1000, 0x3000)), [])

    def test_each_wrong_field_is_named(self):
        for change, name in (({"code0": COMPRESSED}, "code0"), ({"code0": 0x0000006F}, "jumps to offset 0x0"),
                             ({"text_offset": 0}, "text_offset"), ({"flags": 1}, "flags"), ({"version": 1}, "version"),
                             ({"magic": 0}, "magic is"), ({"magic2": 0}, "magic2"), ({"image_size": 0}, "image_size")):
            with self.subTest(name):
                found = check_image.problems(image(**change))
                self.assertEqual(len(found), 1, found)
                self.assertIn(name, found[0])

    def test_bss_must_count(self):
        found = check_image.problems(image(image_size=0x1000), elf(0x1000, 0x3000))
        self.assertEqual(found, ["image_size 0x1000 leaves out .bss: the ELF needs 0x3000"])

    def test_cut_file(self):
        self.assertIn("fill 0x2000", check_image.problems(image(), elf(0x2000, 0x3000))[0])
        self.assertIn("only 4 bytes", check_image.problems(b"abcd")[0])

    def test_size(self):
        self.assertEqual(check_image.problems(image(body=(1 << 20) - 1, image_size=1 << 20)), [])
        self.assertEqual(check_image.problems(image(body=1 << 20, image_size=2 << 20), limit=check_image.MAX_DEBUG_BYTES), [])
        self.assertEqual(check_image.problems(image(body=1 << 20, image_size=1 << 20)),
                         ["1048576 bytes, the limit is 1048576"])

    def test_jump_target(self):
        self.assertEqual(check_image.jump_target(JUMP_64), 64)
        self.assertEqual(check_image.jump_target(0xFFDFF06F), -4)
        self.assertIsNone(check_image.jump_target(COMPRESSED))

    def test_not_an_elf(self):
        with self.assertRaisesRegex(ValueError, "not a 64-bit"):
            check_image.elf_extent(b"#!/bin/sh")


if __name__ == "__main__":
    unittest.main()
