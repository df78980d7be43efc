// SPDX-License-Identifier: MIT
// futex(2): takes the operation apart. The work is in task/futex.cpp.
#include "task/futex.hpp"

#include <algorithm>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/time.hpp"
#include "syscall/time_values.hpp"

namespace kernel::syscall {

namespace {

// include/uapi/linux/futex.h
enum class Operation : std::uint32_t {
    Wait = 0,
    Wake = 1,
    Requeue = 3,
    CompareRequeue = 4,
    WakeOperation = 5,
    WaitBitset = 9,
    WakeBitset = 10,
};
constexpr std::uint32_t kPrivate =
    128;  // private and shared futexes are the same: no two processes share memory
constexpr std::uint32_t kClockRealtime = 256;

constexpr std::uint32_t kWakesPerStep = 32;  // what one kernel section allows

SysResult wait(Caller& caller, task::FutexWord word, std::uint32_t expected, std::uint32_t bitset,
               std::uint64_t timeout, bool is_absolute, bool counts_from_1970) {
    Instant deadline = Instant::never();
    if (timeout != 0) {
        const auto value = mm::copy_in(caller.space(), In<timespec>{timeout});
        if (!value.ok()) {
            return value.error();
        }
        const auto time = from_timespec(*value);
        if (!time.ok()) {
            return time.error();
        }
        deadline = is_absolute ? to_instant(*time, counts_from_1970) : arch::now().plus_saturating(*time);
    }
    return task::futex_wait(caller.task, word, expected, bitset, deadline);
}

// Wakes `count` waiters, kWakesPerStep at a time.
SysResult wake(Caller& caller, task::FutexWord word, std::uint32_t count, std::uint32_t bitset) {
    const std::uint64_t before = std::min<std::uint64_t>(caller.task.call_progress, count);
    const auto now = static_cast<std::uint32_t>(std::min<std::uint64_t>(count - before, kWakesPerStep));
    const auto woken = task::futex_wake(caller.space(), word, now, bitset);
    if (!woken.ok()) {
        return woken.error();
    }
    if (*woken < kWakesPerStep) {
        return before + *woken;
    }
    caller.task.call_progress = before + *woken;
    return SysResult::again();
}

}  // namespace

SysResult sys_futex(Caller& caller, InOut<std::uint32_t> word, std::uint32_t operation, std::uint32_t value,
                    std::uint64_t timeout_or_value2, InOut<std::uint32_t> word2, std::uint32_t value3) {
    const auto command = static_cast<Operation>(operation & ~(kPrivate | kClockRealtime));
    const bool counts_from_1970 = (operation & kClockRealtime) != 0;
    if (counts_from_1970 && command != Operation::Wait && command != Operation::WaitBitset) {
        return Error::NotImplemented;
    }
    const auto value2 = static_cast<std::uint32_t>(timeout_or_value2);
    switch (command) {
        case Operation::Wait:
            // The time of FUTEX_WAIT is relative whatever the clock.
            return wait(caller, word, value, task::kFutexMatchAny, timeout_or_value2, false, false);
        case Operation::WaitBitset:
            return wait(caller, word, value, value3, timeout_or_value2, true, counts_from_1970);
        case Operation::Wake:
            return wake(caller, word, value, task::kFutexMatchAny);
        case Operation::WakeBitset:
            return wake(caller, word, value, value3);
        case Operation::Requeue:
        case Operation::CompareRequeue: {
            if (static_cast<std::int32_t>(value) < 0 || static_cast<std::int32_t>(value2) < 0) {
                return Error::InvalidArgument;
            }
            const bool compares = command == Operation::CompareRequeue;
            return task::futex_requeue(caller.space(), word, value, word2, value2,
                                       compares ? &value3 : nullptr);
        }
        case Operation::WakeOperation:
            return task::futex_wake_op(caller.space(), word, value, word2, value2, value3);
    }
    return Error::NotImplemented;
}

}  // namespace kernel::syscall
