// SPDX-License-Identifier: MIT
// How long a case waits for what must happen sooner or later.
#pragma once

#include <algorithm>
#include <chrono>

#include "clock.hpp"

namespace selftest {

// Looked at again and again while waiting. A machine that stands still, as an emulator's does whose host is
// busy or was itself stopped, moves its clock by seconds in which nothing could happen: between two looks no
// more than kLongestStep counts. What is waited for so has had that many chances, whatever the clock says.
// Not for concurrent use.
class Patience {
  public:
    // Of guest time. Tells never from late; a tree with a slower clock than the machine has makes it pass
    // faster.
    static constexpr user::Duration kWhole = std::chrono::seconds{20};
    static constexpr user::Duration kLongestStep = std::chrono::milliseconds{200};

    explicit Patience(user::Instant now) : last_{now} {}

    // Whether to wait on.
    [[nodiscard]] bool lasts(user::Instant now) {
        left_ -= std::clamp(now - last_, user::Duration::zero(), kLongestStep);
        last_ = now;
        return left_ > user::Duration::zero();
    }
    [[nodiscard]] bool lasts() { return lasts(user::now()); }

  private:
    user::Instant last_;
    user::Duration left_{kWhole};
};

}  // namespace selftest
