#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""score.py: which mutants are made of a source, and what the score says of good tests, of poor ones and of none."""

import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

MUTANTS = pathlib.Path(__file__).resolve().parents[2] / "tools/mutants"
sys.path.insert(0, str(MUTANTS))
import schemata  # noqa: E402
import score  # noqa: E402

SOURCE = """\
#include <vector>

constexpr int kLimit = 3 + 4;

namespace box {

// A comment: a < b && c.
template <class T>
constexpr bool is_above(T value) {
    static_assert(sizeof(T) < 16);
    return value > kLimit;
}

int count(const std::vector<int>& values, bool all) {
    int found = 0;
    for (const int value : values) {
        CHECK(value < 100);
        if (all || is_above(value)) {
            ++found;
        }
    }
    return found;
}

}  // namespace box
"""

TESTS = """\
#include <gtest/gtest.h>
#include "box.hpp"

TEST(Good, Counts) {
    EXPECT_EQ(box::count({1, 7, 8, 9}, false), 2);
    EXPECT_EQ(box::count({1, 7, 8}, true), 3);
}
TEST(Poor, CountsNothing) { EXPECT_EQ(box::count({}, false), 0); }
"""


def made_of(source):
    return schemata.Rewriter(source).mutants()


def body(text):
    return "void f(int a, int b) {\n" + textwrap.indent(text, "    ") + "\n}\n"


def shown(text):
    return [mutant.shown() for mutant in made_of(body(text))]


class SchemataTest(unittest.TestCase):
    def test_operators(self):
        self.assertEqual(shown("g(a < b);"), ["deletion: g(a < b); -> nothing", "relation: a < b -> a <= b"])
        self.assertEqual(shown("const int x = a + 7;"), ["arithmetic: a + 7 -> a - 7", "boundary: a + 7 -> a + 8"])
        self.assertEqual(shown("if (a && b) {\n}"), ["logic: a && b -> a || b", "condition: a && b -> !(a && b)"])
        self.assertEqual(shown("return a;"), ["value: return a; -> return {};"])
        self.assertEqual(shown("return true;"), ["constant: true -> false"])
        self.assertEqual(shown("a += b;"), ["arithmetic: += -> -=", "deletion: a += b; -> nothing"])
        self.assertEqual(shown("x = 0;"), ["deletion: x = 0; -> nothing", "constant: 0 -> 1"])

    def test_what_is_left_alone(self):
        for text in ('log("a < b");', "// a < b", "CHECK(a < b);", "DCHECK_EQ(a + 1, b);", "static_assert(1 < 2);",
                     "constexpr int n = 1 + 2;", "if constexpr (a < b) {\n}", "std::array<int, 4> all;", "const auto s = \"1 < 2\";",
                     "if (trace::is_on(1)) {\n    put(a + b);\n}", "trace::put(a + 1);", "switch (a) {\n    case 4:\n        break;\n}",
                     "line << \"of \" << a + b;", "#if A < B\nif (a < b) {\n}\n#else\ng(a);\n#endif", "const std::vector<std::pair<int, int>> v;",
                     "__extension__ using Wide = unsigned __int128;"):
            self.assertEqual(shown(text), [], text)
        for text in ("enum class E { A = 1, B = 2 };\n", "struct S {\n    int a = 1 + 2;\n};\n", "int global = 1 + 2;\n",
                     "consteval int f() {\n    return 1 + 2;\n}\n"):
            self.assertEqual(made_of(text), [], text)

    def test_lambdas_and_members_have_bodies(self):
        self.assertIn("relation: x < y -> x <= y", shown("sort(v, [&](int x, int y) { return x < y; });"))
        text = "class A : public B {\n  public:\n    A(int a) : B{a}, a_(a) { b_ = a; }\n    int f() const { return a_; }\n};\n"
        self.assertEqual([mutant.shown() for mutant in made_of(text)],
                         ["deletion: b_ = a; -> nothing", "value: return a_; -> return {};"])

    def test_the_default_that_is_returned_anyway_is_no_mutant(self):
        for head in ("Span f(int a) {", "static constexpr lib::Span Box::f(Other a) {", "[[nodiscard]] Span f() const {",
                     "template <class T>\ninline Span Box<T>::f() {", "auto f(int a) -> Span {"):
            self.assertEqual(made_of(head + "\n    return Span{};\n}\n"), [], head)
        for head in ("std::optional<Span> f(int a) {", "Other f(Span a) {", "Span* f() {", "auto f() {", "Other Span::f() {",
                     "template <Span kSpan>\nOther f() {"):
            self.assertEqual([mutant.shown() for mutant in made_of(head + "\n    return Span{};\n}\n")],
                             ["value: return Span{}; -> return {};"], head)
        self.assertEqual(shown("g([]() -> Span { return Span{}; });"), ["deletion: g([]() -> Span { return Span{}; }); -> nothing"])
        self.assertIn("value: return Span{}; -> return {};", shown("g([]() -> Other { return Span{}; });"))
        self.assertIn("value: return Span{1}; -> return {};", [m.shown() for m in made_of("Span f() {\n    return Span{1};\n}\n")])

    def test_without_mutants_the_source_is_the_same(self):
        rewriter = schemata.Rewriter(SOURCE)
        rewriter.mutants()
        self.assertEqual(rewriter.render(lambda mutant: False), SOURCE)

    def test_an_error_is_blamed_on_the_mutant_of_its_line(self):
        text = "a\nneuron_score_on(4) ? (b) :\nc\n"
        self.assertEqual(score.blamed("../tree/x/box.hpp:2:5: error: no", {"x/box.hpp": text}), {4})
        self.assertEqual(score.blamed("x/box.hpp:2:5:   required from here\nother.cpp:1:1: error: no", {"x/box.hpp": text}), {4})
        self.assertEqual(score.blamed("x/box.hpp:3:5: error: no", {"x/box.hpp": text}), set())


class EquivalentTest(unittest.TestCase):
    def setUp(self):
        _, self.placed = score.make_mutants_of({"box.hpp": SOURCE})
        self.entry = {"file": "box.hpp", "line": "++found;", "change": "deletion: ++found; -> nothing", "reason": "of the test"}

    def test_an_entry_names_a_mutant(self):
        found = score.match_equivalents([self.entry], self.placed, ["box.hpp"])
        self.assertEqual([self.placed[number - 1].mutant.line for number in found], [19])

    def test_an_entry_that_no_longer_fits_is_refused(self):
        for key, value in (("line", "--found;"), ("change", "deletion: found; -> nothing"), ("reason", ""), ("places", 2)):
            with self.subTest(key), self.assertRaises(score.ScoreError):
                score.match_equivalents([self.entry | {key: value}], self.placed, ["box.hpp"])


class ScoreTest(unittest.TestCase):
    """The fixture above, compiled once, and three choices of tests."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        rewriters, cls.placed = score.make_mutants_of({"box.hpp": SOURCE})
        (cls.folder / "box.hpp").write_text("#pragma once\n#define CHECK(x)\n" + rewriters["box.hpp"].render(lambda mutant: True))
        (cls.folder / "test.cpp").write_text(TESTS)
        cls.program = cls.folder / "fixture"
        subprocess.run(["g++", "-std=c++23", "-O0", "-w", "-include", MUTANTS / "score_switch.hpp",
                        f"-DNEURON_SCORE_MUTANTS={len(cls.placed)}", "-o", cls.program, cls.folder / "test.cpp",
                        MUTANTS / "score_listener.cpp", "-lgtest", "-lgtest_main"], check=True)

    def measured(self, tests):
        found = score.look_at_tests([self.program], self.folder, tests, 1) if tests else []
        return score.measure(self.placed, found, 2)

    def test_good_tests_find_every_mutant(self):
        results = self.measured("Good.*")
        self.assertEqual([p.shown() for p in self.placed if results[p.mutant.number] is None], [])
        self.assertEqual(score.percent(results), 100)

    def test_poor_tests_find_few(self):
        results = self.measured("Poor.*")
        self.assertEqual({p.mutant.shown() for p in self.placed if results[p.mutant.number]}, {"constant: 0 -> 1"})

    def test_no_tests_find_none(self):
        self.assertEqual(score.percent(self.measured("")), 0)

    def test_a_test_that_fails_by_itself_is_refused(self):
        with self.assertRaisesRegex(score.ScoreError, "fails without a mutant"):
            score.look_at_tests([pathlib.Path("/bin/false")], self.folder, "*", 1)

    def test_a_seed_draws_the_same_sample(self):
        first = score.draw(self.placed, 4, 7)
        self.assertEqual(len(first), 4)
        self.assertEqual(first, score.draw(self.placed, 4, 7))
        self.assertNotEqual(first, score.draw(self.placed, 4, 8))


if __name__ == "__main__":
    unittest.main()
