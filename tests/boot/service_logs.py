#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What services write is kept for `svc logs`, with what happened to them: all of it however they end, the newest of one that
never stops writing, which keeps nobody else from a latency target. And what a crash was, in `svc status` and `svc logs`.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What a program wrote at once and its number, of what the kernel keeps for each service (nexus_abi/output_log.hpp).
KEPT_BYTES = 16384


def part(text, name):
    """What was printed between `begin NAME` and the next `begin` or `end`."""
    found = re.search(rf"(?ms)^begin {name}\n(.*?)^(?:begin \w+|end)$", text)
    assert found, f"no part '{name}'"
    return found[1]


def untimed(text):
    return re.sub(r"(?m)^\[\d+\.\d{6}\] ", "", text)


def check_talker(text):
    log = untimed(part(text, "talker"))
    assert re.fullmatch(r"info: started as pid \d+\ninfo: > one\nerr: > two\ninfo: > three\n"
                        r"err: > nsh: nosuch: command not found\nwarn: exited \(status 127\)\n", log), log


def check_tool(text):
    """A tool of the shell as a service."""
    log = untimed(part(text, "lister"))
    assert re.fullmatch(r"info: started as pid (\d+)\ninfo: > PID COMMAND\n(info: > .*\n)*info: > +1 execd\n(info: > .*\n)*"
                        r"info: > +\1 ps\n(info: > .*\n)*info: exited \(status 0\)\n", log), log


def check_crash(text):
    lines = untimed(part(text, "crasher")).splitlines()
    assert re.fullmatch(r"info: started as pid \d+", lines[0]) and lines[1] == "info: > demo: crasher reads address 0", lines
    assert lines[2] == "err: killed by signal 11", lines
    assert re.fullmatch(r"err: load page fault, pc 0x[0-9a-f]+, address 0x0", lines[3]), lines
    assert re.fullmatch(r"err: pc 0x[0-9a-f]+ .*read_from\(int const volatile\*\)\+0x[0-9a-f]+", lines[4]), lines
    registers = re.findall(r"\b(?:ra|sp|gp|tp|fp|[ast]\d+) 0x[0-9a-f]+", "\n".join(lines[5:]))
    assert len(registers) == 31, registers
    callers = [line for line in lines if line.startswith("err: from 0x")]
    # The one that called it, and what called that.
    assert "crash(" in callers[0] and re.search(r" main\+0x[0-9a-f]+$", callers[1]), callers
    assert untimed(part(text, "errors")).splitlines() == lines[2:], "those of level err"
    status = part(text, "status")
    assert re.search(r"(?m)^crasher +ended +- +1 +/bin/demo +killed by signal 11 \(load page fault, pc .*read_from\(.*\)\+0x"
                     r"[0-9a-f]+, address 0x0\)$", status), status


def check_flood(text):
    log = untimed(part(text, "flood")).splitlines()
    assert log[0].startswith("info: started as pid ") and log[1] == "notice: what it wrote before is gone", log[:3]
    assert log[-2:] == ["notice: is stopped by hand", "notice: killed by signal 15"], log[-3:]
    kept = [int(re.fullmatch(r"info: > demo: flood writes line (\d+)", line)[1]) for line in log[2:-2]]
    assert kept == list(range(kept[0], kept[0] + len(kept))), "one after the other"
    written = [int(number) for number in re.findall(r"(?m)^demo: flood writes line (\d+)$", text)]
    assert kept[-1] == max(written), f"kept up to {kept[-1]}, the console has {max(written)}"
    assert len(kept) < len(written) / 2 and sum(len(line) for line in log) < 2 * KEPT_BYTES, "the newest alone"
    print(f"{len(written)} lines written, the last {len(kept)} kept")


def check_neighbour(text):
    before, after = [json.loads(line) for line in re.findall(r"(?m)^\{.*\}$", text)]
    met = after["latency_met"] - before["latency_met"]
    print(f"target met {met} times beside it, missed {after['latency_missed']} times")
    # It wakes every millisecond, and two intervals of top are 200 ms.
    assert met >= 200 and after["latency_missed"] == 0 and after["latency_ns"] == 1_000_000, after


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("image", "initrd", "log"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    subprocess.run([sys.executable, ROOT / "tools/qemu_run.py", "--image", options.image, "--initrd", options.initrd, "--log",
                    options.log, "--smp", "1", "--timeout", "120", "--append", "neuron.recipes=/recipes-logs"],
                   check=True, stdout=subprocess.DEVNULL)
    text = pathlib.Path(options.log).read_text(encoding="utf-8", errors="replace").replace("\r", "")
    for check in (check_talker, check_tool, check_crash, check_flood, check_neighbour):
        check(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
