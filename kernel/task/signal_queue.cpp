// SPDX-License-Identifier: MIT
#include "task/signal_queue.hpp"

#include "mm/slab.hpp"

namespace kernel::task {

namespace {

constinit mm::ObjectPool<QueuedSignal> pool;

constexpr std::uint64_t bit_of(std::uint32_t number) {
    return std::uint64_t{1} << (number - 1);
}

}  // namespace

Result<void> PendingSignals::add(std::uint32_t number, const SignalInfo& info) {
    DCHECK(number >= 1 && number <= kSignalCount);
    if (info.code == signal::kFromTimer) {
        constexpr std::uint64_t kIdMask = 0xffff'ffff;
        constexpr std::uint64_t kMostOverruns = 0x7fff'ffff;  // DELAYTIMER_MAX
        for (QueuedSignal* item = queue_.front(); item != nullptr; item = queue_.next(*item)) {
            if (item->number == number && item->info.code == signal::kFromTimer &&
                ((item->info.first ^ info.first) & kIdMask) == 0) {
                const std::uint64_t overruns = (item->info.first >> 32) + (info.first >> 32) + 1;
                item->info.first =
                    (info.first & kIdMask) | (overruns < kMostOverruns ? overruns : kMostOverruns) << 32;
                return {};
            }
        }
    }
    if (number < kFirstQueued && (set() & bit_of(number)) != 0) {
        return {};
    }
    set_.store(set() | bit_of(number), std::memory_order_relaxed);
    const auto record = count_ < kMaxQueuedSignals ? pool.create() : Result<QueuedSignal*>{Error::TryAgain};
    if (!record.ok()) {
        return Error::TryAgain;
    }
    (*record)->number = number;
    (*record)->info = info;
    queue_.push_back(**record);
    ++count_;
    return {};
}

SignalInfo PendingSignals::take(std::uint32_t number) {
    DCHECK((set() & bit_of(number)) != 0);
    SignalInfo info;
    QueuedSignal* taken = nullptr;
    bool has_more = false;
    for (QueuedSignal* item = queue_.front(); item != nullptr && !has_more; item = queue_.next(*item)) {
        if (item->number == number) {
            has_more = taken != nullptr;
            taken = taken == nullptr ? item : taken;
        }
    }
    if (!has_more) {
        set_.store(set() & ~bit_of(number), std::memory_order_relaxed);
    }
    if (taken != nullptr) {
        info = taken->info;
        queue_.remove(*taken);
        pool.destroy(taken);
        --count_;
    }
    return info;
}

void PendingSignals::drop(std::uint64_t set) {
    if ((set_.load(std::memory_order_relaxed) & set) == 0) {
        return;
    }
    set_.store(set_.load(std::memory_order_relaxed) & ~set, std::memory_order_relaxed);
    for (QueuedSignal* item = queue_.front(); item != nullptr;) {
        QueuedSignal* const following = queue_.next(*item);
        if ((set & bit_of(item->number)) != 0) {
            queue_.remove(*item);
            pool.destroy(item);
            --count_;
        }
        item = following;
    }
}

}  // namespace kernel::task
