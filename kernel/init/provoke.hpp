// SPDX-License-Identifier: MIT
// Failures of the kernel on purpose (neuron.break=, docs/debugging.md), to see what its reports say:
// reboot(2) fails that way on the hart of its caller, instead of switching the machine off. And what only
// debug builds notice: a page of the kernel's map or a program's that should not be, SUM set.
#pragma once

#include <string_view>

namespace kernel::init {

// Whether neuron.break= names such a failure.
[[nodiscard]] bool is_provocation(std::string_view name);
// Fails, if neuron.break= says so; else returns.
void provoke_failure();

}  // namespace kernel::init
