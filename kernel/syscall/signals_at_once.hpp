// SPDX-License-Identifier: MIT
// rt_sigaction and rt_sigprocmask in the usual case, beside the handlers in signals.cpp, which do the same in
// any case. Part of the entries of these calls (dispatch.cpp). False: it is another case, and nothing has
// happened.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>

#include "mm/user_memory.hpp"
#include "nexus_abi/linux.hpp"
#include "task/process.hpp"
#include "task/signal.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::syscall {

// Only asks for an action that is the default, or sets such a one to the default in a process of one thread:
// what C libraries do with each signal when they start a program. Skipped, and why that is sound:
//   page walks    What is in the page table says what a walk through the mappings would say.
//   the lock      Whether an action is the default is one word to ask. Only threads of the process change
//                 actions (task::is_alone()), and here none changes: whoever sends the signal meanwhile finds
//                 the same before and after.
//   dropping a pending signal    There is none.
//   SIGKILL, SIGSTOP    Setting these, default or not, is an error: another case.
[[nodiscard, gnu::always_inline]] inline bool signal_action_at_once(task::Task& task,
                                                                    task::SysResult& result) {
    using nexus_abi::kernel_sigaction;
    using Words = std::array<std::uint64_t, sizeof(kernel_sigaction) / sizeof(std::uint64_t)>;
    static_assert(std::tuple_size_v<Words> == 3);
    const std::uint32_t index = static_cast<std::uint32_t>(task.frame.argument(0)) - 1;
    const VirtAddr from{task.frame.argument(1)};
    const VirtAddr to{task.frame.argument(2)};
    if (task.frame.argument(3) != sizeof(std::uint64_t) || index >= task::kSignalCount) [[unlikely]] {
        return false;
    }
    result = std::uint64_t{0};
    task::Process& process = task.process();
    const task::ProcessSignals& signals = process.signals;
    // Calls use(words) with what lies at `at`. A null pointer has no page.
    const auto with_action = [&](VirtAddr at, auto&& use) __attribute__((always_inline)) {
        std::uint64_t offset = mm::page_offset(at.value());
        asm("" : "+r"(offset));  // kept: it would be worked out twice
        return offset % alignof(kernel_sigaction) == 0 &&
               offset <= mm::kPageSize - sizeof(kernel_sigaction) &&
               process.space().with_own_page_at_hand(at, [&](std::byte* page) {
                   return use(std::assume_aligned<alignof(kernel_sigaction)>(page + offset));
               });
    };
    if (from.value() == 0) {
        return (signals.actions.stored() >> index & 1) == 0 && with_action(to, [](std::byte* there) {
                   __builtin_memset(there, 0, sizeof(kernel_sigaction));
                   return true;
               });
    }
    constexpr std::uint64_t kNeverSet =
        task::signal::bit(task::signal::kKill) | task::signal::bit(task::signal::kStop);
    return to.value() == 0 && task::is_alone(process) &&
           ((signals.actions.stored() | signals.pending.set() | task.pending_signals.set() | kNeverSet) >>
                index &
            1) == 0 &&
           with_action(from, [](const std::byte* there) {
               Words action;
               __builtin_memcpy(&action, there, sizeof action);
               return (action[0] | action[1] | action[2]) == 0;
           });
}

// task::set_signal_mask(), where nothing is pending that could be let through or offered to others, on a
// machine of one hart: there the lock keeps nobody away. False, and nothing done, in other cases.
[[nodiscard, gnu::always_inline]] inline bool set_mask_alone(task::Task& task, std::uint64_t before,
                                                             std::uint64_t mask) {
    constexpr std::uint64_t kNeverSet =
        task::signal::bit(task::signal::kKill) | task::signal::bit(task::signal::kStop);
    task::Process& process = task.process();
    task::ProcessSignals& signals = process.signals;
    if (!has_one_hart || (signals.pending.set() | task.pending_signals.set()) != 0) {
        return false;
    }
    mask &= ~kNeverSet;
    signals.blockers.add(mask & ~before);
    signals.blockers.remove(before & ~mask);
    if ((before == 0) != (mask == 0)) {
        auto& from = before == 0 ? signals.open : signals.masked;
        auto& to = mask == 0 ? signals.open : signals.masked;
        from.remove(task);
        if (task.tid() == process.pid()) {
            to.push_front(task);
        } else {
            to.push_back(task);
        }
    }
    task.signal_mask.store(mask, std::memory_order_relaxed);
    return true;
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
    const std::uint64_t mask = how == 0 ? before | set : how == 1 ? before & ~set : set;
    if (!set_mask_alone(task, before, mask)) [[unlikely]] {
        task::set_signal_mask(task, mask);
    }
    result = std::uint64_t{0};
    return true;
}

}  // namespace kernel::syscall
