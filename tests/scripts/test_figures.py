# SPDX-License-Identifier: MIT
import pathlib
import sys
import tempfile
import unittest

BOOT = pathlib.Path(__file__).resolve().parents[1] / "boot"
sys.path.insert(0, str(BOOT))
import figures

LINES = ["KTAP version 1", "1..2", "ok 1 - shares # error=0.00073 lag_us=2620.8", "not ok 2 - wake # no sleeper"]
TABLE = """
[[boot]]
name = "one"
harts = 1
gauges = ["shares", "wake"]
[[gate]]
gauge = "shares"
figure = "lag_us"
at_most = 3000
why = "a request"
[[gate]]
gauge = "wake"
figure = "p50_us"
at_most = 2
why = "fast"
"""


def load(text):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "figures.toml"
        path.write_text(text, encoding="utf-8")
        return figures.load(path)


class FiguresTest(unittest.TestCase):
    def test_reads_the_lines_that_are_ok(self):
        self.assertEqual(figures.figures_of(LINES), {"shares": {"error": 0.00073, "lag_us": 2620.8}})

    def test_a_limit_holds_or_is_named_with_its_reason(self):
        boots, gates = load(TABLE)
        good = {"shares": {"lag_us": 3000.0}, "wake": {"p50_us": 1.9}}
        self.assertEqual(figures.judge(boots["one"], gates, good)[1], [])
        late = {"shares": {"lag_us": 3000.0}, "wake": {"p50_us": 2.1}}
        self.assertEqual(figures.judge(boots["one"], gates, late)[1], ["wake: p50_us is 2.1, wanted <= 2: fast"])

    def test_what_was_not_measured_is_wrong(self):
        boots, gates = load(TABLE)
        wrong = figures.judge(boots["one"], gates, figures.figures_of(LINES))[1]
        self.assertEqual(wrong, ["wake: no figure 'p50_us' in the log", "wake: it was not measured"])

    def test_a_gauge_without_a_gate_is_wrong(self):
        boots, gates = load(TABLE)
        good = {"shares": {"lag_us": 1.0}, "wake": {"p50_us": 1.0}}
        wrong = figures.judge(boots["one"], gates[:1], good)[1]
        self.assertEqual(wrong, ["wake: no gate judges it"])

    def test_at_least(self):
        gate = figures.Gate("idle", "share_percent", "its floor", at_least=0.47)
        self.assertTrue(gate.holds(0.478))
        self.assertFalse(gate.holds(0.46))

    def test_a_wrong_table_is_refused(self):
        with self.assertRaises(figures.TableError):
            load(TABLE.replace("at_most = 2", "at_most = 2\nat_least = 1"))
        with self.assertRaises(figures.TableError):
            load(TABLE.replace('gauge = "wake"', 'gauge = "wave"'))
        with self.assertRaises(figures.TableError):
            load(TABLE.replace("harts = 1", "hart = 1"))

    def test_the_table_in_use_is_right(self):
        boots, gates = figures.load(BOOT / "figures.toml")
        for boot in boots.values():
            for gauge in boot.gauges:
                self.assertTrue(any(gate.gauge == gauge for gate in gates), gauge)


if __name__ == "__main__":
    unittest.main()
