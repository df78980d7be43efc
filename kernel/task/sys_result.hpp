// SPDX-License-Identifier: MIT
// What a system call handler returns: a value, an error, or "no result now".
#pragma once

#include <cstdint>

#include "lib/result.hpp"

namespace kernel::task {

class [[nodiscard]] SysResult {
  public:
    SysResult(std::uint64_t value)
        : value_{static_cast<std::int64_t>(value)} {}  // NOLINT(google-explicit-constructor)
    SysResult(Error error)
        : value_{-static_cast<std::int64_t>(error)} {}  // NOLINT(google-explicit-constructor)
    SysResult(const Result<std::uint64_t>& result)      // NOLINT(google-explicit-constructor)
        : value_{result.ok() ? static_cast<std::int64_t>(*result)
                             : -static_cast<std::int64_t>(result.error())} {}
    SysResult(const Result<void>& result)  // NOLINT(google-explicit-constructor)
        : value_{result.ok() ? 0 : -static_cast<std::int64_t>(result.error())} {}

    // The task waits (see wait.hpp): whoever ends the wait provides the result.
    [[nodiscard]] static SysResult blocked() { return SysResult{}; }
    // The registers are already as they should be (exit, exec): a0 is not touched.
    [[nodiscard]] static SysResult no_result() { return SysResult{}; }
    // Not finished within one kernel section: the call runs again, with its arguments, after others had their
    // turn.
    [[nodiscard]] static SysResult again() {
        SysResult result;
        result.again_ = true;
        return result;
    }

    // Nothing was done: the call runs once all registers of the caller are in its frame.
    [[nodiscard]] static SysResult needs_whole_frame() {
        SysResult result;
        result.whole_frame_ = true;
        return result;
    }

    [[nodiscard]] bool has_value() const { return has_value_; }
    [[nodiscard]] bool wants_again() const { return again_; }
    [[nodiscard]] bool wants_whole_frame() const { return whole_frame_; }
    // Pre: has_value().
    [[nodiscard]] std::int64_t value() const { return value_; }

  private:
    SysResult() : has_value_{false} {}
    std::int64_t value_{0};
    bool has_value_{true};
    bool again_{false};
    bool whole_frame_{false};
};

}  // namespace kernel::task
