# SPDX-License-Identifier: MIT
"""A .pftrace as protoc reads it: by perfetto.proto, with nothing of tools/tracing in between.

What protoc finds in a trace but not in the schema, or of another type than there, it prints by number: that is an error here.
"""
import ast
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
LINE = re.compile(r'(?P<name>\w+)(?:: (?P<value>.*)| (?P<open>\{))')


def value_of(text):
    """A scalar of protobuf's text format."""
    if text.startswith('"'):
        return ast.literal_eval("b" + text).decode()
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def parse(text):
    """Messages as {name: [values]}."""
    root = {}
    stack = [root]
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line == "}":
            stack.pop()
            continue
        match = LINE.fullmatch(line)
        assert match, f"line {number}: {line!r} is not protobuf's text format"
        assert not match["name"].isdigit(), f"line {number}: field {match['name']} is not in the schema, or not of that type"
        into = stack[-1].setdefault(match["name"], [])
        if match["open"]:
            into.append({})
            stack.append(into[-1])
        else:
            into.append(value_of(match["value"]))
    assert len(stack) == 1, "it ends within a message"
    return root


def packets(data):
    """The packets of a trace."""
    done = subprocess.run(["protoc", f"--proto_path={HERE}", "--decode=perfetto.protos.Trace", "perfetto.proto"], input=data,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return parse(done.stdout.decode())["packet"]


def one(message, name, default=None):
    """A field that comes at most once."""
    values = message.get(name, [default])
    assert len(values) == 1, f"{name} comes {len(values)} times"
    return values[0]


def slices_of(found):
    """[(cpu, tid, begin ns, end ns)]: what Perfetto makes of sched_switch events, a slice from each to the next of its CPU."""
    slices = []
    for bundle in (one(packet, "ftrace_events") for packet in found if "ftrace_events" in packet):
        running, since = 0, 0
        for event in bundle.get("event", []):
            if "sched_switch" not in event:
                continue
            switch, at = one(event, "sched_switch"), one(event, "timestamp")
            assert at >= since, "times run backwards on a CPU"
            assert one(switch, "prev_pid") in (running, 0), "a slice ends that did not begin"
            if running:
                slices.append((one(bundle, "cpu", 0), running, since, at))
            running, since = one(switch, "next_pid"), at
    return slices


def threads_of(found):
    """tid -> name."""
    return {one(thread, "tid"): one(thread, "name") for packet in found for tree in packet.get("process_tree", [])
            for thread in tree.get("threads", [])}


def counters_of(found):
    """name of a counter track -> [(at ns, value)]."""
    names = {one(track, "uuid"): one(track, "name") for packet in found for track in packet.get("track_descriptor", [])
             if "counter" in track}
    told = {name: [] for name in names.values()}
    for packet in found:
        for event in packet.get("track_event", []):
            if one(event, "type") == "TYPE_COUNTER":
                told[names[one(event, "track_uuid")]].append((one(packet, "timestamp"), one(event, "counter_value")))
    return told
