// SPDX-License-Identifier: MIT
#include "sched/balance.hpp"

#include <algorithm>

namespace kernel::sched {

CpuMask MachineBalance::overloaded() const {
    CpuMask any;
    for (std::size_t i = 0; i < kClasses; ++i) {
        any = any | overloaded(i);
    }
    return any;
}

void MachineBalance::note_load(CpuId cpu, const HartLoad& load, CpuMask online) {
    for (std::size_t i = 0; i < kClasses; ++i) {
        const bool is_now = load.is_overloaded(i, cpu, online);
        if (is_now != overloaded(i).contains(cpu)) {
            is_now ? overloaded_[i].add(cpu) : overloaded_[i].remove(cpu);
        }
    }
}

void MachineBalance::forget(CpuId cpu) {
    for (AtomicCpuMask& mask : overloaded_) {
        mask.remove(cpu);
    }
}

bool MachineBalance::try_begin_compression(Instant now) {
    const auto time = static_cast<std::uint64_t>(now.ns());
    std::uint64_t due = next_compression_ns_.load(std::memory_order_relaxed);
    return time >= due && next_compression_ns_.compare_exchange_strong(
                              due, time + static_cast<std::uint64_t>(kCompressSpacing.ns()));
}

namespace balance_detail {

namespace {

constexpr std::int64_t kGapInThresholds = 4;
// A frame without work that is further behind than this follows, so that it never comes near the wrap.
constexpr VirtualSpan kFarBehind = VirtualSpan{1} << 50U;

}  // namespace

bool compute_shifts(std::span<Level> levels, std::uint32_t lightest) {
    const auto working = std::ranges::find_if(levels, &Level::has_work);
    if (working == levels.end()) {
        return false;
    }
    const VirtualTime origin = working->global;
    std::ranges::sort(levels, [&](const Level& a, const Level& b) {
        return a.global - origin != b.global - origin ? a.global - origin < b.global - origin
                                                      : a.has_work && !b.has_work;
    });
    const VirtualSpan widest = span_of(kBalanceThreshold * kGapInThresholds, lightest);
    bool is_needed = false;
    const Level* below = nullptr;  // the last one with work
    VirtualSpan shift = 0;
    for (Level& level : levels) {
        if (level.has_work) {
            const VirtualSpan gap = below == nullptr ? 0 : level.global - below->global;
            shift -= std::max(VirtualSpan{0}, gap - widest);
            level.shift = shift;
            below = &level;
            is_needed = is_needed || shift != 0;
        }
    }
    // Those without work: between the one below and the one above, and not ahead of everyone by more than a
    // gap.
    below = nullptr;
    for (Level& level : levels) {
        if (level.has_work) {
            below = &level;
        } else if (below != nullptr) {
            const VirtualSpan ahead = level.global - below->global;
            level.shift = below->shift - std::max(VirtualSpan{0}, ahead - widest);
            is_needed = is_needed || ahead > widest;
        } else if (origin - level.global > kFarBehind) {
            level.shift = (origin - level.global) - kFarBehind / 2;
            is_needed = true;
        }
    }
    return is_needed;
}

}  // namespace balance_detail

}  // namespace kernel::sched
