// SPDX-License-Identifier: MIT
// Pipe::read_at_once() and write_at_once(): read(2) and write(2) of a few bytes beside Pipe::read() and
// write(), which do the same in any case. Part of the entries of these calls (syscall/dispatch.cpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "file/pipe_channel.hpp"
#include "mm/user_memory.hpp"
#include "sync/spinlock.hpp"
#include "task/begin_wait.hpp"
#include "task/open_file.hpp"
#include "task/process.hpp"
#include "task/task.hpp"

namespace kernel::file {

// The reader has its bytes. Not inlined: who calls it last has nothing to keep, and saves no register before.
[[gnu::noinline]] inline std::uint64_t Pipe::end_read_of(task::Wait& wait, std::uint64_t bytes) {
    wait.task->resume = nullptr;
    task::finish_wait(wait, static_cast<std::int64_t>(bytes));
    return bytes;
}

// The pipe behind a descriptor of the caller's process, with its lock held and `is_nonblocking` told; null:
// none of them, or a lock was not free.
template <class Choose>
[[gnu::always_inline]] inline Pipe* Pipe::take_at_once(Task& caller, Choose choose,
                                                       bool& is_nonblocking) NO_THREAD_SAFETY_ANALYSIS {
    task::FileTable& files = caller.process().files;
    if (caller.call_progress != 0 || !LockSteps::try_take(files.lock())) [[unlikely]] {
        return nullptr;
    }
    const task::OpenFile* const file = files.find_locked(static_cast<std::int32_t>(caller.frame.argument(0)));
    Pipe* const pipe = file == nullptr ? nullptr : choose(*file);
    const bool is_taken = pipe != nullptr && LockSteps::try_take(pipe->waiters_.lock());
    is_nonblocking = is_taken && file->is_nonblocking();
    LockSteps::give_back(files.lock());
    return is_taken ? pipe : nullptr;
}

[[gnu::always_inline]] inline bool Pipe::read_locked(Task& caller, bool is_nonblocking,
                                                     SysResult& result) NO_THREAD_SAFETY_ANALYSIS {
    const VirtAddr to{caller.frame.argument(1)};
    const std::uint64_t wanted = caller.frame.argument(2);
    if (wanted == 0 || is_reading_ || !waiters_.empty()) [[unlikely]] {
        return false;
    }
    const std::uint64_t bytes = std::min(wanted, ring_.used());
    if (bytes == 0) {
        if (writers_ == 0 || is_nonblocking) [[unlikely]] {
            return false;
        }
        task::begin_wait_in_line(caller, &waiters_, {.run_again = true, .key = key(Side::Reader)},
                                 task::Company::None);
        asked_wait_ = caller.wait.sequence;
        asked_place_ = to;
        asked_bytes_.store(std::min(wanted, kHandedBytes), std::memory_order_relaxed);
        result = SysResult::blocked();
        return true;
    }
    const std::byte* const data = ring_.data_inside(bytes);
    if (data == nullptr || writer_mark_.is_set() || !mm::is_short_copy(to, data, bytes)) [[unlikely]] {
        return false;
    }
    const auto copy = [=](std::span<std::byte, mm::kPageSize> page) __attribute__((always_inline)) {
        mm::copy_short(page.data() + mm::page_offset(to.value()), data, bytes);
    };
    if (!caller.process().space().with_page_at_hand(to, mm::Access::Write, copy)) [[unlikely]] {
        return false;
    }
    ring_.remove_inside(bytes);
    result = bytes;
    return true;
}

inline bool Pipe::read_at_once(Task& caller, SysResult& result) NO_THREAD_SAFETY_ANALYSIS {
    bool is_nonblocking = false;
    Pipe* const pipe =
        take_at_once(caller, [](const task::OpenFile& file) { return file.pipe_in(); }, is_nonblocking);
    if (pipe == nullptr) [[unlikely]] {
        return false;
    }
    const bool is_done = pipe->read_locked(caller, is_nonblocking, result);
    LockSteps::give_back(pipe->waiters_.lock());
    return is_done;
}

[[gnu::always_inline]] inline bool Pipe::write_locked(Task& caller,
                                                      std::uint64_t bytes) NO_THREAD_SAFETY_ANALYSIS {
    const VirtAddr from{caller.frame.argument(1)};
    std::byte* const room = ring_.space_inside(bytes);
    if (room == nullptr || reader_mark_.is_set() || !mm::is_short_copy(from, room, bytes)) [[unlikely]] {
        return false;
    }
    const auto copy = [=](std::span<std::byte, mm::kPageSize> page) __attribute__((always_inline)) {
        mm::copy_short(room, page.data() + mm::page_offset(from.value()), bytes);
    };
    if (!caller.process().space().with_page_at_hand(from, mm::Access::Read, copy)) [[unlikely]] {
        return false;
    }
    ring_.add_inside(bytes);
    return true;
}

[[gnu::always_inline]] inline task::Wait* Pipe::hand_over_locked(Task& caller, std::uint64_t bytes)
    NO_THREAD_SAFETY_ANALYSIS {
    // The number of the wait is one of this queue alone.
    task::Wait* const wait = waiters_.only();
    if (wait == nullptr || wait->sequence != asked_wait_ || ring_.used() != 0 ||
        bytes > asked_bytes_.load(std::memory_order_relaxed)) [[unlikely]] {
        return nullptr;
    }
    // On the queue, whose lock is held, it cannot end, nor can its process or that execute another program.
    const VirtAddr from{caller.frame.argument(1)};
    const VirtAddr to = asked_place_;
    mm::AddressSpace& space = caller.process().space();
    if (!mm::is_short_copy(from, to, bytes) || &wait->task->process().space() != &space) [[unlikely]] {
        return nullptr;
    }
    using Page = std::span<std::byte, mm::kPageSize>;
    const auto claim_and_copy = [=](Page source, Page target) __attribute__((always_inline)) {
        std::byte* const there = target.data() + mm::page_offset(to.value());
        const std::byte* const here = source.data() + mm::page_offset(from.value());
        // A place inside the source, in whatever pages: a copy upwards would repeat itself.
        const bool is_inside = static_cast<std::uint64_t>(there - here) - 1 < bytes - 1;
        if (is_inside || !task::claim_open_wait(*wait)) [[unlikely]] {
            return false;
        }
        mm::copy_short(there, here, bytes);
        return true;
    };
    if (!space.with_pages_at_hand(from, to, claim_and_copy)) [[unlikely]] {
        return nullptr;
    }
    waiters_.remove_only();
    asked_bytes_.store(0, std::memory_order_relaxed);
    return wait;
}

inline bool Pipe::write_at_once(Task& caller, SysResult& result) NO_THREAD_SAFETY_ANALYSIS {
    const std::uint64_t bytes = caller.frame.argument(2);
    bool is_nonblocking = false;
    Pipe* const pipe =
        take_at_once(caller, [](const task::OpenFile& file) { return file.pipe_out(); }, is_nonblocking);
    if (pipe == nullptr) [[unlikely]] {
        return false;
    }
    task::Wait* reader = nullptr;
    bool is_done = false;
    if (bytes != 0 && !pipe->is_writing_ && pipe->readers_ != 0) [[likely]] {
        if (pipe->waiters_.empty()) {
            is_done = pipe->write_locked(caller, bytes);
        } else {
            reader = pipe->hand_over_locked(caller, bytes);
        }
    }
    LockSteps::give_back(pipe->waiters_.lock());
    result = bytes;
    if (reader != nullptr) {
        result = end_read_of(*reader, bytes);
        return true;
    }
    return is_done;
}

}  // namespace kernel::file
