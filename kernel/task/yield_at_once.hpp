// SPDX-License-Identifier: MIT
// sched_yield() where others wait for the hart: in line.
#pragma once

#include "task/hart.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::task {

// request_yield(), with the result in the frame already: what follows is a switch, as for a call that waits.
// False, and nothing done, where nobody waited when the hart looked last. Pre: caller is this hart's current
// task.
#ifdef __riscv
[[gnu::always_inline]] inline bool yield_at_once(Task& caller, SysResult& result) {
    Hart& hart = this_hart();
    if (!hart.has_company) {
        return false;
    }
    caller.call_progress = 0;
    caller.frame.set_result(0);
    hart.recheck = hart.yield_requested = true;
    result = SysResult::no_result();
    return true;
}
#else
// On the host tests stand in for the dispatcher: the general way.
inline bool yield_at_once(Task& /*caller*/, SysResult& /*result*/) {
    return false;
}
#endif

}  // namespace kernel::task
