// SPDX-License-Identifier: MIT
// Well-formed trees that say something wrong: each mistake costs only the thing it is about, and is named.
#include <gmock/gmock.h>

#include <algorithm>
#include <utility>

#include "blob.hpp"

namespace fdt_test {
namespace {

using kernel::fdt::Machine;
using kernel::fdt::SkipReason;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Blob icicle() {
    return Blob::fixture("icicle-odd");
}
constexpr const char* kSerial = "/soc/serial@20100000";
constexpr const char* kPlic = "/soc/interrupt-controller@c000000";

TEST(Refused, TreesTheKernelCannotRunOn) {
    EXPECT_EQ(refusal(icicle().remove_node("/cpus")), "/cpus: node is missing");
    EXPECT_EQ(refusal(icicle().remove("/cpus", "timebase-frequency")),
              "/cpus: timebase-frequency: is missing, zero or malformed");
    EXPECT_EQ(refusal(icicle().set("/cpus", "timebase-frequency", {0})),
              "/cpus: timebase-frequency: is missing, zero or malformed");
    EXPECT_EQ(refusal(icicle().set("/cpus", "timebase-frequency", {0, 0, 1})),
              "/cpus: timebase-frequency: is missing, zero or malformed");
    EXPECT_EQ(refusal(icicle().remove_node("/memory@80000000").remove_node("/memory@1000000000")),
              "/: memory: no usable memory node");
    auto all_disabled = icicle();
    for (const char* cpu : {"/cpus/cpu@1", "/cpus/cpu@2", "/cpus/cpu@3", "/cpus/cpu@4"}) {
        all_disabled.set_text(cpu, "status", "disabled");
    }
    EXPECT_EQ(refusal(all_disabled), "/cpus: no usable hart");
}

TEST(Harts, DuplicateIdsAndMissingRegsAreNoted) {
    Machine machine;
    const auto blob = icicle().set("/cpus/cpu@3", "reg", {2}).remove("/cpus/cpu@4", "reg");
    read(blob, machine);
    EXPECT_THAT(hart_ids(machine), ElementsAre(1, 2));
    EXPECT_THAT(problems(machine), Contains("cpu@4: reg: is not a hart id"));
    EXPECT_EQ(machine.skipped_harts.size(), 2U);
    EXPECT_THAT(problems(machine), ::testing::AnyOf(Contains("cpu@3: reg: a second node for the same hart"),
                                                    Contains("cpu@2: reg: a second node for the same hart")));
}

TEST(Harts, MoreThanTheKernelSupportsAreSkippedAndNoted) {
    auto blob = icicle();
    for (unsigned id = 5; id < 71; ++id) {
        const std::string name = "cpu@" + std::to_string(id);
        blob.add_node("/cpus", name);
        const std::string path = "/cpus/" + name;
        blob.set_text(path, "device_type", "cpu").set(path, "reg", {id});
        blob.set_text(path, "riscv,isa", "rv64imafdc").set_text(path, "mmu-type", "riscv,sv39");
    }
    Machine machine;
    read(blob, machine);
    EXPECT_EQ(machine.harts.size(), 64U);
    EXPECT_THAT(problems(machine), Contains(::testing::HasSubstr("more than 64 usable harts")));
    unsigned too_many = 0;
    for (const auto& hart : machine.skipped_harts) {
        too_many += hart.reason == SkipReason::TooMany ? 1 : 0;
    }
    EXPECT_EQ(too_many, 70U - 64U);
}

TEST(Harts, SkippedOnesAreListedByTheirIds) {
    auto blob = icicle();
    for (const unsigned id : {40, 7, 23}) {
        const std::string name = "cpu@" + std::to_string(id);
        blob.add_node("/cpus", name);
        const std::string path = "/cpus/" + name;
        blob.set_text(path, "device_type", "cpu").set(path, "reg", {id}).set_text(path, "status", "disabled");
    }
    Machine machine;
    read(blob, machine);
    std::vector<std::uint64_t> ids;
    for (const auto& hart : machine.skipped_harts) {
        ids.push_back(hart.id.value());
    }
    EXPECT_THAT(ids, ::testing::IsSupersetOf({7U, 23U, 40U}));
    EXPECT_TRUE(std::ranges::is_sorted(ids));
}

TEST(Harts, BlocksOfZicbozArePowersOfTwoFromEightToAPage) {
    for (const auto& [bytes, is_sound] : {std::pair{4U, false},
                                          {8U, true},
                                          {12U, false},
                                          {64U, true},
                                          {4096U, true},
                                          {8192U, false},
                                          {0U, false}}) {
        auto blob = icicle();
        blob.remove("/cpus/cpu@1", "riscv,isa-extensions")
            .set_text("/cpus/cpu@1", "riscv,isa", "rv64imafdc_zicboz");
        blob.set("/cpus/cpu@1", "riscv,cboz-block-size", {bytes});
        Machine machine;
        read(blob, machine);
        ASSERT_EQ(machine.harts[0].id.value(), 1U);
        EXPECT_EQ(machine.harts[0].isa.zicboz, is_sound) << bytes;
        EXPECT_EQ(machine.harts[0].isa.zicboz_block_bytes, is_sound ? bytes : 0U) << bytes;
    }
}

TEST(Memory, NonsenseRangesAreNotedAndTheRestStays) {
    Machine machine;
    // Wraps around; then one good range; then a stray cell.
    const auto blob = icicle().set("/memory@80000000", "reg",
                                   {0xffffffff, 0xfffff000, 0, 0x2000, 0, 0x80000000, 0, 0x1000, 7});
    read(blob, machine);
    EXPECT_THAT(machine.memory, ElementsAre(range(0x80000000, 0x1000), range(0x1000000000, 0x40000000)));
    EXPECT_THAT(problems(machine), ElementsAre("memory@80000000: reg: is no address range"));
}

TEST(Memory, EmptyBanksAreNoRanges) {
    Machine machine;
    const auto blob = icicle().set("/memory@80000000", "reg", {0, 0x80000000, 0, 0x1000, 0, 0, 0, 0});
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_EQ(machine.memory.size(), 2U);
}

TEST(Memory, TooManyRangesAreNoted) {
    auto blob = icicle();
    std::vector<std::uint32_t> reg;
    for (std::uint32_t index = 0; index < 20; ++index) {
        reg.insert(reg.end(), {0, 0x80000000 + index * 0x1000000, 0, 0x1000});
    }
    blob.set("/memory@80000000", "reg", reg);
    Machine machine;
    read(blob, machine);
    EXPECT_EQ(machine.memory.size(), kernel::fdt::kMaxMemoryRanges);
    EXPECT_THAT(problems(machine), Contains("memory@80000000: reg: more than 16 memory ranges"));
    EXPECT_EQ(machine.unlisted_problems, 0U);
}

TEST(Memory, TooManyReservationsAreNotedAndCounted) {
    auto blob = icicle();
    for (unsigned index = 0; index < 60; ++index) {
        blob.reserve(0x90000000 + index * 0x10000, 0x1000);
    }
    Machine machine;
    read(blob, machine);
    EXPECT_EQ(machine.reserved.size(), kernel::fdt::kMaxReservedRanges);
    EXPECT_TRUE(machine.problems.full());
    EXPECT_GT(machine.unlisted_problems, 0U);
}

TEST(Memory, ReservationsOfAByteCountAndEmptyOnesDoNot) {
    Machine before;
    const auto plain = icicle();
    read(plain, before);
    Machine machine;
    const auto blob = icicle().reserve(0x90000000, 1).reserve(0x91000000, 0).reserve(0x98000000, 0x1000);
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    std::vector<kernel::fdt::MemoryRange> added;
    for (const auto& reserved : machine.reserved) {
        if (reserved.range.start.value() >= 0x90000000 && reserved.range.start.value() < 0xa0000000) {
            EXPECT_FALSE(reserved.no_map);
            added.push_back(reserved.range);
        }
    }
    EXPECT_THAT(added, ElementsAre(range(0x90000000, 1), range(0x98000000, 0x1000)));
    EXPECT_EQ(machine.reserved.size(), before.reserved.size() + 2);
}

// A bus whose window ends where the console begins, or one byte behind it.
TEST(Console, AWindowEndsWithItsLastByte) {
    const auto first_byte_of_console = [](std::uint32_t bytes) {
        Machine machine;
        const auto blob = icicle()
                              .set("/soc", "#address-cells", {1})
                              .set("/soc", "#size-cells", {1})
                              .set(kSerial, "reg", {0x20100000, 0x400})
                              .set("/soc", "ranges", {0x20000000, 0, 0x70000000, bytes});
        read(blob, machine);
        return machine.console ? machine.console->registers.start.value() : 0;
    };
    EXPECT_EQ(first_byte_of_console(0x100000), 0U);
    EXPECT_EQ(first_byte_of_console(0x100001), 0x70100000U);
}

TEST(Console, StdoutPathThatNamesNothingIsNoted) {
    for (const char* path : {"serial9:115200", "/soc/serial@0", "", ":115200", "/", "chosen",
                             "an-alias-much-longer-than-the-thirty-one-characters-allowed"}) {
        Machine machine;
        const auto blob = icicle().set_text("/chosen", "stdout-path", path);
        read(blob, machine);
        EXPECT_FALSE(machine.console.has_value()) << path;
        if (std::string_view{path} != "/") {
            EXPECT_THAT(problems(machine), ElementsAre("chosen: stdout-path: names no node")) << path;
        }
    }
}

TEST(Console, AnAliasOfItselfEnds) {
    Machine machine;
    const auto blob = icicle().set_text("/aliases", "serial1", "serial1");
    read(blob, machine);
    EXPECT_FALSE(machine.console.has_value());
    EXPECT_THAT(problems(machine), ElementsAre("chosen: stdout-path: names no node"));
}

TEST(Console, UnusableNodesAreNoted) {
    const auto expect_no_console = [](const Blob& blob, const std::string& problem) {
        Machine machine;
        read(blob, machine);
        EXPECT_FALSE(machine.console.has_value());
        EXPECT_THAT(problems(machine), ElementsAre(problem));
    };
    const std::string untranslatable =
        "serial@20100000: reg: the console is disabled or its reg cannot be translated";
    const std::string strange_access =
        "serial@20100000: reg-shift: reg-shift is over 4 or reg-io-width is not 1, 2 or 4";
    expect_no_console(icicle().remove(kSerial, "reg"), untranslatable);
    expect_no_console(icicle().set(kSerial, "reg", {0, 1, 0}), untranslatable);
    expect_no_console(icicle().set_text(kSerial, "status", "disabled"), untranslatable);
    expect_no_console(icicle().set(kSerial, "reg-shift", {9}), strange_access);
    expect_no_console(icicle().set(kSerial, "reg-io-width", {3}), strange_access);
}

TEST(Console, AccessesHaveTheirWidthsAndDistances) {
    const auto has_console = [](const char* property, std::uint32_t value) {
        Machine machine;
        const auto blob = icicle().set(kSerial, property, {value});
        read(blob, machine);
        return machine.console.has_value();
    };
    for (const std::uint32_t width : {1U, 2U, 4U}) {
        EXPECT_TRUE(has_console("reg-io-width", width)) << width;
    }
    for (const std::uint32_t width : {3U, 5U, 8U}) {
        EXPECT_FALSE(has_console("reg-io-width", width)) << width;
    }
    EXPECT_TRUE(has_console("reg-shift", 0));
    EXPECT_TRUE(has_console("reg-shift", 4));
    EXPECT_FALSE(has_console("reg-shift", 5));
}

TEST(Console, BusWithoutRangesIsNoWayToTheConsole) {
    Machine machine;
    const auto blob = icicle().remove("/soc", "ranges");
    read(blob, machine);
    EXPECT_FALSE(machine.console.has_value());
    EXPECT_TRUE(machine.plics.empty());
    EXPECT_EQ(machine.problems.size(), 2U);
}

TEST(Console, InterruptBeyondThePlicIsNone) {
    for (const std::uint32_t source : {0U, 187U, 0xffffffffU}) {
        Machine machine;
        const auto blob = icicle().set(kSerial, "interrupts", {source});
        read(blob, machine);
        ASSERT_TRUE(machine.console.has_value());
        EXPECT_FALSE(machine.console->interrupt.has_value()) << source;
    }
}

TEST(Plic, ListThatIsNoListOfPairsIsNoted) {
    Machine machine;
    const auto blob = icicle().set(kPlic, "interrupts-extended", {1, 9, 1});
    read(blob, machine);
    EXPECT_THAT(
        problems(machine),
        Contains("interrupt-controller@c000000: interrupts-extended: is not a list of <hart cause> pairs"));
}

TEST(Plic, WithoutRegistersIsNoted) {
    Machine machine;
    const auto blob = icicle().remove(kPlic, "reg");
    read(blob, machine);
    EXPECT_TRUE(machine.plics.empty());
    EXPECT_FALSE(machine.harts[0].plic_context.has_value());
    EXPECT_THAT(
        problems(machine),
        ElementsAre(
            "interrupt-controller@c000000: the interrupt controller lacks reg or interrupts-extended"));
}

// Files of at most 64 guests, harts named in 14 bits, and a group's bits above a page and within an address
// (AIA 4.5.16 and the binding riscv,imsics).
TEST(Imsics, GeometryThatMakesNoAddressIsNoted) {
    const std::string imsics = "/soc/interrupt-controller@24000000";
    const auto is_noted = [&](Blob blob, const char* property, std::uint32_t value) {
        Machine machine;
        read(blob.set(imsics, property, {value}), machine);
        const auto noted = problems(machine);
        return std::ranges::any_of(noted, [](const std::string& text) {
            return text.ends_with("its riscv,*-index-* properties make no address");
        });
    };
    const Blob plain = Blob::dump("virt-imsic");
    const Blob grouped = Blob{plain}.set(imsics, "riscv,hart-index-bits", {10});
    EXPECT_FALSE(is_noted(plain, "riscv,guest-index-bits", 6));
    EXPECT_TRUE(is_noted(plain, "riscv,guest-index-bits", 7));
    EXPECT_FALSE(is_noted(plain, "riscv,hart-index-bits", 14));
    EXPECT_TRUE(is_noted(plain, "riscv,hart-index-bits", 15));
    EXPECT_FALSE(is_noted(grouped, "riscv,group-index-bits", 4));
    EXPECT_TRUE(is_noted(grouped, "riscv,group-index-bits", 5));
    EXPECT_FALSE(is_noted(plain, "riscv,group-index-shift", 12));
    EXPECT_TRUE(is_noted(plain, "riscv,group-index-shift", 11));
    EXPECT_FALSE(is_noted(plain, "riscv,group-index-shift", 55));
    EXPECT_TRUE(is_noted(plain, "riscv,group-index-shift", 56));
}

TEST(Initrd, NonsenseIsNoted) {
    const std::string problem =
        "chosen: linux,initrd-start: start and end are not one or two cells each with start < end";
    for (const auto& blob : {icicle().remove("/chosen", "linux,initrd-end"),
                             icicle().set("/chosen", "linux,initrd-end", {0, 0x88000123}),
                             icicle().set("/chosen", "linux,initrd-start", {0xffffffff, 0xffffffff}),
                             icicle().set("/chosen", "linux,initrd-start", {1, 2, 3})}) {
        Machine machine;
        read(blob, machine);
        EXPECT_FALSE(machine.initrd.has_value());
        EXPECT_THAT(problems(machine), ElementsAre(problem));
    }
}

TEST(Chosen, UnterminatedStringsAreAsGoodAsAbsent) {
    Machine machine;
    const auto blob =
        icicle().set_bytes("/chosen", "bootargs", {'a', 'b'}).set_bytes("/", "model", {'\0', 'x'});
    read(blob, machine);
    EXPECT_TRUE(machine.bootargs.empty());
    EXPECT_TRUE(machine.model.empty());
}

TEST(CellSizes, AbsurdOnesLoseTheRangeAndNothingElse) {
    for (const std::uint32_t cells : {0U, 3U, 5U, 0x7fffffffU, 0xffffffffU}) {
        Machine machine;
        const auto blob = icicle().set("/soc", "#address-cells", {cells});
        read(blob, machine);
        EXPECT_FALSE(machine.console.has_value()) << cells;
        EXPECT_TRUE(machine.plics.empty()) << cells;
        EXPECT_EQ(machine.memory.size(), 2U) << cells;
    }
    for (const std::uint32_t cells : {0U, 5U, 0x7fffffffU, 0xffffffffU}) {
        EXPECT_EQ(refusal(icicle().set("/", "#address-cells", {cells})), "/: memory: no usable memory node");
        EXPECT_EQ(refusal(icicle().set("/", "#size-cells", {cells})), "/: memory: no usable memory node");
    }
}

}  // namespace
}  // namespace fdt_test
