#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's own programs for riscv64, and one of Go's, each told to do a little; judged by what they say of themselves, not by
time. HARTS says how many harts there are.
"""

import os
import re
import unittest

import machine

HARTS = int(os.environ["HARTS"])


def script(*lines):
    """A shell script that says what it runs and how that ended."""
    return "".join(f"echo '== {line}'; {line}; echo \"== status $?\"\n" for line in lines)


class ProgramsTest(unittest.TestCase):
    def run_script(self, name, paths, *lines):
        """What each line printed; all of them must have ended well."""
        guest = machine.Machine(f"foreign-{name}-{HARTS}", ["/usr/bin/busybox", *paths], "init=/usr/bin/busybox -- sh /script", HARTS,
                                extra={"/script": machine.text_file(script(*lines))})
        self.addCleanup(guest.close)
        # The kernel's own lines may come in between.
        text = re.sub(r"(?m)^(KSELFTEST: |\[ *\d+\.\d+\] ).*\n", "", guest.finish())
        self.assertRegex(text, r"(?m)^init: exited with status 0, powering off$", guest.log)
        printed = []
        for line in lines:
            match = re.search(rf"(?ms)^== {re.escape(line)}\n(.*?)^== status (\d+)$", text)
            self.assertIsNotNone(match, f"{line} did not end (log {guest.log})")
            self.assertEqual(match[2], "0", f"status of {line}, which printed:\n{match[1]}")
            printed.append(match[1])
        return printed

    def test_cyclictest(self):
        """Every thread of each kind wakes up as often as it was told to."""
        cases = (("", 0, 1), (" -p 80", 80, 1), (f" -t {HARTS} -a -p 20", 20, HARTS))
        lines = [f"cyclictest -q -i 1000 -l 30{more}" for more, _, _ in cases]
        for (_, priority, threads), printed in zip(cases, self.run_script("cyclictest", ["/usr/bin/cyclictest"], *lines)):
            rows = re.findall(r"(?m)^T: *(\d+) \( *\d+\) P: *(\d+) I:(\d+) C: *(\d+) Min: *(\d+) Act: *(\d+) Avg: *(\d+) Max: *(\d+)$", printed)
            self.assertEqual([int(row[0]) for row in rows], list(range(threads)), printed)
            for row in rows:
                number, shown, _, cycles, least, last, average, most = map(int, row)
                self.assertEqual(shown, priority, printed)
                # All stop when the first, whose interval is the shortest, has done its own.
                self.assertIn(cycles, range(1, 31) if number else [30], printed)
                self.assertLessEqual(least, average, printed)
                self.assertLessEqual(max(average, last), most, printed)

    def test_hackbench(self):
        """Senders and receivers, as processes and as threads, through sockets and through pipes."""
        cases = [(mode, kind) for mode in ("process", "thread") for kind in ("", " -p")]
        lines = [f"hackbench --{mode}{'s' if mode == 'thread' else ''}{kind} -g 1 -f 5 -l 20" for mode, kind in cases]
        for (mode, _), printed in zip(cases, self.run_script("hackbench", ["/usr/bin/hackbench"], *lines)):
            named = {"process": "process", "thread": "threaded"}[mode]
            self.assertRegex(printed, rf"\ARunning in {named} mode with 1 groups using 10 file descriptors each \(== 10 tasks\)\n"
                                      r"Each sender will pass 20 messages of 100 bytes\nTime: \d+\.\d+\n\Z")

    def test_stress_ng(self):
        """Each stressor does its operations and finds nothing wrong."""
        stressors = {"cpu": "--cpu-ops 4 --cpu-method int8", "switch": "--switch-ops 200", "pipe": "--pipe-ops 200",
                     "futex": "--futex-ops 10", "vm": "--vm-ops 4 --vm-bytes 1m --vm-method incdec"}
        # The futex stressor waits 5 us at a time. Where every hart is busy and they share one stream of instructions, that is over
        # before the wait begins, and no wake-up finds a waiter: so there is one pair only.
        count = {name: 1 if name == "futex" else 2 for name in stressors}
        lines = [f"stress-ng --temp-path /tmp --verify --{name} {count[name]} {options}" for name, options in stressors.items()]
        for name, printed in zip(stressors, self.run_script("stress-ng", ["/usr/bin/stress-ng"], *lines)):
            self.assertIn(f"dispatching hogs: {count[name]} {name}", printed)
            self.assertRegex(printed, rf"passed: {count[name]}: {name} \({count[name]}\)\n")
            self.assertRegex(printed, r"failed: 0\n")
            self.assertRegex(printed, r"successful run completed in ")

    def test_go(self):
        """A static Go program prints its version, and translates from one language to another with all its threads, text and files."""
        source = "let answer: number = 6 * 7; export const say = (): number => answer"
        version, translated, bundled = self.run_script(
            "go", ["/opt/esbuild/bin/esbuild"], "/opt/esbuild/bin/esbuild --version",
            f'echo "{source}" | /opt/esbuild/bin/esbuild --loader=ts --minify',
            f'echo "{source}" > /tmp/a.ts; printf "import {{say}} from \\042./a\\042; say()" > /tmp/b.ts; '
            "/opt/esbuild/bin/esbuild /tmp/b.ts --bundle --minify --log-level=error")
        self.assertRegex(version, r"^\d+\.\d+\.\d+\n$")
        self.assertEqual(translated, "let e=42;export const say=()=>e;\n")
        # Files it opens are polled: its runtime makes an event list.
        self.assertEqual(bundled, "(()=>{var e=42,r=()=>e;r();})();\n")


if __name__ == "__main__":
    unittest.main()
