# SPDX-License-Identifier: MIT
"""What a dump tells: who ran where and when, and what happened to whom."""
import dataclasses
import pathlib
import re

from . import frames

IDLE = 0
# Longer than a kernel section.
TOLERATED_NS = 1_000_000


def kinds_of(header):
    """Names and numbers of TraceKind and TraceFate, from the header that defines them."""
    text = re.sub(r"//[^\n]*", "", header)
    kinds = re.search(r"enum class TraceKind[^{]*\{(.*?)\};", text, re.S)[1]
    fates = re.search(r"enum class TraceFate[^{]*\{(.*?)\};", text, re.S)[1]
    by_name = {name: int(value) for name, value in re.findall(r"(\w+)\s*=\s*(\d+)", kinds)}
    return by_name, [name.lower() for name in re.findall(r"\w+", fates)]


HEADER = pathlib.Path(__file__).resolve().parents[2] / "abi/include/nexus_abi/trace.hpp"
KIND, FATES = kinds_of(HEADER.read_text(encoding="utf-8"))
KIND_NAME = {number: name for name, number in KIND.items()}
NAME_PARTS = [KIND[f"Name{part}"] for part in range(4)]
CLASSES = ["idle", "normal", "interactive", "perfburst"]


@dataclasses.dataclass
class Task:
    tid: int
    process: int = 0
    name_parts: dict = dataclasses.field(default_factory=dict)
    qos_class: int | None = None
    shares: int | None = None
    charged_us: int | None = None  # by the kernel, since the task was born
    born: bool = False  # within the trace
    ended: bool = False

    @property
    def name(self):
        raw = b"".join(self.name_parts.get(part, 0).to_bytes(4, "little") for part in range(4))
        return raw.split(b"\0")[0].decode("utf-8", "replace") or f"task {self.tid}"


@dataclasses.dataclass
class Slice:
    """A task on a CPU. fate: how it ended, one of FATES; "" while the trace ended first."""
    cpu: int
    task: int
    begin: int
    end: int
    fate: str = ""


@dataclasses.dataclass
class Event:
    """Everything but switches: at (ns), the CPU that wrote it, kind (a TraceKind's name), task, value."""
    at: int
    cpu: int
    kind: str
    task: int
    value: int


@dataclasses.dataclass
class Timeline:
    tasks: dict = dataclasses.field(default_factory=dict)
    slices: list = dataclasses.field(default_factory=list)  # by CPU, then time; idle is left out
    switches: list = dataclasses.field(default_factory=list)  # (at, cpu, before, fate, after, runnable)
    events: list = dataclasses.field(default_factory=list)  # by time
    lost: dict = dataclasses.field(default_factory=dict)  # records overwritten before they were read, by CPU
    gaps: list = dataclasses.field(default_factory=list)  # (cpu, at): what came before it was lost
    warnings: list = dataclasses.field(default_factory=list)
    begin: int = 0
    end: int = 0
    cpus: list = dataclasses.field(default_factory=list)

    def task(self, tid):
        return self.tasks.setdefault(tid, Task(tid))

    def name(self, tid):
        return "idle" if tid == IDLE else self.task(tid).name


def note_task(timeline, kind, tid, value):
    """Records that tell what a task is, wherever they come from."""
    if kind in NAME_PARTS:
        timeline.task(tid).name_parts[NAME_PARTS.index(kind)] = value
    elif kind in (KIND["Start"], KIND["Ended"]):
        timeline.task(tid).process = value
    elif kind == KIND["Charged"]:
        timeline.task(tid).charged_us = value
    elif kind == KIND["SetClass"]:
        timeline.task(tid).qos_class = value
    elif kind == KIND["SetShares"]:
        timeline.task(tid).shares = value


class Cpu:
    """One CPU's records, in order."""

    def __init__(self, timeline, number, notes):
        self.timeline = timeline
        self.number = number
        self.notes = notes  # what is told of tasks, by all CPUs
        self.running = None  # None: not known
        self.since = 0
        self.last = 0

    def gap(self, at):
        at = self.last = max(self.last, at)
        self.close(at, "")
        self.running = None
        self.timeline.gaps.append((self.number, at))

    def close(self, at, fate):
        if self.running:
            self.timeline.slices.append(Slice(self.number, self.running, self.since, at, fate))

    def switch(self, at, fate, task, runnable):
        self.close(at, fate)
        self.timeline.switches.append((at, self.number, self.running, fate, task, runnable))
        self.running, self.since = task, at

    def add(self, at, kind, task, value):
        # A record may carry the instant at which what it tells of was due: a little before what was written last.
        if at < self.last - TOLERATED_NS:
            self.timeline.warnings.append(f"cpu {self.number}: time goes back from {self.last} to {at} ns")
        at = self.last = max(self.last, at)
        if kind == KIND["Switch"]:
            self.switch(at, FATES[value & 0xFF] if (value & 0xFF) < len(FATES) else "none", task, value >> 8)
            return
        if kind == KIND["Wait"]:
            # As if the call had told that it waits, and then the switch what became of the task.
            if self.running:
                self.timeline.events.append(Event(at, self.number, "CallSlow", self.running, value >> 16))
            self.switch(at, "blocked", task, value & 0xFFFF)
            return
        self.notes.append((at, kind, task, value))
        if kind == KIND["Start"]:
            self.timeline.task(task).born = True
        elif kind == KIND["Ended"]:
            self.timeline.task(task).ended = True
        if kind not in NAME_PARTS:
            self.timeline.events.append(Event(at, self.number, KIND_NAME.get(kind, f"kind {kind}"), task, value))


def build(dump):
    """The timeline of a dump: tasks first, for later records are the newer ones."""
    timeline = Timeline()
    for where, why in dump.damaged:
        timeline.warnings.append(f"a damaged frame at {where}: {why}")
    if dump.missing:
        timeline.warnings.append(f"{dump.missing} frames are missing")
    if not dump.ended:
        timeline.warnings.append("the dump does not end: the log was cut off")
    by_cpu = {}
    previous = None
    for frame in sorted(dump.frames, key=lambda frame: frame.number):
        if frame.cpu == frames.TASKS_CPU:
            for _, kind, task, value in frame.records:
                note_task(timeline, kind, task, value)
        elif frame.cpu != frames.END_CPU:
            missing = previous is not None and frame.number != previous + 1
            by_cpu.setdefault(frame.cpu, []).append((frame, missing))
        previous = frame.number
    # What the snapshot says is the state at the end: a running trace says more about the way there.
    notes = []
    for number, parts in sorted(by_cpu.items()):
        cpu = Cpu(timeline, number, notes)
        for frame, missing in parts:
            if frame.lost or missing:
                timeline.lost[number] = timeline.lost.get(number, 0) + frame.lost
                cpu.gap(frame.records[0][0] if frame.records else cpu.last)
            for record in frame.records:
                cpu.add(*record)
        timeline.cpus.append(number)
    # A task may have been named on one CPU and renamed on another: the last word counts.
    for _, kind, task, value in sorted(notes, key=lambda note: note[0]):
        note_task(timeline, kind, task, value)
    stamps = [record[0] for parts in by_cpu.values() for frame, _ in parts for record in frame.records]
    timeline.begin, timeline.end = min(stamps, default=0), max(stamps, default=0)
    for number in timeline.cpus:
        last = [switch for switch in timeline.switches if switch[1] == number][-1:]
        if last and last[0][4]:
            timeline.slices.append(Slice(number, last[0][4], last[0][0], timeline.end))
    timeline.slices.sort(key=lambda part: (part.cpu, part.begin))
    timeline.switches.sort(key=lambda switch: switch[0])
    timeline.events.sort(key=lambda event: event.at)
    return timeline
