#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""update_recipes.py, as it runs on the card: beside initrd.cpio, recipes/ and mkinitrd.py."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import mkinitrd
import update_recipes

ROOT = pathlib.Path(__file__).resolve().parents[2]


class UpdateTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.card = pathlib.Path(folder.name) / "card"
        (self.card / "tools").mkdir(parents=True)
        for name in ("update_recipes.py", "mkinitrd.py"):
            shutil.copy(ROOT / "tools" / name, self.card / "tools")
        program = pathlib.Path(folder.name) / "program"
        program.write_bytes(b"\x7fELF" + bytes(1001))
        program.chmod(0o755)
        self.initrd = self.card / "initrd.cpio"
        files = mkinitrd.collect([f"/bin/execd={program}", f"/etc/note={ROOT}/LICENSE", f"/recipes={ROOT}/recipes"])
        self.initrd.write_bytes(mkinitrd.archive(files))
        self.before = self.initrd.read_bytes()
        self.assertEqual(self.update("--extract").returncode, 0)

    def update(self, *arguments):
        # Nothing but the standard library and the script's own folder, as on the machine of a user.
        return subprocess.run([sys.executable, "-E", "-s", self.card / "tools/update_recipes.py", *arguments], text=True,
                              capture_output=True, check=False)

    def files(self):
        return update_recipes.read_archive(self.initrd.read_bytes())

    def assert_refused(self, done, why):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(why, done.stderr)
        self.assertEqual(self.initrd.read_bytes(), self.before, "the archive stays as it was")

    def test_the_recipes_come_out_as_they_went_in(self):
        for path in (ROOT / "recipes").rglob("*.toml"):
            self.assertEqual((self.card / path.relative_to(ROOT)).read_bytes(), path.read_bytes())

    def test_unchanged_recipes_change_nothing(self):
        done = self.update()
        self.assertEqual((done.returncode, done.stdout), (0, "update_recipes: the archive holds these recipes already\n"))
        self.assertEqual(self.initrd.read_bytes(), self.before)
        self.assertEqual(mkinitrd.pack(self.files()), self.before, "what is written is what the build writes")

    def test_a_change_goes_into_the_archive_and_nothing_else_does(self):
        recipe = self.card / "recipes/sched/qos.toml"
        recipe.write_bytes(recipe.read_bytes().replace(b"300", b"450") + b"# longer than before\r\n")
        (self.card / "recipes/sched/qos.toml~").write_text("an editor's backup", encoding="ascii")
        (self.card / "recipes/sched/._qos.toml").write_text("another system's", encoding="ascii")
        before = self.files()
        done = self.update()
        self.assertEqual((done.returncode, done.stdout), (0, "update_recipes: changed recipes/sched/qos.toml\n"))
        after = self.files()
        self.assertEqual(after.pop("recipes/sched/qos.toml"), (0o100644, recipe.read_bytes()))
        before.pop("recipes/sched/qos.toml")
        self.assertEqual(after, before)
        self.assertEqual(after["bin/execd"][0], 0o100755)
        self.assertEqual(sorted(path.name for path in self.card.iterdir()), ["initrd.cpio", "recipes", "tools"])
        self.assertFalse((self.card / "tools/__pycache__").exists())

    def test_the_way_back_gives_the_very_archive(self):
        recipe = self.card / "recipes/sched/affinity.toml"
        text = recipe.read_bytes()
        recipe.unlink()
        self.assertEqual(self.update().stdout, "update_recipes: removed recipes/sched/affinity.toml\n")
        self.assertNotEqual(self.initrd.read_bytes(), self.before)
        recipe.write_bytes(text)
        self.assertEqual(self.update().stdout, "update_recipes: added recipes/sched/affinity.toml\n")
        self.assertEqual(self.initrd.read_bytes(), self.before)

    def test_the_recipes_of_a_board(self):
        recipe = self.card / "recipes/boards/starfive,visionfive-2/qos.toml"
        recipe.parent.mkdir(parents=True)
        recipe.write_text("schema = 1\n", encoding="ascii")
        self.assertEqual(self.update().stdout, "update_recipes: added recipes/boards/starfive,visionfive-2/qos.toml\n")

    def test_what_is_no_toml_is_refused_with_its_place(self):
        recipe = self.card / "recipes/sched/qos.toml"
        recipe.write_text("schema = 1\n[service.audio\n", encoding="ascii")
        self.assert_refused(self.update(), "update_recipes: recipes/sched/qos.toml: Expected ']' at the end of a table "
                                           "declaration (at line 2,")
        recipe.write_bytes(b"schema = 1 # \xff\n")
        self.assert_refused(self.update(), "recipes/sched/qos.toml: 'utf-8' codec can't decode")

    def test_what_execd_refuses_is_refused(self):
        (self.card / "recipes/sched/qos.toml").write_text("schema = 1\n", encoding="ascii")
        execd = self.card.parent / "execd"
        execd.write_text('#!/bin/sh\n[ "$1 $3 $4" = "--check --cpus 2" ] && grep -q service "$2/services.toml" &&\n'
                         'echo "qos.toml:1:1: no" >&2; exit 1\n', encoding="ascii")
        execd.chmod(0o755)
        done = self.update("--execd", str(execd), "--cpus", "2")
        self.assert_refused(done, "qos.toml:1:1: no\nupdate_recipes: execd finds an error (above): nothing is written")

    def test_nothing_to_put_in(self):
        shutil.rmtree(self.card / "recipes")
        self.assert_refused(self.update(), f"no recipe (*.toml) in {self.card / 'recipes'}")

    def test_damaged_archives(self):
        for data, why in ((b"", "no member of a cpio newc archive at byte 0"), (self.before[:5000], "is cut off"),
                          (self.before[:20] + b"x" + self.before[21:], "damaged header at byte 0"),
                          (b"\x1f\x8b" + self.before, "no member of a cpio newc archive at byte 0")):
            self.initrd.write_bytes(data)
            done = self.update()
            self.assertEqual(done.returncode, 1)
            self.assertIn(why, done.stderr)
            self.assertEqual(self.initrd.read_bytes(), data)
        self.initrd.unlink()
        self.assertIn("No such file", self.update().stderr)


if __name__ == "__main__":
    unittest.main()
