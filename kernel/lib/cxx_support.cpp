// SPDX-License-Identifier: MIT
// What the compiler and libstdc++'s headers call for broken preconditions (string_view::substr and copy
// beyond the end). Target only: it stands for what a hosted program would get from its library.
#include "lib/check.hpp"

// The slots of functions that only derived classes have, while such an object is made or taken apart.
extern "C" [[noreturn]] void __cxa_pure_virtual();
void __cxa_pure_virtual() {
    kernel::check_failed("a function that is not there", "pure virtual", 0);
}

namespace std {

[[noreturn]] void __throw_out_of_range_fmt(const char* format, ...);
void __throw_out_of_range_fmt(const char* format, ...) {
    kernel::check_failed(format, "libstdc++", 0);
}

}  // namespace std
