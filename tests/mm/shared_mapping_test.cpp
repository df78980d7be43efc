// SPDX-License-Identifier: MIT
// Memory files in address spaces: one page for all who share it, a copy for whoever does not, and a reference
// for every mapping.
#include <algorithm>
#include <optional>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

constexpr VirtAddr kBase{0x10'0000};

// A file of three pages whose owner counts who keeps it.
class SharedMappingTest : public AddressSpaceTest {
  protected:
    void SetUp() override {
        AddressSpaceTest::SetUp();
        file_.emplace(budget_, kKeeper, this);
        file().grow_to(3 * kPageSize);
        other_ = *AddressSpace::create(kernel_root());
    }
    void TearDown() override {
        dismantle(other_);
        space().check_invariants();
        EXPECT_TRUE(unmap_all(space(), kBase, 64 * kPageSize).ok());
        EXPECT_EQ(kept_, 0) << "a reference for each mapping, and none without";
        file_.reset();
        AddressSpaceTest::TearDown();
    }
    FileObject& file() { return *file_; }
    AddressSpace& other() { return *other_; }
    [[nodiscard]] int kept() const { return kept_; }
    PageBudget& budget() { return budget_; }

    Result<MapResult> map(AddressSpace& space, VirtAddr at, bool shared, Protection protection = kReadWrite,
                          std::uint64_t pages = 4) {
        return space.map_file({at, pages * kPageSize, protection, Placement::Fixed},
                              {.file = &file(), .bytes = pages * kPageSize, .is_shared = shared});
    }
    static std::uint32_t read_in(AddressSpace& in, VirtAddr va) {
        std::uint32_t value = 0;
        EXPECT_TRUE(copy_from_user(in, std::as_writable_bytes(std::span{&value, 1}), va).ok());
        return value;
    }
    static Result<void> write_in(AddressSpace& in, VirtAddr va, std::uint32_t value) {
        return copy_to_user(in, va, std::as_bytes(std::span{&value, 1}));
    }

  private:
    static int& count_of(void* owner) { return static_cast<SharedMappingTest*>(owner)->kept_; }
    static constexpr FileKeeper kKeeper{
        .keep = [](void* owner) { ++count_of(owner); },
        .let_go = [](void* owner) { --count_of(owner); },
        .link_text = [](const void*, std::span<char>) -> Result<std::string_view> { return Error::NoEntry; }};

    PageBudget budget_{.limit = 100};
    std::optional<FileObject> file_;
    AddressSpace* other_{nullptr};
    int kept_{0};
};

TEST_F(SharedMappingTest, SharersSeeOneAnothersStores) {
    ASSERT_TRUE(map(space(), kBase, true).ok());
    ASSERT_TRUE(map(other(), kBase + 16 * kPageSize, true).ok());
    EXPECT_EQ(read_in(other(), kBase + 16 * kPageSize), 0U);
    ASSERT_TRUE(write(kBase, 5).ok());
    EXPECT_EQ(read_in(other(), kBase + 16 * kPageSize), 5U);
    ASSERT_TRUE(write_in(other(), kBase + 17 * kPageSize, 6).ok());
    EXPECT_EQ(read(kBase + kPageSize).value_or(0), 6U);
    EXPECT_EQ(pte_of(kBase).frame(), PageTable{other().root()}.lookup(kBase + 16 * kPageSize).pte.frame());
    EXPECT_EQ(budget().used.load(), 2U) << "pages nobody touched take none";
    ASSERT_TRUE(discard_all(space(), kBase, 4 * kPageSize).ok());
    EXPECT_EQ(read(kBase).value_or(0), 5U) << "the file has it still";
}

TEST_F(SharedMappingTest, PrivateOnesSeeTheFileUntilTheyWrite) {
    ASSERT_TRUE(map(space(), kBase, false).ok());
    ASSERT_TRUE(map(other(), kBase, true).ok());
    EXPECT_EQ(read(kBase).value_or(1), 0U);
    ASSERT_TRUE(write_in(other(), kBase, 7).ok());
    EXPECT_EQ(read(kBase).value_or(0), 7U);
    ASSERT_TRUE(write(kBase + 4, 8).ok());
    EXPECT_EQ(read_in(other(), kBase + 4), 0U);
    ASSERT_TRUE(write_in(other(), kBase, 9).ok());
    EXPECT_EQ(read(kBase).value_or(0), 7U);
}

TEST_F(SharedMappingTest, WhatTheFileDoesNotReachCannotBeAccessed) {
    for (const bool shared : {true, false}) {
        ASSERT_TRUE(map(space(), kBase, shared).ok());
        const VirtAddr beyond = kBase + 3 * kPageSize;
        EXPECT_EQ(space().handle_fault(beyond, Access::Read).error(), Error::BadAddress);
        EXPECT_TRUE(space().is_beyond_file(beyond, Access::Read));
        EXPECT_EQ(space().handle_fault(kBase + 4 * kPageSize, Access::Read).error(), Error::BadAddress);
        EXPECT_FALSE(space().is_beyond_file(kBase + 4 * kPageSize, Access::Read))
            << "nothing is mapped there";
    }
    file().grow_to(4 * kPageSize);
    EXPECT_TRUE(space().handle_fault(kBase + 3 * kPageSize, Access::Read).ok());
    EXPECT_FALSE(space().is_beyond_file(kBase, Access::Execute)) << "that it must not is another matter";
}

TEST_F(SharedMappingTest, BeyondTheBudgetIsLikeBeyondTheFile) {
    budget().limit = 1;
    ASSERT_TRUE(map(space(), kBase, true).ok());
    ASSERT_TRUE(write(kBase, 1).ok());
    EXPECT_EQ(space().handle_fault(kBase + kPageSize, Access::Write).error(), Error::BadAddress);
    EXPECT_TRUE(space().is_beyond_file(kBase + kPageSize, Access::Write));
}

TEST_F(SharedMappingTest, ACopyOfTheSpaceSharesWhatIsShared) {
    ASSERT_TRUE(map(space(), kBase, true).ok());
    ASSERT_TRUE(map(space(), kBase + 16 * kPageSize, false).ok());
    ASSERT_TRUE(write(kBase, 1).ok());
    ASSERT_TRUE(write(kBase + 16 * kPageSize, 2).ok());
    for (VirtAddr at = kUserBase;;) {
        const auto progress = space().copy_step(other(), at);
        ASSERT_TRUE(progress.ok());
        if (progress->done) {
            break;
        }
        at = progress->next;
    }
    EXPECT_EQ(kept(), 4);
    ASSERT_TRUE(write_in(other(), kBase, 3).ok());
    ASSERT_TRUE(write_in(other(), kBase + 16 * kPageSize, 4).ok());
    EXPECT_EQ(read(kBase).value_or(0), 3U);
    EXPECT_EQ(read(kBase + 16 * kPageSize).value_or(0), 2U);
}

TEST_F(SharedMappingTest, EveryPieceKeepsTheFile) {
    ASSERT_TRUE(map(space(), kBase, true).ok());
    EXPECT_EQ(kept(), 1);
    ASSERT_TRUE(unmap_all(space(), kBase + kPageSize, kPageSize).ok());
    EXPECT_EQ(kept(), 2) << "one on either side of the hole";
    ASSERT_TRUE(protect_all(space(), kBase + 2 * kPageSize, kPageSize, kReadOnly).ok());
    EXPECT_EQ(kept(), 3);
    ASSERT_TRUE(protect_all(space(), kBase + 2 * kPageSize, kPageSize, kReadWrite).ok());
    EXPECT_EQ(kept(), 2) << "joined again";
    // Over all of it.
    ASSERT_TRUE(space().map_anonymous({kBase, 4 * kPageSize, kReadWrite, Placement::Fixed}).ok());
    EXPECT_EQ(kept(), 0);
}

TEST_F(SharedMappingTest, WhatWasOpenedToBeReadIsNotWritten) {
    ASSERT_TRUE(space()
                    .map_file({kBase, kPageSize, kReadOnly, Placement::Fixed},
                              {.file = &file(), .bytes = kPageSize, .is_shared = true, .may_write = false})
                    .ok());
    EXPECT_EQ(error_of(space().protect(kBase, kPageSize, kReadWrite)), code(Error::AccessDenied));
    EXPECT_TRUE(space().protect(kBase, kPageSize, kNoAccess).ok());
}

TEST_F(SharedMappingTest, AWordHasOneNameForAll) {
    EXPECT_EQ(space().shared_place(kBase).error(), Error::NoEntry);
    ASSERT_TRUE(map(space(), kBase, true).ok());
    ASSERT_TRUE(map(other(), kBase + 16 * kPageSize, true).ok());
    ASSERT_TRUE(map(other(), kBase, false).ok());
    const auto one = space().shared_place(kBase + kPageSize + 8);
    const auto same = other().shared_place(kBase + 17 * kPageSize + 8);
    ASSERT_TRUE(one.ok() && same.ok());
    EXPECT_EQ(one->file, same->file);
    EXPECT_EQ(one->offset, kPageSize + 8);
    EXPECT_EQ(same->offset, kPageSize + 8);
    EXPECT_EQ(other().shared_place(kBase).error(), Error::NoEntry) << "a private one";
}

}  // namespace
}  // namespace kernel::mm
