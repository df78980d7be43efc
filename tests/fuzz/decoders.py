#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fuzzes the decoders of traces (tools/tracing): the frames of a UART log, and trace files.

    decoders.py quick [--runs N] [--seed S]     new inputs from frames as the target writes them
    decoders.py long [--minutes N] [--seed S]
    decoders.py planted                         each defect below, planted in the source, must be found

Inputs are whole logs or files, changed by what happens to them: bytes and lines lost, doubled, swapped, cut, and fields
of a frame changed under a checksum that is right. An input that reaches a new line of the decoders is kept and changed
further. The decoders must never end with an exception, must take frames back that they wrote, and must not take a frame
whose bytes were changed.
"""
import argparse
import base64
import importlib.util
import pathlib
import random
import struct
import sys
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))
PLANTED_SECONDS = 30

# (name, text of frames.py, what stands there in the defect)
PLANTED = [
    ("a checksum is not looked at", "zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], \"little\")", "False"),
    ("a short frame is read", "len(data) < HEADER.size + 4", "False"),
    ("the end of a file within a frame is not seen", "len(data) - at < HEADER.size", "False"),
    ("a line with a prefix and nothing else", "words[0] if words else \"\"", "words[0]"),
    ("text that is no base64 is let through", "except ValueError as why", "except BadFrame as why"),
]


def load(source=None):
    """The package's frames and timeline modules; frames from another text if one is given."""
    for name in [name for name in sys.modules if name == "tracing" or name.startswith("tracing.")]:
        del sys.modules[name]
    import tracing  # pylint: disable=import-outside-toplevel
    spec = importlib.util.spec_from_file_location("tracing.frames", ROOT / "tools/tracing/frames.py")
    frames = importlib.util.module_from_spec(spec)
    sys.modules["tracing.frames"] = frames
    tracing.frames = frames
    if source is None:
        spec.loader.exec_module(frames)
    else:
        exec(compile(source, spec.origin, "exec"), frames.__dict__)  # pylint: disable=exec-used
    from tracing import timeline  # pylint: disable=import-outside-toplevel
    return frames, timeline


def seeds(frames, timeline):
    kind = timeline.KIND
    records = [(1000 * at, number, 7 + at % 2, at << 8 | at % 4) for at, number in enumerate(sorted(kind.values()))]
    parts = [frames.Frame(frames.TASKS_CPU, 0, 0, records[:5]), frames.Frame(0, 1, 0, records), frames.Frame(1, 2, 3, records),
             frames.Frame(frames.END_CPU, 3, 0, [])]
    lines = ["boot"] + [frames.PREFIX + base64.b64encode(frames.encode(part)).decode() for part in parts] + ["end", frames.PREFIX]
    return [("\n".join(lines)).encode(), frames.to_file(frames.Dump(parts))]


def mutate_frame(data, dice):
    """Another frame of these bytes: fields and length changed, the checksum right or not."""
    body = bytearray(data[:-4])
    for _ in range(dice.randint(1, 3)):
        if not body:
            break
        at = dice.randrange(len(body))
        choice = dice.randrange(4)
        if choice == 0:
            body[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, dice.randrange(256)))
        elif choice == 1:
            del body[at:at + dice.choice((1, 4, 16))]
        elif choice == 2:
            body[at:at] = body[at:at + dice.choice((1, 4, 16))]
        elif len(body) >= 4:  # the count of records
            body[2:4] = struct.pack("<H", dice.choice((0, 1, 0xFFFF, dice.randrange(65536))))
    return bytes(body) + (zlib.crc32(body).to_bytes(4, "little") if dice.random() < 0.8 else data[-4:])


def mutate(data, dice):
    data = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        lines = bytes(data).split(b"\n")
        at = dice.randrange(len(lines))
        choice = dice.randrange(7)
        if choice == 0:
            del lines[at]
        elif choice == 1:
            lines.insert(at, dice.choice(lines) if lines else b"")
        elif choice == 2 and lines[at].startswith(b"@T "):
            try:
                frame = base64.b64decode(lines[at][3:], validate=True)
                lines[at] = b"@T " + base64.b64encode(mutate_frame(frame, dice))
            except ValueError:
                lines[at] = lines[at][:dice.randrange(len(lines[at]) + 1)]
        elif choice == 3:
            lines[at] = lines[at][dice.randrange(len(lines[at]) + 1):]
        elif choice == 4 and data:
            place = dice.randrange(len(data))
            data[place] = dice.randrange(256)
            continue
        elif choice == 5 and data:
            place = dice.randrange(len(data))
            del data[place:place + dice.choice((1, 4, 24, 400))]
            continue
        elif data:
            place = dice.randrange(len(data))
            del data[place:]
            continue
        data = bytearray(b"\n".join(lines))
    return bytes(data)


def judge(data, frames, timeline):
    """Decodes `data` both ways; raises what is wrong."""
    for dump in [*frames.from_log(data.decode("utf-8", "replace")), frames.from_file(frames.MAGIC + data)]:
        assert dump.missing >= 0, "fewer than no frames are missing"
        for frame in dump.frames:
            raw = frames.encode(frame)
            assert raw in data or base64.b64encode(raw) in data, "a frame was decoded that is not there"
            assert frames.decode(raw) == frame, "a frame is not what it was"
        built = timeline.build(dump)
        for part in built.slices:
            assert part.end >= part.begin, "a slice ends before it begins"
        copy = frames.from_file(frames.to_file(dump))
        assert copy.frames == dump.frames, "a written file reads differently"


def run(frames, timeline, dice, stop):
    """(inputs tried, lines reached, the input that failed and why or None)."""
    reached = set()
    here = {frames.__file__, timeline.__file__}

    def trace(frame, event, _):
        if frame.f_code.co_filename not in here:
            return None
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    corpus = seeds(frames, timeline)
    first = list(corpus)
    count = 0
    data = b""
    try:
        while not stop(count):
            data = first.pop() if first else mutate(dice.choice(corpus), dice)
            count += 1
            before = len(reached)
            # Every line costs; a quarter of the inputs tells enough.
            sys.settrace(trace if count % 4 == 0 or count < 10 else None)
            try:
                judge(data, frames, timeline)
            finally:
                sys.settrace(None)
            if len(reached) > before and len(data) < 65536:
                corpus.append(data)
    except Exception as error:  # pylint: disable=broad-except
        return count, len(reached), (data, f"{type(error).__name__}: {error}")
    return count, len(reached), None


def planted():
    source = (ROOT / "tools/tracing/frames.py").read_text(encoding="utf-8")
    missed = 0
    for name, find, replace in PLANTED:
        if source.count(find) != 1:
            print(f"decoders: the text of '{name}' occurs {source.count(find)} times, not once")
            return 1
        frames, timeline = load(source.replace(find, replace))
        end = time.monotonic() + PLANTED_SECONDS
        count, _, found = run(frames, timeline, random.Random(1), lambda _, end=end: time.monotonic() > end)
        missed += 0 if found else 1
        print(f"{'found ' if found else 'MISSED'} decoder: {name}: {found[1] if found else ''} ({count} inputs)")
    return 1 if missed else 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("quick", "long", "planted", "replay"))
    parser.add_argument("--runs", type=int, default=1500)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="of replay")
    args = parser.parse_args(arguments)
    if args.command == "planted":
        return planted()
    frames, timeline = load()
    if args.command == "replay":
        for file in args.files:
            judge(file.read_bytes(), frames, timeline)
        return 0
    end = time.monotonic() + args.minutes * 60
    stop = (lambda count: count >= args.runs) if args.command == "quick" else (lambda _: time.monotonic() > end)
    count, reached, found = run(frames, timeline, random.Random(args.seed), stop)
    if found:
        logs = ROOT / "build/logs"
        logs.mkdir(parents=True, exist_ok=True)
        place = logs / f"fuzz-decoder-{args.seed}-{count}"
        place.write_bytes(found[0])
        print(f"fuzz decoder: FOUND with seed {args.seed}: {found[1]}")
        print(f"fuzz decoder: repeat with scripts/fuzz.sh decoder --replay {place}")
        return 1
    print(f"fuzz decoder: {count} inputs, {reached} lines, {time.process_time() / 60:.1f} min of a processor, nothing found "
          f"(seed {args.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
