// SPDX-License-Identifier: MIT
#include "fdt/harts.hpp"

#include <algorithm>
#include <array>

#include "fdt/isa.hpp"

namespace kernel::fdt {

namespace {

constexpr std::array<std::string_view, 3> kUsableMmus{"riscv,sv39", "riscv,sv48", "riscv,sv57"};
constexpr std::array<std::string_view, 4> kMonitorCores{"sifive,s7", "sifive,s76", "sifive,e51", "sifive,e5"};

// What stands in the way of using this hart; `isa` is what the node claims.
std::optional<SkipReason> find_skip_reason(const Tree& tree, Node cpu, const std::optional<Isa>& isa) {
    if (!tree.is_available(cpu)) {
        return SkipReason::Disabled;
    }
    const Compatible compatible = tree.compatible(cpu);
    if (std::any_of(kMonitorCores.begin(), kMonitorCores.end(),
                    [&](std::string_view core) { return compatible.contains(core); })) {
        return SkipReason::MonitorCore;
    }
    const std::string_view mmu = tree.text(cpu, "mmu-type");
    if (std::find(kUsableMmus.begin(), kUsableMmus.end(), mmu) == kUsableMmus.end()) {
        return SkipReason::NoMmu;
    }
    if (!isa) {
        return SkipReason::UnreadableIsa;
    }
    if (!isa->i || !isa->m || !isa->a || !isa->c) {
        return SkipReason::NoBaseIsa;
    }
    if (!isa->features.f || !isa->features.d) {
        return SkipReason::NoDoubleFloat;
    }
    return std::nullopt;
}

bool is_known(const Machine& machine, HartId id) {
    const auto has_id = [id](const auto& hart) { return hart.id == id; };
    return std::any_of(machine.harts.begin(), machine.harts.end(), has_id) ||
           std::any_of(machine.skipped_harts.begin(), machine.skipped_harts.end(), has_id);
}

void skip(Machine& machine, std::string_view node, HartId id, SkipReason reason) {
    if (!machine.skipped_harts.try_push({.id = id, .reason = reason})) {
        note(machine, {.what = "more than 64 unusable harts", .node = node, .property = {}});
    }
}

void add_hart(const Tree& tree, Node cpu, HartId id, Machine& machine) {
    const std::string_view name = tree.name(cpu);
    if (is_known(machine, id)) {
        note(machine, {.what = "a second node for the same hart", .node = name, .property = "reg"});
        skip(machine, name, id, SkipReason::DuplicateId);
        return;
    }
    const std::optional<Isa> isa = read_isa(tree, cpu);
    if (const auto reason = find_skip_reason(tree, cpu, isa)) {
        skip(machine, name, id, *reason);
        return;
    }
    Hart hart;
    hart.id = id;
    if (isa) {
        hart.isa = isa->features;
    }
    hart.capacity_dmips_mhz = tree.cell_or(cpu, "capacity-dmips-mhz", 0);
    if (!machine.harts.try_push(hart)) {
        note(machine, {.what = "more than 64 usable harts", .node = name, .property = {}});
        skip(machine, name, id, SkipReason::TooMany);
    }
}

void add_controller(const Tree& tree, Node cpu, HartId id, HartInterruptControllers& controllers) {
    for (auto child = tree.first_child(cpu); child; child = tree.next_sibling(*child)) {
        const std::uint32_t phandle = tree.phandle(*child);
        // A full list costs the hart its external interrupts, which the PLIC's reader then notes.
        if (phandle != 0 && tree.has(*child, "interrupt-controller") &&
            !controllers.try_push({.phandle = phandle, .hart = id})) {
            return;
        }
    }
}

// In /cpus, or in a cpu node as older trees have it. 0: absent or malformed.
std::uint64_t read_timebase(const Tree& tree, Node node) {
    const auto value = tree.property(node, "timebase-frequency");
    return value ? value->whole_number().value_or(0) : 0;
}

}  // namespace

void note(Machine& machine, Problem problem) {
    if (!machine.problems.try_push(problem)) {
        ++machine.unlisted_problems;
    }
}

std::optional<Problem> read_harts(const Tree& tree, Machine& machine, HartInterruptControllers& controllers) {
    const auto cpus = tree.find("/cpus");
    if (!cpus) {
        return Problem{.what = "node is missing", .node = "/cpus", .property = {}};
    }
    const std::uint32_t address_cells = tree.cell_or(*cpus, "#address-cells", 1);
    machine.timebase_hz = read_timebase(tree, *cpus);
    for (auto cpu = tree.first_child(*cpus); cpu; cpu = tree.next_sibling(*cpu)) {
        if (tree.text(*cpu, "device_type") != "cpu") {
            continue;
        }
        const auto reg = tree.property(*cpu, "reg");
        const auto id = reg ? reg->number(0, address_cells) : std::nullopt;
        if (!id || address_cells == 0) {
            note(machine, {.what = "is not a hart id", .node = tree.name(*cpu), .property = "reg"});
            continue;
        }
        if (machine.timebase_hz == 0) {
            machine.timebase_hz = read_timebase(tree, *cpu);
        }
        add_hart(tree, *cpu, HartId{*id}, machine);
        add_controller(tree, *cpu, HartId{*id}, controllers);
    }
    if (machine.timebase_hz == 0) {
        return Problem{
            .what = "is missing, zero or malformed", .node = "/cpus", .property = "timebase-frequency"};
    }
    if (machine.harts.empty()) {
        return Problem{.what = "no usable hart", .node = "/cpus", .property = {}};
    }
    const auto by_id = [](const auto& left, const auto& right) { return left.id < right.id; };
    std::sort(machine.harts.begin(), machine.harts.end(), by_id);
    std::sort(machine.skipped_harts.begin(), machine.skipped_harts.end(), by_id);
    machine.common_isa = machine.harts[0].isa;
    for (const Hart& hart : machine.harts) {
        machine.common_isa = common_features(machine.common_isa, hart.isa);
    }
    return std::nullopt;
}

std::uint32_t relative_capacity(const Machine& machine, std::size_t index) {
    constexpr std::uint64_t kFastest = 1024;
    std::uint64_t fastest = 0;
    for (const Hart& hart : machine.harts) {
        if (hart.capacity_dmips_mhz == 0) {
            return kFastest;
        }
        fastest = std::max(fastest, std::uint64_t{hart.capacity_dmips_mhz});
    }
    const std::uint64_t relative = machine.harts[index].capacity_dmips_mhz * kFastest / fastest;
    return static_cast<std::uint32_t>(std::max(std::uint64_t{1}, relative));
}

std::string_view text(SkipReason reason) {
    switch (reason) {
        case SkipReason::Disabled:
            return "disabled in the device tree";
        case SkipReason::MonitorCore:
            return "monitor core without S-mode";
        case SkipReason::NoMmu:
            return "no usable mmu-type";
        case SkipReason::UnreadableIsa:
            return "no readable rv64 riscv,isa-extensions or riscv,isa";
        case SkipReason::NoBaseIsa:
            return "lacks one of the extensions i, m, a, c";
        case SkipReason::NoDoubleFloat:
            return "lacks the extensions f and d";
        case SkipReason::DuplicateId:
            return "second node with the same hart id";
        case SkipReason::TooMany:
            return "more harts than the kernel supports";
    }
    return "unknown reason";
}

}  // namespace kernel::fdt
