// SPDX-License-Identifier: MIT
#include "init/command_line.hpp"

#include <gmock/gmock.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace kernel::init {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::unique_ptr<CommandLine> parsed(std::string_view bootargs) {
    auto line = std::make_unique<CommandLine>();
    line->parse(bootargs);
    return line;
}

std::vector<std::string> problems(const CommandLine& line) {
    std::vector<std::string> texts;
    for (const auto& problem : line.problems) {
        Line<256> text;
        text << problem;
        texts.emplace_back(text.text());
    }
    return texts;
}

std::vector<std::string> arguments(std::string_view bootargs) {
    const auto line = parsed(bootargs);
    return {line->init_arguments.begin(), line->init_arguments.end()};
}

// Without the two that are always there.
std::vector<std::string> environment(std::string_view bootargs) {
    const auto line = parsed(bootargs);
    return {line->init_environment.begin() + 2, line->init_environment.end()};
}

TEST(CommandLine, DefaultsOfAnEmptyLine) {
    for (const char* text : {"", "   ", "\t\n "}) {
        const auto line = parsed(text);
        EXPECT_EQ(line->init, "/bin/execd");
        EXPECT_EQ(line->log_level, 7U);
        EXPECT_EQ(line->max_cpus, kMaxCpus);
        EXPECT_FALSE(line->boot_hart.has_value());
        EXPECT_TRUE(line->watchdog.is_zero());
        EXPECT_FALSE(line->quiet);
        EXPECT_TRUE(line->selftest.empty());
        EXPECT_TRUE(line->break_feature.empty());
        EXPECT_FALSE(line->report_refused_calls);
        EXPECT_THAT(line->init_arguments, IsEmpty());
        EXPECT_THAT(line->init_environment, ElementsAre("HOME=/", "TERM=linux"));
        EXPECT_THAT(problems(*line), IsEmpty());
    }
}

TEST(CommandLine, KnownWords) {
    const auto line = parsed(
        "init=/bin/sh loglevel=3 maxcpus=2 boothart=4 watchdog=10 neuron.selftest=stay neuron.break=shares");
    EXPECT_EQ(line->init, "/bin/sh");
    EXPECT_EQ(line->log_level, 3U);
    EXPECT_EQ(line->max_cpus, 2U);
    EXPECT_EQ(line->boot_hart, HartId{4});
    EXPECT_EQ(line->watchdog, Duration::seconds(10));
    EXPECT_EQ(line->selftest, "stay");
    EXPECT_EQ(line->break_feature, "shares");
    EXPECT_THAT(problems(*line), IsEmpty());
    EXPECT_THAT(line->init_arguments, IsEmpty());
}

TEST(CommandLine, TakesGeneralPathsOnlyWhenAsked) {
    EXPECT_FALSE(parsed("")->general_paths);
    EXPECT_TRUE(parsed("neuron.paths=general")->general_paths);
    EXPECT_THAT(problems(*parsed("neuron.paths=general")), IsEmpty());
    EXPECT_FALSE(parsed("neuron.paths=short")->general_paths);
    EXPECT_THAT(problems(*parsed("neuron.paths=short")),
                ElementsAre("command line: neuron.paths=short: wants general after ="));
}

TEST(CommandLine, FailsAllocationsOnlyWhenAsked) {
    EXPECT_EQ(parsed("")->fail_allocation, 0U);
    EXPECT_EQ(parsed("neuron.fail=50")->fail_allocation, 50U);
    EXPECT_EQ(parsed("neuron.fail=x")->fail_allocation, 0U);
    EXPECT_EQ(problems(*parsed("neuron.fail=4294967296")).size(), 1U);
}

TEST(CommandLine, FillsFreedMemoryOnlyWhenAsked) {
    EXPECT_FALSE(parsed("")->junk.has_value());
    EXPECT_EQ(parsed("neuron.junk=0xa5")->junk, std::byte{0xa5});
    EXPECT_EQ(parsed("neuron.junk=0")->junk, std::byte{0});
    EXPECT_FALSE(parsed("neuron.junk=256")->junk.has_value());
    EXPECT_EQ(problems(*parsed("neuron.junk")).size(), 1U);
}

TEST(CommandLine, TracesOnlyWhenAsked) {
    EXPECT_TRUE(parsed("neuron.trace=refused")->report_refused_calls);
    EXPECT_FALSE(parsed("neuron.trace=refused")->trace_events);
    EXPECT_THAT(problems(*parsed("neuron.trace=refused")), IsEmpty());
    EXPECT_TRUE(parsed("neuron.trace=events")->trace_events);
    EXPECT_FALSE(parsed("neuron.trace=events")->report_refused_calls);
    EXPECT_TRUE(parsed("neuron.trace=events,refused")->report_refused_calls);
    EXPECT_TRUE(parsed("neuron.trace=refused,events")->trace_events);
    EXPECT_THAT(problems(*parsed("neuron.trace=refused,events")), IsEmpty());
}

TEST(CommandLine, TheLastOfEqualWordsWins) {
    EXPECT_EQ(parsed("init=/a init=/b")->init, "/b");
    EXPECT_EQ(parsed("rdinit=/a")->init, "/a");
    EXPECT_EQ(parsed("quiet")->log_level, 4U);
    EXPECT_EQ(parsed("quiet loglevel=6")->log_level, 6U);
    EXPECT_EQ(parsed("loglevel=6 quiet")->log_level, 4U);
    EXPECT_TRUE(parsed("quiet")->quiet);
}

TEST(CommandLine, NumbersMayBeHexadecimal) {
    EXPECT_EQ(parsed("boothart=0x1f")->boot_hart, HartId{31});
    EXPECT_EQ(parsed("boothart=18446744073709551615")->boot_hart, HartId{~std::uint64_t{0}});
}

TEST(CommandLine, ZeroCpusMeansOneAsInLinux) {
    const auto line = parsed("maxcpus=0");
    EXPECT_EQ(line->max_cpus, 1U);
    EXPECT_THAT(problems(*line), IsEmpty());
}

TEST(CommandLine, BadValuesAreNamedAndLeaveTheDefault) {
    for (const char* word : {"loglevel=9", "loglevel=", "loglevel", "loglevel=-1", "loglevel=7x",
                             "maxcpus=65", "maxcpus=two", "boothart=18446744073709551616", "boothart=0x",
                             "watchdog=3601", "watchdog=99999999999999999999999"}) {
        const auto line = parsed(std::string{word} + " init=/bin/sh");
        EXPECT_THAT(problems(*line), ElementsAre("command line: " + std::string{word} +
                                                 ": wants a number in range after =; the default stays"));
        EXPECT_EQ(line->log_level, 7U);
        EXPECT_EQ(line->max_cpus, kMaxCpus);
        EXPECT_FALSE(line->boot_hart.has_value());
        EXPECT_EQ(line->init, "/bin/sh") << "the rest of the line still counts";
    }
    EXPECT_THAT(problems(*parsed("init=bin/sh")),
                ElementsAre("command line: init=bin/sh: wants an absolute path"));
    EXPECT_THAT(problems(*parsed("init=")), ElementsAre("command line: init=: wants an absolute path"));
    EXPECT_THAT(problems(*parsed("neuron.break=")),
                ElementsAre("command line: neuron.break=: wants a name after ="));
    EXPECT_THAT(problems(*parsed("neuron.trace=all")),
                ElementsAre("command line: neuron.trace=all: knows the values refused and events"));
    EXPECT_FALSE(parsed("neuron.trace")->report_refused_calls);
}

TEST(CommandLine, UnknownWordsGoToInit) {
    EXPECT_THAT(arguments("single fast=1 init=/bin/x arg"), ElementsAre("single", "arg"));
    EXPECT_THAT(environment("single fast=1 FOO=bar=baz"), ElementsAre("fast=1", "FOO=bar=baz"));
    EXPECT_THAT(environment("EMPTY="), ElementsAre("EMPTY="));
    EXPECT_THAT(arguments("=odd"), ElementsAre("=odd"));
}

TEST(CommandLine, ALaterValueReplacesAnEarlierOne) {
    EXPECT_THAT(environment("A=1 B=2 A=3"), ElementsAre("A=3", "B=2"));
    EXPECT_THAT(parsed("TERM=vt100")->init_environment, ElementsAre("HOME=/", "TERM=vt100"));
}

TEST(CommandLine, EverythingAfterTwoDashesIsAnArgument) {
    EXPECT_THAT(arguments("a -- loglevel=1 b=c -- d"), ElementsAre("a", "loglevel=1", "b=c", "--", "d"));
    EXPECT_EQ(parsed("-- loglevel=1")->log_level, 7U);
    EXPECT_THAT(environment("-- b=c"), IsEmpty());
}

TEST(CommandLine, ProjectWordsAreSeenByInitToo) {
    EXPECT_THAT(environment("neuron.selftest=stay neuron.other=1"),
                ElementsAre("neuron.selftest=stay", "neuron.other=1"));
    EXPECT_THAT(arguments("neuron.verbose"), ElementsAre("neuron.verbose"));
}

TEST(CommandLine, WordsOfLinuxAreDropped) {
    const auto line = parsed("console=ttyS0,115200 earlycon root=/dev/vda rw rootwait");
    EXPECT_THAT(line->init_arguments, IsEmpty());
    EXPECT_EQ(line->init_environment.size(), 2U);
    EXPECT_THAT(problems(*line), IsEmpty());
}

TEST(CommandLine, QuotesKeepBlanksAndAreDropped) {
    EXPECT_THAT(environment("A=\"x y\" B=z"), ElementsAre("A=x y", "B=z"));
    EXPECT_THAT(environment("\"A=x y\""), ElementsAre("A=x y"));
    EXPECT_THAT(arguments("\"a b\" c"), ElementsAre("a b", "c"));
    EXPECT_THAT(arguments("a\"b c\"d"), ElementsAre("a\"b c\"d")) << "inside a word they stay, as in Linux";
    EXPECT_THAT(environment("A=\"\" B=1"), ElementsAre("A=", "B=1"));
    EXPECT_EQ(parsed("init=\"/bin/my init\"")->init, "/bin/my init");
}

TEST(CommandLine, OpenQuotesAreNoted) {
    const auto line = parsed("A=\"x y");
    EXPECT_THAT(problems(*line), ElementsAre("command line: A=x y: a quotation mark is not closed"));
    EXPECT_THAT(environment("A=\"x y"), ElementsAre("A=x y"));
    EXPECT_THAT(arguments("\""), ElementsAre(""));
}

TEST(CommandLine, TooManyWordsAreNotedAndCounted) {
    std::string text;
    for (int word = 0; word < 50; ++word) {
        text += "w" + std::to_string(word) + " ";
    }
    const auto line = parsed(text);
    EXPECT_EQ(line->init_arguments.size(), CommandLine::kMaxWords);
    EXPECT_EQ(line->problems.size() + line->unlisted_problems, 18U);
    EXPECT_EQ(problems(*line)[0], "command line: w32: is the 33rd argument for init and was dropped");
}

TEST(CommandLine, TooLongLinesAreCut) {
    const auto line = parsed("loglevel=2 " + std::string(CommandLine::kMaxBytes, 'x'));
    EXPECT_EQ(line->log_level, 2U);
    EXPECT_EQ(problems(*line).size(), 1U);
    EXPECT_THAT(problems(*line)[0], ::testing::HasSubstr("longer than 2048 bytes"));
    EXPECT_THAT(problems(*parsed(std::string(CommandLine::kMaxBytes, 'x'))), IsEmpty());
    // An opening quotation mark as the very last character leaves an empty word.
    EXPECT_EQ(arguments(std::string(CommandLine::kMaxBytes - 2, 'x') + " \"").back(), "");
}

// Words, separators and quotes in any order: no crash, every view inside the line's own storage.
TEST(CommandLine, AnyTextEnds) {
    constexpr std::string_view kPieces[]{"init=",
                                         "loglevel=",
                                         "\"",
                                         "=",
                                         " ",
                                         "  ",
                                         "--",
                                         "a",
                                         "neuron.",
                                         "x=y",
                                         "\t",
                                         "watchdog=1",
                                         "0x",
                                         "9",
                                         "/",
                                         "\xff",
                                         std::string_view{"\0", 1}};
    std::mt19937_64 random{20250105};
    for (int round = 0; round < 20'000; ++round) {
        std::string text;
        for (auto pieces = random() % 40; pieces > 0; --pieces) {
            text += kPieces[random() % std::size(kPieces)];
        }
        const auto line = parsed(text);
        const auto first = reinterpret_cast<std::uintptr_t>(line.get());
        for (const std::string_view word : line->init_arguments) {
            const auto at = reinterpret_cast<std::uintptr_t>(word.data());
            ASSERT_TRUE(at >= first && at + word.size() <= first + sizeof(CommandLine)) << text;
        }
        for (const std::string_view word : line->init_environment) {
            ASSERT_NE(word.find('='), std::string_view::npos) << text;
        }
        ASSERT_LE(line->log_level, 7U) << text;
        ASSERT_TRUE(line->init.starts_with('/')) << text;
    }
}

}  // namespace
}  // namespace kernel::init
