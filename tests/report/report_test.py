# SPDX-License-Identifier: MIT
"""The page of scripts/report.sh as a browser shows it: made of a run written here, of one that failed and of none at all, and
looked at in headless Chromium: what is said after rendering, what is visible, what is too wide, what can be read.
"""
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/trace"), str(ROOT / "tests/report")]

import browser  # noqa: E402
from run_report import artefacts  # noqa: E402  (which knows where the figures' gates are)
from run_report.artefacts import gates  # noqa: E402
from test_tracing import K, dump_of, line, name_records  # noqa: E402
from tracing import frames, timeline  # noqa: E402

MS = 1_000_000
SECTIONS = ["failures", "missing", "stages", "boots", "markers", "figures", "costs", "fairness", "latency", "proofs", "coverage",
            "tests"]
BOOT_LOG = """KINIT: cpu0 online
KINIT: cpu1 online
ok 6 - qos shares ratio # 100:300 work 3.039 charged 3.040
SELFTEST: qos shares ratio {result}
# all took 7764 ms
SELFTEST: end (pass={passed} fail={failed} skip=0)
"""
BOOT_XML = '<testsuite name="x"><testcase name="SELFTEST: qos shares ratio">{failure}</testcase></testsuite>'
HISTOGRAM = "# histogram wake us 1:3 2:1900 4:97"


def figures_log():
    """What the measuring program prints when every gate of its boot holds with room."""
    boots, all_gates = gates.load(ROOT / "tests/boot/figures.toml")
    told = {}
    for gate in all_gates:
        if gate.gauge in boots["one-hart"].gauges:
            value = gate.at_most / 2 if gate.at_most is not None else gate.at_least * 2
            told.setdefault(gate.gauge, []).append(f"{gate.figure}={value:f}")
    return "\n".join([HISTOGRAM, *(f"ok {number} - {gauge} # {' '.join(figures)}"
                                   for number, (gauge, figures) in enumerate(told.items(), 1))])


def bench_log():
    """One operation as the record has it, and one that became dearer."""
    recorded = artefacts.recorded_costs((ROOT / "docs/perf/bench.md").read_text(encoding="utf-8"))
    return f"BENCH null_call {recorded['null_call']:.1f}\nBENCH yield_two {recorded['yield_two'] * 1.2:.1f}\nBENCH end\n"


def shares_trace():
    """Two workers on cpu 1, 3 ms to 9 ms, and then the other way round, for 240 ms."""
    preempted, ended = timeline.FATES.index("preempted"), timeline.FATES.index("ended")
    workers = (11, 12)
    tasks = [record for tid in workers for record in ((0, K["Start"], tid, tid), *name_records(tid, f"!{tid}"))]
    records = [(0, K["Start"], tid, tid) for tid in workers]
    records += [(0, K["SetShares"], 11, 300), (0, K["SetShares"], 12, 100), (0, K["Switch"], 11, 2 << 8)]
    at = 0
    for number in range(20):
        shares = (9, 3) if number < 10 else (3, 9)
        if number == 10:
            records += [(at, K["SetShares"], 11, 100), (at, K["SetShares"], 12, 300)]
        for length, tid, other in zip(shares, workers, reversed(workers)):
            at += length * MS
            records += [(at, K["Lag"], tid, (1 << 32) - 1500), (at, K["Switch"], other, preempted | 2 << 8)]
    records += [(at, K["Charged"], tid, 120_000) for tid in workers] + [(at, K["Switch"], 0, ended)]
    records += [(at, K["Ended"], tid, tid) for tid in workers] + [(at, K["Wake"], 11, 1)]
    parts = [(frames.TASKS_CPU, tasks), (1, records), (frames.END_CPU, [])]
    return [frames.Frame(cpu, number, 0, found) for number, (cpu, found) in enumerate(parts)]


def run_logs(folder, good):
    """The files of a run, as the tests leave them."""
    logs = folder / "logs"
    target = logs / "riscv-release"
    target.mkdir(parents=True)
    (logs / "bench").mkdir()
    verdict = "ok" if good else "FAIL"
    (logs / "stages.tsv").write_text("began\t100\nstage\tbuild\t300\t620\tok\tcompiles\n"
                                     f"stage\ticount\t99\t110\t{verdict}\tboots\n"
                                     f"total\t{2 if good else 1}\t{0 if good else 1}\n")
    failure = "" if good else '<failure message=""/><system-out>expected &lt;b&gt;3&lt;/b&gt; &amp; got 1</system-out>'
    (logs / "ctest-icount-riscv-release.xml").write_text(
        '<testsuite><testcase name="boot.icount-2" time="4.5" status="run"><system-out>fine</system-out></testcase>'
        f'<testcase name="trace.shares" time="2.5" status="{"run" if good else "fail"}">{failure}</testcase></testsuite>')
    (target / "icount-2.uart.log").write_text(BOOT_LOG.format(result=verdict, passed=int(good), failed=int(not good)))
    (target / "icount-2.xml").write_text(BOOT_XML.format(failure="" if good else '<failure message="FAIL work 1.0"/>'))
    (target / "figures-one-hart.uart.log").write_text(figures_log())
    (logs / "bench/neuron-one-hart.uart.log").write_text(bench_log())
    (target / "trace-shares.uart.log").write_text("\n".join(map(line, shares_trace())))
    (logs / "invariants.tsv").write_text("I1\tlag\t<= 3 ms\t2.9 ms\tok\n")
    (folder / "coverage").mkdir()
    (folder / "coverage/summary.json").write_text(
        '{"line_total": 10, "line_covered": 9, "files": [{"filename": "kernel/sched/a.cpp", "line_total": 10, "line_covered": 9}]}')
    return logs


def make(logs, build, out):
    subprocess.run([sys.executable, ROOT / "tools/run_report/make.py", "--logs", logs, "--build", build, "--out", out],
                   check=True, capture_output=True, text=True)
    return out


def pixels(png):
    """Rows of (red, green, blue) of an 8-bit PNG without interlacing (RFC 2083, 6 and 7)."""
    at, width, height, channels, packed = 8, 0, 0, 0, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and colour in (2, 6), "a kind of PNG that Chromium does not write"
            channels = 3 if colour == 2 else 4
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    data, before, rows = zlib.decompress(packed), bytes(width * channels), []
    for row in range(height):
        begin = row * (width * channels + 1)
        how, now = data[begin], bytearray(data[begin + 1:begin + 1 + width * channels])
        for i, value in enumerate(now):
            left = now[i - channels] if i >= channels else 0
            up, corner = before[i], before[i - channels] if i >= channels else 0
            near = min((abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner))[2]
            now[i] = value + (0, left, up, (left + up) // 2, near)[how] & 0xFF
        before = bytes(now)
        rows.append([tuple(now[i:i + 3]) for i in range(0, len(now), channels)])
    return rows


# What sticks out of the window although nothing around it scrolls.
TOO_WIDE = """[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide, pre') && !e.closest('svg') &&
    e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"""
# Text whose contrast with the ground below it is less than 4.5 (WCAG 2.2, 1.4.3): "contrast: text".
FAINT = """(() => {
    const rgb = c => c.match(/[\\d.]+/g).map(Number);
    const light = c => c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
        if (c[3] === undefined || c[3] > 0) return c; } return [255, 255, 255]; };
    const found = [];
    for (const e of document.querySelectorAll('main *, nav *')) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        if (!own || e.closest('title, style')) continue;
        const style = getComputedStyle(e);
        const [a, b] = [light(rgb(e.closest('svg') ? style.fill : style.color)), light(ground(e))].sort((x, y) => y - x);
        if ((a + .05) / (b + .05) < 4.5) found.push(((a + .05) / (b + .05)).toFixed(2) + ': ' + e.textContent.slice(0, 40));
    }
    return found; })()"""


class Report(unittest.TestCase):
    """One browser looks at three pages."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        base = pathlib.Path(cls.folder.name)
        cls.pages = {}
        for name in ("good", "bad"):
            cls.pages[name] = make(run_logs(base / name, name == "good"), base / name, base / f"{name}.html")
        (base / "none/logs").mkdir(parents=True)
        cls.pages["none"] = make(base / "none/logs", base / "none", base / "none.html")
        cls.chromium = browser.Browser().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.chromium.__exit__()
        cls.folder.cleanup()

    def look(self, name, width=1280, dark=False):
        """Opens a page; what it complained about is an error."""
        self.chromium.view(width, dark=dark)
        self.chromium.complaints.clear()
        self.chromium.requests.clear()
        self.chromium.open(self.pages[name])
        self.assertEqual(self.chromium.complaints, [])
        return self.chromium.run

    def test_a_good_run(self):
        run = self.look("good")
        told = run("document.body.innerText")
        for words in ("pass 2 of 2 tests passed.", "Nothing failed.", "Every part of this page has its data.", "boot.icount-2",
                      "7764 ms", "100:300 work 3.039 charged 3.040", "shares.lag_us", "1 500", "null_call", "+20.0%", "I1", "90.0%",
                      "task 11: shares 300, then 100", "6 min 39 s in all"):
            self.assertIn(words, told)
        self.assertNotIn("FAIL", told)

    def test_everything_is_there_to_see(self):
        run = self.look("good")
        self.assertEqual(run("[...document.querySelectorAll('main section')].map(e => e.id)"), SECTIONS)
        self.assertEqual(run("[...document.querySelectorAll('nav a')].map(e => e.hash.slice(1))"), SECTIONS)
        self.assertTrue(run("[...document.querySelectorAll('main section')].every(e => e.checkVisibility() && "
                            "e.getBoundingClientRect().height > 60)"))
        # Charts: two of shares, who ran where, two histograms; each has marks that take up room.
        self.assertEqual(run("document.querySelectorAll('svg.chart').length"), 4)
        self.assertTrue(run("[...document.querySelectorAll('svg.chart')].every(e => "
                            "[...e.querySelectorAll('.series, .bar')].some(m => m.getBBox().width > 20 && m.getBBox().height >= 0))"))
        self.assertGreater(run("document.querySelectorAll('svg.trace rect').length"), 5)

    def test_the_share_chart_shows_what_ran(self):
        run = self.look("good")
        ends = run("[...document.querySelectorAll('#fairness polyline.series')].slice(0, 2).map(e => "
                   "[e.points[0].y, e.points[e.points.length - 1].y])")
        tops = run("[...document.querySelectorAll('#fairness polyline.target')].slice(0, 2).map(e => "
                   "[e.points[0].y, e.points[e.points.length - 1].y])")
        for got, wanted in zip(ends, tops):
            # A window of 24 ms holds two rounds of 12: exactly what the shares ask for.
            self.assertAlmostEqual(got[0], wanted[0], delta=1)
            self.assertAlmostEqual(got[1], wanted[1], delta=1)
        self.assertGreater(abs(ends[0][0] - ends[0][1]), 50)

    def test_failures_come_first(self):
        run = self.look("bad")
        told = run("document.body.innerText")
        self.assertIn("FAIL 1 of 2 tests passed.", told)
        self.assertEqual(run("document.querySelector('main section').id"), "failures")
        first = run("document.getElementById('failures').innerText")
        for words in ("trace.shares", "expected <b>3</b> & got 1", "boot icount-2", "SELFTEST: qos shares ratio  work 1.0"):
            self.assertIn(words, first)
        self.assertTrue(run("document.querySelector('.failure').getBoundingClientRect().bottom < innerHeight"), "on the first screen")

    def test_a_stage_that_took_too_long_failed_when_that_counts(self):
        with tempfile.TemporaryDirectory() as folder:
            base = pathlib.Path(folder)
            logs = run_logs(base, True)
            for status, wanted in (("FAIL", True), ("ok", False)):
                (logs / "stages.tsv").write_text(f"began\t100\nstage\tcard\t120\t35\t{status}\tthe card\n")
                text = make(logs, base, base / "page.html").read_text(encoding="utf-8")
                self.assertEqual("<b>stage card</b> took 120 s of 35 s" in text, wanted)

    def test_a_cost_that_grew_is_marked(self):
        run = self.look("good")
        self.assertEqual(run("[...document.querySelectorAll('#costs tr.failed b')].map(e => e.innerText)"), ["yield_two"])

    def test_nothing_is_made_up(self):
        run = self.look("none")
        told = run("document.body.innerText")
        self.assertIn("No test has left a result.", told)
        self.assertNotIn("pass", told)
        missing = run("document.getElementById('missing').innerText")
        for words in ("Stage times: scripts/test.sh", "A trace of the shares case", "Coverage: scripts/coverage.sh", "scripts/bench.sh"):
            self.assertIn(words, missing)
        self.assertEqual(run("document.querySelectorAll('svg').length"), 0)
        # What the documents recorded is said to be that.
        coverage = run("document.getElementById('coverage').innerText")
        self.assertRegex(coverage, r"not measured in this run.*(?s:.*)From docs/reliability.md: last measured\b.* lines\b")
        self.assertRegex(coverage, r"(?m)^execd\s+\d[\d.]* %")

    def test_fits_a_desk_and_a_hand(self):
        for name in self.pages:
            for width in (1280, 390):
                with self.subTest(page=name, width=width):
                    run = self.look(name, width)
                    self.assertEqual(run(TOO_WIDE), [])
                    self.assertLessEqual(run("document.documentElement.scrollWidth"), width)

    def test_can_be_read_in_light_and_dark(self):
        grounds = set()
        for dark in (False, True):
            for name in ("good", "bad"):
                with self.subTest(page=name, dark=dark):
                    run = self.look(name, dark=dark)
                    self.assertEqual(run(FAINT), [])
                    grounds.add(run("getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(grounds), 2)

    def test_needs_nothing_from_elsewhere(self):
        self.look("good")
        self.assertEqual(self.chromium.requests, [self.pages["good"].as_uri()])
        self.assertEqual(self.chromium.run("document.scripts.length"), 0)

    def test_the_picture_shows_the_verdict(self):
        """What a camera would see: the verdict's bar, green and red."""
        seen = {}
        for name in ("good", "bad"):
            run = self.look(name)
            place = run("(r => ({x: r.x, y: r.y, width: 40, height: 20, scale: 1}))"
                        "(document.querySelector('.verdict').getBoundingClientRect())")
            self.chromium.picture(pathlib.Path(self.folder.name) / "verdict.png", clip=place)
            rows = pixels((pathlib.Path(self.folder.name) / "verdict.png").read_bytes())
            self.assertEqual((len(rows), len(rows[0])), (20, 40))
            seen[name] = rows[10][2]
            self.assertNotEqual(rows[10][2], rows[10][30])
        self.assertGreater(seen["good"][1], seen["good"][0])
        self.assertGreater(seen["bad"][0], seen["bad"][1])


class Command(unittest.TestCase):
    def test_errors_name_the_thing(self):
        told = subprocess.run([ROOT / "scripts/report.sh", "--logs", "/nowhere"], capture_output=True, text=True, check=False)
        self.assertEqual(told.returncode, 1)
        self.assertIn("/nowhere: no such folder", told.stderr)

    def test_a_damaged_file_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            base = pathlib.Path(folder)
            logs = run_logs(base, True)
            (logs / "ctest-icount-riscv-release.xml").write_text("<testsuite><testcase")
            text = make(logs, base, base / "page.html").read_text(encoding="utf-8")
            self.assertIn("ctest-icount-riscv-release.xml</b> cannot be read", text)

    def test_what_is_older_than_the_run_does_not_count(self):
        with tempfile.TemporaryDirectory() as folder:
            base = pathlib.Path(folder)
            logs = run_logs(base, False)
            (logs / "stages.tsv").write_text("began\t99999999999\nstage\tbuild\t3\t620\tok\tcompiles\ntotal\t1\t0\n")
            text = make(logs, base, base / "page.html").read_text(encoding="utf-8")
            self.assertNotIn("boot.icount-2", text)
            self.assertIn("Nothing was measured.", text)
            self.assertIn("Nothing failed.", text.replace("No test has left a result.", "Nothing failed."))


if __name__ == "__main__":
    unittest.main()
