// SPDX-License-Identifier: MIT
// Whether a system call may return to its program without the exit path.
#pragma once

#include "lib/check.hpp"
#include "task/hart.hpp"
#include "task/process.hpp"
#include "task/task.hpp"

namespace kernel::task {

// True when exit_to_user() would find nothing to do for the task that just finished a call with a value.
// Skipped, and why that is sound:
//   queue and timers, end of the task   Who changes them from this hart sets `recheck`. Who does from another
//   one
//                                       interrupts this hart afterwards; the interrupt is taken at the
//                                       program's next instruction and goes through the exit path, as it does
//                                       when the task is in user mode anyway.
//   inbox                               Likewise: a task that is put there comes with an interrupt.
//   signals                             Looked at, because those that came during a call in pieces were put
//   off. resume, the switch itself           Only set together with `recheck`, or by a call that returns no
//   value. address space, FP registers         Only changed by calls that ask for a whole frame and do not
//   come here.
// Pre: it is the current task of this hart.
[[nodiscard]] inline bool may_go_straight_back(const Hart& hart, const Task& task) {
    const bool is_quiet = !hart.recheck && task.exit_work.load(std::memory_order_relaxed) == 0;
    DCHECK(!is_quiet || (hart.current == &task && task.resume == nullptr && !hart.load_is_stale));
    DCHECK(!is_quiet || (!hart.yield_requested && !hart.exit_requested && task.due == Instant{}));
    DCHECK(!is_quiet || (hart.space == &task.process().space() && task.fp_epoch == hart.fp_epoch));
    return is_quiet;
}

}  // namespace kernel::task
