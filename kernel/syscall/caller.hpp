// SPDX-License-Identifier: MIT
// Who made the system call that is being handled.
#pragma once

#include <cstdint>

#include "mm/address_space.hpp"
#include "nexus_abi/system.hpp"
#include "task/process.hpp"
#include "task/task.hpp"

namespace kernel::syscall {

// Deliberate defects (neuron.break=, docs/testing.md) in what the calls check. Boot, one hart.
struct Faults {
    bool all_rights{false};        // every caller holds every right
    bool keep_hints{false};        // a spawned child starts with its parent's hints
    bool accept_any_mask{false};   // a mask that leaves no hart is taken for a success
    bool leak_address{false};      // sysinfo tells where the kernel's stack is
    bool leak_stack{false};        // and what was on it (builds with NEURON_DEBUG)
    bool planted_sequence{false};  // three certain calls of a task end the kernel (planted.hpp)
    bool planted_race{false};      // each call adds to a number of all harts (builds with NEURON_KCSAN)
};
void set_faults(const Faults& faults);
[[nodiscard]] const Faults& faults();

// Passed to every handler. Concurrency: lives on the stack of the hart that handles the call.
struct Caller {
    task::Task& task;
    task::Process& process;

    explicit Caller(task::Task& calling_task) : task{calling_task}, process{calling_task.process()} {}

    [[nodiscard]] mm::AddressSpace& space() const { return process.space(); }
    [[nodiscard]] task::FileTable& files() const { return process.files; }
    [[nodiscard]] bool has_right(std::uint64_t right) const {
        return (process.rights.load(std::memory_order_relaxed) & right) == right || faults().all_rights;
    }
};

// The end of a call that may have been the last to know a file: gives back what it left, a piece at a time,
// and returns 0. Until then Task::call_progress is not 0 and the call is to come here at once.
[[nodiscard]] inline task::SysResult finish_clean_up(Caller& caller) {
    if (task::clean_up_step()) {
        return std::uint64_t{0};
    }
    caller.task.call_progress = 1;
    return task::SysResult::again();
}

}  // namespace kernel::syscall
