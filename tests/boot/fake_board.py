#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A board on a serial line, for tests: a pseudo-terminal behind which a command (QEMU) runs, once SIGUSR1 gives it power.

Prints the process id when the line is there. Ends when its input does, and says how many bytes it was sent before.
"""

import argparse
import os
import pathlib
import pty
import random
import select
import signal
import subprocess
import sys
import tty

SEED = 7


def noise(count):
    """What a line carries while a board gets power; nothing in it reads as a line of ours."""
    return random.Random(SEED).randbytes(count)


class Distortion:
    """Replaces bytes in a stream, wherever its pieces are cut."""

    def __init__(self, pairs):
        self.pairs = [pair.encode().split(b"=>") for pair in pairs]
        self.kept = b""

    def feed(self, data):
        self.kept += data
        for old, new in self.pairs:
            self.kept = self.kept.replace(old, new)
        hold = max((len(old) - 1 for old, _ in self.pairs), default=0)
        # What could be the beginning of a pattern waits for the rest.
        hold = next((length for length in range(min(hold, len(self.kept)), 0, -1)
                     if any(old.startswith(self.kept[-length:]) for old, _ in self.pairs)), 0)
        out, self.kept = self.kept[:len(self.kept) - hold], self.kept[len(self.kept) - hold:]
        return out


def relay(line, process, distortion):
    """Both ways until our input ends; returns the number of bytes that were typed."""
    typed = 0
    sources = [line, process.stdout.fileno(), sys.stdin.fileno()]
    while True:
        for source in select.select(sources, [], [])[0]:
            data = os.read(source, 4096)
            if source == sys.stdin.fileno():
                return typed
            if source == line:
                typed += len(data)
                os.write(process.stdin.fileno(), data)
            elif data:
                os.write(line, distortion.feed(data))
            else:
                sources.remove(source)  # no power any more; the line stays


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", type=pathlib.Path, required=True, help="symbolic link to the line, made here")
    parser.add_argument("--noise", type=int, default=0, help="bytes of noise when the power comes")
    parser.add_argument("--replace", action="append", default=[], metavar="OLD=>NEW", help="distort what is said")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    line, other_end = pty.openpty()
    tty.setraw(other_end)
    options.link.symlink_to(os.ttyname(other_end))
    print(os.getpid(), flush=True)
    signal.sigwait({signal.SIGUSR1})
    os.write(line, noise(options.noise))
    with subprocess.Popen(options.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            print(f"typed: {relay(line, process, Distortion(options.replace))}", flush=True)
        finally:
            process.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
