#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots an Image on QEMU's virt machine, in one of two lanes, and keeps the UART log.

icount: one host thread runs the harts in turn and guest time is the instruction count, so a run is a function of
image, initrd and command line. mttcg: a host thread per hart, for races.
Exit status: 0 the machine powered itself off (well or not: the log tells), 1 QEMU could not run, 3 the time was up.
"""

import argparse
import pathlib
import subprocess
import sys
import threading

TIMEOUT_STATUS = 3
QEMU = "qemu-system-riscv64"


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


def kernel_command_line(lane, append):
    """The icount lane pins the boot hart, which OpenSBI otherwise draws by lot."""
    words = append.split()
    if lane == "icount" and not any(word.startswith("boothart=") for word in words):
        words.insert(0, "boothart=0")
    return " ".join(words)


def command(options):
    serial = f"stdio,id=uart,mux=on,signal=off,logfile={options.log}" if options.interactive \
        else f"file,id=uart,path={options.log}"
    line = [QEMU, "-M", options.machine, "-smp", str(options.smp), "-m", options.mem, "-nodefaults", "-display", "none",
            "-no-reboot", "-chardev", serial, "-serial", "chardev:uart"]
    if options.interactive:
        line += ["-mon", "chardev=uart,mode=readline"]
    if options.cpu:
        line += ["-cpu", options.cpu]
    line += lane_arguments(options.lane, options.smp, options.turn_us)
    line += ["-kernel", str(options.image)]
    if options.initrd:
        line += ["-initrd", str(options.initrd)]
    append = kernel_command_line(options.lane, options.append)
    if append:
        line += ["-append", append]
    if options.gdb:
        line += ["-S", "-s"]
    return line


# The filter that bounds the turns sits on a network that leads nowhere, as it is meant to.
EXPECTED_WARNINGS = ("hub port turn0 has no peer", "netdev turn0 has no peer")


def pass_on(messages):
    """What QEMU says, but for what is expected."""
    for line in messages:
        if not any(warning in line for warning in EXPECTED_WARNINGS):
            print(line, end="", file=sys.stderr, flush=True)


def run_qemu(line, options):
    """QEMU's exit status; raises subprocess.TimeoutExpired."""
    with subprocess.Popen(line, stdin=None if options.interactive else subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, errors="replace") as process:
        reader = threading.Thread(target=pass_on, args=(process.stderr,))
        reader.start()
        try:
            return process.wait(options.timeout or None)
        except BaseException:
            # SIGKILL: under icount QEMU does not always listen to anything less.
            process.kill()
            raise
        finally:
            reader.join()


def run(options):
    options.log.parent.mkdir(parents=True, exist_ok=True)
    options.log.write_bytes(b"")
    line = command(options)
    try:
        status = run_qemu(line, options)
    except FileNotFoundError:
        print(f"qemu_run: {QEMU} is not installed: run scripts/setup.sh", file=sys.stderr)
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
    parser.add_argument("--machine", default="virt")
    parser.add_argument("--cpu", default="")
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--mem", default="512M")
    parser.add_argument("--lane", choices=("icount", "mttcg"), default="icount")
    parser.add_argument("--turn-us", type=int, help=f"icount: a hart's longest turn; default {DEFAULT_TURN_US}, one hart: 0")
    parser.add_argument("--append", default="", help="kernel command line")
    parser.add_argument("--timeout", type=float, default=300, help="seconds of wall time; 0 = none")
    parser.add_argument("--interactive", action="store_true", help="UART on this terminal; Ctrl-A x leaves")
    parser.add_argument("--gdb", action="store_true", help="wait for a debugger on port 1234")
    parser.add_argument("--print", action="store_true", help="print the QEMU command and do not run it")
    options = parser.parse_args(arguments)
    for path in (options.image, options.initrd):
        if path and not path.is_file():
            parser.error(f"no such file: {path}")
    return options


def main(arguments):
    options = parse(arguments)
    if options.print:
        print(subprocess.list2cmdline(command(options)))
        return 0
    return run(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
