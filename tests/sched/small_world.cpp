// SPDX-License-Identifier: MIT
#include "small_world.hpp"

#include <algorithm>

#include "sched/auditor.hpp"
#include "sched/placement.hpp"

namespace sched_test::small_world {

using kernel::sched::PutReason;
using kernel::sched::QosClass;
using kernel::sched::TaskState;

namespace {

constexpr Duration kStep = Duration::milliseconds(3);
constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;

void mix(std::uint64_t& hash, std::uint64_t value) {
    hash = (hash ^ value) * kOdd;
    hash ^= hash >> 29U;
}

// In steps of 2 ms of service, at most 20 of them.
std::uint64_t in_steps(kernel::sched::VirtualSpan span, std::uint32_t weight) {
    const auto service = kernel::sched::Int128{span} * weight / kernel::sched::kVirtualPerNs / 2'000'000;
    return static_cast<std::uint64_t>(std::clamp<kernel::sched::Int128>(service, -20, 20));
}

}  // namespace

std::string Action::text() const {
    static constexpr std::array kNames{"wake t", "block h", "yield h",    "exit h",  "tick h",
                                       "ipi h",  "steal h", "affinity t", "class t", "shares t"};
    std::string out = kNames[static_cast<std::size_t>(kind)] + std::to_string(who);
    return kind == Kind::Mask ? out + " " + std::to_string(mask) : out;
}

std::vector<Action> all_actions() {
    using enum Action::Kind;
    std::vector<Action> actions;
    for (std::uint8_t task = 0; task < kTasks; ++task) {
        actions.push_back({.kind = Wake, .who = task});
        actions.push_back({.kind = Class, .who = task});
        actions.push_back({.kind = Shares, .who = task});
        for (std::uint8_t mask = 1; mask <= 3; ++mask) {
            actions.push_back({.kind = Mask, .who = task, .mask = mask});
        }
    }
    for (std::uint8_t hart = 0; hart < kHarts; ++hart) {
        for (const auto kind : {Block, Yield, Exit, Tick, Ipi, Steal}) {
            actions.push_back({.kind = kind, .who = hart});
        }
    }
    return actions;
}

World::World(const ProtocolDefects& defects, const kernel::sched::Faults& faults) : defects_{defects} {
    for (std::uint8_t i = 0; i < kHarts; ++i) {
        queues_[i].start(CpuId{i}, now_, kernel::sched::kCapacityFull, faults);
    }
    for (Entity& entity : entities_) {
        entity.attributes.affinity = entity.attributes.affinity_effective = CpuMask::first(kHarts);
    }
    for (std::uint8_t i = 0; i < kHarts; ++i) {
        choose(i, true);  // announces that there is nothing to run,
        while (harts_[i].phase != Phase::Asleep) {
            steal(i);  // finds nothing elsewhere either
        }
    }
}

CpuMask World::idle_mask() const {
    CpuMask mask;
    for (std::uint8_t i = 0; i < kHarts; ++i) {
        if (harts_[i].is_announced) {
            mask.add(CpuId{i});
        }
    }
    return mask;
}

// An idle hart learns that something waits here.
void World::nudge(std::uint8_t hart) {
    CpuMask waiting;
    for (const CpuMask mask : queues_[hart].load().waiting_mask) {
        waiting = waiting | mask;
    }
    const CpuMask takers = waiting & idle_mask();
    if (!defects_.no_nudge && !takers.empty()) {
        const auto taker = static_cast<std::uint8_t>(takers.lowest().value());
        harts_[taker].is_announced = false;
        kick(taker);
    }
}

// Sends a task that is on no queue where it belongs; somebody outside the two harts does it.
void World::place(std::uint8_t task) {
    const Entity& entity = entities_[task];
    const auto request = kernel::sched::placement_request(entity.attributes, entity.effective(), entity.cpu(),
                                                          CpuMask::first(kHarts), queues_[0].faults());
    const auto placement = kernel::sched::select_cpu(
        request, idle_mask(), [this](CpuId cpu) { return queues_[cpu.value()].load(); });
    const auto target = static_cast<std::uint8_t>(placement.cpu.value());
    Hart& hart = harts_[target];
    if (placement.is_idle) {
        hart.is_announced = false;
    }
    hart.inbox[hart.in_inbox++] = task;
    if (!placement.is_idle || !defects_.claim_without_ipi) {
        kick(target);
    }
}

void World::take_in(std::uint8_t hart, std::uint8_t task) {
    Entity& entity = entities_[task];
    if (queues_[hart].allows(entity) || defects_.receiver_trusts_mask) {
        queues_[hart].enqueue(entity, now_, reasons_[task]);
    } else {
        place(task);
    }
}

// The exit path: evict, decide, look for work.
void World::choose(std::uint8_t hart, bool force) {
    RunQueue& queue = queues_[hart];
    std::uint8_t displaced = kNobody;
    if (Entity* const current = queue.current(); current != nullptr) {
        const std::uint8_t task = index_of(*current);
        if (!queue.allows(*current)) {
            queue.put_current(now_, PutReason::Migrate);
            displaced = task;
        }
        is_evicted_[task] = false;
    }
    if (force || queue.current() == nullptr || queue.should_resched(now_)) {
        queue.pick_next(now_);
    }
    Hart& state = harts_[hart];
    if (queue.current() != nullptr) {
        state.phase = Phase::Running;
        state.is_announced = false;
    } else {
        state.phase = Phase::Looking;
        state.is_announced = !defects_.looks_before_announcing;
    }
    if (displaced != kNobody) {
        reasons_[displaced] = EnqueueReason::Migrate;
        place(displaced);
    }
    nudge(hart);
}

void World::deliver(std::uint8_t hart) {
    Hart& state = harts_[hart];
    state.ipi = false;
    state.is_announced = false;
    while (state.in_inbox != 0) {
        take_in(hart, state.inbox[--state.in_inbox]);
    }
    choose(hart, false);
}

// One locked section of a hart without work: takes a task from another queue, or puts it into the own one.
void World::steal(std::uint8_t hart) {
    Hart& state = harts_[hart];
    if (state.phase == Phase::Carrying) {
        const std::uint8_t task = state.carried;
        state.carried = kNobody;
        state.phase = Phase::Looking;
        if (queues_[hart].allows(entities_[task]) || !defects_.thief_drops) {
            take_in(hart, task);
        }
        choose(hart, false);
        return;
    }
    RunQueue& victim = queues_[1 - hart];
    if (state.phase == Phase::Looking && state.in_inbox == 0 && victim.load().offers_work_to(CpuId{hart})) {
        Entity* const found = victim.find_stealable(CpuId{hart});
        victim.remove(*found, now_);
        state.carried = index_of(*found);
        reasons_[state.carried] = EnqueueReason::Migrate;
        state.phase = Phase::Carrying;
        return;
    }
    if (defects_.looks_before_announcing) {
        if (state.phase == Phase::Looking) {
            state.phase = Phase::Announcing;  // too late: what came to wait since it looked is not seen
            return;
        }
        state.is_announced = true;
    }
    state.phase = Phase::Asleep;
}

void World::set(std::uint8_t task, const Attributes& attributes) {
    Entity& entity = entities_[task];
    if (entity.state() == TaskState::Blocked && !entity.position().has_global) {
        entity.attributes = attributes;  // it never ran
        return;
    }
    const auto home = static_cast<std::uint8_t>(entity.cpu().value());
    RunQueue& queue = queues_[home];
    if (queue.set_attributes(entity, attributes, now_)) {
        if (entity.state() == TaskState::Running) {
            is_evicted_[task] = true;
            if (!defects_.evict_without_ipi) {
                kick(home);
            }
        } else if (!defects_.setter_skips_waiting) {
            queue.remove(entity, now_);
            reasons_[task] = EnqueueReason::Migrate;
            place(task);
        }
    } else if (queue.current() != nullptr && queue.should_resched(now_)) {
        kick(home);
    }
    nudge(home);
}

bool World::is_enabled(const Action& action) const {
    using enum Action::Kind;
    switch (action.kind) {
        case Wake:
            return entities_[action.who].state() == TaskState::Blocked;
        case Block:
        case Yield:
        case Exit:
        case Tick:
            return queues_[action.who].current() != nullptr;
        case Ipi:
            return harts_[action.who].ipi &&
                   (harts_[action.who].phase == Phase::Running || harts_[action.who].phase == Phase::Asleep);
        case Steal:
            return harts_[action.who].phase != Phase::Running && harts_[action.who].phase != Phase::Asleep;
        case Mask: {
            const Entity& entity = entities_[action.who];
            return entity.state() != TaskState::Dead &&
                   entity.attributes.affinity_effective.bits() != action.mask;
        }
        case Class:
        case Shares:
            return entities_[action.who].state() != TaskState::Dead;
    }
    return false;
}

void World::apply(const Action& action) {
    using enum Action::Kind;
    const std::uint8_t who = action.who;
    switch (action.kind) {
        case Wake: {
            Entity& entity = entities_[who];
            if (entity.position().has_global) {
                queues_[entity.cpu().value()].note_woken(entity, now_);
                reasons_[who] = EnqueueReason::Wake;
            } else {
                RunQueue::note_created(entity, now_);
                reasons_[who] = EnqueueReason::New;
            }
            place(who);
            break;
        }
        case Block:
        case Yield:
        case Exit: {
            RunQueue& queue = queues_[who];
            Entity& entity = *queue.current();
            queue.put_current(now_, action.kind == Block   ? PutReason::Block
                                    : action.kind == Yield ? PutReason::Yield
                                                           : PutReason::Exit);
            is_evicted_[index_of(entity)] = false;
            if (action.kind == Yield && !queue.allows(entity)) {
                queue.remove(entity, now_);
                reasons_[index_of(entity)] = EnqueueReason::Migrate;
                place(index_of(entity));
            }
            choose(who, true);
            break;
        }
        case Tick: {
            const Instant event = queues_[who].next_event(now_);
            now_ = event.is_never() || event <= now_ ? now_ + kStep : min(event, now_ + kStep * 4);
            queues_[who].charge_current(now_);
            choose(who, false);
            break;
        }
        case Ipi:
            deliver(who);
            break;
        case Steal:
            steal(who);
            break;
        case Mask: {
            Attributes attributes = entities_[who].attributes;
            attributes.affinity = attributes.affinity_effective = CpuMask::from_bits(action.mask);
            set(who, attributes);
            break;
        }
        case Class: {
            Attributes attributes = entities_[who].attributes;
            attributes.qos_class =
                attributes.qos_class == QosClass::Normal ? QosClass::Interactive : QosClass::Normal;
            set(who, attributes);
            break;
        }
        case Shares: {
            Attributes attributes = entities_[who].attributes;
            attributes.shares = attributes.shares == 100 ? 1000 : 100;
            set(who, attributes);
            break;
        }
    }
}

std::uint32_t World::places_of(std::uint8_t task) const {
    const Entity* const entity = &entities_[task];
    std::uint32_t places = entity->state() == TaskState::Blocked || entity->state() == TaskState::Dead;
    for (std::uint8_t i = 0; i < kHarts; ++i) {
        const Hart& hart = harts_[i];
        places += static_cast<std::uint32_t>(
            std::count(hart.inbox.begin(), hart.inbox.begin() + hart.in_inbox, task));
        places += hart.carried == task ? 1U : 0U;
        places += queues_[i].current() == entity ? 1U : 0U;
        for (std::size_t index = 0; index < kernel::sched::kClasses; ++index) {
            const auto& waiting = queues_[i].queue(kernel::sched::class_at(index)).waiting();
            using Tree = kernel::sched::ClassQueue::Tree;
            for (const Entity* at = waiting.first(); at != nullptr; at = Tree::next(*at)) {
                places += at == entity ? 1U : 0U;
            }
        }
    }
    return places;
}

// A hart that sleeps, and that nobody is about to wake, has nothing to take.
const char* World::check_idle() const {
    for (std::uint8_t i = 0; i < kHarts; ++i) {
        const bool is_asleep = harts_[i].phase == Phase::Asleep && !harts_[i].ipi;
        if (is_asleep && (harts_[i].in_inbox != 0 || queues_[i].runnable() != 0)) {
            return "I3: a hart sleeps beside its own work";
        }
        if (is_asleep && queues_[1 - i].load().offers_work_to(CpuId{i})) {
            return "I3: a hart sleeps while work for it waits elsewhere";
        }
    }
    return nullptr;
}

const char* World::violation() const {
    for (const RunQueue& queue : queues_) {
        if (const auto found = kernel::sched::Auditor::check(queue); found.found()) {
            return found.rule;
        }
        const Entity* const current = queue.current();
        if (current != nullptr && !queue.allows(*current) && !is_evicted_[index_of(*current)]) {
            return "I1: a task runs outside its mask after the setter returned";
        }
    }
    for (std::uint8_t task = 0; task < kTasks; ++task) {
        if (places_of(task) != 1) {
            return "I2: a task is in no place, or in two";
        }
    }
    return check_idle();
}

const char* World::settle() {
    // Every step below ends something that was begun; with three tasks and two harts the longest chain of
    // forwarding, stealing and nudging is far shorter.
    constexpr int kSteps = 64;
    for (int step = 0; step < kSteps; ++step) {
        bool is_quiet = true;
        for (std::uint8_t i = 0; i < kHarts; ++i) {
            if (is_enabled({.kind = Action::Kind::Steal, .who = i})) {
                steal(i);
                is_quiet = false;
            } else if (is_enabled({.kind = Action::Kind::Ipi, .who = i})) {
                deliver(i);
                is_quiet = false;
            }
        }
        if (const char* const found = violation(); found != nullptr) {
            return found;
        }
        if (is_quiet) {
            const bool is_waited_for = std::ranges::any_of(is_evicted_, [](bool it) { return it; });
            return is_waited_for ? "an eviction never completes" : nullptr;
        }
    }
    return "what was begun never ends";
}

// Virtual times are rounded to 2 ms of service of whoever they belong to. Tasks that swap their places in
// everything make the same state: what a task is counts, not which.
std::uint64_t World::hash() const {
    std::array<std::uint64_t, kTasks> kinds{};
    std::uint64_t elsewhere = 0;
    for (std::uint8_t task = 0; task < kTasks; ++task) {
        kinds[task] = kind_of(task);
        const TaskState state = entities_[task].state();
        if (state == TaskState::Blocked || state == TaskState::Dead) {
            elsewhere += kinds[task] * kOdd;  // in no order
        }
    }
    std::uint64_t hash = elsewhere;
    for (std::uint8_t i = 0; i < kHarts; ++i) {
        const Hart& hart = harts_[i];
        const RunQueue& queue = queues_[i];
        mix(hash,
            (hart.ipi ? 1U : 0U) + (hart.is_announced ? 2U : 0U) + 4U * static_cast<unsigned>(hart.phase));
        for (std::uint8_t slot = 0; slot < hart.in_inbox; ++slot) {
            mix(hash, kinds[hart.inbox[slot]]);
        }
        mix(hash, hart.carried == kNobody ? 1U : kinds[hart.carried]);
        const Entity* const current = queue.current();
        mix(hash, current == nullptr ? 1U : kinds[index_of(*current)]);
        mix(hash, current != nullptr && queue.should_resched(now_) ? 1U : 0U);
        for (std::size_t index = 0; index < kernel::sched::kClasses; ++index) {
            using Tree = kernel::sched::ClassQueue::Tree;
            const Entity* at = queue.queue(kernel::sched::class_at(index)).waiting().first();
            for (; at != nullptr; at = Tree::next(*at)) {
                mix(hash, kinds[index_of(*at)]);
            }
            mix(hash, index);
        }
    }
    return hash;
}

std::uint64_t World::kind_of(std::uint8_t task) const {
    const Entity& entity = entities_[task];
    const auto& position = entity.position();
    if (entity.state() == TaskState::Dead) {
        return 7;
    }
    std::uint64_t hash = 1;
    mix(hash, static_cast<unsigned>(entity.state()) + 8U * entity.cpu().value() +
                  16U * static_cast<unsigned>(entity.attributes.qos_class) +
                  64U * (is_evicted_[task] ? 1U : 0U) + 128U * (position.fresh ? 1U : 0U) +
                  256U * (position.has_global ? 1U : 0U) + 512U * static_cast<unsigned>(reasons_[task]));
    mix(hash, entity.attributes.affinity_effective.bits() * 4096 + entity.attributes.shares);
    if (entity.is_on_queue()) {
        const auto& queue = queues_[entity.cpu().value()].queue(entity.effective());
        mix(hash, in_steps(queue.virtual_now() - position.vt, position.weight));
        mix(hash, in_steps(position.request_end - position.vt, position.weight));
        mix(hash, in_steps(position.deadline - position.vt, position.weight));
    } else {
        mix(hash, in_steps(position.lag, position.weight));
    }
    return hash;
}

}  // namespace sched_test::small_world
