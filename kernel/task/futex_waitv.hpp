// SPDX-License-Identifier: MIT
// futex_waitv(2): waiting until one of several words in user memory changes (futex.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/units.hpp"
#include "task/futex.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::task {

inline constexpr std::uint32_t kMaxWaitWords = 128;  // FUTEX_WAITV_MAX

struct WaitWord {
    FutexWord word;
    std::uint32_t expected{0};
};
// The words of a call, read from the program's memory one after the other, as often as they are needed.
struct WaitWords {
    Result<WaitWord> (*read)(Task& caller, std::uint64_t first, std::uint32_t index);
    std::uint64_t first{0};  // read()'s business
    std::uint32_t count{0};  // 1..kMaxWaitWords
};

// Waits while every word holds what is expected; returns the index of one that was woken. TryAgain when a
// word holds something else; TimedOut; InvalidArgument, BadAddress, NoMemory. A signal has the call begin
// anew behind a handler with SA_RESTART, else it is EINTR. Pre: caller is the running task.
SysResult futex_wait_any(Task& caller, const WaitWords& words, Instant deadline);

// For thread exit and exec: takes the running task off the words it waited for when it was told to end.
void leave_wait_words(Task& task);

}  // namespace kernel::task
