// SPDX-License-Identifier: MIT
// Trace records as text, for the report of a panic.
#pragma once

#include "lib/format.hpp"
#include "nexus_abi/trace.hpp"

namespace kernel::trace {

// Whether it holds a part of a task's name: not worth a line.
[[nodiscard]] bool is_part_of_name(const nexus_abi::trace_record& record);
// The time, and what happened: "1.000250 to 12, the one before blocked, 3 runnable". Kinds that are not known
// show their numbers.
void describe(LineWriter& line, const nexus_abi::trace_record& record);

}  // namespace kernel::trace
