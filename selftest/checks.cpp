// SPDX-License-Identifier: MIT
#include "checks.hpp"

#include <string>

#include "console.hpp"

namespace selftest {

void Checks::equal(std::string_view what, std::uint64_t got, std::uint64_t wanted) {
    note(what, got == wanted,
         user::format("0x%llx, not 0x%llx", static_cast<unsigned long long>(got),
                      static_cast<unsigned long long>(wanted)));
}

void Checks::truth(std::string_view what, bool holds) {
    note(what, holds, "does not hold");
}

void Checks::errno_is(std::string_view what, std::int32_t got, std::int32_t wanted) {
    note(what, got == wanted, user::format("errno %d, not %d", got, wanted));
}

void Checks::note(std::string_view what, bool right, std::string_view difference) {
    ++count_;
    if (!right) {
        ++wrong_;
        user::write_line("# " + std::string{case_name_} + ": " + std::string{what} + ": " +
                         std::string{difference});
    }
}

Verdict Checks::verdict() const {
    return pass_if(count_ > 0 && wrong_ == 0,
                   user::format("%llu checks, %llu wrong", static_cast<unsigned long long>(count_),
                                static_cast<unsigned long long>(wrong_)));
}

}  // namespace selftest
