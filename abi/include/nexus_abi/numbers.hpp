// SPDX-License-Identifier: MIT
// enum class Syscall and the class of each row, from syscalls.def.
#pragma once

#include <cstdint>

namespace nexus_abi {

enum class Syscall : std::uint32_t {
#define SYSCALL(number, name, prototype, support, contract) name = number,
#include "nexus_abi/syscalls.def"
#undef SYSCALL
};

enum class Support : std::uint8_t { Implemented, Accepted, Unsupported };

inline constexpr std::uint32_t kLinuxBlockEnd = 1024;
inline constexpr std::uint32_t kNeuronBlockEnd = 2048;

}  // namespace nexus_abi
