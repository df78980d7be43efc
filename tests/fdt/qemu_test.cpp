// SPDX-License-Identifier: MIT
// The trees that QEMU's machines hand over, dumped while the tests are built.
#include <gmock/gmock.h>

#include "blob.hpp"

namespace fdt_test {
namespace {

using kernel::PhysAddr;
using kernel::fdt::AplicIdc;
using kernel::fdt::Controller;
using kernel::fdt::Machine;
using kernel::fdt::PlicContext;
using kernel::fdt::WiredInterrupt;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr WiredInterrupt kConsoleWire{
    .controller = Controller::Aplic, .index = 0, .source = 10, .trigger = kernel::fdt::Trigger::LevelHigh};

class VirtMachine : public ::testing::TestWithParam<unsigned> {};

TEST_P(VirtMachine, HasThatManyHartsAndTheKnownDevices) {
    const unsigned harts = GetParam();
    const auto blob = Blob::dump("virt-" + std::to_string(harts));
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_EQ(machine.model, "riscv-virtio,qemu");
    EXPECT_EQ(machine.timebase_hz, 10'000'000U);
    ASSERT_EQ(machine.harts.size(), harts);
    EXPECT_TRUE(machine.skipped_harts.empty());
    ASSERT_EQ(machine.plics.size(), 1U);
    EXPECT_EQ(machine.plics[0].registers.start, PhysAddr{0xc000000});
    for (unsigned cpu = 0; cpu < harts; ++cpu) {
        EXPECT_EQ(machine.harts[cpu].id.value(), cpu);
        EXPECT_TRUE(machine.harts[cpu].isa.sstc);
        // Each hart has a machine-mode entry first, then its supervisor-mode one.
        EXPECT_EQ(machine.harts[cpu].plic_context,
                  (PlicContext{.plic = 0, .context = static_cast<std::uint16_t>(2 * cpu + 1)}));
    }
    EXPECT_TRUE(machine.common_isa.zicboz);
    EXPECT_EQ(machine.common_isa.zicboz_block_bytes, 64U);
    EXPECT_THAT(machine.memory, ElementsAre(range(0x80000000, 256U << 20)));
    ASSERT_TRUE(machine.console.has_value());
    EXPECT_TRUE(machine.console->compatible.contains("ns16550a"));
    EXPECT_EQ(machine.console->registers, range(0x10000000, 0x100));
    EXPECT_EQ(machine.console->clock_frequency_hz, 3686400U);
    ASSERT_TRUE(machine.console->interrupt.has_value());
    EXPECT_EQ(machine.console->interrupt->source, 10U);
    ASSERT_TRUE(machine.goldfish_rtc.has_value());
    EXPECT_EQ(machine.goldfish_rtc->start, PhysAddr{0x101000});
    EXPECT_EQ(machine.rng_seed.size(), 32U);
    EXPECT_TRUE(machine.aplics.empty());
    EXPECT_EQ(machine.message_ids, 0U);
}

INSTANTIATE_TEST_SUITE_P(Harts, VirtMachine, ::testing::Range(1U, 9U));

TEST(VirtNuma, HasAPlicPerSocketAndOneRangeOfMemory) {
    const auto blob = Blob::dump("virt-numa");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_THAT(hart_ids(machine), ElementsAre(0, 1, 2, 3));
    ASSERT_EQ(machine.plics.size(), 2U);
    EXPECT_NE(machine.harts[0].plic_context->plic, machine.harts[2].plic_context->plic);
    EXPECT_EQ(machine.harts[0].plic_context->plic, machine.harts[1].plic_context->plic);
    EXPECT_EQ(machine.harts[2].plic_context->plic, machine.harts[3].plic_context->plic);
    EXPECT_THAT(machine.memory, ElementsAre(range(0x80000000, 512U << 20)));
}

// Both trees describe the machine-mode controllers too.
TEST(VirtAia, OneAplicInterruptsTheHartsByWire) {
    const auto blob = Blob::dump("virt-aplic");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_TRUE(machine.plics.empty());
    ASSERT_EQ(machine.aplics.size(), 1U);
    EXPECT_EQ(machine.aplics[0].registers.start, PhysAddr{0xd000000});
    EXPECT_FALSE(machine.aplics[0].sends_messages);
    EXPECT_EQ(machine.harts[0].aplic_idc, (AplicIdc{.aplic = 0, .idc = 0}));
    EXPECT_EQ(machine.harts[1].aplic_idc, (AplicIdc{.aplic = 0, .idc = 1}));
    EXPECT_EQ(machine.message_ids, 0U);
    EXPECT_EQ(machine.console->interrupt, kConsoleWire);
}

TEST(VirtAia, OneAplicSendsToTheImsics) {
    const auto blob = Blob::dump("virt-imsic");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_TRUE(machine.plics.empty());
    ASSERT_EQ(machine.aplics.size(), 1U);
    EXPECT_EQ(machine.aplics[0].registers.start, PhysAddr{0xd000000});
    EXPECT_TRUE(machine.aplics[0].sends_messages);
    EXPECT_EQ(machine.message_ids, 255U);
    EXPECT_FALSE(machine.harts[0].aplic_idc.has_value());
    EXPECT_EQ(machine.harts[0].message_index, 0U);
    EXPECT_EQ(machine.harts[1].message_index, 1U);
    EXPECT_EQ(machine.console->interrupt, kConsoleWire);
}

// Two sockets: their files lie in two ranges, 16 MiB apart, and a bit of the address says which; each socket
// has an APLIC, and pages for guests lie between the harts' files.
TEST(VirtAia, SocketsAreGroupsOfInterruptFiles) {
    const auto blob = Blob::dump("virt-imsic-numa");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_EQ(machine.aplics.size(), 2U);
    std::vector<unsigned> indices;
    for (const auto& hart : machine.harts) {
        indices.push_back(hart.message_index.value_or(999));
    }
    // One bit for three harts would not do: two bits, then the socket's.
    EXPECT_THAT(indices, ElementsAre(0, 1, 2, 4, 5, 6));
}

TEST(VirtCpus, FeaturesFollowTheModel) {
    Machine machine;
    const auto u54 = Blob::dump("virt-u54");
    read(u54, machine);
    EXPECT_EQ(machine.harts.size(), 2U);
    EXPECT_TRUE(machine.common_isa.d);
    EXPECT_FALSE(machine.common_isa.sstc);
    EXPECT_FALSE(machine.common_isa.zicboz);

    const auto svade = Blob::dump("virt-svade");
    read(svade, machine);
    EXPECT_TRUE(machine.common_isa.svade);
    EXPECT_FALSE(machine.common_isa.svadu);
    EXPECT_FALSE(machine.common_isa.sstc);
}

TEST(SifiveU, HartZeroIsNotUsedAndTheConsoleIsNo16550) {
    const auto blob = Blob::dump("sifive-u");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_THAT(hart_ids(machine), ElementsAre(1, 2, 3, 4));
    ASSERT_EQ(machine.skipped_harts.size(), 1U);
    EXPECT_EQ(machine.skipped_harts[0].id.value(), 0U);
    EXPECT_EQ(machine.timebase_hz, 1'000'000U);
    ASSERT_TRUE(machine.console.has_value());
    EXPECT_EQ(machine.console->compatible.first(), "sifive,uart0");
    EXPECT_EQ(machine.harts[0].plic_context, (PlicContext{.plic = 0, .context = 2}));
}

}  // namespace
}  // namespace fdt_test
