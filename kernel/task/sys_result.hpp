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
    [[nodiscard]] static SysResult blocked() { return SysResult{Kind::None}; }
    // The registers are already as they should be (exit, exec): a0 is not touched.
    [[nodiscard]] static SysResult no_result() { return SysResult{Kind::None}; }
    // Not finished within one kernel section: the call runs again, with its arguments, after others had their
    // turn.
    [[nodiscard]] static SysResult again() { return SysResult{Kind::Again}; }
    // Nothing was done: the call runs once all registers of the caller are in its frame.
    [[nodiscard]] static SysResult needs_whole_frame() { return SysResult{Kind::WholeFrame}; }

    [[nodiscard]] bool has_value() const { return kind_ == Kind::Value; }
    [[nodiscard]] bool wants_again() const { return kind_ == Kind::Again; }
    [[nodiscard]] bool wants_whole_frame() const { return kind_ == Kind::WholeFrame; }
    // Pre: has_value().
    [[nodiscard]] std::int64_t value() const { return value_; }

  private:
    // A whole register, so that nothing is cut or put together on the way from a handler.
    enum class Kind : std::uint64_t { Value, None, Again, WholeFrame };
    explicit SysResult(Kind kind) : kind_{kind} {}
    std::int64_t value_{0};
    Kind kind_{Kind::Value};
};

}  // namespace kernel::task
