// SPDX-License-Identifier: MIT
#include "checks.hpp"

#include "console.hpp"

namespace selftest {
namespace {

// printf's "%.*s" wants the length as int.
int length(std::string_view text) {
    return static_cast<int>(text.size());
}

}  // namespace

void Checks::equal(std::string_view what, std::uint64_t got, std::uint64_t wanted) {
    ++count_;
    if (got != wanted) {
        ++wrong_;
        user::write_line(user::format(
            "# %.*s: %.*s: 0x%llx, not 0x%llx", length(case_name_), case_name_.data(), length(what),
            what.data(), static_cast<unsigned long long>(got), static_cast<unsigned long long>(wanted)));
    }
}

void Checks::truth(std::string_view what, bool holds) {
    equal(what, holds ? 1 : 0, 1);
}

void Checks::errno_is(std::string_view what, std::int32_t got, std::int32_t wanted) {
    ++count_;
    if (got != wanted) {
        ++wrong_;
        user::write_line(user::format("# %.*s: %.*s: errno %d, not %d", length(case_name_), case_name_.data(),
                                      length(what), what.data(), got, wanted));
    }
}

Verdict Checks::verdict() const {
    return pass_if(count_ > 0 && wrong_ == 0,
                   user::format("%llu checks, %llu wrong", static_cast<unsigned long long>(count_),
                                static_cast<unsigned long long>(wrong_)));
}

}  // namespace selftest
