// SPDX-License-Identifier: MIT
// What ppoll, pselect6 and epoll_pwait have in common: they look, wait for a change (file/poll.hpp), look
// again, until something is ready or the time is up.
#pragma once

#include <algorithm>
#include <cstdint>

#include "arch/contract.hpp"
#include "file/poll.hpp"
#include "lib/result.hpp"
#include "lib/units.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "task/signal.hpp"
#include "task/wait.hpp"

namespace kernel::syscall {

// When the call gives up. Task::call_progress: 0 at first, then that, in nanoseconds since boot, and kInLook
// between two pieces of a look.
class PollDeadline {
  public:
    // `patience` counts in the call's first run; max(): without end. Pre: patience >= 0.
    PollDeadline(Caller& caller, Duration patience)
        : now_{arch::now()}, is_first_{caller.task.call_progress == 0} {
        const auto end = static_cast<std::uint64_t>(now_.ns()) + static_cast<std::uint64_t>(patience.ns());
        // Never 0, so that a call without patience is over at once even at the beginning of time.
        ns_ = std::clamp<std::uint64_t>(is_first_ ? end : caller.task.call_progress & ~kInLook, 1, kNever);
    }
    static constexpr std::uint64_t kInLook = std::uint64_t{1} << 63;
    [[nodiscard]] bool is_first_run() const { return is_first_; }
    [[nodiscard]] bool is_over() const {
        return ns_ != kNever && std::max<std::uint64_t>(static_cast<std::uint64_t>(now_.ns()), 1) >= ns_;
    }
    [[nodiscard]] std::uint64_t progress() const { return ns_; }
    [[nodiscard]] Instant instant() const {
        return ns_ == kNever ? Instant::never() : Instant::from_ns(static_cast<std::int64_t>(ns_));
    }
    [[nodiscard]] Duration left() const {
        return Duration::nanoseconds(std::max<std::int64_t>(static_cast<std::int64_t>(ns_) - now_.ns(), 0));
    }

  private:
    static constexpr std::uint64_t kNever = ~std::uint64_t{0} >> 1;

    Instant now_;
    bool is_first_;
    std::uint64_t ns_{0};
};

// Waits until `look`, which is given a PollWatch, finds something ready (and returns how many), or the time
// is up.
template <class Look>
SysResult wait_until_ready(Caller& caller, const PollDeadline& deadline, Look&& look) {
    task::Task& task = caller.task;
    const bool is_in_look = (task.call_progress & PollDeadline::kInLook) != 0;
    if (!deadline.is_first_run() && !is_in_look) {
        file::pass_poll_on(task);
    }
    file::PollWatch watch = is_in_look ? file::PollWatch{task} : file::PollWatch{};
    const Result<std::uint64_t> ready = look(watch);
    if (!ready.ok()) {
        return ready;
    }
    if (watch.is_unfinished()) {
        watch.keep(task);
        task.call_progress = deadline.progress() | PollDeadline::kInLook;
        return SysResult::again();
    }
    if (*ready > 0 || deadline.is_over()) {
        return ready;
    }
    task.call_progress = deadline.progress();
    task::WaitOptions wait{
        .deadline = deadline.instant(), .run_again = true, .on_signal = task::OnSignal::Fails};
    if (watch.begin_wait(task, wait)) {
        return SysResult::blocked();
    }
    if ((task.exit_work.load() & task::Task::kSignalWork) == 0) {
        return SysResult::again();
    }
    // Signals end waits, and where files change all the time there might never be one: the signal that is
    // there ends this one before anything else is done.
    task::begin_wait(task, nullptr, wait);
    return SysResult::blocked();
}

// The mask of signals that holds while the call waits. Errors: InvalidArgument, BadAddress.
inline Result<void> set_waiting_mask(Caller& caller, nexus_abi::In<std::uint64_t> mask,
                                     std::uint64_t set_size) {
    if (!mask.is_null()) {
        if (set_size != sizeof(std::uint64_t)) {
            return Error::InvalidArgument;
        }
        task::set_temporary_mask(caller.task, TRY(mm::copy_in(caller.space(), mask)));
    }
    return {};
}

}  // namespace kernel::syscall
