// SPDX-License-Identifier: MIT
// rt_sigaction and rt_sigprocmask in the usual case, beside the handlers in signals.cpp, which do the same in
// any case. Part of the entries of these calls (dispatch.cpp). False: it is another case, and nothing has
// happened.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>

#include "mm/user_memory.hpp"
#include "nexus_abi/linux.hpp"
#include "task/process.hpp"
#include "task/signal.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::syscall {

// Only asks for an action, or sets one that is the default to the default, in a process of one thread: what C
// libraries do with each signal when they start a program. Skipped, and why that is sound:
//   page walks    What is in the page table says what a walk through the mappings would say.
//   the lock      Only threads of the process change actions (task::is_alone()), and here none changes:
//                 whoever sends the signal meanwhile finds the same before and after.
//   dropping a pending signal    There is none.
[[nodiscard, gnu::always_inline]] inline bool signal_action_at_once(task::Task& task,
                                                                    task::SysResult& result) {
    using nexus_abi::kernel_sigaction;
    using Words = std::array<std::uint64_t, sizeof(kernel_sigaction) / sizeof(std::uint64_t)>;
    static_assert(offsetof(kernel_sigaction, mask) == 2 * sizeof(std::uint64_t) &&
                  std::tuple_size_v<Words> == 3);
    const auto number = static_cast<std::uint32_t>(task.frame.argument(0));
    const VirtAddr from{task.frame.argument(1)};
    const VirtAddr to{task.frame.argument(2)};
    task::Process& process = task.process();
    const task::SignalActions& actions = process.signals.actions;
    if (task.frame.argument(3) != sizeof(std::uint64_t) || !task::may_ask_action(number) ||
        !task::is_alone(process)) [[unlikely]] {
        return false;
    }
    result = std::uint64_t{0};
    // A null pointer has no page.
    const bool asks = from.value() == 0;
    const VirtAddr at = asks ? to : from;
    if (!mm::is_in_one_place<kernel_sigaction>(at)) [[unlikely]] {
        return false;
    }
    mm::AddressSpace& space = process.space();
    if (asks) {
        return space.with_page_at_hand(at, mm::Access::Write, [&](std::span<std::byte, mm::kPageSize> page) {
            void* const there = __builtin_assume_aligned(page.data() + mm::page_offset(at.value()),
                                                         alignof(kernel_sigaction));
            if (actions.is_default(number)) [[likely]] {
                __builtin_memset(there, 0, sizeof(kernel_sigaction));
            } else {
                const kernel_sigaction action = actions.get(number);
                __builtin_memcpy(there, &action, sizeof action);
            }
        });
    }
    std::uint64_t set = 1;
    return to.value() == 0 && task::may_set_action(number) && actions.is_default(number) &&
           space.with_page_at_hand(
               at, mm::Access::Read,
               [&](std::span<std::byte, mm::kPageSize> page) {
                   Words words;
                   __builtin_memcpy(
                       &words,
                       __builtin_assume_aligned(page.data() + mm::page_offset(at.value()), sizeof words[0]),
                       sizeof words);
                   set = words[0] | words[1] | task::without_unblockable(words[2]);
               }) &&
           set == 0 && !task::is_pending(task, number);
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
