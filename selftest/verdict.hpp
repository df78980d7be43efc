// SPDX-License-Identifier: MIT
// What a case concludes. Values; immutable.
#pragma once

#include <string>
#include <utility>

namespace selftest {

enum class Outcome { Pass, Fail, Skip };

struct Verdict {
    Outcome outcome{Outcome::Fail};
    std::string text;  // Pass and Fail: the figures. Skip: why it cannot be judged.
    // A Fail that no timing can cause: it stands on an unsteady machine too.
    bool exact{false};
};

[[nodiscard]] inline Verdict pass(std::string figures) {
    return {Outcome::Pass, std::move(figures), false};
}
[[nodiscard]] inline Verdict fail(std::string figures) {
    return {Outcome::Fail, std::move(figures), false};
}
[[nodiscard]] inline Verdict fail_exactly(std::string figures) {
    return {Outcome::Fail, std::move(figures), true};
}
[[nodiscard]] inline Verdict skip(std::string reason) {
    return {Outcome::Skip, std::move(reason), false};
}

// `good` decides; both get the same figures.
[[nodiscard]] inline Verdict pass_if(bool good, std::string figures) {
    return good ? pass(std::move(figures)) : fail(std::move(figures));
}

}  // namespace selftest
