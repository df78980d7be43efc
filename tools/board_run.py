#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Watches one boot of a real board over its serial line and keeps two logs: everything, and what the kernel said.

Nothing is ever sent: the line is opened for reading only, since a byte that arrives early stops the autoboot of U-Boot. Start
it before the board has power, or let --power-cmd switch it.
Exit status: 0 the run came to an end (well or not: the log tells), 1 the line or the power command failed, 3 the time was up.
"""

import argparse
import errno
import fcntl
import os
import pathlib
import re
import select
import subprocess
import sys
import termios
import time
import tomllib

TIMEOUT_STATUS = 3
# The kernel's part begins with what U-Boot prints last or, where there is no U-Boot or its line got lost, with the
# kernel's own first line.
KERNEL = re.compile(rb"Starting kernel \.\.\.|NEURON \d+\.\d+\.\d+ on |^KERNEL PANIC begin", re.M)
END = re.compile(rb"^SELFTEST: end \([^\r\n]*\)\r*\n", re.M)
PANIC = re.compile(rb"^KERNEL PANIC (?!end)", re.M)
PANIC_END = re.compile(rb"^KERNEL PANIC end\r*\n", re.M)
# Firmware once more, behind the kernel's first line.
RESTART = re.compile(rb"^(?:U-Boot SPL |U-Boot 20\d\d\.|OpenSBI v\d)", re.M)
PROMPT = re.compile(rb"(?:^|[\r\n])(StarFive # |=> )\s*\Z")
# A line at 115200 baud carries 11 bytes in a millisecond; after so long without one the board has nothing more to say.
QUIET_S = 2.0
# U-Boot that has been at its prompt for so long will not go on by itself.
PROMPT_S = 5.0


class Boot:
    """What is known of a boot from the bytes so far."""

    def __init__(self):
        self.raw = bytearray()

    def feed(self, data):
        self.raw += data

    def kernel_part(self):
        """From the kernel's first line on; empty before it."""
        match = KERNEL.search(self.raw)
        if not match:
            return b""
        return bytes(self.raw[self.raw.rfind(b"\n", 0, match.start()) + 1:])

    def end(self):
        """Why the boot is over ("end", "panic", "restart"), or "" while it goes on."""
        part = self.kernel_part()
        if PANIC_END.search(part):
            return "panic"
        if END.search(part):
            return "end"
        return "restart" if RESTART.search(part) else ""

    def judged_part(self):
        """What is to be judged: up to the end marker, unless the kernel panics behind it. What firmware says about powering
        off is not the kernel's."""
        part = self.kernel_part()
        match = END.search(part)
        return part if not match or PANIC.search(part, match.end()) else part[:match.end()]

    def stopped_at_prompt(self):
        match = PROMPT.search(self.raw)
        return match[1].decode().strip() if match else ""


def explain(log, messages):
    """Says what the messages in a log mean, in the order of the list."""
    text = log.decode("utf-8", "replace")
    for entry in messages:
        if entry["text"] in text:
            print(f"board_run: '{entry['text']}': {entry['means']} {entry['help']}", file=sys.stderr)


def open_serial(path, baud):
    """Raises OSError, termios.error."""
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise OSError(errno.EINVAL, f"no serial line has {baud} baud")
    line = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "in use by another program") from None
    settings = termios.tcgetattr(line)
    settings[0] = termios.IGNBRK
    settings[1] = 0
    settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL  # 8N1, no flow control, no hang-up on close
    settings[3] = 0
    settings[4] = settings[5] = speed
    termios.tcsetattr(line, termios.TCSANOW, settings)
    termios.tcflush(line, termios.TCIFLUSH)
    return line


def read_some(line, seconds):
    """Bytes; b"" when none came in time; None when the line is gone."""
    if not select.select([line], [], [], max(0.0, seconds))[0]:
        return b""
    try:
        return os.read(line, 65536) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None


def watch(line, boot, log, options, power):
    """Follows the boot to its end: "" or what stopped it before, in words."""
    start = heard = time.monotonic()
    while True:
        now = time.monotonic()
        limit = options.timeout if boot.kernel_part() else options.boot_timeout
        if now - start >= limit:
            return f"no end after {limit:g} s" if boot.kernel_part() else f"no kernel after {limit:g} s"
        over = boot.end()
        wait = QUIET_S if over else min(1.0, start + limit - now)
        data = read_some(line, wait)
        if data is None:
            return "" if over else "the serial line is gone"
        if over and not data:
            return "the board started again" if over == "restart" else ""
        if power and power.poll() not in (None, 0):
            return f"the power command failed with status {power.returncode}"
        if data:
            heard = time.monotonic()
            boot.feed(data)
            log.write(data)
        elif time.monotonic() - heard >= PROMPT_S and boot.stopped_at_prompt():
            return "no kernel: U-Boot waits for commands"


def run(options):
    messages = tomllib.loads(options.messages.read_text(encoding="utf-8"))["message"] if options.messages else []
    for path in (options.log, options.raw_log):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    try:
        line = open_serial(options.serial, options.baud)
    except (OSError, termios.error) as error:
        print(f"board_run: {options.serial}: {error.args[-1]}", file=sys.stderr)
        return 1
    boot = Boot()
    power = None
    if options.power_cmd:
        power = subprocess.Popen(["/bin/sh", "-c", options.power_cmd], stdin=subprocess.DEVNULL)
    else:
        print(f"board_run: listening on {options.serial}: switch the board on, or reset it", file=sys.stderr, flush=True)
    try:
        with options.raw_log.open("wb", buffering=0) as log:
            stopped = watch(line, boot, log, options, power)
    except KeyboardInterrupt:
        stopped = "interrupted"
    finally:
        os.close(line)
        if power and power.poll() is None:
            power.kill()
    options.log.write_bytes(boot.judged_part())
    if not stopped:
        # What firmware complains of before a kernel that runs to its end is harmless.
        explain(boot.judged_part(), [entry for entry in messages if entry["from"] == "kernel"])
        return 0
    print(f"board_run: {stopped}", file=sys.stderr)
    if prompt := boot.stopped_at_prompt():
        print(f"board_run: the board waits at the prompt of U-Boot, '{prompt}'", file=sys.stderr)
    if not boot.raw:
        print("board_run: not one byte came: power, cable (adapter's RX to pin 8), another port?", file=sys.stderr)
    explain(boot.raw, messages)
    if stopped.startswith("no "):
        return TIMEOUT_STATUS
    return 1 if stopped.startswith(("the power", "interrupted")) else 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serial", required=True, help="the serial line: /dev/ttyUSB0")
    parser.add_argument("--baud", type=int, default=115200)
    parser.add_argument("--power-cmd", help="a shell command that switches the board off and on; run once listening")
    parser.add_argument("--boot-timeout", type=float, default=60, help="seconds until the kernel's first line")
    parser.add_argument("--timeout", type=float, default=300, help="seconds until the end of the run")
    parser.add_argument("--log", type=pathlib.Path, required=True, help="where the kernel's part goes")
    parser.add_argument("--raw-log", type=pathlib.Path, required=True, help="where everything goes")
    parser.add_argument("--messages", type=pathlib.Path, help="what messages of the firmware mean (TOML)")
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
