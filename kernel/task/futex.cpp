// SPDX-License-Identifier: MIT
#include "task/futex.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <utility>

#include "mm/user_memory.hpp"
#include "task/begin_wait.hpp"
#include "task/dispatcher.hpp"
#include "task/finish_wait_alone.hpp"
#include "task/futex_bucket.hpp"
#include "task/hart.hpp"
#include "task/process.hpp"
#include "task/short_cuts.hpp"
#include "task/task_table.hpp"
#include "task/wait.hpp"

namespace kernel::task {

constinit std::array<FutexBucket, kFutexBuckets> futex_buckets;

namespace {

using Key = FutexKey;

constexpr std::uint64_t kYoungest = ~std::uint64_t{0};
constexpr std::int64_t kTimedOut = -static_cast<std::int64_t>(Error::TimedOut);
constexpr std::int64_t kInterrupted = -static_cast<std::int64_t>(Error::Interrupted);

[[gnu::noinline]] Key key_among_shared(const mm::AddressSpace& space, VirtAddr address) {
    const auto shared = space.shared_place(address);
    return shared.ok() ? Key{reinterpret_cast<std::uint64_t>(shared->file), shared->offset}
                       : FutexKey::of_own(space, address);
}

Key key_of(const mm::AddressSpace& space, VirtAddr address) {
    return space.may_have_shared_place() ? key_among_shared(space, address)
                                         : FutexKey::of_own(space, address);
}

// Those that wait to be sent to a PI futex wait under a name that no word has, so that no other call takes
// them for its own; in the same bucket.
Key towards_pi(const Key& key) {
    return {key.space, key.address | 1};
}

// Stands for a key where there is room for 32 bits: two that differ may share it. Not 0.
std::uint32_t mark_of(const Key& key) {
    return static_cast<std::uint32_t>(key.mixed()) | 1;
}

Result<VirtAddr> checked_address(FutexWord word) {
    const VirtAddr address = mm::user_address(word);
    if (address.value() % kWordBytes != 0) {
        return Error::InvalidArgument;
    }
    return address;
}

// The address and that something is mapped there, for the calls that do not read the word.
Result<VirtAddr> mapped_address(mm::AddressSpace& space, FutexWord word) {
    const VirtAddr address = TRY(checked_address(word));
    TRY(mm::load_word(space, address));
    return address;
}

// What Wait::token of a stand-in says: no wait of a task's own looks like that, so whoever tries to claim it
// as one fails. Guarded by the bucket's lock.
constexpr std::uint32_t kStandsIn = 4;
constexpr std::uint32_t kStoodIn = 5;  // it was claimed, and with it its task's wait

bool is_stand_in(const Wait& wait) {
    return wait.token.load(std::memory_order_relaxed) >= kStandsIn;
}

bool claim_stand_in(Wait& wait) {
    if (wait.token.load(std::memory_order_relaxed) != kStandsIn || !claim_wait(wait.task->wait)) {
        return false;
    }
    wait.token.store(kStoodIn, std::memory_order_relaxed);
    return true;
}

// Ends a claimed wait, or that of the task it stands for.
void finish_waiter(Wait& wait) {
    finish_wait(is_stand_in(wait) ? wait.task->wait : wait, 0);
}

// A part of a call that wakes or moves many: what one kernel section does of it.
constexpr std::uint32_t kWaitersPerStep = 32;
struct Step {
    std::uint32_t done{0};    // waiters woken or moved
    std::uint64_t after{0};   // the last one looked at
    bool is_finished{false};  // there is nobody left to look at, or enough are done
};

// Takes waiters of `key` whose sequence is in (after, until] off the bucket, claimed, up to `count` of those
// with a bit of `bitset`, and gives each to `use`. Those somebody else has claimed are passed over; they are
// no more than the harts are ending waits just now. Pre: the bucket's lock is held.
template <class Use>
Step take_locked(FutexBucket& bucket, const Key& key, std::uint32_t count, std::uint32_t bitset,
                 std::uint64_t after, std::uint64_t until, Use&& use) {
    Step step{.after = after};
    std::uint32_t looked_at = 0;
    while (step.done < count) {
        if (looked_at == kWaitersPerStep) {
            return step;
        }
        Wait* const wait = bucket.first_of(key.space, key.address, step.after);
        if (wait == nullptr || wait->sequence > until) {
            break;
        }
        step.after = wait->sequence;
        if ((wait->bitset & bitset) == 0) {
            ++looked_at;
        } else if (claim_wait(*wait) || claim_stand_in(*wait)) {
            ++looked_at;
            ++step.done;
            bucket.remove(*wait);
            use(*wait);
        }
    }
    step.is_finished = true;
    return step;
}

Step wake_step(const Key& key, std::uint32_t count, std::uint32_t bitset, std::uint64_t after = 0) {
    FutexBucket& bucket = bucket_of(key);
    const LockGuard guard{bucket.lock()};
    return take_locked(bucket, key, count, bitset, after, kYoungest, &finish_waiter);
}

// wake_step() for one waiter, where the oldest there is wants to be woken, or there is none: nearly always.
// Stays: nothing was done, others are to be looked at.
enum class Oldest : std::uint8_t { None, Woken, Stays };
Oldest wake_oldest(const Key& key, std::uint32_t bitset) {
    FutexBucket& bucket = bucket_of(key);
    if (bucket.is_known_empty()) {
        return Oldest::None;
    }
    Wait* wait = nullptr;
    {
        const LockGuard guard{bucket.lock()};
        wait = bucket.first_of(key.space, key.address);
        if (wait == nullptr) {
            bucket.note_if_empty();
            return Oldest::None;
        }
        if ((wait->bitset & bitset) == 0 || !claim_wait(*wait)) {
            return Oldest::Stays;
        }
        bucket.remove(*wait);
        bucket.note_if_empty();
    }
    // Without the lock: the task may run elsewhere before this one goes on, and come here again.
    finish_wait(*wait, 0);
    return Oldest::Woken;
}

// The same on a machine of one hart, where the only wait of the bucket is this one: nearly always. False, and
// nothing done, in other cases. There is nothing to claim and nothing to look for; see finish_wait_alone().
bool wake_only(const mm::AddressSpace& space, VirtAddr address, std::uint32_t bitset) {
    if (!has_one_hart || space.may_have_shared_place()) {
        return false;
    }
    const Key key = FutexKey::of_own(space, address);
    FutexBucket& bucket = bucket_of(key);
    const SharedLockGuard guard{bucket.lock(), true};
    Wait* const only = bucket.only_of(key.space, key.address);
    if (only == nullptr || (only->bitset & bitset) == 0 || !only->is_armed() ||
        !finish_wait_alone(*only, 0)) {
        return false;
    }
    bucket.remove_only();
    return true;
}

// How far a call has come, as Task::call_progress keeps it; 0 = not begun. There are less than 2^16 tasks; a
// bucket sees 2^46 waits in two years of one every microsecond.
struct Progress {
    std::uint32_t done{0};      // 16 bits
    std::uint64_t sequence{0};  // 46 bits; in the call's own terms
    bool is_begun{false};
    bool flag{false};  // in the call's own terms

    static constexpr unsigned kDoneBits = 16;
    static constexpr unsigned kSequenceBits = 46;
    static_assert(kMaxTasks <= 1U << kDoneBits);

    static Progress unpack(std::uint64_t packed) {
        return {.done = static_cast<std::uint32_t>(packed & ((1U << kDoneBits) - 1)),
                .sequence = packed >> kDoneBits & ((std::uint64_t{1} << kSequenceBits) - 1),
                .is_begun = packed >> 63 != 0,
                .flag = (packed >> 62 & 1) != 0};
    }
    [[nodiscard]] std::uint64_t packed() const {
        return std::uint64_t{1} << 63 | std::uint64_t{flag} << 62 | sequence << kDoneBits | done;
    }
};

// Puts a claimed wait, on no queue, among the waiters of `key` and lets the others at it again. What came
// while it was claimed found the claim and gave up, so it is looked for here: a deadline by arming it anew, a
// kill by its flag.
void rearm(Wait& wait, const Key& key) {
    FutexBucket& bucket = bucket_of(key);
    const LockGuard guard{bucket.lock()};
    bucket.expect_wait();
    wait.key = key.space;
    wait.key_high = key.address;
    wait.queue = &bucket;
    if (wait.has_deadline) {
        const Instant deadline = wait.timer.deadline;
        cancel_timer(wait.timer);
        arm_timer(wait.timer, deadline);
    }
    bucket.push(wait);
    // Sequentially consistent, both: whoever kills the task sets must_exit and then tries to claim; one of us
    // two sees the other.
    wait.token.store(wait.armed_token());
    if (wait.task->must_exit.load() && claim_wait(wait)) {
        bucket.remove(wait);
        wait.task->resume = nullptr;
        finish_wait(wait, kInterrupted);
    } else if ((wait.task->exit_work.load() & Task::kSignalWork) != 0 && claim_open_wait(wait)) {
        bucket.remove(wait);
        finish_wait_by_signal(wait);
    }
}

// The operation word of FUTEX_WAKE_OP (futex(2)): 4 bits operation, 4 bits comparison, 12 bits operand, 12
// bits compared.
struct WakeOperation {
    mm::WordOperation change;
    std::uint32_t operand;
    std::uint32_t comparison;
    std::int32_t compared;
};

constexpr std::uint32_t kOperandIsShift = 8;
constexpr std::uint32_t kComparisons = 6;

constexpr std::int32_t sign_extend_12(std::uint32_t value) {
    return static_cast<std::int32_t>(value << 20) >> 20;
}

Result<WakeOperation> decode(std::uint32_t operation) {
    const std::uint32_t code = operation >> 28;
    const std::uint32_t change = code & ~kOperandIsShift;
    const std::uint32_t comparison = (operation >> 24) & 0xf;
    if (change > std::to_underlying(mm::WordOperation::Xor) || comparison >= kComparisons) {
        return Error::NotImplemented;
    }
    auto operand = static_cast<std::uint32_t>(sign_extend_12((operation >> 12) & 0xfff));
    if ((code & kOperandIsShift) != 0) {
        operand = std::uint32_t{1} << (operand & 31);  // as Linux: other shifts make no sense and are cut
    }
    return WakeOperation{static_cast<mm::WordOperation>(change), operand, comparison,
                         sign_extend_12(operation & 0xfff)};
}

bool passes(std::int32_t old, std::uint32_t comparison, std::int32_t compared) {
    switch (comparison) {
        case 0:
            return old == compared;
        case 1:
            return old != compared;
        case 2:
            return old < compared;
        case 3:
            return old <= compared;
        case 4:
            return old > compared;
        default:
            return old >= compared;
    }
}

[[gnu::noinline]] Result<void> load_slowly(mm::AddressSpace& space, VirtAddr address, std::uint32_t& value) {
    value = TRY(mm::load_word(space, address));
    return {};
}

}  // namespace

SysResult futex_wait(Task& caller, FutexWord word, std::uint32_t expected, std::uint32_t bitset,
                     Instant deadline) {
    if (bitset == 0) {
        return Error::InvalidArgument;
    }
    const auto address = checked_address(word);
    if (!address.ok()) {
        return address.error();
    }
    mm::AddressSpace& space = caller.process().space();
    const Key key = key_of(space, *address);
    FutexBucket& bucket = bucket_of(key);
    const SharedLockGuard guard{bucket.lock(), has_one_hart};
    bucket.expect_wait();
    std::uint32_t value = 0;
    // Whoever changes the word wakes afterwards, under the lock: a change that is not seen here finds the
    // wait.
    if (!mm::is_user_range(*address, kWordBytes) || !mm::load_word_at_hand(space, *address, value)) {
        if (const auto loaded = load_slowly(space, *address, value); !loaded.ok()) {
            return loaded.error();
        }
    }
    if (value != expected) {
        return Error::TryAgain;
    }
    begin_wait_in_line(caller, &bucket,
                       {.on_timeout = kTimedOut,
                        .deadline = deadline,
                        .key = key.space,
                        .key_high = key.address,
                        .bitset = bitset,
                        .on_signal = deadline.is_never() ? OnSignal::Restarts : OnSignal::Fails});
    return SysResult::blocked();
}

namespace {

// futex_wake() in any case. Not inlined: the short way keeps less on the stack.
[[gnu::noinline]] SysResult wake_in_steps(Task& caller, VirtAddr address, std::uint32_t count,
                                          std::uint32_t bitset) {
    const Key key = key_of(caller.process().space(), address);
    if (count == 1) {
        if (const Oldest oldest = wake_oldest(key, bitset); oldest != Oldest::Stays) {
            return std::uint64_t{oldest == Oldest::Woken ? 1U : 0U};
        }
    }
    // Progress::sequence: up to whom all were looked at.
    Progress progress = Progress::unpack(caller.call_progress);
    progress.done = std::min(progress.done, count);
    const Step step = wake_step(key, count - progress.done, bitset, progress.sequence);
    progress.done += step.done;
    if (step.is_finished) {
        return std::uint64_t{progress.done};
    }
    progress.sequence = step.after;
    caller.call_progress = progress.packed();
    return SysResult::again();
}

}  // namespace

SysResult futex_wake(Task& caller, FutexWord word, std::uint32_t count, std::uint32_t bitset) {
    if (bitset == 0) {
        return Error::InvalidArgument;
    }
    const auto address = checked_address(word);
    if (!address.ok()) {
        return address.error();
    }
    if (count == 1 && wake_only(caller.process().space(), *address, bitset)) [[likely]] {
        return std::uint64_t{1};
    }
    return wake_in_steps(caller, *address, count, bitset);
}

SysResult futex_requeue(Task& caller, FutexWord from, std::uint32_t wake_count, FutexWord to,
                        std::uint32_t move_count, const std::uint32_t* expected) {
    mm::AddressSpace& space = caller.process().space();
    const auto from_address = mapped_address(space, from);
    if (!from_address.ok()) {
        return from_address.error();
    }
    const auto to_address = mapped_address(space, to);
    if (!to_address.ok()) {
        return to_address.error();
    }
    const Key from_key = key_of(space, *from_address);
    const Key to_key = key_of(space, *to_address);
    // Progress::sequence: the youngest waiter at the time of the comparison; who came later stays.
    Progress progress = Progress::unpack(caller.call_progress);
    std::array<Wait*, kWaitersPerStep> moved;
    std::uint32_t moved_count = 0;
    bool is_finished = false;
    {
        FutexBucket& bucket = bucket_of(from_key);
        const LockGuard guard{bucket.lock()};
        if (!progress.is_begun) {
            if (expected != nullptr) {
                const auto value = mm::load_word(space, *from_address);
                if (!value.ok() || *value != *expected) {
                    return value.ok() ? Error::TryAgain : value.error();
                }
            }
            progress.sequence = bucket.last_sequence();
        }
        const std::uint64_t wanted = std::min<std::uint64_t>(
            std::uint64_t{wake_count} + (from_key == to_key ? 0 : move_count), kMaxTasks);
        const auto left = static_cast<std::uint32_t>(wanted - std::min<std::uint64_t>(progress.done, wanted));
        const Step step =
            take_locked(bucket, from_key, left, kFutexMatchAny, 0, progress.sequence, [&](Wait& wait) {
                if (progress.done++ < wake_count || is_stand_in(wait)) {
                    finish_waiter(wait);
                } else {
                    moved[moved_count++] = &wait;
                }
            });
        is_finished = step.is_finished;
    }
    for (std::uint32_t i = 0; i < moved_count; ++i) {
        rearm(*moved[i], to_key);
    }
    if (is_finished) {
        return std::uint64_t{progress.done};
    }
    caller.call_progress = progress.packed();
    return SysResult::again();
}

SysResult futex_wait_requeue_pi(Task& caller, FutexWord word, std::uint32_t expected, FutexWord to,
                                Instant deadline) {
    mm::AddressSpace& space = caller.process().space();
    const auto address = checked_address(word);
    const auto to_address = mapped_address(space, to);
    if (!address.ok() || !to_address.ok()) {
        return address.ok() ? to_address.error() : address.error();
    }
    const Key plain = key_of(space, *address);
    const Key target = key_of(space, *to_address);
    if (plain == target) {
        return Error::InvalidArgument;
    }
    const Key key = towards_pi(plain);
    FutexBucket& bucket = bucket_of(key);
    const LockGuard guard{bucket.lock()};
    bucket.expect_wait();
    const auto value = mm::load_word(space, *address);
    if (!value.ok() || *value != expected) {
        return value.ok() ? Error::TryAgain : value.error();
    }
    begin_wait(caller, &bucket,
               {.on_timeout = kTimedOut,
                .deadline = deadline,
                .key = key.space,
                .key_high = key.address,
                .bitset = mark_of(target),
                .on_signal = OnSignal::BeginsAnew});
    return SysResult::blocked();
}

SysResult futex_requeue_pi(Task& caller, FutexWord from, FutexWord to, std::uint64_t count,
                           std::uint32_t expected) {
    mm::AddressSpace& space = caller.process().space();
    const auto from_address = mapped_address(space, from);
    const auto to_address = mapped_address(space, to);
    if (!from_address.ok() || !to_address.ok()) {
        return from_address.ok() ? to_address.error() : from_address.error();
    }
    const Key plain = key_of(space, *from_address);
    const Key target = key_of(space, *to_address);
    if (plain == target) {
        return Error::InvalidArgument;
    }
    const Key key = towards_pi(plain);
    const std::uint32_t mark = mark_of(target);
    // Progress::sequence: the youngest waiter at the time of the comparison; who came later stays.
    Progress progress = Progress::unpack(caller.call_progress);
    FutexBucket& bucket = bucket_of(key);
    const LockGuard guard{bucket.lock()};
    if (!progress.is_begun) {
        const auto value = mm::load_word(space, *from_address);
        if (!value.ok() || *value != expected) {
            return value.ok() ? Error::TryAgain : value.error();
        }
        if (bucket.first_of(plain.space, plain.address) != nullptr) {
            return Error::InvalidArgument;
        }
        progress.sequence = bucket.last_sequence();
    }
    const Wait* const first = bucket.first_of(key.space, key.address);
    if (first != nullptr && first->bitset != mark) {
        return progress.done > 0 ? SysResult{std::uint64_t{progress.done}}
                                 : SysResult{Error::InvalidArgument};
    }
    const std::uint64_t wanted = std::min<std::uint64_t>(count, kMaxTasks);
    const auto left = static_cast<std::uint32_t>(wanted - std::min<std::uint64_t>(progress.done, wanted));
    const Step step = take_locked(bucket, key, left, kFutexMatchAny, 0, progress.sequence, &go_on_with_call);
    progress.done += step.done;
    if (step.is_finished) {
        return std::uint64_t{progress.done};
    }
    caller.call_progress = progress.packed();
    return SysResult::again();
}

SysResult futex_wake_op(Task& caller, FutexWord first, std::uint32_t count, FutexWord second,
                        std::uint32_t second_count, std::uint32_t operation) {
    mm::AddressSpace& space = caller.process().space();
    const auto first_address = checked_address(first);
    if (!first_address.ok()) {
        return first_address.error();
    }
    const auto second_address = checked_address(second);
    if (!second_address.ok()) {
        return second_address.error();
    }
    const auto decoded = decode(operation);
    if (!decoded.ok()) {
        return decoded.error();
    }
    // Progress::done: woken at `first`; sequence: woken at `second`; flag: these are to be woken.
    Progress progress = Progress::unpack(caller.call_progress);
    if (!progress.is_begun) {
        // A waiter that compares before this change sees the old value and is woken below; one that compares
        // after it sees the new value. That holds without both bucket locks, because waiting starts under the
        // bucket's lock.
        const auto old = mm::fetch_op_word(space, *second_address, decoded->change, decoded->operand);
        if (!old.ok()) {
            return old.error();
        }
        progress.flag = passes(static_cast<std::int32_t>(*old), decoded->comparison, decoded->compared);
    }
    const auto done_at_second =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(progress.sequence, second_count));
    progress.done = std::min(progress.done, count);
    Step step = wake_step(key_of(space, *first_address), count - progress.done, kFutexMatchAny);
    progress.done += step.done;
    if (step.is_finished && progress.flag) {
        step = wake_step(key_of(space, *second_address), second_count - done_at_second, kFutexMatchAny);
        progress.sequence = done_at_second + step.done;
    }
    if (step.is_finished) {
        return progress.done + progress.sequence;
    }
    caller.call_progress = progress.packed();
    return SysResult::again();
}

Result<void> add_stand_in(Wait& stand_in, mm::AddressSpace& space, FutexWord word, std::uint32_t expected) {
    const VirtAddr address = TRY(checked_address(word));
    const Key key = key_of(space, address);
    FutexBucket& bucket = bucket_of(key);
    const LockGuard guard{bucket.lock()};
    bucket.expect_wait();
    if (TRY(mm::load_word(space, address)) != expected) {
        return Error::TryAgain;
    }
    stand_in.key = key.space;
    stand_in.key_high = key.address;
    stand_in.queue = &bucket;
    stand_in.token.store(kStandsIn, std::memory_order_relaxed);
    bucket.push(stand_in);
    return {};
}

bool remove_stand_in(Wait& stand_in) {
    const LockGuard guard{stand_in.queue->lock()};
    if (stand_in.token.load(std::memory_order_relaxed) == kStoodIn) {
        return true;
    }
    stand_in.queue->remove(stand_in);
    return false;
}

void wake_futex(mm::AddressSpace& space, std::uint64_t user_address, std::uint32_t count) {
    if (user_address % kWordBytes == 0 &&
        !(count == 1 && wake_only(space, VirtAddr{user_address}, kFutexMatchAny))) {
        static_cast<void>(wake_step(key_of(space, VirtAddr{user_address}), count, kFutexMatchAny));
    }
}

}  // namespace kernel::task
