# SPDX-License-Identifier: MIT
"""sched-sim's trace of 1:3 shares on one hart, read by the kernel trace's converter: nothing damaged, and the slices are
the shares. Usage: trace_test.py SCHED_SIM FILE
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/trace")]

import protoc_reader  # noqa: E402
from test_tracing import line, two_tasks  # noqa: E402
from tracing import frames, summary, timeline  # noqa: E402

WORKLOAD = """
[machine]
harts = 1
[run]
duration = "3s"
warmup = "1s"
[view]
from = "1s"
span = "2s"
[[task]]
name = "one"
shares = 100
[[task]]
name = "three"
shares = 300
"""


def main():
    simulator, output = sys.argv[1:]
    workload = pathlib.Path(output).with_suffix(".toml")
    workload.write_text(WORKLOAD, encoding="utf-8")
    subprocess.run([simulator, workload, "--quiet", "--trace", output], check=True)
    told = timeline.build(frames.from_file(pathlib.Path(output).read_bytes()))
    assert not told.warnings and not told.lost, told.warnings
    ran = {told.name(tid): ns for tid, (ns, _, _) in summary.by_task(told).items()}
    total = sum(ran.values())
    print(ran, total)
    # Two hogs leave no idle time; the view begins and ends within a turn of at most 3 ms.
    assert 2e9 - total < 6e6, total
    assert abs(ran["three"] / total - 0.75) < 6e6 / 2e9, ran
    assert {told.task(tid).shares for tid in told.tasks} == {100, 300}
    check_beside(output)
    return 0


def check_beside(output):
    """A real run and this one in one trace, as protoc reads it: CPUs and tasks of their own, the same slices as alone."""
    real = pathlib.Path(output).with_suffix(".log")
    both = pathlib.Path(output).with_suffix(".pftrace")
    real.write_text("\n".join(map(line, two_tasks())), encoding="utf-8")
    subprocess.run([ROOT / "scripts/trace2perfetto", real, "--beside", output, "--perfetto", both], check=True)
    found = protoc_reader.packets(both.read_bytes())
    threads = protoc_reader.threads_of(found)
    assert sorted(threads.values()) == ["hog", "sim:one", "sim:three", "ui"], threads
    slices = protoc_reader.slices_of(found)
    assert {(cpu, threads[tid]) for cpu, tid, _, _ in slices} == {(0, "hog"), (0, "ui"), (2, "sim:one"), (2, "sim:three")}
    assert min(begin for cpu, _, begin, _ in slices if cpu == 0) == min(begin for cpu, _, begin, _ in slices if cpu == 2) == 0
    ran = {name: sum(end - begin for _, tid, begin, end in slices if threads[tid] == name) for name in threads.values()}
    assert (ran["hog"], ran["ui"]) == (9_000_000, 1_000_000), ran
    assert abs(ran["sim:three"] / (ran["sim:one"] + ran["sim:three"]) - 0.75) < 6e6 / 2e9, ran


if __name__ == "__main__":
    sys.exit(main())
