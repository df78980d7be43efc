// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <string_view>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/errata.hpp"
#include "arch/riscv64/firmware.hpp"
#include "arch/riscv64/hart_state.hpp"
#include "arch/riscv64/sbi.hpp"
#include "drivers/interrupts.hpp"
#include "file/pipe.hpp"
#include "init/boot.hpp"
#include "init/panic.hpp"
#include "init/provoke.hpp"
#include "lib/log.hpp"
#include "mm/address_space.hpp"
#include "mm/kernel_map.hpp"
#include "smp/bringup.hpp"
#include "sync/data_races.hpp"
#include "syscall/caller.hpp"
#include "task/dispatcher.hpp"
#include "task/short_cuts.hpp"
#include "task/watchdog.hpp"

namespace kernel::init {

namespace {

// CPUs to use: the device tree's, cut by maxcpus=, the boot hart always among them.
CpuMask wanted_cpus(CpuId boot_cpu) {
    const auto named = static_cast<std::uint32_t>(machine().harts.size());
    const std::uint32_t limit = command_line().max_cpus == 0 ? 1 : command_line().max_cpus;
    CpuMask wanted = CpuMask::of(boot_cpu);
    for (std::uint32_t i = 0; i < named && wanted.count() < limit; ++i) {
        wanted.add(CpuId{i});
    }
    if (!firmware().can_run_several_harts()) {
        if (named > 1) {
            log::warn("the firmware lacks HSM, IPI or RFENCE: ", named - 1, " harts are left alone");
        }
        return CpuMask::of(boot_cpu);
    }
    if (wanted.count() < named) {
        log::info("maxcpus=", command_line().max_cpus, ": ", named - wanted.count(), " harts are left alone");
    }
    return wanted;
}

// As each hart found itself when it was prepared. Written by that hart before it is online.
constinit std::array<arch::HartState, kMaxCpus> hart_states{};

constexpr std::array<std::string_view, 20> kBreakable{
    "shares", "affinity", "latency",  "starvation", "conserving", "tickless", "neutral",
    "perms",  "inherit",  "clamp",    "budget",     "boost",      "donation", "machine",
    "stress", "leak",     "sequence", "leak-stack", "race",       "resend"};

sched::Faults wanted_faults() {
    const std::string_view feature = command_line().break_feature;
    if (!feature.empty() && !is_provocation(feature) &&
        std::ranges::find(kBreakable, feature) == kBreakable.end()) {
        log::warn("neuron.break=", feature, ": unknown; docs/testing.md lists what can be broken");
    }
    syscall::set_faults({.all_rights = feature == "perms",
                         .keep_hints = feature == "inherit",
                         .accept_any_mask = feature == "clamp",
                         .leak_address = feature == "leak",
                         .leak_stack = feature == "leak-stack",
                         .planted_sequence = feature == "sequence",
                         .planted_race = feature == "race"});
    return {.ignore_shares = feature == "shares",
            .ignore_affinity = feature == "affinity",
            .never_preempt = feature == "latency",
            .strict_classes = feature == "starvation",
            .stay_put = feature == "conserving",
            .always_tick = feature == "tickless",
            .hints_buy_share = feature == "neutral",
            .no_budget = feature == "budget",
            .endless_boost = feature == "boost",
            .no_donation = feature == "donation",
            .no_balance = feature == "machine",
            .lose_time = feature == "stress",
            .general_only = command_line().general_paths};
}

// Makes a stack for each of `cpus`; those there is no memory for are left out.
CpuMask with_stacks(CpuMask cpus) {
    CpuMask ready;
    cpus.for_each([&](CpuId cpu) {
        if (const auto top = mm::kernel_map().map_stack(cpu); top.ok()) {
            arch::cpu_locals[cpu.value()].stack_top = (*top).value();
            ready.add(cpu);
        } else {
            log::warn("cpu", cpu, ": no memory for its stack");
        }
    });
    return ready;
}

}  // namespace

CpuId name_harts(HartId boot_hart) {
    for (const fdt::SkippedHart& skipped : machine().skipped_harts) {
        log::info("hart ", skipped.id, " is not used: ", fdt::text(skipped.reason));
    }
    CpuId boot_cpu{kMaxCpus};
    for (std::uint32_t i = 0; i < machine().harts.size(); ++i) {
        arch::cpu_locals[i].cpu = CpuId{i};
        arch::cpu_locals[i].hart = machine().harts[i].id;
        if (machine().harts[i].id == boot_hart) {
            boot_cpu = CpuId{i};
        }
    }
    if (boot_cpu.value() == kMaxCpus) {
        panic("the boot hart ", boot_hart, " is not among the usable harts of the device tree");
    }
    return boot_cpu;
}

void enter_hart(CpuId cpu, void (*next)()) {
    const auto stack_top = mm::kernel_map().map_stack(cpu);
    if (!stack_top.ok()) {
        panic("no memory for the boot hart's stack");
    }
    arch::CpuLocal& local = arch::cpu_locals[cpu.value()];
    local.stack_top = (*stack_top).value();
    asm volatile("mv tp, %0" ::"r"(&local) : "memory");
    arch::arch_call_on_stack(local.stack_top, next);
}

void prepare_this_hart() {
    if (command_line().general_paths) {
        arch::use_general_paths();
        mm::map_neighbours_at_faults(false);
        file::hand_bytes_over(false);
        task::allow_short_cuts(false);
    }
    arch::set_hart_state();
    const arch::CoreIds core{.vendor = arch::sbi::vendor_id(),
                             .architecture = arch::sbi::architecture_id(),
                             .implementation = arch::sbi::implementation_of_core()};
    const arch::ErrataSet found = arch::find_errata(core);
    for (const arch::ErratumRow& row : arch::kErrata) {
        if ((found & arch::bit_of(row.erratum)) != 0 && !arch::has_erratum(row.erratum)) {
            log::info("erratum ", row.name, " of cpu", arch::current_cpu(), " is worked around");
        }
    }
    arch::note_errata(found);
    hart_states[arch::current_cpu().value()] = arch::read_hart_state();
}

void start_other_harts() {
    start_watching_races();
    const CpuId self = arch::current_cpu();
    const CpuMask wanted = wanted_cpus(self);
    const sched::Faults faults = wanted_faults();
    task::set_possible_cpus(wanted, command_line().general_paths);
    if (command_line().break_feature != "resend") {
        task::look_after_interrupts(task::kIpiPatience);
    }
    std::array<std::uint32_t, kMaxCpus> capacities{};
    wanted.for_each([&](CpuId cpu) {
        capacities[cpu.value()] = fdt::relative_capacity(machine(), cpu.value());
        task::configure_hart(cpu, capacities[cpu.value()], faults);
    });
    task::set_machine_shape(sched::MachineShape::of(capacities));
    if (!command_line().watchdog.is_zero()) {
        task::set_watchdog(command_line().watchdog, [](CpuId silent, Duration silence) {
            panic("cpu ", silent, " did not leave the kernel for ", silence, " (watchdog=)");
        });
    }

    CpuMask others = wanted;
    others.remove(self);
    const CpuMask ready = with_stacks(others);
    wanted.for_each([&](CpuId cpu) {
        if (cpu == self) {
            smp::note_running();
            task::hart_online();
        } else if (!ready.contains(cpu) || !smp::start_hart(cpu, mm::kernel_map().root())) {
            return;
        }
        // It has arrived, so it is on its way here: no deadline.
        while (!task::online_cpus().contains(cpu)) {
            arch::cpu_relax();
        }
        log::marker("KINIT: cpu", cpu, " online");
    });
}

// From boot.S: a started hart, on its own stack, as its CPU.
extern "C" [[noreturn]] void secondary_main() {
    if (!smp::report_arrival()) {
        smp::park_this_hart();
    }
    prepare_this_hart();
    drivers::start_hart_interrupts(machine());
    smp::note_running();
    task::hart_online();
    arch::return_to_user(task::exit_to_user());
}

namespace {

// A task must not notice which hart it is on.
void check_hart_states(CpuMask online) {
    const CpuId self = arch::current_cpu();
    bool is_same = true;
    online.for_each([&](CpuId cpu) {
        const auto difference = arch::find_difference(hart_states[self.value()], hart_states[cpu.value()]);
        if (difference.has_value() && is_same) {
            is_same = false;
            log::marker("KSELFTEST: hart state FAIL (cpu", cpu, ": ", difference->name, " is ",
                        hex(difference->found), ", of cpu", self, " ", hex(difference->expected), ")");
        }
    });
    if (is_same) {
        log::marker("KSELFTEST: hart state ok");
    }
}

}  // namespace

void check_harts() {
    const CpuMask online = task::online_cpus();
    const CpuMask running = smp::running_cpus();
    if (online == running) {
        log::marker("KSELFTEST: smp online ok");
    } else {
        log::marker("KSELFTEST: smp online FAIL (online ", online, ", on a stack of their own ", running,
                    ")");
    }
    check_hart_states(online);
    CpuMask others = online;
    others.remove(arch::current_cpu());
    if (others.empty()) {
        log::marker("KSELFTEST: ipi resched SKIP (one hart)");
        return;
    }
    // Each other hart takes an IPI and says so by its own counter.
    constexpr Duration kIpiDeadline = Duration::milliseconds(500);
    CpuMask silent;
    others.for_each([&](CpuId cpu) {
        const std::uint64_t before = task::ipis_received(cpu);
        task::interrupt_hart(cpu);
        const Instant deadline = arch::now() + kIpiDeadline;
        while (task::ipis_received(cpu) == before) {
            if (arch::now() >= deadline) {
                silent.add(cpu);
                break;
            }
            arch::cpu_relax();
        }
    });
    if (silent.empty()) {
        log::marker("KSELFTEST: ipi resched ok");
    } else {
        log::marker("KSELFTEST: ipi resched FAIL (no answer from ", silent, ")");
    }
}

}  // namespace kernel::init
