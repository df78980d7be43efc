# SPDX-License-Identifier: MIT
"""The nx- commands of tools/gdb/neuron.py against a QEMU that stands still: the counters of /bin/reboot_from run, the CPU
they leave free sleeps, and the kernel hangs on purpose on the CPU that was to reboot.
"""
import argparse
import pathlib
import re
import socket
import subprocess
import sys
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
options = argparse.Namespace()
DONE = b"reboot_from: cpu 2, 2 counters"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(port):
    """QEMU, once the program has said that all is in place."""
    line = subprocess.run([sys.executable, ROOT / "tools/qemu_run.py", "--print", "--image", options.build / "Image",
                           "--initrd", options.build / "test-initrd.cpio", "--log", "/dev/null", "--smp", "4", "--append",
                           "init=/bin/reboot_from neuron.break=lockup -- 2"], check=True, capture_output=True, text=True).stdout
    words = line.split(" -append ")
    arguments = words[0].split() + ["-append", words[1].strip().strip('"')]
    arguments = ["stdio,id=uart,signal=off" if word.startswith("file,id=uart") else word for word in arguments]
    machine = subprocess.Popen(arguments + ["-gdb", f"tcp:127.0.0.1:{port}"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    end = threading.Timer(60, machine.kill)
    end.start()
    seen = b""
    while DONE not in seen:
        data = machine.stdout.read1(4096)
        if not data:
            machine.wait()
            raise AssertionError("the machine ended: " + seen.decode(errors="replace")[-2000:])
        seen += data
    end.cancel()
    threading.Thread(target=machine.stdout.read, daemon=True).start()
    return machine


class Commands(unittest.TestCase):
    """One machine, one gdb, all commands."""

    @classmethod
    def setUpClass(cls):
        port = free_port()
        machine = start(port)
        try:
            commands = ["nx-hart", "echo ==tasks\\n", "nx-tasks", "echo ==runq\\n", "nx-runq", "echo ==pt\\n", "nx-pt 0x10000 1",
                        "nx-pt &'kernel::task::harts'", "echo ==log\\n", "nx-log 5", "echo ==end\\n", "help nx-pt"]
            words = [part for command in commands for part in ("-ex", command)]
            done = subprocess.run([ROOT / "scripts/gdb.sh", "--elf", options.build / "kernel/neuron.elf", "--port", str(port), "--",
                                   "-batch", *words], capture_output=True, text=True, timeout=120, check=False)
            cls.text = done.stdout
            cls.errors = done.stderr
        finally:
            machine.kill()
            machine.wait()

    def part(self, begin, end):
        self.assertIn(f"=={end}", self.text, self.errors)
        return self.text.partition(f"=={begin}\n")[2].partition(f"=={end}\n")[0] if begin else self.text.partition(f"=={end}\n")[0]

    def test_harts(self):
        text = self.part("", "tasks")
        for cpu in (0, 1):
            self.assertRegex(text, rf"(?m)^cpu {cpu} hart {cpu} online: counter \(tid \d+\), 1 runnable, ")
        self.assertRegex(text, r"(?m)^cpu 2 hart 2 online: reboot_from \(tid 1\), 1 runnable, .* pc 0xffffffff8[0-9a-f]+ .*(never_return|cpu_relax)")
        self.assertRegex(text, r"(?m)^cpu 3 hart 3 online: sleeps, 0 runnable, ")

    def test_tasks(self):
        text = self.part("tasks", "runq")
        self.assertRegex(text, r"(?m)^ +1 +1 reboot_from +running +normal +100 +2 0x0000000000000004 0x[0-9a-f]+$")
        self.assertEqual(len(re.findall(r"(?m)^ +\d+ +1 counter +running +normal +100 +[01] 0x000000000000000[12] ", text)), 2)

    def test_run_queues(self):
        text = self.part("runq", "pt")
        self.assertRegex(text, r"(?m)^cpu 0: 1 runnable, 0 throttled\n  normal: V -?\d+, 1 tasks, weight 1600\n  \* counter ")
        self.assertRegex(text, r"(?m)^cpu 3: 0 runnable, 0 throttled$")

    def test_page_tables(self):
        text = self.part("pt", "log")
        self.assertRegex(text, r"(?m)^level 0: .* VR.XU.A. 0x[0-9a-f]+\n0x10000 is at 0x[0-9a-f]+$")
        self.assertRegex(text, r"(?m)^0xffffffff8[0-9a-f]+ is at 0x8[0-9a-f]+$")

    def test_log(self):
        lines = self.part("log", "end").splitlines()
        self.assertEqual(len(lines), 5)
        self.assertRegex(lines[-1], r"^(<\d>)?(\[ +\d+\.\d{6}\] |KINIT|KSELFTEST)")

    def test_help(self):
        self.assertIn("nx-pt ADDRESS [TID]", self.text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    options, rest = parser.parse_known_args(namespace=options)
    unittest.main(argv=[sys.argv[0], *rest])
