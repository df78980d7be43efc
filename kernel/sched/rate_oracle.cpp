// SPDX-License-Identifier: MIT
#include "sched/rate_oracle.hpp"

#include <algorithm>

#include "lib/check.hpp"

namespace kernel::sched {

namespace {

// Levels closer than this are one: 2^-9 of their size. It covers the rounding of rates to units.
constexpr std::uint64_t kAlike = RateTable::kFactorOne >> 9U;

// (a / b) in RateTable's factors. Pre: a < 2^56, 0 < b < 2^56. Saturates at kLongestFactor.
std::uint64_t factor_of(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t whole = a / b;
    if (whole >= RateTable::kLongestFactor >> RateTable::kFactorShift) {
        return RateTable::kLongestFactor;
    }
    std::uint64_t rest = a % b;
    while ((rest >> 47U) != 0) {
        rest >>= 1U;
        b >>= 1U;
    }
    return (whole << RateTable::kFactorShift) + (rest << RateTable::kFactorShift) / b;
}

}  // namespace

void RateOracle::begin(CpuMask harts) {
    harts_ = harts;
    capacity_.fill(kHart);
    groups_.fill(Group{});
    group_count_ = heavy_count_ = 0;
    has_limited_ = has_shared_ = false;
    phase_ = Phase::Level;
    tried_ = 0;
    table_ = RateTable{};
}

// The group of a mask. When there are too many masks: the group that has most harts in common with it.
std::uint32_t RateOracle::group_of(CpuMask mask) {
    std::uint32_t closest = 0;
    std::uint32_t most = 0;
    for (std::uint32_t i = 0; i < group_count_; ++i) {
        if (groups_[i].mask == mask) {
            return i;
        }
        const std::uint32_t common = (groups_[i].mask & mask).count();
        if (common > most) {
            most = common;
            closest = i;
        }
    }
    if (group_count_ == kMaxRateGroups) {
        return closest;
    }
    groups_[group_count_].mask = groups_[group_count_].open = mask;
    return group_count_++;
}

void RateOracle::add(CpuMask mask, std::uint64_t weight) {
    mask = mask & harts_;
    if (!mask.empty() && weight != 0) {
        groups_[group_of(mask)].weight += weight;
    }
}

void RateOracle::add_heavy(CpuMask mask, std::uint32_t weight) {
    mask = mask & harts_;
    if (mask.empty()) {
        return;
    }
    Heavy heavy{.weight = weight, .group = group_of(mask)};
    for (std::uint32_t i = 0; i < heavy_count_; ++i) {
        if (heavies_[i].weight < heavy.weight) {
            std::swap(heavies_[i], heavy);
        }
    }
    if (heavy_count_ < kMaxHeavies) {
        heavies_[heavy_count_++] = heavy;
    } else {
        groups_[heavy.group].weight += heavy.weight;
    }
}

bool RateOracle::step() {
    work_ = 0;
    while (phase_ != Phase::Done && work_ < kWorkPerStep) {
        if (phase_ == Phase::Level) {
            begin_level();
        } else if (!route_more()) {
            fix_tried();
        }
    }
    return phase_ == Phase::Done;
}

// The level at which the tried groups use up all the harts they may use, if only they could all be reached.
// With nothing tried yet: all that are not fixed.
void RateOracle::begin_level() {
    if (tried_ == 0) {
        limit_ = 0;
        harts_.for_each([&](CpuId cpu) { limit_ = std::max(limit_, capacity_[cpu.value()]); });
        for (std::uint32_t i = 0; i < group_count_; ++i) {
            tried_ |= groups_[i].is_fixed ? 0 : GroupSet{1} << i;
        }
        if (tried_ == 0) {
            complete();
            return;
        }
    }
    CpuMask harts;
    std::uint64_t weight = 0;
    for (std::uint32_t i = 0; i < group_count_; ++i) {
        if (is_tried(i)) {
            harts = harts | groups_[i].open;
            weight += groups_[i].weight;
        }
    }
    std::uint64_t capacity = 0;
    harts.for_each([&](CpuId cpu) { capacity += capacity_[cpu.value()]; });
    std::uint32_t lightest = 0;
    for (std::uint32_t i = 0; i < heavy_count_; ++i) {
        weight += is_tried(heavies_[i].group) ? heavies_[i].weight : 0;
    }
    // Who would get more than a hart gets one, and the others share the rest. The heaviest come first.
    for (std::uint32_t i = 0; i < heavy_count_; ++i) {
        const Heavy& heavy = heavies_[i];
        if (!is_tried(heavy.group)) {
            continue;
        }
        if (heavy.weight * capacity < weight * limit_) {
            break;
        }
        capacity -= std::min<std::uint64_t>(capacity, limit_);
        weight -= heavy.weight;
        lightest = heavy.weight;
    }
    num_ = weight == 0 ? limit_ : capacity;
    den_ = weight == 0 ? std::max(lightest, 1U) : weight;
    begin_flow();
}

void RateOracle::begin_flow() {
    used_.fill(0);
    for (std::uint32_t i = 0; i < group_count_; ++i) {
        Group& group = groups_[i];
        if (is_tried(i)) {
            flow_[i].fill(0);
            work_ += kMaxCpus / 8;  // written, not looked at one by one
            group.demand = rate_of(group.weight);
            group.routed = 0;
        }
    }
    for (std::uint32_t i = 0; i < heavy_count_; ++i) {
        if (is_tried(heavies_[i].group)) {
            groups_[heavies_[i].group].demand += std::min<std::uint64_t>(limit_, rate_of(heavies_[i].weight));
        }
    }
    work_ += group_count_ + heavy_count_;
    phase_ = Phase::Flow;
}

// Finds room for more of a demand that is not met yet; true when it did. False: all are met, or, with a
// smaller set of groups left in tried_, those groups want more than all their harts have.
bool RateOracle::route_more() {
    std::array<std::uint8_t, kMaxCpus> via_group;
    std::array<std::uint8_t, kMaxRateGroups> via_hart;
    std::array<std::uint8_t, kMaxRateGroups> queue;
    std::uint32_t head = 0;
    std::uint32_t tail = 0;
    GroupSet sources = 0;
    for (std::uint32_t i = 0; i < group_count_; ++i) {
        if (is_tried(i) && groups_[i].routed < groups_[i].demand) {
            sources |= GroupSet{1} << i;
            queue[tail++] = static_cast<std::uint8_t>(i);
        }
    }
    if (sources == 0) {
        return false;
    }
    GroupSet reached = sources;
    CpuMask reached_harts;
    while (head < tail) {
        const std::uint32_t group = queue[head++];
        const CpuMask fresh = groups_[group].open.without(reached_harts);
        reached_harts = reached_harts | fresh;
        for (auto rest = fresh.bits(); rest != 0; rest &= rest - 1) {
            const auto hart = CpuMask::from_bits(rest).lowest().value();
            via_group[hart] = static_cast<std::uint8_t>(group);
            if (used_[hart] < capacity_[hart]) {
                follow_path(hart, via_group, via_hart, sources);
                return true;
            }
            for (std::uint32_t i = 0; i < group_count_; ++i) {
                ++work_;
                if (is_tried(i) && ((reached >> i) & 1U) == 0 && flow_[i][hart] != 0) {
                    reached |= GroupSet{1} << i;
                    via_hart[i] = static_cast<std::uint8_t>(hart);
                    queue[tail++] = static_cast<std::uint8_t>(i);
                }
            }
        }
    }
    tried_ = reached;
    phase_ = Phase::Level;
    return true;
}

// Moves as much as fits along the path that ends in `hart`.
void RateOracle::follow_path(std::uint32_t hart, const std::array<std::uint8_t, kMaxCpus>& via_group,
                             const std::array<std::uint8_t, kMaxRateGroups>& via_hart, GroupSet sources) {
    std::uint32_t amount = capacity_[hart] - used_[hart];
    std::uint32_t group = via_group[hart];
    while (((sources >> group) & 1U) == 0) {
        ++work_;
        amount = std::min(amount, flow_[group][via_hart[group]]);
        group = via_group[via_hart[group]];
    }
    Group& source = groups_[group];
    amount = static_cast<std::uint32_t>(std::min<std::uint64_t>(amount, source.demand - source.routed));
    source.routed += amount;
    used_[hart] += amount;
    for (group = via_group[hart];; group = via_group[hart]) {
        flow_[group][hart] += amount;
        if (((sources >> group) & 1U) != 0) {
            break;
        }
        hart = via_hart[group];
        flow_[group][hart] -= amount;
    }
    ++work_;
}

// The tried groups have their level; their harts are not the others' any more.
void RateOracle::fix_tried() {
    CpuMask harts;
    for (std::uint32_t i = 0; i < group_count_; ++i) {
        if (is_tried(i)) {
            groups_[i].is_fixed = true;
            groups_[i].level_num = num_;
            groups_[i].level_den = den_;
            harts = harts | groups_[i].open;
            has_shared_ = has_shared_ || groups_[i].weight != 0;
        }
    }
    for (std::uint32_t i = 0; i < heavy_count_; ++i) {
        if (is_tried(heavies_[i].group)) {
            const bool is_limited = rate_of(heavies_[i].weight) >= limit_;
            has_limited_ = has_limited_ || is_limited;
            has_shared_ = has_shared_ || !is_limited;
        }
    }
    for (std::uint32_t i = 0; i < group_count_; ++i) {
        groups_[i].open = groups_[i].open.without(harts);
    }
    tried_ = 0;
    phase_ = Phase::Level;
}

// Factors relative to the lowest level, so that none is below 1.
void RateOracle::complete() {
    phase_ = Phase::Done;
    if (group_count_ == 0) {
        return;
    }
    const Group* least = &groups_[0];
    for (std::uint32_t i = 1; i < group_count_; ++i) {
        if (groups_[i].level_num * least->level_den < least->level_num * groups_[i].level_den) {
            least = &groups_[i];
        }
    }
    bool has_levels = false;
    for (std::uint32_t i = 0; i < group_count_; ++i) {
        std::uint64_t factor =
            factor_of(groups_[i].level_num * least->level_den, groups_[i].level_den * least->level_num);
        factor = factor < RateTable::kFactorOne + kAlike ? RateTable::kFactorOne : factor;
        has_levels = has_levels || factor != RateTable::kFactorOne;
        table_.rows[i] = {.mask = groups_[i].mask, .factor = factor};
    }
    table_.count = group_count_;
    // Where everybody can have a hart, there is nothing to weigh against each other.
    if (has_shared_ && (has_levels || has_limited_)) {
        const std::uint64_t whole = limit_ * least->level_den / std::max<std::uint64_t>(1, least->level_num);
        table_.whole = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(whole, 1, RateTable::kNoLimit));
        table_.generation = 1;
    }
}

}  // namespace kernel::sched
