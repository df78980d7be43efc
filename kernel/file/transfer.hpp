// SPDX-License-Identifier: MIT
// Moving many bytes in pieces.
#pragma once

#include <cstdint>
#include <utility>

#include "mm/user_buffers.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::file {

// What one kernel section copies: some 10 000 instructions with the page lookups.
inline constexpr std::uint64_t kStepBytes = 16 << 10;

// Runs `step(piece, total)` over the next `step_bytes` of `buffers`: it makes use of a piece and says how
// much of it, less than all of it at the end of the file. Returns the whole call's count once there is no
// more, else SysResult::again().
template <class Step>
task::SysResult transfer(task::Task& caller, mm::UserBuffers& buffers, std::uint64_t step_bytes,
                         Step&& step) {
    const std::uint64_t before = caller.call_progress;
    std::uint64_t total = before;
    const auto result_or = [&](Error error) {
        return total > 0 ? task::SysResult{total} : task::SysResult{error};
    };
    if (const auto skipped = buffers.skip(before); !skipped.ok()) {
        return result_or(skipped.error());
    }
    while (total - before < step_bytes) {
        const auto piece = buffers.next(step_bytes - (total - before));
        if (!piece.ok()) {
            return result_or(piece.error());
        }
        if (piece->bytes == 0) {
            return total;
        }
        const Result<std::uint64_t> used = step(*piece, total);
        if (!used.ok()) {
            return result_or(used.error());
        }
        total += *used;
        if (*used < piece->bytes) {
            return total;
        }
    }
    caller.call_progress = total;
    return task::SysResult::again();
}

}  // namespace kernel::file
