// SPDX-License-Identifier: MIT
// On the host a failed CHECK prints what failed and aborts, which GoogleTest's death tests can match.
#include "lib/check.hpp"

#include <cstdio>
#include <cstdlib>

#include "lib/fatal.hpp"

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

void fatal(std::string_view text) {
    std::fprintf(stderr, "fatal: %.*s\n", static_cast<int>(text.size()), text.data());
    std::abort();
}

}  // namespace kernel
