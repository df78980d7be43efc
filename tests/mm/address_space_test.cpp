// SPDX-License-Identifier: MIT
#include "mm/address_space.hpp"

#include <algorithm>
#include <array>
#include <thread>

#include "memory_test.hpp"
#include "mm/asid.hpp"

namespace kernel::mm {
namespace {

constexpr VirtAddr kBase{0x10'0000};

std::vector<std::byte> file_contents(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(1 + i / kPageSize);
    }
    return bytes;
}

TEST_F(AddressSpaceTest, AnonymousMemoryIsZeroAndAppearsOnTouch) {
    map_at(kBase, 4, kReadWrite);
    EXPECT_EQ(space().resident_pages(), 0U);
    EXPECT_EQ(read(kBase + 8).value_or(1), 0U);
    EXPECT_EQ(space().resident_pages(), 1U);
    ASSERT_TRUE(write(kBase + 3 * kPageSize, 7).ok());
    EXPECT_EQ(read(kBase + 3 * kPageSize).value_or(0), 7U);
    EXPECT_EQ(space().resident_pages(), 2U);
    EXPECT_TRUE(pte_of(kBase + kPageSize).is_empty());
}

TEST_F(AddressSpaceTest, FaultsObeyTheProtection) {
    map_at(kBase, 1, kReadOnly);
    map_at(kBase + kPageSize, 1, kReadWrite);
    map_at(kBase + 2 * kPageSize, 1, kReadExecute);
    map_at(kBase + 3 * kPageSize, 1, kNoAccess);
    const auto expect = [&](std::uint64_t number, Access access, std::int32_t expected) {
        EXPECT_EQ(error_of(space().handle_fault(kBase + number * kPageSize + 5, access)), expected)
            << "page " << number << " access " << static_cast<int>(access);
    };
    const std::int32_t bad = code(Error::BadAddress);
    expect(0, Access::Read, 0);
    expect(0, Access::Write, bad);
    expect(0, Access::Execute, bad);
    expect(1, Access::Read, 0);
    expect(1, Access::Write, 0);
    expect(1, Access::Execute, bad);
    expect(2, Access::Read, 0);
    expect(2, Access::Write, bad);
    expect(2, Access::Execute, 0);
    expect(3, Access::Read, bad);
    expect(4, Access::Read, bad);
    for (const VirtAddr wild :
         {VirtAddr{0}, VirtAddr{8}, kUserTop, kKernelHalf, VirtAddr{~std::uint64_t{0}}}) {
        EXPECT_EQ(error_of(space().handle_fault(wild, Access::Read)), bad);
    }
    EXPECT_EQ(pte_of(kBase + kPageSize),
              Pte::leaf(pte_of(kBase + kPageSize).frame(), kReadWrite, PageOwner::User));
}

TEST_F(AddressSpaceTest, MapValidates) {
    const auto map = [&](VirtAddr at, std::uint64_t bytes, Protection protection, Placement placement) {
        return error_of(space().map_anonymous({at, bytes, protection, placement}));
    };
    const std::int32_t invalid = code(Error::InvalidArgument);
    EXPECT_EQ(map(kBase, 0, kReadOnly, Placement::Anywhere), invalid);
    EXPECT_EQ(map(kBase, ~std::uint64_t{0}, kReadOnly, Placement::Anywhere), invalid);
    EXPECT_EQ(map(kBase, kUserTop.value(), kReadOnly, Placement::Anywhere), invalid);
    EXPECT_EQ(map(kBase, kPageSize, {.write = true, .execute = true}, Placement::Anywhere), invalid);
    EXPECT_EQ(map(kBase + 1, kPageSize, kReadOnly, Placement::Fixed), invalid);
    EXPECT_EQ(map(VirtAddr{0}, kPageSize, kReadOnly, Placement::Fixed), invalid);
    EXPECT_EQ(map(kUserTop, kPageSize, kReadOnly, Placement::Fixed), invalid);
    EXPECT_EQ(map(VirtAddr{kUserTop.value() - kPageSize}, 2 * kPageSize, kReadOnly, Placement::Fixed),
              invalid);
    EXPECT_EQ(map(kBase, kUserTop - kUserBase, kReadOnly, Placement::Anywhere), code(Error::NoMemory));
    EXPECT_EQ(map(kBase, kPageSize, kReadOnly, Placement::FixedNoReplace), 0);
    EXPECT_EQ(map(kBase, kPageSize, kReadOnly, Placement::FixedNoReplace), code(Error::Exists));
    const std::vector<std::byte> contents(kPageSize);
    FileObject file{"/bin/x", contents};
    EXPECT_EQ(error_of(space().map_file({kBase, kPageSize, kReadOnly}, {&file, 8, 8})), invalid);
}

TEST_F(AddressSpaceTest, PlacesWithoutAWishFromTheTopAndHonoursHints) {
    const auto top = space().map_anonymous({VirtAddr{0}, 3 * kPageSize, kReadWrite});
    ASSERT_TRUE(top.ok());
    EXPECT_EQ(top->start + 3 * kPageSize, kMmapTop);
    const auto below = space().map_anonymous({VirtAddr{0}, 1, kReadOnly});
    ASSERT_TRUE(below.ok());
    EXPECT_EQ(below->start + kPageSize, top->start);
    const auto hinted = space().map_anonymous({kBase + 123, kPageSize, kReadOnly});
    ASSERT_TRUE(hinted.ok());
    EXPECT_EQ(hinted->start, kBase);
    const auto crowded = space().map_anonymous({kBase, kPageSize, kReadOnly});
    ASSERT_TRUE(crowded.ok());
    EXPECT_EQ(crowded->start + kPageSize, below->start) << "a taken hint is only a hint";
}

// glibc's arena: 128 MiB reserved, trimmed at both ends, a little made usable.
TEST_F(AddressSpaceTest, ReservingIsCheap) {
    const std::uint64_t free_before = frames().stats().free;
    constexpr std::uint64_t kReservation = std::uint64_t{128} << 20;
    const auto reserved = space().map_anonymous({VirtAddr{0}, kReservation, kNoAccess});
    ASSERT_TRUE(reserved.ok());
    EXPECT_GE(frames().stats().free + 2, free_before) << "a slab of mappings at most";
    const VirtAddr aligned{(reserved->start.value() + (kReservation / 2 - 1)) & ~(kReservation / 2 - 1)};
    EXPECT_EQ(unmap_all(space(), reserved->start, aligned - reserved->start).value_or(99), 1U);
    const VirtAddr tail = aligned + kReservation / 2;
    EXPECT_EQ(unmap_all(space(), tail, reserved->start + kReservation - tail).value_or(99), 1U);
    ASSERT_TRUE(protect_all(space(), aligned, 132 * 1024, kReadWrite).ok());
    EXPECT_TRUE(write(aligned + (132 * 1024 - 4), 1).ok());
    EXPECT_EQ(error_of(write(aligned + 132 * 1024, 1)), code(Error::BadAddress));
    EXPECT_EQ(space().mapped_bytes(), kReservation / 2);
}

TEST_F(AddressSpaceTest, UnmapSplitsAndForgetsContents) {
    map_at(kBase, 5, kReadWrite);
    for (std::uint64_t i = 0; i < 5; ++i) {
        ASSERT_TRUE(write(kBase + i * kPageSize, static_cast<std::uint32_t>(i)).ok());
    }
    ASSERT_TRUE(unmap_all(space(), kBase + kPageSize, 2 * kPageSize).ok());
    EXPECT_EQ(space().resident_pages(), 3U);
    EXPECT_EQ(read(kBase).value_or(9), 0U);
    EXPECT_EQ(error_of(read(kBase + kPageSize)), code(Error::BadAddress));
    EXPECT_EQ(read(kBase + 3 * kPageSize).value_or(9), 3U);
    map_at(kBase + kPageSize, 2, kReadWrite);
    EXPECT_EQ(read(kBase + kPageSize).value_or(9), 0U);
    // Holes and foreign neighbours are none of its business.
    EXPECT_TRUE(unmap_all(space(), VirtAddr{0x8000'0000}, kPageSize).ok());
    EXPECT_EQ(error_of(space().unmap(kBase + 1, kPageSize)), code(Error::InvalidArgument));
    EXPECT_EQ(error_of(space().unmap(kBase, 0)), code(Error::InvalidArgument));
    EXPECT_EQ(error_of(space().unmap(kBase, ~std::uint64_t{0})), code(Error::InvalidArgument));
    EXPECT_EQ(error_of(space().unmap(kUserTop, kPageSize)), code(Error::InvalidArgument));
}

TEST_F(AddressSpaceTest, ProtectKeepsContentsThroughNoAccess) {
    map_at(kBase, 3, kReadWrite);
    ASSERT_TRUE(write(kBase + kPageSize, 42).ok());
    ASSERT_TRUE(protect_all(space(), kBase + kPageSize, kPageSize, kNoAccess).ok());
    EXPECT_EQ(error_of(read(kBase + kPageSize)), code(Error::BadAddress));
    EXPECT_EQ(space().resident_pages(), 1U);
    ASSERT_TRUE(protect_all(space(), kBase, 3 * kPageSize, kReadOnly).ok());
    EXPECT_EQ(read(kBase + kPageSize).value_or(0), 42U);
    EXPECT_EQ(error_of(write(kBase + kPageSize, 1)), code(Error::BadAddress));
}

TEST_F(AddressSpaceTest, ProtectReportsHolesAfterWhatItCouldDo) {
    map_at(kBase, 1, kReadWrite);
    map_at(kBase + 2 * kPageSize, 1, kReadWrite);
    EXPECT_EQ(error_of(protect_all(space(), kBase, 3 * kPageSize, kReadOnly)), code(Error::NoMemory));
    EXPECT_EQ(error_of(write(kBase, 1)), code(Error::BadAddress));
    EXPECT_TRUE(write(kBase + 2 * kPageSize, 1).ok());
    EXPECT_EQ(error_of(space().protect(kBase, kPageSize, {.write = true, .execute = true})),
              code(Error::InvalidArgument));
    EXPECT_EQ(error_of(space().protect(kBase + 4, kPageSize, kReadOnly)), code(Error::InvalidArgument));
    EXPECT_EQ(error_of(space().protect(kUserTop, kPageSize, kReadOnly)), code(Error::NoMemory));
    EXPECT_EQ(error_of(space().protect(kBase, 0, kReadOnly)), 0);
}

TEST_F(AddressSpaceTest, DiscardGivesZeroAgain) {
    map_at(kBase, 2, kReadWrite);
    ASSERT_TRUE(write(kBase, 5).ok());
    ASSERT_TRUE(discard_all(space(), kBase, 2 * kPageSize).ok());
    EXPECT_EQ(space().resident_pages(), 0U);
    EXPECT_EQ(read(kBase).value_or(9), 0U);
    EXPECT_EQ(error_of(discard_all(space(), kBase, 3 * kPageSize)), code(Error::NoMemory));
}

TEST_F(AddressSpaceTest, DiscardKnowsFromWhereOnAMappingWasTouched) {
    constexpr std::uint32_t kPages = 600;  // in two tables at least
    map_at(kBase, kPages, kReadWrite);
    const auto page = [](std::uint32_t number) { return kBase + number * kPageSize; };
    const auto touch = [&](std::initializer_list<std::uint32_t> numbers) {
        for (const std::uint32_t number : numbers) {
            ASSERT_TRUE(write(page(number), 5).ok());
        }
    };
    const auto discard = [&](std::uint32_t from, std::uint32_t to) {
        ASSERT_TRUE(discard_all(space(), page(from), (to - from) * kPageSize).ok());
        space().check_invariants();
    };
    touch({599, 400});
    discard(0, 400);  // below all of it
    EXPECT_EQ(space().resident_pages(), 2U);
    discard(300, 500);  // over the lowest
    EXPECT_EQ(space().resident_pages(), 1U);
    touch({2});
    discard(100, 599);  // above the lowest, which stays
    EXPECT_EQ(space().resident_pages(), 2U);
    // Cut in three, and made one again.
    ASSERT_TRUE(space().protect(page(200), 100 * kPageSize, kReadOnly).ok());
    touch({100, 350});
    ASSERT_TRUE(space().protect(page(200), 100 * kPageSize, kReadWrite).ok());
    touch({250});
    discard(200, 300);
    EXPECT_EQ(space().resident_pages(), 4U);
    discard(0, kPages);
    EXPECT_EQ(space().resident_pages(), 0U);
    EXPECT_EQ(read(page(2)).value_or(9), 0U);
}

TEST_F(AddressSpaceTest, FilePagesAreSharedUntilWritten) {
    const auto contents = file_contents(3 * kPageSize);
    FileObject file{"/bin/x", contents};
    AddressSpace* other = *AddressSpace::create(kernel_root());
    for (AddressSpace* each : {&space(), other}) {
        ASSERT_TRUE(
            each->map_file({kBase, 3 * kPageSize, kReadWrite, Placement::Fixed}, {&file, 0, 3 * kPageSize})
                .ok());
    }
    const auto word = [](AddressSpace& in, VirtAddr va) {
        std::uint32_t value = 0;
        EXPECT_TRUE(copy_from_user(in, std::as_writable_bytes(std::span{&value, 1}), va).ok());
        return value;
    };
    EXPECT_EQ(word(space(), kBase + kPageSize), 0x0202'0202U);
    EXPECT_EQ(word(*other, kBase + kPageSize), 0x0202'0202U);
    const PhysAddr shared = pte_of(kBase + kPageSize).frame();
    EXPECT_EQ(PageTable{other->root()}.lookup(kBase + kPageSize).pte.frame(), shared);
    EXPECT_EQ(frames().references(shared), 1U) << "who maps a constant file's frames is not counted";
    EXPECT_TRUE(pte_of(kBase + kPageSize).is_lasting());
    EXPECT_FALSE(pte_of(kBase + kPageSize).protection().write);

    ASSERT_TRUE(write(kBase + kPageSize, 77).ok());
    EXPECT_NE(pte_of(kBase + kPageSize).frame(), shared);
    EXPECT_FALSE(pte_of(kBase + kPageSize).is_lasting()) << "the copy is given back";
    EXPECT_EQ(word(space(), kBase + kPageSize), 77U);
    EXPECT_EQ(word(space(), kBase + kPageSize + 4), 0x0202'0202U) << "the rest of the page came along";
    EXPECT_EQ(word(*other, kBase + kPageSize), 0x0202'0202U) << "the other program sees nothing of it";
    EXPECT_EQ(contents[kPageSize], std::byte{2}) << "nor does the file";
    // A write as first touch does the same.
    ASSERT_TRUE(write(kBase + 2 * kPageSize, 78).ok());
    EXPECT_EQ(word(*other, kBase + 2 * kPageSize), 0x0303'0303U);
    // Dropping the copy brings the file back.
    ASSERT_TRUE(discard_all(space(), kBase, 3 * kPageSize).ok());
    EXPECT_EQ(word(space(), kBase + kPageSize), 0x0202'0202U);
    dismantle(other);
    // Parked and brought back, it is still the file's.
    ASSERT_TRUE(protect_all(space(), kBase, 3 * kPageSize, Protection{}).ok());
    EXPECT_TRUE(pte_of(kBase + kPageSize).is_lasting());
    ASSERT_TRUE(protect_all(space(), kBase, 3 * kPageSize, kReadWrite).ok());
    EXPECT_EQ(word(space(), kBase + kPageSize), 0x0202'0202U);
    ASSERT_TRUE(unmap_all(space(), kBase, 3 * kPageSize).ok());
    EXPECT_EQ(frames().references(shared), 1U);
}

// An ELF data segment: some pages of the file, part of a page, then bss.
TEST_F(AddressSpaceTest, WhatTheFileDoesNotFillIsZero) {
    const auto contents = file_contents(5 * kPageSize);
    FileObject file{"/bin/x", contents};
    ASSERT_TRUE(space()
                    .map_file({kBase, 4 * kPageSize, kReadWrite, Placement::Fixed},
                              {&file, kPageSize, kPageSize + 100})
                    .ok());
    EXPECT_EQ(read(kBase + (kPageSize - 4)).value_or(0), 0x0202'0202U);
    EXPECT_EQ(read(kBase + kPageSize + 96).value_or(0), 0x0303'0303U);
    EXPECT_EQ(read(kBase + kPageSize + 100).value_or(1), 0U) << "although the file goes on";
    EXPECT_EQ(read(kBase + 2 * kPageSize).value_or(1), 0U);
    ASSERT_TRUE(unmap_all(space(), kBase, 4 * kPageSize).ok());
    // Past the end of the file.
    ASSERT_TRUE(space()
                    .map_file({kBase, 4 * kPageSize, kReadOnly, Placement::Fixed},
                              {&file, 4 * kPageSize, 4 * kPageSize})
                    .ok());
    EXPECT_EQ(read(kBase).value_or(0), 0x0505'0505U);
    EXPECT_EQ(read(kBase + kPageSize).value_or(1), 0U);
    ASSERT_TRUE(unmap_all(space(), kBase, 4 * kPageSize).ok());
}

TEST_F(AddressSpaceTest, ALargeRangeGoesInBoundedSteps) {
    constexpr std::uint64_t kPages = 10 * AddressSpace::kPagesPerStep;
    map_at(kBase, kPages, kReadWrite);
    for (std::uint64_t i = 0; i < kPages; ++i) {
        ASSERT_TRUE(write(kBase + i * kPageSize, 1).ok());
    }
    EXPECT_EQ(space().resident_pages(), kPages);
    EXPECT_GE(protect_all(space(), kBase, kPages * kPageSize, kReadOnly).value_or(0), kPages / 512);
    const std::uint64_t resident = space().resident_pages();
    const auto first = space().unmap(kBase, kPages * kPageSize);
    ASSERT_TRUE(first.ok());
    EXPECT_FALSE(first->done);
    EXPECT_EQ(first->next, kBase + AddressSpace::kPagesPerStep * kPageSize);
    EXPECT_EQ(resident - space().resident_pages(), AddressSpace::kPagesPerStep);
    EXPECT_EQ(error_of(read(kBase)), code(Error::BadAddress));
    EXPECT_TRUE(read(first->next).ok()) << "not yet unmapped";
    space().check_invariants();
    EXPECT_EQ(unmap_all(space(), first->next, kBase + kPages * kPageSize - first->next).value_or(0), 9U);
    EXPECT_EQ(space().mapped_bytes(), 0U);
}

TEST_F(AddressSpaceTest, FixedReplacesInStepsWithoutLettingGo) {
    constexpr std::uint64_t kPages = 3 * AddressSpace::kPagesPerStep;
    map_at(kBase, kPages, kReadWrite);
    for (std::uint64_t i = 0; i < kPages; ++i) {
        ASSERT_TRUE(write(kBase + i * kPageSize, 1).ok());
    }
    const MapRequest request{kBase, kPages * kPageSize, kReadOnly, Placement::Fixed};
    int steps = 1;
    for (auto mapped = space().map_anonymous(request); !mapped->done;
         mapped = space().map_anonymous(request)) {
        ++steps;
        EXPECT_EQ(error_of(space().map_anonymous({kBase, kPageSize, kReadOnly, Placement::FixedNoReplace})),
                  code(Error::Exists));
    }
    EXPECT_GE(steps, 3);
    EXPECT_EQ(read(kBase).value_or(1), 0U);
    EXPECT_EQ(error_of(write(kBase, 1)), code(Error::BadAddress));
}

TEST_F(AddressSpaceTest, TheBreakMovesAndComesBackZeroed) {
    space().set_break_base(kBase + 100);
    const VirtAddr base = kBase + kPageSize;
    EXPECT_EQ(break_to_end(space(), VirtAddr{0}), base) << "brk(0) asks";
    EXPECT_EQ(break_to_end(space(), base + 0xb70), base + 0xb70);
    EXPECT_TRUE(write(base + 0xb6c, 3).ok());
    constexpr std::uint64_t kHeap = 200 * kPageSize;
    EXPECT_EQ(break_to_end(space(), base + kHeap), base + kHeap);
    for (std::uint64_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(write(base + i * kPageSize, 9).ok());
    }
    EXPECT_EQ(error_of(write(base + kHeap, 1)), code(Error::BadAddress));
    const BreakResult partly = space().set_break(base + kPageSize);
    EXPECT_FALSE(partly.done);
    EXPECT_EQ(partly.now, base + (kHeap - AddressSpace::kPagesPerStep * kPageSize));
    EXPECT_EQ(break_to_end(space(), base + kPageSize), base + kPageSize);
    EXPECT_EQ(space().resident_pages(), 1U);
    EXPECT_EQ(break_to_end(space(), base + 2 * kPageSize), base + 2 * kPageSize);
    EXPECT_EQ(read(base + kPageSize).value_or(9), 0U);
    // What cannot be done changes nothing.
    EXPECT_EQ(break_to_end(space(), base + (kUserTop - base)), base + 2 * kPageSize);
    EXPECT_EQ(break_to_end(space(), kBase), base + 2 * kPageSize);
    map_at(base + 5 * kPageSize, 1, kReadOnly);
    EXPECT_EQ(break_to_end(space(), base + 6 * kPageSize), base + 2 * kPageSize);
    EXPECT_EQ(break_to_end(space(), base + 5 * kPageSize), base + 5 * kPageSize);
}

TEST_F(AddressSpaceTest, ListsItsMappings) {
    map_at(kBase, 2, kReadOnly);
    map_at(kBase + 8 * kPageSize, 1, kReadWrite);
    const auto first = space().mapping_at_or_above(VirtAddr{0});
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(first->mapping.start, kBase);
    const auto second = space().mapping_at_or_above(first->mapping.end);
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(second->mapping.start, kBase + 8 * kPageSize);
    EXPECT_EQ(error_of(space().mapping_at_or_above(second->mapping.end)), code(Error::NoEntry));
}

// While a hart is still about to leave, with flushes; and when it has left, without.
TEST_F(AddressSpaceTest, TeardownIsBounded) {
    constexpr CpuId kLeaving{2};
    for (const bool is_left : {false, true}) {
        SCOPED_TRACE(is_left);
        const std::uint64_t free_before = frames().stats().free;
        AddressSpace* large = *AddressSpace::create(kernel_root());
        large->activate(kLeaving);
        // Mappings in one table, across tables, in another gigabyte, and one without pages.
        const std::array places{kBase, kBase + 320 * kPageSize, kBase + 1000 * kPageSize,
                                kBase + std::uint64_t{300'000} * kPageSize,
                                kBase + std::uint64_t{600'000} * kPageSize};
        const std::array<std::uint64_t, 5> pages{300, 20, 80, 50, 0};
        std::uint64_t resident = 0;
        for (std::size_t i = 0; i < places.size(); ++i) {
            ASSERT_TRUE(
                large->map_anonymous({places[i], (pages[i] + 1) * kPageSize, kReadWrite, Placement::Fixed})
                    .ok());
            for (std::uint64_t page = 0; page < pages[i]; ++page, ++resident) {
                ASSERT_TRUE(store_word(*large, places[i] + page * kPageSize, 1).ok());
            }
        }
        // One table more that covers no mapping.
        const VirtAddr gone = kBase + std::uint64_t{400'000} * kPageSize;
        ASSERT_TRUE(large->map_anonymous({gone, kPageSize, kReadWrite, Placement::Fixed}).ok());
        ASSERT_TRUE(store_word(*large, gone, 1).ok());
        ASSERT_TRUE(unmap_all(*large, gone, kPageSize).ok());
        if (is_left) {
            large->deactivate(kLeaving);
        }
        std::uint64_t steps = 0;
        for (std::uint64_t before = large->resident_pages(); before > 0; before = large->resident_pages()) {
            const bool is_done = large->teardown_step(10);
            EXPECT_TRUE(!is_done || (is_left && large->resident_pages() == 0));
            EXPECT_LE(before - large->resident_pages(), 10U);
            if (!is_left) {
                large->check_invariants();
            }
            ++steps;
            ASSERT_LE(steps, 200U);
        }
        EXPECT_GE(steps, resident / 10);
        if (!is_left) {
            EXPECT_FALSE(large->teardown_step(10));
            large->deactivate(kLeaving);
        }
        while (!large->teardown_step(10)) {
            ASSERT_LE(++steps, 300U);
        }
        EXPECT_TRUE(large->release());
        AddressSpace::destroy(large);
        EXPECT_EQ(frames().stats().free, free_before);
    }
}

TEST_F(AddressSpaceTest, TheLastHolderKnowsItIs) {
    AddressSpace* shared = *AddressSpace::create(kernel_root());
    shared->retain();
    EXPECT_FALSE(shared->release());
    EXPECT_TRUE(shared->release());
    dismantle(shared);
}

TEST_F(AddressSpaceTest, AsidsAreUniqueUntilTheyRunOut) {
    set_highest_asid(3);
    std::vector<AddressSpace*> spaces;
    std::vector<std::uint16_t> asids;
    for (int i = 0; i < 5; ++i) {
        spaces.push_back(*AddressSpace::create(kernel_root()));
        asids.push_back(spaces.back()->asid());
    }
    EXPECT_EQ(asids, (std::vector<std::uint16_t>{1, 2, 3, 0, 0}));
    dismantle(spaces[1]);
    spaces[1] = *AddressSpace::create(kernel_root());
    EXPECT_EQ(spaces[1]->asid(), 2U);
    for (AddressSpace* each : spaces) {
        dismantle(each);
    }
    set_highest_asid(0);
}

// The same call is made again until it is done, and begins at the start each time.
TEST_F(AddressSpaceTest, AFixedMappingOverAWideSparseOneEnds) {
    constexpr std::uint64_t kGigabyte = std::uint64_t{1} << 30U;
    map_at(kBase, 2 * kGigabyte / kPageSize, kReadWrite);
    // The first page stays, and with it the tables that the rest of its neighbourhood is looked up in.
    for (const std::uint64_t at : {std::uint64_t{0}, kPageSize, kGigabyte / 2, kGigabyte + 5 * kPageSize}) {
        ASSERT_TRUE(write(kBase + at, 7).ok());
    }
    const MapRequest request{.address = kBase + kPageSize,
                             .bytes = 2 * kGigabyte - 2 * kPageSize,
                             .protection = kReadWrite,
                             .placement = Placement::Fixed};
    bool is_done = false;
    for (int call = 0; call < 16 && !is_done; ++call) {
        const auto mapped = space().map_anonymous(request);
        ASSERT_TRUE(mapped.ok());
        is_done = mapped->done;
    }
    EXPECT_TRUE(is_done);
    EXPECT_EQ(space().resident_pages(), 1U);
    EXPECT_EQ(read(kBase).value_or(0), 7U);
}

TEST_F(AddressSpaceTest, HartsFaultOnTheSamePages) {
    constexpr std::uint64_t kPages = 256;
    map_at(kBase, kPages, kReadWrite);
    std::vector<std::thread> harts;
    for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
        harts.emplace_back([this, cpu] {
            arch::host::set_current_cpu(CpuId{cpu});
            space().activate(CpuId{cpu});
            for (std::uint64_t i = 0; i < kPages; ++i) {
                EXPECT_TRUE(
                    fetch_op_word(space(), kBase + i * kPageSize, WordOperation::Add, 1U << (8 * cpu)).ok());
            }
            space().deactivate(CpuId{cpu});
            frames().drain_this_hart();
        });
    }
    for (std::thread& hart : harts) {
        hart.join();
    }
    for (std::uint64_t i = 0; i < kPages; ++i) {
        EXPECT_EQ(read(kBase + i * kPageSize).value_or(0), 0x0101'0101U);
    }
    EXPECT_EQ(space().resident_pages(), kPages);
}

}  // namespace
}  // namespace kernel::mm
