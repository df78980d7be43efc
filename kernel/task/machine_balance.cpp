// SPDX-License-Identifier: MIT
// The balancing rules of sched/balance.hpp on this machine's harts. They hold one hart's lock at a time: a
// task leaves one queue under that queue's lock, is under way, and is taken in by its new home.
#include "lib/log.hpp"
#include "task/machine_harts.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

constinit sched::MachineBalance machine_balance;

namespace {

// Whether a first pulled task was announced; the boot log shows that stealing works on this machine.
constinit std::atomic<std::uint32_t> steal_announced{0};

void publish_counters(Hart& hart) {
    const sched::BalanceState& state = hart.balance;
    hart.steals.store(state.idle_pulls + state.class_pulls + state.pulls_at_pick, std::memory_order_relaxed);
    hart.pushes.store(state.pushes, std::memory_order_relaxed);
}

bool may_balance(Hart& hart) {
    const LockGuard guard{hart.lock};
    return !hart.queue.faults().no_balance;
}

}  // namespace

// Under the lock of the queue the entity was taken from.
void MachineHarts::set_home(sched::Entity& entity, CpuId cpu) NO_THREAD_SAFETY_ANALYSIS {
    Task& task = task_of(entity);
    Hart& hart = this_hart();
    task.enqueue_reason = sched::EnqueueReason::Migrate;
    trace::note(trace::Kind::Migrate, task.tid().value(), task.home().value() | cpu.value() << 8U);
    if (hart.current == &task) {
        // Chosen a moment ago and not loaded yet: its registers are in the task.
        serve(hart, nullptr, Instant{});  // up to where the queue is charged
        hart.current = nullptr;
        trace::note(trace::Kind::Switch, 0, static_cast<std::uint32_t>(trace::Fate::Moved));
        task.run_state.store(RunState::Ready, std::memory_order_relaxed);
        if (std::exchange(task.has_evictors, false)) {
            evicted_ = Ref<Task>::share(task);
        }
    }
    task.set_home(cpu);
}

void MachineHarts::send(sched::Entity& entity, CpuId cpu) {
    Task& task = task_of(entity);
    if (cpu == arch::current_cpu()) {
        static_cast<void>(take_in(this_hart(), task));
    } else {
        send_to(cpu, task);
    }
    if (evicted_) {
        release_evictors(*evicted_);
        evicted_.reset();
    }
}

bool pull_when_idle(Hart& hart) {
    MachineHarts machine;
    if (!sched::idle_pull(machine, arch::current_cpu(), hart.balance)) {
        return false;
    }
    publish_counters(hart);
    if (steal_announced.exchange(1) == 0) {
        log::marker("KSELFTEST: work stealing ok");
    }
    return true;
}

void balance_after_pick(Hart& hart) {
    MachineHarts machine;
    if (sched::balance(machine, arch::current_cpu(), hart.balance)) {
        hart.recheck = true;
    }
    publish_counters(hart);
}

bool answer_call(Hart& hart) {
    MachineHarts machine;
    if (!may_balance(hart) || !sched::answer_call(machine, arch::current_cpu(), hart.balance)) {
        return false;
    }
    hart.recheck = true;
    publish_counters(hart);
    return true;
}

void raise_frame_for(Hart& hart, const sched::Entity& entity) {
    MachineHarts machine;
    sched::raise_frame_before(machine, hart.queue, entity);
}

}  // namespace kernel::task
