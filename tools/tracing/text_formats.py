# SPDX-License-Identifier: MIT
"""The same trace as ftrace's text (trace-cmd, Perfetto and scripts read it) and as Chrome's JSON trace events."""
import json

from .timeline import IDLE

STATE = {"preempted": "R+", "yielded": "R", "moved": "R", "throttled": "R", "blocked": "S", "ended": "X", "none": "R"}


def comm(timeline, tid):
    return f"swapper/{0}" if tid == IDLE else timeline.name(tid).replace(" ", "_")


def ftrace_line(timeline, cpu, at, tid, text):
    return f"{comm(timeline, tid):>16}-{tid:<7} [{cpu:03d}] .... {at // 1_000_000_000:5d}.{at // 1000 % 1_000_000:06d}: {text}"


def ftrace(timeline):
    """As in /sys/kernel/tracing/trace, without latency flags."""
    lines = []
    running = dict.fromkeys(timeline.cpus, IDLE)
    for at, cpu, before, fate, after, _ in timeline.switches:
        before = before or IDLE
        lines.append((at, 1, cpu, before, f"sched_switch: prev_comm={comm(timeline, before)} prev_pid={before} "
                      f"prev_prio=120 prev_state={STATE[fate]} ==> next_comm={comm(timeline, after)} "
                      f"next_pid={after} next_prio=120"))
    for event in timeline.events:
        if event.kind == "Wake":
            for name in ("sched_waking", "sched_wakeup"):
                lines.append((event.at, 0, event.cpu, None, f"{name}: comm={comm(timeline, event.task)} pid={event.task} "
                              f"prio=120 target_cpu={event.value:03d}"))
        elif event.kind == "Migrate":
            lines.append((event.at, 0, event.cpu, None, f"sched_migrate_task: comm={comm(timeline, event.task)} "
                          f"pid={event.task} prio=120 orig_cpu={event.value & 0xFF} dest_cpu={event.value >> 8 & 0xFF}"))
    out = ["# tracer: nop", "#"]
    after = {(at, cpu): tid for at, cpu, _, _, tid, _ in timeline.switches}
    for at, is_switch, cpu, tid, line in sorted(lines, key=lambda entry: entry[:2]):
        out.append(ftrace_line(timeline, cpu, at, running[cpu] if tid is None else tid, line))
        if is_switch:
            running[cpu] = after[at, cpu]
    return "\n".join(out) + "\n"


def chrome(timeline):
    """Complete events, a track per CPU; chrome://tracing and speedscope read it. Times in microseconds."""
    events = [{"ph": "M", "pid": 0, "name": "process_name", "args": {"name": "CPUs"}}]
    for cpu in timeline.cpus:
        events.append({"ph": "M", "pid": 0, "tid": cpu, "name": "thread_name", "args": {"name": f"cpu {cpu}"}})
    for part in timeline.slices:
        events.append({"ph": "X", "pid": 0, "tid": part.cpu, "ts": part.begin / 1000, "dur": (part.end - part.begin) / 1000,
                       "name": timeline.name(part.task), "args": {"tid": part.task, "ended": part.fate}})
    for event in timeline.events:
        events.append({"ph": "i", "s": "t", "pid": 0, "tid": event.cpu, "ts": event.at / 1000, "name": event.kind,
                       "args": {"task": event.task, "value": event.value}})
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": events}, separators=(",", ":")) + "\n"
