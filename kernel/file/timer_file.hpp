// SPDX-License-Identifier: MIT
// A timer that is read: what timerfd_create opens. Nothing ticks for it: who waits for it, in read or in
// poll, has its next moment as a deadline, and what has passed is counted when somebody looks.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "file/poll.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "lib/thread_safety.hpp"
#include "lib/units.hpp"
#include "mm/slab.hpp"
#include "task/open_file.hpp"
#include "task/wait.hpp"

namespace kernel::file {

// Concurrency: guarded by the lock of those who wait.
class TimerFile final : public task::OpenFile {
  public:
    // What is left until it goes off, 0 when it is not set or did so once and for all; and how often it
    // repeats, 0 for never.
    struct Time {
        Duration left;
        Duration interval;
    };
    // Whether it is set and told by the time of day.
    [[nodiscard]] bool counts_from_1970() const { return counts_from_1970_; }
    // It goes off at `due` (never(): it is off) and then every `interval`; what was not read is forgotten.
    // Returns what was set before. Pre: interval >= 0.
    Time set(Instant due, Duration interval) EXCLUDES(waiters_.lock());
    [[nodiscard]] Time time() EXCLUDES(waiters_.lock());

    task::SysResult read(task::Task& caller, mm::UserBuffers& buffers, std::optional<std::uint64_t>) override;
    [[nodiscard]] task::FileStatus status() const override { return {.mode = 0600}; }
    [[nodiscard]] std::uint32_t poll(PollWatch& watch) override;
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const override;
    [[nodiscard]] TimerFile* timer() override { return this; }

  private:
    template <class T>
    friend class mm::ObjectPool;
    TimerFile(bool counts_from_1970, std::uint32_t flags)
        : OpenFile{flags | task::kOpenReadWrite}, counts_from_1970_{counts_from_1970} {}
    ~TimerFile() = default;
    void close() override;

    // How often it went off since it was read, and when it does so next; never(): no more.
    struct Passed {
        std::uint64_t times{0};
        Instant next{Instant::never()};
    };
    [[nodiscard]] Passed passed(Instant now) REQUIRES(waiters_.lock());
    [[nodiscard]] Time time_at(Instant now) REQUIRES(waiters_.lock());
    // Wakes one who waits for a moment that is no longer set; who passes it on when he looks again.
    void pass_setting_on() REQUIRES(waiters_.lock());

    const bool counts_from_1970_;
    task::WaitQueue waiters_;  // Wait::key: settings_ when they began to wait
    std::uint64_t settings_ GUARDED_BY(waiters_.lock()){0};
    Instant due_ GUARDED_BY(waiters_.lock()){Instant::never()};  // the first time that was not read
    Duration interval_ GUARDED_BY(waiters_.lock()){};
    std::uint64_t read_times_ GUARDED_BY(waiters_.lock()){0};  // for PollWatch::changes()
    PollMark mark_ GUARDED_BY(waiters_.lock());
};

// Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_timer(bool counts_from_1970, std::uint32_t flags);

}  // namespace kernel::file
