# SPDX-License-Identifier: MIT
"""QEMU with programs nobody compiled for NEURON, its UART as text, and a shell to talk to.

BUILD_DIR and LOG_DIR say where the image is and the logs go; scripts/fetch-programs.sh says where the programs are.
"""

import os
import pathlib
import re
import select
import stat
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import program_archive  # pylint: disable=wrong-import-position
import qemu_run  # pylint: disable=wrong-import-position

# Of wall time, for a boot. Nothing is judged by it: a program that hangs ends here.
TIMEOUT_S = 120
PROMPT = "[ready]"
# What the kernel says of itself once it is so.
MARKER = r"KSELFTEST: .*\n"
# Colours, cursor movements, and the line editor's question where the cursor is (ECMA-48, 5.4).
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[@-~]")


def programs():
    """The folder with the programs."""
    script = subprocess.run([ROOT / "scripts/fetch-programs.sh"], check=True, capture_output=True, text=True)
    return pathlib.Path(script.stdout.strip())


def text_file(text):
    """What program_archive.build() takes for a file that is not on this machine."""
    return stat.S_IFREG | 0o644, text.encode()


def link(target):
    """The same for a symbolic link."""
    return stat.S_IFLNK | 0o777, target.encode()


class Machine:
    """A booted NEURON. Its text is what the UART said, without carriage returns and escape sequences."""

    def __init__(self, name, paths, append, smp=1, lane="icount", extra=None, initrd=None, prompt=PROMPT):
        """paths, extra: what is in the archive, unless `initrd` is one."""
        build, logs = pathlib.Path(os.environ["BUILD_DIR"]), pathlib.Path(os.environ["LOG_DIR"])
        self.prompt = prompt
        self._folder = tempfile.TemporaryDirectory()
        work = pathlib.Path(self._folder.name)
        if initrd is None:
            initrd = work / "initrd.cpio"
            initrd.write_bytes(program_archive.build(paths, programs(), needed_only=True, extra=extra)[0])
        self.log = logs / f"{name}.uart.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        options = qemu_run.parse(["--image", str(build / "Image"), "--initrd", str(initrd),
                                  "--log", str(self.log), "--smp", str(smp), "--lane", lane, "--append", append,
                                  "--interactive"])
        self.raw = b""
        self.seen = 0
        self.process = subprocess.Popen(qemu_run.command(options, qemu_run.make_plan(options, work)), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.deadline = time.monotonic() + TIMEOUT_S

    @property
    def text(self):
        return ESCAPES.sub("", self.raw.decode("utf-8", "replace").replace("\r", ""))

    def _read(self):
        """Takes in what the machine says next; False at its end."""
        left = max(0, self.deadline - time.monotonic())
        ready, _, _ = select.select([self.process.stdout], [], [], left)
        data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
        self.raw += data
        return bool(data)

    def expect(self, pattern):
        """Waits for the pattern behind what was expected before; returns the match."""
        while not (match := re.compile(pattern, re.M).search(self.text, self.seen)):
            if not self._read():
                raise AssertionError(f"nothing matches {pattern!r} (log {self.log}); last:\n{self.text[-1500:]}")
        self.seen = match.end()
        return match

    def send(self, keys):
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

    def run(self, line):
        """Types a line at the shell's prompt; returns what it printed."""
        begin = self.seen
        self.send(line + "\r")
        self.expect(re.escape(self.prompt))
        said = self.text[begin:self.seen - len(self.prompt)]
        # The kernel says some things once, whenever they happen: on a line of its own, which may cut the echo.
        cut = re.match(r"(.*)\n" + MARKER, said)
        if cut and line.startswith(cut[1]) and line != cut[1]:
            said = cut[1] + said[cut.end():]
        echoed, _, printed = said.partition("\n")
        printed = re.sub("(?m)^" + MARKER, "", printed)
        if echoed != line:
            raise AssertionError(f"typed {line!r}, echoed {echoed!r} (log {self.log})")
        return printed

    def finish(self):
        """Waits for the machine to power off; returns everything it said."""
        while self._read():
            pass
        if time.monotonic() >= self.deadline:
            raise AssertionError(f"no end after {TIMEOUT_S} s (log {self.log}); last:\n{self.text[-1500:]}")
        return self.text

    def close(self):
        self.process.kill()
        self.process.communicate()
        self._folder.cleanup()


def shell(name, paths, smp, extra=None):
    """A machine whose init is busybox's shell at its prompt, on a host thread per hart: what is typed comes from outside,
    which the other lane does not wait for."""
    machine = Machine(name, ["/usr/bin/busybox", *paths], f"init=/usr/bin/busybox PS1={PROMPT} -- sh", smp, "mttcg", extra)
    machine.expect(re.escape(PROMPT))
    return machine
