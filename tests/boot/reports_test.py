# SPDX-License-Identifier: MIT
"""Boots that end in a report, and what scripts/symbolize makes of them: panics from any CPU, a hart that never leaves the
kernel, a program that crashes. One report between its marker lines; source lines where the code is that failed.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))

import uart_check  # noqa: E402

BEGIN, END = "KERNEL PANIC begin", "KERNEL PANIC end"
options = argparse.Namespace()


def boot(name, append, smp=4):
    """The clean lines of a boot that powers off or parks, and its log."""
    log = options.logs / f"{name}.uart.log"
    subprocess.run([sys.executable, ROOT / "tools/qemu_run.py", "--image", options.build / "Image", "--initrd",
                    options.build / "test-initrd.cpio", "--log", log, "--smp", str(smp), "--timeout", "90", "--append", append],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return uart_check.clean(log.read_text(encoding="utf-8", errors="replace")), log


def symbolize(log):
    done = subprocess.run([ROOT / "scripts/symbolize", "--build", options.build, "--reports-only", log], check=True,
                          capture_output=True, text=True)
    return done.stdout


def line_of(path, text):
    """Where in a source file a text stands."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


class Reports(unittest.TestCase):
    def only_report(self, lines):
        """The lines of the one report."""
        self.assertEqual((lines.count(BEGIN), lines.count(END)), (1, 1), "\n".join(lines[-60:]))
        return lines[lines.index(BEGIN) + 1:lines.index(END)]

    def has(self, report, pattern):
        found = [line for line in report if re.search(pattern, line)]
        self.assertTrue(found, f"no line matches '{pattern}':\n" + "\n".join(report))
        return found

    def panic_from(self, cpu, what):
        lines, log = boot(f"report-{what}-{cpu}", f"init=/bin/reboot_from neuron.break={what} neuron.trace=events -- {cpu}")
        self.assertIn(f"reboot_from: cpu {cpu}, 2 counters", lines)
        report = self.only_report(lines)
        self.has(report, rf"^on cpu {cpu}, hart {cpu}, ")
        self.has(report, rf"^  cpu {cpu}: reports; runs reboot_from \(tid 1 of process 1 reboot_from, normal\) at 0x")
        counters, idle = [[number for number in range(4) if number != cpu][part] for part in (slice(0, 2), slice(2, 3))]
        for counter in counters:
            self.has(report, rf"^  cpu {counter}: stopped; runs counter \(tid \d+ of process 1 reboot_from, normal\) at 0x.*; 1 runnable")
        self.has(report, rf"^  cpu {idle[0]}: stopped; idle; 0 runnable")
        for number in range(4):
            self.has(report, rf"^last events of cpu {number}:$")
        # What the counters were last: chosen to run.
        self.has(report, r"^  \d+\.\d{6} to \d+, ")
        return report, symbolize(log)

    def test_panic_on_each_cpu(self):
        for cpu in range(4):
            with self.subTest(cpu=cpu):
                report, text = self.panic_from(cpu, "panic")
                self.assertEqual(report[0], "provoked by neuron.break=panic")
                line = line_of("kernel/init/provoke.cpp", 'panic("provoked')
                self.assertRegex(text, rf"fail_check\(\) at kernel/init/provoke\.cpp:{line}\n")
                self.assertRegex(text, r"change_power(\(.*\))? at kernel/init/boot_devices\.cpp:\d+\n")
                # Counters were in user mode.
                self.assertRegex(text, r"runs counter .*\n(        .*\n)*        .*count_for_ever(\(\))? at .*reboot_from\.cpp:\d+")

    def test_exception(self):
        report, text = self.panic_from(1, "exception")
        self.assertEqual(report[0], "trap in the kernel: load page fault")
        self.has(report, r"stval +0xfffffff0dead0000")
        line = line_of("kernel/init/provoke.cpp", "const volatile std::uint64_t*")
        self.assertRegex(text, rf"\n  pc 0x[0-9a-f]+\n +.*fail_load\(\) at kernel/init/provoke\.cpp:{line}\n")

    def test_lockup(self):
        # CPU 3's neighbour before it has nothing to run; CPU 1's counts. Each must notice.
        for cpu in (3, 1):
            with self.subTest(cpu=cpu):
                lines, log = boot(f"report-lockup-{cpu}", f"init=/bin/reboot_from neuron.break=lockup watchdog=1 -- {cpu}")
                report = self.only_report(lines)
                self.assertRegex(report[0], rf"^cpu {cpu} did not leave the kernel for 1\.\d+s \(watchdog=\)$")
                self.has(report, rf"^on cpu {cpu - 1}, hart {cpu - 1}, ")
                self.has(report, rf"^  cpu {cpu}: does not stop; runs reboot_from ")
                self.has(report, rf"^stack of cpu {cpu}, ")
                text = symbolize(log)
                # The innermost return address is in a register of the hart that hangs.
                self.assertRegex(text, r"\n  \? 0x[0-9a-f]+\n(?:        .*\n)*?        .*sys_reboot\(.*kernel/syscall/system\.cpp:\d+\n")

    def test_watched_machine_sleeps(self):
        """With nothing to do, harts that watch each other take no more timer interrupts than others."""
        told = {}
        for watchdog in ("", "watchdog=1"):
            log = options.logs / f"report-sleep{watchdog}.uart.log"
            subprocess.run([sys.executable, ROOT / "tools/qemu_run.py", "--image", options.build / "Image", "--initrd",
                            options.build / "bench-initrd.cpio", "--log", log, "--smp", "2", "--turn-us", "10", "--timeout",
                            "90", "--append", f"{watchdog} init=/bin/bench -- idle_timer_interrupts"], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            text = log.read_text(encoding="utf-8", errors="replace")
            told[watchdog] = re.search(r"^BENCH idle_timer_interrupts (\S+)", text, re.M)[1]
        # The program slept a moment before it began to count: its wake-up then called the watcher, which looks once more
        # and finds it asleep. Harts that did not stop looking would take eight.
        self.assertLessEqual(float(told["watchdog=1"]), float(told[""]) + 2)

    def test_program_that_crashes(self):
        lines, log = boot("report-crash", "init=/bin/null_deref", smp=2)
        crash = self.has(lines, r"crash 1: null_deref \(tid 1\), program /bin/null_deref$")
        self.assertEqual(len(crash), 1)
        self.has(lines, r"crash 1: ra 0x[0-9a-f]+ sp 0x[0-9a-f]+ gp ")
        text = symbolize(log)
        line = line_of("tests/programs/null_deref.c", "WRONG, read")
        self.assertRegex(text, rf"crash 1: pc 0x[0-9a-f]+\n        main at tests/programs/null_deref\.c:{line}\n")
        self.assertRegex(text, r"perhaps from .*\n(        .*\n)*        __libc_start")

    def test_program_without_a_fixed_place_that_crashes(self):
        lines, log = boot("report-crash-pie", "init=/bin/null_deref_pie", smp=2)
        # Itself, its interpreter, the C library, and the kernel's page for signals.
        code = self.has(lines, r"crash 1: code 0x[0-9a-f]+-0x[0-9a-f]+ of /\S+ from offset 0x[0-9a-f]+$")
        self.assertEqual(sorted(re.search(r" of \S*/(\S+) from", line)[1] for line in code),
                         ["[sigreturn]", "ld-linux-riscv64-lp64d.so.1", "libc.so.6", "null_deref_pie"])
        line = line_of("tests/programs/null_deref.c", "WRONG, read")
        self.assertRegex(symbolize(log), rf"crash 1: pc 0x[0-9a-f]{{7,}}\n        main at tests/programs/null_deref\.c:{line}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--logs", type=pathlib.Path, required=True)
    options, rest = parser.parse_known_args(namespace=options)
    unittest.main(argv=[sys.argv[0], *rest])
