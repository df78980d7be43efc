// SPDX-License-Identifier: MIT
// Waiting for any of several files (ppoll). A task has one wait and no list of what it waits for, so it looks
// at its files, waits, and looks again whenever something it looked at has changed.
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
#pragma once

#include <cstdint>

#include "task/task.hpp"
#include "task/wait.hpp"

namespace kernel::file {

// What one look at files saw. Concurrency: lives on the stack of the hart that handles the call.
class PollWatch {
  public:
    // Notes the generation: whatever changes from now on is noticed.
    PollWatch();
    // A file that can change; `name` is the same address for all its parts.
    void add(const void* name);
    // Waits for a change. False: something has changed meanwhile, look again.
    [[nodiscard]] bool begin_wait(task::Task& task, const task::WaitOptions& options) const;

  private:
    std::uint64_t generation_;
    std::uint64_t name_{0};
    bool is_several_{false};
};

// The file with this name has changed and was watched. Pre: no lock of a rank above WaitQueue is held, nor
// one of rank WaitQueue.
void poll_changed(const void* name);
// Wakes others that waited as long as `task`, which was woken and looks again. Pre: likewise.
void pass_poll_on(task::Task& task);

}  // namespace kernel::file
