// SPDX-License-Identifier: MIT
// Futexes: wait until somebody says that a word in user memory changed (futex(2)). A futex is named by
// address space and address, in memory shared with other processes by the file behind it and the offset; 256
// buckets of waiters, each behind its own lock. The word is compared under the bucket's lock, so no wake-up
// falls between the comparison and the wait. No path holds two buckets. Calls that concern many waiters do a
// bounded number at a time and answer SysResult::again(), with their progress in caller.call_progress;
// between two pieces others have their turn.
#pragma once

#include <cstdint>

#include "lib/result.hpp"
#include "lib/units.hpp"
#include "mm/address_space.hpp"
#include "nexus_abi/user_ptr.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::task {

inline constexpr std::uint32_t kFutexMatchAny = ~std::uint32_t{0};

using FutexWord = nexus_abi::InOut<std::uint32_t>;

// Every function checks the address first: InvalidArgument unless aligned to 4. Those that look at the word,
// and requeue, answer BadAddress unless it is mapped; waking needs the address only.

// Waits while *word == expected, until woken with a bit of `bitset` (0), or `deadline` (TimedOut). TryAgain
// when the word holds something else. InvalidArgument for an empty bitset. Pre: caller is the running task.
SysResult futex_wait(Task& caller, FutexWord word, std::uint32_t expected, std::uint32_t bitset,
                     Instant deadline);

// Wakes up to `count` waiters with a bit of `bitset`, oldest first; returns how many.
SysResult futex_wake(Task& caller, FutexWord word, std::uint32_t count, std::uint32_t bitset);

// Wakes up to `wake_count` waiters of `from` and moves up to `move_count` others to `to`, of those that wait
// when the call begins; returns how many of both together. With `expected`, TryAgain and nothing happens
// unless *from == *expected.
SysResult futex_requeue(Task& caller, FutexWord from, std::uint32_t wake_count, FutexWord to,
                        std::uint32_t move_count, const std::uint32_t* expected);

// FUTEX_WAIT_REQUEUE_PI: as futex_wait(), for a caller that then locks the PI futex `to`: once
// futex_requeue_pi() has chosen it the call runs again, with Task::call_progress kGoesOn. InvalidArgument
// when both are one. A signal has the call begin anew.
SysResult futex_wait_requeue_pi(Task& caller, FutexWord word, std::uint32_t expected, FutexWord to,
                                Instant deadline);
// FUTEX_CMP_REQUEUE_PI: sends up to `count` of those to the PI futex they named, which has to be `to`;
// returns how many. TryAgain unless *from == expected; InvalidArgument when one waits for something else.
SysResult futex_requeue_pi(Task& caller, FutexWord from, FutexWord to, std::uint64_t count,
                           std::uint32_t expected);

// FUTEX_WAKE_OP: changes *second as `operation` (encoded as in futex(2)) says, wakes up to `count` waiters of
// `first` and, if the old value passes the encoded comparison, up to `second_count` of `second`.
// NotImplemented for an unknown operation or comparison.
SysResult futex_wake_op(Task& caller, FutexWord first, std::uint32_t count, FutexWord second,
                        std::uint32_t second_count, std::uint32_t operation);

// ---- For futex_waitv.hpp: a task that waits for several words has a Wait on each one's queue that stands
// for it, and one of its own, on no queue, whose claim decides who woke it. Only FUTEX_WAKE and its like look
// at stand-ins; one that FUTEX_REQUEUE would move is woken instead.

// Puts a new Wait, whose task is set, where others wait for the word. Errors: TryAgain when it holds
// something else; InvalidArgument, BadAddress.
Result<void> add_stand_in(Wait& stand_in, mm::AddressSpace& space, FutexWord word, std::uint32_t expected);
// Takes it off again; true when it was what woke its task. Pre: it was added.
[[nodiscard]] bool remove_stand_in(Wait& stand_in);

// For thread exit: wakes up to `count` (at most 32) waiters at a user address; does nothing for an address
// that is not aligned.
void wake_futex(mm::AddressSpace& space, std::uint64_t user_address, std::uint32_t count);

}  // namespace kernel::task
