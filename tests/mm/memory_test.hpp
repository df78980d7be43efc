// SPDX-License-Identifier: MIT
// Every test gets a machine with a little RAM of its own, and must leave exactly as many frames free as it
// found.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <vector>

#include "arch/contract.hpp"
#include "arch/host/host_machine.hpp"
#include "mm/address_space.hpp"
#include "mm/fault_injection.hpp"
#include "mm/file_object.hpp"
#include "mm/frames.hpp"
#include "mm/page_table.hpp"
#include "mm/user_memory.hpp"

namespace kernel::mm {

inline constexpr CpuId kBootCpu{0};

// The pool as it was before the first test: each test starts a fresh one in the same place.
inline void restart_frames(std::span<const PhysRange> ranges) {
    new (&frames()) FrameAllocator;
    EXPECT_EQ(frames().init(ranges), 0U);
}

class MemoryTest : public ::testing::Test {
  protected:
    explicit MemoryTest(std::uint64_t ram_bytes = std::uint64_t{16} << 20) : ram_bytes_{ram_bytes} {}

    void SetUp() override {
        arch::host::reset();
        arch::host::set_current_cpu(kBootCpu);
        arch::host::set_ram(ram_bytes_);
        const std::array ranges{PhysRange{arch::host::kRamBase, ram_bytes_}};
        restart_frames(ranges);
        free_at_start_ = frames().stats().free;
    }
    void TearDown() override {
        stop_failing_allocations();
        frames().check_invariants();
        EXPECT_EQ(frames().stats().free, free_at_start_) << "frames leaked";
    }

    [[nodiscard]] std::uint64_t free_at_start() const { return free_at_start_; }

  private:
    std::uint64_t ram_bytes_;
    std::uint64_t free_at_start_{0};
};

// Frees a kernel table with everything below it; the kernel itself never does.
inline void free_table(PhysAddr table, std::uint32_t level = 2) {
    const auto* entries = static_cast<const std::uint64_t*>(phys_to_virt(table));
    for (std::size_t index = 0; index < 512 && level > 0; ++index) {
        const Pte pte = Pte::from_bits(entries[index]);
        if (pte.is_table()) {
            free_table(pte.frame(), level - 1);
        }
    }
    frames().unref(table);
}

// Runs teardown to its end and frees the space.
inline void dismantle(AddressSpace* space) {
    while (!space->teardown_step(AddressSpace::kPagesPerStep)) {
    }
    AddressSpace::destroy(space);
}

// A kernel root to hang spaces under, and one space.
class AddressSpaceTest : public MemoryTest {
  protected:
    using MemoryTest::MemoryTest;

    void SetUp() override {
        MemoryTest::SetUp();
        const auto kernel_table = PageTable::create();
        ASSERT_TRUE(kernel_table.ok());
        kernel_root_ = kernel_table->root();
        const auto created = AddressSpace::create(kernel_root_);
        ASSERT_TRUE(created.ok());
        space_ = *created;
    }
    void TearDown() override {
        stop_failing_allocations();
        space_->check_invariants();
        dismantle(space_);
        frames().unref(kernel_root_);
        MemoryTest::TearDown();
    }

    [[nodiscard]] AddressSpace& space() { return *space_; }
    [[nodiscard]] PhysAddr kernel_root() const { return kernel_root_; }
    [[nodiscard]] Pte pte_of(VirtAddr va) { return PageTable{space_->root()}.lookup(va).pte; }

    // Maps anonymous memory exactly there; the test fails if it cannot.
    void map_at(VirtAddr start, std::uint64_t pages, Protection protection) {
        const auto mapped =
            space_->map_anonymous({start, pages * kPageSize, protection, Placement::FixedNoReplace});
        ASSERT_TRUE(mapped.ok());
        ASSERT_EQ(mapped->start, start);
    }
    [[nodiscard]] Result<std::uint32_t> read(VirtAddr va) {
        std::uint32_t value = 0;
        TRY(copy_from_user(*space_, std::as_writable_bytes(std::span{&value, 1}), va));
        return value;
    }
    [[nodiscard]] Result<void> write(VirtAddr va, std::uint32_t value) {
        return copy_to_user(*space_, va, std::as_bytes(std::span{&value, 1}));
    }

  private:
    PhysAddr kernel_root_{};
    AddressSpace* space_{nullptr};
};

// Runs a bounded operation to its end: step(from, bytes left) -> Result<Progress>. Counts the steps.
template <class Step>
Result<std::uint32_t> run_to_end(VirtAddr start, std::uint64_t bytes, Step&& step) {
    const VirtAddr end = start + bytes;
    VirtAddr at = start;
    for (std::uint32_t steps = 1;; ++steps) {
        const Progress progress = TRY(step(at, end - at));
        if (progress.done) {
            return steps;
        }
        EXPECT_GE(progress.next, at);
        at = progress.next;
    }
}

inline Result<std::uint32_t> unmap_all(AddressSpace& space, VirtAddr start, std::uint64_t bytes) {
    return run_to_end(start, bytes, [&](VirtAddr at, std::uint64_t left) { return space.unmap(at, left); });
}
inline Result<std::uint32_t> protect_all(AddressSpace& space, VirtAddr start, std::uint64_t bytes,
                                         Protection protection) {
    return run_to_end(start, bytes,
                      [&](VirtAddr at, std::uint64_t left) { return space.protect(at, left, protection); });
}
inline Result<std::uint32_t> discard_all(AddressSpace& space, VirtAddr start, std::uint64_t bytes) {
    return run_to_end(start, bytes, [&](VirtAddr at, std::uint64_t left) { return space.discard(at, left); });
}
inline Result<VirtAddr> map_to_end(AddressSpace& space, const MapRequest& request,
                                   const FileSlice& slice = {}) {
    for (;;) {
        const MapResult mapped =
            TRY(slice.file == nullptr ? space.map_anonymous(request) : space.map_file(request, slice));
        if (mapped.done) {
            return mapped.start;
        }
    }
}
// The break after as many calls as it takes.
inline VirtAddr break_to_end(AddressSpace& space, VirtAddr wanted) {
    for (;;) {
        const BreakResult result = space.set_break(wanted);
        if (result.done) {
            return result.now;
        }
    }
}

// The error of a Result, or nothing to compare with when it succeeded.
template <class T>
[[nodiscard]] std::int32_t error_of(const Result<T>& result) {
    return result.ok() ? 0 : static_cast<std::int32_t>(result.error());
}
[[nodiscard]] inline std::int32_t code(Error error) {
    return static_cast<std::int32_t>(error);
}

}  // namespace kernel::mm
