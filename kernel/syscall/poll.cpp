// SPDX-License-Identifier: MIT
// ppoll: looks at every file it is given and waits for a change (file/poll.hpp) until one of them is ready.
#include "file/poll.hpp"

#include <algorithm>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/time_values.hpp"
#include "task/file_table.hpp"
#include "task/signal.hpp"

namespace kernel::syscall {

namespace {

// Reported whether or not they were asked for.
constexpr std::uint32_t kAlwaysReported = task::kPollError | task::kPollHangUp | task::kPollInvalid;
// POLLRDNORM and POLLWRNORM say the same as POLLIN and POLLOUT.
constexpr std::uint32_t kPollReadNormal = 0x40;
constexpr std::uint32_t kPollWriteNormal = 0x100;

// Task::call_progress: 0 at first, then when to give up, in nanoseconds since boot.
constexpr std::uint64_t kNoDeadline = ~std::uint64_t{0} >> 1;

std::uint32_t look_at(Caller& caller, const pollfd& wanted, file::PollWatch& watch) {
    const auto file = caller.files().find(wanted.fd);
    if (!file.ok()) {
        return task::kPollInvalid;
    }
    std::uint32_t events = (*file)->poll(watch);
    events |= (events & task::kPollIn) != 0 ? kPollReadNormal : 0;
    events |= (events & task::kPollOut) != 0 ? kPollWriteNormal : 0;
    return events & (wanted.events | kAlwaysReported);
}

// How many of the files have something to report; that is written to them.
Result<std::uint64_t> look_at_all(Caller& caller, InOut<pollfd> files, std::uint32_t count,
                                  file::PollWatch& watch) {
    std::uint64_t ready = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const InOut<pollfd> at{mm::user_address(files).value() + i * sizeof(pollfd)};
        pollfd entry = TRY(mm::copy_in(caller.space(), at));
        const std::uint32_t events = entry.fd < 0 ? 0 : look_at(caller, entry, watch);
        entry.revents = static_cast<std::uint16_t>(events);
        ready += events != 0 ? 1 : 0;
        TRY(mm::copy_out(caller.space(), at, entry));
    }
    return ready;
}

// When the call gives up, from the timeout of its first run.
Result<std::uint64_t> deadline_of(Caller& caller, InOut<timespec> timeout, Instant now) {
    if (caller.task.call_progress != 0) {
        return std::min(caller.task.call_progress, kNoDeadline);
    }
    if (timeout.is_null()) {
        return kNoDeadline;
    }
    const timespec given = TRY(mm::copy_in(caller.space(), timeout));
    const Duration length = TRY(from_timespec(given));
    const auto end = static_cast<std::uint64_t>(now.ns()) + static_cast<std::uint64_t>(length.ns());
    return std::clamp<std::uint64_t>(end, 1, kNoDeadline);
}

// As Linux; that it cannot be written is no error.
void write_time_left(Caller& caller, InOut<timespec> timeout, std::uint64_t deadline, Instant now) {
    if (!timeout.is_null()) {
        const auto left = static_cast<std::int64_t>(deadline) - now.ns();
        static_cast<void>(mm::copy_out(caller.space(), timeout,
                                       to_timespec(Duration::nanoseconds(std::max<std::int64_t>(left, 0)))));
    }
}

SysResult poll(Caller& caller, InOut<pollfd> files, std::uint32_t count, InOut<timespec> timeout) {
    const Instant now = arch::now();
    const bool is_first = caller.task.call_progress == 0;
    const auto deadline = deadline_of(caller, timeout, now);
    if (!deadline.ok()) {
        return deadline.error();
    }
    if (count > task::FileTable::kMaxFiles) {
        return Error::InvalidArgument;
    }
    if (!is_first) {
        file::pass_poll_on(caller.task);
    }
    file::PollWatch watch;
    const auto ready = look_at_all(caller, files, count, watch);
    // No deadline is 0, so that a call without patience is over at once even at the beginning of time.
    const bool is_over = *deadline != kNoDeadline &&
                         std::max<std::uint64_t>(static_cast<std::uint64_t>(now.ns()), 1) >= *deadline;
    if (!ready.ok() || *ready > 0 || is_over) {
        write_time_left(caller, timeout, *deadline, now);
        return ready;
    }
    caller.task.call_progress = *deadline;
    const Instant end = *deadline == kNoDeadline
                            ? Instant::never()
                            : Instant{} + Duration::nanoseconds(static_cast<std::int64_t>(*deadline));
    return watch.begin_wait(caller.task,
                            {.deadline = end, .run_again = true, .on_signal = task::OnSignal::Fails})
               ? SysResult::blocked()
               : SysResult::again();
}

}  // namespace

SysResult sys_ppoll(Caller& caller, InOut<pollfd> files, std::uint32_t count, InOut<timespec> timeout,
                    In<std::uint64_t> mask, std::uint64_t set_size) {
    if (!mask.is_null()) {
        if (set_size != sizeof(std::uint64_t)) {
            return Error::InvalidArgument;
        }
        const auto wanted = mm::copy_in(caller.space(), mask);
        if (!wanted.ok()) {
            return wanted.error();
        }
        task::set_temporary_mask(caller.task, *wanted);
    }
    return poll(caller, files, count, timeout);
}

}  // namespace kernel::syscall
