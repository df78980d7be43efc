// SPDX-License-Identifier: MIT
#include "mm/file_object.hpp"

#include <algorithm>
#include <thread>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

using FileObjectTest = MemoryTest;

std::vector<std::byte> numbered_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(i % 251);
    }
    return bytes;
}

TEST_F(FileObjectTest, CopiesAPageOnceAndPadsTheLast) {
    const auto contents = numbered_bytes(2 * kPageSize + 100);
    FileObject file{"/bin/x", contents};
    EXPECT_EQ(file.page_count(), 3U);
    const auto first = file.frame_of(1, false);
    const auto again = file.frame_of(1, false);
    const auto tail = file.frame_of(2, false);
    ASSERT_TRUE(first.ok() && again.ok() && tail.ok());
    EXPECT_EQ(*first, *again);
    EXPECT_EQ(frames().references(*first), 3U) << "the cache and two takers";
    EXPECT_TRUE(std::ranges::equal(frame_bytes(*first), std::span{contents}.subspan(kPageSize, kPageSize)));
    EXPECT_TRUE(std::ranges::equal(frame_bytes(*tail).first(100), std::span{contents}.last(100)));
    EXPECT_TRUE(
        std::ranges::all_of(frame_bytes(*tail).subspan(100), [](std::byte b) { return b == std::byte{0}; }));
    EXPECT_EQ(error_of(file.frame_of(3, false)), code(Error::BadAddress));
    for (const PhysAddr frame : {*first, *again, *tail}) {
        frames().unref(frame);
    }
}

TEST_F(FileObjectTest, AnEmptyFileHasNoPages) {
    FileObject file{"/empty", {}};
    EXPECT_EQ(file.page_count(), 0U);
    EXPECT_EQ(error_of(file.frame_of(0, true)), code(Error::BadAddress));
}

TEST_F(FileObjectTest, LargeFilesUseMoreThanOneTable) {
    const auto contents = numbered_bytes(600 * kPageSize);
    FileObject file{"/large", contents};
    for (const std::uint64_t index : {0U, 511U, 512U, 599U}) {
        const auto frame = file.frame_of(index, false);
        ASSERT_TRUE(frame.ok());
        EXPECT_EQ(frame_bytes(*frame)[5], contents[index * kPageSize + 5]);
        frames().unref(*frame);
    }
    EXPECT_EQ(frames().stats().free, free_at_start() - 4 - 3) << "four pages, a directory, two tables";
}

TEST_F(FileObjectTest, FailureLeavesTheCacheUsable) {
    const auto contents = numbered_bytes(kPageSize);
    FileObject file{"/bin/x", contents};
    for (std::uint64_t successes = 0; successes < 3; ++successes) {
        fail_allocation_after(successes);
        EXPECT_EQ(error_of(file.frame_of(0, true)), code(Error::NoMemory));
        stop_failing_allocations();
        const auto frame = file.frame_of(0, true);
        ASSERT_TRUE(frame.ok());
        EXPECT_EQ(frame_bytes(*frame)[250], contents[250]);
        frames().unref(*frame);
        // Start over with an empty cache.
        file.~FileObject();
        new (&file) FileObject{"/bin/x", contents};
    }
}

TEST_F(FileObjectTest, HartsThatRaceForAPageGetTheSame) {
    const auto contents = numbered_bytes(64 * kPageSize);
    FileObject file{"/bin/x", contents};
    std::array<std::vector<PhysAddr>, 4> taken;
    std::vector<std::thread> harts;
    for (std::uint32_t cpu = 0; cpu < taken.size(); ++cpu) {
        harts.emplace_back([&, cpu] {
            arch::host::set_current_cpu(CpuId{cpu});
            for (std::uint64_t index = 0; index < 64; ++index) {
                const auto frame = file.frame_of(index, false);
                ASSERT_TRUE(frame.ok());
                taken[cpu].push_back(*frame);
            }
        });
    }
    for (std::thread& hart : harts) {
        hart.join();
    }
    for (const auto& mine : taken) {
        EXPECT_EQ(mine, taken[0]);
        for (const PhysAddr frame : mine) {
            frames().unref(frame);
        }
    }
}

}  // namespace
}  // namespace kernel::mm
