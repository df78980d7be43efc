#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a failing run of the system call fuzzer small: fewer rounds, fewer tasks, fewer calls, while it fails the same way.

    shrink.py --seed S --first R --rounds N --calls N [--preset riscv-debug] [--append WORDS]
    shrink.py --guided --preset riscv-fuzz --seed S --rounds N --calls N [--corpus FILE]

Every attempt is a boot under icount, where a run is the same each time. A run fails when the kernel panics, hangs, or
call_fuzz finds something WRONG; the same way means: the same line says so, numbers aside. Prints the command line of the
smallest run found and leaves its log in build/logs/.

A guided run's rounds depend on what was kept before. Its last round alone is repeated from a corpus that says so (build/logs/
shrink-corpus.txt), and made small like any other; if what fails needs earlier rounds too, only its last round is made small.
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make_archive(options, corpus):
    """The fuzzer and these kept sequences; returns where."""
    logs = ROOT / "build/logs"
    (logs / "shrink-corpus.txt").write_text(corpus)
    archive = logs / "shrink-initrd.cpio"
    program = ROOT / "build" / options.programs / "fuzz_initrd-root/call_fuzz"
    subprocess.run([ROOT / "tools/mkinitrd.py", "--output", archive, f"/bin/call_fuzz={program}",
                    f"/corpus/calls={logs / 'shrink-corpus.txt'}"], check=True)
    return archive


def boot(options, run, log):
    """What failed in this run, numbers left out; None: nothing."""
    append = f"init=/bin/call_fuzz {options.append} -- {'guided ' if options.guided else ''}{run['seed']} {run['first']} " \
             f"{run['rounds']} {run['calls']} {run['tasks']} {run['from']} {run['to']}"
    build = ROOT / "build" / options.preset
    command = [ROOT / "tools/qemu_run.py", "--image", build / "Image", "--initrd", options.archive, "--log", log,
               "--smp", str(options.smp), "--timeout", str(options.timeout), "--append", append]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return why(log.read_text(errors="replace").splitlines(), done.returncode), append


def why(lines, status):
    for number, line in enumerate(lines):
        if line.strip() == "KERNEL PANIC begin":
            return re.sub(r"0x[0-9a-f]+|\d+", "N", " ".join(lines[number + 1:number + 2]))
        if "call_fuzz: WRONG" in line:
            return re.sub(r"0x[0-9a-f]+|\d+", "N", line)
    return None if status == 0 else f"ended with status {status}"


def last_round(run, corpus, log):
    """The round a guided run ended in, and the corpus that makes it do the same by itself."""
    lines = log.read_text(errors="replace").splitlines()
    rounds = [int(match[1]) for match in (re.match(r"call_fuzz: round (\d+),", line) for line in lines) if match]
    kept = [line.removeprefix("call_fuzz: kept ") for line in lines if line.startswith("call_fuzz: kept ")]
    return dict(run, first=rounds[-1], rounds=1), corpus + "\nlearned\n" + "".join(f"{line}\n" for line in kept)


def shrink(run, fails, is_guided=False):
    """The smallest run for which `fails` holds, by halves. Pre: fails(run)."""
    run = dict(run)
    last = run["first"] + run["rounds"] - 1
    # Rounds are independent but for what they leave behind: the last alone, else the latter half, and so on.
    keep = 1
    while not is_guided and keep < run["rounds"]:
        attempt = dict(run, first=last - keep + 1, rounds=keep)
        if fails(attempt):
            run = attempt
            break
        keep *= 2
    for task in range(4):
        attempt = dict(run, tasks=run["tasks"] & ~(1 << task))
        if attempt["tasks"] and attempt["tasks"] != run["tasks"] and fails(attempt):
            run = attempt
    run["to"] = min(run["to"], run["calls"])
    for end in ("to", "from"):
        step = (run["to"] - run["from"] + 1) // 2
        while step > 0:
            attempt = dict(run, **{end: run[end] + (step if end == "from" else -step)})
            if attempt["from"] < attempt["to"] and fails(attempt):
                run = attempt
            else:
                step //= 2
    return run


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--preset", default="riscv-debug")
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--append", default="", help="more of the kernel's command line")
    parser.add_argument("--guided", action="store_true")
    parser.add_argument("--corpus", type=pathlib.Path, default=ROOT / "tests/fuzz/corpus/calls.txt", help="of a guided run")
    parser.add_argument("--programs", default="riscv-debug", help="the preset whose call_fuzz is run")
    options = parser.parse_args(arguments)
    options.archive = make_archive(options, options.corpus.read_text())
    log = ROOT / "build/logs/shrink.uart.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    run = {"seed": options.seed, "first": options.first, "rounds": options.rounds, "calls": options.calls, "tasks": 15,
           "from": 0, "to": options.calls}
    wanted, append = boot(options, run, log)
    if wanted is None:
        print(f"shrink: nothing fails with {append}")
        return 1
    print(f"shrink: {wanted}")

    def fails(attempt):
        found, line = boot(options, attempt, log)
        print(f"shrink: {'fails' if found == wanted else 'does not'}: {line.split('--')[1]}")
        return found == wanted

    if options.guided:
        alone, corpus = last_round(run, options.corpus.read_text(), log)
        whole, options.archive = options.archive, make_archive(options, corpus)
        if fails(alone):
            run = alone
        else:
            run, options.archive = dict(run, rounds=alone["first"] - run["first"] + 1), whole
    run = shrink(run, fails, options.guided)
    _, append = boot(options, run, log)
    print(f"shrink: smallest: {append}\nshrink: log {log}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
