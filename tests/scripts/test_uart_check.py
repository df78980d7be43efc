# SPDX-License-Identifier: MIT
import pathlib
import tempfile
import unittest

import uart_check

MANIFEST = uart_check.load_manifest(r"""
[[marker]]
name = "KINIT: cpuN online"
pattern = '^KINIT: cpu(\d+) online'
each_hart = true
stage = 1
proves = "harts"
[[marker]]
name = "KSELFTEST: ipi resched"
stage = 2
min_harts = 2
proves = "IPIs"
[[marker]]
name = "audio's affinity"
pattern = '^execd: svc=audio mask={mask:0x3} policy=pin$'
stage = 3
proves = "recipes"
[[marker]]
name = "KSELFTEST: work stealing"
stage = 0
lanes = ["mttcg"]
proves = "steals"
[[marker]]
name = "SELFTEST: qos shares ratio"
stage = 4
proves = "shares"
[[marker]]
name = "SELFTEST: affinity applied"
stage = 4
lanes = ["icount"]
proves = "masks"
""")

GOOD = """\
OpenSBI v1.5.1\r
Boot HART ID              : 0\r
KINIT: cpu0 online\r
KINIT: cpu1 online (hart 3)\r
KSELFTEST: ipi resched ok\r
execd: svc=audio mask=0x3 policy=pin\r
KTAP version 1\r
1..3\r
SELFTEST: qos shares ratio ok\r
ok 1 - qos-shares # work 3.01 charged 3.00\r
SELFTEST: affinity applied ok\r
ok 2 - affinity\r
ok 3 - perfburst # SKIP no tokens yet\r
SELFTEST: end (pass=2 fail=0 skip=1)\r
"""


def check(text, smp=2, lane="icount", **extra):
    return uart_check.check(text, MANIFEST, smp, lane, **extra)


def status_of(report, name):
    return {row.name: row.status for row in report.rows}[name]


class CheckTest(unittest.TestCase):
    def test_good_log(self):
        report = check(GOOD)
        self.assertEqual(report.code, uart_check.PASS, uart_check.table(report))
        self.assertEqual(report.failed(), [])
        self.assertEqual(status_of(report, "KTAP 3 perfburst"), "skip")

    def test_fail_line(self):
        report = check(GOOD.replace("shares ratio ok", "shares ratio FAIL 1.02")
                       .replace("ok 1 - qos", "not ok 1 - qos").replace("pass=2 fail=0", "pass=1 fail=1"))
        self.assertEqual(report.code, uart_check.FAIL)
        self.assertEqual(status_of(report, "SELFTEST: qos shares ratio"), "FAIL")

    def test_ktap_failure_counts_without_a_marker(self):
        report = check(GOOD.replace("ok 2 - aff", "not ok 2 - aff").replace("pass=2 fail=0", "pass=1 fail=1"))
        self.assertEqual(report.code, uart_check.FAIL)

    def test_a_panic_is_shown_from_its_first_line_on(self):
        before = [f"line {number}" for number in range(30)]
        lines = [*before, "KERNEL PANIC begin", "CHECK failed: x"] + ["registers"] * 50 + ["KERNEL PANIC end"]
        self.assertEqual(uart_check.last_words(lines, 2)[:4], [*before[-2:], *lines[30:32]])
        self.assertEqual(uart_check.last_words(lines, 2)[-1], "KERNEL PANIC end")
        self.assertEqual(uart_check.last_words(before, 2), before[-2:])

    def test_panic_before_everything(self):
        report = check(GOOD.split("SELFTEST: aff")[0] + "KERNEL PANIC: CHECK failed\n", timed_out=True)
        self.assertEqual(report.code, uart_check.PANIC)

    def test_timeout_before_fail(self):
        report = check(GOOD.split("ok 2")[0].replace("ratio ok", "ratio FAIL"), timed_out=True)
        self.assertEqual(report.code, uart_check.TIMEOUT)

    def test_missing_hart(self):
        report = check(GOOD.replace("KINIT: cpu1 online (hart 3)\r\n", ""))
        self.assertEqual(report.code, uart_check.ORDER)
        self.assertIn("no line for cpu 1", report.rows[0].detail)

    def test_hart_too_many_or_twice_or_descending(self):
        for change in ("KINIT: cpu0 online\nKINIT: cpu1 online\nKINIT: cpu2 online\n",
                       "KINIT: cpu0 online\nKINIT: cpu1 online\nKINIT: cpu1 online\n",
                       "KINIT: cpu1 online\nKINIT: cpu0 online\n"):
            report = check(change + GOOD.split("(hart 3)\r\n")[1])
            self.assertEqual(report.code, uart_check.ORDER)
            self.assertEqual(report.rows[0].status, "ORDER")

    def test_stages_in_order(self):
        report = check("SELFTEST: qos shares ratio ok\n" + GOOD.replace("SELFTEST: qos shares ratio ok\r\n", ""))
        self.assertEqual(report.code, uart_check.ORDER)
        self.assertIn("comes before 'audio's affinity'", uart_check.table(report))

    def test_one_stage_in_any_order(self):
        swapped = GOOD.replace("qos shares ratio", "X").replace("affinity applied", "qos shares ratio")
        self.assertEqual(check(swapped.replace("X", "affinity applied")).code, uart_check.PASS)

    def test_stage_0_comes_at_any_time_where_required(self):
        steal = "KSELFTEST: work stealing ok\n"
        for text in (steal + GOOD, GOOD.replace("KTAP v", steal + "KTAP v")):
            self.assertEqual(check(text, lane="mttcg").code, uart_check.PASS)
        self.assertEqual(check(GOOD, lane="mttcg").code, uart_check.ORDER)
        self.assertEqual(check(GOOD, lane="icount").code, uart_check.PASS)

    def test_skip_only_where_the_manifest_allows(self):
        skipped = GOOD.replace("affinity applied ok", "affinity applied SKIP host busy")
        self.assertEqual(check(skipped).code, uart_check.ORDER)
        self.assertEqual(check("KSELFTEST: work stealing ok\n" + skipped, lane="mttcg").code, uart_check.PASS)

    def test_not_required_with_one_hart(self):
        one = GOOD.replace("KINIT: cpu1 online (hart 3)\r\n", "").replace("KSELFTEST: ipi resched ok\r\n", "") \
            .replace("mask=0x3", "mask=0x1")
        self.assertEqual(check(one, smp=1).code, uart_check.PASS, uart_check.table(check(one, smp=1)))

    def test_marker_twice_and_unknown_marker(self):
        self.assertEqual(check(GOOD.replace("KTAP v", "SELFTEST: qos shares ratio ok\nKTAP v")).code, uart_check.ORDER)
        report = check(GOOD.replace("KTAP v", "SELFTEST: colour ok\nKTAP v"))
        self.assertEqual(report.code, uart_check.ORDER)
        self.assertIn("not in the manifest", uart_check.table(report))

    def test_ktap_numbering_and_plan(self):
        for change in (("ok 2 - aff", "ok 3 - aff"), ("1..3", "1..4"), ("KTAP version 1", "TAP"), ("1..3", "")):
            with self.subTest(change):
                self.assertEqual(check(GOOD.replace(*change)).code, uart_check.ORDER)

    def test_end_is_last_and_agrees(self):
        for text in (GOOD + "one more line\n", GOOD.split("SELFTEST: end")[0], GOOD.replace("pass=2", "pass=3")):
            self.assertEqual(check(text).code, uart_check.ORDER)


class OtherModesTest(unittest.TestCase):
    CONTROL = ("KTAP version 1\n1..1\nSELFTEST: qos shares ratio FAIL 1.0\nnot ok 1 - qos-shares\n"
               "SELFTEST: end (pass=0 fail=1 skip=0)\n")

    def test_control_wants_exactly_that_failure(self):
        def code(text, name):
            return uart_check.check_only_fail(text, name).code
        self.assertEqual(code(self.CONTROL, "SELFTEST: qos shares ratio"), uart_check.PASS)
        self.assertEqual(code(self.CONTROL, "SELFTEST: affinity applied"), uart_check.FAIL)
        self.assertEqual(code("SELFTEST: affinity applied FAIL\n" + self.CONTROL, "SELFTEST: qos shares ratio"),
                         uart_check.FAIL)
        healthy = self.CONTROL.replace("FAIL 1.0", "ok").replace("not ok", "ok").replace("pass=0 fail=1", "pass=1 fail=0")
        self.assertEqual(code(healthy, "SELFTEST: qos shares ratio"), uart_check.FAIL)

    def test_loose(self):
        self.assertEqual(uart_check.check_loose("hello\n").code, uart_check.PASS)
        self.assertEqual(uart_check.check_loose("hello\nKERNEL PANIC: x\n").code, uart_check.PANIC)
        self.assertEqual(uart_check.check_loose("hello\n", timed_out=True).code, uart_check.TIMEOUT)


class ManifestTest(unittest.TestCase):
    def test_errors_name_the_marker(self):
        for text, message in (("[[marker]]\nname='a'\nstage=1\nproves='b'\ncolour=1", "marker 1: unknown key colour"),
                              ("[[marker]]\nname='a'\nstage=1", "marker 1: no proves"), ("", "no \\[\\[marker"),):
            with self.assertRaisesRegex(uart_check.ManifestError, message):
                uart_check.load_manifest(text)

    def test_the_shipped_manifest_loads(self):
        path = pathlib.Path(__file__).resolve().parents[1] / "markers.toml"
        names = [marker.name for marker in uart_check.load_manifest(path.read_text(encoding="utf-8"))]
        self.assertIn("SELFTEST: qos shares ratio", names)
        self.assertEqual(len(names), len(set(names)))

    def test_masks_are_clamped(self):
        self.assertEqual([uart_check.effective_pattern("mask={mask:0xff}", online) for online in (0x1, 0x7, 0xff)],
                         ["mask=0x1", "mask=0x7", "mask=0xff"])
        self.assertEqual(uart_check.effective_pattern("{mask:0xe}", 1), "0x1")


class OutputTest(unittest.TestCase):
    def test_junit_and_exit_code(self):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder, "x.uart.log")
            log.write_text("SELFTEST: a FAIL <1>\n", encoding="utf-8")
            code = uart_check.main([str(log), "--quiet", "--junit", f"{folder}/x.xml"])
            self.assertEqual(code, uart_check.FAIL)
            xml = pathlib.Path(folder, "x.xml").read_text(encoding="utf-8")
            self.assertIn('failures="1"', xml)
            self.assertIn("FAIL &lt;1&gt;", xml)


class MachineTest(unittest.TestCase):
    """What depends on the machine: which CPUs come up, how it ends, what else its log shows."""
    HOLE = GOOD.replace("cpu1 online", "cpu2 online").replace("cpu0 online", "cpu1 online").replace("mask=0x3", "mask=0x2")
    PARKED = GOOD + "KINIT: halted, the firmware cannot power off this machine\r\n"

    def codes(self, text, **machine):
        return check(text, machine=uart_check.Machine(**{"online": 3, **machine})).code

    def test_a_hole_in_the_cpus(self):
        self.assertEqual(self.codes(self.HOLE, online=0b110), uart_check.PASS)
        self.assertEqual(self.codes(self.HOLE), uart_check.ORDER)
        self.assertEqual(self.codes(GOOD, online=0b110), uart_check.ORDER)

    def test_a_machine_that_parks_says_so_as_the_last_line(self):
        self.assertEqual(self.codes(self.PARKED, parks=True), uart_check.PASS)
        self.assertEqual(self.codes(self.PARKED), uart_check.ORDER)
        self.assertEqual(self.codes(GOOD, parks=True), uart_check.ORDER)
        self.assertEqual(self.codes(self.PARKED + "more\r\n", parks=True), uart_check.ORDER)

    def test_expected_lines(self):
        self.assertEqual(self.codes(GOOD, expects=(r"^Boot HART ID +: 0$",)), uart_check.PASS)
        self.assertEqual(self.codes(GOOD, expects=(r"^Boot HART ID +: 1$",)), uart_check.ORDER)


if __name__ == "__main__":
    unittest.main()
