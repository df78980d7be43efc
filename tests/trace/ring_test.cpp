// SPDX-License-Identifier: MIT
// One writer, any reader: order, loss, and no record that was never written.
#include "trace/ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "trace/trace.hpp"

namespace kernel::trace {
namespace {

class TraceRing : public testing::Test {
  protected:
    TraceRing() { ring.provide(slots); }
    void write(std::uint32_t number) { ring.write(std::uint64_t{number} * 3, number, ~number); }
    std::vector<std::uint32_t> read(std::uint64_t& position, std::size_t most) {
        std::vector<trace_record> out(most);
        out.resize(ring.read(position, out));
        std::vector<std::uint32_t> tasks;
        for (const trace_record& record : out) {
            EXPECT_EQ(record.stamp, std::uint64_t{record.task} * 3);
            EXPECT_EQ(record.value, ~record.task);
            tasks.push_back(record.task);
        }
        return tasks;
    }
    std::array<Ring::Slot, 8> slots{};
    Ring ring;
};

TEST_F(TraceRing, GivesWhatWasWrittenInOrderAndOnce) {
    std::uint64_t position = 0;
    EXPECT_TRUE(read(position, 4).empty());
    for (std::uint32_t i = 0; i < 5; ++i) {
        write(i);
    }
    EXPECT_EQ(read(position, 3), (std::vector<std::uint32_t>{0, 1, 2}));
    EXPECT_EQ(read(position, 3), (std::vector<std::uint32_t>{3, 4}));
    EXPECT_TRUE(read(position, 3).empty());
    EXPECT_EQ(position, 5U);
}

TEST_F(TraceRing, BeginsWithTheOldestThatIsLeftAndTellsWhatWasLost) {
    for (std::uint32_t i = 0; i < 30; ++i) {
        write(i);
    }
    std::uint64_t position = 4;
    const auto got = read(position, 100);
    // One slot is where the next record goes, and one is where the last one may still be going.
    EXPECT_EQ(got, (std::vector<std::uint32_t>{24, 25, 26, 27, 28, 29}));
    EXPECT_EQ(position, 30U);
    EXPECT_EQ(position - 4 - got.size(), 20U);
}

TEST_F(TraceRing, APositionAheadStaysWhereItIs) {
    write(1);
    std::uint64_t position = 40;
    EXPECT_TRUE(read(position, 4).empty());
    EXPECT_EQ(position, 40U);
}

TEST_F(TraceRing, WithoutMemoryThereIsNothing) {
    Ring bare;
    std::uint64_t position = 0;
    std::array<trace_record, 2> out{};
    EXPECT_EQ(bare.read(position, out), 0U);
    EXPECT_EQ(bare.capacity(), 0U);
}

TEST_F(TraceRing, AReaderBesideTheWriterSeesWholeRecordsInOrder) {
    constexpr std::uint32_t kRecords = 400'000;
    std::atomic<bool> done{false};
    std::thread writer{[&] {
        for (std::uint32_t i = 0; i < kRecords; ++i) {
            write(i);
        }
        done.store(true);
    }};
    std::uint64_t position = 0;
    std::uint64_t got = 0;
    std::uint64_t lost = 0;
    std::uint32_t next = 0;
    while (true) {
        const bool was_done = done.load();
        const std::uint64_t before = position;
        const auto records = read(position, 5);
        for (const std::uint32_t number : records) {
            ASSERT_GE(number, next);
            next = number + 1;
        }
        got += records.size();
        lost += position - before - records.size();
        if (was_done && position == kRecords) {
            break;
        }
    }
    writer.join();
    EXPECT_EQ(got + lost, kRecords);
    EXPECT_EQ(next, kRecords);
}

TEST(TraceCategories, EachKindHasOne) {
    EXPECT_EQ(category_of(Kind::Switch), nexus_abi::kTraceSched);
    EXPECT_EQ(category_of(Kind::Lag), nexus_abi::kTraceLag);
    EXPECT_EQ(category_of(Kind::IpiTaken), nexus_abi::kTraceIrq);
    EXPECT_EQ(category_of(Kind::PageFault), nexus_abi::kTraceFaults);
    EXPECT_EQ(category_of(Kind::SetShares), nexus_abi::kTraceAttr);
    EXPECT_EQ(category_of(Kind::CallAgain), nexus_abi::kTraceCalls);
}

TEST(TraceSwitch, WritesOnlyWhatIsOn) {
    std::array<Ring::Slot, 16> slots{};
    const Ring& ring = ring_of(CpuId{0});
    provide(CpuId{0}, slots);
    note(Kind::Switch, 1, 0);
    EXPECT_EQ(ring.written(), 0U);
    EXPECT_EQ(switch_to(nexus_abi::kTraceSched), 0U);
    note(Kind::Switch, 1, 0);
    note(Kind::PageFault, 1, 0);
    write_name(1, std::array{'a', 'b', 'c', 'd', 'e', '\0', 'x'});
    EXPECT_EQ(switch_to(0), nexus_abi::kTraceSched);
    note(Kind::Switch, 2, 0);
    std::array<trace_record, 16> out{};
    std::uint64_t position = 0;
    ASSERT_EQ(ring.read(position, out), 6U);
    EXPECT_EQ(out[0].stamp & 0xffU, static_cast<std::uint64_t>(Kind::Began));
    EXPECT_EQ(out[1].stamp & 0xffU, static_cast<std::uint64_t>(Kind::Switch));
    EXPECT_EQ(out[2].value, 0x64636261U);
    EXPECT_EQ(out[3].value, 0x65U);
    EXPECT_EQ(out[4].value, 0U);
    provide(CpuId{0}, {});
}

}  // namespace
}  // namespace kernel::trace
