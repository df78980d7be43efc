// SPDX-License-Identifier: MIT
// The user's side of syscalls.def: nexus_abi::call::NAME(args...), one typed callable per row.
//
// Result: the call's value, or the Error of a return value in -1..-4095 (Linux' convention; nothing else is
// an error). Arguments travel as on riscv64 Linux: a0..a5, number in a7, value back in a0. A program that is
// built for another machine gets NotImplemented from every call, as it would from a kernel that lacks them,
// so it compiles everywhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "nexus_abi/audit.hpp"
#include "nexus_abi/linux.hpp"
#include "nexus_abi/numbers.hpp"
#include "nexus_abi/result.hpp"
#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"
#include "nexus_abi/trace.hpp"
#include "nexus_abi/user_ptr.hpp"

namespace nexus_abi {

inline constexpr std::size_t kMaxArguments = 6;  // a0..a5

namespace detail {

using Registers = std::array<std::uint64_t, kMaxArguments>;

// Signed arguments are sign-extended, as the calling convention has them in registers.
template <class T>
    requires std::is_integral_v<T>
constexpr std::uint64_t to_register(T value) {
    if constexpr (std::is_signed_v<T>) {
        return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
    } else {
        return static_cast<std::uint64_t>(value);
    }
}

template <class T>
    requires requires(T pointer) { pointer.raw_register(); }
constexpr std::uint64_t to_register(T pointer) {
    return pointer.raw_register();
}

// A return register as a Result.
constexpr Result<std::uint64_t> from_register(std::uint64_t value) {
    constexpr std::int64_t kMaxError = 4095;
    const auto signed_value = static_cast<std::int64_t>(value);
    if (signed_value < 0 && signed_value >= -kMaxError) {
        return static_cast<Error>(-signed_value);
    }
    return value;
}

#if defined(__riscv) && __riscv_xlen == 64
// One ecall with `Count` arguments; no other argument register is touched, and the kernel keeps all but a0.
// Register variables get and give plain locals only: a call between their assignment and the asm would spoil
// them (std::array's operator[] is one without optimisation), and g++ 12 refuses to bind them to a reference.
template <std::size_t Count>
[[gnu::always_inline]] inline std::uint64_t ecall(std::uint32_t number, const Registers& arguments) {
    const std::uint64_t value0 = arguments[0];
    const std::uint64_t value1 = arguments[1];
    const std::uint64_t value2 = arguments[2];
    const std::uint64_t value3 = arguments[3];
    const std::uint64_t value4 = arguments[4];
    const std::uint64_t value5 = arguments[5];
    register std::uint64_t a7 asm("a7") = number;
    register std::uint64_t a0 asm("a0") = value0;
    register std::uint64_t a1 asm("a1") = value1;
    register std::uint64_t a2 asm("a2") = value2;
    register std::uint64_t a3 asm("a3") = value3;
    register std::uint64_t a4 asm("a4") = value4;
    register std::uint64_t a5 asm("a5") = value5;
    if constexpr (Count == 0) {
        asm volatile("ecall" : "=r"(a0) : "r"(a7) : "memory");
    } else if constexpr (Count == 1) {
        asm volatile("ecall" : "+r"(a0) : "r"(a7) : "memory");
    } else if constexpr (Count == 2) {
        asm volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1) : "memory");
    } else if constexpr (Count == 3) {
        asm volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    } else if constexpr (Count == 4) {
        asm volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3) : "memory");
    } else if constexpr (Count == 5) {
        asm volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4) : "memory");
    } else {
        asm volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
    }
    const std::uint64_t value = a0;
    return value;
}
#else
template <std::size_t Count>
std::uint64_t ecall(std::uint32_t, const Registers&) {
    return static_cast<std::uint64_t>(-static_cast<std::int64_t>(Error::NotImplemented));
}
#endif

}  // namespace detail

template <Syscall Number, class Prototype>
class Call;

// One row of the table. Thread-safe as far as the call itself is.
template <Syscall Number, class... Arguments>
class Call<Number, std::uint64_t(Arguments...)> {
  public:
    static constexpr std::size_t kArity = sizeof...(Arguments);
    static_assert(kArity <= kMaxArguments, "a system call has six argument registers");
    static_assert((... && (sizeof(Arguments) <= sizeof(std::uint64_t))), "an argument fills one register");

    // value: what the contract line of the row says. Errors: those of the row.
    [[gnu::always_inline]] inline Result<std::uint64_t> operator()(Arguments... arguments) const {
        const detail::Registers registers{detail::to_register(arguments)...};
        return detail::from_register(detail::ecall<kArity>(static_cast<std::uint32_t>(Number), registers));
    }
};

namespace call {
#define SYSCALL(number, name, prototype, support, contract) \
    inline constexpr Call<Syscall::name, std::uint64_t prototype> name{};
#include "nexus_abi/syscalls.def"
#undef SYSCALL
}  // namespace call

// One row as data, for generators and tests.
struct CallRow {
    std::uint32_t number;
    std::string_view name;
    std::string_view prototype;
    Support support;
    std::string_view contract;
    std::size_t arity;
};

inline constexpr CallRow kCallRows[] = {
#define SYSCALL(number, name, prototype, support, contract) \
    {number, #name, #prototype, Support::support, contract, decltype(call::name)::kArity},
#include "nexus_abi/syscalls.def"
#undef SYSCALL
};

// Whether the table keeps its promises: numbers ascend (hence are unique), stay inside the two blocks, and
// every row carries a contract line that ends as a sentence.
consteval bool table_is_well_formed(std::span<const CallRow> rows) {
    std::uint32_t next = 0;
    for (const CallRow& row : rows) {
        if (row.number < next || row.number >= kNeuronBlockEnd || row.arity > kMaxArguments) {
            return false;
        }
        if (row.contract.empty() || row.contract.back() != '.') {
            return false;
        }
        next = row.number + 1;
    }
    return true;
}
static_assert(table_is_well_formed(kCallRows),
              "syscalls.def: numbers must ascend and each row needs its contract line");

}  // namespace nexus_abi
