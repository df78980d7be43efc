# SPDX-License-Identifier: MIT
"""Two traces in one: a simulated run below the real one, each with CPUs and tasks of its own, from the same moment on."""
import dataclasses

from .timeline import IDLE, Timeline

# Tasks of the second trace are numbered from here on, or from the next multiple: no task id of the first is as large.
FIRST_TASK = 10_000


def name_parts(name):
    raw = name.encode()[:15].ljust(16, b"\0")
    return {part: int.from_bytes(raw[4 * part:4 * part + 4], "little") for part in range(4)}


class Shift:
    """What becomes of the second trace's numbers."""

    def __init__(self, first, second, label):
        self.label = label
        self.ns = first.begin - second.begin
        self.cpus = max(first.cpus, default=-1) + 1
        self.tasks = (max(first.tasks, default=0) // FIRST_TASK + 1) * FIRST_TASK

    def task(self, tid):
        """A task's id; that of no task, and None for one that is not known, stay."""
        return tid + self.tasks if tid else tid

    def event(self, event):
        # What a record's number and value are depends on its kind (nexus_abi/trace.hpp).
        about_cpu = event.kind in ("IpiSent", "IpiTaken", "Timer", "External")
        task = event.task + self.cpus if event.kind == "IpiSent" else event.task if about_cpu else self.task(event.task)
        value = event.value
        if event.kind == "Wake":
            value += self.cpus
        elif event.kind == "Migrate":
            value += self.cpus | self.cpus << 8
        elif event.kind in ("Start", "Ended"):
            value = self.task(value)
        elif event.kind == "SetMask":
            value <<= self.cpus
        return dataclasses.replace(event, at=event.at + self.ns, cpu=event.cpu + self.cpus, task=task, value=value)


def join(first, second, label):
    """One timeline. The second one's tasks have `label` before their names."""
    shift = Shift(first, second, label)
    joined = Timeline(tasks=dict(first.tasks), slices=list(first.slices), switches=list(first.switches), events=list(first.events),
                      lost=dict(first.lost), gaps=list(first.gaps),
                      warnings=first.warnings + [f"{label}{warning}" for warning in second.warnings],
                      begin=first.begin, end=max(first.end, second.end + shift.ns), cpus=list(first.cpus))
    for tid, task in second.tasks.items():
        if tid != IDLE:
            joined.tasks[shift.task(tid)] = dataclasses.replace(task, tid=shift.task(tid), process=shift.task(task.process),
                                                                name_parts=name_parts(label + task.name))
    joined.slices += [dataclasses.replace(part, cpu=part.cpu + shift.cpus, task=shift.task(part.task), begin=part.begin + shift.ns,
                                          end=part.end + shift.ns) for part in second.slices]
    joined.switches += [(at + shift.ns, cpu + shift.cpus, shift.task(before), fate, shift.task(after), runnable)
                        for at, cpu, before, fate, after, runnable in second.switches]
    joined.events += map(shift.event, second.events)
    joined.lost.update({cpu + shift.cpus: lost for cpu, lost in second.lost.items()})
    joined.gaps += [(cpu + shift.cpus, at + shift.ns) for cpu, at in second.gaps]
    joined.cpus += [cpu + shift.cpus for cpu in second.cpus]
    joined.switches.sort(key=lambda switch: switch[0])
    joined.events.sort(key=lambda event: event.at)
    return joined
