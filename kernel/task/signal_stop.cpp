// SPDX-License-Identifier: MIT
// How a process stops and goes on.
#include "task/lifecycle.hpp"
#include "task/process_group.hpp"
#include "task/signal.hpp"

namespace kernel::task {

namespace {

// Stopped threads woken in one go; each of them wakes kWokenByEach more.
constexpr std::uint32_t kWokenAtOnce = 8;
constexpr std::uint32_t kWokenByEach = 2;
// Threads told to stop in one go.
constexpr std::uint32_t kToldAtOnce = 16;

// Lets some stopped threads go on, each of which lets more.
void wake_stopped(ProcessSignals& signals, std::uint32_t count) {
    for (Wait* wait = signals.waiters.first_of(kStoppedWaits, 0); wait != nullptr && count != 0;) {
        Wait* const following = signals.waiters.first_of(kStoppedWaits, 0, wait->sequence);
        if (claim_wait(*wait)) {
            signals.waiters.remove(*wait);
            wait->task->is_stopped = false;
            --signals.stopped_threads;
            finish_wait(*wait, 0);
            --count;
        }
        wait = following;
    }
}

// A stopped thread goes on, and others with it.
void resume_stopped(Task& task) {
    task.in_stop = false;
    {
        ProcessSignals& signals = task.process().signals;
        const LockGuard guard{signals.waiters.lock()};
        if (signals.stop_signal == 0) {
            wake_stopped(signals, kWokenByEach);
        }
    }
    task.exit_work.fetch_or(Task::kSignalWork);  // what came meanwhile, and the call it had begun
}

// Tells up to kToldAtOnce threads to stop that were not told yet; each of them tells as many more. Told ones
// go to the back of the list, so the first told one at the front means that all are.
void tell_threads_to_stop(Process& process) REQUIRES(family_lock()) {
    if (process.exec_task != nullptr) {
        notify(*process.exec_task);  // the others are about to end
        return;
    }
    for (std::uint32_t i = 0; i < kToldAtOnce; ++i) {
        Task* const task = process.threads.front();
        if (task == nullptr || task->stop_round == process.stop_round) {
            return;
        }
        process.threads.remove(*task);
        process.threads.push_back(*task);
        task->stop_round = process.stop_round;
        notify(*task);
    }
}

}  // namespace

bool settle_stop_signals(Process& process, Task* only, std::uint32_t number) {
    ProcessSignals& signals = process.signals;
    if ((signal::bit(number) & signal::kStopSignals) == 0 && number != signal::kContinue) {
        return false;
    }
    const bool is_continue = number == signal::kContinue;
    const std::uint64_t dropped = is_continue ? signal::kStopSignals : signal::bit(signal::kContinue);
    signals.pending.drop(dropped);
    if (only != nullptr) {
        only->pending_signals.drop(dropped);
    }
    if (!is_continue) {
        return false;
    }
    signals.stop_taken = false;
    if (signals.stop_signal == 0) {
        return false;
    }
    signals.stop_signal = 0;
    wake_stopped(signals, kWokenAtOnce);
    return true;
}

bool is_stopped(Process& process) {
    const LockGuard guard{process.signals.waiters.lock()};
    return process.signals.stop_signal != 0;
}

void begin_stop(Task& task, std::uint32_t number) {
    Process& process = task.process();
    {
        const LockGuard family_guard{family_lock()};
        // As the terminal's stop signals do nothing to who could not be continued.
        if (number != signal::kStop && process.process_group && is_orphaned(*process.process_group)) {
            return;
        }
        const LockGuard guard{process.signals.waiters.lock()};
        if (process.signals.stop_signal != 0 || !process.signals.stop_taken) {
            return;
        }
        process.signals.stop_signal = number;
        ++process.stop_round;
    }
    stop_thread(task);
}

void stop_thread(Task& task) {
    Process& process = task.process();
    const LockGuard family_guard{family_lock()};
    if (process.is_exiting.load(std::memory_order_relaxed)) {
        return;
    }
    tell_threads_to_stop(process);
    bool is_last = false;
    std::uint32_t number = 0;
    {
        ProcessSignals& signals = process.signals;
        const LockGuard guard{signals.waiters.lock()};
        number = signals.stop_signal;
        if (number == 0) {
            task.exit_work.fetch_or(Task::kSignalWork);  // it was continued: what else there is
            return;
        }
        task.is_stopped = true;
        ++signals.stopped_threads;
        is_last = signals.stopped_threads == signals.threads;
        task.in_stop = true;
        begin_wait(task, &signals.waiters, {.resume = &resume_stopped, .key = kStoppedWaits});
    }
    if (is_last) {
        note_child_change(process, ChildChange::Stopped, number);
    }
}

}  // namespace kernel::task
