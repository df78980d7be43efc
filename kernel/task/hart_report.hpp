// SPDX-License-Identifier: MIT
// What a hart is at, for the report of a panic.
#pragma once

#include <cstdint>

#include "lib/ids.hpp"
#include "sched/attributes.hpp"
#include "task/task.hpp"

namespace kernel::task {

struct HartReport {
    bool has_task{false};  // the next six count
    TaskId tid{};
    TaskId pid{};
    Task::Name name{};
    Task::Name program{};  // the name of its process's first task
    sched::QosClass qos_class{};
    std::uint64_t user_pc{0};  // where it entered the kernel last
    std::uint32_t runnable{0};
    std::uint64_t switches{0};
    // The longest kernel section and what it was (note_section_end()); 0: none yet.
    std::uint64_t section_max_ns{0};
    std::uint64_t section_max_what{0};
};

// Takes no lock and changes nothing: of a hart that has not stopped the parts may not fit together. Pre: a
// panic; cpu was configured.
[[nodiscard]] HartReport report_hart(CpuId cpu);

}  // namespace kernel::task
