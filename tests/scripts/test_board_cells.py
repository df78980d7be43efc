# SPDX-License-Identifier: MIT
import hashlib
import pathlib
import re
import subprocess
import tempfile
import unittest
from unittest import mock

import board_cells

ROOT = pathlib.Path(__file__).resolve().parents[2]


class TableTest(unittest.TestCase):
    def test_every_stand_in_is_there(self):
        names = [name for name, cell in board_cells.CELLS.items() if cell.stands_in]
        self.assertEqual(names, ["qemu-virt", "uboot-sd", "visionfive2-map", "visionfive2-map-uboot", "sifive_u",
                                 "sifive_u-lying-dt", "icicle"])

    def test_scaled_time_is_said(self):
        for name in ("visionfive2-map", "visionfive2-map-uboot"):
            self.assertIn("scaled on purpose", board_cells.CELLS[name].note)

    def test_every_board_is_documented(self):
        text = (ROOT / "docs/boot.md").read_text(encoding="utf-8")
        for name in board_cells.CELLS:
            self.assertIn(f"`{name}`", text)

    def test_check_options(self):
        self.assertEqual(board_cells.check_options(board_cells.CELLS["sifive_u-lying-dt"], 4)[:3],
                         ["--online", "0x1e", "--parks"])
        self.assertEqual(board_cells.check_options(board_cells.CELLS["qemu-virt"], 3)[:2], ["--online", "0x7"])
        for cell in board_cells.CELLS.values():
            for pattern in cell.expects:
                re.compile(pattern)


class RamTest(unittest.TestCase):
    """The file that is the RAM of visionfive2-map."""

    def test_everything_lies_where_the_reset_program_and_the_tree_say(self):
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder)
            for name in ("dts", "visionfive2-map", "work"):
                (build / name).mkdir()
            (build / "Image").write_bytes(b"image")
            (build / "initrd.cpio").write_bytes(b"initrd")
            (build / "firmware").write_bytes(b"firmware")
            (build / "visionfive2-map/reset-image.bin").write_bytes(b"reset")
            source = "/dts-v1/; / { chosen { }; };"
            subprocess.run(["dtc", "-q", "-o", build / "dts/visionfive2-map.dtb"], input=source, text=True, check=True)
            job = board_cells.Job(image=build / "Image", initrd=build / "initrd.cpio", build_dir=build, work=build / "work",
                                  smp=4, mem="")
            with mock.patch.object(board_cells, "OPENSBI", build / "firmware"):
                plan = board_cells.plan(board_cells.CELLS["visionfive2-map"], job, "one two=3")
            ram = build / "work/ram.bin"
            self.assertEqual(board_cells.read_back(ram, 0, 8), b"firmware")
            self.assertEqual(board_cells.read_back(ram, 0x200000, 5), b"image")
            self.assertEqual(board_cells.read_back(ram, 0x6100000, 6), b"initrd")
            self.assertEqual(plan.digests, {"Image": hashlib.sha256(b"image").hexdigest(),
                                            "initrd": hashlib.sha256(b"initrd").hexdigest()})
            tree = build / "work/tree.dtb"
            self.assertEqual(board_cells.read_back(ram, 0x6000000, tree.stat().st_size), tree.read_bytes())
            chosen = [subprocess.run(["fdtget", "-t", kind, tree, "/chosen", name], text=True, check=True,
                                     capture_output=True).stdout.strip()
                      for kind, name in (("s", "bootargs"), ("x", "linux,initrd-start"), ("x", "linux,initrd-end"))]
            self.assertEqual(chosen, ["one two=3", "0 46100000", "0 46100006"])

    def test_what_is_missing_is_named(self):
        job = board_cells.Job(image=pathlib.Path(__file__), initrd=None, build_dir=pathlib.Path("/nonexistent"),
                              work=pathlib.Path("/nonexistent"), smp=4, mem="")
        with self.assertRaisesRegex(board_cells.CellError, "/nonexistent/dts/icicle.dtb: build it first"):
            board_cells.plan(board_cells.CELLS["icicle"], job, "")
        with self.assertRaisesRegex(board_cells.CellError, "the card holds Image and initrd.cpio of /nonexistent"):
            board_cells.plan(board_cells.CELLS["uboot-sd"], job, "")


if __name__ == "__main__":
    unittest.main()
