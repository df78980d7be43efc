// SPDX-License-Identifier: MIT
// The CSRs that must be the same on every hart once it is prepared: firmware leaves them as it likes, and a
// task must not notice which hart it is on. set_hart_state() makes them so, read_hart_state() and
// find_difference() prove it. Concurrency: each hart for itself; find_difference() is pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kernel::arch {

struct HartState {
    std::uint64_t sstatus{0};
    std::uint64_t sie{0};
    std::uint64_t stvec{0};
    std::uint64_t sscratch{0};
    std::uint64_t scounteren{0};
    std::uint64_t satp{0};
    std::uint64_t senvcfg{0};
    bool has_senvcfg{false};  // privileged architecture 1.12; the U74 has 1.11
    constexpr bool operator==(const HartState&) const = default;
};

// Interrupt sources on, user counters readable as the firmware allows, no user environment features, floating
// point clean, user mode next, and the timer disarmed. Pre: interrupts are off; the
// clock is configured. Each hart, once, before it takes tasks.
void set_hart_state();

// Every system call is a trap like any other from now on, without the short cuts of trap.S. Boot, before
// set_hart_state().
void use_general_paths();

[[nodiscard]] HartState read_hart_state();

struct StateDifference {
    std::string_view name;
    std::uint64_t expected;
    std::uint64_t found;
};
// The first register in which `found` is not as `expected`.
[[nodiscard]] constexpr std::optional<StateDifference> find_difference(const HartState& expected,
                                                                       const HartState& found) {
    struct Register {
        std::string_view name;
        std::uint64_t HartState::* value;
    };
    constexpr Register kRegisters[] = {
        {"sstatus", &HartState::sstatus},       {"sie", &HartState::sie},
        {"stvec", &HartState::stvec},           {"sscratch", &HartState::sscratch},
        {"scounteren", &HartState::scounteren}, {"satp", &HartState::satp},
        {"senvcfg", &HartState::senvcfg}};
    for (const Register& entry : kRegisters) {
        if (expected.*entry.value != found.*entry.value) {
            return StateDifference{entry.name, expected.*entry.value, found.*entry.value};
        }
    }
    if (expected.has_senvcfg != found.has_senvcfg) {
        return StateDifference{"has senvcfg", expected.has_senvcfg ? 1U : 0U, found.has_senvcfg ? 1U : 0U};
    }
    return std::nullopt;
}

}  // namespace kernel::arch
