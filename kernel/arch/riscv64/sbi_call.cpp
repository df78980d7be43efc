// SPDX-License-Identifier: MIT
#include "arch/riscv64/sbi.hpp"

namespace kernel::arch::sbi {

// SBI chapter 3: a7 = extension, a6 = function, a0.. = arguments; a0 = error, a1 = value; the rest is
// preserved.
RawResult raw_call(Extension extension, std::uint64_t function, const RawArguments& arguments) {
    // Read before: where accesses to memory are looked at, each is a call, which keeps none of the registers
    // below.
    const auto [value0, value1, value2, value3, value4] = arguments;
    register std::uint64_t a0 asm("a0") = value0;
    register std::uint64_t a1 asm("a1") = value1;
    register std::uint64_t a2 asm("a2") = value2;
    register std::uint64_t a3 asm("a3") = value3;
    register std::uint64_t a4 asm("a4") = value4;
    register std::uint64_t a6 asm("a6") = function;
    register std::uint64_t a7 asm("a7") = static_cast<std::uint64_t>(extension);
    asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7) : "memory");
    const std::uint64_t error = a0;
    const std::uint64_t value = a1;
    return {static_cast<std::int64_t>(error), static_cast<std::int64_t>(value)};
}

}  // namespace kernel::arch::sbi
