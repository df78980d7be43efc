// SPDX-License-Identifier: MIT
#include "notation.hpp"

#include <gmock/gmock.h>

#include "diagnostics.hpp"

namespace {

using namespace std::chrono_literals;
using execd::format_duration;
using execd::format_mask;
using execd::parse_cpu_list;
using execd::parse_duration;
using execd::parse_mask;
using std::nullopt;

TEST(Duration, ReadsItsThreeUnits) {
    EXPECT_EQ(parse_duration("5ms"), 5ms);
    EXPECT_EQ(parse_duration("500us"), 500us);
    EXPECT_EQ(parse_duration("1s"), 1s);
    EXPECT_EQ(parse_duration("0ms"), 0ms);
    EXPECT_EQ(parse_duration("1000000000s"), 1'000'000'000s);
}

TEST(Duration, RefusesEverythingElse) {
    for (const char* text : {"", "5", "ms", "5 ms", "-5ms", "5ns", "1.5ms", "5m", "5mss", "ms5",
                             "1000000001s", "99999999999999999999us"}) {
        EXPECT_EQ(parse_duration(text), nullopt) << text;
    }
}

TEST(Duration, IsWrittenInTheLargestWholeUnitUpToMilliseconds) {
    EXPECT_EQ(format_duration(5ms), "5ms");
    EXPECT_EQ(format_duration(0ms), "0ms");
    EXPECT_EQ(format_duration(1s), "1000ms");
    EXPECT_EQ(format_duration(500us), "500us");
    EXPECT_EQ(format_duration(1500us), "1500us");
    EXPECT_EQ(format_duration(1500ns), "1500ns");
}

TEST(CpuList, ReadsNumbersAndRanges) {
    EXPECT_EQ(parse_cpu_list("0"), 0x1U);
    EXPECT_EQ(parse_cpu_list("0-2,4"), 0x17U);
    EXPECT_EQ(parse_cpu_list("0 - 2, 4"), 0x17U);
    EXPECT_EQ(parse_cpu_list("3-3"), 0x8U);
    EXPECT_EQ(parse_cpu_list("63"), std::uint64_t{1} << 63U);
    EXPECT_EQ(parse_cpu_list("0-63"), ~std::uint64_t{0});
    EXPECT_EQ(parse_cpu_list("all"), ~std::uint64_t{0});
}

TEST(CpuList, RefusesEverythingElse) {
    for (const char* text : {"", ",", "0,", ",0", "2-0", "64", "0-64", "-1", "0--1", "a", "0x1", "0-",
                             "0-1-2", "99999999999999999999"}) {
        EXPECT_EQ(parse_cpu_list(text), nullopt) << text;
    }
}

TEST(CpuList, IsWrittenWithRanges) {
    EXPECT_EQ(execd::format_cpu_list(0x17), "0-2,4");
    EXPECT_EQ(execd::format_cpu_list(0), "none");
    EXPECT_EQ(execd::format_cpu_list(~std::uint64_t{0}), "0-63");
}

TEST(Mask, ReadsHexadecimalAndDecimal) {
    EXPECT_EQ(parse_mask("0x3"), 3U);
    EXPECT_EQ(parse_mask("0XfF"), 0xffU);
    EXPECT_EQ(parse_mask("10"), 10U);
    EXPECT_EQ(parse_mask("0xffffffffffffffff"), ~std::uint64_t{0});
}

TEST(Mask, RefusesEverythingElse) {
    for (const char* text : {"", "0x", "x3", "0x1ffffffffffffffff", "-1", "0x-1", "0b11", "3 "}) {
        EXPECT_EQ(parse_mask(text), nullopt) << text;
    }
}

TEST(Mask, IsWrittenInHexadecimal) {
    EXPECT_EQ(format_mask(0x3), "0x3");
    EXPECT_EQ(format_mask(0), "0x0");
    EXPECT_EQ(format_mask(~std::uint64_t{0}), "0xffffffffffffffff");
}

// Every byte: which may stand in the name of a board, alone and behind another one.
TEST(BoardName, HasLettersDigitsAndFiveSigns) {
    for (int value = 0; value < 256; ++value) {
        const char c = static_cast<char>(value);
        const bool is_letter = (value >= 'a' && value <= 'z') || (value >= 'A' && value <= 'Z');
        const bool is_digit = value >= '0' && value <= '9';
        const bool is_allowed = is_letter || is_digit ||
                                (value != 0 && std::string_view{",._+-"}.find(c) != std::string_view::npos);
        EXPECT_EQ(execd::is_board_name(std::string{"x"} + c), is_allowed) << value;
        EXPECT_EQ(execd::is_board_name(std::string(1, c)), is_allowed && c != '.') << value;
    }
    EXPECT_FALSE(execd::is_board_name(""));
    EXPECT_FALSE(execd::is_board_name("..")) << "no way out of its directory";
}

TEST(ClassName, CoversTheAbiAndAdmitsIgnorance) {
    EXPECT_EQ(execd::class_name(0), "idle");
    EXPECT_EQ(execd::class_name(1), "normal");
    EXPECT_EQ(execd::class_name(2), "interactive");
    EXPECT_EQ(execd::class_name(3), "perfburst");
    EXPECT_EQ(execd::class_name(4), "unknown");
    EXPECT_EQ(execd::policy_name(1), "prefer");
}

TEST(Suggestion, NamesTheNearestCandidate) {
    const std::vector<std::string_view> keys{"class", "shares", "latency", "burst"};
    EXPECT_EQ(execd::suggestion("sharez", keys), " (did you mean 'shares'?)");
    EXPECT_EQ(execd::suggestion("share", keys), " (did you mean 'shares'?)");
    EXPECT_EQ(execd::suggestion("sahres", keys), " (did you mean 'shares'?)");
    EXPECT_EQ(execd::suggestion("clas", keys), " (did you mean 'class'?)");
    EXPECT_EQ(execd::suggestion("lat", keys), " (did you mean 'latency'?)");
}

TEST(Suggestion, KeepsQuietWhenNothingIsNear) {
    const std::vector<std::string_view> keys{"class", "shares", "latency", "burst"};
    EXPECT_EQ(execd::suggestion("priority", keys), "");
    EXPECT_EQ(execd::suggestion("la", keys), "");
    EXPECT_EQ(execd::suggestion("", keys), "");
    EXPECT_EQ(execd::suggestion("x", {}), "");
    // Two edits are a slip in a long word and another word altogether in a short one.
    EXPECT_EQ(execd::suggestion("cpu", {"mask"}), "");
}

}  // namespace
