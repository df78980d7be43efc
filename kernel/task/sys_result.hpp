// SPDX-License-Identifier: MIT
// What a system call handler returns: a value, an error, or "no result now".
#pragma once

#include <cstdint>

#include "arch/riscv64/asm_offsets.hpp"
#include "lib/result.hpp"

namespace kernel::task {

// One register, which trap.S looks at: what a program can get in a0 is a value below 2^63 or the negative of
// an errno, and what it cannot get says what is to be done instead.
class [[nodiscard]] SysResult {
  public:
    // A value from 2^63 on, which only a program gets that tampers with Task::call_progress, may have its
    // call end without a result, or run once more.
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
    [[nodiscard]] static SysResult blocked() { return SysResult{Instead::Nothing}; }
    // The registers are already as they should be (exit, exec): a0 is not touched.
    [[nodiscard]] static SysResult no_result() { return SysResult{Instead::Nothing}; }
    // Not finished within one kernel section: the call runs again, with its arguments, after others had their
    // turn.
    [[nodiscard]] static SysResult again() { return SysResult{Instead::Again}; }
    // Nothing was done: the call runs once all registers of the caller are in its frame.
    [[nodiscard]] static SysResult needs_whole_frame() { return SysResult{Instead::WholeFrame}; }

    [[nodiscard]] bool has_value() const { return value_ > kNoValue; }
    // blocked() or no_result().
    [[nodiscard]] bool is_nothing() const { return is(Instead::Nothing); }
    [[nodiscard]] bool wants_again() const { return is(Instead::Again); }
    [[nodiscard]] bool wants_whole_frame() const { return is(Instead::WholeFrame); }
    // Pre: has_value().
    [[nodiscard]] std::int64_t value() const { return value_; }

  private:
    static constexpr std::int64_t kNoValue = CALL_NO_VALUE;
    static_assert(kNoValue < -4095, "the errno values of the Linux ABI end there");
    enum class Instead : std::int64_t { Nothing = kNoValue, Again = kNoValue - 1, WholeFrame = kNoValue - 2 };
    explicit SysResult(Instead instead) : value_{static_cast<std::int64_t>(instead)} {}
    [[nodiscard]] bool is(Instead instead) const { return value_ == static_cast<std::int64_t>(instead); }
    std::int64_t value_{0};
};
static_assert(sizeof(SysResult) == sizeof(std::int64_t));

}  // namespace kernel::task
