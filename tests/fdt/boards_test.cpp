// SPDX-License-Identifier: MIT
// What the kernel must read out of the trees of real boards and of their firmware.
#include <gmock/gmock.h>

#include "blob.hpp"

namespace fdt_test {
namespace {

using kernel::HartId;
using kernel::PhysAddr;
using kernel::fdt::AplicIdc;
using kernel::fdt::Controller;
using kernel::fdt::Machine;
using kernel::fdt::MemoryRange;
using kernel::fdt::PlicContext;
using kernel::fdt::SkipReason;
using kernel::fdt::Trigger;
using kernel::fdt::WiredInterrupt;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::pair<std::uint64_t, SkipReason>> skipped(const Machine& machine) {
    std::vector<std::pair<std::uint64_t, SkipReason>> list;
    for (const auto& hart : machine.skipped_harts) {
        list.emplace_back(hart.id.value(), hart.reason);
    }
    return list;
}

std::vector<unsigned> contexts(const Machine& machine) {
    std::vector<unsigned> list;
    for (const auto& hart : machine.harts) {
        list.push_back(hart.plic_context ? hart.plic_context->context : 999U);
    }
    return list;
}

TEST(IcicleOdd, HartsAreTheFourApplicationCores) {
    const auto blob = Blob::fixture("icicle-odd");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_THAT(hart_ids(machine), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(skipped(machine), ElementsAre(std::pair{0, SkipReason::Disabled}));
    EXPECT_EQ(machine.timebase_hz, 1'000'000U);
    EXPECT_EQ(machine.model, "Microchip PolarFire-SoC Icicle Kit");
    EXPECT_TRUE(machine.compatible.contains("microchip,mpfs"));
    EXPECT_FALSE(machine.compatible.contains("microchip"));
    EXPECT_EQ(machine.compatible.first(), "microchip,mpfs-icicle-kit");
}

TEST(IcicleOdd, MemoryIsSortedAndJoined) {
    const auto blob = Blob::fixture("icicle-odd");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(machine.memory, ElementsAre(range(0x80000000, 0x40000000), range(0x1000000000, 0x40000000)));
}

TEST(IcicleOdd, ReservedRangesKeepWhetherTheyMayBeMapped) {
    const auto blob = Blob::fixture("icicle-odd");
    Machine machine;
    read(blob, machine);
    ASSERT_EQ(machine.reserved.size(), 3U);
    std::vector<std::pair<MemoryRange, bool>> list;
    for (const auto& reserved : machine.reserved) {
        list.emplace_back(reserved.range, reserved.no_map);
    }
    // The /memreserve/ entry and the no-map node for the same memory both stay.
    EXPECT_THAT(list, ::testing::UnorderedElementsAre(std::pair{range(0x80000000, 0x40000), false},
                                                      std::pair{range(0x80000000, 0x60000), true},
                                                      std::pair{range(0xa0000000, 0x100000), false}));
}

TEST(IcicleOdd, ConsoleByAliasWithOptions) {
    const auto blob = Blob::fixture("icicle-odd");
    Machine machine;
    read(blob, machine);
    ASSERT_TRUE(machine.console.has_value());
    const auto& console = machine.console.value();
    EXPECT_EQ(console.node, "serial@20100000");
    EXPECT_EQ(console.options, "115200n8");
    EXPECT_TRUE(console.compatible.contains("ns16550a"));
    EXPECT_EQ(console.registers, range(0x20100000, 0x400));
    EXPECT_EQ(console.reg_shift, 2U);
    EXPECT_EQ(console.reg_io_width, 4U);
    EXPECT_FALSE(console.clock_frequency_hz.has_value());
    ASSERT_TRUE(console.interrupt.has_value());
    EXPECT_EQ(console.interrupt->index, 0U);
    EXPECT_EQ(console.interrupt->source, 91U);
}

TEST(IcicleOdd, ChosenGivesArgumentsSeedAndAnUnalignedInitrdInTwoCells) {
    const auto blob = Blob::fixture("icicle-odd");
    Machine machine;
    read(blob, machine);
    EXPECT_EQ(machine.bootargs, "init=/bin/execd loglevel=7");
    EXPECT_EQ(machine.rng_seed.size(), 8U);
    ASSERT_TRUE(machine.initrd.has_value());
    EXPECT_EQ(machine.initrd->start, PhysAddr{0x88000123});
    EXPECT_EQ(machine.initrd->bytes, 0x88100001U - 0x88000123U);
}

TEST(IcicleOdd, ContextsCountEveryEntryOfThePlic) {
    const auto blob = Blob::fixture("icicle-odd");
    Machine machine;
    read(blob, machine);
    ASSERT_EQ(machine.plics.size(), 1U);
    EXPECT_EQ(machine.plics[0].registers, range(0xc000000, 0x4000000));
    EXPECT_EQ(machine.plics[0].sources, 186U);
    EXPECT_THAT(contexts(machine), ElementsAre(2, 4, 6, 8));
}

// Its tree calls hart 0 "okay" with an MMU; starting it kills the firmware.
TEST(VisionFive2Stock, MonitorCoreIsLeftOutThoughItClaimsAnMmu) {
    const auto blob = Blob::fixture("vf2-stock");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_THAT(hart_ids(machine), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(skipped(machine), ElementsAre(std::pair{0, SkipReason::MonitorCore}));
    EXPECT_THAT(contexts(machine), ElementsAre(2, 4, 6, 8));
    EXPECT_EQ(machine.timebase_hz, 4'000'000U);
    EXPECT_FALSE(machine.common_isa.sstc);
    EXPECT_FALSE(machine.common_isa.zicboz);
}

TEST(VisionFive2Stock, ConsoleByPathWithOptionsAndNoClock) {
    const auto blob = Blob::fixture("vf2-stock");
    Machine machine;
    read(blob, machine);
    ASSERT_TRUE(machine.console.has_value());
    EXPECT_EQ(machine.console->options, "115200");
    EXPECT_EQ(machine.console->compatible.first(), "snps,dw-apb-uart");
    EXPECT_FALSE(machine.console->clock_frequency_hz.has_value());
    ASSERT_TRUE(machine.console->interrupt.has_value());
    EXPECT_EQ(machine.console->interrupt->source, 32U);
    EXPECT_THAT(machine.memory, ElementsAre(range(0x40000000, 0x100000000)));
}

#if HAS_VISIONFIVE2_TREE
TEST(VisionFive2, OfficialTree) {
    const auto blob = Blob::fixture("linux-visionfive2");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_TRUE(machine.compatible.contains("starfive,jh7110"));
    EXPECT_THAT(hart_ids(machine), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(skipped(machine), ElementsAre(std::pair{0, SkipReason::Disabled}));
    EXPECT_THAT(contexts(machine), ElementsAre(2, 4, 6, 8));
    EXPECT_EQ(machine.timebase_hz, 4'000'000U);
    EXPECT_THAT(machine.memory, ElementsAre(range(0x40000000, 0x100000000)));
    ASSERT_TRUE(machine.console.has_value());
    EXPECT_EQ(machine.console->registers, range(0x10000000, 0x10000));
    EXPECT_EQ(machine.console->reg_shift, 2U);
    EXPECT_EQ(machine.console->reg_io_width, 4U);
    EXPECT_FALSE(machine.console->clock_frequency_hz.has_value());
    ASSERT_TRUE(machine.console->interrupt.has_value());
    EXPECT_EQ(machine.console->interrupt->source, 32U);
    EXPECT_EQ(machine.plics[0].sources, 136U);
}
#endif

TEST(OddHarts, EachHasItsReason) {
    const auto blob = Blob::fixture("odd-harts");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(hart_ids(machine), ElementsAre(10, 31));
    EXPECT_THAT(skipped(machine),
                ElementsAre(std::pair{2, SkipReason::Disabled}, std::pair{3, SkipReason::Disabled},
                            std::pair{4, SkipReason::NoMmu}, std::pair{5, SkipReason::NoMmu},
                            std::pair{6, SkipReason::NoDoubleFloat}, std::pair{7, SkipReason::UnreadableIsa},
                            std::pair{8, SkipReason::NoBaseIsa}, std::pair{9, SkipReason::MonitorCore}));
    EXPECT_EQ(machine.harts[0].capacity_dmips_mhz, 512U);
    EXPECT_EQ(machine.harts[1].capacity_dmips_mhz, 1024U);
    EXPECT_EQ(machine.timebase_hz, 24'000'000U) << "from a cpu node, in two cells";
}

TEST(Capacity, IsRelativeToTheFastestHart) {
    const auto blob = Blob::fixture("odd-harts");
    Machine machine;
    read(blob, machine);
    EXPECT_EQ(relative_capacity(machine, 0), 512U);
    EXPECT_EQ(relative_capacity(machine, 1), 1024U);

    machine.harts[0].capacity_dmips_mhz = 578;
    machine.harts[1].capacity_dmips_mhz = 381;
    EXPECT_EQ(relative_capacity(machine, 0), 1024U);
    EXPECT_EQ(relative_capacity(machine, 1), 674U) << "381 * 1024 / 578, rounded down";
    machine.harts[1].capacity_dmips_mhz = 0xffff'ffff;
    EXPECT_EQ(relative_capacity(machine, 0), 1U) << "never 0";
    EXPECT_EQ(relative_capacity(machine, 1), 1024U);
}

TEST(Capacity, IsFullWhereOneHartDoesNotSay) {
    const auto blob = Blob::fixture("odd-harts");
    Machine machine;
    read(blob, machine);
    machine.harts[1].capacity_dmips_mhz = 0;
    EXPECT_EQ(relative_capacity(machine, 0), 1024U);
    EXPECT_EQ(relative_capacity(machine, 1), 1024U);
}

TEST(OddHarts, OnlyWhatEveryHartHasIsCommon) {
    const auto blob = Blob::fixture("odd-harts");
    Machine machine;
    read(blob, machine);
    EXPECT_TRUE(machine.harts[0].isa.zicboz);
    EXPECT_EQ(machine.harts[0].isa.zicboz_block_bytes, 64U);
    EXPECT_TRUE(machine.harts[1].isa.svinval);
    EXPECT_TRUE(machine.common_isa.sstc);
    EXPECT_TRUE(machine.common_isa.d);
    EXPECT_FALSE(machine.common_isa.zicboz);
    EXPECT_EQ(machine.common_isa.zicboz_block_bytes, 0U);
    EXPECT_FALSE(machine.common_isa.svinval);
}

TEST(OddHarts, NoConsoleAndNoPlicAreNotErrors) {
    const auto blob = Blob::fixture("odd-harts");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_FALSE(machine.console.has_value());
    EXPECT_TRUE(machine.plics.empty());
    EXPECT_TRUE(machine.aplics.empty());
    EXPECT_EQ(machine.message_ids, 0U);
    EXPECT_FALSE(machine.initrd.has_value());
    EXPECT_TRUE(machine.bootargs.empty());
}

TEST(AiaOnly, TheConsoleHangsOffTheAplic) {
    const auto blob = Blob::fixture("aia-only");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_TRUE(machine.plics.empty());
    EXPECT_FALSE(machine.harts[0].plic_context.has_value());
    ASSERT_EQ(machine.aplics.size(), 1U);
    EXPECT_EQ(machine.aplics[0].registers, range(0xd000000, 0x8000));
    EXPECT_EQ(machine.aplics[0].sources, 96U);
    EXPECT_FALSE(machine.aplics[0].sends_messages);
    EXPECT_EQ(machine.harts[0].aplic_idc, (AplicIdc{.aplic = 0, .idc = 0}));
    EXPECT_FALSE(machine.harts[0].message_index.has_value());
    ASSERT_TRUE(machine.console.has_value());
    EXPECT_EQ(machine.console->clock_frequency_hz, 3686400U);
    EXPECT_EQ(machine.console->interrupt,
              (WiredInterrupt{
                  .controller = Controller::Aplic, .index = 0, .source = 10, .trigger = Trigger::LevelHigh}));
}

TEST(Numa, EachHartFindsItsOwnPlic) {
    const auto blob = Blob::fixture("numa");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    ASSERT_EQ(machine.plics.size(), 2U) << "the PLIC of the disabled hart is of no use";
    EXPECT_EQ(machine.plics[0].registers.start, PhysAddr{0xd000000});
    EXPECT_EQ(machine.harts[0].plic_context, (PlicContext{.plic = 0, .context = 1}));
    EXPECT_EQ(machine.harts[1].plic_context, (PlicContext{.plic = 0, .context = 3}));
    EXPECT_EQ(machine.harts[2].plic_context, (PlicContext{.plic = 1, .context = 2}));
    EXPECT_EQ(machine.harts[3].plic_context, (PlicContext{.plic = 1, .context = 0}));
    ASSERT_TRUE(machine.console.has_value() && machine.console->interrupt.has_value());
    EXPECT_EQ(machine.console->interrupt->index, 1U);
    EXPECT_EQ(machine.console->interrupt->source, 10U);
}

TEST(Numa, TouchingMemoryNodesBecomeOneRangeAndDisabledOnesNone) {
    const auto blob = Blob::fixture("numa");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(machine.memory, ElementsAre(range(0x80000000, 0x30000000)));
}

TEST(NestedBus, AddressesAreTranslatedThroughEveryBus) {
    const auto blob = Blob::fixture("nested-bus");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    ASSERT_TRUE(machine.console.has_value());
    // 0x1000 in the inner bus, 0x4001000 in the outer one, whose second window begins at 0x10_0000_0000.
    EXPECT_EQ(machine.console->registers, range(0x1004001000, 0x100));
    ASSERT_TRUE(machine.goldfish_rtc.has_value());
    EXPECT_EQ(*machine.goldfish_rtc, range(0x101000, 0x1000));
}

TEST(NestedBus, CellSizesFollowTheParent) {
    const auto blob = Blob::fixture("nested-bus");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(hart_ids(machine), ElementsAre(0x100000002));
    EXPECT_FALSE(machine.harts[0].isa.zicboz) << "a block size of 48 bytes is no power of two";
    EXPECT_THAT(machine.memory, ElementsAre(range(0x80000000, 0x8000000)));
    ASSERT_TRUE(machine.initrd.has_value());
    EXPECT_EQ(machine.initrd->start, PhysAddr{0x84000000});
    EXPECT_EQ(machine.initrd->bytes, 0x400U);
}

TEST(SkipReasons, HaveDistinctTexts) {
    std::vector<std::string_view> texts;
    for (int reason = 0; reason <= static_cast<int>(SkipReason::TooMany); ++reason) {
        texts.push_back(text(static_cast<SkipReason>(reason)));
    }
    EXPECT_THAT(texts, ::testing::Not(::testing::Contains("unknown reason")));
    EXPECT_THAT(texts, ::testing::Each(::testing::Not(IsEmpty())));
    std::sort(texts.begin(), texts.end());
    EXPECT_EQ(std::unique(texts.begin(), texts.end()), texts.end());
}

}  // namespace
}  // namespace fdt_test
