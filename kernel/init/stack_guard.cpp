// SPDX-License-Identifier: MIT
// What g++ -fstack-protector-strong calls for in debug builds: the value it puts between a function's arrays
// and its return address, and where it goes when that value has changed. Target only: the host's C library
// has its own.
#include <cstdint>

#include "init/panic.hpp"

extern "C" {

// A zero byte first, so that a string copy that runs on does not reproduce the rest. Any fixed value finds
// bugs; keeping an attacker out is not its task here.
constinit std::uint64_t __stack_chk_guard = 0x5ea1'ed5a'c0de'1200;

[[noreturn]] void __stack_chk_fail();
void __stack_chk_fail() {
    kernel::panic("stack smashed: a function wrote past one of its arrays");
}
}
