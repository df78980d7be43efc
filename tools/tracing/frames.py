# SPDX-License-Identifier: MIT
"""Trace frames, out of a UART log or a trace file, and into one (user/trace_frames.hpp says what a frame is)."""
import base64
import dataclasses
import re
import struct
import zlib

TASKS_CPU = 0xFE
END_CPU = 0xFF
PREFIX = "@T "
HEADER = struct.Struct("<BBHIQ")
RECORD = struct.Struct("<QII")


class BadFrame(ValueError):
    """These bytes are no frame: why."""


@dataclasses.dataclass
class Frame:
    cpu: int
    number: int
    lost: int
    records: list  # of (ns, kind, task, value)


def decode(data):
    """The frame these bytes are. Raises BadFrame."""
    if len(data) < HEADER.size + 4:
        raise BadFrame(f"{len(data)} bytes are too few for a frame")
    version, cpu, count, number, lost = HEADER.unpack_from(data)
    if version != 1:
        raise BadFrame(f"version {version}, not 1")
    if len(data) != HEADER.size + count * RECORD.size + 4:
        raise BadFrame(f"{len(data)} bytes for {count} records")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise BadFrame("the checksum does not match")
    records = [(stamp >> 8, stamp & 0xFF, task, value)
               for stamp, task, value in RECORD.iter_unpack(data[HEADER.size:-4])]
    return Frame(cpu, number, lost, records)


def encode(frame):
    body = HEADER.pack(1, frame.cpu, len(frame.records), frame.number, frame.lost)
    body += b"".join(RECORD.pack(ns << 8 | kind, task, value) for ns, kind, task, value in frame.records)
    return body + zlib.crc32(body).to_bytes(4, "little")


def decode_word(word):
    """The frame of a line. Raises ValueError: no base64, BadFrame."""
    data = base64.b64decode(word, validate=True)
    # The bits behind the last byte are no byte's: the checksum does not see a change there.
    if base64.b64encode(data) != word.encode():
        raise BadFrame("bits are set behind the last byte")
    return decode(data)


@dataclasses.dataclass
class Dump:
    """All frames of one dump, and what is wrong with it."""
    frames: list = dataclasses.field(default_factory=list)
    damaged: list = dataclasses.field(default_factory=list)  # (line or frame number, why)
    missing: int = 0  # frames that never came
    ended: bool = False


def complete(dump):
    """Counts what is missing: frames are numbered, and the last one says how many came before."""
    numbers = {frame.number for frame in dump.frames}
    total = max(numbers, default=-1) + 1
    dump.missing = total - len(numbers)
    return dump


def from_log(text):
    """The dumps of a UART log, each from its frame 0 on. Lines without frames are passed over."""
    dumps = []
    for number, line in enumerate(text.split("\n"), 1):
        # A dropped newline or a line of somebody else's may stand before the frame.
        at = line.find(PREFIX)
        if at < 0:
            continue
        words = line[at + len(PREFIX):].split()
        try:
            frame = decode_word(words[0] if words else "")
        except ValueError as why:  # no base64, or BadFrame
            if not dumps:
                dumps.append(Dump())
            dumps[-1].damaged.append((number, str(why)))
            continue
        if not dumps or dumps[-1].ended or (frame.number == 0 and dumps[-1].frames):
            dumps.append(Dump())
        dumps[-1].frames.append(frame)
        dumps[-1].ended = frame.cpu == END_CPU
    return [complete(dump) for dump in dumps]


MAGIC = b"NEURONTRACE1\n"


def from_files(data):
    """The dumps of a trace file: MAGIC, then frames one behind the other; more of the same may follow."""
    begins = [match.start() for match in re.finditer(re.escape(MAGIC), data)]
    return [from_file(data[begin:end]) for begin, end in zip(begins, [*begins[1:], len(data)])]


def from_file(data):
    """The dump of a trace file that holds one."""
    dump = Dump()
    at = len(MAGIC)
    while at < len(data):
        if len(data) - at < HEADER.size:
            dump.damaged.append((len(dump.frames), "the file ends within a frame"))
            break
        count = HEADER.unpack_from(data, at)[2]
        end = at + HEADER.size + count * RECORD.size + 4
        try:
            frame = decode(data[at:end])
        except BadFrame as why:
            dump.damaged.append((len(dump.frames), str(why)))
            break
        dump.frames.append(frame)
        dump.ended = frame.cpu == END_CPU
        at = end
    return complete(dump)


def to_file(dump):
    return MAGIC + b"".join(encode(frame) for frame in dump.frames)
