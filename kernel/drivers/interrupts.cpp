// SPDX-License-Identifier: MIT
#include "drivers/interrupts.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "arch/contract.hpp"
#include "arch/riscv64/csr.hpp"
#include "drivers/aplic.hpp"
#include "drivers/imsic.hpp"
#include "drivers/mmio.hpp"
#include "drivers/plic.hpp"

namespace kernel::drivers {

namespace {

using arch::riscv64::Csr;

// The window of drivers/imsic.hpp.
struct ImsicCsrs {
    static std::uint64_t read_indirect(std::uint32_t number) {
        arch::riscv64::write_csr<Csr::Siselect>(number);
        return arch::riscv64::read_csr<Csr::Sireg>();
    }
    static void write_indirect(std::uint32_t number, std::uint64_t value) {
        arch::riscv64::write_csr<Csr::Siselect>(number);
        arch::riscv64::write_csr<Csr::Sireg>(value);
    }
    // Reads and claims in one instruction.
    static std::uint32_t claim() {
        return static_cast<std::uint32_t>(arch::riscv64::exchange_csr<Csr::Stopei>(0));
    }
};

// A wire whose controller sends messages: identity i is message_wires[i - 1].
struct MessageWire {
    fdt::WiredInterrupt wire;
    InterruptHandler handler;
};

// Filled in at boot by one hart, before the other harts start; afterwards immutable but for their own state.
constinit std::array<std::optional<Plic<Mmio>>, fdt::kMaxPlics> plics;
constinit std::array<std::optional<Aplic<Mmio>>, fdt::kMaxAplics> aplics;
constinit Imsic<ImsicCsrs> imsic{ImsicCsrs{}};
constinit bool has_imsics = false;
constinit InterruptHandlers message_handlers;
constinit FixedVector<MessageWire, InterruptHandlers::kMaxHandlers> message_wires;

// Identities our wires can have; every hart lets them all in, so that moving a wire touches its source only.
std::uint32_t wire_identities(const fdt::Machine& machine) {
    return std::min(machine.message_ids, static_cast<std::uint32_t>(InterruptHandlers::kMaxHandlers));
}

void handle_message(std::uint32_t identity) {
    const MessageWire& message = message_wires[identity - 1];
    message.handler(message.wire.source);
    if (std::optional<Aplic<Mmio>>& aplic = aplics[message.wire.index]; aplic.has_value()) {
        aplic->rearm(message.wire.source, message.wire.trigger);
    }
}

Result<std::uint32_t> add_message_wire(const fdt::Machine& machine, const fdt::WiredInterrupt& wire,
                                       InterruptHandler handler) {
    const auto identity = static_cast<std::uint32_t>(message_wires.size()) + 1;
    if (identity > wire_identities(machine)) {
        return Error::NoSpace;
    }
    TRY(message_handlers.set(identity, &handle_message));
    if (!message_wires.try_push({.wire = wire, .handler = handler})) {
        return Error::NoSpace;
    }
    return identity;
}

Result<std::uint32_t> identity_of(const fdt::WiredInterrupt& wire) {
    for (std::size_t i = 0; i < message_wires.size(); ++i) {
        if (message_wires[i].wire == wire) {
            return static_cast<std::uint32_t>(i) + 1;
        }
    }
    return Error::NotSupported;
}

// Aims an APLIC's wire at `cpu`, first or again.
Result<void> aim(const fdt::Machine& machine, Aplic<Mmio>& aplic, const fdt::WiredInterrupt& wire,
                 CpuId cpu) {
    if (!machine.aplics[wire.index].sends_messages) {
        return aplic.enable(wire.source, wire.trigger, cpu);
    }
    const std::optional<std::uint16_t>& index = machine.harts[cpu.value()].message_index;
    if (!index.has_value()) {
        return Error::NotSupported;
    }
    const std::uint32_t identity = TRY(identity_of(wire));
    return aplic.enable_message(wire.source, wire.trigger, *index, identity);
}

Result<void> route_by_aplic(const fdt::Machine& machine, Aplic<Mmio>& aplic, const fdt::WiredInterrupt& wire,
                            InterruptHandler handler, CpuId cpu) {
    if (machine.aplics[wire.index].sends_messages) {
        TRY(add_message_wire(machine, wire, handler));
    } else {
        TRY(aplic.set_handler(wire.source, handler));
    }
    return aim(machine, aplic, wire, cpu);
}

}  // namespace

Result<void> start_plic(const fdt::Machine& machine, std::size_t index, VirtAddr registers) {
    if (index >= machine.plics.size()) {
        return Error::InvalidArgument;
    }
    Plic<Mmio>& plic = plics[index].emplace(Mmio{registers}, machine.plics[index].sources);
    for (std::size_t cpu = 0; cpu < machine.harts.size(); ++cpu) {
        const std::optional<fdt::PlicContext>& context = machine.harts[cpu].plic_context;
        if (context.has_value() && context->plic == index) {
            TRY(plic.add_context(CpuId{static_cast<std::uint32_t>(cpu)}, context->context));
        }
    }
    return {};
}

Result<void> start_aplic(const fdt::Machine& machine, std::size_t index, VirtAddr registers) {
    if (index >= machine.aplics.size()) {
        return Error::InvalidArgument;
    }
    Aplic<Mmio>& aplic = aplics[index].emplace(Mmio{registers}, machine.aplics[index].sources);
    aplic.start(machine.aplics[index].sends_messages);
    for (std::size_t cpu = 0; cpu < machine.harts.size(); ++cpu) {
        const std::optional<fdt::AplicIdc>& idc = machine.harts[cpu].aplic_idc;
        if (idc.has_value() && idc->aplic == index) {
            TRY(aplic.add_idc(CpuId{static_cast<std::uint32_t>(cpu)}, idc->idc));
        }
    }
    return {};
}

void start_hart_interrupts(const fdt::Machine& machine) {
    const CpuId cpu = arch::current_cpu();
    for (std::optional<Plic<Mmio>>& plic : plics) {
        if (plic.has_value()) {
            plic->start_context(cpu);
        }
    }
    for (std::optional<Aplic<Mmio>>& aplic : aplics) {
        if (aplic.has_value()) {
            aplic->start_idc(cpu);
        }
    }
    // The CSRs are there only where every hart says so.
    if (machine.message_ids > 0 && machine.common_isa.ssaia) {
        imsic.start(machine.message_ids, wire_identities(machine));
        if (!has_imsics) {  // the boot hart, alone
            has_imsics = true;
        }
    }
}

bool can_reach(const fdt::Machine& machine, const fdt::WiredInterrupt& wire, CpuId cpu) {
    if (wire.controller == fdt::Controller::Plic) {
        const std::optional<Plic<Mmio>>& plic = plics[wire.index];
        return plic.has_value() && plic->has_context(cpu);
    }
    const std::optional<Aplic<Mmio>>& aplic = aplics[wire.index];
    if (!aplic.has_value()) {
        return false;
    }
    return machine.aplics[wire.index].sends_messages
               ? has_imsics && machine.harts[cpu.value()].message_index.has_value()
               : aplic->has_idc(cpu);
}

Result<void> route_interrupt(const fdt::Machine& machine, const fdt::WiredInterrupt& wire,
                             InterruptHandler handler, CpuId cpu) {
    if (!can_reach(machine, wire, cpu)) {
        return Error::NotSupported;
    }
    if (std::optional<Aplic<Mmio>>& aplic = aplics[wire.index];
        wire.controller == fdt::Controller::Aplic && aplic.has_value()) {
        return route_by_aplic(machine, *aplic, wire, handler, cpu);
    }
    std::optional<Plic<Mmio>>& plic = plics[wire.index];
    if (!plic.has_value()) {
        return Error::NotSupported;
    }
    TRY(plic->set_handler(wire.source, handler));
    return plic->enable(wire.source, cpu);
}

Result<void> move_interrupt(const fdt::Machine& machine, const fdt::WiredInterrupt& wire, CpuId from,
                            CpuId to) {
    if (!can_reach(machine, wire, to)) {
        return Error::NotSupported;
    }
    if (wire.controller == fdt::Controller::Aplic) {
        std::optional<Aplic<Mmio>>& aplic = aplics[wire.index];
        return aplic.has_value() ? aim(machine, *aplic, wire, to) : Error::NotSupported;
    }
    std::optional<Plic<Mmio>>& plic = plics[wire.index];
    return plic.has_value() ? plic->move(wire.source, from, to) : Error::NotSupported;
}

std::string_view controller_name(const fdt::Machine& machine, const fdt::WiredInterrupt& wire) {
    if (wire.controller == fdt::Controller::Plic) {
        return "PLIC";
    }
    return machine.aplics[wire.index].sends_messages ? "APLIC and IMSIC" : "APLIC";
}

void handle_external_interrupt() {
    const CpuId cpu = arch::current_cpu();
    for (std::optional<Plic<Mmio>>& plic : plics) {
        if (plic.has_value()) {
            plic->handle(cpu);
        }
    }
    for (std::optional<Aplic<Mmio>>& aplic : aplics) {
        if (aplic.has_value()) {
            aplic->handle(cpu);
        }
    }
    if (has_imsics) {
        imsic.handle(message_handlers);
    }
}

}  // namespace kernel::drivers
