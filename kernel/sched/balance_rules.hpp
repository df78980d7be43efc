// SPDX-License-Identifier: MIT
// The rules of balance.hpp; include that.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sched/balance.hpp"

namespace kernel::sched {

namespace balance_detail {

// How far `behind` is behind `ahead`, in the service of something of this weight.
constexpr Duration service_behind(VirtualTime ahead, VirtualTime behind, std::uint32_t weight) {
    const Int128 units = Int128{ahead - behind} * weight / kVirtualPerNs;
    constexpr auto kFar = Int128{1} << 48U;  // days: everything beyond is alike
    return Duration::nanoseconds(static_cast<std::int64_t>(std::clamp(units, -kFar, kFar)));
}

// The members of `harts`, at most `limit`, in turn from the one after `self` and on from where the last probe
// ended when there are more.
template <class F>
void probe(CpuMask harts, CpuId self, BalanceState& state, std::uint32_t limit, F&& f) {
    harts.remove(self);
    CpuId at = harts.count() > limit ? state.cursor : self;
    for (std::uint32_t i = 0; i < limit && !harts.empty(); ++i) {
        at = harts.next_from(at);
        harts.remove(at);
        if (f(at)) {
            break;
        }
    }
    state.cursor = at;
}

// Takes what choose(RunQueue&) names off the queue of `from` and sends it to `to`, which choose() may still
// set. True when there was something.
template <Harts H, class Choose>
bool move_task(H& harts, CpuId from, const CpuId& to, Choose&& choose) {
    Entity* found = nullptr;
    harts.with_queue(from, [&](RunQueue& queue) {
        found = choose(queue);
        if (found != nullptr) {
            if (found == queue.current()) {
                queue.put_current(harts.now(), PutReason::Migrate);
            } else {
                queue.remove(*found, harts.now());
            }
            harts.set_home(*found, to);
        }
        return found != nullptr;
    });
    if (found != nullptr) {
        harts.send(*found, to);
    }
    return found != nullptr;
}

// A waiting task of the class comes to `self`, if there is one within the probe of `limit` loads. `left`:
// queues that may be locked, counted down.
template <Harts H>
bool pull_class(H& harts, CpuId self, BalanceState& state, std::size_t index, std::uint32_t limit,
                std::uint32_t& left) {
    bool found = false;
    const CpuMask victims = harts.machine().overloaded(index) & harts.online();
    probe(victims, self, state, limit, [&](CpuId victim) {
        const HartLoad load = harts.load(victim);
        if (load.waiting_mask[index].contains(self)) {
            --left;
            found = move_task(harts, victim, self,
                              [&](RunQueue& queue) { return queue.find_stealable(self, index); });
        }
        return found || left == 0;
    });
    return found;
}

// Where a task could be pushed.
struct Target {
    CpuId cpu;
    std::uint8_t running_class{HartLoad::kIdle};
    std::array<VirtualTime, kClasses> global{};
    std::array<std::uint32_t, kClasses> weight{};
    std::uint8_t whole_classes{0};
};

// Reads what push() compares to: at most kProbedHarts harts on which something that waits on self may run.
template <Harts H>
std::uint32_t find_targets(H& harts, CpuId self, BalanceState& state, Instant now,
                           std::array<Target, kProbedHarts>& targets) {
    const HartLoad mine = harts.load(self);
    CpuMask wanted = mine.running_mask;
    for (const CpuMask mask : mine.waiting_mask) {
        wanted = wanted | mask;
    }
    std::uint32_t count = 0;
    const auto look_at = [&](CpuId cpu) {
        const HartLoad load = harts.load(cpu);
        if (load.epoch != mine.epoch) {
            return false;
        }
        Target& target = targets[count++];
        target.cpu = cpu;
        target.running_class = load.running_class;
        target.whole_classes = load.whole_classes;
        for (std::size_t i = 0; i < kClasses; ++i) {
            target.weight[i] = load.weight[i];
            target.global[i] = load.global_at(i, now);
        }
        return false;
    };
    wanted = wanted & harts.online();
    // Where there are too many to look at, first those that were ahead lately.
    CpuMask ahead;
    if (wanted.count() > kProbedHarts) {
        for (std::size_t i = 0; i < kClasses; ++i) {
            ahead = ahead | (mine.weight[i] != 0 ? harts.machine().ahead(i) : CpuMask{});
        }
    }
    probe(wanted & ahead, self, state, kProbedHarts, look_at);
    if (count < kProbedHarts) {
        probe(wanted.without(ahead), self, state, kProbedHarts - count, look_at);
    }
    return count;
}

// What is best pushed, and where to.
struct PushChoice {
    Entity* entity{nullptr};
    CpuId to;
    Duration lag{kBalanceThreshold};
};

// How far behind `target` a member of `queue` that stands at `global` is, in its own service; zero where it
// has no business there. A hart that one task deserves for itself is nobody's target, and whoever else is on
// such a hart leaves as soon as it is behind at all: what that task loses it can never catch up with.
inline Duration reason_to_push(const RunQueue& queue, std::size_t index, const Target& target,
                               const Entity& entity, VirtualTime global) {
    const ClassQueue& members = queue.queue(class_at(index));
    const Entity::Position& position = entity.position();
    const bool is_closed = ((target.whole_classes >> index) & 1U) != 0;
    if (!queue.allows(entity, target.cpu) || is_closed) {
        return Duration{};
    }
    if (&entity == queue.current()) {
        // It runs here and now: it moves only to where it would be served better.
        const bool is_at_home = position.is_whole && members.wholes() == 1;
        if (is_at_home || target.weight[index] + position.weight >= members.sum_weight()) {
            return Duration{};
        }
    }
    if (target.weight[index] == 0) {
        const bool runs_lower = target.running_class == HartLoad::kIdle || target.running_class < index;
        return runs_lower ? Duration::max() : Duration{};
    }
    const Duration lag = service_behind(target.global[index], global, position.pace);
    const bool is_guest = members.wholes() != 0 && !position.is_whole;
    return is_guest && lag > Duration{} ? lag + kBalanceThreshold : lag;
}

// Of one class, the one about to run included.
inline void choose_push(const RunQueue& queue, std::size_t index, std::span<const Target> targets,
                        PushChoice& best) {
    CpuMask allowed;
    for (const Target& target : targets) {
        allowed.add(target.cpu);
    }
    const auto consider = [&](Entity& entity, VirtualTime global) {
        for (const Target& target : targets) {
            const Duration lag = reason_to_push(queue, index, target, entity, global);
            if (lag > best.lag) {
                best = {.entity = &entity, .to = target.cpu, .lag = lag};
            }
        }
    };
    queue.for_candidates(index, allowed, consider);
    const ClassQueue& members = queue.queue(class_at(index));
    if (members.running() != nullptr && best.entity == nullptr) {
        consider(*members.running(), members.global_of(*members.running()));
    }
}

}  // namespace balance_detail

template <Harts H>
bool idle_pull(H& harts, CpuId self, BalanceState& state) {
    std::uint32_t left = kProbedVictims;
    for (std::size_t i = kClasses; i-- > 0 && left > 0;) {
        // It has nothing better to do than to ask everyone who says that work waits there.
        if (balance_detail::pull_class(harts, self, state, i, kMaxCpus, left)) {
            ++state.idle_pulls;
            return true;
        }
    }
    return false;
}

template <Harts H>
bool class_pull(H& harts, CpuId self, BalanceState& state, std::size_t picked) {
    CpuMask victims;
    for (std::size_t i = kClasses; --i > picked;) {
        victims = victims | harts.machine().overloaded(i);
    }
    if (victims.without(CpuMask::of(self)).empty()) {
        return false;
    }
    const HartLoad mine = harts.load(self);
    std::uint32_t left = kProbedVictims;
    for (std::size_t i = kClasses; --i > picked && left > 0;) {
        // Where the class has work here, it is not its turn: more of it would wait as well.
        if (mine.weight[i] == 0 && balance_detail::pull_class(harts, self, state, i, kMaxCpus, left)) {
            ++state.class_pulls;
            return true;
        }
    }
    return false;
}

template <Harts H>
bool answer_call(H& harts, CpuId self, BalanceState& state) {
    const std::uint8_t running = harts.load(self).running_class;
    return running != HartLoad::kIdle && class_pull(harts, self, state, running);
}

template <Harts H>
bool push(H& harts, CpuId self, BalanceState& state) {
    const Instant now = harts.now();
    if (now < state.next_push) {
        return false;
    }
    std::array<balance_detail::Target, kProbedHarts> targets;
    const std::uint32_t count = balance_detail::find_targets(harts, self, state, now, targets);
    balance_detail::PushChoice choice;
    const bool is_pushed =
        count != 0 && balance_detail::move_task(harts, self, choice.to, [&](RunQueue& queue) {
            for (std::size_t i = kClasses; i-- > 0 && choice.lag != Duration::max();) {
                balance_detail::choose_push(queue, i, std::span{targets}.first(count), choice);
            }
            return choice.entity;
        });
    state.next_push = now + (is_pushed ? kPushSpacing : kPullSpacing);
    state.pushes += is_pushed ? 1 : 0;
    return is_pushed;
}

template <Harts H>
bool pull_at_pick(H& harts, CpuId self, BalanceState& state, std::size_t picked, VirtualTime next) {
    const Instant now = harts.now();
    const CpuMask victims = harts.machine().overloaded(picked) & harts.online();
    if (now < state.next_pull || victims.without(CpuMask::of(self)).empty()) {
        return false;
    }
    const HartLoad mine = harts.load(self);
    const std::uint32_t epoch = mine.epoch;
    if (((mine.whole_classes >> picked) & 1U) != 0) {
        return false;
    }
    bool found = false;
    balance_detail::probe(victims, self, state, kProbedVictims, [&](CpuId victim) {
        const HartLoad load = harts.load(victim);
        if (load.epoch != epoch || !load.waiting_mask[picked].contains(self)) {
            return false;
        }
        const VirtualTime level = earlier(next, load.global_at(picked, now));
        const auto behind = [&](VirtualTime global, std::uint32_t weight) {
            return balance_detail::service_behind(level, global, weight);
        };
        // Behind its own hart's mean is the least any of them is behind.
        if (balance_detail::service_behind(load.global[picked], load.least[picked], load.heaviest[picked]) <=
            kBalanceThreshold) {
            return false;
        }
        found = balance_detail::move_task(harts, victim, self, [&](RunQueue& queue) {
            Entity* best = nullptr;
            Duration most = kBalanceThreshold;
            queue.for_candidates(picked, CpuMask::of(self), [&](Entity& entity, VirtualTime global) {
                if (const Duration lag = behind(global, entity.position().pace); lag > most) {
                    best = &entity;
                    most = lag;
                }
            });
            return best;
        });
        return found;
    });
    state.pulls_at_pick += found ? 1 : 0;
    state.next_pull = now + kPullSpacing;
    return found;
}

namespace balance_detail {

// Where one class stands on every hart.
struct Level {
    CpuId cpu;
    VirtualTime global;
    VirtualSpan shift{0};
    bool has_work{false};
    bool is_closed{false};  // one task deserves the hart for itself
};

// Of the harts that have work and are not closed, those that are further than the middle one. Pre: sorted, as
// compute_shifts() leaves them.
CpuMask upper_half(std::span<const Level> levels);

// The shifts that bring the levels of one class together. True when one is not 0. Levels without work follow
// those below them and end no further ahead than the next one above.
bool compute_shifts(std::span<Level> levels, std::uint32_t lightest);

}  // namespace balance_detail

template <Harts H>
bool compress(H& harts, BalanceState& state) {
    const Instant now = harts.now();
    const CpuMask online = harts.online();
    std::array<std::array<VirtualSpan, kClasses>, kMaxCpus> shifts{};
    bool is_needed = false;
    bool has_epoch = false;
    std::uint32_t epoch = 0;
    for (std::size_t i = 0; i < kClasses; ++i) {
        std::array<balance_detail::Level, kMaxCpus> levels;
        std::size_t count = 0;
        std::uint32_t lightest = ~std::uint32_t{0};
        online.for_each([&](CpuId cpu) {
            const HartLoad load = harts.load(cpu);
            is_needed = is_needed || (has_epoch && load.epoch != epoch);
            epoch = load.epoch;
            has_epoch = true;
            levels[count++] = {.cpu = cpu, .global = load.global_at(i, now), .has_work = load.weight[i] != 0};
            if (load.weight[i] != 0) {
                lightest = std::min(lightest, load.lightest[i]);
            }
        });
        const auto used = std::span{levels}.first(count);
        is_needed = balance_detail::compute_shifts(used, lightest) || is_needed;
        harts.machine().set_ahead(i, balance_detail::upper_half(used));
        for (const balance_detail::Level& level : used) {
            shifts[level.cpu.value()][i] = level.shift;
        }
    }
    if (!is_needed) {
        return false;
    }
    const std::uint32_t next = harts.machine().next_epoch();
    online.for_each([&](CpuId cpu) {
        harts.with_queue(cpu, [&](RunQueue& queue) {
            queue.shift_frames(shifts[cpu.value()], next);
            return true;
        });
    });
    ++state.compressions;
    return true;
}

namespace balance_detail {

// What one class of one hart asks of the machine.
void describe(const RunQueue& queue, std::size_t index, RateOracle& oracle);
// The generation apart.
bool is_same(const RateTable& a, const RateTable& b);
// The paces differ so much that what was saved up under the old ones means nothing.
bool is_another_regime(const RateTable& before, const RateTable& after);

// Puts every hart's frame of a class where the foremost is.
template <Harts H>
void level_frames(H& harts, std::size_t index) {
    const Instant now = harts.now();
    const CpuMask online = harts.online();
    bool has_first = false;
    VirtualTime foremost;
    online.for_each([&](CpuId cpu) {
        const HartLoad load = harts.load(cpu);
        if (load.weight[index] != 0) {
            const VirtualTime global = load.global_at(index, now);
            foremost = has_first ? later(foremost, global) : global;
            has_first = true;
        }
    });
    const std::uint32_t epoch = harts.machine().next_epoch();
    online.for_each([&](CpuId cpu) {
        const HartLoad load = harts.load(cpu);
        std::array<VirtualSpan, kClasses> shifts{};
        shifts[index] = has_first ? foremost - load.global_at(index, now) : 0;
        harts.with_queue(cpu, [&](RunQueue& queue) {
            queue.shift_frames(shifts, epoch);
            return true;
        });
    });
}

}  // namespace balance_detail

template <Harts H>
void update_rates(H& harts, BalanceState& state) {
    MachineBalance::Rates& rates = harts.machine().rates();
    const CpuMask online = harts.online();
    const Instant now = harts.now();
    if (!rates.is_solving) {
        // The next class that has something to balance, or that has paces that may have to go.
        std::size_t index = rates.class_index;
        for (std::size_t i = 0; i < kClasses; ++i) {
            index = (index + 1) % kClasses;
            if (!harts.machine().overloaded(index).empty() || rates.tables[index].generation != 0) {
                break;
            }
        }
        rates.class_index = index;
        rates.oracle.begin(online);
        online.for_each([&](CpuId cpu) {
            harts.with_queue(cpu, [&](RunQueue& queue) {
                balance_detail::describe(queue, index, rates.oracle);
                return true;
            });
        });
        rates.is_solving = true;
    }
    if (!rates.oracle.step()) {
        harts.machine().end_rates(now);
        return;
    }
    rates.is_solving = false;
    const std::size_t index = rates.class_index;
    const RateTable before = rates.tables[index];
    RateTable table = rates.oracle.table();
    const bool is_other = balance_detail::is_another_regime(before, table);
    if (!balance_detail::is_same(before, table)) {
        table.generation = table.generation == 0 ? 0 : ++rates.generation;
        rates.tables[index] = table;
        online.for_each([&](CpuId cpu) {
            harts.with_queue(cpu, [&](RunQueue& queue) {
                queue.set_rates(index, table, harts.now());
                return true;
            });
        });
        if (is_other) {
            balance_detail::level_frames(harts, index);
        }
        ++state.rate_updates;
    }
    harts.machine().end_rates(now + kRateSpacing);
}

template <Harts H>
bool balance(H& harts, CpuId self, BalanceState& state) {
    const HartLoad mine = harts.load(self);
    if (mine.running_class == HartLoad::kIdle) {
        return false;
    }
    const std::size_t picked = mine.running_class;
    bool is_changed = class_pull(harts, self, state, picked);
    if (mine.runnable <= 1) {
        return is_changed;
    }
    // Before anything is sent away: what is under way is nowhere to be seen.
    if (!is_changed && harts.machine().try_begin_rates(harts.now())) {
        update_rates(harts, state);
    }
    is_changed = push(harts, self, state) || is_changed;
    const CpuMask victims = harts.machine().overloaded(picked).without(CpuMask::of(self));
    if (!victims.empty() && harts.now() >= state.next_pull) {
        VirtualTime next;
        const bool is_running = harts.with_queue(self, [&](RunQueue& queue) {
            const Entity* const current = queue.queue(class_at(picked)).running();
            if (current != nullptr) {
                next = queue.queue(class_at(picked)).global_of(*current);
            }
            return current != nullptr;
        });
        is_changed = (is_running && pull_at_pick(harts, self, state, picked, next)) || is_changed;
    }
    if (harts.machine().try_begin_compression(harts.now())) {
        compress(harts, state);
    }
    return is_changed;
}

template <Harts H>
void raise_frame_before(H& harts, RunQueue& queue, const Entity& entity) {
    if (!queue.queue(entity.effective()).empty()) {
        return;
    }
    const std::size_t index = index_of(entity.effective());
    const Instant now = harts.now();
    if (!queue.wants_frame(index, now)) {
        return;
    }
    // The least of those that run the class; where none does, the furthest anyone got.
    bool has_work = false;
    VirtualTime frame = queue.queue(entity.effective()).global_now();
    CpuMask others = harts.online();
    others.remove(queue.cpu());
    CpuId at = queue.cpu();
    for (std::uint32_t i = 0; i < kProbedHarts && !others.empty(); ++i) {
        at = others.next_from(at);
        others.remove(at);
        const HartLoad load = harts.load(at);
        if (load.epoch != queue.epoch()) {
            continue;
        }
        const VirtualTime global = load.global_at(index, now);
        if (load.weight[index] != 0) {
            frame = has_work ? earlier(frame, global) : global;
            has_work = true;
        } else if (!has_work) {
            frame = later(frame, global);
        }
    }
    queue.set_frame(index, frame, now);
}

}  // namespace kernel::sched
