// SPDX-License-Identifier: MIT
// rt_sigaction and rt_sigprocmask in the usual case, beside the handlers in signals.cpp, which do the same in
// any case. Part of the entries of these calls (dispatch.cpp). False: it is another case, and nothing has
// happened.
#pragma once

#include <cstdint>

#include "mm/user_memory.hpp"
#include "nexus_abi/linux.hpp"
#include "task/process.hpp"
#include "task/signal.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::syscall {

// Only asks, or only sets, an action that is at hand. Skipped, and why that is sound:
//   page walks                     What is in the page table says what a walk through the mappings would say.
//   the lock, by a lone thread     See task::copy_signal_action().
//   dropping a pending signal      There is none (task::set_quiet_action()).
[[nodiscard, gnu::always_inline]] inline bool signal_action_at_once(task::Task& task,
                                                                    task::SysResult& result) {
    using nexus_abi::kernel_sigaction;
    const auto number = static_cast<std::uint32_t>(task.frame.argument(0));
    const VirtAddr from{task.frame.argument(1)};
    const VirtAddr to{task.frame.argument(2)};
    if (task.frame.argument(3) != sizeof(std::uint64_t) || (from.value() == 0) == (to.value() == 0)) {
        return false;
    }
    mm::AddressSpace& space = task.process().space();
    kernel_sigaction action;
    const bool is_done =
        from.value() == 0
            ? task::may_ask_action(number) && mm::is_in_one_place<kernel_sigaction>(to) &&
                  task::copy_signal_action(task, number, action) && mm::copy_present_out(space, to, action)
            : task::may_set_action(number) && mm::is_in_one_place<kernel_sigaction>(from) &&
                  mm::copy_present_in(space, from, action) && task::set_quiet_action(task, number, action);
    result = std::uint64_t{0};
    return is_done;
}

// Changes the mask. The old one is told first, so that nothing has happened where that is not possible at
// once; `set` was read before, and may be the same place. Page walks are skipped as above.
[[nodiscard, gnu::always_inline]] inline bool signal_mask_at_once(task::Task& task, task::SysResult& result) {
    const auto how = static_cast<std::uint32_t>(task.frame.argument(0));
    const VirtAddr from{task.frame.argument(1)};
    const VirtAddr to{task.frame.argument(2)};
    mm::AddressSpace& space = task.process().space();
    const std::uint64_t before = task.signal_mask.load(std::memory_order_relaxed);
    std::uint64_t set{0};
    if (task.frame.argument(3) != sizeof set || from.value() == 0 || how > 2 ||
        !mm::is_in_one_place<std::uint64_t>(from) || !mm::copy_present_in(space, from, set) ||
        (to.value() != 0 &&
         !(mm::is_in_one_place<std::uint64_t>(to) && mm::copy_present_out(space, to, before)))) [[unlikely]] {
        return false;
    }
    // SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK.
    task::set_signal_mask(task, how == 0 ? before | set : how == 1 ? before & ~set : set);
    result = std::uint64_t{0};
    return true;
}

}  // namespace kernel::syscall
