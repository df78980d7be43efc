// SPDX-License-Identifier: MIT
// The TLB protocol of address_space.hpp, watched through the recorded flushes.
#include <algorithm>
#include <array>
#include <random>

#include "memory_test.hpp"
#include "mm/asid.hpp"

namespace kernel::mm {
namespace {

constexpr VirtAddr kBase{0x10'0000};
constexpr CpuId kOther{3};

bool covers(const arch::host::TlbFlush& flush, CpuId cpu, VirtAddr va) {
    const bool reaches =
        flush.bytes == kFlushEverything || (va >= flush.start && va - flush.start < flush.bytes);
    return flush.cpus.contains(cpu) && reaches;
}

bool was_flushed(CpuId cpu, VirtAddr va) {
    return std::ranges::any_of(arch::host::tlb_flushes(),
                               [&](const arch::host::TlbFlush& flush) { return covers(flush, cpu, va); });
}

// What an observer of flushes needs; set by the test that installs one.
struct Watched {
    PhysAddr frame;
    std::uint32_t references_at_flush{0};
    int flushes{0};
};
Watched watched;

class TlbTest : public AddressSpaceTest {
  protected:
    void SetUp() override {
        set_highest_asid(0);
        AddressSpaceTest::SetUp();
        map_at(kBase, 4, kReadWrite);
        ASSERT_TRUE(write(kBase, 1).ok());
        ASSERT_TRUE(write(kBase + kPageSize, 1).ok());
    }
    void watch(VirtAddr va) {
        watched = {.frame = pte_of(va).frame()};
        arch::host::set_flush_observer([](const arch::host::TlbFlush&) {
            watched.references_at_flush = frames().references(watched.frame);
            ++watched.flushes;
        });
    }
};

TEST_F(TlbTest, FramesOutliveTheFlush) {
    space().activate(kOther);
    for (const auto& take_away : std::vector<Result<std::uint32_t> (*)(AddressSpace&)>{
             [](AddressSpace& space) { return unmap_all(space, kBase, kPageSize); },
             [](AddressSpace& space) { return discard_all(space, kBase + kPageSize, kPageSize); }}) {
        const bool first = pte_of(kBase).is_resident();
        const VirtAddr va = first ? kBase : kBase + kPageSize;
        arch::host::reset();
        watch(va);
        const std::uint64_t free_before = frames().stats().free;
        ASSERT_TRUE(take_away(space()).ok());
        EXPECT_TRUE(was_flushed(kOther, va));
        EXPECT_EQ(watched.flushes, 1);
        EXPECT_EQ(watched.references_at_flush, 1U) << "the frame was freed before the flush";
        EXPECT_EQ(frames().stats().free, free_before + 1);
    }
    space().deactivate(kOther);
}

TEST_F(TlbTest, EmptyTablesOutliveAFlushOfEverything) {
    space().activate(kOther);
    ASSERT_TRUE(unmap_all(space(), kBase, 4 * kPageSize).ok());
    // The tables stay for whoever maps something there again, until another mapping leaves some.
    EXPECT_EQ(PageTable{space().root()}.lookup(kBase).page_bytes, kPageSize);
    const VirtAddr far = kBase + 2 * kGigaPageSize;
    map_at(far, 1, kReadWrite);
    ASSERT_TRUE(write(far, 1).ok());
    arch::host::reset();
    ASSERT_TRUE(unmap_all(space(), far, kPageSize).ok());
    EXPECT_EQ(PageTable{space().root()}.lookup(far).page_bytes, kPageSize);
    const auto flushes = arch::host::tlb_flushes();
    EXPECT_TRUE(std::ranges::any_of(flushes, [](const arch::host::TlbFlush& flush) {
        return flush.bytes == kFlushEverything && flush.start == VirtAddr{0} && flush.cpus.contains(kOther);
    }));
    EXPECT_TRUE(PageTable{space().root()}.lookup(kBase).page_bytes == kGigaPageSize) << "no tables are left";
    space().deactivate(kOther);
}

// Mappings of one page or many, in and across tables of three gigabytes, in any order: no table goes too
// early (the invariants would see pages vanish), and none is left (TearDown counts frames).
TEST_F(TlbTest, NoTableIsLostWhateverComesAndGoes) {
    ASSERT_TRUE(unmap_all(space(), kBase, 4 * kPageSize).ok());
    const std::uint64_t free_before = frames().stats().free;
    constexpr std::uint64_t kTableBytes = std::uint64_t{512} * kPageSize;
    const std::array places{kBase,
                            kBase + kTableBytes,
                            kBase + 2 * kTableBytes,
                            kBase + kGigaPageSize,
                            kBase + kGigaPageSize + kTableBytes,
                            kBase + 2 * kGigaPageSize};
    std::mt19937 random{11};
    for (int step = 0; step < 3'000; ++step) {
        const VirtAddr at = places[random() % places.size()] + random() % 4 * kPageSize;
        const std::uint64_t bytes = random() % 8 == 0 ? 2 * kTableBytes : kPageSize;
        if (random() % 3 != 0) {
            ASSERT_TRUE(space().map_anonymous({at, bytes, kReadWrite, Placement::Anywhere}).ok());
            if (pte_of(at).is_empty()) {
                static_cast<void>(space().handle_fault(at, Access::Write));
            }
        } else {
            ASSERT_TRUE(unmap_all(space(), at, bytes).ok());
        }
        if (step % 16 == 0) {
            space().check_invariants();
        }
    }
    ASSERT_TRUE(unmap_all(space(), kUserBase, kUserTop - kUserBase).ok());
    EXPECT_EQ(space().resident_pages(), 0U);
    // The last table with the one above it, and where a mapping's record is kept for the next one.
    EXPECT_GE(frames().stats().free + 3, free_before);
}

TEST_F(TlbTest, CopyOnWriteFlushesBeforeItLetsTheOldPageGo) {
    const std::vector<std::byte> contents(kPageSize, std::byte{1});
    FileObject file{"/bin/x", contents};
    const VirtAddr mapped = kBase + 64 * kPageSize;
    ASSERT_TRUE(
        space().map_file({mapped, kPageSize, kReadWrite, Placement::Fixed}, {&file, 0, kPageSize}).ok());
    ASSERT_TRUE(read(mapped).ok());
    space().activate(kOther);
    arch::host::reset();
    watch(mapped);
    ASSERT_TRUE(space().handle_fault(mapped, Access::Write).ok());
    EXPECT_TRUE(was_flushed(kOther, mapped));
    EXPECT_EQ(frames().references(watched.frame), 1U) << "the cache's own";
    space().deactivate(kOther);
    ASSERT_TRUE(unmap_all(space(), mapped, kPageSize).ok());
}

TEST_F(TlbTest, ProtectFlushesOnlyWhatIsResident) {
    space().activate(kOther);
    arch::host::reset();
    ASSERT_TRUE(protect_all(space(), kBase + 2 * kPageSize, 2 * kPageSize, kReadOnly).ok());
    EXPECT_TRUE(arch::host::tlb_flushes().empty()) << "nothing was resident there";
    ASSERT_TRUE(protect_all(space(), kBase, kPageSize, kReadOnly).ok());
    EXPECT_TRUE(was_flushed(kOther, kBase));
    space().deactivate(kOther);
}

TEST_F(TlbTest, AFirstTouchDisturbsNobodyElse) {
    space().activate(kBootCpu);
    space().activate(kOther);
    arch::host::reset();
    ASSERT_TRUE(space().handle_fault(kBase + 2 * kPageSize, Access::Write).ok());
    EXPECT_TRUE(arch::host::tlb_flushes().empty()) << "nothing valid was taken away";
    // A hart that remembers that nothing was there faults once more, this one as another: a flush lets it go
    // on.
    for (const CpuId cpu : {kBootCpu, kOther}) {
        arch::host::reset();
        arch::host::set_current_cpu(cpu);
        ASSERT_TRUE(space().handle_fault(kBase + 2 * kPageSize, Access::Write).ok());
        EXPECT_TRUE(was_flushed(cpu, kBase + 2 * kPageSize));
        EXPECT_EQ(arch::host::tlb_flushes().size(), 1U);
    }
    arch::host::set_current_cpu(kBootCpu);
    space().deactivate(kBootCpu);
    space().deactivate(kOther);
}

TEST_F(TlbTest, WithoutAsidsAHartThatLeftIsNotDisturbed) {
    space().activate(kOther);
    EXPECT_TRUE(space().active_cpus().contains(kOther));
    space().deactivate(kOther);
    EXPECT_TRUE(space().active_cpus().empty());
    arch::host::reset();
    ASSERT_TRUE(unmap_all(space(), kBase, kPageSize).ok());
    EXPECT_TRUE(arch::host::tlb_flushes().empty());
}

TEST_F(TlbTest, WithAnAsidAHartRemembersAfterItLeft) {
    set_highest_asid(7);
    AddressSpace* tagged = *AddressSpace::create(kernel_root());
    ASSERT_NE(tagged->asid(), kSharedAsid);
    ASSERT_TRUE(tagged->map_anonymous({kBase, kPageSize, kReadWrite, Placement::Fixed}).ok());
    ASSERT_TRUE(store_word(*tagged, kBase, 1).ok());
    arch::host::reset();
    tagged->activate(kOther);
    const auto on_arrival = arch::host::tlb_flushes();
    ASSERT_EQ(on_arrival.size(), 1U) << "the ASID's last owner may have left something";
    EXPECT_EQ(on_arrival[0].bytes, kFlushEverything);
    EXPECT_EQ(on_arrival[0].asid, tagged->asid());
    const auto switches = arch::host::address_space_switches();
    ASSERT_EQ(switches.size(), 1U);
    EXPECT_EQ(switches[0].root, tagged->root());
    EXPECT_EQ(switches[0].asid, tagged->asid());
    tagged->deactivate(kOther);
    arch::host::reset();
    tagged->activate(kOther);
    tagged->deactivate(kOther);
    EXPECT_TRUE(arch::host::tlb_flushes().empty()) << "coming back is what ASIDs make cheap";
    ASSERT_TRUE(unmap_all(*tagged, kBase, kPageSize).ok());
    EXPECT_TRUE(was_flushed(kOther, kBase));
    dismantle(tagged);
    set_highest_asid(0);
}

TEST_F(TlbTest, TeardownOfAnIdleSpaceNeedsNoFlush) {
    AddressSpace* idle = *AddressSpace::create(kernel_root());
    ASSERT_TRUE(idle->map_anonymous({kBase, kPageSize, kReadWrite, Placement::Fixed}).ok());
    ASSERT_TRUE(store_word(*idle, kBase, 1).ok());
    idle->activate(kOther);
    idle->deactivate(kOther);
    arch::host::reset();
    dismantle(idle);
    EXPECT_TRUE(arch::host::tlb_flushes().empty());
}

TEST_F(TlbTest, NewInstructionsAreFenced) {
    space().activate(kOther);
    const auto fenced = [] {
        const auto fences = arch::host::instruction_fences();
        return std::ranges::any_of(fences, [](CpuMask cpus) { return cpus.contains(kOther); });
    };
    const std::vector<std::byte> contents(kPageSize, std::byte{1});
    FileObject file{"/bin/x", contents};
    const VirtAddr text = kBase + 64 * kPageSize;
    ASSERT_TRUE(
        space().map_file({text, kPageSize, kReadExecute, Placement::Fixed}, {&file, 0, kPageSize}).ok());
    arch::host::reset();
    ASSERT_TRUE(space().handle_fault(text, Access::Execute).ok());
    EXPECT_TRUE(fenced()) << "the first time the page is used as text";
    ASSERT_TRUE(discard_all(space(), text, kPageSize).ok());
    arch::host::reset();
    ASSERT_TRUE(space().handle_fault(text, Access::Execute).ok());
    EXPECT_FALSE(fenced()) << "the cached page has not changed since";
    arch::host::reset();
    ASSERT_TRUE(protect_all(space(), kBase, kPageSize, kReadExecute).ok());
    EXPECT_TRUE(fenced()) << "written, then made executable";
    space().deactivate(kOther);
    ASSERT_TRUE(unmap_all(space(), text, kPageSize).ok());
}

TEST_F(TlbTest, TeardownWaitsForTheLastHart) {
    AddressSpace* used = *AddressSpace::create(kernel_root());
    ASSERT_TRUE(used->map_anonymous({kBase, kPageSize, kReadWrite, Placement::Fixed}).ok());
    ASSERT_TRUE(store_word(*used, kBase, 1).ok());
    used->activate(kOther);
    arch::host::reset();
    EXPECT_FALSE(used->teardown_step(AddressSpace::kPagesPerStep));
    EXPECT_EQ(used->resident_pages(), 0U);
    EXPECT_TRUE(was_flushed(kOther, kBase)) << "that hart may still look";
    EXPECT_FALSE(used->teardown_step(AddressSpace::kPagesPerStep));
    used->deactivate(kOther);
    const auto switches = arch::host::address_space_switches();
    ASSERT_FALSE(switches.empty());
    EXPECT_EQ(switches.back().root, kernel_root())
        << "a hart that has left does not need the space's root any more";
    EXPECT_TRUE(used->teardown_step(AddressSpace::kPagesPerStep));
    AddressSpace::destroy(used);
}

using TlbDeathTest = TlbTest;

TEST_F(TlbDeathTest, ASpaceInUseIsNotDestroyed) {
    AddressSpace* used = *AddressSpace::create(kernel_root());
    used->activate(kOther);
    EXPECT_DEATH(AddressSpace::destroy(used), "CHECK failed: space->running_cpus_");
    used->deactivate(kOther);
    dismantle(used);
}

}  // namespace
}  // namespace kernel::mm
