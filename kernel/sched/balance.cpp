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

bool MachineBalance::may_have_takers(CpuId cpu) const {
    for (std::size_t i = kClasses; --i > 0;) {
        if (overloaded(i).contains(cpu) && !takers(i).empty()) {
            return true;
        }
    }
    return false;
}

CpuMask MachineBalance::takers(CpuId cpu, const HartLoad& load) const {
    CpuMask found;
    for (std::size_t i = kClasses; --i > 0;) {
        found = found | (load.waiting_mask[i] & takers(i));
    }
    return found.without(CpuMask::of(cpu));
}

bool MachineBalance::note_load(CpuId cpu, const HartLoad& load, CpuMask online) {
    bool is_wanted = false;
    for (std::size_t i = 0; i < kClasses; ++i) {
        const bool is_now = load.is_overloaded(i, cpu, online);
        if (is_now != overloaded(i).contains(cpu)) {
            is_now ? overloaded_[i].add(cpu) : overloaded_[i].remove(cpu);
        }
        const bool takes = load.running_class < i && load.weight[i] == 0;
        if (takes != takers(i).contains(cpu)) {
            takes ? takers_[i].add(cpu) : takers_[i].remove(cpu);
            is_wanted = is_wanted || (takes && !overloaded(i).without(CpuMask::of(cpu)).empty());
        }
    }
    return is_wanted;
}

void MachineBalance::forget(CpuId cpu) {
    for (std::size_t i = 0; i < kClasses; ++i) {
        overloaded_[i].remove(cpu);
        takers_[i].remove(cpu);
    }
}

bool MachineBalance::try_begin_compression(Instant now) {
    const auto time = static_cast<std::uint64_t>(now.ns());
    std::uint64_t due = next_compression_ns_.load(std::memory_order_relaxed);
    return time >= due && next_compression_ns_.compare_exchange_strong(
                              due, time + static_cast<std::uint64_t>(kCompressSpacing.ns()));
}

bool MachineBalance::try_begin_rates(Instant now) {
    if (static_cast<std::uint64_t>(now.ns()) < next_rates_ns_.load(std::memory_order_relaxed)) {
        return false;
    }
    std::uint32_t is_working = 0;
    // Pairs with the release in end_rates(): what the last worker left is seen.
    return is_working_.compare_exchange_strong(is_working, 1, std::memory_order_acquire);
}

void MachineBalance::end_rates(Instant next) {
    next_rates_ns_.store(static_cast<std::uint64_t>(next.ns()), std::memory_order_relaxed);
    is_working_.store(0, std::memory_order_release);
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

CpuMask upper_half(std::span<const Level> levels) {
    const auto counts = [](const Level& level) { return level.has_work && !level.is_closed; };
    auto below = std::ranges::count_if(levels, counts) / 2;
    CpuMask upper;
    for (const Level& level : levels) {
        if (counts(level) && below-- <= 0) {
            upper.add(level.cpu);
        }
    }
    return upper;
}

void describe(const RunQueue& queue, std::size_t index, RateOracle& oracle) {
    std::uint64_t weights = 0;
    for (std::size_t i = 0; i < kClasses; ++i) {
        weights += i == index || !queue.queue(class_at(i)).empty() ? kClassTable[i].weight : 0;
    }
    const std::uint64_t part = std::uint64_t{RateOracle::kHart} * kClassTable[index].weight / weights;
    oracle.set_capacity(queue.cpu(), static_cast<std::uint32_t>(std::max<std::uint64_t>(
                                         1, part * queue.capacity() / kCapacityFull)));
    const ClassQueue& members = queue.queue(class_at(index));
    std::array<std::uint32_t, kMaxMaskGroups> apart{};
    for (const Entity* entity : {static_cast<const Entity*>(members.running()), members.heaviest_waiting()}) {
        if (entity == nullptr) {
            continue;
        }
        const Entity::Position& position = entity->position();
        // Of several on one hart none has it to itself; the heaviest may deserve one.
        if (position.mask_place != MaskGroups::kRest && position.weight * 4 >= members.sum_weight()) {
            apart[position.mask_place] += position.weight;
            oracle.add_heavy(members.masks().all()[position.mask_place].mask, position.weight);
        }
    }
    for (std::size_t i = 0; i < kMaxMaskGroups; ++i) {
        const MaskGroups::Group& group = members.masks().all()[i];
        if (group.count != 0) {
            oracle.add(i == MaskGroups::kRest ? CpuMask::of(queue.cpu()) : group.mask,
                       group.weight - apart[i]);
        }
    }
}

bool is_same(const RateTable& a, const RateTable& b) {
    return (a.generation == 0) == (b.generation == 0) &&
           (a.generation == 0 || (a.whole == b.whole && a.count == b.count && a.rows == b.rows));
}

bool is_another_regime(const RateTable& before, const RateTable& after) {
    if ((before.generation == 0) != (after.generation == 0)) {
        return true;
    }
    const auto differ = [](std::uint64_t a, std::uint64_t b) { return a > b + b / 4 || b > a + a / 4; };
    if (differ(before.whole, after.whole)) {
        return true;
    }
    // In paces of a weight far from every limit.
    constexpr std::uint32_t kProbe = kWeightPerShare * nexus_abi::kSharesDefault;
    for (std::uint32_t i = 0; i < after.count; ++i) {
        if (differ(before.pace_of(kProbe, after.rows[i].mask), after.pace_of(kProbe, after.rows[i].mask))) {
            return true;
        }
    }
    return false;
}

}  // namespace balance_detail

}  // namespace kernel::sched
