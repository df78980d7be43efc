// SPDX-License-Identifier: MIT
#include "file/event_counter.hpp"

#include <atomic>
#include <bit>
#include <span>

#include "file/number_transfer.hpp"
#include "file/poll.hpp"
#include "mm/slab.hpp"
#include "task/process.hpp"
#include "task/wait.hpp"

namespace kernel::file {

namespace {

using mm::UserBuffers;
using task::SysResult;
using task::Task;

// Beyond those of pipes and sockets.
constexpr std::uint64_t kFirstInode = std::uint64_t{1} << 35;
constinit std::atomic<std::uint64_t> next_inode{kFirstInode};

// Concurrency: the number is guarded by the lock of those who wait. A wake-up is passed on by whoever it
// reached as long as there is something left to do.
class EventCounter final : public task::OpenFile {
  public:
    SysResult read(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override;
    SysResult write(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override;
    [[nodiscard]] task::FileStatus status() const override { return {.mode = 0600, .inode = inode_}; }
    [[nodiscard]] std::uint32_t poll(PollWatch& watch) override;
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const override;

  private:
    template <class T>
    friend class mm::ObjectPool;
    EventCounter(std::uint64_t value, bool counts_down, std::uint32_t flags)
        : OpenFile{flags | task::kOpenReadWrite},
          inode_{next_inode.fetch_add(1, std::memory_order_relaxed)},
          counts_down_{counts_down},
          value_{value} {}
    ~EventCounter() = default;
    void close() override;

    static constexpr std::uint64_t kMost = ~std::uint64_t{0} - 1;
    // Keys of the waits.
    static constexpr std::uint64_t kReader = 1;
    static constexpr std::uint64_t kWriter = 2;
    [[nodiscard]] SysResult wait_or_fail(Task& caller, std::uint64_t side) REQUIRES(waiters_.lock());
    // The number has changed: wakes who can do something now. True: call poll_changed() once the lock is
    // free.
    [[nodiscard]] bool tell() REQUIRES(waiters_.lock());

    const std::uint64_t inode_;
    const bool counts_down_;
    task::WaitQueue waiters_;
    std::uint64_t value_ GUARDED_BY(waiters_.lock());
    PollMark mark_ GUARDED_BY(waiters_.lock());
};

constinit mm::ObjectPool<EventCounter> counters;

void EventCounter::close() {
    waiters_.end_all(0);  // they look for their descriptor again: EBADF
    counters.destroy(this);
}

SysResult EventCounter::wait_or_fail(Task& caller, std::uint64_t side) {
    if (is_nonblocking()) {
        return Error::TryAgain;
    }
    task::begin_wait(caller, &waiters_, {.run_again = true, .key = side});
    return SysResult::blocked();
}

bool EventCounter::tell() {
    if (value_ > 0) {
        waiters_.wake_one_locked(kReader, 0);
    }
    if (value_ < kMost) {
        waiters_.wake_one_locked(kWriter, 0);
    }
    return mark_.take();
}

SysResult EventCounter::read(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) {
    if (const auto room = check_number_room(buffers); !room.ok()) {
        return room.error();
    }
    std::uint64_t taken = 0;
    bool was_watched = false;
    {
        const LockGuard guard{waiters_.lock()};
        if (value_ == 0) {
            return wait_or_fail(caller, kReader);
        }
        taken = counts_down_ ? 1 : value_;
        value_ -= taken;
        was_watched = tell();
    }
    if (was_watched) {
        poll_changed(this);
    }
    return give_number(buffers, taken);
}

SysResult EventCounter::write(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) {
    NumberBytes bytes{};
    const auto given = buffers.gather(bytes);
    if (!given.ok() || *given < bytes.size()) {
        return given.ok() ? Error::InvalidArgument : given.error();
    }
    const auto added = std::bit_cast<std::uint64_t>(bytes);
    if (added > kMost) {
        return Error::InvalidArgument;
    }
    bool was_watched = false;
    {
        const LockGuard guard{waiters_.lock()};
        if (added > kMost - value_) {
            return wait_or_fail(caller, kWriter);
        }
        value_ += added;
        was_watched = tell();
    }
    if (was_watched) {
        poll_changed(this);
    }
    return std::uint64_t{bytes.size()};
}

std::uint32_t EventCounter::poll(PollWatch& watch) {
    const LockGuard guard{waiters_.lock()};
    mark_.look(watch, this);
    return (value_ > 0 ? task::kPollIn : 0) | (value_ < kMost ? task::kPollOut : 0);
}

Result<std::string_view> EventCounter::link_text(std::span<char> to) const {
    constexpr std::string_view kText = "anon_inode:[eventfd]";
    if (kText.size() > to.size()) {
        return Error::NameTooLong;
    }
    return std::string_view{to.data(), kText.copy(to.data(), to.size())};
}

}  // namespace

Result<Ref<task::OpenFile>> open_event_counter(std::uint64_t value, bool counts_down, std::uint32_t flags) {
    return Ref<task::OpenFile>::adopt(*TRY(counters.create(value, counts_down, flags)));
}

}  // namespace kernel::file
