// SPDX-License-Identifier: MIT
// A Program of harts that each do something once and then wait for ever.
#pragma once

#include <functional>

#include "explorer.hpp"

namespace explore {

struct Steps {
    std::uint32_t harts;
    std::function<void(std::uint32_t hart)> body;
    std::function<void()> at_end;
    std::function<void()> at_begin{};  // NOLINT(readability-redundant-member-init): else GCC warns

    [[nodiscard]] Outcome run(const Bounds& bounds) const {
        return explore({.harts = harts,
                        .begin =
                            [this] {
                                if (at_begin) {
                                    at_begin();
                                }
                            },
                        .hart =
                            [this](std::uint32_t hart) {
                                body(hart);
                                while (true) {
                                    wait();
                                }
                            },
                        .can_resume = [](std::uint32_t) { return false; },
                        .events = [] { return 0U; },
                        .happen = [](std::uint32_t) {},
                        .is_done = [] { return false; },
                        .end = at_end},
                       bounds);
    }
};

}  // namespace explore
