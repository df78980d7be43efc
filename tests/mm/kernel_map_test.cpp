// SPDX-License-Identifier: MIT
#include "mm/kernel_map.hpp"

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

// A JH7110-like machine: RAM at 0x4000_0000, its first 2 MiB the firmware's, the image after it.
constexpr PhysAddr kImage{0x4020'0000};

class KernelMapTest : public MemoryTest {
  protected:
    void TearDown() override {
        if (map_.root() != PhysAddr{}) {
            free_table(map_.root());
        }
        MemoryTest::TearDown();
    }
    [[nodiscard]] Result<void> build() { return map_.build(description_); }
    [[nodiscard]] Translation lookup(VirtAddr va) { return PageTable{map_.root()}.lookup(va); }
    [[nodiscard]] VirtAddr physmap(PhysAddr pa) { return kPhysmapBase + pa.value(); }
    void expect_finding(AuditFinding finding, VirtAddr where) {
        const auto result = map_.audit();
        ASSERT_TRUE(result.has_value());
        EXPECT_EQ(text(result->finding), text(finding));
        EXPECT_EQ(result->where, where);
    }

    std::array<PhysRange, 2> ram_{
        PhysRange{PhysAddr{0x4020'0000}, 0x8000'0000 - 0x4020'0000},
        PhysRange{PhysAddr{0x8000'0000}, kGigaPageSize + kMegaPageSize + kPageSize}};
    KernelMapDescription description_{
        .text = {kImageBase, kImage, 0x3'1000},
        .rodata = {kImageBase + 0x3'1000, kImage + 0x3'1000, 0xf000},
        .data = {kImageBase + 0x4'0000, kImage + 0x4'0000, 0x2'0000},
        .ram = ram_,
    };
    KernelMap map_;
};

TEST_F(KernelMapTest, MapsTheImageByPurpose) {
    ASSERT_TRUE(build().ok());
    EXPECT_EQ(map_.audit(), std::nullopt);
    EXPECT_EQ(lookup(kImageBase).pte, Pte::leaf(kImage, kReadExecute, PageOwner::Kernel));
    EXPECT_EQ(lookup(kImageBase + 0x3'0fff).pte.protection(), kReadExecute);
    EXPECT_EQ(lookup(kImageBase + 0x3'1000).pte.protection(), kReadOnly);
    EXPECT_EQ(lookup(kImageBase + 0x5'f000).pte, Pte::leaf(kImage + 0x5'f000, kReadWrite, PageOwner::Kernel));
    EXPECT_FALSE(lookup(kImageBase + 0x6'0000).pte.is_valid());
}

TEST_F(KernelMapTest, PhysmapCoversRamAndKeepsTheTextReadOnly) {
    ASSERT_TRUE(build().ok());
    EXPECT_FALSE(lookup(physmap(PhysAddr{0x401f'f000})).pte.is_valid()) << "the firmware's memory";
    EXPECT_EQ(lookup(physmap(kImage)).pte, Pte::leaf(kImage, kReadOnly, PageOwner::Kernel));
    EXPECT_EQ(lookup(physmap(kImage + 0x3'f000)).pte.protection(), kReadOnly);
    EXPECT_EQ(lookup(physmap(kImage + 0x4'0000)).pte.protection(), kReadWrite);
    EXPECT_EQ(lookup(physmap(PhysAddr{0x4040'0000})).page_bytes, kMegaPageSize);
    EXPECT_EQ(lookup(physmap(PhysAddr{0x8000'0000})).page_bytes, kGigaPageSize);
    EXPECT_EQ(lookup(physmap(PhysAddr{0xc020'0000})).page_bytes, kPageSize);
    EXPECT_FALSE(lookup(physmap(PhysAddr{0xc020'1000})).pte.is_valid());
}

TEST_F(KernelMapTest, StacksHaveGuards) {
    ASSERT_TRUE(build().ok());
    const std::uint64_t free_before = frames().stats().free;
    std::vector<PhysAddr> blocks;
    for (const CpuId cpu : {CpuId{0}, CpuId{1}, CpuId{63}}) {
        const auto top = map_.map_stack(cpu);
        ASSERT_TRUE(top.ok());
        const VirtAddr bottom = KernelMap::stack_bottom(cpu);
        EXPECT_EQ(*top - bottom, kHartStackBytes);
        EXPECT_EQ(lookup(bottom).pte.protection(), kReadWrite);
        EXPECT_EQ(lookup(VirtAddr{top->value() - 1}).pte.protection(), kReadWrite);
        EXPECT_FALSE(lookup(VirtAddr{bottom.value() - 1}).pte.is_valid());
        EXPECT_EQ(KernelMap::guard_owner(VirtAddr{bottom.value() - 1}), cpu);
        EXPECT_EQ(KernelMap::guard_owner(bottom), std::nullopt);
        blocks.push_back(lookup(bottom).pte.frame());
    }
    EXPECT_EQ(KernelMap::guard_owner(kImageBase), std::nullopt);
    EXPECT_EQ(KernelMap::guard_owner(VirtAddr{0}), std::nullopt);
    EXPECT_EQ(map_.audit(), std::nullopt);
    EXPECT_LT(frames().stats().free, free_before);
    for (const PhysAddr block : blocks) {
        frames().free(block, 2);
    }
}

TEST_F(KernelMapTest, DeviceRegistersKeepTheirOffsetAndAreApart) {
    ASSERT_TRUE(build().ok());
    const auto uart = map_.map_mmio(PhysAddr{0x1000'0008}, 0x10);
    const auto plic = map_.map_mmio(PhysAddr{0xc00'0000}, 0x40'0000);
    ASSERT_TRUE(uart.ok() && plic.ok());
    EXPECT_EQ(page_offset(uart->value()), 8U);
    EXPECT_EQ(lookup(*uart).pte, Pte::leaf(PhysAddr{0x1000'0000}, kReadWrite, PageOwner::Kernel));
    EXPECT_FALSE(lookup(*uart + kPageSize).pte.is_valid()) << "a gap after each device";
    EXPECT_EQ(lookup(*plic + 0x3f'ffff).pte.frame(), PhysAddr{0xc20'0000});
    EXPECT_EQ(lookup(*plic).page_bytes, kMegaPageSize) << "64 MiB in small pages would take 16384 entries";
    EXPECT_FALSE(lookup(*plic + 0x40'0000).pte.is_valid());
    EXPECT_FALSE(lookup(VirtAddr{plic->value() - kPageSize}).pte.is_valid());
    const auto odd = map_.map_mmio(PhysAddr{0x2001'1000}, 0x40'0000);
    ASSERT_TRUE(odd.ok());
    for (std::uint64_t offset = 0; offset < 0x40'0000; offset += 0xff000) {
        const Translation found = lookup(*odd + offset);
        EXPECT_EQ(found.pte.frame() + (*odd + offset).value() % found.page_bytes,
                  PhysAddr{0x2001'1000} + offset);
    }
    EXPECT_EQ(error_of(map_.map_mmio(PhysAddr{0}, 0)), code(Error::InvalidArgument));
    EXPECT_EQ(error_of(map_.map_mmio(PhysAddr{0}, kMmioBytes)), code(Error::NoMemory));
    EXPECT_EQ(map_.audit(), std::nullopt);
}

TEST_F(KernelMapTest, LaterMappingsReachEveryUserRoot) {
    ASSERT_TRUE(build().ok());
    PageTable user = *PageTable::create_user(map_.root());
    const auto uart = map_.map_mmio(PhysAddr{0x1000'0000}, 0x100);
    const auto stack = map_.map_stack(CpuId{2});
    ASSERT_TRUE(uart.ok() && stack.ok());
    EXPECT_TRUE(user.lookup(*uart).pte.is_valid());
    EXPECT_TRUE(user.lookup(KernelMap::stack_bottom(CpuId{2})).pte.is_valid());
    frames().free(lookup(KernelMap::stack_bottom(CpuId{2})).pte.frame(), 2);
    user.destroy_user();
}

TEST_F(KernelMapTest, RefusesNonsense) {
    const auto expect_refused = [&](auto&& spoil) {
        const KernelMapDescription good = description_;
        spoil(description_);
        KernelMap map;
        EXPECT_EQ(error_of(map.build(description_)), code(Error::InvalidArgument));
        description_ = good;
    };
    expect_refused([](KernelMapDescription& d) { d.text.bytes += 1; });
    expect_refused([](KernelMapDescription& d) { d.rodata.physical = d.rodata.physical + 8; });
    expect_refused([](KernelMapDescription& d) { d.data.start = VirtAddr{0x1000}; });
    expect_refused([](KernelMapDescription& d) { d.data.bytes = std::uint64_t{3} << 30; });
    ram_[1].bytes = kPhysmapBytes;
    expect_refused([](KernelMapDescription&) {});
    ram_[1] = {PhysAddr{0x8000'0001}, kPageSize};
    expect_refused([](KernelMapDescription&) {});
}

// The negative controls of the auditor: each rule broken once.
TEST_F(KernelMapTest, TheAuditorFindsPlantedMistakes) {
    ASSERT_TRUE(build().ok());
    PageTable table{map_.root()};
    const VirtAddr where = kMmioBase + 5 * kPageSize;
    const auto plant = [&](VirtAddr va, std::uint64_t bits) {
        const auto slot = table.make_slot(va);
        ASSERT_TRUE(slot.ok());
        slot->store(Pte::from_bits(bits));
    };
    const std::uint64_t good = Pte::leaf(kImage + 0x4'0000, kReadWrite, PageOwner::Kernel).bits();
    plant(where, good);
    EXPECT_EQ(map_.audit(), std::nullopt);
    plant(where, good | 0x08);
    expect_finding(AuditFinding::WritableAndExecutable, where);
    plant(where, good | 0x10);
    expect_finding(AuditFinding::OpenToUserMode, where);
    plant(where, good & ~std::uint64_t{0x80});
    expect_finding(AuditFinding::MissingAccessedDirty, where);
    plant(where, good & ~std::uint64_t{0x40});
    expect_finding(AuditFinding::MissingAccessedDirty, where);
    plant(where, Pte::leaf(kImage, kReadExecute, PageOwner::Kernel).bits());
    expect_finding(AuditFinding::ExecutableOutsideText, where);
    for (const std::uint64_t offset : {0x0, 0x3'0000, 0x3'1000, 0x3'f000}) {
        plant(where, Pte::leaf(kImage + offset, kReadWrite, PageOwner::Kernel).bits());
        expect_finding(AuditFinding::FixedMemoryWritable, where);
    }
    plant(where, 0);
    const VirtAddr guard{KernelMap::stack_bottom(CpuId{7}).value() - kPageSize};
    plant(guard, good);
    expect_finding(AuditFinding::GuardMapped, guard);
    plant(guard, 0);
    plant(VirtAddr{0x1000}, good);
    expect_finding(AuditFinding::OpenToUserMode, VirtAddr{0x1000});
    plant(VirtAddr{0x1000}, 0);
    const auto large = table.make_slot(kMmioBase + 64 * kMegaPageSize, 1);
    ASSERT_TRUE(large.ok());
    large->store(Pte::leaf(kImage + kPageSize, kReadWrite, PageOwner::Kernel));
    expect_finding(AuditFinding::Misaligned, kMmioBase + 64 * kMegaPageSize);
    large->store({});
    // A table entry with U, as QEMU before 7.0 let pass.
    const auto middle = table.make_slot(kMmioBase, 1);
    ASSERT_TRUE(middle.ok());
    const Pte before = middle->load();
    middle->store(Pte::from_bits(before.bits() | 0x10));
    expect_finding(AuditFinding::ReservedBitsInTable, kMmioBase);
    middle->store(before);
    EXPECT_EQ(map_.audit(), std::nullopt);
}

// The same for a program's half; each entry is looked at once more when its page goes.
using UserMapTest = AddressSpaceTest;

TEST_F(UserMapTest, TheAuditorFindsPlantedMistakes) {
    constexpr VirtAddr kPage{0x4000'0000};
    map_at(kPage, 2, kReadWrite);
    ASSERT_TRUE(write(kPage, 1).ok());
    ASSERT_TRUE(write(kPage + kPageSize, 1).ok());
    PageTable table{space().root()};
    const auto finding = [&]() -> std::string_view {
        std::uint64_t pages = 0;
        const auto found = space().audit(pages);
        if (!found.has_value()) {
            EXPECT_EQ(pages, 2U);
            return "none";
        }
        return text(found->finding);
    };
    EXPECT_EQ(finding(), "none");
    const PteSlot slot = table.find_slot(kPage);
    const Pte good = slot.load();
    const auto expect = [&](std::uint64_t bits, AuditFinding expected) {
        slot.store(Pte::from_bits(bits));
        EXPECT_EQ(finding(), text(expected));
        slot.store(good);
    };
    expect(good.bits() | 0x08, AuditFinding::WritableAndExecutable);
    expect(good.bits() & ~std::uint64_t{0x10}, AuditFinding::ClosedToUserMode);
    expect(good.bits() | 0x20, AuditFinding::ClosedToUserMode);
    expect(good.bits() & ~std::uint64_t{0x40}, AuditFinding::MissingAccessedDirty);
    expect(good.bits() & ~std::uint64_t{0x80}, AuditFinding::MissingAccessedDirty);
#ifdef NEURON_DEBUG
    const auto leaf = [](PhysAddr frame) { return Pte::leaf(frame, kReadWrite, PageOwner::User).bits(); };
    expect(leaf(space().root()), AuditFinding::NotForPrograms);
    expect(leaf(PhysAddr{0x1000'0000}), AuditFinding::NotForPrograms);
    const PhysAddr freed = *frames().allocate_frame();
    frames().note_for_programs(freed);
    EXPECT_TRUE(frames().is_for_programs(freed));
    frames().unref(freed);
    expect(leaf(freed), AuditFinding::NotForPrograms);
#endif
    const auto elsewhere = [&](VirtAddr va, std::uint32_t level, Pte entry, AuditFinding expected) {
        const auto place = table.make_slot(va, level);
        ASSERT_TRUE(place.ok());
        const Pte before = place->load();
        place->store(entry);
        EXPECT_EQ(finding(), text(expected));
        place->store(before);
        EXPECT_EQ(finding(), "none");
    };
    elsewhere(VirtAddr{0}, 2, good, AuditFinding::LargePage);
    elsewhere(
        kPage, 1,
        Pte::from_bits(table.find_slot(kPage) ? 0x11 | entry_for(space().root(), kPage, 2).load().bits() : 0),
        AuditFinding::ReservedBitsInTable);
    elsewhere(kMmioBase, 2, Pte::table(space().root()), AuditFinding::KernelHalfDiffers);
}

TEST_F(KernelMapTest, NoMemoryIsReported) {
    for (std::uint64_t successes = 0;; ++successes) {
        KernelMap map;
        fail_allocation_after(successes);
        const auto result = map.build(description_);
        const bool has_failed = has_allocation_failed();
        stop_failing_allocations();
        if (map.root() != PhysAddr{}) {
            free_table(map.root());
        }
        if (!has_failed) {
            EXPECT_TRUE(result.ok());
            EXPECT_GT(successes, 6U);
            return;
        }
        EXPECT_EQ(error_of(result), code(Error::NoMemory));
    }
}

}  // namespace
}  // namespace kernel::mm
