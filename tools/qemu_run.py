#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots an Image on one of QEMU's machines (board_cells.py), in one of two lanes, and keeps the UART log.

icount: one host thread runs the harts in turn and guest time is the instruction count, so a run is a function of
image, initrd and command line. mttcg: a host thread per hart, for races.
Exit status: 0 the machine powered itself off, or parked where it cannot (well or not: the log tells), 1 QEMU could not
run, 3 the time was up.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

import board_cells

TIMEOUT_STATUS = 3
# The last line of a kernel that cannot switch its machine off, after a run and after a panic.
PARKED = re.compile(rb"^(?:KINIT: halted[^\r\n]*|KERNEL PANIC end)\r*\n", re.M)


# A tickless machine has seconds between two timers: unbounded, a busy hart's turn would be as long, and every other hart's
# time would stand still for it. 200 us costs nothing that can be measured.
DEFAULT_TURN_US = 200


def lane_arguments(lane, smp, turn_us):
    """QEMU options of a lane; turn_us bounds a hart's turn under icount (0 = until the machine's next timer, None = the
    default)."""
    if turn_us is None:
        turn_us = DEFAULT_TURN_US if lane == "icount" and smp > 1 else 0
    if lane == "mttcg":
        if turn_us:
            raise ValueError("a turn length has a meaning in the icount lane only")
        return ["-accel", "tcg,thread=multi"]
    arguments = ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2025-01-01,clock=vm"]
    if turn_us:
        # An unused filter whose timer ends the turn.
        arguments += ["-netdev", "hubport,id=turn0,hubid=0",
                      "-object", f"filter-buffer,id=turns,netdev=turn0,interval={turn_us}"]
    return arguments


def kernel_command_line(lane, append, first_hart=0):
    """The icount lane pins the boot hart, which OpenSBI otherwise draws by lot."""
    words = append.split()
    if lane == "icount" and not any(word.startswith("boothart=") for word in words):
        words.insert(0, f"boothart={first_hart}")
    return " ".join(words)


def make_plan(options, work):
    """What the cell puts into the machine; raises board_cells.CellError."""
    job = board_cells.Job(image=options.image, initrd=options.initrd, build_dir=options.build_dir or options.image.parent,
                          work=work, smp=options.smp, mem=options.mem, append=options.append)
    cell = options.cell
    return board_cells.plan(cell, job, kernel_command_line(options.lane, options.append, cell.first_hart))


def is_watched(options, plan):
    """Whether we talk to the machine, or wait for it to park."""
    return bool(plan.dialogue) or options.cell.parks


def command(options, plan):
    cell = options.cell
    if options.interactive:
        serial = f"stdio,id=uart,mux=on,signal=off,logfile={options.log}"
    elif is_watched(options, plan):
        serial = "stdio,id=uart,signal=off"
    else:
        serial = f"file,id=uart,path={options.log}"
    line = [plan.emulator, "-M", options.machine or cell.machine, "-smp", str(options.smp + cell.other_harts),
            "-m", options.mem or cell.mem, "-nodefaults", "-display", "none", "-no-reboot",
            "-chardev", serial, "-serial", "chardev:uart"]
    if options.interactive:
        line += ["-mon", "chardev=uart,mode=readline"]
    if options.cpu or cell.cpu:
        line += ["-cpu", options.cpu or cell.cpu]
    line += lane_arguments(options.lane, options.smp, options.turn_us)
    line += plan.arguments
    if options.plugin:
        line += ["-plugin", options.plugin]
    if options.host_line:
        # Port 0 of a console of today's virtio (QEMU's own default is the interface before 1.0).
        line += ["-global", "virtio-mmio.force-legacy=false", "-chardev", f"{options.host_line},id=host-line", "-device",
                 "virtio-serial-device", "-device", "virtconsole,chardev=host-line"]
    if options.gdb:
        line += ["-S", "-gdb", f"tcp:127.0.0.1:{options.gdb_port}"]
    return line


# The filter that bounds the turns sits on a network that leads nowhere, as it is meant to; the boards' network devices
# have none.
EXPECTED_WARNINGS = re.compile(r"hub port turn0 has no peer|netdev turn0 has no peer|nic cadence_gem\.\d has no peer")


def pass_on(messages):
    """What QEMU says, but for what is expected."""
    for line in messages:
        if not EXPECTED_WARNINGS.search(line):
            print(line, end="", file=sys.stderr, flush=True)


class Conversation:
    """The console as bytes: what is read goes to the log, the replies are typed when their turn comes."""

    def __init__(self, dialogue, parks):
        self.replies = list(dialogue)
        self.parks = parks
        self.text = b""
        self.place = 0  # behind what was answered last
        self.parked = False

    def feed(self, data):
        """Takes what the machine said; returns what to type now."""
        self.text += data
        typed = b""
        while self.replies and not typed:
            match = re.compile(self.replies[0][0]).search(self.text, self.place)
            if not match:
                break
            self.place = match.end()
            typed = self.replies.pop(0)[1]
        if self.parks and PARKED.search(self.text):
            self.parked = True
        return typed

    def follow(self, process, log):
        """Until the machine is gone or has parked; then it is stopped."""
        with log.open("wb", buffering=0) as file:
            while not self.parked and (data := process.stdout.read1(65536)):
                file.write(data)
                typed = self.feed(data)
                if typed:
                    process.stdin.write(typed)
                    process.stdin.flush()
        if self.parked:
            process.kill()


def run_qemu(line, options, conversation=None):
    """QEMU's exit status, 0 when it was stopped because the machine had parked; raises subprocess.TimeoutExpired."""
    pipe = subprocess.PIPE if conversation else None
    with subprocess.Popen(line, stdin=pipe or (None if options.interactive else subprocess.DEVNULL), stdout=pipe,
                          stderr=subprocess.PIPE) as process:
        messages = (text.decode(errors="replace") for text in process.stderr)
        readers = [threading.Thread(target=pass_on, args=(messages,))]
        if conversation:
            readers.append(threading.Thread(target=conversation.follow, args=(process, options.log)))
        for reader in readers:
            reader.start()
        try:
            status = process.wait(options.timeout or None)
            return 0 if conversation and conversation.parked else status
        except BaseException:
            # SIGKILL: under icount QEMU does not always listen to anything less.
            process.kill()
            raise
        finally:
            for reader in readers:
                reader.join()


def run(options):
    """The exit status of this program; raises board_cells.CellError."""
    options.log.parent.mkdir(parents=True, exist_ok=True)
    options.log.write_bytes(b"")
    with tempfile.TemporaryDirectory(prefix="neuron-") as work:
        plan = make_plan(options, pathlib.Path(work))
        if options.digests:
            for name, value in plan.digests.items():
                print(f"sha256 {name:6} {value}", flush=True)
        return run_plan(options, plan)


def run_plan(options, plan):
    line = command(options, plan)
    conversation = Conversation(plan.dialogue, options.cell.parks) if is_watched(options, plan) else None
    try:
        status = run_qemu(line, options, conversation)
    except FileNotFoundError:
        print(f"qemu_run: {plan.emulator} is not installed: run scripts/setup.sh", file=sys.stderr)
        return 1
    except subprocess.TimeoutExpired:
        print(f"qemu_run: no end after {options.timeout} s, stopped", file=sys.stderr)
        return TIMEOUT_STATUS
    except KeyboardInterrupt:
        return 1
    if status != 0:
        # A kernel that powers off after a panic says "system failure", which becomes QEMU's status.
        print(f"qemu_run: QEMU ended with status {status}", file=sys.stderr)
        return 0 if options.log.stat().st_size else 1
    return 0


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=pathlib.Path, required=True)
    parser.add_argument("--initrd", type=pathlib.Path)
    parser.add_argument("--log", type=pathlib.Path, required=True, help="where the UART goes")
    parser.add_argument("--build-dir", type=pathlib.Path, help="device trees and card image; default: where the image is")
    parser.add_argument("--board", default="qemu-virt", help="the machine; board_cells.py table lists them")
    parser.add_argument("--machine", default="", help="QEMU's -machine instead of the board's")
    parser.add_argument("--cpu", default="", help="QEMU's -cpu instead of the board's")
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--mem", default="", help="RAM instead of the board's (virt: 512M)")
    parser.add_argument("--lane", choices=("icount", "mttcg"), default="icount")
    parser.add_argument("--turn-us", type=int, help=f"icount: a hart's longest turn; default {DEFAULT_TURN_US}, one hart: 0")
    parser.add_argument("--append", default="", help="kernel command line")
    parser.add_argument("--timeout", type=float, default=300, help="seconds of wall time; 0 = none")
    parser.add_argument("--interactive", action="store_true", help="UART on this terminal; Ctrl-A x leaves")
    parser.add_argument("--plugin", default="", metavar="FILE[,ARGUMENT]", help="a TCG plugin that watches the run")
    parser.add_argument("--host-line", default="", metavar="CHARDEV",
                        help="a virtio console that leads to this backend of QEMU's, such as file,path=FILE (/dev/hvc0)")
    parser.add_argument("--gdb", action="store_true", help="wait for a debugger on this machine")
    parser.add_argument("--gdb-port", type=int, default=int(os.environ.get("NEURON_GDB_PORT", "1234")), metavar="N",
                        help="its port; default NEURON_GDB_PORT, or 1234")
    parser.add_argument("--digests", action="store_true", help="print the SHA-256 of what the kernel is booted from")
    parser.add_argument("--print", action="store_true", help="print the QEMU command and do not run it")
    options = parser.parse_args(arguments)
    for path in (options.image, options.initrd):
        if path and not path.is_file():
            parser.error(f"no such file: {path}")
    try:
        options.cell = board_cells.find(options.board)
    except board_cells.CellError as error:
        parser.error(str(error))
    if options.lane not in options.cell.lanes:
        parser.error(f"{options.board} has no {options.lane} lane: {options.cell.note}")
    if options.interactive and options.board != "qemu-virt":
        parser.error(f"--interactive is for qemu-virt, not {options.board}")
    return options


def main(arguments):
    options = parse(arguments)
    try:
        if options.print:
            with tempfile.TemporaryDirectory(prefix="neuron-") as work:
                print(subprocess.list2cmdline(command(options, make_plan(options, pathlib.Path(work)))))
            return 0
        return run(options)
    except board_cells.CellError as error:
        print(f"qemu_run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
