// SPDX-License-Identifier: MIT
// The end of a task that is followed by the one it woke, as mostly where somebody waits for it
// (switch_at_once.cpp).
#pragma once

#include "arch/riscv64/trap_frame.hpp"
#include "lib/units.hpp"

namespace kernel::task {

struct Hart;
class Task;

// choose() for a task that ends on a machine of one hart, and is followed by the one it woke. Null, and
// nothing done, in other cases. Pre: `task` is current and nothing of it is left but the switch.
[[nodiscard]] arch::TrapFrame* end_at_once(Hart& hart, Task& task, Instant now);

}  // namespace kernel::task
