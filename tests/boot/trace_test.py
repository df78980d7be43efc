# SPDX-License-Identifier: MIT
"""A trace of the shares case, from the machine to Perfetto's format and back: CPU tracks whose slices add up to what the
kernel charged, the two workers on the CPU they are bound to, wake-ups before the slices they cause.
"""
import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests/trace"))

from test_tracing import values  # noqa: E402
from tracing import frames, perfetto, summary, timeline  # noqa: E402

# The kernel charges in its clock's ticks, 100 ns, and the record of it is in microseconds; a switch is written at the instant
# it is charged to. One per cent leaves room for tasks of a hundred microseconds.
TOLERANCE = 0.01


def slices_of(data):
    """tid -> ns on CPUs, out of a .pftrace's sched_switch events."""
    ran = {}
    for packet in values(data, 1):
        for bundle in values(packet, perfetto.FTRACE_EVENTS):
            running, since = 0, 0
            for event in values(bundle, 2):
                for switch in values(event, perfetto.SWITCH):
                    at = values(event, 1)[0]
                    assert values(switch, 2)[0] in (running, 0), "a slice ends that did not begin"
                    ran[running] = ran.get(running, 0) + at - since
                    running, since = values(switch, 6)[0], at
    return ran


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--log", required=True)
    options = parser.parse_args()
    subprocess.run([sys.executable, ROOT / "tools/qemu_run.py", "--image", options.image, "--initrd", options.initrd, "--log",
                    options.log, "--smp", "2", "--timeout", "120", "--append",
                    "boothart=0 init=/bin/trace -- run --records 16384 -- /bin/selftest shares,stay"],
                   check=True, stdout=subprocess.DEVNULL)
    text = pathlib.Path(options.log).read_text(encoding="utf-8", errors="replace")
    assert "SELFTEST: qos shares ratio ok" in text, "the case did not pass under the trace"
    told = timeline.build(frames.from_log(text)[-1])
    assert not told.warnings and not told.lost, (told.warnings, told.lost)
    ran = slices_of(perfetto.write(told))
    errors = summary.account_errors(told)
    workers = [task for task, _, _ in errors if task.name.startswith("!")]
    assert len(workers) == 2, [task.name for task, _, _ in errors]
    for task, _, charged in errors:
        off = abs(ran[task.tid] - charged) / charged
        print(f"{task.name} ({task.tid}): {ran[task.tid] / 1e6:.4f} ms in slices, {charged / 1e6:.4f} ms charged, {off:.5f} off")
        assert off <= TOLERANCE
    places = {part.cpu for part in told.slices if part.task in [task.tid for task in workers]}
    assert places == {1}, f"the workers ran on {places}, not on the case's CPU"
    late = [delay for delays in summary.wake_delays(told).values() for delay in delays]
    assert late, "no wake-up is in the trace"
    print(f"{len(told.switches)} switches, {len(late)} wake-ups, {len(told.events)} events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
