// SPDX-License-Identifier: MIT
// What libstdc++'s headers call for broken preconditions (string_view::substr and copy beyond the end).
// Target only: it stands for the exception a hosted program would get.
#include "lib/check.hpp"

namespace std {

[[noreturn]] void __throw_out_of_range_fmt(const char* format, ...);
void __throw_out_of_range_fmt(const char* format, ...) {
    kernel::check_failed(format, "libstdc++", 0);
}

}  // namespace std
