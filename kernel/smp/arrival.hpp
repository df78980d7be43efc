// SPDX-License-Identifier: MIT
// Arrival: the agreement between the hart that starts another one and that other one on whether it takes
// part. One of them decides, the other learns it; a hart that comes after it was given up parks.
// Concurrency: atomic.
#pragma once

#include <atomic>
#include <cstdint>

namespace kernel::smp {

class Arrival {
  public:
    // The started hart, once. False: nobody waits any more, it must park.
    [[nodiscard]] bool report() { return decide(State::Came); }
    // The waiting hart, when its patience is over. False: the other one came after all, and takes part.
    [[nodiscard]] bool give_up() { return decide(State::GivenUp); }
    // What the started hart wrote before report() is visible once this is true.
    [[nodiscard]] bool has_come() const { return state_.load(std::memory_order_acquire) == State::Came; }

  private:
    enum class State : std::uint32_t { Expected, Came, GivenUp };

    // seq_cst; pairs with the acquire in has_come().
    bool decide(State state) {
        State expected = State::Expected;
        return state_.compare_exchange_strong(expected, state);
    }

    std::atomic<State> state_{State::Expected};
};

}  // namespace kernel::smp
