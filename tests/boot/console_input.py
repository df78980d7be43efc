#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Types a line at a program on the guest's terminal, as a person would, and wants it back.

With --flood the line is noisy before that: bytes come as fast as the machine takes them, from its first instruction on until
the program has waited for a moment. They are taken back by the terminal's own key for that, and the line must still arrive.

The machine is QEMU's virt with the given options; --no-controller disables its PLIC in the device tree, so that the
console has to be polled. Exit status: 0 when the program got the line and the kernel said what it should of the console's interrupt.
"""

import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading

QEMU = "qemu-system-riscv64"
PROMPT = "read_line: waiting"
TYPED = "over the wire"
ANSWER = f"read_line: got '{TYPED}'"
KILL_LINE = b"\x15"
# No control characters, which would end the line or the program.
NOISE = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
FLOODED_BYTES = 70_000  # behind the prompt, and more than a pipe holds: seventeen times the longest line


def tree_without_controller(machine, smp, folder):
    """The machine's own device tree with its PLIC disabled."""
    tree = pathlib.Path(folder) / "machine.dtb"
    subprocess.run([QEMU, "-M", f"{machine},dumpdtb={tree}", "-smp", str(smp), "-display", "none"], check=True,
                   stderr=subprocess.DEVNULL)
    subprocess.run(["fdtput", "-t", "s", str(tree), "/soc/plic@c000000", "status", "disabled"], check=True)
    return tree


def type_at(descriptor, is_waiting, flood):
    """Types the line once the program waits for it; before that and for a while after it noise, if there is to be a flood."""
    noise = random.Random(flood)
    written = 0
    try:
        while flood is not None and (not is_waiting.is_set() or written < FLOODED_BYTES):
            count = os.write(descriptor, bytes(noise.choices(NOISE, k=4096)))
            written = written + count if is_waiting.is_set() else 0
        is_waiting.wait()
        os.write(descriptor, (KILL_LINE if flood is not None else b"") + TYPED.encode() + b"\r")
    except BrokenPipeError:
        pass  # it has ended, and the log says why


def converse(command, timeout, flood):
    """Everything the guest printed, as lines."""
    lines = []
    is_waiting = threading.Event()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as guest:
        watchdog = threading.Timer(timeout, guest.kill)
        watchdog.start()
        typist = threading.Thread(target=type_at, args=(guest.stdin.fileno(), is_waiting, flood))
        typist.start()
        try:
            with open(guest.stdout.fileno(), encoding="utf-8", errors="replace", closefd=False) as output:
                for line in output:
                    lines.append(line.rstrip("\r\n"))
                    if PROMPT in line:
                        is_waiting.set()
        finally:
            watchdog.cancel()
            is_waiting.set()
            guest.wait()
            typist.join()
    return lines


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=pathlib.Path, required=True)
    parser.add_argument("--initrd", type=pathlib.Path, required=True)
    parser.add_argument("--log", type=pathlib.Path, required=True)
    parser.add_argument("--machine", default="virt")
    parser.add_argument("--smp", type=int, default=2)
    parser.add_argument("--no-controller", action="store_true")
    parser.add_argument("--sockets", action="store_true",
                        help="two sockets with a controller each: boot on the one that the console does not hang off")
    parser.add_argument("--flood", type=int, metavar="SEED", help="noise until the program has waited for a while")
    parser.add_argument("--expect", required=True, help="text that a line of the boot must contain")
    parser.add_argument("--timeout", type=float, default=60)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        boot_hart = options.smp - 1 if options.sockets else 0
        command = [QEMU, "-M", options.machine, "-smp", str(options.smp), "-m", "256M", "-nodefaults", "-display", "none",
                   "-no-reboot", "-serial", "stdio", "-kernel", str(options.image), "-initrd", str(options.initrd),
                   "-append", f"init=/bin/read_line boothart={boot_hart}"]
        if options.sockets:
            for node, cpus in enumerate(("0", f"1-{boot_hart}")):
                command += ["-object", f"memory-backend-ram,id=ram{node},size=128M",
                            "-numa", f"node,nodeid={node},memdev=ram{node},cpus={cpus}"]
        if options.no_controller:
            command += ["-dtb", str(tree_without_controller(options.machine, options.smp, folder))]
        lines = converse(command, options.timeout, options.flood)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    options.log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    proof = "KSELFTEST: console irq " + ("SKIP (polled)" if options.no_controller else "ok")
    wrong = [f"no line has '{text}'" for text in (options.expect, proof, ANSWER) if not any(text in line for line in lines)]
    for sentence in wrong:
        print(f"console_input: {sentence}")
    if wrong:
        print(f"log {options.log}:", *(line if line.isascii() else "(noise)" for line in lines[-40:]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
