// SPDX-License-Identifier: MIT
// A fault on a page of a constant file maps what is cached around it, and nothing else.
#include <cstring>
#include <optional>
#include <vector>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

constexpr VirtAddr kText{0x1000'0000};
constexpr std::uint64_t kFilePages = 200;
constexpr std::uint64_t kGroup = 64;  // pages that one fault may map

class NeighboursTest : public AddressSpaceTest {
  protected:
    void SetUp() override {
        AddressSpaceTest::SetUp();
        contents_.resize(kFilePages * kPageSize - 100);  // the last page is not full
        for (std::uint64_t page = 0; page < kFilePages; ++page) {
            contents_[page * kPageSize] = static_cast<std::byte>(page + 1);
        }
        file_.emplace("/bin/text", contents_);
    }
    void TearDown() override {
        EXPECT_TRUE(unmap_all(space(), kUserBase, kUserTop - kUserBase).ok());
        EXPECT_EQ(space().resident_pages(), 0U);
        file_.reset();
        AddressSpaceTest::TearDown();
    }
    // Maps the file from `page` on.
    void map(VirtAddr at, std::uint64_t page, std::uint64_t bytes, Protection protection) {
        ASSERT_TRUE(space()
                        .map_file({at, bytes, protection, Placement::FixedNoReplace},
                                  {.file = &*file_, .offset = page * kPageSize, .bytes = bytes})
                        .ok());
    }
    // Puts pages of the file into its cache.
    void cache(std::uint64_t first, std::uint64_t end, bool for_execution) {
        for (std::uint64_t page = first; page < end; ++page) {
            const auto frame = file_->frame_of(page, for_execution);
            ASSERT_TRUE(frame.ok());
            frames().unref(*frame);
        }
    }
    [[nodiscard]] bool is_mapped(VirtAddr at, std::uint64_t page) {
        return pte_of(at + page * kPageSize).is_resident();
    }
    // Which of the first 256 pages behind `at` are mapped, as their number and as one that is there.
    void expect_mapped(VirtAddr at, std::uint64_t first, std::uint64_t end) {
        for (std::uint64_t page = 0; page < 256; ++page) {
            EXPECT_EQ(is_mapped(at, page), page >= first && page < end) << "page " << page;
        }
        EXPECT_EQ(space().resident_pages(), end - first);
    }
    [[nodiscard]] FileObject& file() { return *file_; }

  private:
    std::vector<std::byte> contents_;
    std::optional<FileObject> file_;
};

TEST_F(NeighboursTest, MapsTheGroupOfThePage) {
    cache(0, kFilePages, true);
    map(kText, 0, kFilePages * kPageSize, kReadExecute);
    ASSERT_TRUE(space().handle_fault(kText + 70 * kPageSize, Access::Execute).ok());
    expect_mapped(kText, kGroup, 2 * kGroup);
    for (std::uint64_t page = kGroup; page < 2 * kGroup; ++page) {
        EXPECT_EQ(read(kText + page * kPageSize).value_or(0) & 0xff, page + 1);
        const auto frame = file().existing_frame(page);
        ASSERT_TRUE(frame.ok());
        EXPECT_EQ(pte_of(kText + page * kPageSize).frame(), *frame);
        EXPECT_EQ(frames().references(*frame), 2U)
            << "the cache's and ours: a mapping of a constant file has none";
        frames().unref(*frame);
        EXPECT_EQ(pte_of(kText + page * kPageSize).protection(), kReadExecute);
    }
    space().check_invariants();
}

TEST_F(NeighboursTest, MapsNoPageThatIsNotCached) {
    cache(3, 9, true);
    map(kText, 0, kFilePages * kPageSize, kReadExecute);
    ASSERT_TRUE(space().handle_fault(kText + 3 * kPageSize, Access::Execute).ok());
    expect_mapped(kText, 3, 9);
}

// What was read so far, instruction fetch may know in an older state.
TEST_F(NeighboursTest, MapsNoTextThatFetchWasNotToldOf) {
    cache(0, 20, false);
    cache(5, 8, true);
    map(kText, 0, kFilePages * kPageSize, kReadExecute);
    ASSERT_TRUE(space().handle_fault(kText + 6 * kPageSize, Access::Execute).ok());
    expect_mapped(kText, 5, 8);
}

TEST_F(NeighboursTest, StaysWithinTheMapping) {
    cache(0, kFilePages, false);
    map(kText + 4 * kPageSize, 4, 10 * kPageSize, kReadOnly);
    ASSERT_TRUE(space().handle_fault(kText + 5 * kPageSize, Access::Read).ok());
    expect_mapped(kText, 4, 14);
}

// The file's last page is whole, with zeros behind the end; a page that a mapping takes in part is not.
TEST_F(NeighboursTest, LeavesAPageThatComesInPart) {
    cache(0, kFilePages, false);
    map(kText, kFilePages - 10, 10 * kPageSize, kReadOnly);
    ASSERT_TRUE(space().handle_fault(kText, Access::Read).ok());
    expect_mapped(kText, 0, 10);
    ASSERT_TRUE(unmap_all(space(), kText, 10 * kPageSize).ok());
    ASSERT_TRUE(space()
                    .map_file({kText, 10 * kPageSize, kReadOnly, Placement::FixedNoReplace},
                              {.file = &file(), .offset = 0, .bytes = 5 * kPageSize + 8})
                    .ok());
    ASSERT_TRUE(space().handle_fault(kText, Access::Read).ok());
    expect_mapped(kText, 0, 5);
    EXPECT_EQ(read(kText + 5 * kPageSize).value_or(0) & 0xff, 6U);
}

// File offsets and addresses need not be alike in where their tables end.
TEST_F(NeighboursTest, FindsPagesWhereverTheyLieInTheFile) {
    cache(0, kFilePages, false);
    map(kText, 37, 150 * kPageSize, kReadOnly);
    ASSERT_TRUE(space().handle_fault(kText + 130 * kPageSize, Access::Read).ok());
    expect_mapped(kText, 2 * kGroup, 150);
    EXPECT_EQ(read(kText + 140 * kPageSize).value_or(0) & 0xff, 37U + 140U + 1U);
}

TEST_F(NeighboursTest, LeavesWhatIsThereAsItIs) {
    cache(0, kFilePages, false);
    map(kText, 0, kFilePages * kPageSize, kReadWrite);
    ASSERT_TRUE(write(kText + 2 * kPageSize, 0xabcd).ok());
    ASSERT_TRUE(protect_all(space(), kText, kFilePages * kPageSize, kReadOnly).ok());
    const Pte own = pte_of(kText + 2 * kPageSize);
    ASSERT_TRUE(space().handle_fault(kText, Access::Read).ok());
    EXPECT_EQ(pte_of(kText + 2 * kPageSize), own);
    expect_mapped(kText, 0, kGroup);
    EXPECT_EQ(read(kText + 2 * kPageSize).value_or(0), 0xabcdU);
}

TEST_F(NeighboursTest, LeavesWhatMayBeWrittenToItsOwnFaults) {
    cache(0, kFilePages, false);
    map(kText, 0, kFilePages * kPageSize, kReadWrite);
    ASSERT_TRUE(space().handle_fault(kText + 9 * kPageSize, Access::Read).ok());
    expect_mapped(kText, 9, 10);
}

TEST_F(NeighboursTest, CanBeSwitchedOff) {
    cache(0, kFilePages, false);
    map(kText, 0, kFilePages * kPageSize, kReadOnly);
    map_neighbours_at_faults(false);
    EXPECT_TRUE(space().handle_fault(kText + 9 * kPageSize, Access::Read).ok());
    map_neighbours_at_faults(true);
    expect_mapped(kText, 9, 10);
}

}  // namespace
}  // namespace kernel::mm
