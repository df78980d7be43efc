// SPDX-License-Identifier: MIT
// Waiting for any of several files (ppoll, epoll). A task has one wait and no list of what it waits for, so
// it looks at its files, waits, and looks again whenever something it looked at has changed.
//
// A file that can change is watched: who looks at it sets a mark in it, under the file's own lock; who
// changes it takes the mark away under the same lock and, if there was one, calls changed() afterwards. Files
// nobody polls therefore cost nothing and touch nothing shared. A poller that looked before a change and
// waits after it is saved by the generation, which every change() advances: begin_wait() refuses when it has
// moved.
//
// A poller of one file waits under that file's name; pollers of several wait under no name and are woken by
// every change. A change wakes kWokenPerChange of each kind; each of them wakes as many of those that were
// there at the time, so no call does more than that.
//
// Event lists may hold event lists, so a call may have very many files to look at. It does so in pieces: once
// a look is tired, it says how far it came and goes on there, with the generation of its beginning, after
// others had their turn. What it knows meanwhile is kept where the wait will be that follows (task::Wait).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lib/units.hpp"
#include "task/open_file.hpp"
#include "task/task.hpp"
#include "task/wait.hpp"

namespace kernel::file {

// What one look at files saw. Concurrency: lives on the stack of the hart that handles the call.
class PollWatch {
  public:
    // How far a look has come, in its own terms. A program may arrange for any values to be there.
    using Place = std::array<std::uint64_t, 3>;

    // Notes the generation: whatever changes from now on is noticed.
    PollWatch();
    // Goes on with a look that keep() has kept.
    explicit PollWatch(const task::Task& task);
    void keep(task::Task& task) const;

    // One more file was looked at. A list that is a file goes on when tired: no more than kMaxItems of it.
    void count_look() { ++looks_; }
    [[nodiscard]] bool is_tired() const { return looks_ >= kLooksPerPiece; }
    // The look is to go on at this place, in another piece.
    void stop_at(const Place& place) {
        place_ = place;
        is_unfinished_ = true;
    }
    [[nodiscard]] bool is_unfinished() const { return is_unfinished_; }
    // Where to go on; null: at the beginning.
    [[nodiscard]] const Place* resumed_at() const { return is_resumed_ ? &place_ : nullptr; }
    // A file that can change; `name` is the same address for all its parts. `changes` is a number that only
    // grows, and does with each change somebody was watching for.
    void add(const void* name, std::uint64_t changes);
    // Another part of that number.
    void add_changes(std::uint64_t changes) { changes_ += changes; }
    // What it looked at changes by itself then.
    void add_moment(Instant moment) { moment_ = std::min(moment_, moment); }
    // Of all it looked at: another number means that something has changed.
    [[nodiscard]] std::uint64_t changes() const { return changes_; }
    // Nothing it looked at can change.
    [[nodiscard]] bool is_empty() const { return name_ == 0; }
    // Waits for a change. False: something has changed meanwhile, look again.
    [[nodiscard]] bool begin_wait(task::Task& task, const task::WaitOptions& options) const;

  private:
    static constexpr std::uint32_t kLooksPerPiece = 256;

    std::uint64_t generation_;
    std::uint64_t name_{0};
    std::uint64_t changes_{0};
    Instant moment_{Instant::never()};
    Place place_{};
    std::uint32_t looks_{0};
    bool is_several_{false};
    bool is_unfinished_{false};
    bool is_resumed_{false};
};

// What a file that can change, or one side of it, has for those who look at it.
// Concurrency: guarded by the file's lock.
class PollMark {
  public:
    // Somebody looks, and may wait for a change.
    void look(PollWatch& watch, const void* name) {
        state_ |= kWatched;
        watch.add(name, state_);
    }
    // Whether take() is needed.
    [[nodiscard]] bool is_set() const { return (state_ & kWatched) != 0; }
    // It has changed. True: somebody had looked, so call poll_changed() once the lock is free.
    [[nodiscard]] bool take() {
        if ((state_ & kWatched) == 0) {
            return false;
        }
        ++state_;
        return true;
    }

  private:
    static constexpr std::uint32_t kWatched = 1;
    // Odd while watched; above that bit how many changes were watched for.
    std::uint32_t state_{0};
};

// POLLRDNORM and POLLWRNORM say the same as POLLIN and POLLOUT.
[[nodiscard]] constexpr std::uint32_t with_normal_bits(std::uint32_t events) {
    constexpr std::uint32_t kReadNormal = 0x40;
    constexpr std::uint32_t kWriteNormal = 0x100;
    return events | ((events & task::kPollIn) != 0 ? kReadNormal : 0) |
           ((events & task::kPollOut) != 0 ? kWriteNormal : 0);
}

// The file with this name has changed and was watched. Pre: no lock of a rank above WaitQueue is held, nor
// one of rank WaitQueue.
void poll_changed(const void* name);
// Wakes others that waited as long as `task`, which was woken and looks again. Pre: likewise.
void pass_poll_on(task::Task& task);

}  // namespace kernel::file
