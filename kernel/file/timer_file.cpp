// SPDX-License-Identifier: MIT
#include "file/timer_file.hpp"

#include "arch/contract.hpp"
#include "file/number_transfer.hpp"

namespace kernel::file {

namespace {

constinit mm::ObjectPool<TimerFile> timers;

}  // namespace

void TimerFile::close() {
    waiters_.end_all(0);  // they look for their descriptor again: EBADF
    timers.destroy(this);
}

TimerFile::Passed TimerFile::passed(Instant now) {
    if (due_.is_never() || now < due_) {
        return {.next = due_};
    }
    if (interval_.is_zero()) {
        return {.times = 1};
    }
    const std::int64_t more = (now - due_).ns() / interval_.ns();
    return {.times = static_cast<std::uint64_t>(more) + 1,
            .next = (due_ + interval_ * more).plus_saturating(interval_)};
}

TimerFile::Time TimerFile::time_at(Instant now) {
    const Instant next = passed(now).next;
    return {.left = next.is_never() ? Duration{} : next - now, .interval = interval_};
}

TimerFile::Time TimerFile::set(Instant due, Duration interval) {
    Time before;
    bool was_watched = false;
    {
        const LockGuard guard{waiters_.lock()};
        before = time_at(arch::now());
        read_times_ += passed(arch::now()).times;
        due_ = due;
        interval_ = interval;
        ++settings_;
        was_watched = mark_.take();
        pass_setting_on();
    }
    if (was_watched) {
        poll_changed(this);
    }
    return before;
}

TimerFile::Time TimerFile::time() {
    const LockGuard guard{waiters_.lock()};
    return time_at(arch::now());
}

void TimerFile::pass_setting_on() {
    if (task::Wait* const oldest = waiters_.front(); oldest != nullptr && oldest->key != settings_) {
        waiters_.wake_one_locked(oldest->key, 0);
    }
}

task::SysResult TimerFile::read(task::Task& caller, mm::UserBuffers& buffers, std::optional<std::uint64_t>) {
    if (const auto room = check_number_room(buffers); !room.ok()) {
        return room.error();
    }
    std::uint64_t times = 0;
    {
        const LockGuard guard{waiters_.lock()};
        pass_setting_on();
        const Passed now = passed(arch::now());
        if (now.times == 0) {
            if (is_nonblocking()) {
                return Error::TryAgain;
            }
            task::begin_wait(caller, &waiters_, {.deadline = now.next, .run_again = true, .key = settings_});
            return task::SysResult::blocked();
        }
        times = now.times;
        due_ = now.next;
        read_times_ += times;
    }
    return give_number(buffers, times);
}

std::uint32_t TimerFile::poll(PollWatch& watch) {
    const LockGuard guard{waiters_.lock()};
    const Passed now = passed(arch::now());
    mark_.look(watch, this);
    // Until it is read, that it went off once is all there is to tell.
    watch.add_changes(read_times_ + (now.times > 0 ? 1 : 0));
    if (now.times == 0) {
        watch.add_moment(now.next);
    }
    return now.times > 0 ? task::kPollIn : 0;
}

Result<std::string_view> TimerFile::link_text(std::span<char> to) const {
    constexpr std::string_view kText = "anon_inode:[timerfd]";
    if (kText.size() > to.size()) {
        return Error::NameTooLong;
    }
    return std::string_view{to.data(), kText.copy(to.data(), to.size())};
}

Result<Ref<task::OpenFile>> open_timer(bool counts_from_1970, std::uint32_t flags) {
    return Ref<task::OpenFile>::adopt(*TRY(timers.create(counts_from_1970, flags)));
}

}  // namespace kernel::file
