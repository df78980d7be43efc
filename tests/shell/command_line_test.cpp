// SPDX-License-Identifier: MIT
#include "command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using shell::Pipeline;
using shell::RunsAfter;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Pipeline> parsed(std::string_view line) {
    const auto result = shell::parse_line(line);
    const auto* const pipelines = std::get_if<std::vector<Pipeline>>(&result);
    if (pipelines == nullptr) {
        ADD_FAILURE() << line << ": " << std::get_if<shell::ParseError>(&result)->what;
        return {};
    }
    return *pipelines;
}

// The words of a line's only command; $x is "<x>".
std::vector<std::string> words(std::string_view line) {
    const auto pipelines = parsed(line);
    if (pipelines.size() != 1 || pipelines[0].commands.size() != 1) {
        ADD_FAILURE() << line;
        return {};
    }
    return shell::expand(pipelines[0].commands[0].words, [](std::string_view name) {
        return name == "empty" ? "" : '<' + std::string{name} + '>';
    });
}

TEST(ShellCommandLine, WordsAndQuotes) {
    EXPECT_THAT(words("a  b\tc"), ElementsAre("a", "b", "c"));
    EXPECT_THAT(words("a 'b  c' \"d e\" f'g'\"h\""), ElementsAre("a", "b  c", "d e", "fgh"));
    EXPECT_THAT(words(R"(a\ b "c\"d" 'e\f' \#g)"), ElementsAre("a b", "c\"d", "e\\f", "#g"));
    EXPECT_THAT(words("a '' \"\""), ElementsAre("a", "", ""));
    EXPECT_THAT(words("a#b # c"), ElementsAre("a#b"));
    EXPECT_THAT(parsed("  # nothing"), IsEmpty());
    EXPECT_THAT(parsed(""), IsEmpty());
}

TEST(ShellCommandLine, Variables) {
    EXPECT_THAT(words("$a ${b}c $? x$!y"), ElementsAre("<a>", "<b>c", "<?>", "x<!>y"));
    EXPECT_THAT(words("'$a' \"$a\" \\$a"), ElementsAre("$a", "<a>", "$a"));
    EXPECT_THAT(words("a $empty \"$empty\" $"), ElementsAre("a", "", "$"));
    EXPECT_THAT(words("${neuron.selftest} $a.b"), ElementsAre("<neuron.selftest>", "<a>.b"));
}

TEST(ShellCommandLine, PipelinesAndLists) {
    const auto list = parsed("a x | b && c; d || e & f");
    ASSERT_EQ(list.size(), 5U);
    EXPECT_EQ(list[0].commands.size(), 2U);
    EXPECT_EQ(list[0].text, "a x | b");
    EXPECT_EQ(list[1].runs_after, RunsAfter::Success);
    EXPECT_EQ(list[2].runs_after, RunsAfter::Anything);
    EXPECT_EQ(list[3].runs_after, RunsAfter::Failure);
    EXPECT_TRUE(list[3].is_background);
    EXPECT_FALSE(list[4].is_background);
    EXPECT_EQ(list[4].text, "f");
}

TEST(ShellCommandLine, Redirections) {
    const auto command = parsed("a <in >out 2>>'err file' 2>&1 b2")[0].commands[0];
    ASSERT_EQ(command.redirects.size(), 4U);
    EXPECT_EQ(command.words.size(), 2U);
    const auto nothing = [](std::string_view) { return std::string{}; };
    EXPECT_EQ(command.redirects[0].descriptor, 0);
    EXPECT_EQ(shell::expand(command.redirects[0].target, nothing), "in");
    EXPECT_EQ(command.redirects[1].kind, shell::RedirectKind::Output);
    EXPECT_EQ(command.redirects[2].kind, shell::RedirectKind::Append);
    EXPECT_EQ(command.redirects[2].descriptor, 2);
    EXPECT_EQ(shell::expand(command.redirects[2].target, nothing), "err file");
    EXPECT_EQ(command.redirects[3].kind, shell::RedirectKind::Copy);
    EXPECT_EQ(command.redirects[3].copied, 1);
}

TEST(ShellCommandLine, ErrorsNameTheColumn) {
    const auto error = [](std::string_view line) {
        const auto result = shell::parse_line(line);
        const auto* const wrong = std::get_if<shell::ParseError>(&result);
        return wrong == nullptr ? "" : std::to_string(wrong->column) + ": " + wrong->what;
    };
    EXPECT_EQ(error("a 'b"), "3: this ' has no other");
    EXPECT_EQ(error("a \"b"), "3: this \" has no other");
    EXPECT_EQ(error("a &&"), "3: nothing follows '&&'");
    EXPECT_EQ(error("; a"), "1: a command is missing before ';'");
    EXPECT_EQ(error("a | | b"), "5: a command is missing before '|'");
    EXPECT_EQ(error("a |"), "4: a command is missing at the end");
    EXPECT_EQ(error("a >"), "4: '>' wants a file");
    EXPECT_EQ(error("a >&3"), "5: '>&' wants 1 or 2");
    EXPECT_EQ(error("a ${"), "3: '${' wants a name and '}'");
}

TEST(ShellCommandLine, NoLineIsTooStrange) {
    // Every line of up to four of these characters is either taken apart or refused with a place in it.
    constexpr std::string_view kCharacters = "a '\"$\\|&;<>{}2#?=";
    std::vector<std::string> lines{""};
    for (int length = 0; length < 4; ++length) {
        std::vector<std::string> longer;
        for (const std::string& line : lines) {
            const auto result = shell::parse_line(line);
            if (const auto* const wrong = std::get_if<shell::ParseError>(&result)) {
                ASSERT_GE(wrong->column, 1U) << line;
                ASSERT_LE(wrong->column, line.size() + 1) << line;
            }
            for (const char letter : kCharacters) {
                longer.push_back(line + letter);
            }
        }
        lines = std::move(longer);
    }
}

TEST(ShellCommandLine, Assignments) {
    EXPECT_EQ(shell::assignment_name("A=b"), 1U);
    EXPECT_EQ(shell::assignment_name("a.b_2=="), 5U);
    EXPECT_EQ(shell::assignment_name("=b"), std::nullopt);
    EXPECT_EQ(shell::assignment_name("2a=b"), std::nullopt);
    EXPECT_EQ(shell::assignment_name("a-b=c"), std::nullopt);
}

}  // namespace
