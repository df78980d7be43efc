# SPDX-License-Identifier: MIT
"""sched-sim's trace of 1:3 shares on one hart, read by the kernel trace's converter: nothing damaged, and the slices are
the shares. Usage: trace_test.py SCHED_SIM FILE
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))

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
    return 0


if __name__ == "__main__":
    sys.exit(main())
