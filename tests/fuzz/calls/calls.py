#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The fuzzer of calls, guided by the kernel of the preset riscv-fuzz.

    calls.py guides    for the same seed and as many calls, runs that are guided or have the corpus reach more edges than blind ones
    calls.py planted   a defect behind three steps (neuron.break=sequence) is found by guided calls; prints how as many blind ones do
    calls.py code      other kernels have no instrumentation; the function that blocks call calls nothing
    calls.py keep      new rounds, then what is needed to reach what was reached: written to tests/fuzz/corpus/calls.txt

Boots are under icount, where a run is a function of kernel, program, corpus and numbers. Exit status: 0 as it should be, 1 not.
"""
import argparse
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
CORPUS = ROOT / "tests/fuzz/corpus/calls.txt"
HEADER = CORPUS.read_text().splitlines()[0] + "\n"
PROGRESS = re.compile(r"call_fuzz: (?:round \d+,|good:) (\d+) calls.*?, (\d+) edges,")


class Run:
    """A boot of the fuzzer and what it printed."""

    def __init__(self, options, name, words, corpus="", append=""):
        log = ROOT / "build/logs/riscv-fuzz" / f"{name}.uart.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        program = ROOT / "build" / options.programs / "fuzz_initrd-root/call_fuzz"
        with tempfile.TemporaryDirectory() as work:
            file = pathlib.Path(work) / "calls"
            file.write_text(corpus)
            archive = pathlib.Path(work) / "initrd.cpio"
            subprocess.run([ROOT / "tools/mkinitrd.py", "--output", archive, f"/bin/call_fuzz={program}",
                            f"/corpus/calls={file}"], check=True)
            command = [ROOT / "tools/qemu_run.py", "--image", ROOT / "build/riscv-fuzz/Image", "--initrd", archive, "--log", log,
                       "--smp", "4", "--lane", getattr(options, "lane", "icount"), "--timeout", str(options.timeout),
                       "--append", f"loglevel=4 watchdog=60 {append} init=/bin/call_fuzz -- {words}"]
            self.status = subprocess.run(command, capture_output=True, check=False).returncode
        self.lines = log.read_text(errors="replace").splitlines()
        self.log = log

    def progress(self):
        """[(calls, edges)], as they grew."""
        found = [PROGRESS.search(line) for line in self.lines]
        return [(int(match[1]), int(match[2])) for match in found if match]

    def edges_at(self, calls, last):
        """Reached by that many calls: the last figure before (`last`) or the first one after."""
        before = [edges for made, edges in self.progress() if made <= calls]
        after = [edges for made, edges in self.progress() if made >= calls]
        return before[-1] if last else after[0]

    def kept(self, word="kept"):
        prefix = f"call_fuzz: {word} "
        return [line[len(prefix):] for line in self.lines if line.startswith(prefix)]

    def good(self):
        return self.status == 0 and any(line.startswith("call_fuzz: good: ") for line in self.lines)

    def has(self, pattern):
        return any(re.search(pattern, line) for line in self.lines)


def guides(options):
    words = f"{options.seed} 0 {options.rounds} {options.calls}"
    blind = Run(options, "blind", f"{options.seed} 0 {options.blind_rounds} {options.calls}")
    guided = Run(options, "guided", f"guided {words}")
    helped = Run(options, "helped", f"guided {words}", CORPUS.read_text())
    for run in (blind, guided, helped):
        if not run.good():
            print(f"calls: {run.log} is not good")
            return 1
    calls = min(run.progress()[-1][0] for run in (blind, guided, helped))
    # In doubt for the blind run: its edges a little later, those of the others a little earlier.
    edges = [blind.edges_at(calls, False), guided.edges_at(calls, True), helped.edges_at(calls, True)]
    print(f"calls: seed {options.seed}, {calls} calls: blind {edges[0]} edges, guided {edges[1]}, with the corpus {edges[2]}")
    growth = [reached for _, reached in guided.progress()]
    return 0 if edges[0] < min(edges[1:]) and growth[0] < growth[-1] else 1


def planted(options):
    """Two of three guided runs find it within their rounds, so that none of six does once in a thousand kernels. Blind ones find it
    about as often: what is kept of a sequence does not yet keep all the calls that later ones need."""
    sign = r"the planted sequence of calls was made"

    def run(kind, seed, rounds):
        done = Run(options, f"planted-{kind}", f"{'guided ' if kind == 'guided' else ''}{seed} 0 {rounds} {options.calls}",
                   append="neuron.break=sequence")
        return done, done.progress()[-1][0]

    seeds = range(options.seed, options.seed + options.seeds)
    made = 0
    for seed in seeds:
        guided, calls = run("guided", seed, options.rounds)
        made += calls
        if guided.has(sign):
            break
        if not guided.good():
            print(f"calls: {guided.log} is not good")
            return 1
    print(f"calls: seeds {seeds[0]} to {seed}: {'found' if guided.has(sign) else 'NOT found'} by {made} guided calls")
    others = 0
    for seed in itertools.count(options.seed):
        blind, calls = run("blind", seed, options.blind_rounds)
        others += calls
        if not blind.good() or others >= made:
            break
    print(f"calls: seeds {seeds[0]} to {seed}: {'FOUND' if blind.has(sign) else 'not found'} by {others} blind calls")
    return 0 if guided.has(sign) else 1


def code(options):
    wrong = 0
    for kernel in options.kernels:
        elf = ROOT / "build" / kernel / "kernel/neuron.elf"
        names = subprocess.run([f"{options.tools}nm", elf], capture_output=True, text=True, check=True).stdout
        if "sanitizer_cov" in names or "coverage" in names:
            print(f"calls: {elf} is instrumented")
            wrong = 1
    elf = ROOT / "build/riscv-fuzz/kernel/neuron.elf"
    text = subprocess.run([f"{options.tools}objdump", "-d", "--no-show-raw-insn", "--disassemble=__sanitizer_cov_trace_pc", elf],
                          capture_output=True, text=True, check=True).stdout
    body = re.findall(r"^[0-9a-f]+:\s+(\S+)\s*(.*)$", text, re.M)
    calls = [" ".join(found) for found in body if found[0] in ("jal", "jalr", "call", "tail", "ecall") or
             (found[0] in ("j", "jr") and "__sanitizer_cov_trace_pc" not in found[1])]
    if not body or calls:
        print(f"calls: what blocks call must call nothing: {calls or 'it is not there'}")
        wrong = 1
    print(f"calls: {len(options.kernels)} kernels without instrumentation, {len(body)} instructions in front of a block")
    return wrong


def keep(options):
    entries = [line for line in CORPUS.read_text().splitlines() if line and not line.startswith("#")]
    run = Run(options, "keep", f"guided {options.seed} 0 {options.rounds} {options.calls}", "\n".join(entries))
    entries += run.kept()
    # Each once more, as it is: what still reaches something, in this order, is enough.
    rounds = 2 + sum(len(line.split()) for line in entries) // (3 * options.calls)
    again = Run(options, "keep-again", f"guided {options.seed} 0 {rounds} {options.calls}", "\n".join(entries))
    chosen = again.kept("again")[:options.most]
    CORPUS.write_text(HEADER + "".join(f"{line}\n" for line in chosen))
    print(f"calls: {run.progress()[-1]} calls and edges, {len(entries)} entries, {len(chosen)} written")
    return 0 if run.good() and chosen else 1


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, function, rounds in (("guides", guides, 60), ("planted", planted, 150), ("code", code, 0), ("keep", keep, 400)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--seeds", type=int, default=6, help="guided runs at most, until one finds it")
        command.add_argument("--rounds", type=int, default=rounds)
        command.add_argument("--blind-rounds", type=int, default=rounds)
        command.add_argument("--calls", type=int, default=200)
        command.add_argument("--timeout", type=float, default=280)
        command.add_argument("--most", type=int, default=400, help="entries that are kept")
        command.add_argument("--lane", choices=("icount", "mttcg"), default="icount")
        command.add_argument("--programs", default="riscv-debug", help="the preset whose call_fuzz is run")
        command.add_argument("--kernels", nargs="*", default=["riscv-debug", "riscv-release"])
        command.add_argument("--tools", default="riscv64-linux-gnu-")
    options = parser.parse_args(arguments)
    return options.function(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
