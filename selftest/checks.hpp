// SPDX-License-Identifier: MIT
// A list of exact expectations, for the cases that prove answers and not ratios. Wrong ones are printed as
// KTAP diagnostics with both values. Used by one thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "nexus_abi/result.hpp"
#include "verdict.hpp"

namespace selftest {

class Checks {
  public:
    explicit Checks(std::string_view case_name) : case_name_{case_name} {}

    void equal(std::string_view what, std::uint64_t got, std::uint64_t wanted);
    void truth(std::string_view what, bool holds);
    template <class T>
    void succeeds(std::string_view what, const nexus_abi::Result<T>& answer) {
        errno_is(what, answer.ok() ? 0 : static_cast<std::int32_t>(answer.error()), 0);
    }
    template <class T>
    void fails(std::string_view what, const nexus_abi::Result<T>& answer, nexus_abi::Error wanted) {
        errno_is(what, answer.ok() ? 0 : static_cast<std::int32_t>(answer.error()),
                 static_cast<std::int32_t>(wanted));
    }
    // The call succeeds and returns `wanted`.
    template <class T>
    void returns(std::string_view what, const nexus_abi::Result<T>& answer, std::uint64_t wanted) {
        if (answer.ok()) {
            equal(what, static_cast<std::uint64_t>(*answer), wanted);
        } else {
            succeeds(what, answer);
        }
    }

    [[nodiscard]] Verdict verdict() const;

  private:
    void errno_is(std::string_view what, std::int32_t got, std::int32_t wanted);
    void note(std::string_view what, bool right, std::string_view difference);

    std::string_view case_name_;
    std::uint64_t count_{0};
    std::uint64_t wrong_{0};
};

}  // namespace selftest
