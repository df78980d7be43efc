// SPDX-License-Identifier: MIT
// Copies of address spaces, as fork makes them: shared until written, bounded per step, exact in frames.
#include <algorithm>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

constexpr VirtAddr kBase{0x10'0000};
constexpr CpuId kOther{3};

class SpaceCopyTest : public AddressSpaceTest {
  protected:
    void SetUp() override {
        AddressSpaceTest::SetUp();
        child_ = *AddressSpace::create(kernel_root());
    }
    void TearDown() override {
        dismantle(child_);
        AddressSpaceTest::TearDown();
    }
    [[nodiscard]] AddressSpace& child() { return *child_; }

    // Returns how many steps it took.
    std::uint32_t copy_all() {
        VirtAddr at = kUserBase;
        for (std::uint32_t steps = 1;; ++steps) {
            const auto progress = space().copy_step(child(), at);
            EXPECT_TRUE(progress.ok());
            if (!progress.ok() || progress->done) {
                return steps;
            }
            EXPECT_GT(progress->next, at);
            at = progress->next;
        }
    }
    static std::uint32_t read_in(AddressSpace& in, VirtAddr va) {
        std::uint32_t value = 0;
        EXPECT_TRUE(copy_from_user(in, std::as_writable_bytes(std::span{&value, 1}), va).ok());
        return value;
    }
    static Result<void> write_in(AddressSpace& in, VirtAddr va, std::uint32_t value) {
        return copy_to_user(in, va, std::as_bytes(std::span{&value, 1}));
    }
    [[nodiscard]] Pte child_pte(VirtAddr va) { return PageTable{child().root()}.lookup(va).pte; }

  private:
    AddressSpace* child_{nullptr};
};

TEST_F(SpaceCopyTest, BothSidesReadTheSamePageUntilOneWrites) {
    map_at(kBase, 4, kReadWrite);
    ASSERT_TRUE(write(kBase, 11).ok());
    ASSERT_TRUE(write(kBase + kPageSize, 12).ok());
    copy_all();
    EXPECT_EQ(child_pte(kBase).frame(), pte_of(kBase).frame());
    EXPECT_FALSE(child_pte(kBase).protection().write);
    EXPECT_FALSE(pte_of(kBase).protection().write);
    EXPECT_FALSE(child_pte(kBase + 2 * kPageSize).is_resident()) << "nobody touched it";
    ASSERT_TRUE(write_in(child(), kBase, 21).ok());
    EXPECT_EQ(read(kBase).value_or(0), 11U);
    ASSERT_TRUE(write(kBase + kPageSize, 13).ok());
    EXPECT_EQ(read_in(child(), kBase + kPageSize), 12U);
    EXPECT_EQ(read_in(child(), kBase), 21U);
    EXPECT_EQ(read_in(child(), kBase + 2 * kPageSize), 0U);
    child().check_invariants();
    space().check_invariants();
}

TEST_F(SpaceCopyTest, TheLastSharerWritesInPlace) {
    map_at(kBase, 1, kReadWrite);
    ASSERT_TRUE(write(kBase, 11).ok());
    copy_all();
    const PhysAddr shared = pte_of(kBase).frame();
    ASSERT_TRUE(write_in(child(), kBase, 21).ok());
    ASSERT_TRUE(write(kBase, 12).ok());
    EXPECT_EQ(pte_of(kBase).frame(), shared);
    EXPECT_TRUE(pte_of(kBase).protection().write);
    EXPECT_EQ(frames().references(shared), 1U);
    EXPECT_EQ(read_in(child(), kBase), 21U);
}

TEST_F(SpaceCopyTest, MappingsAndBreakAreTheSame) {
    map_at(kBase, 3, kReadWrite);
    map_at(kBase + 8 * kPageSize, 2, kReadOnly);
    map_at(kBase + 16 * kPageSize, 1000, Protection{});
    space().set_break_base(kBase + 2048 * kPageSize);
    ASSERT_TRUE(space().set_break(kBase + 2050 * kPageSize).done);
    copy_all();
    EXPECT_EQ(child().mapped_bytes(), space().mapped_bytes());
    for (VirtAddr at = kUserBase;;) {
        const auto mine = space().mapping_at_or_above(at);
        const auto theirs = child().mapping_at_or_above(at);
        ASSERT_EQ(mine.ok(), theirs.ok());
        if (!mine.ok()) {
            break;
        }
        EXPECT_EQ(mine->mapping.start, theirs->mapping.start);
        EXPECT_EQ(mine->mapping.end, theirs->mapping.end);
        EXPECT_EQ(mine->mapping.protection, theirs->mapping.protection);
        at = mine->mapping.end;
    }
    EXPECT_EQ(child().set_break(VirtAddr{0}).now, space().set_break(VirtAddr{0}).now);
    EXPECT_EQ(child().handle_fault(kBase + 8 * kPageSize, Access::Write).error(), Error::BadAddress);
}

TEST_F(SpaceCopyTest, AStepIsBounded) {
    constexpr std::uint64_t kPages = 200;
    map_at(kBase, kPages, kReadWrite);
    for (std::uint64_t i = 0; i < kPages; ++i) {
        ASSERT_TRUE(write(kBase + i * kPageSize, static_cast<std::uint32_t>(i)).ok());
    }
    static_assert(kPages % AddressSpace::kPagesPerStep != 0,
                  "the last step has room to find that nothing is left");
    EXPECT_EQ(copy_all(), kPages / AddressSpace::kPagesPerStep + 1);
    EXPECT_EQ(child().resident_pages(), kPages);
    for (std::uint64_t i = 0; i < kPages; ++i) {
        ASSERT_EQ(read_in(child(), kBase + i * kPageSize), i);
    }
    child().check_invariants();
}

TEST_F(SpaceCopyTest, AStepTakesSeveralSmallMappings) {
    constexpr std::uint64_t kMappings = 20;
    for (std::uint64_t i = 0; i < kMappings; ++i) {
        map_at(kBase + 2 * i * kPageSize, 1, kReadWrite);
        ASSERT_TRUE(write(kBase + 2 * i * kPageSize, static_cast<std::uint32_t>(i)).ok());
    }
    EXPECT_EQ(copy_all(), 3U) << "eight mappings at most";
    for (std::uint64_t i = 0; i < kMappings; ++i) {
        ASSERT_EQ(read_in(child(), kBase + 2 * i * kPageSize), i);
    }
    child().check_invariants();
}

TEST_F(SpaceCopyTest, OtherHartsForgetThatTheyCouldWrite) {
    map_at(kBase, 2, kReadWrite);
    ASSERT_TRUE(write(kBase, 1).ok());
    space().activate(kOther);
    arch::host::reset();
    copy_all();
    const auto flushes = arch::host::tlb_flushes();
    EXPECT_TRUE(std::ranges::any_of(flushes, [](const arch::host::TlbFlush& flush) {
        return flush.cpus.contains(kOther) && flush.start <= kBase && kBase - flush.start < flush.bytes;
    }));
    space().deactivate(kOther);
}

TEST_F(SpaceCopyTest, ACopyOfACopySharesWithBoth) {
    map_at(kBase, 1, kReadWrite);
    ASSERT_TRUE(write(kBase, 5).ok());
    copy_all();
    AddressSpace* const grandchild = *AddressSpace::create(kernel_root());
    ASSERT_TRUE(child().copy_step(*grandchild, kUserBase).ok());
    EXPECT_EQ(frames().references(pte_of(kBase).frame()), 3U);
    ASSERT_TRUE(write_in(child(), kBase, 6).ok());
    EXPECT_EQ(read_in(*grandchild, kBase), 5U);
    EXPECT_EQ(read(kBase).value_or(0), 5U);
    dismantle(grandchild);
}

TEST_F(SpaceCopyTest, FilePagesGoOnBeingTheFilesUntilWritten) {
    const std::vector<std::byte> contents(kPageSize, std::byte{7});
    FileObject file{"/bin/x", contents};
    ASSERT_TRUE(
        space().map_file({kBase, kPageSize, kReadWrite, Placement::Fixed}, {&file, 0, kPageSize}).ok());
    EXPECT_EQ(read(kBase).value_or(0), 0x0707'0707U);
    copy_all();
    ASSERT_TRUE(write_in(child(), kBase, 1).ok());
    EXPECT_EQ(read(kBase).value_or(0), 0x0707'0707U);
    ASSERT_TRUE(write(kBase, 2).ok());
    EXPECT_EQ(contents[0], std::byte{7});
    ASSERT_TRUE(discard_all(child(), kBase, kPageSize).ok());
    EXPECT_EQ(read_in(child(), kBase), 0x0707'0707U) << "dropping the copy brings the file back";
    ASSERT_TRUE(unmap_all(child(), kBase, kPageSize).ok());
    ASSERT_TRUE(unmap_all(space(), kBase, kPageSize).ok());
}

TEST_F(SpaceCopyTest, WithoutMemoryNothingLeaks) {
    map_at(kBase, 8, kReadWrite);
    map_at(kBase + (VirtAddr{kGigaPageSize} - VirtAddr{0}), 8, kReadWrite);
    for (const std::uint64_t start : {std::uint64_t{0}, kGigaPageSize}) {
        for (std::uint64_t i = 0; i < 8; ++i) {
            ASSERT_TRUE(write(kBase + start + i * kPageSize, 3).ok());
        }
    }
    std::uint32_t failures = 0;
    for (std::uint64_t allowed = 0;; ++allowed) {
        AddressSpace* const copy = *AddressSpace::create(kernel_root());
        fail_allocation_after(allowed);
        bool failed = false;
        for (VirtAddr at = kUserBase; !failed;) {
            const auto progress = space().copy_step(*copy, at);
            failed = !progress.ok();
            if (!failed && progress->done) {
                break;
            }
            at = failed ? at : progress->next;
        }
        stop_failing_allocations();
        copy->check_invariants();
        dismantle(copy);
        if (!failed) {
            break;
        }
        ++failures;
    }
    EXPECT_GT(failures, 3U) << "tables, and mappings";
    for (std::uint64_t i = 0; i < 8; ++i) {
        EXPECT_EQ(frames().references(pte_of(kBase + i * kPageSize).frame()), 1U);
    }
}

}  // namespace
}  // namespace kernel::mm
