#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fetch-u-boot.sh with a made-up apt-get: it uses a state of its own, once, and keeps what it found."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Packs what a download brings; `dpkg-deb --build` makes it the real thing.
APT_GET = """#!/bin/sh
echo "$@" >>{folder}/calls
for package; do :; done
case "$*" in
*" update")
    lists=$(for word; do case "$word" in Dir::State::Lists=*) echo "${{word#*=}}" ;; esac; done)
    sources=$(for word; do case "$word" in Dir::Etc::SourceList=*) echo "${{word#*=}}" ;; esac; done)
    grep -q " {broken} main" "$sources" && {{ echo "E: Mirror sync in progress?" >&2; exit 100; }}
    printf 'Suite: stable\nCodename: {codename}\n' >"$lists/mirror_dists_stable_InRelease" ;;
*" download "*)
    mkdir -p tree/DEBIAN tree/usr/lib/u-boot/{board}
    printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: m\\nDescription: d\\n' >tree/DEBIAN/control
    for file in {files}; do echo "$file of $PWD" >tree/usr/lib/u-boot/{board}/$file; done
    dpkg-deb --build tree "${{package}}_1_all.deb" >/dev/null && rm -r tree ;;
esac
"""


class FetchTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def fetch(self, *arguments, board="starfive_visionfive2", files="u-boot-spl.bin.normal.out u-boot.itb", broken="none",
              codename="trixie"):
        tool = self.folder / "apt-get"
        tool.write_text(APT_GET.format(folder=self.folder, board=board, files=files, broken=broken, codename=codename),
                        encoding="ascii")
        tool.chmod(0o755)
        known = self.folder / "apt-cache"  # no package stands for another one
        known.write_text("#!/bin/sh\n", encoding="ascii")
        known.chmod(0o755)
        return subprocess.run([ROOT / "scripts/flash/fetch-u-boot.sh", *arguments], text=True, capture_output=True, check=False,
                              env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}",
                                   "NEURON_CACHE_DIR": str(self.folder / "cache")})

    def calls(self):
        return (self.folder / "calls").read_text(encoding="ascii").splitlines()

    def test_once_and_apart_from_the_system(self):
        done = self.fetch()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        target = self.folder / "cache/u-boot-starfive-trixie"
        self.assertEqual(done.stdout, f"{target}\n")
        self.assertEqual(sorted(path.name for path in target.iterdir()), ["from", "u-boot-spl.bin.normal.out", "u-boot.itb"])
        self.assertEqual([call.split()[-1] for call in self.calls()], ["update", "u-boot-starfive"])
        for call in self.calls():
            for option in ("Dir::Etc::SourceList=", "Dir::Etc::SourceParts=", "Dir::State::Lists=", "Dir::State::status=",
                           "Dir::Cache=", "Dir::Cache::archives="):
                self.assertIn(f"{option}{self.folder}/cache/fetch.", call)
        self.assertEqual(self.fetch().stdout, f"{target}\n")
        self.assertEqual(len(self.calls()), 2, "the second time there is nothing to fetch")
        self.assertEqual([path for path in (self.folder / "cache").iterdir() if path.name.startswith("fetch.")], [])

    def test_for_qemu(self):
        done = self.fetch("qemu", board="qemu-riscv64_smode", files="u-boot.bin")
        self.assertEqual((done.returncode, done.stdout), (0, f"{self.folder}/cache/u-boot-qemu-trixie\n"))
        self.assertEqual(self.calls()[1].split()[-1], "u-boot-qemu")

    def test_a_mirror_that_is_being_brought_up_to_date(self):
        done = self.fetch(broken="trixie")
        self.assertEqual((done.returncode, done.stdout), (0, f"{self.folder}/cache/u-boot-starfive-trixie\n"))
        self.assertEqual([call.split()[-1] for call in self.calls()], ["update", "update", "u-boot-starfive"])

    def test_another_release_of_that_name(self):
        done = self.fetch(broken="trixie", codename="forky")
        self.assertEqual(done.returncode, 1)
        self.assertIn("has no complete 'trixie' at present", done.stderr)

    def test_a_package_without_the_file(self):
        done = self.fetch(files="u-boot.itb")
        self.assertEqual(done.returncode, 1)
        self.assertIn("has no starfive_visionfive2/u-boot-spl.bin.normal.out any more", done.stderr)
        self.assertFalse((self.folder / "cache/u-boot-starfive-trixie").exists())

    def test_unknown_argument(self):
        done = self.fetch("star64")
        self.assertEqual(done.returncode, 1)
        self.assertIn("unknown argument 'star64'", done.stderr)


if __name__ == "__main__":
    unittest.main()
