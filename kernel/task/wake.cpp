// SPDX-License-Identifier: MIT
// Where runnable tasks go: placement, inboxes, IPIs.
#include <utility>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "sched/placement.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/process.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

constinit AtomicCpuMask idle_cpus;

namespace {

// Immutable after boot.
constinit sched::MachineShape machine_shape;
// How long an interrupt may take until it is sent again; zero: it never is. Immutable after boot.
constinit Duration ipi_patience{};

// Until the timer is set the next time it may fire earlier than `programmed` says. Without this hart's lock,
// for the caller may hold another hart's; what is written here this hart alone writes (Hart::poll_at).
void expect_answer(CpuId cpu) NO_THREAD_SAFETY_ANALYSIS {
    Hart& self = this_hart();
    self.unanswered.add(cpu);
    if (self.ask_again_at.is_never()) {
        self.ask_again_at = arch::now() + ipi_patience;
        self.poll_at = min(self.poll_at, self.ask_again_at);
        if (self.ask_again_at < self.programmed) {
            arch::set_timer(self.ask_again_at);
        }
    }
}

void remove_answered(Hart& hart) {
    hart.unanswered.for_each([&hart](CpuId cpu) {
        // Relaxed: an interrupt sent once too often does no harm.
        if (hart_of(cpu).ipi_pending.load(std::memory_order_relaxed) == 0) {
            hart.unanswered.remove(cpu);
        }
    });
}

// Adds a task that has this hart as its home to this hart's queue. What other harts see of it follows when
// the hart decides, which it does before it leaves the kernel.
void enqueue_here(Hart& hart, Task& task, Instant now) REQUIRES(hart.lock) {
    raise_frame_for(hart, task.entity);
    static_cast<void>(hart.queue.enqueue(task.entity, now, task.enqueue_reason));
    hart.recheck = true;
    hart.load_is_stale = true;
}

// One reading of the clock for all that a round of timers wakes: each reading is an accounting of its own.
Instant time_of_placement() {
    const Instant round = this_hart().round;
    return round.is_never() ? arch::now() : round;
}

// However many arrive at once, no entry into the kernel takes in more than this: what is left interrupts
// again.
constexpr std::uint32_t kArrivalsPerEntry = 16;

struct Target {
    CpuId cpu;
    bool is_self{false};
};

Target choose_target(Task& task, Hart& home_hart, CpuId home, Instant now) REQUIRES(home_hart.lock) {
    const CpuMask online = fit_mask(home_hart, task, now);
    const sched::PlacementRequest request =
        sched::placement_request(task.entity.attributes, task.entity.effective(), home, online,
                                 home_hart.queue.faults(), machine_shape);
    CpuMask idle = idle_cpus.load();
    if (request.allowed.count_is_one()) {
        const CpuId only = request.allowed.lowest();
        if (idle.contains(only)) {
            static_cast<void>(idle_cpus.try_claim(only));  // it need not go and look elsewhere
        }
        return {.cpu = only, .is_self = only == arch::current_cpu()};
    }
    while (true) {
        const sched::Placement placement =
            sched::select_cpu(request, idle, [](CpuId cpu) { return hart_of(cpu).load.load(); });
        if (!placement.is_idle || idle_cpus.try_claim(placement.cpu)) {
            return {.cpu = placement.cpu, .is_self = placement.cpu == arch::current_cpu()};
        }
        idle.remove(placement.cpu);  // another waker was faster
    }
}

}  // namespace

void set_machine_shape(const sched::MachineShape& shape) {
    machine_shape = shape;
}

void look_after_interrupts(Duration patience) {
    ipi_patience = patience;
}

void kick(CpuId cpu) {
    Hart& hart = hart_of(cpu);
    if (hart.ipi_pending.exchange(1) == 0) {
        trace::note(trace::Kind::IpiSent, cpu.value(), 0);
        count(this_hart().ipis_sent);
        arch::send_ipi(CpuMask::of(cpu));
        if (!ipi_patience.is_zero()) {
            expect_answer(cpu);
        }
    }
}

void ask_again(Hart& hart) {
    remove_answered(hart);
    const CpuMask silent = hart.unanswered;
    if (!silent.empty()) {
        count(hart.ipis_sent);
        arch::send_ipi(silent);
        silent.for_each([](CpuId cpu) { expect_answer(cpu); });
    }
}

void forget_answered(Hart& hart) {
    if (hart.ask_again_at.is_never()) {
        return;
    }
    remove_answered(hart);
    if (hart.unanswered.empty()) {
        hart.ask_again_at = Instant::never();
        hart.poll_at = next_poll(hart);
        hart.programmed = kTimerFired;  // expect_answer() may have set the timer to less than it says
    }
}

void send_to(CpuId cpu, Task& task) {
    Hart& hart = hart_of(cpu);
    Task* head = hart.inbox.load(std::memory_order_relaxed);
    do {
        task.inbox_next = head;
        // seq_cst: ordered before reading ipi_pending in kick(); pairs with drain_inbox() and the idle loop.
    } while (!hart.inbox.compare_exchange_weak(head, &task));
    kick(cpu);
}

bool call_for_help(CpuId cpu) {
    const bool has_idle = !idle_cpus.load().empty() && machine_balance.overloaded().contains(cpu);
    if (!has_idle && !machine_balance.may_have_takers(cpu)) {
        return false;
    }
    const sched::HartLoad load = hart_of(cpu).load.load();
    CpuMask waiting;
    for (const CpuMask mask : load.waiting_mask) {
        waiting = waiting | mask;
    }
    const CpuMask idle = waiting & idle_cpus.load();
    if (!idle.empty() && idle_cpus.try_claim(idle.lowest())) {
        kick(idle.lowest());
        return true;
    }
    const CpuMask takers = machine_balance.takers(cpu, load);
    if (!takers.empty()) {
        kick(takers.lowest());
    }
    return !takers.empty();
}

void pass_call_on() {
    CpuMask overloaded = machine_balance.overloaded();
    // Reads loads and locks nothing, so it may ask all of them: the first ones may have nothing for the
    // others.
    while (!overloaded.empty()) {
        const CpuId cpu = overloaded.lowest();
        overloaded.remove(cpu);
        if (call_for_help(cpu)) {
            return;
        }
    }
}

namespace {

// place() on a machine of one hart: the task's home is here, its mask holds this hart or is fitted until it
// does, no hart idles, and no other one's frame is to be compared with. A wake-up that changes nothing about
// who runs asks for no decision, only for a timer that fires in time. False, and nothing done, when the mask
// does not fit.
bool place_on_the_only_hart(Task& task, sched::EnqueueReason reason, Instant now) {
    Hart& hart = this_hart();
    const SharedLockGuard guard{hart.lock, true};
    if (needs_fitting(task) || !hart.queue.allows(task.entity)) [[unlikely]] {
        return false;
    }
    task.enqueue_reason = reason;
    trace_placement(task, reason, arch::current_cpu(), arch::current_cpu(), now);
    Instant event;
    if (reason == sched::EnqueueReason::Wake && (hart.queue.wake_later(task.entity, now, event) ||
                                                 hart.queue.wake_plainly(task.entity, now, event))) {
        hart.has_company = true;
        if (event <= now) {
            hart.recheck = true;
        } else {
            advance_timer(hart, event);
        }
        return true;
    }
    // enqueue() itself ends the sleep or begins the life.
    static_cast<void>(hart.queue.enqueue(task.entity, now, reason));
    hart.recheck = true;
    hart.load_is_stale = true;
    return true;
}

}  // namespace

namespace {

// place() on any machine. Not inlined: the short way keeps less on the stack.
[[gnu::noinline]] void place_anywhere(Task& task, sched::EnqueueReason reason, Instant now) {
    const Target target = with_home(task, [&](Hart& hart, CpuId home) NO_THREAD_SAFETY_ANALYSIS {
        // A task that is sent on from an inbox was noted where its wake-up began.
        if (task.entity.state() == sched::TaskState::Blocked) {
            if (reason == sched::EnqueueReason::Wake) {
                hart.queue.note_woken(task.entity, now);
            } else {
                sched::RunQueue::note_created(task.entity, now);
            }
        }
        task.enqueue_reason = reason;
        const Target chosen = choose_target(task, hart, home, now);
        trace_placement(task, reason, home, chosen.cpu, now);
        if (chosen.cpu == home) {
            if (chosen.is_self) {
                enqueue_here(hart, task, now);
                return Target{.cpu = home, .is_self = false};
            }
        } else {
            task.set_home(chosen.cpu);
        }
        return chosen;
    });
    if (target.is_self) {
        take_in(this_hart(), task);
    } else if (target.cpu != arch::current_cpu()) {
        send_to(target.cpu, task);
    }
}

}  // namespace

void place(Task& task, sched::EnqueueReason reason) {
    DCHECK(task.run_state.load(std::memory_order_relaxed) == RunState::Ready);
    const Instant now = time_of_placement();
    if (has_one_hart && place_on_the_only_hart(task, reason, now)) {
        return;
    }
    place_anywhere(task, reason, now);
}

bool take_in(Hart& hart, Task& task) {
    {
        const LockGuard guard{hart.lock};
        // Its mask may have changed on the way, or this hart went offline.
        const bool is_online = hart.presence.load(std::memory_order_acquire) == Presence::Online;
        if (is_online && hart.queue.allows(task.entity)) {
            enqueue_here(hart, task, time_of_placement());
            return true;
        }
    }
    place(task, task.enqueue_reason);
    return false;
}

bool drain_inbox(Hart& hart) {
    if (!has_arrivals(hart)) {
        return false;
    }
    if (hart.arrivals == nullptr) {
        // Cleared before the stack is taken: who pushes later interrupts again.
        hart.ipi_pending.exchange(0);
        hart.arrivals = hart.inbox.exchange(nullptr);
    }
    for (std::uint32_t i = 0; i < kArrivalsPerEntry && hart.arrivals != nullptr; ++i) {
        Task* const task = hart.arrivals;
        hart.arrivals = std::exchange(task->inbox_next, nullptr);
        static_cast<void>(take_in(hart, *task));
    }
    if (hart.arrivals != nullptr) {
        kick(arch::current_cpu());
    }
    return true;
}

void wake(Task& task) {
    RunState state = task.run_state.load(std::memory_order_acquire);
    while (true) {
        if (state == RunState::Blocking) {
            // Its hart has not put it aside yet and will find out.
            if (task.run_state.compare_exchange_weak(state, RunState::Woken, std::memory_order_acq_rel)) {
                return;
            }
        } else {
            DCHECK(state == RunState::Blocked);
            if (task.run_state.compare_exchange_weak(state, RunState::Ready, std::memory_order_acq_rel)) {
                break;
            }
        }
    }
    place(task, sched::EnqueueReason::Wake);
}

namespace {

// Its place in virtual time, the class it is served in, its budget. Pre: this hart is the task's home, and
// where `parent` runs.
void begin_behind(Task& task, Task* parent) {
    Hart& hart = this_hart();
    const LockGuard guard{hart.lock};
    const Instant now = arch::now();
    if (parent != nullptr) {
        hart.queue.charge_current(now);
        hart.queue.inherit_position(task.entity, parent->entity);
    }
    follow_budget(hart, task, now);
}

// start() of another thread of its parent's process, on a machine of one hart and where the dispatcher may
// put that off (RunQueue::start_later()): whoever makes a thread mostly waits soon after. False, and nothing
// done, in other cases. Budgets and groups follow what is shared: nothing is.
#ifdef __riscv
bool start_alone(Task& task, const Task& parent) {
    if (!has_one_hart || task.own_budget || task.inherited_budget || task.process().group ||
        needs_fitting(task)) {
        return false;
    }
    Hart& hart = this_hart();
    const SharedLockGuard guard{hart.lock, true};
    const Instant now = arch::now();
    Instant event;
    if (hart.current != &parent || !hart.queue.start_later(task.entity, now, event)) {
        return false;
    }
    task.enqueue_reason = sched::EnqueueReason::New;
    trace_placement(task, sched::EnqueueReason::New, arch::current_cpu(), arch::current_cpu(), now);
    hart.has_company = true;
    advance_timer(hart, event);
    return true;
}
#else
// On the host there are no harts, and tests stand in for the dispatcher: the general way.
bool start_alone(Task& /*task*/, const Task& /*parent*/) {
    return false;
}
#endif

}  // namespace

void start(Task& task, Task* parent) {
    task.run_state.store(RunState::Ready, std::memory_order_relaxed);
    task.set_home(arch::current_cpu());
    if (parent != nullptr && &parent->process() == &task.process() && start_alone(task, *parent)) {
        task.publish();
        return;
    }
    begin_behind(task, parent);
    // Before the first instruction, which may make the id known. Not earlier: attributes set by others would
    // be overwritten, and a kill would find a process without threads.
    task.publish();
    follow_group(task);
    place(task, sched::EnqueueReason::New);
}

void hold(Task& task, Task& parent) {
    task.run_state.store(RunState::Blocked, std::memory_order_relaxed);
    task.set_home(arch::current_cpu());
    begin_behind(task, &parent);
    // A wait without event and deadline: a kill interrupts it like any other.
    task.wait.token.store(Wait::Armed, std::memory_order_relaxed);
    task.publish();
    follow_group(task);
}

void release(Task& task, Task& caller) {
    if (!claim_wait(task.wait)) {
        return;
    }
    task.wait.token.store(Wait::None, std::memory_order_relaxed);
    // On no queue and claimed: nobody else moves it. To this hart, because the caller's place in virtual time
    // is here.
    with_home(task, [&](Hart&, CpuId) {
        task.set_home(arch::current_cpu());
        return 0;
    });
    begin_behind(task, &caller);
    task.run_state.store(RunState::Ready, std::memory_order_release);
    place(task, sched::EnqueueReason::New);
}

}  // namespace kernel::task
