// SPDX-License-Identifier: MIT
// The trees that QEMU's machines hand over, dumped while the tests are built.
#include <gmock/gmock.h>

#include "blob.hpp"

namespace fdt_test {
namespace {

using kernel::PhysAddr;
using kernel::fdt::Machine;
using kernel::fdt::PlicContext;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

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
    EXPECT_FALSE(machine.has_aia);
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

TEST(VirtAia, HasNoPlic) {
    for (const char* name : {"virt-aplic", "virt-imsic"}) {
        const auto blob = Blob::dump(name);
        Machine machine;
        read(blob, machine);
        EXPECT_TRUE(machine.has_aia) << name;
        EXPECT_TRUE(machine.plics.empty()) << name;
        ASSERT_TRUE(machine.console.has_value()) << name;
        EXPECT_FALSE(machine.console->interrupt.has_value()) << name;
    }
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
