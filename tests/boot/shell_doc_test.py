#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Types the session of docs/shell.md at the console and compares what comes back; a line `...` stands for any lines."""

import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/foreign"))
import machine  # pylint: disable=wrong-import-position

PROMPT = "neuron# "
SESSION = re.compile(r"<!-- session: (\d+) harts, (.*?) -->\n```\n(.*?)```", re.S)


def commands(block):
    """[(what is typed, what comes back)] of a block whose first line begins with the prompt."""
    parts = re.split(rf"(?m)^{re.escape(PROMPT)}", block)[1:]
    return [part.partition("\n")[::2] for part in parts]


def pattern(expected):
    lines = [r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in expected.splitlines()]
    return re.compile("".join(lines))


class ShellDocTest(unittest.TestCase):
    def test_sessions(self):
        text = (ROOT / "docs/shell.md").read_text(encoding="utf-8")
        sessions = SESSION.findall(text)
        self.assertTrue(sessions, "docs/shell.md has a session")
        for harts, append, block in sessions:
            shell = machine.Machine("shell-doc", [], append, int(harts), "mttcg",
                                    initrd=pathlib.Path(os.environ["BUILD_DIR"]) / "initrd.cpio", prompt=PROMPT)
            self.addCleanup(shell.close)
            # What services print comes between; Return gives a prompt of its own.
            shell.expect(r"^execd: svc=ui exited \(status 0\)$")
            shell.send("\r")
            shell.expect(r"\n" + PROMPT)
            for typed, expected in commands(block):
                printed = shell.run(typed)
                self.assertRegex(printed, re.compile(rf"\A{pattern(expected).pattern}\Z"), typed)


if __name__ == "__main__":
    unittest.main()
