// SPDX-License-Identifier: MIT
// The calls that switch and read the trace: order of checks, errno, what comes back.
#include <gtest/gtest.h>

#include "fake_task.hpp"
#include "nexus_abi/system.hpp"
#include "nexus_abi/trace.hpp"
#include "trace/trace.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::Syscall;
using nexus_abi::trace_control;
using nexus_abi::trace_record;

class TraceCalls : public fake::SyscallTest {
  protected:
    TraceCalls() : SyscallTest{1} {}
    ~TraceCalls() override {
        trace::switch_to(0);
        trace::ring_of(CpuId{0}).provide({});
    }
    std::int64_t control(std::uint32_t categories, std::uint32_t records = 0, std::uint32_t flags = 0) {
        put(kMemory, trace_control{.size = sizeof(trace_control),
                                   .categories = categories,
                                   .records = records,
                                   .flags = flags,
                                   .started = 0,
                                   .was = 0,
                                   .kept = 0});
        return call(Syscall::nexus_trace_control, kMemory, sizeof(trace_control)).value_or(-9999);
    }
    std::int64_t read(std::uint64_t cpu, std::uint64_t count) {
        return call(Syscall::nexus_trace_read, cpu, kMemory + 4096 - 16 * 70, count, kMemory + 8)
            .value_or(-9999);
    }
};

TEST_F(TraceCalls, FormComesBeforeTheRight) {
    process().rights = 0;
    EXPECT_EQ(control(1U << 30), error(Error::InvalidArgument));
    EXPECT_EQ(control(nexus_abi::kTraceAll, nexus_abi::kTraceMaxRecords + 1), error(Error::InvalidArgument));
    EXPECT_EQ(control(nexus_abi::kTraceAll, 0, 2), error(Error::InvalidArgument));
    EXPECT_EQ(control(nexus_abi::kTraceAll), error(Error::NotPermitted));
    put(kMemory + 8, std::uint64_t{0});
    EXPECT_EQ(read(70, 1), error(Error::InvalidArgument));
    EXPECT_EQ(read(0, 1), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::nexus_trace_read, 0, kMemory, 1, 8), error(Error::BadAddress));
}

TEST_F(TraceCalls, SwitchesAndTellsWhatWasAndIsKept) {
    EXPECT_EQ(control(0), 0);
    EXPECT_EQ(get<trace_control>(kMemory).kept, 0U);
    EXPECT_EQ(control(nexus_abi::kTraceSched, 300), 0);
    EXPECT_EQ(get<trace_control>(kMemory).kept, 512U);
    EXPECT_EQ(get<trace_control>(kMemory).was, 0U);
    EXPECT_EQ(control(nexus_abi::kTraceAll, 1024), error(Error::Busy));
    EXPECT_EQ(control(nexus_abi::kTraceAll, 512), 0);
    EXPECT_EQ(get<trace_control>(kMemory).was, nexus_abi::kTraceSched);
    EXPECT_EQ(control(0, 0, nexus_abi::kTraceQuery), 0);
    EXPECT_EQ(get<trace_control>(kMemory).was, nexus_abi::kTraceAll);
    EXPECT_EQ(control(0), 0);
    EXPECT_EQ(get<trace_control>(kMemory).was, nexus_abi::kTraceAll);
    EXPECT_EQ(control(0), 0);
    EXPECT_EQ(get<trace_control>(kMemory).was, 0U);
}

TEST_F(TraceCalls, ReadsPieceByPiece) {
    ASSERT_EQ(control(nexus_abi::kTraceSched, 256), 0);
    for (std::uint32_t i = 0; i < 100; ++i) {
        trace::note(trace::Kind::Switch, i, 0);
    }
    put(kMemory + 8, std::uint64_t{1});  // behind Began
    EXPECT_EQ(read(0, 70), 64);          // what one call copies
    EXPECT_EQ(get<trace_record>(kMemory + 4096 - 16 * 70).task, 0U);
    EXPECT_EQ(get<std::uint64_t>(kMemory + 8), 65U);
    EXPECT_EQ(read(0, 70), 36);
    EXPECT_EQ(get<trace_record>(kMemory + 4096 - 16 * 70).task, 64U);
    EXPECT_EQ(read(0, 70), 0);
    EXPECT_EQ(get<std::uint64_t>(kMemory + 8), 101U);
}

}  // namespace
}  // namespace kernel
