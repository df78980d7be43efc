# SPDX-License-Identifier: MIT
"""scripts/setup.sh against a stand-in dpkg-query that says what is installed."""
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def setup(installed, *arguments):
    """Runs setup.sh on a machine where exactly `installed` {package: version} is there; apt-get and sudo fail."""
    with tempfile.TemporaryDirectory() as folder:
        def write(name, text):
            path = pathlib.Path(folder, name)
            path.write_text("#!/bin/bash\n" + text, encoding="utf-8")
            path.chmod(0o755)
        cases = "".join(f"{package}) echo 'installed {version}' ;;\n" for package, version in installed.items())
        write("dpkg-query", f'case "${{!#}}" in\n{cases}*) exit 1 ;;\nesac\n')
        for forbidden in ("apt-get", "sudo", "tee"):
            write(forbidden, f"echo {forbidden} was called >&2; exit 99\n")
        return subprocess.run([ROOT / "scripts/setup.sh", *arguments], text=True, capture_output=True, check=False,
                              env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})


ALL = dict.fromkeys("""cmake ninja-build ccache g++ g++-riscv64-linux-gnu git python3 xz-utils linux-source-6.12
    libtomlplusplus-dev googletest device-tree-compiler""".split(), "1.0")
ALL |= {"qemu-system-riscv": "1:10.0.2", "qemu-system-common": "1:10.0.2", "qemu-system-data": "1:10.0.2",
        "opensbi": "1.5.1-1~bpo12+2"}


@unittest.skipUnless("bookworm" in pathlib.Path("/etc/os-release").read_text(encoding="utf-8"), "not Debian 12")
class SetupTest(unittest.TestCase):
    def test_nothing_to_do_makes_no_apt_call(self):
        done = setup(ALL, "run")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "setup: everything is installed\n", ""))

    def test_dry_run_names_what_is_missing_and_changes_nothing(self):
        some = {package: version for package, version in ALL.items() if package != "ccache"}
        done = setup(some, "--dry-run", "run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "setup: to install: ccache\n")

    def test_old_firmware_is_replaced(self):
        done = setup(ALL | {"opensbi": "1.1-2"}, "--dry-run", "run")
        self.assertIn("to install from bookworm-backports: opensbi\n", done.stdout)

    def test_the_test_group_wants_more(self):
        self.assertIn("clang-tidy-19", setup(ALL, "--dry-run").stdout)

    def test_unknown_argument(self):
        done = setup(ALL, "--colour")
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown argument '--colour'", done.stderr)

    def test_installing_calls_the_package_manager(self):
        done = setup({package: version for package, version in ALL.items() if package != "ccache"}, "run")
        self.assertEqual(done.returncode, 99)


if __name__ == "__main__":
    unittest.main()
