// SPDX-License-Identifier: MIT
#include "mm/frames.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

using FramesTest = MemoryTest;

TEST_F(FramesTest, TakesOverWholePagesOfEveryRange) {
    // Two ranges with a hole, both ends ragged; one more region far away.
    constexpr PhysAddr base = arch::host::kRamBase;
    const std::array ranges{PhysRange{base + 100, 0x10'0000}, PhysRange{base + 0x20'0000, 0x8'0000 + 5}};
    restart_frames(ranges);
    const FrameStats stats = frames().stats();
    EXPECT_EQ(stats.free, stats.total);
    const std::uint64_t whole_frames = 0xff + 0x80;
    const std::uint64_t bookkeeping = page_up((0x28'0000 / kPageSize) * sizeof(FrameInfo)) / kPageSize;
    EXPECT_EQ(stats.total, whole_frames - bookkeeping);
    std::vector<PhysAddr> taken;
    for (auto frame = frames().allocate_frame(); frame.ok(); frame = frames().allocate_frame()) {
        const bool is_inside = std::ranges::any_of(ranges, [&](const PhysRange& range) {
            return *frame >= range.start && *frame + kPageSize <= range.end();
        });
        EXPECT_TRUE(is_inside) << std::hex << frame->value();
        taken.push_back(*frame);
    }
    EXPECT_EQ(taken.size(), stats.total);
    for (const PhysAddr frame : taken) {
        frames().unref(frame);
    }
    restart_frames(std::array{PhysRange{base, std::uint64_t{16} << 20}});
}

TEST_F(FramesTest, SaysWhatItCannotUse) {
    new (&frames()) FrameAllocator;
    // Bookkeeping does not fit into a single page.
    const std::array ranges{PhysRange{arch::host::kRamBase, kPageSize}};
    EXPECT_EQ(frames().init(ranges), kPageSize);
    EXPECT_EQ(frames().stats().total, 0U);
    EXPECT_EQ(error_of(frames().allocate_frame()), code(Error::NoMemory));
    restart_frames(std::array{PhysRange{arch::host::kRamBase, std::uint64_t{16} << 20}});
}

TEST_F(FramesTest, ZeroedFramesAreZero) {
    const auto dirty = frames().allocate_frame();
    ASSERT_TRUE(dirty.ok());
    std::ranges::fill(frame_bytes(*dirty), std::byte{0xff});
    frames().unref(*dirty);
    const auto clean = frames().allocate_zeroed_frame();
    ASSERT_TRUE(clean.ok());
    EXPECT_EQ(*clean, *dirty) << "the test wants the same frame again";
    EXPECT_TRUE(
        std::ranges::all_of(frame_bytes(*clean), [](std::byte byte) { return byte == std::byte{0}; }));
    frames().unref(*clean);
}

TEST_F(FramesTest, LastReferenceFrees) {
    const auto frame = frames().allocate_frame();
    ASSERT_TRUE(frame.ok());
    frames().ref(*frame);
    EXPECT_EQ(frames().references(*frame), 2U);
    frames().unref(*frame);
    EXPECT_EQ(frames().stats().free, free_at_start() - 1);
    frames().unref(*frame);
    EXPECT_EQ(frames().stats().free, free_at_start());
}

// A cached frame's record stays as it was: harts that allocate and free on their own share the lines of
// records.
TEST_F(FramesTest, TheCacheWritesNoRecord) {
    const auto first = frames().allocate_frame();
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(frames().references(*first), 1U);
    frames().unref(*first);
    EXPECT_EQ(frames().references(*first), 1U) << "the record of a frame in the cache";
    const auto second = frames().allocate_frame();
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(*second, *first) << "the test wants the same frame again";
    frames().ref(*second);
    frames().unref(*second);
    EXPECT_EQ(frames().references(*second), 1U);
    frames().unref(*second);
    frames().drain_this_hart();
    EXPECT_EQ(frames().references(*second), 0U) << "the record of a frame in the pool";
}

// Blocks of random orders, never overlapping, aligned to their size; freed in random order, all joins back.
TEST_F(FramesTest, RandomBlocksNeverOverlapAndJoinAgain) {
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
        SCOPED_TRACE(seed);
        std::mt19937 random{seed};
        std::vector<std::pair<PhysAddr, std::uint32_t>> blocks;
        std::map<std::uint64_t, std::uint64_t> occupied;  // start -> end
        std::uint64_t in_use = 0;
        for (int step = 0; step < 4000; ++step) {
            if (blocks.empty() || random() % 100 < 55) {
                const auto order =
                    static_cast<std::uint32_t>(random() % 3 == 0 ? random() % (kMaxOrder + 1) : random() % 3);
                const auto block = frames().allocate(order);
                if (!block.ok()) {
                    EXPECT_EQ(block.error(), Error::NoMemory);
                    continue;
                }
                const std::uint64_t start = block->value();
                const std::uint64_t end = start + (kPageSize << order);
                ASSERT_EQ(start % (kPageSize << order), 0U);
                const auto above = occupied.upper_bound(start);
                ASSERT_TRUE(above == occupied.end() || above->first >= end);
                ASSERT_TRUE(above == occupied.begin() || std::prev(above)->second <= start);
                occupied.emplace(start, end);
                blocks.emplace_back(*block, order);
                in_use += std::uint64_t{1} << order;
            } else {
                const std::size_t index = random() % blocks.size();
                const auto [block, order] = blocks[index];
                blocks[index] = blocks.back();
                blocks.pop_back();
                occupied.erase(block.value());
                in_use -= std::uint64_t{1} << order;
                frames().free(block, order);
            }
            ASSERT_EQ(frames().stats().free, free_at_start() - in_use);
            if (step % 256 == 0) {
                frames().check_invariants();
            }
        }
        for (const auto& [block, order] : blocks) {
            frames().free(block, order);
        }
        frames().drain_this_hart();
        frames().check_invariants();
        // All has joined: the largest blocks there were at first can be had again.
        const auto largest = frames().allocate(kMaxOrder);
        ASSERT_TRUE(largest.ok());
        frames().free(*largest, kMaxOrder);
    }
}

TEST_F(FramesTest, ExhaustionLeavesTheExactBaseline) {
    std::vector<PhysAddr> taken;
    for (auto frame = frames().allocate_frame(); frame.ok(); frame = frames().allocate_frame()) {
        taken.push_back(*frame);
    }
    EXPECT_EQ(taken.size(), free_at_start());
    EXPECT_EQ(frames().stats().free, 0U);
    EXPECT_EQ(error_of(frames().allocate_zeroed_frame()), code(Error::NoMemory));
    EXPECT_EQ(error_of(frames().allocate(1)), code(Error::NoMemory));
    std::ranges::sort(taken);
    EXPECT_EQ(std::ranges::adjacent_find(taken), taken.end());
    for (const PhysAddr frame : taken) {
        frames().unref(frame);
    }
}

TEST_F(FramesTest, HartsShareThePool) {
    constexpr std::uint32_t kHarts = 4;
    std::vector<std::thread> harts;
    for (std::uint32_t cpu = 0; cpu < kHarts; ++cpu) {
        harts.emplace_back([cpu] {
            arch::host::set_current_cpu(CpuId{cpu});
            std::mt19937 random{cpu};
            std::vector<PhysAddr> mine;
            for (int step = 0; step < 3000; ++step) {
                if (mine.empty() || (random() % 2 == 0 && mine.size() < 200)) {
                    const auto frame = frames().allocate_frame();
                    ASSERT_TRUE(frame.ok());
                    std::memset(frame_bytes(*frame).data(), static_cast<int>(cpu), kPageSize);
                    mine.push_back(*frame);
                } else {
                    const PhysAddr frame = mine.back();
                    mine.pop_back();
                    EXPECT_EQ(frame_bytes(frame)[17], static_cast<std::byte>(cpu));
                    frames().unref(frame);
                }
            }
            for (const PhysAddr frame : mine) {
                frames().unref(frame);
            }
            frames().drain_this_hart();
        });
    }
    for (std::thread& hart : harts) {
        hart.join();
    }
}

using FramesDeathTest = MemoryTest;

TEST_F(FramesDeathTest, MisuseStopsTheMachine) {
    const auto frame = frames().allocate_frame();
    const auto block = frames().allocate(2);
    ASSERT_TRUE(frame.ok() && block.ok());
    EXPECT_DEATH(
        {
            frames().unref(*frame);
            frames().unref(*frame);
        },
        "CHECK failed: !info.is_cached");
    EXPECT_DEATH(
        {
            frames().unref(*frame);
            frames().drain_this_hart();
            frames().unref(*frame);
        },
        "CHECK failed: info.state");
    EXPECT_DEATH(
        {
            frames().free(*block, 2);
            frames().free(*block, 2);
        },
        "CHECK failed: info.state");
    EXPECT_DEATH(frames().free(*block, 1), "CHECK failed: info.order == order");
    EXPECT_DEATH(frames().unref(*block), "CHECK failed: info.order == 0U");
    EXPECT_DEATH(frames().unref(PhysAddr{0x1000}), "CHECK failed: i < region_count_");
    EXPECT_DEATH(frames().unref(*frame + 1), "CHECK failed: is_page_aligned");
    EXPECT_DEATH(
        {
            frames().unref(*frame);
            frames().ref(*frame);
        },
        "CHECK failed: !info.is_cached");
    EXPECT_DEATH(
        {
            frames().unref(*frame);
            frames().drain_this_hart();
            frames().ref(*frame);
        },
        "CHECK failed: before > 0");
    frames().free(*block, 2);
    frames().unref(*frame);
}

TEST_F(FramesDeathTest, WriteAfterFreeIsFound) {
    const auto frame = frames().allocate_frame();
    ASSERT_TRUE(frame.ok());
    frames().unref(*frame);
    EXPECT_DEATH(
        {
            frame_bytes(*frame)[3] = std::byte{0};
            static_cast<void>(frames().allocate_frame());
        },
        "a free frame was written to: byte 3 of the frame at 0x80010000 is 0x0 instead of 0xd5");
}

// A page table that is empty again need not be zeroed for the next one.
TEST_F(FramesTest, KeepsFramesOfZerosAsTheyAre) {
    const std::uint64_t free = frames().stats().free;
    std::vector<PhysAddr> tables;
    for (int i = 0; i < 20; ++i) {
        tables.push_back(*frames().allocate_zeroed_frame());
    }
    for (const PhysAddr table : tables) {
        frames().unref_zeroed(table);
    }
    EXPECT_EQ(frames().stats().free, free);
    // What is kept is given out first, the last one of it before the others; it is zero without being zeroed.
    const PhysAddr again = *frames().reuse_zeroed_frame();
    EXPECT_EQ(again, tables[7]);
    frame_bytes(again)[100] = std::byte{1};
    frames().unref(again);
    // And is not lost to who takes all there is.
    std::vector<PhysAddr> all;
    for (auto frame = frames().allocate_frame(); frame.ok(); frame = frames().allocate_frame()) {
        all.push_back(*frame);
    }
    EXPECT_EQ(all.size(), free);
    for (const PhysAddr frame : all) {
        frames().unref(frame);
    }
    frames().drain_this_hart();
    EXPECT_EQ(frames().stats().free, free);
}

}  // namespace
}  // namespace kernel::mm
