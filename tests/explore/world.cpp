// SPDX-License-Identifier: MIT
#include "world.hpp"

#include <array>
#include <new>
#include <utility>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "lib/log.hpp"
#include "machine.hpp"
#include "sched/auditor.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/process_group.hpp"
#include "task/short_cuts.hpp"
#include "task/task_table.hpp"

namespace explore {

namespace {

using kernel::CpuId;
using kernel::CpuMask;
using kernel::Duration;
using kernel::Instant;
using kernel::LockGuard;
using kernel::Ref;
using kernel::task::Hart;
using kernel::task::RunState;
using kernel::task::SysResult;
using kernel::task::Task;

World* the_world = nullptr;

// Time goes on at most this often for hogs alone, once every script has ended.
constexpr std::uint32_t kIdleTimeSteps = 4;
// Whoever has not come to its end after so many turns of the hogs beside it never will.
constexpr std::uint32_t kTimeStepsMax = 64;

// Its ticket counter: taking a ticket is where a lock is won. The word that waiters look at is no step of its
// own; they spin (machine.cpp).
void watch_lock(kernel::SpinLock& lock) {
    watch(&lock, sizeof(std::uint32_t));
}

void finish_call(Actor& caller, SysResult result) {
    if (result.has_value()) {
        caller.task->frame.set_result(0);
    }
}

void change(Actor& caller, Actor& target, kernel::sched::Attributes attributes) {
    finish_call(caller, kernel::task::apply_attributes(*caller.task, *target.task, attributes, 0));
}

std::function<void(World&, Actor&)> down_with(Semaphore& semaphore, Duration timeout) {
    return [&semaphore, timeout](World&, Actor& caller) {
        const LockGuard guard{semaphore.queue.lock()};
        if (semaphore.count > 0) {
            --semaphore.count;
            caller.task->frame.set_result(0);
            return;
        }
        kernel::task::begin_wait(
            *caller.task, &semaphore.queue,
            {.on_timeout = -110,
             .deadline = timeout.is_zero() ? Instant::never() : kernel::arch::now() + timeout});
    };
}

// Takes a hart of an earlier, larger world out of the online mask.
void retire(CpuId cpu) {
    static Task& caller = *(*Task::create(machine::process(), "caller")).release();
    Hart& hart = kernel::task::hart_of(cpu);
    hart.~Hart();
    new (&hart) Hart{};
    hart.presence.store(kernel::task::Presence::Online);
    as_hart(0);
    static_cast<void>(kernel::task::set_cpu_online(caller, cpu, false));
    as_hart(cpu.value());
    static_cast<void>(kernel::task::leave(hart));
    caller.run_state.store(RunState::Blocked);
}

constexpr std::uint32_t kMostHarts = 8;

}  // namespace

World::World(std::uint32_t harts) : harts_{harts} {
    the_world = this;
    // Once: a task's size goes by it, and those of earlier worlds may still be there.
    static const bool is_set = (kernel::task::set_possible_cpus(CpuMask::first(kMostHarts)), true);
    static_cast<void>(is_set);
    machine::reset(harts);
    kernel::task::allow_short_cuts(true);
    // What an earlier world found out is not known in this one.
    kernel::task::machine_balance.~MachineBalance();
    new (&kernel::task::machine_balance) kernel::sched::MachineBalance{};
    kernel::task::machine_balance.end_rates(Instant::never());
    for (std::uint32_t i = 0; i < harts; ++i) {
        Hart& hart = kernel::task::hart_of(CpuId{i});
        kernel::task::idle_cpus.remove(CpuId{i});
        hart.~Hart();
        new (&hart) Hart{};
        as_hart(i);
        kernel::task::configure_hart(CpuId{i}, kernel::sched::kCapacityFull, {});
        kernel::task::hart_online();
    }
    kernel::task::online_cpus().without(CpuMask::first(harts)).for_each(retire);
}

void World::find_paces() {
    kernel::task::machine_balance.end_rates(Instant{});
}

World::~World() {
    release_all();
    the_world = nullptr;
}

Actor& World::add(std::string name, std::uint32_t start_on, CpuMask mask, kernel::sched::QosClass qos_class) {
    Actor& actor = actors_.emplace_back();
    actor.name = std::move(name);
    auto task = Task::create(machine::process(), actor.name);
    actor.task = std::move(*task);
    actor.task->entity.attributes.qos_class = qos_class;
    actor.task->entity.attributes.affinity = mask;
    actor.task->entity.attributes.affinity_effective = mask & CpuMask::first(harts_);
    as_hart(start_on);
    static_cast<void>(actor.task.clone().release());  // the reference a live task has of itself
    kernel::task::start(*actor.task, nullptr);
    return actor;
}

Semaphore& World::add_semaphore() {
    return semaphores_.emplace_back();
}

// ---- System calls ----

std::function<void(World&, Actor&)> World::set_mask(Actor& target, CpuMask mask) {
    return [&target, mask](World&, Actor& caller) {
        kernel::sched::Attributes attributes = kernel::task::read_attributes(*target.task);
        attributes.affinity = attributes.affinity_effective = mask;
        ++target.setters;
        caller.setting = &target;
        caller.set_to = mask;
        change(caller, target, attributes);
    };
}

std::function<void(World&, Actor&)> World::set_class(Actor& target, kernel::sched::QosClass qos_class) {
    return [&target, qos_class](World&, Actor& caller) {
        kernel::sched::Attributes attributes = kernel::task::read_attributes(*target.task);
        attributes.qos_class = qos_class;
        change(caller, target, attributes);
    };
}

std::function<void(World&, Actor&)> World::set_shares(Actor& target, std::uint32_t shares) {
    return [&target, shares](World&, Actor& caller) {
        kernel::sched::Attributes attributes = kernel::task::read_attributes(*target.task);
        attributes.shares = shares;
        change(caller, target, attributes);
    };
}

std::function<void(World&, Actor&)> World::down(Semaphore& semaphore) {
    return down_with(semaphore, Duration{});
}
std::function<void(World&, Actor&)> World::down_until(Semaphore& semaphore, Duration timeout) {
    return down_with(semaphore, timeout);
}

std::function<void(World&, Actor&)> World::up(Semaphore& semaphore) {
    return [&semaphore](World&, Actor& caller) {
        const LockGuard guard{semaphore.queue.lock()};
        bool woke = false;
        for (auto* wait = semaphore.queue.front(); wait != nullptr && !woke;) {
            auto* const following = semaphore.queue.next(*wait);
            if (kernel::task::claim_wait(*wait)) {
                semaphore.queue.remove(*wait);
                kernel::task::finish_wait(*wait, 0);
                woke = true;
            }
            wait = following;
        }
        semaphore.count += woke ? 0 : 1;
        caller.task->frame.set_result(0);
    };
}

std::function<void(World&, Actor&)> World::sleep(Duration time) {
    return [time](World&, Actor& caller) {
        kernel::task::begin_wait(*caller.task, nullptr, {.deadline = kernel::arch::now() + time});
    };
}

std::function<void(World&, Actor&)> World::yield() {
    return [](World&, Actor& caller) {
        kernel::task::request_yield();
        caller.task->frame.set_result(0);
    };
}

std::function<void(World&, Actor&)> World::kill(Actor& target) {
    return [&target](World&, Actor& caller) {
        target.task->must_exit.store(true);
        kernel::task::interrupt_wait(*target.task);
        if (target.task->home() != kernel::arch::current_cpu()) {
            kernel::task::kick(target.task->home());
        } else {
            kernel::task::request_reschedule();
        }
        caller.task->frame.set_result(0);
    };
}

std::function<void(World&, Actor&)> World::set_online(std::uint32_t hart, bool online) {
    return [hart, online](World&, Actor& caller) {
        const SysResult result = kernel::task::set_cpu_online(*caller.task, CpuId{hart}, online);
        if (result.wants_again()) {
            --caller.next_call;  // its next piece
            return;
        }
        caller.task->call_progress = 0;
        finish_call(caller, result);
    };
}

// ---- Running ----

void World::begin_run() {
    for (std::uint32_t i = 0; i < harts_; ++i) {
        Hart& hart = kernel::task::hart_of(CpuId{i});
        watch_lock(hart.lock);
        watch(&hart.inbox, sizeof(hart.inbox));
        watch(&hart.ipi_pending, sizeof(hart.ipi_pending));
        watch(&hart.presence, sizeof(hart.presence));
        watch_lock(hart.gone.lock());
    }
    watch(&kernel::task::idle_cpus, sizeof(kernel::task::idle_cpus));
    track(&kernel::task::harts, sizeof(kernel::task::harts));
    machine::track_memory();
    for (Actor& actor : actors_) {
        watch(&actor.task->run_state, sizeof(actor.task->run_state));
        watch(&actor.task->wait.token, sizeof(actor.task->wait.token));
        watch(&actor.task->must_exit, sizeof(actor.task->must_exit));
        watch_lock(actor.task->evicted.lock());
    }
    for (Semaphore& semaphore : semaphores_) {
        watch_lock(semaphore.queue.lock());
    }
}

Actor& World::actor_of(Task& task) {
    for (Actor& actor : actors_) {
        if (actor.task.get() == &task) {
            return actor;
        }
    }
    std::abort();
}

void World::hart(std::uint32_t index) {
    while (true) {
        static_cast<void>(kernel::task::exit_to_user());
        user_mode(index);
        machine::take_interrupts();
    }
}

// From the return to user mode to the next trap, and the call it makes. It looks at what other harts write,
// as nobody in the kernel may.
[[gnu::no_sanitize("thread")]] void World::user_mode(std::uint32_t index) {
    Actor& actor = actor_of(kernel::task::current_task());
    if (actor.in_user_on >= 0) {
        fail(actor.name + " runs on two harts");
    }
    actor.in_user_on = static_cast<std::int32_t>(index);
    actor.ran_on.push_back(index);
    if (is_tracing()) {
        note(actor.name + " in user mode");
    }
    if (Actor* const target = std::exchange(actor.setting, nullptr); target != nullptr) {
        --target->setters;
        const bool is_last = target->task->entity.attributes.affinity_effective == actor.set_to;
        if (is_last && target->in_user_on >= 0 &&
            !actor.set_to.contains(CpuId{static_cast<std::uint32_t>(target->in_user_on)})) {
            fail(target->name + " still runs outside its mask when the setter has returned");
        }
    }
    const CpuMask allowed = actor.task->entity.attributes.affinity_effective;
    if (actor.setters == 0 && !allowed.contains(CpuId{index})) {
        fail(actor.name + " runs outside its mask");
    }
    if (kernel::task::hart_of(CpuId{index}).presence.load() == kernel::task::Presence::Offline) {
        fail(actor.name + " runs on hart " + std::to_string(index) + ", which is offline");
    }
    choice();
    const bool has_call = actor.next_call < actor.calls.size();
    if (!has_call && actor.spins) {
        actor.is_done = true;
        while (!machine::is_interrupted(index)) {
            wait();
        }
    }
    actor.in_user_on = -1;
    if (machine::is_interrupted(index)) {
        return;
    }
    if (!has_call) {
        actor.is_done = true;
        end_task(*actor.task);
        return;
    }
    if (is_tracing()) {
        note(actor.name + " makes call " + std::to_string(actor.next_call));
    }
    actor.calls[actor.next_call++](*this, actor);
}

// As exit_thread() does, without memory and family.
void World::end_task(Task& task) {
    task.exit_begun = true;
    kernel::task::request_exit();
}

bool World::can_resume(std::uint32_t index) {
    return machine::is_interrupted(index);
}

std::uint32_t World::events() {
    return machine::next_timer().is_never() ? 0 : 1;
}

void World::happen(std::uint32_t /*event*/) {
    ++time_steps_;
    machine::advance_to_next_timer();
    note("time goes on");
}

bool World::is_done() {
    bool all_done = true;
    for (const Actor& actor : actors_) {
        all_done = all_done && actor.is_done;
    }
    return time_steps_ >= (all_done ? kIdleTimeSteps : kTimeStepsMax);
}

// ---- Checks ----

void World::check_places() {
    for (Actor& actor : actors_) {
        Task& task = *actor.task;
        const RunState state = task.run_state.load();
        if (!actor.is_done && !(actor.may_sleep && state == RunState::Blocked)) {
            fail(actor.name + " never came to its end (run state " + std::to_string(static_cast<int>(state)) +
                 ")");
            return;
        }
        const auto entity = task.entity.state();
        const bool is_current = kernel::task::hart_of(task.home()).current == &task;
        const bool fits = (state == RunState::Running) == (entity == kernel::sched::TaskState::Running) &&
                          (state == RunState::Running) == is_current &&
                          (state == RunState::Dead) == (entity == kernel::sched::TaskState::Dead);
        if (!fits) {
            fail(actor.name + " is in two states at once: run state " +
                 std::to_string(static_cast<int>(state)) + ", entity " +
                 std::to_string(static_cast<int>(entity)));
            return;
        }
    }
}

// Who has ended waits nowhere: on no queue, and for no deadline.
void World::check_waits() {
    for (const Actor& actor : actors_) {
        if (actor.task->run_state.load() == RunState::Blocked) {
            return;
        }
    }
    for (Semaphore& semaphore : semaphores_) {
        if (!semaphore.queue.empty()) {
            fail("a wait that has ended is still on its queue");
            return;
        }
    }
    for (std::uint32_t i = 0; i < harts_; ++i) {
        Hart& hart = kernel::task::hart_of(CpuId{i});
        const Instant deadline = [&]() NO_THREAD_SAFETY_ANALYSIS { return hart.timers.next_deadline(); }();
        if (!deadline.is_never()) {
            fail("hart " + std::to_string(i) + " keeps the deadline of a wait that has ended");
            return;
        }
    }
}

void World::check_idle() {
    for (std::uint32_t i = 0; i < harts_; ++i) {
        Hart& hart = kernel::task::hart_of(CpuId{i});
        if (hart.lock.is_held() || hart.inbox.load() != nullptr) {
            fail("hart " + std::to_string(i) +
                 (hart.lock.is_held() ? "'s lock is held" : "'s inbox is full"));
            return;
        }
        const kernel::sched::Violation violation = [&]() NO_THREAD_SAFETY_ANALYSIS {
            return kernel::sched::Auditor::check(hart.queue);
        }();
        if (violation.found()) {
            fail(std::string{violation.rule} + " on hart " + std::to_string(i));
            return;
        }
        for (std::uint32_t other = 0; other < harts_ && hart.current == nullptr; ++other) {
            if (kernel::task::hart_of(CpuId{other}).load.load().offers_work_to(CpuId{i})) {
                fail("hart " + std::to_string(i) + " idles while work for it waits on hart " +
                     std::to_string(other));
                return;
            }
        }
    }
}

void World::check_end() {
    check_places();
    check_waits();
    check_idle();
    if (at_end) {
        at_end(*this);
    }
}

void World::release_all() {
    for (std::uint32_t i = 0; i < harts_; ++i) {
        as_hart(i);
        kernel::task::leave_address_space(kernel::task::hart_of(CpuId{i}));
    }
    for (Actor& actor : actors_) {
        if (actor.task->run_state.load() != RunState::Dead) {
            Ref<Task>::adopt(*actor.task).reset();
        }
    }
    actors_.clear();
}

Outcome explore_world(std::uint32_t harts, const std::function<void(World&)>& build, const Bounds& bounds) {
    std::unique_ptr<World> world;
    const Program program{
        .harts = harts,
        .begin =
            [&] {
                world = std::make_unique<World>(harts);
                build(*world);
                world->begin_run();
            },
        .hart = [&](std::uint32_t index) { world->hart(index); },
        .can_resume = [&](std::uint32_t index) { return world->can_resume(index); },
        .events = [&] { return world->events(); },
        .happen = [&](std::uint32_t event) { world->happen(event); },
        .is_done = [&] { return world->is_done(); },
        .end =
            [&] {
                world->check_end();
                world.reset();
            },
    };
    return explore(program, bounds);
}

}  // namespace explore

// What kernel/task asks of the layers that are not here.
namespace kernel::task {
Ref<Task> next_task(TaskId after) {
    return lookup_next_task(after);
}
void deliver_signals(Task&) {}
void Alarm::go_off(Instant) {}
void Alarm::last_reference_gone(Alarm&) {}
void ProcessGroup::last_reference_gone(ProcessGroup&) {}
Alarm::~Alarm() = default;
void end_killed_task(Task& task) {
    task.exit_begun = true;
    for (explore::Actor& actor : explore::the_world->actors()) {
        if (actor.task.get() == &task) {
            actor.is_done = true;
        }
    }
    request_exit();
}
}  // namespace kernel::task

namespace kernel::log {
void emit(Level, std::string_view) {}
void emit_marker(std::string_view) {}
}  // namespace kernel::log
