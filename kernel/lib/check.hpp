// SPDX-License-Identifier: MIT
// CHECK: a kernel bug stops the machine with a report (always on). DCHECK: the same for what is expensive or
// on a hot path, debug builds only. User input never reaches either: it gets an Error.
#pragma once

#include <cstdint>

namespace kernel {

// Provided by the kernel (init/panic.cpp); tests on the host provide one that aborts with the message.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
[[noreturn]] void check_failed_values(const char* expression, const char* file, int line, std::uint64_t left,
                                      std::uint64_t right);

}  // namespace kernel

#define CHECK(condition)                                            \
    do {                                                            \
        if (!(condition)) [[unlikely]] {                            \
            ::kernel::check_failed(#condition, __FILE__, __LINE__); \
        }                                                           \
    } while (false)

// Compares two integral values and reports both.
#define CHECK_EQ(left, right)                                                        \
    do {                                                                             \
        const auto check_left_ = (left);                                             \
        const auto check_right_ = (right);                                           \
        if (!(check_left_ == check_right_)) [[unlikely]] {                           \
            ::kernel::check_failed_values(#left " == " #right, __FILE__, __LINE__,   \
                                          static_cast<std::uint64_t>(check_left_),   \
                                          static_cast<std::uint64_t>(check_right_)); \
        }                                                                            \
    } while (false)

#ifdef NEURON_DEBUG
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition)                 \
    do {                                  \
        if (false) {                      \
            static_cast<void>(condition); \
        }                                 \
    } while (false)
#endif
