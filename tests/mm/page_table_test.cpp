// SPDX-License-Identifier: MIT
#include "mm/page_table.hpp"

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

// Bits of the RISC-V Privileged Architecture, figure "Sv39 page table entry", written out once more on
// purpose.
constexpr std::uint64_t V = 0x01, R = 0x02, W = 0x04, X = 0x08, U = 0x10, G = 0x20, A = 0x40, D = 0x80;
constexpr PhysAddr kFrame{0x8765'4000};
constexpr std::uint64_t kFrameBits = 0x8765'4000 >> 12 << 10;

// The JH7110 faults where these bits are missing and QEMU does not: this test is the only guard.
TEST(Pte, LeavesHaveAccessedAndDirtySetByTheMaker) {
    EXPECT_EQ(Pte::leaf(kFrame, kReadOnly, PageOwner::User).bits(), kFrameBits | V | R | U | A);
    EXPECT_EQ(Pte::leaf(kFrame, kReadWrite, PageOwner::User).bits(), kFrameBits | V | R | W | U | A | D);
    EXPECT_EQ(Pte::leaf(kFrame, kReadExecute, PageOwner::User).bits(), kFrameBits | V | R | X | U | A);
    EXPECT_EQ(Pte::leaf(kFrame, kReadOnly, PageOwner::Kernel).bits(), kFrameBits | V | R | G | A);
    EXPECT_EQ(Pte::leaf(kFrame, kReadWrite, PageOwner::Kernel).bits(), kFrameBits | V | R | W | G | A | D);
    EXPECT_EQ(Pte::leaf(kFrame, kReadExecute, PageOwner::Kernel).bits(), kFrameBits | V | R | X | G | A);
}

TEST(Pte, TablesHaveOnlyValid) {
    EXPECT_EQ(Pte::table(kFrame).bits(), kFrameBits | V);
}

TEST(Pte, WriteOrExecuteBringRead) {
    EXPECT_EQ(Pte::leaf(kFrame, {.write = true}, PageOwner::User),
              Pte::leaf(kFrame, kReadWrite, PageOwner::User));
    EXPECT_EQ(Pte::leaf(kFrame, {.execute = true}, PageOwner::User),
              Pte::leaf(kFrame, kReadExecute, PageOwner::User));
}

TEST(Pte, SharedLeavesAreNeverWritable) {
    const Pte pte = Pte::leaf(kFrame, kReadWrite, PageOwner::User, true);
    EXPECT_TRUE(pte.is_shared());
    EXPECT_EQ(pte.bits() & (V | R | W | U | A | D), V | R | U | A);
    EXPECT_FALSE(pte.with_protection(kReadOnly).with_protection(kReadWrite).protection().write);
}

TEST(Pte, ParkedPagesAreResidentButInvalid) {
    const Pte pte = Pte::leaf(kFrame, kNoAccess, PageOwner::User);
    EXPECT_FALSE(pte.is_valid());
    EXPECT_FALSE(pte.is_table());
    EXPECT_TRUE(pte.is_resident());
    EXPECT_EQ(pte.frame(), kFrame);
    EXPECT_EQ(pte.with_protection(kReadWrite), Pte::leaf(kFrame, kReadWrite, PageOwner::User));
    // Frame 0 too.
    EXPECT_TRUE(Pte::leaf(PhysAddr{0}, kNoAccess, PageOwner::User).is_resident());
}

TEST(Pte, HoldsFramesUpTo56Bits) {
    constexpr PhysAddr high{(std::uint64_t{1} << 56) - kPageSize};
    EXPECT_EQ(Pte::leaf(high, kReadOnly, PageOwner::User).frame(), high);
    EXPECT_EQ(Pte::leaf(high, kReadOnly, PageOwner::User).bits() >> 54, 0U) << "bits 54 and up are reserved";
}

using PageTableTest = MemoryTest;

void free_tables(PageTable& table) {
    table.unhook_tables(VirtAddr{0}, kUserTop, VirtAddr{0}, kUserTop,
                        [](PhysAddr frame) { frames().unref(frame); });
    table.destroy_user();
}

TEST_F(PageTableTest, MapsLooksUpAndUnmaps) {
    PageTable table = *PageTable::create();
    const VirtAddr last{kUserTop.value() - kPageSize};
    for (const VirtAddr va : {VirtAddr{0x1000}, VirtAddr{0x20'0000 - 0x1000}, VirtAddr{0x4000'0000}, last}) {
        EXPECT_TRUE(table.lookup(va).pte.is_empty());
        ASSERT_TRUE(table.map_page(va, kFrame, kReadWrite, PageOwner::User).ok());
        EXPECT_EQ(table.lookup(va + 0xfff).pte, Pte::leaf(kFrame, kReadWrite, PageOwner::User));
        EXPECT_EQ(table.lookup(va).page_bytes, kPageSize);
    }
    EXPECT_TRUE(table.protect_page(last, kReadOnly));
    EXPECT_EQ(table.lookup(last).pte.protection(), kReadOnly);
    EXPECT_FALSE(table.protect_page(VirtAddr{0x3000}, kReadOnly));
    EXPECT_EQ(table.unmap_page(last).frame(), kFrame);
    EXPECT_TRUE(table.unmap_page(last).is_empty());
    EXPECT_TRUE(table.unmap_page(VirtAddr{0x30'0000'0000}).is_empty());
    for (const VirtAddr va : {VirtAddr{0x1000}, VirtAddr{0x20'0000 - 0x1000}, VirtAddr{0x4000'0000}}) {
        EXPECT_EQ(table.unmap_page(va).frame(), kFrame);
    }
    free_tables(table);
}

TEST_F(PageTableTest, UsesTheLargestPagesThatFit) {
    PageTable table = *PageTable::create();
    // 4 KiB up to the 2 MiB border, 2 MiB up to the 1 GiB border, 1 GiB, then down again.
    const std::uint64_t start = kGigaPageSize - kMegaPageSize - kPageSize;
    const std::uint64_t bytes = kPageSize + kMegaPageSize + kGigaPageSize + kMegaPageSize + kPageSize;
    ASSERT_TRUE(
        table.map_range(kPhysmapBase + start, PhysAddr{start}, bytes, kReadWrite, PageOwner::Kernel).ok());
    const std::array expected{kPageSize, kMegaPageSize, kGigaPageSize, kMegaPageSize, kPageSize};
    std::uint64_t at = start;
    for (const std::uint64_t page_bytes : expected) {
        const Translation found = table.lookup(kPhysmapBase + at);
        EXPECT_EQ(found.page_bytes, page_bytes);
        EXPECT_EQ(found.pte, Pte::leaf(PhysAddr{at}, kReadWrite, PageOwner::Kernel));
        at += page_bytes;
    }
    EXPECT_TRUE(table.lookup(kPhysmapBase + at).pte.is_empty());
    // The root, and two middle tables with a bottom table each.
    EXPECT_EQ(frames().stats().free, free_at_start() - 5);
    free_table(table.root());
}

TEST_F(PageTableTest, UserRootsShareTheKernelHalf) {
    PageTable kernel = *PageTable::create();
    ASSERT_TRUE(kernel.make_slot(kMmioBase, 1).ok());
    PageTable user = *PageTable::create_user(kernel.root());
    EXPECT_TRUE(user.lookup(kMmioBase).pte.is_empty());
    ASSERT_TRUE(kernel.map_page(kMmioBase, kFrame, kReadWrite, PageOwner::Kernel).ok());
    EXPECT_EQ(user.lookup(kMmioBase).pte.frame(), kFrame) << "mapped after the user root was made";
    user.destroy_user();
    free_table(kernel.root());
}

TEST_F(PageTableTest, FailingToMakeTablesLeavesNothing) {
    PageTable table = *PageTable::create();
    for (std::uint64_t successes = 0; successes < 2; ++successes) {
        fail_allocation_after(successes);
        EXPECT_EQ(error_of(table.make_slot(VirtAddr{0x1000})), code(Error::NoMemory));
        EXPECT_EQ(frames().stats().free, free_at_start() - 1);
    }
    stop_failing_allocations();
    free_tables(table);
}

// The frame of a table that was unhooked may hold anything, so also what looks like the entry found last.
TEST_F(PageTableTest, ForgetsTheEntryFoundLastWithItsTable) {
    PageTable table = *PageTable::create();
    constexpr VirtAddr kVa{kGigaPageSize + 5 * kPageSize};
    const PhysAddr frame = *frames().allocate_frame();
    const Pte leaf = Pte::leaf(frame, kReadWrite, PageOwner::User);
    table.make_slot(kVa)->store(leaf);
    EXPECT_EQ(table.find_writable(kVa), nullptr) << "no walk yet";
    const PteSlot slot = table.find_slot(kVa);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(table.find_writable(kVa), phys_to_virt(frame));
    }
    EXPECT_EQ(table.find_writable(kVa + kPageSize), nullptr);
    slot.store({});
    EXPECT_EQ(table.find_writable(kVa), nullptr);
    std::vector<PhysAddr> unhooked;
    table.unhook_tables(kVa, kVa + kPageSize, VirtAddr{0}, kUserTop,
                        [&](PhysAddr gone) { unhooked.push_back(gone); });
    EXPECT_EQ(unhooked.size(), 2U);
    slot.store(leaf);
    EXPECT_EQ(table.find_writable(kVa), nullptr);
    for (const PhysAddr gone : unhooked) {
        frames().unref(gone);
    }
    frames().unref(frame);
    free_tables(table);
}

TEST_F(PageTableTest, UnhooksTablesThatReachNowhereElse) {
    PageTable table = *PageTable::create();
    constexpr VirtAddr kFirst{kGigaPageSize};
    for (std::uint64_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(table.make_slot(kFirst + i * kMegaPageSize).ok());
    }
    const auto unhook = [&](VirtAddr start, VirtAddr end, VirtAddr low, VirtAddr high) {
        int tables = 0;
        table.unhook_tables(start, end, low, high, [&](PhysAddr frame) {
            frames().unref(frame);
            ++tables;
        });
        return tables;
    };
    const VirtAddr page = kFirst + kMegaPageSize + 7 * kPageSize;
    const VirtAddr middle = kFirst + kMegaPageSize;
    const VirtAddr last = kFirst + 2 * kMegaPageSize;
    EXPECT_EQ(unhook(page, page + kPageSize, middle + kPageSize, last), 0)
        << "its first page belongs to somebody";
    EXPECT_EQ(unhook(page, page + kPageSize, middle, VirtAddr{last.value() - kPageSize}), 0)
        << "its last page does";
    EXPECT_EQ(unhook(page, page + kPageSize, middle, last), 1);
    EXPECT_EQ(unhook(page, page + kPageSize, middle, last), 0) << "it is gone";
    EXPECT_EQ(unhook(kFirst, last, kFirst, last), 1);
    // The last one, and with it the table they all hang in.
    EXPECT_EQ(unhook(last, last + kPageSize, kFirst, kFirst + kGigaPageSize), 2);
    EXPECT_EQ(table.lookup(kFirst).page_bytes, kGigaPageSize);
    table.destroy_user();
}

TEST_F(PageTableTest, VisitsResidentPagesInOrderAndCountsItsWork) {
    PageTable table = *PageTable::create();
    const std::array pages{VirtAddr{0x1000}, VirtAddr{0x1f'f000}, VirtAddr{0x20'0000},
                           VirtAddr{0x30'0000'0000}};
    for (const VirtAddr va : pages) {
        ASSERT_TRUE(table.map_page(va, kFrame, kReadOnly, PageOwner::User).ok());
    }
    std::vector<VirtAddr> seen;
    const auto note = [&](VirtAddr va, PteSlot) {
        seen.push_back(va);
        return true;
    };
    std::uint32_t entries = 100'000;
    EXPECT_EQ(table.for_each_resident(VirtAddr{0}, kUserTop, entries, note), kUserTop);
    EXPECT_TRUE(std::ranges::equal(seen, pages));
    // 256 root entries, of which two hold a middle table (512) with three bottom tables between them. Of
    // these, 64 lines each, a line with a page in it is looked at entry by entry.
    EXPECT_EQ(100'000U - entries, 254U + (512U - 2U) + (512U - 1U) + (62U + 2U * 8U) + 2U * (63U + 8U));
    // A small budget stops before the first page it has not looked at.
    seen.clear();
    entries = 1;
    EXPECT_EQ(table.for_each_resident(VirtAddr{0x1000}, kUserTop, entries, note), VirtAddr{0x2000});
    EXPECT_EQ(seen.size(), 1U);
    // A visitor that stops is asked again for the same page.
    entries = 100;
    EXPECT_EQ(
        table.for_each_resident(VirtAddr{0x1000}, kUserTop, entries, [](VirtAddr, PteSlot) { return false; }),
        VirtAddr{0x1000});
    for (const VirtAddr va : pages) {
        EXPECT_TRUE(table.unmap_page(va).is_resident());
    }
    free_tables(table);
}

}  // namespace
}  // namespace kernel::mm
