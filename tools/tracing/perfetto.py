# SPDX-License-Identifier: MIT
"""Perfetto's own format (protos/perfetto/trace/trace_packet.proto), so that CPUs are CPU tracks and wake-ups are flows.

Scheduling is told as ftrace events, which Perfetto's importer turns into CPU slices and thread states; counters and
single events are track events. Times are CLOCK_BOOTTIME, Perfetto's default.
"""
from .timeline import IDLE

# TracePacket's and other messages' field numbers.
FTRACE_EVENTS, PROCESS_TREE, TIMESTAMP, SEQUENCE, TRACK_EVENT, TRACK_DESCRIPTOR = 1, 2, 8, 10, 11, 60
SWITCH, WAKEUP, WAKING, WAKEUP_NEW = 4, 17, 20, 114
SEQUENCE_ID = 1
INSTANT, COUNTER = 3, 4

# Linux' letters as its sched_switch has them: what the UI shows as "Runnable (Preempted)", "Sleeping", "Exit (Dead)".
STATE = {"preempted": 256, "yielded": 0, "moved": 0, "throttled": 0, "blocked": 1, "ended": 16, "none": 0}
PRIO = {0: 139, 1: 120, 2: 110, 3: 100, None: 120}


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """An int as varint, str and bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def packet(*fields):
    return field(1, b"".join(fields) + field(SEQUENCE, SEQUENCE_ID))


def sched_switch(timeline, switch):
    at, _, before, fate, after, _ = switch
    before = before or IDLE
    prios = [PRIO[timeline.tasks[tid].qos_class] if tid in timeline.tasks else 120 for tid in (before, after)]
    names = ["swapper" if tid == IDLE else timeline.name(tid) for tid in (before, after)]
    body = (field(1, names[0]) + field(2, before) + field(3, prios[0]) + field(4, STATE[fate]) +
            field(5, names[1]) + field(6, after) + field(7, prios[1]))
    return field(1, at) + field(2, before) + field(SWITCH, body)


def wake_events(timeline, event, waker):
    """A wake-up as Linux tells it: who woke whom, and where it goes."""
    cpu = event.value if event.kind == "Wake" else event.cpu
    task = timeline.task(event.task)
    body = (field(1, task.name) + field(2, event.task) + field(3, PRIO[task.qos_class]) + field(4, 1) +
            field(5, cpu))
    kinds = (WAKING, WAKEUP) if event.kind == "Wake" else (WAKEUP_NEW,)
    return [field(1, event.at) + field(2, waker) + field(kind, body) for kind in kinds]


def running_at(timeline, cpu):
    """A function at(ns) -> tid on that CPU; to be asked with rising times."""
    switches = iter([switch for switch in timeline.switches if switch[1] == cpu])
    state = {"task": IDLE, "next": next(switches, None)}

    def at(ns):
        while state["next"] is not None and state["next"][0] <= ns:
            state["task"], state["next"] = state["next"][4], next(switches, None)
        return state["task"]

    return at


def ftrace_packets(timeline):
    for cpu in timeline.cpus:
        running = running_at(timeline, cpu)
        events = [(switch[0], 1, [sched_switch(timeline, switch)]) for switch in timeline.switches if switch[1] == cpu]
        for event in timeline.events:
            if event.cpu == cpu and event.kind in ("Wake", "Start"):
                events.append((event.at, 0, wake_events(timeline, event, running(event.at))))
        events.sort(key=lambda entry: entry[:2])
        bundle = field(1, cpu) + b"".join(field(2, data) for _, _, parts in events for data in parts)
        yield packet(field(FTRACE_EVENTS, bundle))


def process_tree(timeline):
    tree = b""
    leaders = {}
    for task in timeline.tasks.values():
        process = task.process or task.tid
        if process not in leaders or task.tid == process:
            leaders[process] = task.name
    for process, name in sorted(leaders.items()):
        tree += field(1, field(1, process) + field(2, 0) + field(3, name))
    for task in sorted(timeline.tasks.values(), key=lambda task: task.tid):
        tree += field(2, field(1, task.tid) + field(2, task.name) + field(3, task.process or task.tid))
    return packet(field(TIMESTAMP, timeline.begin), field(PROCESS_TREE, tree))


class Tracks:
    """Counter and event tracks, described when they are first used."""

    def __init__(self):
        self.uuids = {}
        self.packets = []

    def uuid(self, name, is_counter):
        if name not in self.uuids:
            self.uuids[name] = 1000 + len(self.uuids)
            descriptor = field(1, self.uuids[name]) + field(2, name) + (field(8, b"") if is_counter else b"")
            self.packets.append(packet(field(TRACK_DESCRIPTOR, descriptor)))
        return self.uuids[name]

    def counter(self, at, name, value):
        body = field(9, COUNTER) + field(11, self.uuid(name, True)) + field(30, value)
        self.packets.append(packet(field(TIMESTAMP, at), field(TRACK_EVENT, body)))

    def instant(self, at, track, name):
        body = field(9, INSTANT) + field(11, self.uuid(track, False)) + field(22, "neuron") + field(23, name)
        self.packets.append(packet(field(TIMESTAMP, at), field(TRACK_EVENT, body)))


def describe(timeline, event):
    """Track and text of an event that is shown as a point, or nothing."""
    who = timeline.name(event.task) if event.task else ""
    return {
        "Migrate": ("migrations", f"{who}: cpu {event.value & 0xFF} to {event.value >> 8 & 0xFF}"),
        "IpiSent": (f"cpu {event.cpu} interrupts", f"IPI to cpu {event.task}"),
        "IpiTaken": (f"cpu {event.cpu} interrupts", "IPI"),
        "Timer": (f"cpu {event.cpu} interrupts", "timer"),
        "External": (f"cpu {event.cpu} interrupts", "device"),
        "SetClass": ("attributes", f"{who}: class {CLASS_NAMES.get(event.value, event.value)}"),
        "SetShares": ("attributes", f"{who}: shares {event.value}"),
        "SetMask": ("attributes", f"{who}: mask {event.value:#x}"),
        "CallSlow": ("calls that waited", f"{who}: call {event.value}"),
        "CallAgain": ("calls in pieces", f"{who}: call {event.value}"),
        "PageFault": ("page faults", f"{who}: page {event.value << 12:#x}"),
    }.get(event.kind)


CLASS_NAMES = {0: "idle", 1: "normal", 2: "interactive", 3: "perfburst"}


def write(timeline):
    """The bytes of a .pftrace file."""
    tracks = Tracks()
    for at, cpu, _, _, _, runnable in timeline.switches:
        tracks.counter(at, f"cpu {cpu} runnable", runnable)
    for event in timeline.events:
        if event.kind == "Lag":
            lag = event.value - (1 << 32) if event.value >> 31 else event.value
            tracks.counter(event.at, f"{timeline.name(event.task)} ({event.task}) lag us", lag)
        elif event.kind == "Charged":
            tracks.counter(event.at, f"{timeline.name(event.task)} ({event.task}) charged us", event.value)
        elif described := describe(timeline, event):
            tracks.instant(event.at, *described)
    return b"".join([process_tree(timeline), *ftrace_packets(timeline), *tracks.packets])
