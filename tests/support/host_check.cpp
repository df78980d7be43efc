// SPDX-License-Identifier: MIT
// On the host a failed CHECK prints what failed and aborts, which GoogleTest's death tests can match.
#include "lib/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace kernel {

void check_failed(const char* expression, const char* file, int line) {
    std::fprintf(stderr, "CHECK failed: %s at %s:%d\n", expression, file, line);
    std::abort();
}

void check_failed_values(const char* expression, const char* file, int line, std::uint64_t left,
                         std::uint64_t right) {
    std::fprintf(stderr, "CHECK failed: %s (%llu, %llu) at %s:%d\n", expression,
                 static_cast<unsigned long long>(left), static_cast<unsigned long long>(right), file, line);
    std::abort();
}

}  // namespace kernel
