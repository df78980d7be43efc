// SPDX-License-Identifier: MIT
#include "fiber.hpp"

#include <cstdint>
#include <utility>

#include "lib/check.hpp"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
namespace {
void __sanitizer_start_switch_fiber(void**, const void*, std::size_t) {}
void __sanitizer_finish_switch_fiber(void*, const void**, std::size_t*) {}
}  // namespace
#endif

namespace sched_sim {

Fiber::Fiber() : stack_{std::make_unique<std::byte[]>(kStackBytes)} {}

void Fiber::start(std::function<void()> body) {
    CHECK(!active_);
    body_ = std::move(body);
    active_ = true;
    CHECK(getcontext(&inside_) == 0);
    inside_.uc_stack.ss_sp = stack_.get();
    inside_.uc_stack.ss_size = kStackBytes;
    inside_.uc_link = nullptr;
    // makecontext() passes ints.
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    // The cast is makecontext's interface.
    makecontext(&inside_, reinterpret_cast<void (*)()>(&Fiber::entry), 2, static_cast<unsigned>(self >> 32U),
                static_cast<unsigned>(self));
    switch_in();
}

void Fiber::resume() {
    CHECK(active_);
    switch_in();
}

void Fiber::switch_in() {
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(&fake_stack, stack_.get(), kStackBytes);
    CHECK(swapcontext(&outside_, &inside_) == 0);
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
}

void Fiber::suspend() {
    // At the end the stack is given up for good.
    __sanitizer_start_switch_fiber(active_ ? &fake_stack_ : nullptr, outside_bottom_, outside_size_);
    CHECK(swapcontext(&inside_, &outside_) == 0);
    __sanitizer_finish_switch_fiber(fake_stack_, &outside_bottom_, &outside_size_);
}

void Fiber::entry(unsigned high, unsigned low) {
    auto* const self = reinterpret_cast<Fiber*>((static_cast<std::uintptr_t>(high) << 32U) | low);
    __sanitizer_finish_switch_fiber(nullptr, &self->outside_bottom_, &self->outside_size_);
    self->body_();
    self->active_ = false;
    self->suspend();
}

}  // namespace sched_sim
