// SPDX-License-Identifier: MIT
// futex(2) in the usual case, beside futex.cpp, which does the same in any case.
#pragma once

#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::task {

// FUTEX_WAKE of one waiter and FUTEX_WAIT without a time, on a machine of one hart, where the bucket has no
// other waiter. False: it is another case, and nothing has happened. Pre: caller is this hart's current task,
// and makes the call.
#ifdef __riscv
[[nodiscard]] bool futex_at_once(Task& caller, SysResult& result);
#else
// On the host there are no harts: the general way.
[[nodiscard]] inline bool futex_at_once(Task& /*caller*/, SysResult& /*result*/) {
    return false;
}
#endif

}  // namespace kernel::task
