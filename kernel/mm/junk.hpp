// SPDX-License-Identifier: MIT
// What free memory is filled with, so that who reads it after the end of its life reads nonsense, and a write
// to it is found when it is given out again. Debug builds fill all they free, look at every object again and
// at both ends of each frame. neuron.junk=BYTE does it on any build, and looks at every byte of each frame;
// frames then go by no hart's cache but wait in line, and a slab's slots are given out in turn, so that freed
// memory rests before it is used again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace kernel::mm {

// What debug builds fill with.
inline constexpr std::byte kPoisonByte{0xd5};

// From now on free memory is filled with this; nullopt: as the build does by itself. Pre: boot, before
// FrameAllocator::init().
void set_junk(std::optional<std::byte> fill);
// nullopt: what was freed is left as it is.
[[nodiscard]] std::optional<std::byte> junk();
// Whether set_junk() named a byte, or the build has shadow memory: freed memory shall rest.
[[nodiscard]] bool is_careful();

// The offset of the first byte that is not `fill`.
[[nodiscard]] std::optional<std::size_t> first_change(std::span<const std::byte> bytes, std::byte fill);

}  // namespace kernel::mm
