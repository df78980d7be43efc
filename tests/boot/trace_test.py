# SPDX-License-Identifier: MIT
"""A trace of the shares case, from the machine to Perfetto's format and back: CPU tracks whose slices add up to what the
kernel charged, the two workers on the CPU they are bound to, wake-ups before the slices they cause; and README's picture of it.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests/trace"))

import protoc_reader  # noqa: E402
from test_tracing import values  # noqa: E402
from tracing import frames, perfetto, summary, timeline  # noqa: E402

# The kernel charges in its clock's ticks, 100 ns, and the record of it is in microseconds; a switch is written at the instant
# it is charged to. One per cent leaves room for tasks of a hundred microseconds.
TOLERANCE = 0.01


def slices_of(data):
    """tid -> [ns on CPUs, CPUs], out of a .pftrace's sched_switch events."""
    ran = {}
    for packet in values(data, 1):
        for bundle in values(packet, perfetto.FTRACE_EVENTS):
            cpu, running, since = (values(bundle, 1) or [0])[0], 0, 0
            for event in values(bundle, 2):
                for switch in values(event, perfetto.SWITCH):
                    at = values(event, 1)[0]
                    assert values(switch, 2)[0] in (running, 0), "a slice ends that did not begin"
                    if running:
                        told = ran.setdefault(running, [0, set()])
                        told[0] += at - since
                        told[1].add(cpu)
                    running, since = values(switch, 6)[0], at
    return ran


def charges_of(data):
    """tid -> ns that the kernel says it charged, out of a .pftrace's counters: the last value of each."""
    names, last = {}, {}
    for packet in values(data, 1):
        for track in values(packet, perfetto.TRACK_DESCRIPTOR):
            names[values(track, 1)[0]] = values(track, 2)[0].decode()
        for event in values(packet, perfetto.TRACK_EVENT):
            if values(event, 9) == [perfetto.COUNTER]:
                last[values(event, 11)[0]] = values(event, 30)[0]
    found = {}
    for track, name in names.items():
        if match := re.fullmatch(r".* \((\d+)\) charged us", name):
            found[int(match[1])] = last[track] * 1000
    return found


def threads_of(data):
    """tid -> name, out of a .pftrace's process tree."""
    return {values(thread, 1)[0]: values(thread, 2)[0].decode() for packet in values(data, 1)
            for tree in values(packet, perfetto.PROCESS_TREE) for thread in values(tree, 2)}


def check_by_protoc(data, charges):
    """The same by another reader: CPU tracks whose slices add up to what was charged, threads with names, wake-ups of tasks that
    then run where they were woken to."""
    found = protoc_reader.packets(data)
    slices, threads = protoc_reader.slices_of(found), protoc_reader.threads_of(found)
    assert {cpu for cpu, _, _, _ in slices} == {0, 1}, "two CPU tracks"
    counters = protoc_reader.counters_of(found)
    workers = [tid for tid in charges if threads[tid].startswith("!")]
    assert all(len(counters[f"cpu {cpu} runnable"]) > 100 for cpu in (0, 1)), "how many are runnable on each CPU"
    # What each of the two is owed when it is preempted: in turns.
    assert all(len(counters[f"{threads[tid]} ({tid}) lag us"]) > 50 for tid in workers), "what each is owed"
    told = {int(match[1]): values[-1][1] * 1000 for name, values in counters.items()
            if (match := re.fullmatch(r".* \((\d+)\) charged us", name))}
    for tid, charged in charges.items():
        ran = sum(end - begin for _, task, begin, end in slices if task == tid)
        assert told[tid] == charged and abs(ran - charged) <= TOLERANCE * charged, f"{threads[tid]}: {ran} ns, charged {charged}"
    waking = [(protoc_reader.one(event, "timestamp"), protoc_reader.one(event["sched_wakeup"][0], "pid"),
               protoc_reader.one(event["sched_wakeup"][0], "target_cpu", 0)) for packet in found
              for bundle in packet.get("ftrace_events", []) for event in bundle.get("event", []) if "sched_wakeup" in event]
    began = {(tid, cpu, begin) for cpu, tid, begin, _ in slices}
    assert waking and all(any(task == tid and place == cpu and begin >= at for task, place, begin in began)
                          for at, tid, cpu in waking if at < max(begin for _, _, begin in began) - 10_000_000), "wake-ups lead to slices"
    print(f"protoc: {len(found)} packets, {len(slices)} slices, {len(waking)} wake-ups")


def tracks_of(svg):
    """CPUs and tasks that a picture names; its title and times are of one run."""
    texts = [text.text for text in xml.etree.ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    return [text for text in texts[1:] if not re.fullmatch(r"[\d.]+ ms", text)]


def check_picture(log):
    """README.md shows a picture and the command that makes it: the command makes one of the same CPUs and tasks."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    options = re.search(r"scripts/trace\.sh (--from-ms \d+ --span-ms \d+) shares\b", readme)[1].split()
    shown = ROOT / re.search(r"!\[Who ran where\]\((.*?)\)", readme)[1]
    made = pathlib.Path(log).with_suffix(".svg")
    subprocess.run([ROOT / "scripts/trace2perfetto", log, "--svg", made, *options], check=True)
    tracks = tracks_of(made.read_text(encoding="utf-8"))
    assert tracks == tracks_of(shown.read_text(encoding="utf-8")), f"{shown} has other tracks than the command makes: {tracks}"


def boot(options, log, words, *more):
    """Boots /bin/trace as init with these words; its log."""
    subprocess.run([sys.executable, ROOT / "tools/qemu_run.py", "--image", options.image, "--initrd", options.initrd, "--log", log,
                    "--smp", "2", "--timeout", "120", "--append", f"boothart=0 init=/bin/trace -- {words}", *more],
                   check=True, stdout=subprocess.DEVNULL)
    return pathlib.Path(log).read_text(encoding="utf-8", errors="replace")


def check_host_line(options):
    """The same by the line to the host: frames in a file and none in the log; and with nobody at its other end the machine
    comes to its end all the same."""
    log = pathlib.Path(options.log).with_name("trace-host-line.uart.log")
    trace = log.with_suffix(".ntrace")
    words = "run -- /bin/nproc"
    text = boot(options, log, words, "--host-line", f"file,path={trace}")
    dumps = frames.from_files(trace.read_bytes())
    assert len(dumps) == 1 and dumps[0].ended and not dumps[0].missing and not dumps[0].damaged, "the file is not one whole dump"
    assert f"trace: {len(dumps[0].frames)} frames went to the host" in text and frames.PREFIX not in text, text[-500:]
    assert "nproc" in [task.name for task in timeline.build(dumps[0]).tasks.values()]
    text = boot(options, log, "run --console -- /bin/nproc", "--host-line", f"file,path={trace}")
    assert not trace.read_bytes() and frames.from_log(text)[-1].ended, "--console was not obeyed"
    # QEMU's own end takes the bytes and has nowhere to put them.
    text = boot(options, log, words, "--host-line", f"socket,path={log.with_suffix('.socket')},server=on,wait=off")
    assert "init: exited with status 0" in text, text[-500:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--log", required=True)
    options = parser.parse_args()
    text = boot(options, options.log, "run --records 16384 -- /bin/selftest shares,stay")
    assert "SELFTEST: qos shares ratio ok" in text, "the case did not pass under the trace"
    told = timeline.build(frames.from_log(text)[-1])
    assert not told.warnings and not told.lost, (told.warnings, told.lost)
    # From here on the file alone: what a viewer has.
    file = pathlib.Path(options.log).with_suffix(".pftrace")
    subprocess.run([ROOT / "scripts/trace2perfetto", options.log, "--perfetto", file], check=True)
    data = file.read_bytes()
    ran, threads = slices_of(data), threads_of(data)
    # Tasks that ended within the trace; those there were before it began were charged before it, too.
    born = {task.tid for task in told.tasks.values() if task.born and task.ended}
    charges = {tid: charged for tid, charged in charges_of(data).items() if tid in born}
    workers = [tid for tid in charges if threads[tid].startswith("!")]
    assert len(workers) == 2, [threads[tid] for tid in charges]
    for tid, charged in sorted(charges.items()):
        off = abs(ran[tid][0] - charged) / charged
        print(f"{threads[tid]} ({tid}): {ran[tid][0] / 1e6:.4f} ms in slices, {charged / 1e6:.4f} ms charged, {off:.5f} off")
        assert off <= TOLERANCE
    assert all(ran[tid][1] == {1} for tid in workers), "the workers ran elsewhere than on the case's CPU"
    check_by_protoc(data, charges)
    check_picture(options.log)
    check_host_line(options)
    late = [delay for delays in summary.wake_delays(told).values() for delay in delays]
    assert late, "no wake-up is in the trace"
    print(f"{len(told.switches)} switches, {len(late)} wake-ups, {len(told.events)} events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
