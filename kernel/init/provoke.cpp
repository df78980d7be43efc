// SPDX-License-Identifier: MIT
#include "init/provoke.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "arch/contract.hpp"
#include "init/boot.hpp"
#include "init/panic.hpp"

namespace kernel::init {

namespace {

struct Provocation {
    std::string_view name;
    void (*fail)();
};

[[gnu::noinline]] void fail_check() {
    panic("provoked by neuron.break=panic");
}

// Nothing is mapped there for the kernel.
[[gnu::noinline]] void fail_load() {
    constexpr std::uint64_t kNowhere = 0xffff'fff0'dead'0000;
    static_cast<void>(*reinterpret_cast<const volatile std::uint64_t*>(kNowhere));
}

[[gnu::noinline]] void never_return() {
    while (true) {
        arch::cpu_relax();
    }
}

constexpr std::array kProvocations{
    Provocation{"panic", &fail_check},
    Provocation{"exception", &fail_load},
    Provocation{"lockup", &never_return},
};

const Provocation* find(std::string_view name) {
    const auto* const found = std::ranges::find(kProvocations, name, &Provocation::name);
    return found == kProvocations.end() ? nullptr : found;
}

}  // namespace

bool is_provocation(std::string_view name) {
    return find(name) != nullptr;
}

void provoke_failure() {
    if (const Provocation* const wanted = find(command_line().break_feature); wanted != nullptr) {
        wanted->fail();
    }
}

}  // namespace kernel::init
