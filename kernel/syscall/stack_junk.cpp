// SPDX-License-Identifier: MIT
#include "syscall/stack_junk.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "mm/junk.hpp"

#ifdef NEURON_DEBUG
namespace kernel::syscall {

namespace {

constexpr std::size_t kFilledBytes = 4096;  // a quarter of the stack; calls use less

}  // namespace

void fill_unused_stack() {
    std::array<std::byte, kFilledBytes> room;
    std::memset(room.data(), std::to_integer<int>(mm::junk().value_or(mm::kPoisonByte)), room.size());
    asm volatile("" ::"r"(room.data()) : "memory");  // it is not for nothing
}

unsigned long read_unwritten_stack() {
    // Deep enough for nobody to have been there since.
    std::array<unsigned long, kFilledBytes / 2 / sizeof(unsigned long)> unwritten;
    asm volatile("" : "=m"(unwritten));  // so the compiler believes
    return unwritten[0];
}

}  // namespace kernel::syscall
#endif
