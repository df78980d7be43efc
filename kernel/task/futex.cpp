// SPDX-License-Identifier: MIT
#include "task/futex.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <utility>

#include "mm/user_memory.hpp"
#include "task/dispatcher.hpp"
#include "task/process.hpp"
#include "task/wait.hpp"

namespace kernel::task {

namespace {

constexpr std::size_t kBuckets = 256;
constexpr std::uint64_t kWordBytes = sizeof(std::uint32_t);
constexpr std::int64_t kTimedOut = -static_cast<std::int64_t>(Error::TimedOut);
constexpr std::int64_t kInterrupted = -static_cast<std::int64_t>(Error::Interrupted);

struct FutexBucket : WaitQueue {
    constexpr FutexBucket() : WaitQueue{LockRank::FutexBucket} {}
};
constinit std::array<FutexBucket, kBuckets> buckets;

// A futex's name: Wait::key is the address space, key_high the address.
struct Key {
    std::uint64_t space;
    std::uint64_t address;
    bool operator==(const Key&) const = default;
};

Key key_of(const mm::AddressSpace& space, VirtAddr address) {
    return {reinterpret_cast<std::uint64_t>(&space), address.value()};
}

FutexBucket& bucket_of(const Key& key) {
    // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the top bits of a multiple of 2^64 / golden ratio spread
    // neighbours.
    constexpr std::uint64_t kMultiplier = 0x9e37'79b9'7f4a'7c15;
    const std::uint64_t mixed = (std::rotl(key.space, 32) ^ (key.address / kWordBytes)) * kMultiplier;
    return buckets[mixed >> (64 - std::countr_zero(kBuckets))];
}

bool matches(const Wait& wait, const Key& key, std::uint32_t bitset) {
    return wait.key == key.space && wait.key_high == key.address && (wait.bitset & bitset) != 0;
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

// Pre: the bucket's lock is held.
std::uint32_t wake_locked(FutexBucket& bucket, const Key& key, std::uint32_t count, std::uint32_t bitset) {
    std::uint32_t woken = 0;
    for (Wait* wait = bucket.front(); wait != nullptr && woken < count;) {
        Wait* const following = bucket.next(*wait);
        if (matches(*wait, key, bitset) && claim_wait(*wait)) {
            bucket.remove(*wait);
            finish_wait(*wait, 0);
            ++woken;
        }
        wait = following;
    }
    return woken;
}

std::uint32_t wake_key(const Key& key, std::uint32_t count, std::uint32_t bitset) {
    FutexBucket& bucket = bucket_of(key);
    const LockGuard guard{bucket.lock()};
    return wake_locked(bucket, key, count, bitset);
}

// Puts a claimed wait, on no queue, among the waiters of `key` and lets the others at it again. What came
// while it was claimed found the claim and gave up, so it is looked for here: a deadline by arming it anew, a
// kill by its flag.
void rearm(Wait& wait, const Key& key) {
    FutexBucket& bucket = bucket_of(key);
    const LockGuard guard{bucket.lock()};
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
    wait.token.store(Wait::Armed);
    if (wait.task->must_exit.load() && claim_wait(wait)) {
        bucket.remove(wait);
        wait.task->resume = nullptr;
        finish_wait(wait, kInterrupted);
    }
}

// Takes up to `count` waiters of `key` off their bucket, claimed, and returns them one by one to `move`, with
// no lock held.
template <class Move>
std::uint32_t move_waiters(const Key& key, std::uint32_t count, Move&& move) {
    FutexBucket& bucket = bucket_of(key);
    std::uint32_t moved = 0;
    while (moved < count) {
        Wait* taken = nullptr;
        {
            const LockGuard guard{bucket.lock()};
            for (Wait* wait = bucket.front(); wait != nullptr; wait = bucket.next(*wait)) {
                if (matches(*wait, key, kFutexMatchAny) && claim_wait(*wait)) {
                    bucket.remove(*wait);
                    taken = wait;
                    break;
                }
            }
        }
        if (taken == nullptr) {
            break;
        }
        move(*taken);
        ++moved;
    }
    return moved;
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
    const LockGuard guard{bucket.lock()};
    const auto value = mm::load_word(space, *address);
    if (!value.ok()) {
        return value.error();
    }
    if (*value != expected) {
        return Error::TryAgain;
    }
    begin_wait(caller, &bucket,
               {.on_timeout = kTimedOut,
                .deadline = deadline,
                .key = key.space,
                .key_high = key.address,
                .bitset = bitset});
    return SysResult::blocked();
}

Result<std::uint64_t> futex_wake(mm::AddressSpace& space, FutexWord word, std::uint32_t count,
                                 std::uint32_t bitset) {
    if (bitset == 0) {
        return Error::InvalidArgument;
    }
    const VirtAddr address = TRY(checked_address(word));
    return std::uint64_t{wake_key(key_of(space, address), count, bitset)};
}

Result<std::uint64_t> futex_requeue(mm::AddressSpace& space, FutexWord from, std::uint32_t wake_count,
                                    FutexWord to, std::uint32_t move_count, const std::uint32_t* expected) {
    const Key from_key = key_of(space, TRY(mapped_address(space, from)));
    const Key to_key = key_of(space, TRY(mapped_address(space, to)));
    std::uint32_t affected = 0;
    {
        FutexBucket& bucket = bucket_of(from_key);
        const LockGuard guard{bucket.lock()};
        if (expected != nullptr && TRY(mm::load_word(space, VirtAddr{from_key.address})) != *expected) {
            return Error::TryAgain;
        }
        affected = wake_locked(bucket, from_key, wake_count, kFutexMatchAny);
    }
    if (from_key != to_key) {
        affected += move_waiters(from_key, move_count, [&](Wait& wait) { rearm(wait, to_key); });
    }
    return std::uint64_t{affected};
}

Result<std::uint64_t> futex_wake_op(mm::AddressSpace& space, FutexWord first, std::uint32_t count,
                                    FutexWord second, std::uint32_t second_count, std::uint32_t operation) {
    const VirtAddr first_address = TRY(checked_address(first));
    const VirtAddr second_address = TRY(checked_address(second));
    const WakeOperation decoded = TRY(decode(operation));
    // A waiter that compares before this change sees the old value and is woken below; one that compares
    // after it sees the new value. That holds without both bucket locks, because waiting starts under the
    // bucket's lock.
    const auto old = static_cast<std::int32_t>(
        TRY(mm::fetch_op_word(space, second_address, decoded.change, decoded.operand)));
    std::uint32_t woken = wake_key(key_of(space, first_address), count, kFutexMatchAny);
    if (passes(old, decoded.comparison, decoded.compared)) {
        woken += wake_key(key_of(space, second_address), second_count, kFutexMatchAny);
    }
    return std::uint64_t{woken};
}

void wake_futex(mm::AddressSpace& space, std::uint64_t user_address, std::uint32_t count) {
    if (user_address % kWordBytes == 0) {
        wake_key(key_of(space, VirtAddr{user_address}), count, kFutexMatchAny);
    }
}

}  // namespace kernel::task
