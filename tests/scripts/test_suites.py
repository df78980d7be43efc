# SPDX-License-Identifier: MIT
"""tests/suites: what is read from the suites, from a boot's log and from the lists, and what counts."""
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "suites"))

import boots  # noqa: E402
import build  # noqa: E402
import plan  # noqa: E402
import verdict  # noqa: E402


class PlanTest(unittest.TestCase):
    def test_directives(self):
        text = '// { dg-do run { target c++20 } }\n// { dg-options "-std=gnu++20 -O0" }\n// { dg-additional-options "-pthread" { target pthread } }\n'
        self.assertEqual(plan.libstdcxx_flags(text), ["-std=gnu++20", "-O0", "-pthread"])
        self.assertIsNone(plan.libstdcxx_flags("// { dg-do compile }\n"))
        self.assertEqual(plan.libstdcxx_flags("// { dg-do run { target { c++11_only || c++14_only } } }\n"), ["-std=gnu++14"])

    def test_expected_end(self):
        self.assertEqual(plan.glibc_end("int x;\n"), ("exit 0", plan.DEFAULT_LIMIT_S))
        self.assertEqual(plan.glibc_end("#define EXPECTED_STATUS 9\n#define TIMEOUT (3 * 20)\n"), ("exit 9", 60))
        self.assertEqual(plan.glibc_end("#define EXPECTED_SIGNAL SIGALRM\n"), ("signal 14", plan.DEFAULT_LIMIT_S))
        self.assertEqual(plan.glibc_end("#define THE_SIGNAL SIGUSR1\n#define EXPECTED_SIGNAL THE_SIGNAL\n")[0], "signal 10")


class BootsTest(unittest.TestCase):
    LOG = ["KTAP version 1", "1..4", "# run a/b", "ok 1 - a/b # exit 0, 12 ms", "# run c", "not ok 2 - c # signal 11, 3 ms", "#   said this",
           "# run d", "ok 3 - d # SKIP exit 77, 0 ms"]

    def test_results(self):
        results, running, ended = boots.read([*self.LOG, "SUITES: end (pass=1 fail=1 skip=1)"])
        self.assertEqual(results["a/b"], boots.Result("pass", "exit 0", 12))
        self.assertEqual(results["c"], boots.Result("fail", "signal 11", 3, ("said this",)))
        self.assertEqual(results["d"].status, "skip")
        self.assertEqual((running, ended), (None, True))

    def test_a_log_that_breaks_off(self):
        _, running, ended = boots.read([*self.LOG, "# run e", "KERNEL PANIC: x"])
        self.assertEqual((running, ended), ("e", False))


class BuildTest(unittest.TestCase):
    def test_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "log"
            log.write_text("note\na.c:1: fatal error: x.h: No such file\n", encoding="utf-8")
            self.assertEqual(build.reason(log), "x.h: No such file")
            log.write_text("ld: undefined reference to `f'\n", encoding="utf-8")
            self.assertEqual(build.reason(log), "undefined: f")

    def test_failures_are_forgotten_when_a_header_changes(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "status").mkdir()
            for program, said in (("good", "built"), ("bad", "failed"), ("new", "failed")):
                (folder / "status" / program).write_text(said + "\n", encoding="utf-8")
            for program in ("good", "bad"):
                os.utime(folder / "status" / program, (0, 0))
            build.forget_failures(folder, ["good", "bad", "new", "absent"])
            self.assertEqual({path.name for path in (folder / "status").iterdir()}, {"good", "new"})


class VerdictTest(unittest.TestCase):
    def test_lists(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "list"
            path.write_text("# header\na/* | a call | because\n", encoding="utf-8")
            self.assertEqual(verdict.read_skips(path, ["a/b"]), [verdict.Skip("a/*", "a call", "because")])
            with self.assertRaisesRegex(verdict.ListError, "list:2: no test is called 'a/.'"):
                verdict.read_skips(path, ["b"])
            path.write_text("a/b | because\n", encoding="utf-8")
            with self.assertRaisesRegex(verdict.ListError, "list:1: wanted"):
                verdict.read_skips(path, ["a/b"])
            path.write_text("pass a/b\nmaybe c\n", encoding="utf-8")
            with self.assertRaisesRegex(verdict.ListError, "list:2: wanted"):
                verdict.read_baseline(path)
            verdict.write_baseline(path, {"b": "fail", "a": "pass"})
            self.assertEqual(verdict.read_baseline(path), {"a": "pass", "b": "fail"})

    def test_what_counts(self):
        baseline = {"good": "pass", "bad": "pass", "listed": "pass", "stale": "pass", "both": "fail", "better": "fail"}
        statuses = {"good": "pass", "bad": "fail", "listed": "fail", "stale": "pass", "both": "fail", "better": "pass"}
        skips = [verdict.Skip("listed", "x", "y"), verdict.Skip("stale", "x", "y")]
        row, failed, stale = verdict.judge("s", [*baseline, "absent", "not run"], {"absent"}, statuses, baseline, skips)
        self.assertEqual(row, verdict.Row("s", run=6, not_built=1, on_linux=4, listed=2, counted=2, passed=1, neither=1))
        self.assertEqual((failed, stale), (["bad"], ["stale"]))
        self.assertEqual(row.percent(), 50)


if __name__ == "__main__":
    unittest.main()
