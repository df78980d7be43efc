# SPDX-License-Identifier: MIT
import pathlib
import tempfile
import unittest

import bench_table

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUDGETS = """
[[boot]]
name = "one"
harts = 1
tolerance_percent = 3
why = "exact"
operations = ["call", "wake"]
[[row]]
figure = "call"
boot = "one"
budget = 100
what = "a call"
[[row]]
figure = "wake.p50"
boot = "one"
unit = "ns"
what = "a wake-up"
"""
LINES = ["[    0.1] something", "BENCH call 103.0", "BENCH wake.p50 1200.0", "SKIP pipe Function not implemented",
         "BENCH end 2 1"]


def load(text):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "budgets.toml"
        path.write_text(text, encoding="utf-8")
        return bench_table.load(path)


def judge(lines, text=BUDGETS, theirs=None):
    boots, rows = load(text)
    logs = {(bench_table.NEURON, "one"): bench_table.read_log(lines)}
    systems = [bench_table.NEURON]
    if theirs is not None:
        logs["Linux", "one"] = bench_table.read_log(theirs)
        systems.append("Linux")
    return bench_table.table(boots, rows, logs, systems)


class BenchTableTest(unittest.TestCase):
    def test_reads_figures_skips_and_the_end(self):
        log = bench_table.read_log(LINES)
        self.assertEqual(log.figures, {"call": 103.0, "wake.p50": 1200.0})
        self.assertEqual(log.skipped, {"pipe": "Function not implemented"})
        self.assertTrue(log.ended)

    def test_a_log_that_was_cut_has_no_end(self):
        self.assertFalse(bench_table.read_log(LINES[:-1]).ended)

    def test_a_figure_within_the_tolerance_is_kept(self):
        printed, wrong = judge(LINES)
        self.assertEqual(wrong, [])
        self.assertEqual(printed[1][:5], ["call", "instructions", "103", "100", "ok"])

    def test_a_regression_is_over_and_named(self):
        printed, wrong = judge(["BENCH call 103.1"] + LINES[2:])
        self.assertEqual(printed[1][4], "OVER 1.03 times")
        self.assertEqual(wrong, ["call: 103.1 instructions, budget 100: OVER 1.03 times (a call)"])

    def test_a_budget_of_nothing(self):
        none = BUDGETS.replace("budget = 100", "budget = 0")
        self.assertEqual(judge(["BENCH call 0.0"], none)[1], [])
        self.assertEqual(judge(["BENCH call 1.0"], none)[0][1][4], "OVER")

    def test_what_was_not_measured_breaks_a_budget_only(self):
        printed, wrong = judge(["SKIP call Function not implemented", "SKIP wake No such process"])
        self.assertEqual([row[4] for row in printed[1:]], ["SKIP Function not implemented", "SKIP No such process"])
        self.assertEqual(len(wrong), 1)
        self.assertEqual(judge([])[0][1][4], "SKIP not in the log")

    def test_a_ratio_is_how_much_more_the_other_takes(self):
        printed, _ = judge(LINES, theirs=["BENCH call 206.0", "SKIP wake No such process"])
        self.assertEqual(printed[0][5:], ["Linux", "ratio"])
        self.assertEqual(printed[1][5:], ["206", "2.00"])
        self.assertEqual(printed[2][5:], ["-", "-"])

    def test_the_firmware_is_no_part_of_the_boot(self):
        log = bench_table.read_log(["BENCH boot_to_init.ticks 150000.0", "BENCH boot_to_init.tick_ns 100.0"])
        bench_table.add_boot_time(log, bench_table.read_log(["BENCH firmware.ticks 0x0000000000020000"]))
        self.assertEqual(log.figures["boot_to_init"], (150000 - 0x20000) * 100)

    def test_a_boot_without_the_firmware_is_not_measured(self):
        log = bench_table.read_log(["BENCH boot_to_init.ticks 150000.0", "BENCH boot_to_init.tick_ns 100.0"])
        bench_table.add_boot_time(log, bench_table.Log())
        self.assertNotIn("boot_to_init", log.figures)

    def test_wrong_budgets_are_refused(self):
        for wrong in (BUDGETS.replace('"call", "wake"', '"call", "wake", "unseen"'), BUDGETS.replace("harts = 1", "hart = 1"),
                      BUDGETS.replace('figure = "call"', 'figure = "cell"'),
                      BUDGETS.replace('boot = "one"\nbudget', 'boot = "two"\nbudget'),
                      BUDGETS.replace('figure = "wake.p50"', 'name = "call"\nfigure = "wake.p50"')):
            with self.subTest(wrong), self.assertRaises(bench_table.TableError):
                load(wrong)

    def test_some_operations(self):
        boots, rows = bench_table.only(*load(BUDGETS), ["wake"])
        self.assertEqual(boots["one"].operations, ["wake"])
        self.assertEqual([row.figure for row in rows], ["wake.p50"])
        with self.assertRaises(bench_table.TableError):
            bench_table.only(*load(BUDGETS), ["wave"])

    def test_markdown(self):
        lines = bench_table.aligned(judge(LINES)[0], markdown=True)
        self.assertEqual(lines[1].count("|"), lines[0].count("|"))
        self.assertTrue(all(line.startswith("| ") for line in lines[:1] + lines[2:]))

    def test_the_budgets_in_use_are_right(self):
        boots, rows = bench_table.load(ROOT / "bench" / "budgets.toml")
        named = (ROOT / "bench" / "bench.cpp").read_text(encoding="utf-8")
        for boot in boots.values():
            for operation in boot.operations:
                self.assertIn(f'Operation{{"{operation}"', named)
        self.assertGreater(len(rows), 20)


if __name__ == "__main__":
    unittest.main()
