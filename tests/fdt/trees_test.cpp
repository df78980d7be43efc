// SPDX-License-Identifier: MIT
// Our own trees: what the kernel reads out of each, and that they say of a machine what others say of it.
#include <gmock/gmock.h>

#include <map>
#include <set>

#include "blob.hpp"

namespace fdt_test {
namespace {

using kernel::fdt::Machine;
using kernel::fdt::MemoryRange;
using kernel::fdt::SkipReason;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

std::vector<unsigned> contexts(const Machine& machine) {
    std::vector<unsigned> list;
    for (const auto& hart : machine.harts) {
        list.push_back(hart.plic_context ? hart.plic_context->context : 999U);
    }
    return list;
}

void expect_harts_1_to_4_and_a_disabled_monitor(const Machine& machine) {
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_THAT(hart_ids(machine), ElementsAre(1, 2, 3, 4));
    ASSERT_EQ(machine.skipped_harts.size(), 1U);
    EXPECT_EQ(machine.skipped_harts[0].id.value(), 0U);
    EXPECT_EQ(machine.skipped_harts[0].reason, SkipReason::Disabled);
    EXPECT_FALSE(machine.common_isa.sstc);
    EXPECT_FALSE(machine.common_isa.zicboz);
    EXPECT_TRUE(machine.common_isa.d);
}

TEST(OurVisionFive2, IsTheMachineOnTheDesk) {
    const auto blob = Blob::board("jh7110-visionfive2");
    Machine machine;
    read(blob, machine);
    expect_harts_1_to_4_and_a_disabled_monitor(machine);
    EXPECT_TRUE(machine.compatible.contains("starfive,jh7110"));
    EXPECT_EQ(machine.timebase_hz, 4'000'000U);
    EXPECT_THAT(contexts(machine), ElementsAre(2, 4, 6, 8));
    EXPECT_THAT(machine.memory, ElementsAre(range(0x40000000, 0x80000000)));
    ASSERT_EQ(machine.reserved.size(), 1U);
    EXPECT_EQ(machine.reserved[0].range, range(0x40000000, 0x200000)) << "the firmware, closed by PMP";
    EXPECT_TRUE(machine.reserved[0].no_map);
    ASSERT_EQ(machine.plics.size(), 1U);
    EXPECT_EQ(machine.plics[0].registers, range(0xc000000, 0x4000000));
    EXPECT_EQ(machine.plics[0].sources, 136U);
    ASSERT_TRUE(machine.console.has_value());
    const auto& console = machine.console.value();
    EXPECT_EQ(console.registers, range(0x10000000, 0x10000));
    EXPECT_EQ(console.options, "115200n8");
    EXPECT_EQ(console.reg_shift, 2U);
    EXPECT_EQ(console.reg_io_width, 4U);
    EXPECT_FALSE(console.clock_frequency_hz.has_value());
    ASSERT_TRUE(console.interrupt.has_value());
    EXPECT_EQ(console.interrupt->source, 32U);
}

TEST(OurVisionFive2Map, HasTheBoardsHartsMemoryAndTimebaseAndTheDevicesOfVirt) {
    for (const char* name : {"visionfive2-map", "visionfive2-map-firmware"}) {
        SCOPED_TRACE(name);
        const auto blob = Blob::board(name);
        Machine machine;
        read(blob, machine);
        expect_harts_1_to_4_and_a_disabled_monitor(machine);
        EXPECT_EQ(machine.timebase_hz, 4'000'000U);
        EXPECT_THAT(contexts(machine), ElementsAre(3, 5, 7, 9)) << "hart 0 of virt has two contexts";
        EXPECT_THAT(machine.memory, ElementsAre(range(0x40000000, 512U << 20)));
        ASSERT_TRUE(machine.console.has_value());
        EXPECT_EQ(machine.console->registers, range(0x10000000, 0x100));
        EXPECT_EQ(machine.console->reg_shift, 0U);
        ASSERT_TRUE(machine.console->interrupt.has_value());
        EXPECT_EQ(machine.console->interrupt->source, 10U);
        // U-Boot sets the divisor and needs the clock; the kernel must leave it alone.
        EXPECT_EQ(machine.console->clock_frequency_hz.has_value(), std::string{name} != "visionfive2-map");
    }
}

TEST(OurIcicle, HasTwoPlacesOfMemoryAndAWordPerRegister) {
    const auto blob = Blob::board("icicle");
    Machine machine;
    read(blob, machine);
    expect_harts_1_to_4_and_a_disabled_monitor(machine);
    EXPECT_EQ(machine.timebase_hz, 1'000'000U);
    EXPECT_THAT(contexts(machine), ElementsAre(2, 4, 6, 8));
    EXPECT_THAT(machine.memory, ElementsAre(range(0x80000000, 0x40000000), range(0x1000000000, 0x40000000)));
    ASSERT_TRUE(machine.console.has_value());
    const auto& console = machine.console.value();
    EXPECT_EQ(console.registers, range(0x20000000, 0x400));
    EXPECT_EQ(console.options, "115200n8");
    EXPECT_EQ(console.reg_shift, 2U);
    EXPECT_EQ(console.reg_io_width, 4U);
    ASSERT_TRUE(console.interrupt.has_value());
    EXPECT_EQ(console.interrupt->source, 90U);
}

TEST(OurSifiveULying, NothingGivesTheLieAway) {
    const auto blob = Blob::board("sifive-u-lying");
    Machine machine;
    read(blob, machine);
    EXPECT_THAT(problems(machine), IsEmpty());
    EXPECT_THAT(hart_ids(machine), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_TRUE(machine.skipped_harts.empty());
    EXPECT_FALSE(machine.harts[0].plic_context.has_value()) << "the one true thing said of it";
    EXPECT_EQ(machine.harts[1].plic_context->context, 2U);
    EXPECT_EQ(machine.console->compatible.first(), "sifive,uart0");
}

// A tree as text: for each node its properties, phandles replaced by what they stand for.
using Properties = std::map<std::string, std::string>;

class Reader {
  public:
    explicit Reader(const Blob& blob) : fdt_{blob.bytes().data()} {}

    [[nodiscard]] std::map<std::string, Properties> nodes() const {
        std::map<std::string, Properties> all;
        for (int node = 0; node >= 0; node = fdt_next_node(fdt_, node, nullptr)) {
            all.emplace(path(node), properties(node));
        }
        return all;
    }

  private:
    [[nodiscard]] std::string path(int node) const {
        std::array<char, 256> buffer{};
        EXPECT_EQ(fdt_get_path(fdt_, node, buffer.data(), buffer.size()), 0);
        return buffer.data();
    }

    [[nodiscard]] Properties properties(int node) const {
        Properties list;
        for (int at = fdt_first_property_offset(fdt_, node); at >= 0;
             at = fdt_next_property_offset(fdt_, at)) {
            const char* name = nullptr;
            int bytes = 0;
            const auto* value = static_cast<const char*>(fdt_getprop_by_offset(fdt_, at, &name, &bytes));
            list[name] = meaning(name, {value, value + bytes});
        }
        return list;
    }

    // The pairs of interrupts-extended by the path of their controller; everything else byte for byte.
    [[nodiscard]] std::string meaning(const std::string& name, const std::string& value) const {
        if (name != "interrupts-extended") {
            return value;
        }
        std::string text;
        for (std::size_t at = 0; at + 8 <= value.size(); at += 8) {
            text += path(fdt_node_offset_by_phandle(fdt_, cell(value, at))) + " " +
                    std::to_string(cell(value, at + 4)) + "; ";
        }
        return text;
    }

    static std::uint32_t cell(const std::string& value, std::size_t at) {
        std::uint32_t result = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            result = result << 8 | static_cast<std::uint8_t>(value[at + i]);
        }
        return result;
    }

    const void* fdt_;
};

// Where `ours` says something else than `theirs`: "path", or "path property".
std::vector<std::string> disagreements(const Blob& ours, const Blob& theirs,
                                       const std::set<std::string>& not_compared) {
    std::vector<std::string> list;
    const auto known = Reader{theirs}.nodes();
    for (const auto& [path, properties] : Reader{ours}.nodes()) {
        const auto same = known.find(path);
        if (same == known.end()) {
            list.push_back(path);
            continue;
        }
        for (const auto& [name, value] : properties) {
            const auto other = same->second.find(name);
            if (!not_compared.contains(name) && (other == same->second.end() || other->second != value)) {
                list.push_back(path + " " + name);
            }
        }
    }
    return list;
}

// Numbers dtc gave; and #address-cells of interrupt controllers, which others leave out and dtc wants.
const std::set<std::string> kNotCompared{"phandle", "interrupt-parent", "#address-cells", "#size-cells"};

#if HAS_VISIONFIVE2_TREE
TEST(OurVisionFive2, AgreesWithLinuxInEverythingBothSay) {
    // Its memory is 4 GiB; the smallest board has 2. Reserved memory is for the firmware to add.
    EXPECT_THAT(
        disagreements(Blob::board("jh7110-visionfive2"), Blob::fixture("linux-visionfive2"), kNotCompared),
        ElementsAre("/memory@40000000 reg", "/reserved-memory", "/reserved-memory/opensbi@40000000"));
}

TEST(OurVisionFive2, ADisagreementWouldBeSeen) {
    auto changed = Blob::board("jh7110-visionfive2");
    changed.set("/soc/serial@10000000", "interrupts", {33});
    changed.set("/soc/interrupt-controller@c000000", "riscv,ndev", {137});
    EXPECT_THAT(disagreements(changed, Blob::fixture("linux-visionfive2"), kNotCompared),
                ::testing::IsSupersetOf(
                    {"/soc/serial@10000000 interrupts", "/soc/interrupt-controller@c000000 riscv,ndev"}));
}
#endif

TEST(OurSifiveULying, AgreesWithQemuInEverythingButTheLie) {
    auto not_compared = kNotCompared;
    not_compared.insert({"clocks", "gpios"});  // by phandle
    // The dump has 128 MiB.
    EXPECT_THAT(disagreements(Blob::board("sifive-u-lying"), Blob::dump("sifive-u"), not_compared),
                ElementsAre("/ model", "/cpus/cpu@0 mmu-type", "/cpus/cpu@0 riscv,isa",
                            "/cpus/cpu@0 riscv,isa-extensions", "/memory@80000000 reg"));
}

}  // namespace
}  // namespace fdt_test
