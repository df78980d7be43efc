#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Types a line at a program on the guest's terminal, as a person would, and wants it back.

The machine is QEMU's virt with the given options; --no-controller disables its PLIC in the device tree, so that the
console has to be polled. Exit status: 0 when the program got the line and the kernel said what it should of the console's interrupt.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import threading

QEMU = "qemu-system-riscv64"
PROMPT = "read_line: waiting"
TYPED = "over the wire"
ANSWER = f"read_line: got '{TYPED}'"


def tree_without_controller(machine, smp, folder):
    """The machine's own device tree with its PLIC disabled."""
    tree = pathlib.Path(folder) / "machine.dtb"
    subprocess.run([QEMU, "-M", f"{machine},dumpdtb={tree}", "-smp", str(smp), "-display", "none"], check=True,
                   stderr=subprocess.DEVNULL)
    subprocess.run(["fdtput", "-t", "s", str(tree), "/soc/plic@c000000", "status", "disabled"], check=True)
    return tree


def converse(command, timeout):
    """Everything the guest printed, as lines; the line is typed once the program waits for it."""
    lines = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace") as guest:
        watchdog = threading.Timer(timeout, guest.kill)
        watchdog.start()
        try:
            for line in guest.stdout:
                lines.append(line.rstrip("\r\n"))
                if PROMPT in line:
                    guest.stdin.write(TYPED + "\r")
                    guest.stdin.flush()
        finally:
            watchdog.cancel()
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
        lines = converse(command, options.timeout)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    options.log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    proof = "KSELFTEST: console irq " + ("SKIP (polled)" if options.no_controller else "ok")
    wrong = [f"no line has '{text}'" for text in (options.expect, proof, ANSWER) if not any(text in line for line in lines)]
    for sentence in wrong:
        print(f"console_input: {sentence}")
    if wrong:
        print(f"log {options.log}:", *lines[-40:], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
