// SPDX-License-Identifier: MIT
// Structs of the NEURON block carry their size, so that programs and kernels of different age understand each
// other: a longer struct is taken when what this kernel does not know of it is zero, and an answer is cut or
// filled with zeros.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/result.hpp"
#include "mm/user_memory.hpp"

namespace kernel::syscall {

// No struct of the ABI will ever be larger; bounds what a caller can make us look at.
inline constexpr std::uint64_t kMaxStructBytes = 4096;

// Reads the struct at `from`, of which the caller knows `bytes`. Errors: InvalidArgument when that is less
// than `least_bytes` or absurd; TooBig when an unknown byte is not zero, after the kernel's size was written
// to the struct's first field; BadAddress. Post: value.size is sizeof(T).
template <class T>
[[nodiscard]] Result<T> copy_in_versioned(mm::AddressSpace& space, nexus_abi::In<T> from, std::uint64_t bytes,
                                          std::uint64_t least_bytes) {
    static_assert(offsetof(T, size) == 0 && sizeof(T::size) == 4);
    if (bytes < least_bytes || bytes > kMaxStructBytes) {
        return Error::InvalidArgument;
    }
    T value{};
    const VirtAddr address = mm::user_address(from);
    const auto known =
        std::as_writable_bytes(std::span{&value, 1}).first(std::min<std::size_t>(bytes, sizeof(T)));
    TRY(mm::copy_from_user(space, known, address));
    for (std::uint64_t at = sizeof(T); at < bytes;) {
        std::array<std::byte, 64> tail{};
        const auto part = std::span{tail}.first(std::min<std::size_t>(bytes - at, tail.size()));
        TRY(mm::copy_from_user(space, part, address + at));
        if (std::ranges::any_of(part, [](std::byte byte) { return byte != std::byte{0}; })) {
            TRY(mm::copy_out(space, nexus_abi::Out<std::uint32_t>{address.value()},
                             std::uint32_t{sizeof(T)}));
            return Error::TooBig;
        }
        at += part.size();
    }
    value.size = sizeof(T);
    return value;
}

// The same for a struct that names its own size in its first field.
template <class T>
[[nodiscard]] Result<T> copy_in_versioned(mm::AddressSpace& space, nexus_abi::In<T> from,
                                          std::uint64_t least_bytes) {
    const auto bytes = TRY(mm::copy_in(space, nexus_abi::In<std::uint32_t>{mm::user_address(from).value()}));
    return copy_in_versioned(space, from, bytes, least_bytes);
}

[[nodiscard]] constexpr Result<void> check_size(std::uint64_t bytes, std::uint64_t least_bytes) {
    return bytes < least_bytes || bytes > kMaxStructBytes ? Result<void>{Error::InvalidArgument}
                                                          : Result<void>{};
}

// Writes `value` for a caller that knows `bytes` of it; value.size becomes the number of meaningful bytes.
// Pre: check_size(). Errors: BadAddress.
template <class T>
[[nodiscard]] Result<void> copy_out_versioned(mm::AddressSpace& space, nexus_abi::Out<T> to,
                                              std::uint64_t bytes, T& value) {
    const auto meaningful = std::min<std::uint64_t>(bytes, sizeof(T));
    value.size = static_cast<std::uint32_t>(meaningful);
    const VirtAddr address = mm::user_address(to);
    TRY(mm::copy_to_user(space, address, std::as_bytes(std::span{&value, 1}).first(meaningful)));
    return mm::zero_user(space, address + meaningful, bytes - meaningful);
}

}  // namespace kernel::syscall
