// SPDX-License-Identifier: MIT
#include "notation.hpp"

#include <gtest/gtest.h>

namespace {

using std::chrono::nanoseconds;

TEST(ShellNotation, CpuListsAsTaskset) {
    EXPECT_EQ(shell::parse_cpu_list("0"), 1U);
    EXPECT_EQ(shell::parse_cpu_list("0-2,5"), 0x27U);
    EXPECT_EQ(shell::parse_cpu_list("0-6:2"), 0x55U);
    EXPECT_EQ(shell::parse_cpu_list("0-63"), ~std::uint64_t{0});
    for (const char* const wrong : {"", "a", "3-1", "64", "0,", "0-", "1:2", "0-4:0", "-1"}) {
        EXPECT_EQ(shell::parse_cpu_list(wrong), std::nullopt) << wrong;
    }
    EXPECT_EQ(shell::format_cpu_list(0x27), "0-2,5");
    EXPECT_EQ(shell::format_cpu_list(~std::uint64_t{0}), "0-63");
    EXPECT_EQ(shell::format_cpu_list(0), "");
}

TEST(ShellNotation, EveryMaskComesBackFromItsList) {
    for (std::uint64_t mask = 1; mask < 4096; ++mask) {
        ASSERT_EQ(shell::parse_cpu_list(shell::format_cpu_list(mask)), mask);
        ASSERT_EQ(shell::parse_mask(shell::format_hex(mask)), mask);
    }
}

TEST(ShellNotation, MasksAreHexadecimal) {
    EXPECT_EQ(shell::parse_mask("f"), 15U);
    EXPECT_EQ(shell::parse_mask("0x10"), 16U);
    EXPECT_EQ(shell::parse_mask("10"), 16U);
    for (const char* const wrong : {"", "0x", "g", "1ffffffffffffffff", "-1"}) {
        EXPECT_EQ(shell::parse_mask(wrong), std::nullopt) << wrong;
    }
}

TEST(ShellNotation, SignalsByNameAndNumber) {
    EXPECT_EQ(shell::parse_signal("TERM"), 15);
    EXPECT_EQ(shell::parse_signal("sigkill"), 9);
    EXPECT_EQ(shell::parse_signal("0"), 0);
    EXPECT_EQ(shell::parse_signal("64"), 64);
    EXPECT_EQ(shell::parse_signal("65"), std::nullopt);
    EXPECT_EQ(shell::parse_signal("NOPE"), std::nullopt);
    EXPECT_EQ(shell::signal_name(11), "SEGV");
    EXPECT_TRUE(shell::signal_list().starts_with("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL"));
}

TEST(ShellNotation, Times) {
    EXPECT_EQ(shell::parse_duration("0"), nanoseconds{0});
    EXPECT_EQ(shell::parse_duration("5ms"), nanoseconds{5'000'000});
    EXPECT_EQ(shell::parse_duration("1s"), nanoseconds{1'000'000'000});
    for (const char* const wrong : {"", "5", "ms", "5m", "-5ms", "99999999999s"}) {
        EXPECT_EQ(shell::parse_duration(wrong), std::nullopt) << wrong;
    }
    EXPECT_EQ(shell::format_duration(0), "0ms");
    EXPECT_EQ(shell::format_duration(1'500'000), "1500us");
    EXPECT_EQ(shell::format_duration(7), "7ns");
    EXPECT_EQ(shell::format_rough(1'500), "1.50us");
    EXPECT_EQ(shell::format_rough(12'345'678), "12.3ms");
    EXPECT_EQ(shell::format_rough(123'000'000'000), "123.0s");
    EXPECT_EQ(shell::format_cpu_time(62'340'000'000), "1:02.34");
}

TEST(ShellNotation, Names) {
    EXPECT_EQ(shell::parse_class("perfburst"), nexus_abi::QosClass::PerfBurst);
    EXPECT_EQ(shell::parse_class("Normal"), std::nullopt);
    EXPECT_EQ(shell::class_name(2), "interactive");
    EXPECT_EQ(shell::class_name(9), "unknown");
    EXPECT_EQ(shell::policy_name(1), "prefer");
    EXPECT_EQ(shell::state_letter(0), 'S');
    EXPECT_EQ(shell::state_letter(5), 'B');
    EXPECT_EQ(shell::state_letter(77), '?');
}

}  // namespace
