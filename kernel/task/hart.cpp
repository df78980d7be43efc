// SPDX-License-Identifier: MIT
#include "task/hart.hpp"

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "lib/check.hpp"
#include "task/alarm.hpp"
#include "task/dispatcher.hpp"
#include "task/watchdog.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

constinit std::array<Hart, kMaxCpus> harts;

namespace {

using Hook = void (*)();
constinit Hook external_interrupt = nullptr;
constinit Hook on_ipi = nullptr;
// Set before any Hart::poll_at is.
constinit Hook on_poll = nullptr;
constinit Duration poll_period{};

// Waits ended in one go; the caller asks again.
constexpr std::uint32_t kExpiredPerRound = 16;
// Alarms likewise: each sends a signal.
constexpr std::uint32_t kAlarmsPerRound = 4;

// Whether its sleeps end at their instants: by its class, or because it asked for less latency than the
// slack.
bool is_punctual(const sched::Entity& entity) {
    const Duration hint = entity.attributes.latency;
    return entity.effective() > sched::QosClass::Normal || (!hint.is_zero() && hint < kTimerSlack);
}

}  // namespace

Task& task_of(sched::Entity& entity) {
    constexpr std::uintptr_t kProbe = 0x10000;
    const auto offset = reinterpret_cast<std::uintptr_t>(&reinterpret_cast<Task*>(kProbe)->entity) - kProbe;
    return *reinterpret_cast<Task*>(reinterpret_cast<std::uintptr_t>(&entity) - offset);
}

void publish_load(Hart& hart) {
    if (!has_one_hart) {  // nobody looks
        const sched::HartLoad load = hart.queue.load();
        hart.load.store(load);
        if (machine_balance.note_load(hart.queue.cpu(), load, online_cpus())) {
            if (&hart == &this_hart()) {
                hart.is_wanted = true;
            } else {
                kick(hart.queue.cpu());
            }
        }
    }
}

void set_external_interrupt_hook(void (*hook)()) {
    external_interrupt = hook;
}

void external_interrupt_hook() {
    trace::note(trace::Kind::External, 0, 0);
    if (external_interrupt != nullptr) {
        external_interrupt();
    }
}

void poll_on(CpuId cpu, Duration period, void (*poll)()) {
    on_poll = poll;
    poll_period = period;
    Hart& hart = hart_of(cpu);
    {
        const LockGuard guard{hart.lock};
        hart.device_poll_at = arch::now() + period;
        hart.poll_at = next_poll(hart);
    }
    // It sets its timer on its way out of the kernel.
    if (cpu == arch::current_cpu()) {
        hart.recheck = hart.timer_is_new = true;
    } else {
        kick(cpu);
    }
}

void poll_if_due() {
    Hart& hart = this_hart();
    bool device = false;
    bool watch = false;
    bool answers = false;
    Instant now;
    {
        const LockGuard guard{hart.lock};
        if (hart.poll_at.is_never() || (now = arch::now()) < hart.poll_at) {
            return;
        }
        device = hart.device_poll_at <= now;
        watch = hart.watch_at <= now;
        answers = hart.ask_again_at <= now;
        if (device) {
            hart.device_poll_at = now + poll_period;
        }
        if (watch) {
            hart.watch_at = Instant::never();
        }
        if (answers) {
            hart.ask_again_at = Instant::never();
        }
        hart.poll_at = next_poll(hart);
    }
    if (answers) {
        ask_again(hart);
    }
    if (device) {
        on_poll();
    }
    if (watch) {
        const Instant next = look_at_neighbour(now);
        const LockGuard guard{hart.lock};
        hart.watch_at = next;
        hart.poll_at = next_poll(hart);
    }
}

void configure_hart(CpuId cpu, std::uint32_t capacity, const sched::Faults& faults) {
    Hart& hart = harts[cpu.value()];
    const LockGuard guard{hart.lock};
    hart.queue.start(cpu, arch::now(), capacity, faults);
    publish_load(hart);
}

void set_ipi_hook(void (*hook)()) {
    on_ipi = hook;
}

void ipi_hook() {
    if (on_ipi != nullptr) {
        on_ipi();
    }
}

void interrupt_hart(CpuId cpu) {
    kick(cpu);
}
std::uint64_t ipis_received(CpuId cpu) {
    return hart_of(cpu).ipis_received.load(std::memory_order_acquire);
}

void program_timer_for(Hart& hart, Instant event) {
    const Instant next = min(min(event, hart.timers.next_interrupt()), hart.poll_at);
    hart.timer_is_new = false;
    if (next != hart.programmed) {
        hart.programmed = next;
        arch::set_timer(next);
    }
}

void arm_timer(Timer& timer, Instant deadline) {
    Hart& hart = this_hart();
    const LockGuard guard{hart.lock};
    timer.cpu = hart.queue.cpu();
    timer.due = deadline;
    if (is_punctual(timer.wait->task->entity)) {
        hart.timers.add(timer, deadline - kWakeAdvance, Duration{});
    } else {
        hart.timers.add(timer, deadline, kTimerSlack);
    }
    hart.recheck = hart.timer_is_new = true;
}

void arm_alarm(Timer& timer, Instant deadline) {
    Hart& hart = this_hart();
    const LockGuard guard{hart.lock};
    timer.cpu = hart.queue.cpu();
    timer.due = deadline;
    hart.timers.add(timer, deadline, Duration{});
    hart.recheck = hart.timer_is_new = true;
}

void cancel_timer(Timer& timer) {
    Hart& hart = hart_of(timer.cpu);
    const LockGuard guard{hart.lock};
    if (timer.queued) {
        hart.timers.remove(timer);
    }
}

bool expire_timers(Hart& hart, Instant now) {
    std::array<Wait*, kExpiredPerRound> expired;
    std::uint32_t expired_count = 0;
    std::array<Ref<Alarm>, kAlarmsPerRound> alarms;
    std::uint32_t alarm_count = 0;
    bool more = false;
    {
        const LockGuard guard{hart.lock};
        while (expired_count < expired.size() && alarm_count < alarms.size()) {
            Timer* const timer = hart.timers.pop_expired(now);
            if (timer == nullptr) {
                break;
            }
            if (timer->alarm != nullptr) {
                // Its owner has not come past cancel_timer() yet.
                alarms[alarm_count++] = Ref<Alarm>::share(*timer->alarm);
                continue;
            }
            // Claimed under the lock cancel_timer() takes: the task cannot go away between the two.
            if (claim_wait(*timer->wait)) {
                timer->wait->has_deadline = false;
                timer->wait->task->due = timer->due;
                expired[expired_count++] = timer->wait;
            }
        }
        more = hart.timers.next_deadline() <= now;
    }
    hart.round = now;
    for (std::uint32_t i = 0; i < expired_count; ++i) {
        expire_wait(*expired[i]);
    }
    hart.round = Instant::never();
    for (std::uint32_t i = 0; i < alarm_count; ++i) {
        alarms[i]->go_off(now);
    }
    return more;
}

void fill_hart_stat(CpuId cpu, nexus_abi::sched_hartstat& stat) {
    Hart& hart = hart_of(cpu);
    stat = {};
    stat.size = sizeof(stat);
    stat.online = online_cpus().contains(cpu) ? 1 : 0;
    stat.hart_id = arch::cpu_locals[cpu.value()].hart.value();
    stat.nr_timer_interrupts = hart.timer_interrupts.load(std::memory_order_relaxed);
    stat.nr_ipis_sent = hart.ipis_sent.load(std::memory_order_relaxed);
    stat.nr_ipis_received = hart.ipis_received.load(std::memory_order_relaxed);
    stat.nr_pushes = hart.pushes.load(std::memory_order_relaxed);
    stat.nr_steals = hart.steals.load(std::memory_order_relaxed);
    stat.section_max_ns = arch::ticks_to_ns(hart.section_max_ticks.load(std::memory_order_relaxed));
    stat.section_max_what = hart.section_max_what.load(std::memory_order_relaxed);
    if (!started_cpus().contains(cpu)) {
        return;
    }
    const LockGuard guard{hart.lock};
    hart.queue.charge_current(arch::now());
    stat.busy_ns = static_cast<std::uint64_t>(hart.queue.busy().ns());
    stat.idle_ns = static_cast<std::uint64_t>(hart.queue.idle().ns());
    stat.nr_switches = hart.queue.switches();
    stat.nr_runnable = hart.queue.runnable();
    stat.capacity = hart.queue.capacity();
}

void note_section_start() {
    DCHECK(!arch::can_touch_user_pages());
    arch::cpu_local().entry_ticks = arch::read_ticks();
}

void note_section_end(std::uint64_t what) {
    DCHECK(!arch::can_touch_user_pages());
    Hart& hart = this_hart();
    const std::uint64_t ticks = arch::read_ticks() - arch::cpu_local().entry_ticks;
    if (ticks > hart.section_max_ticks.load(std::memory_order_relaxed)) {
        hart.section_max_ticks.store(ticks, std::memory_order_relaxed);
        hart.section_max_what.store(what, std::memory_order_relaxed);
    }
}

}  // namespace kernel::task
