// SPDX-License-Identifier: MIT
// PI futexes (futex(2), FUTEX_LOCK_PI and relatives): the word holds the owner's thread id, and who has to
// wait lends the owner its class, its latency hint and its budget until it gets the lock or gives up. The
// lock passes, on unlock, to the waiter of the highest effective class, the oldest among equals.
//
// The word: bits 0..29 the owner's id, bit 30 "an owner died with it", bit 31 "somebody waits in the kernel,
// unlock there". Programs lock a free word (0 -> id) and unlock one without bit 31 (id -> 0) on their own.
//
// An owner that ends: the first of its waiters gets the lock, with bit 30 set. Who comes later, when nobody
// waits and the word still names a thread that is gone, gets NoProcess; the words of locks on the owner's
// robust list are repaired (futex_robust.hpp).
//
// Chains (a waits for b, who waits for c) are followed over kMaxPiChain links. A wait that would close a
// circle, or whose chain is longer, is refused with Deadlock.
//
// Every function checks the address first: InvalidArgument unless aligned to 4, BadAddress unless it can be
// written. Each takes the PI lock (rank FutexBucket), then hart locks one at a time; its work is bounded by
// the chain and by the logarithm of the number of waiters.
#pragma once

#include "lib/units.hpp"
#include "task/futex.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::task {

inline constexpr std::uint32_t kMaxPiChain = 8;

// Takes the lock, or waits for it until `deadline` (TimedOut). Errors: Deadlock (the caller has it, or see
// above); NoProcess (no thread has the id in the word; of this process, unless the word lies in
// memory shared with others); InvalidArgument (the word is not what
// the kernel made of it); NoMemory. Pre: caller is the running task.
SysResult futex_lock_pi(Task& caller, FutexWord word, Instant deadline, OnSignal on_signal = OnSignal::Stays);
// Takes the lock if it is free; TryAgain when it is not. Errors as above.
SysResult futex_try_lock_pi(Task& caller, FutexWord word);
// Passes the lock on, or frees it. Errors: NotPermitted (the caller does not have it), InvalidArgument.
SysResult futex_unlock_pi(Task& caller, FutexWord word);

// For thread exit and exec: passes on what the running task still owns, a bounded number at a time; true when
// nothing is left. From the first call on it can own nothing more. Pre: its address space is still there.
[[nodiscard]] bool pass_on_pi_futexes(Task& task);
// For thread exit and exec, a lock of the robust list: lets go of it if the running task has it, as above, or
// marks the word of one that nobody waits for. An address that cannot be written is an error.
Result<void> give_up_pi_futex(Task& task, VirtAddr word);
// For exec: in the new program it can again. Pre: pass_on_pi_futexes() was true.
void let_own_pi_futexes(Task& task);

// The class or a hint of a task was changed: what it lends, and its place among waiters, follows. Takes the
// PI lock; pre: no lock of that rank or above is held.
void refresh_pi_waiter(Task& task);

}  // namespace kernel::task
