// SPDX-License-Identifier: MIT
// What there is to run: executables made here, in the archive that the machine starts from.
#pragma once

#include <cstdint>

namespace kernel::whole {

// Every program has text that begins at kText, with kCallPc in it, 4 KiB of data whose first word is
// kDataWord at kData, and kMemoryBytes of zeros at kMemory.
inline constexpr std::uint64_t kText = 0x1'0000;
inline constexpr std::uint64_t kData = 0x2'1000;
inline constexpr std::uint64_t kDataWord = 0x6461'7461;
inline constexpr std::uint64_t kMemory = 0x4'0000;
inline constexpr std::uint64_t kMemoryBytes = 64 << 10;

// Where they begin.
inline constexpr std::uint64_t kInitEntry = kText + 0x400;   // /bin/init
inline constexpr std::uint64_t kOtherEntry = kText + 0x500;  // /bin/other
inline constexpr std::uint64_t kLoaderEntry = 0x600;         // /lib/loader, from where it was put

// Adds /bin/init, /bin/other, /bin/loaded (which names the interpreter /lib/loader), /bin/script
// (#!/bin/other with the argument "-x"), /bin/broken (no program), /etc/motd ("hello file\n"), /etc/link ->
// motd and the folders they are in. Boot, once.
void add_programs();

}  // namespace kernel::whole
