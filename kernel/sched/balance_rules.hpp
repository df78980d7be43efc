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
    std::array<bool, kClasses> has_class{};
    std::array<VirtualTime, kClasses> global{};
    std::array<std::uint32_t, kClasses> weight{};
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
    probe(wanted & harts.online(), self, state, kProbedHarts, [&](CpuId cpu) {
        const HartLoad load = harts.load(cpu);
        if (load.epoch != mine.epoch) {
            return false;
        }
        Target& target = targets[count++];
        target.cpu = cpu;
        target.running_class = load.running_class;
        for (std::size_t i = 0; i < kClasses; ++i) {
            target.has_class[i] = load.weight[i] != 0;
            target.weight[i] = load.weight[i];
            target.global[i] = load.global_at(i, now);
        }
        return false;
    });
    return count;
}

// What is best pushed, and where to.
struct PushChoice {
    Entity* entity{nullptr};
    CpuId to;
    Duration lag{kBalanceThreshold};
};

// Of one class, the one about to run included: whoever may go where the class has nothing and a lower one
// runs; else who is furthest behind.
inline void choose_push(const RunQueue& queue, std::size_t index, std::span<const Target> targets,
                        PushChoice& best) {
    CpuMask allowed;
    for (const Target& target : targets) {
        allowed.add(target.cpu);
    }
    const std::uint32_t here = queue.queue(class_at(index)).sum_weight();
    const auto consider = [&](Entity& entity, VirtualTime global) {
        for (const Target& target : targets) {
            if (!queue.allows(entity, target.cpu) ||
                (&entity == queue.current() && target.weight[index] + entity.position().weight >= here)) {
                continue;
            }
            const bool is_free = !target.has_class[index] &&
                                 (target.running_class == HartLoad::kIdle || target.running_class < index);
            const Duration lag = is_free ? Duration::max()
                                 : target.has_class[index]
                                     ? service_behind(target.global[index], global, entity.position().weight)
                                     : Duration{};
            if (lag > best.lag) {
                best = {.entity = &entity, .to = target.cpu, .lag = lag};
            }
        }
    };
    queue.for_candidates(index, allowed, consider);
    if (Entity* const running = queue.queue(class_at(index)).running();
        running != nullptr && best.entity == nullptr) {
        consider(*running, queue.queue(class_at(index)).global_of(*running));
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
    const Instant now = harts.now();
    if (now < state.next_class_pull) {
        return false;
    }
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
        if (mine.weight[i] != 0) {
            continue;
        }
        if (balance_detail::pull_class(harts, self, state, i, kProbedVictims, left)) {
            ++state.class_pulls;
            return true;
        }
        state.next_class_pull = now + kPullSpacing;
    }
    return false;
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
    const std::uint32_t epoch = HartLoad{harts.load(self)}.epoch;
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
        if (behind(load.least[picked], load.heaviest[picked]) <= kBalanceThreshold) {
            return false;
        }
        found = balance_detail::move_task(harts, victim, self, [&](RunQueue& queue) {
            Entity* best = nullptr;
            Duration most = kBalanceThreshold;
            queue.for_candidates(picked, CpuMask::of(self), [&](Entity& entity, VirtualTime global) {
                if (const Duration lag = behind(global, entity.position().weight); lag > most) {
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
};

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
