// SPDX-License-Identifier: MIT
#include "fdt/interrupts.hpp"

#include <bit>
#include <limits>

#include "lib/check.hpp"

namespace kernel::fdt {

namespace {

// RISC-V privileged specification, scause: supervisor external interrupt. Machine-mode entries of a
// controller's interrupts-extended have 11, or -1 where the firmware took them away.
constexpr std::uint32_t kSupervisorExternal = 9;
// An interrupt file of an IMSIC is one page (RISC-V AIA specification 1.0, 3.5).
constexpr std::uint32_t kFilePageShift = 12;
// riscv,imsics: where riscv,group-index-shift is absent.
constexpr std::uint32_t kDefaultGroupShift = 24;
// An APLIC names a hart in 14 bits (AIA 4.5.16).
constexpr std::uint32_t kMaxMessageIndexBits = 14;

// How the address of an interrupt file is made up: riscv,imsics.
struct FileGeometry {
    std::uint32_t guest_bits{0};
    std::uint32_t hart_bits{0};
    std::uint32_t group_bits{0};
    std::uint32_t group_shift{0};

    [[nodiscard]] bool is_sane() const {
        return guest_bits <= 6 && hart_bits + group_bits <= kMaxMessageIndexBits &&
               group_shift >= kFilePageShift && group_shift < 56;
    }
    [[nodiscard]] std::uint64_t file_bytes() const {
        return std::uint64_t{1} << (kFilePageShift + guest_bits);
    }
    // The number by which an APLIC sends to the hart with the file at `address`.
    [[nodiscard]] std::uint16_t message_index(std::uint64_t address) const {
        const std::uint64_t hart =
            (address >> (kFilePageShift + guest_bits)) & ((std::uint64_t{1} << hart_bits) - 1);
        const std::uint64_t group = (address >> group_shift) & ((std::uint64_t{1} << group_bits) - 1);
        return static_cast<std::uint16_t>(group << hart_bits | hart);
    }
};

FileGeometry read_geometry(const Tree& tree, Node node, std::size_t parents) {
    const auto needed = static_cast<std::uint32_t>(parents <= 1 ? 0 : std::bit_width(parents - 1));
    return {.guest_bits = tree.cell_or(node, "riscv,guest-index-bits", 0),
            .hart_bits = tree.cell_or(node, "riscv,hart-index-bits", needed),
            .group_bits = tree.cell_or(node, "riscv,group-index-bits", 0),
            .group_shift = tree.cell_or(node, "riscv,group-index-shift", kDefaultGroupShift)};
}

// Address of interrupt file number `index`, if the ranges are that long.
std::optional<std::uint64_t> file_address(std::span<const MemoryRange> ranges, std::uint64_t index,
                                          std::uint64_t file_bytes) {
    for (const MemoryRange& range : ranges) {
        const std::uint64_t files = range.bytes / file_bytes;
        if (index < files) {
            return range.start.value() + index * file_bytes;
        }
        index -= files;
    }
    return std::nullopt;
}

std::optional<Trigger> trigger_of(std::uint32_t cell) {
    switch (cell) {
        case 0:  // none said: a wire
        case static_cast<std::uint32_t>(Trigger::LevelHigh):
            return Trigger::LevelHigh;
        case static_cast<std::uint32_t>(Trigger::LevelLow):
            return Trigger::LevelLow;
        case static_cast<std::uint32_t>(Trigger::RisingEdge):
            return Trigger::RisingEdge;
        case static_cast<std::uint32_t>(Trigger::FallingEdge):
            return Trigger::FallingEdge;
        default:
            return std::nullopt;
    }
}

}  // namespace

template <class F>
bool InterruptReader::for_each_hart(Node node, Property list, F&& f) {
    bool was_called = false;
    bool is_strange = list.cell_count() % 2 != 0;
    for (std::size_t index = 0; 2 * index + 1 < list.cell_count(); ++index) {
        if (list.cell(2 * index + 1) != kSupervisorExternal) {
            continue;
        }
        if (index > std::numeric_limits<std::uint16_t>::max()) {
            is_strange = true;
            break;
        }
        if (Hart* hart = find_hart(list.cell(2 * index)); hart != nullptr) {
            was_called = f(*hart, static_cast<std::uint16_t>(index)) || was_called;
        }
    }
    if (is_strange) {
        problem("is not a list of <hart cause> pairs", node, "interrupts-extended");
    }
    return was_called;
}

void InterruptReader::add_plic(Node node, std::optional<MemoryRange> registers) {
    const auto contexts = tree_.property(node, "interrupts-extended");
    if (!tree_.is_available(node)) {
        return;
    }
    if (!registers || registers->bytes == 0 || !contexts) {
        problem("the interrupt controller lacks reg or interrupts-extended", node);
        return;
    }
    if (machine_.plics.full()) {
        problem("more than 8 interrupt controllers", node);
        return;
    }
    const auto index = static_cast<std::uint8_t>(machine_.plics.size());
    if (!assign_contexts(node, *contexts, index)) {
        return;  // of no use to any of our harts
    }
    const Plic plic{.registers = *registers, .sources = tree_.cell_or(node, "riscv,ndev", 0)};
    CHECK(machine_.plics.try_push(plic) && plic_phandles_.try_push(tree_.phandle(node)));
}

// Contexts are numbered over all entries, whatever mode or hart they are of.
bool InterruptReader::assign_contexts(Node node, Property list, std::uint8_t plic) {
    return for_each_hart(node, list, [plic](Hart& hart, std::uint16_t context) {
        if (hart.plic_context.has_value()) {
            return false;
        }
        hart.plic_context = PlicContext{.plic = plic, .context = context};
        return true;
    });
}

void InterruptReader::add_aplic(Node node, std::optional<MemoryRange> registers) {
    if (!tree_.is_available(node)) {
        return;
    }
    if (!registers || registers->bytes == 0) {
        problem("the interrupt controller lacks reg", node);
    } else if (!aplic_nodes_.try_push({.node = node, .registers = *registers})) {
        problem("more than 16 interrupt controllers", node);
    }
}

void InterruptReader::add_imsics(Node node, std::span<const MemoryRange> ranges) {
    const auto list = tree_.property(node, "interrupts-extended");
    if (!tree_.is_available(node) || !list) {
        return;
    }
    const FileGeometry geometry = read_geometry(tree_, node, list->cell_count() / 2);
    if (!geometry.is_sane()) {
        problem("its riscv,*-index-* properties make no address", node);
        return;
    }
    bool is_short = false;
    const bool is_useful = for_each_hart(node, *list, [&](Hart& hart, std::uint16_t index) {
        const auto address = file_address(ranges, index, geometry.file_bytes());
        is_short = is_short || !address.has_value();
        if (!address.has_value() || hart.message_index.has_value()) {
            return false;
        }
        hart.message_index = geometry.message_index(*address);
        return true;
    });
    if (is_short) {
        problem("has fewer interrupt files than harts", node, "reg");
    }
    if (is_useful) {
        machine_.message_ids = tree_.cell_or(node, "riscv,num-ids", 0);
        imsic_phandle_ = tree_.phandle(node);
    }
}

void InterruptReader::resolve(const UnresolvedInterrupt& console) {
    for (const AplicNode& candidate : aplic_nodes_) {
        resolve_aplic(candidate);
    }
    if (machine_.console && console.controller != 0 && console.source != 0) {
        machine_.console->interrupt = find_wire(console);
    }
}

// Of S-mode, and so ours, is an APLIC that sends to the S-mode IMSICs or lists S-mode interrupts of our
// harts.
void InterruptReader::resolve_aplic(const AplicNode& candidate) {
    const std::uint32_t parent = tree_.cell_or(candidate.node, "msi-parent", 0);
    const bool sends_messages = parent != 0 && parent == imsic_phandle_;
    if (machine_.aplics.full()) {
        problem("more than 8 interrupt controllers", candidate.node);
        return;
    }
    if (!sends_messages) {
        const auto list = tree_.property(candidate.node, "interrupts-extended");
        const auto index = static_cast<std::uint8_t>(machine_.aplics.size());
        if (!list || !assign_idcs(candidate.node, *list, index)) {
            return;
        }
    }
    const Aplic aplic{.registers = candidate.registers,
                      .sources = tree_.cell_or(candidate.node, "riscv,num-sources", 0),
                      .sends_messages = sends_messages};
    CHECK(machine_.aplics.try_push(aplic) && aplic_phandles_.try_push(tree_.phandle(candidate.node)));
}

bool InterruptReader::assign_idcs(Node node, Property list, std::uint8_t aplic) {
    return for_each_hart(node, list, [aplic](Hart& hart, std::uint16_t idc) {
        if (hart.aplic_idc.has_value()) {
            return false;
        }
        hart.aplic_idc = AplicIdc{.aplic = aplic, .idc = idc};
        return true;
    });
}

std::optional<WiredInterrupt> InterruptReader::find_wire(const UnresolvedInterrupt& wanted) const {
    for (std::size_t plic = 0; plic < plic_phandles_.size(); ++plic) {
        if (plic_phandles_[plic] == wanted.controller && wanted.source <= machine_.plics[plic].sources) {
            return WiredInterrupt{.controller = Controller::Plic,
                                  .index = static_cast<std::uint8_t>(plic),
                                  .source = wanted.source,
                                  .trigger = Trigger::LevelHigh};
        }
    }
    const auto trigger = trigger_of(wanted.trigger);
    for (std::size_t aplic = 0; aplic < aplic_phandles_.size() && trigger.has_value(); ++aplic) {
        if (aplic_phandles_[aplic] == wanted.controller && wanted.source <= machine_.aplics[aplic].sources) {
            return WiredInterrupt{.controller = Controller::Aplic,
                                  .index = static_cast<std::uint8_t>(aplic),
                                  .source = wanted.source,
                                  .trigger = *trigger};
        }
    }
    return std::nullopt;
}

// nullptr: not a hart's controller, or of a hart that is not used.
Hart* InterruptReader::find_hart(std::uint32_t controller_phandle) {
    for (const HartInterruptController& controller : harts_) {
        if (controller.phandle != controller_phandle) {
            continue;
        }
        for (Hart& hart : machine_.harts) {
            if (hart.id == controller.hart) {
                return &hart;
            }
        }
    }
    return nullptr;
}

}  // namespace kernel::fdt
