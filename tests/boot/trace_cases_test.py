# SPDX-License-Identifier: MIT
"""The cases that docs/tracing.md and scripts/trace.sh name, each traced to a file by the line to the host: the case passes under the
trace, nothing is lost, and the slices of the Perfetto file add up to what was charged.
"""
import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
import trace_test  # pylint: disable=wrong-import-position
from tracing import frames, perfetto, timeline  # pylint: disable=wrong-import-position

CASES = ["latency", "steal", "pi", "budget"]
# Of a task's charge, or of one tick of the kernel's clock and one microsecond of its record for each of its slices.
TOLERANCE, SLICE_NS = 0.01, 1_100


def check(options, case):
    log = pathlib.Path(options.log).with_name(f"trace-{case}.uart.log")
    file = log.with_suffix(".ntrace")
    text = trace_test.boot(options, log, f"run --records 16384 -- /bin/selftest {case},stay", "--host-line", f"file,path={file}")
    assert "SELFTEST: end (pass=1 fail=0 skip=0)" in text, f"{case}: {text[-800:]}"
    told = timeline.build(frames.from_files(file.read_bytes())[-1])
    assert not told.warnings and not told.lost, (case, told.warnings, told.lost)
    data = perfetto.write(told)
    ran = trace_test.slices_of(data)
    born = {task.tid for task in told.tasks.values() if task.born and task.ended}
    charges = {tid: charged for tid, charged in trace_test.charges_of(data).items() if tid in born}
    assert charges, f"{case}: no task is born and ends in the trace"
    slices = {tid: sum(1 for part in told.slices if part.task == tid) for tid in charges}
    for tid, charged in charges.items():
        off = abs(ran[tid][0] - charged)
        assert off <= max(TOLERANCE * charged, SLICE_NS * slices[tid]), f"{case}: {tid}: {ran[tid][0]} ns in slices, {charged} charged"
    print(f"{case}: {len(charges)} tasks, {len(told.slices)} slices")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--image", "--initrd", "--log"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    for case in CASES:
        check(options, case)
    return 0


if __name__ == "__main__":
    sys.exit(main())
