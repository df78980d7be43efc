// SPDX-License-Identifier: MIT
#include "trace/describe.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using Kind = nexus_abi::TraceKind;
using Fate = nexus_abi::TraceFate;

std::string text_of(Kind kind, std::uint32_t task, std::uint32_t value) {
    kernel::Line<120> line;
    kernel::trace::describe(line,
                            {.stamp = std::uint64_t{1'000'250'000} << 8U | static_cast<std::uint8_t>(kind),
                             .task = task,
                             .value = value});
    return std::string{line.text()};
}

TEST(TraceText, Switches) {
    EXPECT_EQ(text_of(Kind::Switch, 12, 3U << 8U), "1.000250 to 12, 3 runnable");
    EXPECT_EQ(text_of(Kind::Switch, 12, 3U << 8U | static_cast<std::uint32_t>(Fate::Blocked)),
              "1.000250 to 12, the one before blocked, 3 runnable");
    EXPECT_EQ(text_of(Kind::Switch, 0, static_cast<std::uint32_t>(Fate::Throttled)),
              "1.000250 idle, the one before throttled, 0 runnable");
    EXPECT_EQ(text_of(Kind::Switch, 0, 0xff), "1.000250 idle, the one before left, 0 runnable");
}

TEST(TraceText, WaitsNameTheirCall) {
    EXPECT_EQ(text_of(Kind::Wait, 12, 3U | 98U << 16U),
              "1.000250 to 12, the one before waits in call 98, 3 runnable");
    EXPECT_EQ(text_of(Kind::Wait, 0, 1041U << 16U),
              "1.000250 idle, the one before waits in call 1041, 0 runnable");
}

TEST(TraceText, SignsAndParts) {
    EXPECT_EQ(text_of(Kind::Lag, 7, static_cast<std::uint32_t>(-5)), "1.000250 7 is owed -5 us");
    EXPECT_EQ(text_of(Kind::Migrate, 7, 1U | 2U << 8U), "1.000250 7 goes from cpu 1 to cpu 2");
    EXPECT_EQ(text_of(Kind::PageFault, 7, 0x10), "1.000250 page fault of 7 at 0x10000");
    EXPECT_EQ(text_of(static_cast<Kind>(200), 1, 2), "1.000250 record 200, 1, 2");
}

TEST(TraceText, NamesAreKnown) {
    const auto record = [](Kind kind) {
        return nexus_abi::trace_record{.stamp = static_cast<std::uint64_t>(kind), .task = 1, .value = 0};
    };
    EXPECT_TRUE(kernel::trace::is_part_of_name(record(Kind::Name0)));
    EXPECT_TRUE(kernel::trace::is_part_of_name(record(Kind::Name3)));
    EXPECT_FALSE(kernel::trace::is_part_of_name(record(Kind::Ended)));
    EXPECT_FALSE(kernel::trace::is_part_of_name(record(Kind::SetClass)));
}

}  // namespace
