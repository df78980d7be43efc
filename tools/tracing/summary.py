# SPDX-License-Identifier: MIT
"""What a trace says in a screenful: who ran how long, how long they waited, what the CPUs did."""
import collections

from .timeline import CLASSES


def by_task(timeline):
    """tid -> [ns on CPUs, slices, CPUs]."""
    ran = collections.defaultdict(lambda: [0, 0, set()])
    for part in timeline.slices:
        ran[part.task][0] += part.end - part.begin
        ran[part.task][1] += 1
        ran[part.task][2].add(part.cpu)
    return ran


def wake_delays(timeline):
    """tid -> sorted ns from each wake-up until the task ran."""
    starts = collections.defaultdict(list)
    for part in timeline.slices:
        starts[part.task].append(part.begin)
    delays = collections.defaultdict(list)
    for event in timeline.events:
        if event.kind == "Wake":
            later = [begin for begin in starts[event.task] if begin >= event.at]
            if later:
                delays[event.task].append(min(later) - event.at)
    return {tid: sorted(values) for tid, values in delays.items()}


def shares_of(timeline, tid):
    """[(ns, shares)] of a task as the trace tells it: each change, or else what it had at the end."""
    changes = [(event.at, event.value) for event in timeline.events if event.kind == "SetShares" and event.task == tid]
    return changes or [(timeline.begin, timeline.task(tid).shares or 100)]


def account_errors(timeline):
    """(task, slices' ns, charged ns) of tasks whose whole life is in the trace: the two are to agree."""
    complete = not timeline.lost and not timeline.gaps
    ran = by_task(timeline)
    return [(task, ran[task.tid][0], task.charged_us * 1000) for task in timeline.tasks.values()
            if complete and task.born and task.ended and task.charged_us is not None]


def text(timeline):
    span = max(timeline.end - timeline.begin, 1)
    lines = [f"{span / 1e6:.3f} ms, {len(timeline.cpus)} CPUs, {len(timeline.switches)} switches, "
             f"{len(timeline.events)} other events"]
    lines += [f"warning: {warning}" for warning in timeline.warnings]
    for cpu, lost in sorted(timeline.lost.items()):
        lines.append(f"warning: cpu {cpu}: {lost} records were overwritten before they were read")
    lines.append("")
    for cpu in timeline.cpus:
        busy = sum(part.end - part.begin for part in timeline.slices if part.cpu == cpu)
        switches = sum(1 for switch in timeline.switches if switch[1] == cpu)
        lines.append(f"cpu {cpu}: busy {busy / span:7.2%}, {switches} switches")
    lines.append("")
    lines.append(f"{'task':<24}{'class':<12}{'shares':>6}{'ms':>12}{'of a CPU':>10}{'slices':>8}  cpus"
                 f"{'':6}wakes  p50 us  max us")
    delays = wake_delays(timeline)
    for tid, (ran, slices, cpus) in sorted(by_task(timeline).items(), key=lambda entry: -entry[1][0]):
        task = timeline.task(tid)
        name = f"{task.name} ({tid})"
        qos = CLASSES[task.qos_class] if task.qos_class is not None and task.qos_class < len(CLASSES) else "-"
        waits = delays.get(tid, [])
        wake = f"{len(waits):>6}{waits[len(waits) // 2] / 1e3:>8.1f}{waits[-1] / 1e3:>8.1f}" if waits else ""
        lines.append(f"{name:<24}{qos:<12}{task.shares if task.shares is not None else '-':>6}{ran / 1e6:>12.3f}"
                     f"{ran / span:>10.2%}{slices:>8}  {','.join(map(str, sorted(cpus))):<10}{wake}".rstrip())
    return "\n".join(lines) + "\n"
