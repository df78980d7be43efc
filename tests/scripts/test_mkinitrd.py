# SPDX-License-Identifier: MIT
import pathlib
import tempfile
import unittest

import mkinitrd


def entries_of(data):
    """{name: (mode, data)} of a newc archive, read independently of the writer's record()."""
    found, place = {}, 0
    while True:
        fields = [int(data[place + 6 + 8 * index:place + 14 + 8 * index], 16) for index in range(13)]
        assert data[place:place + 6] == b"070701", place
        name_size, size = fields[11], fields[6]
        name = data[place + 110:place + 110 + name_size - 1].decode()
        content = (place + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], data[content:content + size])
        place = (content + size + 3) & ~3


class MkinitrdTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "recipes/sched").mkdir(parents=True)
        (self.folder / "recipes/sched/qos.toml").write_bytes(b"schema = 1\n")
        (self.folder / "recipes/services.toml").write_bytes(b"x")
        program = self.folder / "execd"
        program.write_bytes(b"\x7fELF")
        program.chmod(0o700)
        self.spec = [f"/recipes={self.folder}/recipes", f"/bin/execd={program}"]

    def test_files_directories_and_modes(self):
        found = entries_of(mkinitrd.archive(mkinitrd.collect(self.spec)))
        self.assertEqual(list(found), ["bin", "bin/execd", "recipes", "recipes/sched", "recipes/sched/qos.toml",
                                       "recipes/services.toml"])
        self.assertEqual(found["bin"][0], 0o40755)
        self.assertEqual(found["bin/execd"], (0o100755, b"\x7fELF"))
        self.assertEqual(found["recipes/sched/qos.toml"], (0o100644, b"schema = 1\n"))

    def test_same_bytes_whatever_order_owner_or_time(self):
        first = mkinitrd.archive(mkinitrd.collect(self.spec))
        (self.folder / "execd").touch()
        second = mkinitrd.archive(mkinitrd.collect(reversed(self.spec)))
        self.assertEqual(first, second)
        self.assertEqual(len(first) % 512, 0)

    def test_bad_specs_name_the_entry(self):
        for spec, message in ((["/bin/x"], "wanted DEST=PATH"), (["bin/x=/etc/hostname"], "absolute path"),
                              (["/../x=/etc/hostname"], "without .."), (["/x=/no/such"], "no such file")):
            with self.assertRaisesRegex(mkinitrd.SpecError, message):
                mkinitrd.collect(spec)

    def test_one_place_from_two_sources(self):
        with self.assertRaisesRegex(mkinitrd.SpecError, "comes from both"):
            mkinitrd.collect([f"/bin/x={self.folder}/execd", f"/bin/x={self.folder}/recipes/services.toml"])
        files = mkinitrd.collect([f"/bin={self.folder}/execd", f"/bin/x={self.folder}/recipes/services.toml"])
        with self.assertRaisesRegex(mkinitrd.SpecError, "both a file and a directory"):
            mkinitrd.archive(files)


if __name__ == "__main__":
    unittest.main()
