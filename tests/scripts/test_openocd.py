# SPDX-License-Identifier: MIT
"""boards/visionfive2/openocd.cfg as OpenOCD reads it, without an adapter: it is understood, and it makes the four harts."""
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "boards/visionfive2/openocd.cfg"


def openocd(*words):
    done = subprocess.run(["openocd", "-c", "adapter driver dummy", *words, "-c", 'echo "harts: [target names]"; shutdown'],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


class Config(unittest.TestCase):
    def test_the_harts_that_run_the_kernel(self):
        status, told = openocd("-f", CONFIG)
        self.assertEqual(status, 0, told)
        self.assertIn("harts: jh7110.hart1 jh7110.hart2 jh7110.hart3 jh7110.hart4\n", told)

    def test_what_nobody_has_looked_at_can_be_set(self):
        status, told = openocd("-c", "set FIRST_HART 0", "-c", "set TAP_ID 0x12345", "-f", CONFIG)
        self.assertEqual(status, 0, told)
        self.assertIn("harts: jh7110.hart0 jh7110.hart1 jh7110.hart2 jh7110.hart3\n", told)

    def test_openocd_says_when_it_does_not_understand(self):
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as broken:
            broken.write(CONFIG.read_text(encoding="utf-8").replace("target smp", "target together"))
            broken.flush()
            self.assertNotEqual(openocd("-f", broken.name)[0], 0)


if __name__ == "__main__":
    unittest.main()
