// SPDX-License-Identifier: MIT
// A function that can stop in the middle and go on later, on a stack of its own: how a kernel path is
// suspended between two of its locked sections. Works under AddressSanitizer. One thread only.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>

namespace sched_sim {

class Fiber {
  public:
    Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // Runs `body` until it ends or suspends. Pre: not active.
    void start(std::function<void()> body);
    // Goes on after suspend(). Pre: active, called from outside.
    void resume();
    // Back to whoever started or resumed it. Pre: called from inside.
    void suspend();
    // Started and not at its end.
    [[nodiscard]] bool is_active() const { return active_; }

  private:
    static constexpr std::size_t kStackBytes = std::size_t{256} * 1024;
    static void entry(unsigned high, unsigned low);
    void switch_in();

    std::unique_ptr<std::byte[]> stack_;
    ucontext_t inside_{};
    ucontext_t outside_{};
    std::function<void()> body_;
    bool active_{false};
    // What AddressSanitizer wants to know about the stacks.
    void* fake_stack_{nullptr};
    const void* outside_bottom_{nullptr};
    std::size_t outside_size_{0};
};

}  // namespace sched_sim
