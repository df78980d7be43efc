// SPDX-License-Identifier: MIT
// What the target prints is what the converter reads: the same frame, byte for byte, as
// tools/tracing/frames.py makes of it (test_tracing.py reads any other).
#include "trace_frames.hpp"

#include <gtest/gtest.h>

#include <array>

namespace user {
namespace {

using nexus_abi::TraceKind;

TEST(TraceFrames, OneRecordAsPythonWouldWriteIt) {
    const std::array records{trace_record_of(1'000'000, TraceKind::Switch, 7, 0x201)};
    // python3: frames.encode(frames.Frame(cpu=3, number=5, lost=9, records=[(1000000, 1, 7, 0x201)])), in
    // base64.
    EXPECT_EQ(trace_line(trace_frame(3, 5, 9, records)),
              "@T AQMBAAUAAAAJAAAAAAAAAAFAQg8AAAAABwAAAAECAAAbbBvB");
}

TEST(TraceFrames, EndsWithPadding) {
    EXPECT_EQ(trace_line("a"), "@T YQ==");
    EXPECT_EQ(trace_line("ab"), "@T YWI=");
    EXPECT_EQ(trace_line("abc"), "@T YWJj");
}

TEST(TraceFrames, ALineFitsTheConsole) {
    const std::array<nexus_abi::trace_record, kTraceFrameRecords> records{};
    EXPECT_LT(trace_line(trace_frame(0, 0, 0, records)).size(), 600U);
}

TEST(TraceFrames, ANameIsFourRecords) {
    std::vector<nexus_abi::trace_record> records;
    append_task(records, trace_record_of(0, TraceKind::Start, 7, 7), "background");
    ASSERT_EQ(records.size(), 5U);
    EXPECT_EQ(records[1].value, 0x6b636162U);
    EXPECT_EQ(records[3].value, 0x646eU);
    EXPECT_EQ(records[4].value, 0U);
}

}  // namespace
}  // namespace user
