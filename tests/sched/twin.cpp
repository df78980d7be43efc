// SPDX-License-Identifier: MIT
#include "twin.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "sched/auditor.hpp"
#include "twin_differ.hpp"

namespace sched_test {

using kernel::CpuId;
using kernel::CpuMask;
using kernel::Duration;
using kernel::Instant;
using kernel::sched::Attributes;
using kernel::sched::EnqueueReason;
using kernel::sched::Entity;
using kernel::sched::kClasses;
using kernel::sched::PutReason;
using kernel::sched::RunQueue;
using kernel::sched::TaskState;
using reference::wrapped;
using Kind = Operation::Kind;

// --- Both sides ---

Twin::Twin(const Shape& shape) : shape_{shape}, now_{Instant::from_ns(shape.start_ns)}, slots_(shape.tasks) {
    for (std::uint32_t i = 0; i < shape.harts; ++i) {
        // Every other hart is a slower one, by an odd amount.
        const std::uint32_t capacity = i % 2 == 0 ? kernel::sched::kCapacityFull : 613;
        queues_.push_back(std::make_unique<RunQueue>());
        queues_.back()->start(CpuId{i}, now_, capacity, shape.faults);
        harts_.push_back(std::make_unique<reference::Hart>(i, now_, capacity));
    }
    for (std::uint32_t i = 0; i < kPools; ++i) {
        const kernel::sched::BudgetParams params{.runtime = Duration::milliseconds(1 + 9 * i),
                                                 .period = Duration::milliseconds(10 + 40 * i)};
        library_budgets_[i].configure(params, now_);
        reference_budgets_[i].configure(params, now_);
        library_groups_[i].set_ceiling(200 * i);
        reference_groups_[i].ceiling = 200 * i;
    }
    for (Slot& slot : slots_) {
        renew(slot);
    }
}

Twin::~Twin() = default;

// Takes a task that has ended out of its budget and group.
void Twin::bury(Slot& slot) {
    set_budget(slot, kPools);
    set_group(slot, kPools);
}

void Twin::set_budget(Slot& slot, std::uint32_t pool) {
    const std::uint32_t home = slot.entity->cpu().value();
    queues_[home]->set_budget(*slot.entity, pool == kPools ? nullptr : &library_budgets_[pool], now_);
    harts_[home]->set_budget(*slot.task, pool == kPools ? nullptr : &reference_budgets_[pool], now_);
}

void Twin::set_group(Slot& slot, std::uint32_t pool) {
    const std::uint32_t home = slot.entity->cpu().value();
    queues_[home]->set_group(*slot.entity, pool == kPools ? nullptr : &library_groups_[pool], now_);
    harts_[home]->set_group(*slot.task, pool == kPools ? nullptr : &reference_groups_[pool], now_);
}

// What raises and lowers a task from outside its attributes.
std::optional<std::string> Twin::limit(const Operation& operation) {
    Slot& slot = slots_[operation.task];
    const std::uint32_t home = slot.entity->cpu().value();
    const std::uint32_t pool = operation.other % (kPools + 1);
    const bool is_alive = slot.entity->state() != TaskState::Dead;
    const bool has_begun = slot.entity->state() != TaskState::Blocked || slot.entity->has_run();
    if (operation.kind == Kind::Ceiling) {
        library_groups_[pool % kPools].set_ceiling(operation.attributes.shares);
        reference_groups_[pool % kPools].ceiling = operation.attributes.shares;
    } else if (!is_alive || !has_begun) {
        return std::nullopt;
    } else if (operation.kind == Kind::Lend) {
        kernel::sched::Donation donation{.qos_class = operation.attributes.qos_class,
                                         .latency = operation.attributes.latency};
        donation.budget = pool == kPools ? nullptr : &library_budgets_[pool];
        queues_[home]->set_donation(*slot.entity, donation, now_);
        donation.budget = pool == kPools ? nullptr : &reference_budgets_[pool];
        harts_[home]->set_donation(*slot.task, donation, now_);
    } else if (operation.kind == Kind::EndLoan) {
        queues_[home]->end_donation(*slot.entity, now_);
        harts_[home]->end_donation(*slot.task, now_);
    } else if (operation.kind == Kind::Budget) {
        set_budget(slot, pool);
    } else {
        set_group(slot, pool);
    }
    return std::nullopt;
}

void Twin::renew(Slot& slot) {
    if (slot.entity) {
        graves_.push_back(std::move(slot));
    }
    slot.entity = std::make_unique<Entity>();
    slot.task = std::make_unique<reference::Task>();
    slot.was_enqueued = false;
    if (shape_.harts == 1) {  // all masks are one, as in the kernel, which fits them
        slot.entity->attributes.affinity_effective = CpuMask::first(1);
        slot.task->attributes.affinity_effective = CpuMask::first(1);
    }
    slot.task->id = static_cast<std::uint32_t>(&slot - slots_.data());
}

std::uint32_t Twin::id_of(const Entity* entity) const {
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].entity.get() == entity) {
            return i;
        }
    }
    return kNobody;
}

std::optional<std::string> Twin::enqueue(const Operation& operation, EnqueueReason reason) {
    Slot& slot = slots_[operation.task];
    // Every other wake-up is the short one, where the library takes it, half of those put off, and half of
    // these followed at once by what makes them short.
    if (reason == EnqueueReason::Wake && operation.amount % 2 != 0 &&
        slot.entity->state() == TaskState::Blocked) {
        bool was_taken = false;
        auto found = wake_later(operation, was_taken);
        if (!found && !was_taken) {
            found = wake_plainly(operation, was_taken);
        }
        if (found || was_taken) {
            return found;
        }
    }
    slot.was_enqueued = true;
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    const auto library = queues_[operation.hart]->enqueue(*slot.entity, now, reason);
    const auto reference = harts_[operation.hart]->enqueue(*slot.task, now, reason);
    if (auto found = differ("preempt", operation.task, static_cast<int>(library.kind),
                            static_cast<int>(reference.kind))) {
        return found;
    }
    return differ("preempt instant", operation.task, library.at.ns(), reference.at.ns());
}

std::optional<std::string> Twin::put(const Operation& operation, PutReason reason) {
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    if (queues_[operation.hart]->current() != nullptr) {
        // Every other switch is made in one step, where the library takes it.
        if ((reason == PutReason::Block || reason == PutReason::Yield) && operation.amount / 2 % 2 != 0) {
            bool was_taken = false;
            auto found = switch_plainly(operation, reason, was_taken);
            if (found || was_taken) {
                return found;
            }
        }
        queues_[operation.hart]->put_current(now, reason);
        harts_[operation.hart]->put_current(now, reason);
    }
    return std::nullopt;
}

// Half of those who have nobody to yield to do it the short way, the others as if there were someone.
std::optional<std::string> Twin::yield(const Operation& operation) {
    if (queues_[operation.hart]->current() == nullptr || operation.amount % 2 != 0) {
        return put(operation, PutReason::Yield);
    }
    const bool library = queues_[operation.hart]->yield_alone();
    auto found = differ("alone", operation.hart, library, harts_[operation.hart]->yield_alone());
    return found || library ? found : put(operation, PutReason::Yield);
}

std::optional<std::string> Twin::pick(const Operation& operation) {
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    const auto library = queues_[operation.hart]->pick_next(now);
    const auto reference = harts_[operation.hart]->pick_next(now);
    if (auto found = differ("pick", operation.hart, id_of(library.entity),
                            reference.task == nullptr ? kNobody : reference.task->id)) {
        return found;
    }
    const RunQueue& queue = *queues_[operation.hart];
    if (operation.late == 0 && queue.throttled() == 0 && library.entity != nullptr &&
        queue.next_event(now) <= now) {
        return "a decision is due again at the instant it was made";
    }
    return differ("switched", operation.hart, library.switched, reference.switched);
}

std::optional<std::string> Twin::steal(const Operation& operation) {
    if (operation.hart == operation.other) {
        return std::nullopt;
    }
    Entity* const library = queues_[operation.other]->find_stealable(CpuId{operation.hart});
    reference::Task* const reference = harts_[operation.other]->find_stealable(CpuId{operation.hart});
    if (auto found = differ("steal", operation.other, id_of(library),
                            reference == nullptr ? kNobody : reference->id)) {
        return found;
    }
    if (library == nullptr) {
        return std::nullopt;
    }
    queues_[operation.other]->remove(*library, now_);
    harts_[operation.other]->remove(*reference, now_);
    Operation arrive{operation};
    arrive.task = reference->id;
    return enqueue(arrive, EnqueueReason::Migrate);
}

std::optional<std::string> Twin::set(const Operation& operation, Instant now) {
    Slot& slot = slots_[operation.task];
    Entity& entity = *slot.entity;
    if (entity.state() == TaskState::Dead) {
        return std::nullopt;
    }
    const std::uint32_t home = entity.cpu().value();
    const bool library = queues_[home]->set_attributes(entity, operation.attributes, now);
    const bool reference = harts_[home]->set_attributes(*slot.task, operation.attributes, now);
    if (library && entity.state() == TaskState::Running) {  // as a dispatcher does
        queues_[home]->put_current(now, PutReason::Migrate);
        harts_[home]->put_current(now, PutReason::Migrate);
    } else if (library) {
        queues_[home]->remove(entity, now);
        harts_[home]->remove(*slot.task, now);
    }
    return differ("must move", operation.task, library, reference);
}

std::optional<std::string> Twin::apply(const Operation& operation) {
    // Who is about to look, or to do something with a task that was woken, says so.
    if (operation.kind == Kind::AdvanceTo || operation.kind == Kind::Steal ||
        operation.kind == Kind::RaiseFrame || slots_[operation.task].entity.get() == put_off_) {
        catch_up();
    }
    const Entity* const before = std::exchange(put_off_, nullptr);
    if (auto difference = act(operation)) {
        return difference;
    }
    // Nothing may be looked at where the operation that follows is to find a wake-up put off.
    if (put_off_ != nullptr && put_off_ != before) {
        return std::nullopt;
    }
    catch_up();
    return compare();
}

std::optional<std::string> Twin::act(const Operation& operation) {
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    RunQueue& queue = *queues_[operation.hart];
    reference::Hart& hart = *harts_[operation.hart];
    Slot& slot = slots_[operation.task];
    Entity& entity = *slot.entity;
    const TaskState state = entity.state();
    const bool fits = entity.attributes.affinity_effective.contains(CpuId{operation.hart});
    std::optional<std::string> difference;
    switch (operation.kind) {
        case Kind::Advance:
            now_ += Duration::nanoseconds(operation.amount);
            break;
        case Kind::AdvanceTo:
            now_ =
                std::max(now_, min(queue.next_event(now_), now_ + Duration::nanoseconds(operation.amount)));
            break;
        case Kind::Wake:
            if (state == TaskState::Blocked && fits) {
                difference = enqueue(operation, slot.was_enqueued ? EnqueueReason::Wake : EnqueueReason::New);
            }
            break;
        case Kind::NoteWoken:
            if (state == TaskState::Blocked && slot.was_enqueued) {
                const std::uint32_t home = entity.cpu().value();
                queues_[home]->note_woken(entity, now);
                harts_[home]->note_woken(*slot.task, now);
            }
            break;
        case Kind::Arrive:
            if (state == TaskState::Migrating && fits) {
                difference = enqueue(operation, slot.task->wake_pending ? EnqueueReason::Wake
                                                : slot.was_enqueued     ? EnqueueReason::Migrate
                                                                        : EnqueueReason::New);
            }
            break;
        case Kind::Fork:
            if (state == TaskState::Dead && queue.current() != nullptr) {
                renew(slot);
                slot.entity->attributes = slot.task->attributes = operation.attributes;
                bool was_taken = false;
                difference = start_later(operation, was_taken);
                if (difference || was_taken) {
                    break;
                }
                queue.charge_current(now);
                hart.charge_current(now);
                queue.inherit_position(*slot.entity, *queue.current());
                hart.inherit_position(*slot.task, *hart.current());
                if (slot.entity->attributes.affinity_effective.contains(CpuId{operation.hart})) {
                    difference = enqueue(operation, EnqueueReason::New);
                } else {
                    RunQueue::note_created(*slot.entity, now);
                    reference::Hart::note_created(*slot.task, now);
                }
            }
            break;
        case Kind::Block:
            difference = put(operation, PutReason::Block);
            break;
        case Kind::Yield:
            difference = yield(operation);
            break;
        case Kind::Preempt:
            difference = put(operation, PutReason::Preempted);
            break;
        case Kind::Evict:
            difference = put(operation, PutReason::Migrate);
            break;
        case Kind::Exit: {
            const std::uint32_t home = entity.cpu().value();
            if (state == TaskState::Running) {
                queues_[home]->put_current(now, PutReason::Exit);
                harts_[home]->put_current(now, PutReason::Exit);
            } else if (state != TaskState::Dead) {
                if (state == TaskState::Queued || state == TaskState::Throttled) {
                    queues_[home]->remove(entity, now);
                    harts_[home]->remove(*slot.task, now);
                }
                RunQueue::retire(entity, now);
                slot.task->state = TaskState::Dead;
                slot.task->since = now;
            }
            if (entity.state() == TaskState::Dead) {
                bury(slot);
            }
            break;
        }
        case Kind::Pick:
            difference = pick(operation);
            break;
        case Kind::Charge:
            queue.charge_current(now);
            hart.charge_current(now);
            break;
        case Kind::Remove:
            if (state == TaskState::Queued || state == TaskState::Throttled) {
                const std::uint32_t home = entity.cpu().value();
                queues_[home]->remove(entity, now);
                harts_[home]->remove(*slot.task, now);
            }
            break;
        case Kind::Steal:
            difference = steal(operation);
            break;
        case Kind::RaiseFrame: {
            const auto qos_class = operation.attributes.qos_class;
            queue.raise_frame(qos_class, queues_[operation.other]->queue(qos_class).global_now());
            hart.raise_frame(qos_class, harts_[operation.other]->global_now(qos_class));
            break;
        }
        case Kind::Set:
            difference = set(operation, now);
            break;
        case Kind::Lend:
        case Kind::EndLoan:
        case Kind::Budget:
        case Kind::Group:
        case Kind::Ceiling:
            difference = limit(operation);
            break;
    }
    return difference;
}

std::optional<std::string> Twin::compare() const {
    for (const Slot& slot : slots_) {
        if (auto found = compare_task(slot)) {
            return found;
        }
    }
    for (std::uint32_t i = 0; i < shape_.harts; ++i) {
        if (auto found = compare_hart(i)) {
            return found;
        }
    }
    return std::nullopt;
}

std::optional<std::string> Twin::compare_task(const Slot& slot) const {
    const Entity& entity = *slot.entity;
    const reference::Task& task = *slot.task;
    const auto& position = entity.position();
    const auto& statistics = entity.statistics();
    const auto as_int = [](Duration duration) { return static_cast<std::uint64_t>(duration.ns()); };
    struct Pair {
        const char* what;
        std::uint64_t library;
        std::uint64_t reference;
    };
    const std::array always{
        Pair{"state", static_cast<std::uint64_t>(entity.state()), static_cast<std::uint64_t>(task.state)},
        Pair{"hart", entity.cpu().value(), task.hart},
        Pair{"runtime", as_int(statistics.runtime), as_int(task.runtime)},
        Pair{"wait", as_int(statistics.wait), as_int(task.wait)},
        Pair{"longest wait", as_int(statistics.wait_max), as_int(task.wait_max)},
        Pair{"sleep", as_int(statistics.sleep), as_int(task.sleep)},
        Pair{"voluntary", statistics.switches_voluntary, task.voluntary},
        Pair{"involuntary", statistics.switches_involuntary, task.involuntary},
        Pair{"preempted", statistics.preempted, task.preempted},
        Pair{"migrations", statistics.migrations, task.migrations},
        Pair{"weight", position.weight, task.weight},
        Pair{"class", static_cast<std::uint64_t>(entity.effective()),
             static_cast<std::uint64_t>(task.effective)},
        Pair{"boosted", as_int(statistics.boosted), as_int(task.boosted)},
        Pair{"throttled", as_int(statistics.throttled), as_int(task.throttled)},
        Pair{"throttles", statistics.throttles, task.throttles},
    };
    for (const Pair& pair : always) {
        if (auto found = differ(pair.what, task.id, pair.library, pair.reference)) {
            return found;
        }
    }
    if (entity.is_on_queue()) {
        const std::array here{
            Pair{"vt", position.vt.raw(), wrapped(task.vt)},
            Pair{"deadline", position.deadline.raw(), wrapped(task.deadline)},
            Pair{"request end", position.request_end.raw(), wrapped(task.request_end)},
            Pair{"carry", position.carry, task.carry},
            Pair{"fresh", position.fresh ? 1U : 0U, task.fresh ? 1U : 0U},
            Pair{"lag", as_int(queues_[task.hart]->lag(entity)), as_int(harts_[task.hart]->lag(task))},
        };
        for (const Pair& pair : here) {
            if (auto found = differ(pair.what, task.id, pair.library, pair.reference)) {
                return found;
            }
        }
        return std::nullopt;
    }
    // On a queue it means nothing.
    if (auto found = differ("frame", task.id, position.has_global ? 1U : 0U, task.has_global ? 1U : 0U)) {
        return found;
    }
    if (position.has_global) {
        if (auto found = differ("saved U", task.id, position.global.raw(), wrapped(task.global))) {
            return found;
        }
        return differ("saved lag", task.id, static_cast<std::uint64_t>(position.lag), wrapped(task.lag));
    }
    return std::nullopt;
}

std::optional<std::string> Twin::compare_hart(std::uint32_t hart) const {
    const RunQueue& queue = *queues_[hart];
    const reference::Hart& expected = *harts_[hart];
    if (const auto found = kernel::sched::Auditor::check(queue); found.found()) {
        return std::string{found.rule};
    }
    const reference::Task* const current = expected.current();
    if (auto found =
            differ("current", hart, id_of(queue.current()), current == nullptr ? kNobody : current->id)) {
        return found;
    }
    if (auto found = differ("busy", hart, queue.busy().ns(), expected.busy().ns())) {
        return found;
    }
    if (auto found = differ("idle", hart, queue.idle().ns(), expected.idle().ns())) {
        return found;
    }
    if (auto found = differ("event", hart, queue.next_event(now_).ns(), expected.next_event(now_).ns())) {
        return found;
    }
    const auto load = queue.load();
    const auto wanted = expected.load();
    if (auto found = differ("running class", hart, load.running_class, wanted.running_class)) {
        return found;
    }
    if (auto found = differ("runnable", hart, load.runnable, wanted.runnable)) {
        return found;
    }
    for (std::size_t i = 0; i < kClasses; ++i) {
        if (auto found = differ("class weight", hart, load.weight[i], wanted.weight[i])) {
            return found;
        }
        const auto mask = load.waiting_mask[i].bits();
        if (auto found = differ("waiting mask", hart, mask, wanted.waiting_mask[i].bits())) {
            return found;
        }
        if (auto found = differ("lightest", hart, load.lightest[i], wanted.lightest[i])) {
            return found;
        }
        if (auto found = differ("heaviest", hart, load.heaviest[i], wanted.heaviest[i])) {
            return found;
        }
        if (wanted.waiting_mask[i].bits() != 0) {
            if (auto found = differ("least U", hart, load.least[i].raw(), wanted.least[i].raw())) {
                return found;
            }
        }
        if (auto found = differ("class U", hart, load.global[i].raw(), wanted.global[i].raw())) {
            return found;
        }
    }
    for (std::uint32_t thief = 0; thief < shape_.harts; ++thief) {
        const reference::Task* const task = expected.find_stealable(CpuId{thief});
        if (auto found = differ("stealable", hart, id_of(queue.find_stealable(CpuId{thief})),
                                task == nullptr ? kNobody : task->id)) {
            return found;
        }
    }
    return std::nullopt;
}

}  // namespace sched_test
