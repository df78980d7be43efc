// SPDX-License-Identifier: MIT
// futex(2): takes the operation apart. The work is in task/futex.cpp and task/futex_pi.cpp.
#include "task/futex.hpp"

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/time.hpp"
#include "syscall/time_values.hpp"
#include "task/futex_pi.hpp"
#include "task/futex_robust.hpp"
#include "task/futex_waitv.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall {

namespace {

// include/uapi/linux/futex.h
enum class Operation : std::uint32_t {
    Wait = 0,
    Wake = 1,
    Requeue = 3,
    CompareRequeue = 4,
    WakeOperation = 5,
    LockPi = 6,
    UnlockPi = 7,
    TryLockPi = 8,
    WaitBitset = 9,
    WakeBitset = 10,
    WaitRequeuePi = 11,
    CompareRequeuePi = 12,
    LockPi2 = 13,
};
constexpr std::uint32_t kPrivate =
    128;  // private and shared futexes are the same: no two processes share memory
constexpr std::uint32_t kClockRealtime = 256;

enum class Clock : std::uint8_t { FromNow, FromBoot, From1970 };

// The deadline at a user address; never() for none.
Result<Instant> deadline_at(Caller& caller, std::uint64_t timeout, Clock clock) {
    if (timeout == 0) {
        return Instant::never();
    }
    const timespec value = TRY(mm::copy_in(caller.space(), In<timespec>{timeout}));
    const Duration time = TRY(from_timespec(value));
    if (const Instant kept = deadline_kept(caller); clock == Clock::FromNow && !kept.is_never()) {
        return kept;
    }
    return clock == Clock::FromNow ? arch::now().plus_saturating(time)
                                   : to_instant(time, clock == Clock::From1970);
}

SysResult wait(Caller& caller, task::FutexWord word, std::uint32_t expected, std::uint32_t bitset,
               std::uint64_t timeout, Clock clock) {
    const auto deadline = deadline_at(caller, timeout, clock);
    caller.task.call_progress = 0;
    return deadline.ok() ? task::futex_wait(caller.task, word, expected, bitset, *deadline)
                         : SysResult{deadline.error()};
}

SysResult lock_pi(Caller& caller, task::FutexWord word, std::uint64_t timeout, Clock clock) {
    const auto deadline = deadline_at(caller, timeout, clock);
    return deadline.ok() ? task::futex_lock_pi(caller.task, word, *deadline) : SysResult{deadline.error()};
}

// Waits to be sent to the PI futex, then for that.
SysResult wait_requeue_pi(Caller& caller, task::FutexWord word, std::uint32_t expected, std::uint64_t timeout,
                          task::FutexWord to, Clock clock) {
    const auto deadline = deadline_at(caller, timeout, clock);
    const bool is_sent = caller.task.call_progress == task::kGoesOn;
    caller.task.call_progress = 0;
    if (!deadline.ok()) {
        return deadline.error();
    }
    if (!is_sent) {
        return task::futex_wait_requeue_pi(caller.task, word, expected, to, *deadline);
    }
    const SysResult locked = task::futex_lock_pi(caller.task, to, *deadline, task::OnSignal::GivesUp);
    if (locked.wants_again()) {
        caller.task.call_progress = task::kGoesOn;
    }
    return locked;
}

// include/uapi/linux/futex.h, time.h
constexpr std::uint32_t kWordOf32Bits = 2;  // FUTEX2_SIZE_U32
constexpr std::int32_t kClockIdRealtime = 0;
constexpr std::int32_t kClockIdMonotonic = 1;

// One of futex_waitv's.
Result<task::WaitWord> read_wait_word(task::Task& caller, std::uint64_t first, std::uint32_t index) {
    const In<futex_waitv_t> at{first + index * sizeof(futex_waitv_t)};
    const futex_waitv_t waiter = TRY(mm::copy_in(caller.process().space(), at));
    if ((waiter.flags & ~kPrivate) != kWordOf32Bits || waiter.reserved != 0 || waiter.value >> 32 != 0) {
        return Error::InvalidArgument;
    }
    return task::WaitWord{.word = task::FutexWord{waiter.address},
                          .expected = static_cast<std::uint32_t>(waiter.value)};
}

// All there is. Not inlined: the two calls that are nearly all of them keep nothing on the stack.
[[gnu::noinline]] SysResult any_operation(task::Task& task, InOut<std::uint32_t> word,
                                          std::uint32_t operation, std::uint32_t value,
                                          std::uint64_t timeout_or_value2, InOut<std::uint32_t> word2,
                                          std::uint32_t value3) {
    Caller caller{task};
    const auto command = static_cast<Operation>(operation & ~(kPrivate | kClockRealtime));
    const Clock clock = (operation & kClockRealtime) != 0 ? Clock::From1970 : Clock::FromBoot;
    if (clock == Clock::From1970 && command != Operation::Wait && command != Operation::WaitBitset &&
        command != Operation::LockPi2 && command != Operation::WaitRequeuePi) {
        return Error::NotImplemented;
    }
    const auto value2 = static_cast<std::uint32_t>(timeout_or_value2);
    switch (command) {
        case Operation::Wait:
            // The time of FUTEX_WAIT is relative whatever the clock.
            return wait(caller, word, value, task::kFutexMatchAny, timeout_or_value2, Clock::FromNow);
        case Operation::WaitBitset:
            return wait(caller, word, value, value3, timeout_or_value2, clock);
        case Operation::Wake:
            return task::futex_wake(caller.task, word, value, task::kFutexMatchAny);
        case Operation::WakeBitset:
            return task::futex_wake(caller.task, word, value, value3);
        case Operation::Requeue:
        case Operation::CompareRequeue: {
            if (static_cast<std::int32_t>(value) < 0 || static_cast<std::int32_t>(value2) < 0) {
                return Error::InvalidArgument;
            }
            const bool compares = command == Operation::CompareRequeue;
            return task::futex_requeue(caller.task, word, value, word2, value2, compares ? &value3 : nullptr);
        }
        case Operation::WakeOperation:
            return task::futex_wake_op(caller.task, word, value, word2, value2, value3);
        case Operation::WaitRequeuePi:
            return wait_requeue_pi(caller, word, value, timeout_or_value2, word2, clock);
        case Operation::CompareRequeuePi:
            // One of them may have the lock at once: more than that to wake makes no sense.
            if (value != 1 || static_cast<std::int32_t>(value2) < 0) {
                return Error::InvalidArgument;
            }
            return task::futex_requeue_pi(caller.task, word, word2, std::uint64_t{value} + value2, value3);
        case Operation::LockPi:
            // Its time counts from 1970 without saying so.
            return lock_pi(caller, word, timeout_or_value2, Clock::From1970);
        case Operation::LockPi2:
            return lock_pi(caller, word, timeout_or_value2, clock);
        case Operation::TryLockPi:
            return task::futex_try_lock_pi(caller.task, word);
        case Operation::UnlockPi:
            return task::futex_unlock_pi(caller.task, word);
    }
    return Error::NotImplemented;
}

}  // namespace

SysResult sys_futex(Caller& caller, InOut<std::uint32_t> word, std::uint32_t operation, std::uint32_t value,
                    std::uint64_t timeout_or_value2, InOut<std::uint32_t> word2, std::uint32_t value3) {
    const auto command = static_cast<Operation>(operation & ~kPrivate);
    if (command == Operation::Wake) {
        return task::futex_wake(caller.task, word, value, task::kFutexMatchAny);
    }
    if (command == Operation::Wait && timeout_or_value2 == 0) {  // no time to read, none to keep
        caller.task.call_progress = 0;
        return task::futex_wait(caller.task, word, value, task::kFutexMatchAny, Instant::never());
    }
    return any_operation(caller.task, word, operation, value, timeout_or_value2, word2, value3);
}

SysResult sys_futex_waitv(Caller& caller, In<futex_waitv_t> waiters, std::uint32_t count, std::uint32_t flags,
                          In<timespec> timeout, std::int32_t clock) {
    if (flags != 0 || count == 0 || count > task::kMaxWaitWords || waiters.is_null()) {
        return Error::InvalidArgument;
    }
    Instant deadline = Instant::never();
    if (!timeout.is_null()) {
        if (clock != kClockIdRealtime && clock != kClockIdMonotonic) {
            return Error::InvalidArgument;
        }
        const auto at = deadline_at(caller, mm::user_address(timeout).value(),
                                    clock == kClockIdRealtime ? Clock::From1970 : Clock::FromBoot);
        if (!at.ok()) {
            return at.error();
        }
        deadline = *at;
    }
    return task::futex_wait_any(
        caller.task, {.read = &read_wait_word, .first = mm::user_address(waiters).value(), .count = count},
        deadline);
}

SysResult sys_set_robust_list(Caller& caller, std::uint64_t head, std::uint64_t length) {
    if (length != task::kRobustHeadBytes) {
        return Error::InvalidArgument;
    }
    caller.task.robust_list = head;
    return 0U;
}

SysResult sys_get_robust_list(Caller& caller, std::int32_t tid, Out<std::uint64_t> head,
                              Out<std::uint64_t> length) {
    std::uint64_t list = caller.task.robust_list;
    if (tid != 0) {
        const Ref<task::Task> found = task::find_task(TaskId{static_cast<std::uint32_t>(tid)});
        if (!found) {
            return Error::NoProcess;
        }
        if (&found->process() != &caller.process) {
            return Error::NotPermitted;
        }
        list = found->robust_list;
    }
    if (const auto copied = mm::copy_out(caller.space(), length, task::kRobustHeadBytes); !copied.ok()) {
        return copied.error();
    }
    return mm::copy_out(caller.space(), head, list);
}

}  // namespace kernel::syscall
