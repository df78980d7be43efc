# SPDX-License-Identifier: MIT
"""The converter of traces: what a damaged line does, what slices add up to, what other programs read."""
import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))

from tracing import frames, perfetto, picture, summary, text_formats, timeline  # noqa: E402

K = timeline.KIND
BLOCKED, PREEMPTED, ENDED = (timeline.FATES.index(name) for name in ("blocked", "preempted", "ended"))


def name_records(tid, name):
    raw = name.encode().ljust(16, b"\0")
    return [(0, K[f"Name{part}"], tid, int.from_bytes(raw[4 * part:4 * part + 4], "little")) for part in range(4)]


def two_tasks():
    """On cpu 0 `hog` (7) runs 0..3 ms, `ui` (8) 3..4 ms, woken at 2.9 ms by cpu 1, then hog until it ends at 10 ms."""
    ms = 1_000_000
    tasks = [(0, K["Start"], 7, 7), *name_records(7, "hog"), (0, K["SetShares"], 7, 300), (0, K["SetClass"], 7, 1)]
    tasks += [(0, K["Start"], 8, 8), *name_records(8, "ui"), (0, K["SetClass"], 8, 2)]
    cpu0 = [(0, K["Start"], 7, 7), (0, K["Switch"], 7, 1 << 8), (3 * ms, K["Lag"], 7, (1 << 32) - 1500),
            (3 * ms, K["Switch"], 8, PREEMPTED | 2 << 8), (4 * ms, K["Wait"], 7, 1 | 98 << 16),
            (10 * ms, K["Charged"], 7, 9000), (10 * ms, K["Ended"], 7, 7), (10 * ms, K["Switch"], 0, ENDED)]
    cpu1 = [(2_900_000, K["Wake"], 8, 0), (2_900_100, K["IpiSent"], 0, 0)]
    parts = [(frames.TASKS_CPU, tasks), (0, cpu0), (1, cpu1), (frames.END_CPU, [])]
    return [frames.Frame(cpu, number, 0, records) for number, (cpu, records) in enumerate(parts)]


def line(frame):
    return frames.PREFIX + base64.b64encode(frames.encode(frame)).decode()


def dump_of(parts):
    return frames.from_log("\n".join(map(line, parts)))[-1]


def protobuf(data):
    """(field number, value) of a message; lengths as bytes, varints as ints."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    fields = []
    while at < len(data):
        key = varint()
        if key & 7 == 0:
            fields.append((key >> 3, varint()))
        elif key & 7 == 2:
            length = varint()
            fields.append((key >> 3, data[at:at + length]))
            at += length
        else:
            raise AssertionError(f"wire type {key & 7} is not written")
    return fields


def values(message, number):
    return [value for field, value in protobuf(message) if field == number]


class Frames(unittest.TestCase):
    def test_a_log_gives_back_what_was_written(self):
        dump = dump_of(two_tasks())
        self.assertEqual(dump.frames, two_tasks())
        self.assertTrue(dump.ended)
        self.assertEqual((dump.missing, dump.damaged), (0, []))

    def test_other_lines_and_text_before_a_frame_do_not_matter(self):
        text = "\n".join(f"[ 0.1] log\nsome{line(frame)} \r" for frame in two_tasks())
        self.assertEqual(frames.from_log(text)[0].frames, two_tasks())

    def test_every_damaged_byte_is_found(self):
        good = frames.encode(two_tasks()[1])
        for at in range(len(good)):
            with self.assertRaises(frames.BadFrame):
                frames.decode(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1:])
        for length in range(len(good)):
            with self.assertRaises(frames.BadFrame):
                frames.decode(good[:length])

    def test_a_damaged_line_is_one_missing_frame(self):
        lines = [line(frame) for frame in two_tasks()]
        lines[1] = lines[1][:40] + "[ 0.2] a log line" + lines[1][40:]
        dump = frames.from_log("\n".join(lines))[0]
        self.assertEqual(dump.missing, 1)
        self.assertEqual([number for number, _ in dump.damaged], [2])

    def test_a_line_of_other_letters_is_damaged(self):
        self.assertEqual(len(frames.from_log(frames.PREFIX + "\ufffd\u00e4")[0].damaged), 1)

    def test_a_letter_changed_in_the_padding_is_damaged(self):
        good = next(line(frame) for frame in two_tasks() if line(frame).endswith("="))
        at = len(good.rstrip("=")) - 1
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        changed = good[:at] + letters[letters.index(good[at]) + 1] + good[at + 1:]
        self.assertEqual(frames.decode(base64.b64decode(changed[len(frames.PREFIX):])),
                         frames.decode(base64.b64decode(good[len(frames.PREFIX):])))
        self.assertEqual(len(frames.from_log(changed)[0].damaged), 1)

    def test_a_log_may_hold_several_dumps(self):
        text = "\n".join(map(line, two_tasks() + two_tasks()))
        self.assertEqual(len(frames.from_log(text)), 2)

    def test_a_file_is_the_same_and_its_end_is_checked(self):
        data = frames.to_file(dump_of(two_tasks()))
        self.assertEqual(frames.from_file(data).frames, two_tasks())
        self.assertFalse(frames.from_file(data[:-3]).ended)
        self.assertTrue(frames.from_file(data[:-3]).damaged)

    def test_a_file_may_hold_several_dumps(self):
        data = frames.to_file(dump_of(two_tasks()))
        self.assertEqual([dump.frames for dump in frames.from_files(data + data)], [two_tasks()] * 2)
        self.assertEqual([bool(dump.damaged) for dump in frames.from_files(data[:-3] + data)], [True, False])


class Timeline(unittest.TestCase):
    def setUp(self):
        self.told = timeline.build(dump_of(two_tasks()))

    def test_a_gap_does_not_end_a_slice_before_it_begins(self):
        parts = two_tasks()
        early = frames.Frame(0, 2, 5, [(0, K["Wake"], 8, 0)])
        built = timeline.build(dump_of([parts[0], parts[1], early, parts[3]]))
        self.assertTrue(all(part.begin <= part.end for part in built.slices))

    def test_slices(self):
        parts = [(part.task, part.begin // 1000, part.end // 1000, part.fate) for part in self.told.slices]
        self.assertEqual(parts, [(7, 0, 3000, "preempted"), (8, 3000, 4000, "blocked"), (7, 4000, 10000, "ended")])
        self.assertEqual(self.told.name(8), "ui")

    def test_a_wait_tells_its_call(self):
        calls = [(event.at, event.task, event.value) for event in self.told.events if event.kind == "CallSlow"]
        self.assertEqual(calls, [(4_000_000, 8, 98)])

    def test_slices_add_up_to_what_was_charged(self):
        [(task, ran, charged)] = summary.account_errors(self.told)
        self.assertEqual((task.tid, ran, charged), (7, 9_000_000, 9_000_000))

    def test_what_was_lost_is_said_and_not_made_up(self):
        parts = two_tasks()
        parts[1].records = parts[1].records[3:]
        parts[1].lost = 12
        told = timeline.build(dump_of(parts))
        self.assertEqual(told.lost, {0: 12})
        self.assertEqual(told.slices[0].begin, 3_000_000)
        self.assertEqual(summary.account_errors(told), [])

    def test_a_missing_frame_ends_what_ran(self):
        parts = two_tasks()
        more = frames.Frame(0, 3, 0, [(30_000_000, K["Switch"], 7, BLOCKED | 1 << 8)])
        parts[2] = more
        parts[3].number = 4
        told = timeline.build(dump_of([parts[0], frames.Frame(0, 1, 0, parts[1].records[:2]), parts[2], parts[3]]))
        self.assertIn("1 frames are missing", " ".join(told.warnings))
        self.assertEqual([part.fate for part in told.slices if part.task == 7][:1], [""])

    def test_the_last_name_counts_on_whichever_cpu_it_was_given(self):
        parts = two_tasks()
        parts[1].records += [(11_000_000, *record[1:]) for record in name_records(8, "renamed")]
        parts[2].records += [(1_000_000, *record[1:]) for record in name_records(8, "earlier")]
        self.assertEqual(timeline.build(dump_of(parts)).name(8), "renamed")

    def test_delays_of_wake_ups(self):
        self.assertEqual(summary.wake_delays(self.told), {8: [100_000]})


class Perfetto(unittest.TestCase):
    def setUp(self):
        self.packets = values(perfetto.write(timeline.build(dump_of(two_tasks()))), 1)

    def bundles(self):
        return {values(bundle, 1)[0]: values(bundle, 2)
                for packet in self.packets for bundle in values(packet, perfetto.FTRACE_EVENTS)}

    def test_cpu_tracks_hold_the_switches(self):
        switches = [(values(event, 1)[0], dict(protobuf(values(event, perfetto.SWITCH)[0])))
                    for event in self.bundles()[0] if values(event, perfetto.SWITCH)]
        self.assertEqual([(at // 1000, told[2], told[6]) for at, told in switches],
                         [(0, 0, 7), (3000, 7, 8), (4000, 8, 7), (10000, 7, 0)])
        self.assertEqual(switches[1][1][5], b"ui")
        self.assertEqual(switches[1][1][4], perfetto.STATE["preempted"])
        # Slices out of the parsed trace add up to what the kernel charged.
        ran = sum(then[0] - at for (at, told), then in zip(switches, switches[1:]) if told[6] == 7)
        self.assertEqual(ran, 9_000_000)

    def test_wake_ups_name_their_target(self):
        [wake] = [values(event, perfetto.WAKEUP)[0] for event in self.bundles()[1] if values(event, perfetto.WAKEUP)]
        self.assertEqual(dict(protobuf(wake))[2], 8)
        self.assertEqual(dict(protobuf(wake))[5], 0)

    def test_names_and_counters(self):
        threads = [dict(protobuf(thread)) for packet in self.packets for tree in values(packet, perfetto.PROCESS_TREE)
                   for thread in values(tree, 2)]
        self.assertEqual({thread[1]: thread[2] for thread in threads}, {7: b"hog", 8: b"ui"})
        lags = [dict(protobuf(event)) for packet in self.packets for event in values(packet, perfetto.TRACK_EVENT)]
        self.assertIn(-1500, [event[30] - (1 << 64) for event in lags if event.get(30, 0) >> 63])


class Others(unittest.TestCase):
    def setUp(self):
        self.told = timeline.build(dump_of(two_tasks()))

    def test_ftrace_text(self):
        text = text_formats.ftrace(self.told)
        self.assertRegex(text, r"hog-7 +\[000\] \.\.\.\. +0\.003000: sched_switch: prev_comm=hog prev_pid=7 prev_prio=120 "
                               r"prev_state=R\+ ==> next_comm=ui next_pid=8")

    def test_chrome_json(self):
        events = json.loads(text_formats.chrome(self.told))["traceEvents"]
        self.assertEqual(sum(event["dur"] for event in events if event["ph"] == "X" and event["name"] == "hog"), 9000)

    def test_picture(self):
        root = xml.etree.ElementTree.fromstring(picture.svg(self.told))
        titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
        self.assertIn("ui (8): 1000.0 us, blocked", titles)


class Command(unittest.TestCase):
    def run_it(self, text, *options):
        with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
            log.write(text)
            log.flush()
            return subprocess.run([sys.executable, ROOT / "scripts/trace2perfetto", log.name, *options],
                                  capture_output=True, text=True, timeout=60, check=False)

    def test_summary(self):
        told = self.run_it("\n".join(map(line, two_tasks())))
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertRegex(told.stdout, r"hog \(7\) +normal +300 +9\.000 +90\.00%")

    def test_errors_name_the_thing(self):
        self.assertIn("no trace in it", self.run_it("nothing").stderr)
        self.assertIn("--dump 3", self.run_it("\n".join(map(line, two_tasks())), "--dump", "3").stderr)
        broken = "\n".join(map(line, two_tasks()[:-1]))
        told = self.run_it(broken, "--strict")
        self.assertEqual(told.returncode, 1)
        self.assertIn("does not end", told.stderr)


if __name__ == "__main__":
    unittest.main()
