// SPDX-License-Identifier: MIT
// What a program's first run wrote to and read is mapped at once for the next one, as faults would map it.
#include "mm/program_start.hpp"

#include <cstring>
#include <optional>
#include <vector>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

constexpr VirtAddr kImage{0x1'0000};
constexpr std::uint64_t kTextPages = 21;  // and the part of a page is one of a full page
constexpr std::uint64_t kDataPages = 6;   // whole ones; a part of one follows
constexpr std::uint64_t kPartBytes = 1000;
constexpr std::uint64_t kBssPages = 5;
constexpr VirtAddr kData{kImage + kTextPages * kPageSize};

class ProgramStartTest : public AddressSpaceTest {
  protected:
    void SetUp() override {
        AddressSpaceTest::SetUp();
        contents_.resize((kTextPages + kDataPages + 1) * kPageSize);
        for (std::size_t i = 0; i < contents_.size(); ++i) {
            // Some pages full, some with few lines, one with many runs of them.
            const std::size_t page = i / kPageSize;
            const std::size_t line = i % kPageSize / 64;
            const bool is_full = page % 3 == 0;
            const bool is_striped = page % 3 == 1 && line % 3 == 0;
            const bool is_sparse = page % 3 == 2 && (line == 1 || line == 63);
            contents_[i] =
                is_full || is_striped || is_sparse ? static_cast<std::byte>(i % 251 + 1) : std::byte{0};
        }
        file_.emplace("/bin/program", contents_);
        start_.emplace();
        start_->begin(kImage);
        file_->set_program_start(*start_);
    }
    void TearDown() override {
        clear();
        start_->set_plan(PhysAddr{});
        file_.reset();
        AddressSpaceTest::TearDown();
    }
    // As a loader maps it.
    void map_image() {
        ASSERT_TRUE(space()
                        .map_file({kImage, kTextPages * kPageSize, kReadExecute, Placement::FixedNoReplace},
                                  {.file = &*file_, .offset = 0, .bytes = kTextPages * kPageSize})
                        .ok());
        ASSERT_TRUE(space()
                        .map_file({kData, (kDataPages + 1 + kBssPages) * kPageSize, kReadWrite,
                                   Placement::FixedNoReplace},
                                  {.file = &*file_,
                                   .offset = kTextPages * kPageSize,
                                   .bytes = kDataPages * kPageSize + kPartBytes})
                        .ok());
    }
    void map_start() { space().map_start(*file_, *start_); }
    void clear() {
        EXPECT_TRUE(unmap_all(space(), kUserBase, kUserTop - kUserBase).ok());
        EXPECT_EQ(space().resident_pages(), 0U);
    }
    [[nodiscard]] bool is_mapped(VirtAddr at) { return pte_of(at).is_resident(); }
    [[nodiscard]] std::byte expected(std::uint64_t page, std::uint64_t offset) const {
        const std::uint64_t at = page * kPageSize + offset;
        return at < (kTextPages + kDataPages) * kPageSize + kPartBytes ? contents_[at] : std::byte{0};
    }
    // Every byte of the image is what a program finds that maps it by faults alone.
    void expect_contents() {
        for (std::uint64_t page = 0; page < kTextPages + kDataPages + 1 + kBssPages; ++page) {
            if (!is_mapped(kImage + page * kPageSize)) {
                continue;
            }
            const auto bytes = frame_bytes(pte_of(kImage + page * kPageSize).frame());
            for (std::uint64_t i = 0; i < kPageSize; ++i) {
                ASSERT_EQ(bytes[i], expected(page, i)) << "page " << page << ", byte " << i;
            }
        }
    }
    [[nodiscard]] ProgramStart& start() { return *start_; }

  private:
    std::vector<std::byte> contents_;
    std::optional<FileObject> file_;
    std::optional<ProgramStart> start_;
};

TEST_F(ProgramStartTest, MapsWhatTheLastRunNeeded) {
    map_image();
    ASSERT_TRUE(space().handle_fault(kImage + 3 * kPageSize, Access::Execute).ok());
    ASSERT_TRUE(space().handle_fault(kImage + 7 * kPageSize, Access::Execute).ok());
    for (const std::uint64_t page : {0, 1, 2, 6, 8}) {
        ASSERT_TRUE(write(kData + page * kPageSize, 0x1234).ok());
    }
    ASSERT_TRUE(space().handle_fault(kData + 4 * kPageSize, Access::Read).ok());
    clear();
    map_image();
    map_start();
    // Text: what is cached. Data: the same, but for what was written, which is the program's own.
    for (std::uint64_t page = 0; page < kTextPages; ++page) {
        EXPECT_EQ(is_mapped(kImage + page * kPageSize), page == 3 || page == 7) << page;
    }
    for (std::uint64_t page = 0; page < kDataPages + 1 + kBssPages; ++page) {
        const Pte pte = pte_of(kData + page * kPageSize);
        const bool is_own = page <= 2 || page == 6 || page == 8;
        EXPECT_EQ(pte.is_resident(), is_own || page == 4) << page;
        EXPECT_EQ(pte.lets_user(Access::Write), is_own) << page;
        EXPECT_EQ(pte.is_lasting(), page == 4) << page;
    }
    EXPECT_EQ(space().resident_pages(), 8U);
    expect_contents();
    space().check_invariants();
}

// Two runs write to copies of their own.
TEST_F(ProgramStartTest, GivesEachRunItsOwnPages) {
    for (std::uint32_t run = 0; run < 3; ++run) {
        map_image();
        map_start();
        expect_contents();
        for (std::uint64_t page = 0; page < kDataPages + 1 + kBssPages; ++page) {
            ASSERT_TRUE(write(kData + page * kPageSize, run + 7).ok());
        }
        space().check_invariants();
        clear();
    }
    EXPECT_EQ(start().changes(), kDataPages + 1 + kBssPages);
}

TEST_F(ProgramStartTest, PagesThatAreNotWrittenStayShared) {
    map_image();
    ASSERT_TRUE(write(kData + kPageSize, 1).ok());
    ASSERT_TRUE(space().handle_fault(kData, Access::Read).ok());
    clear();
    map_image();
    map_start();
    // A store to one that came shared takes a copy, and is known from then on.
    ASSERT_TRUE(pte_of(kData).is_lasting());
    ASSERT_TRUE(write(kData, 99).ok());
    EXPECT_FALSE(pte_of(kData).is_lasting());
    clear();
    map_image();
    map_start();
    EXPECT_TRUE(pte_of(kData).lets_user(Access::Write));
    expect_contents();
}

TEST_F(ProgramStartTest, KeepsTheFirstPagesOnly) {
    ProgramStart many;
    many.begin(kImage);
    for (std::uint64_t page = 0; page < 40; ++page) {
        many.note_written(kImage + page * kPageSize);
        many.note_written(kImage + page * kPageSize);
    }
    EXPECT_EQ(many.changes(), StartPlan::kMaxPages);
    EXPECT_TRUE(many.is_written(kImage + (StartPlan::kMaxPages - 1) * kPageSize));
    EXPECT_FALSE(many.is_written(kImage + StartPlan::kMaxPages * kPageSize));
    // Another 2 MiB is not looked at.
    ProgramStart other;
    other.begin(kImage);
    other.note_written(kImage + (std::uint64_t{4} << 20));
    EXPECT_EQ(other.changes(), 0U);
}

// Another hart runs the program already: its store comes after the page was found to be one to share.
ProgramStart* running_start = nullptr;
int allocations_until_store = 0;

bool store_meanwhile() {
    if (allocations_until_store > 0 && --allocations_until_store == 0) {
        running_start->note_written(kData + 2 * kPageSize);
    }
    return true;  // no allocation fails
}

TEST_F(ProgramStartTest, APageWrittenWhileThePlanIsMadeIsPlannedOnce) {
    map_image();
    ASSERT_TRUE(space().handle_fault(kData + 2 * kPageSize, Access::Read).ok());
    clear();
    start().note_written(kData);
    map_image();
    running_start = &start();
    allocations_until_store = 2;  // the plan, and what the file has of the first page
    fail_allocations_at_random(1, &store_meanwhile);
    map_start();
    stop_failing_allocations();
    EXPECT_TRUE(start().is_written(kData + 2 * kPageSize));
    space().check_invariants();
    expect_contents();
    clear();
    map_image();
    map_start();
    EXPECT_TRUE(pte_of(kData + 2 * kPageSize).lets_user(Access::Write)) << "known from the next run on";
}

// Without memory what is left is mapped by faults.
TEST_F(ProgramStartTest, LeavesToFaultsWhatThereIsNoMemoryFor) {
    map_image();
    for (std::uint64_t page = 0; page < kDataPages + 1 + kBssPages; ++page) {
        ASSERT_TRUE(write(kData + page * kPageSize, 5).ok());
    }
    clear();
    for (std::uint32_t allowed = 0; allowed < 16; ++allowed) {
        map_image();
        fail_allocation_after(allowed);
        map_start();
        stop_failing_allocations();
        space().check_invariants();
        expect_contents();
        ASSERT_TRUE(write(kData + 2 * kPageSize, 5).ok());
        clear();
    }
}

}  // namespace
}  // namespace kernel::mm
