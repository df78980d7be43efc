// SPDX-License-Identifier: MIT
#include "mm/junk.hpp"

#include <atomic>

#include "mm/shadow.hpp"

namespace kernel::mm {

namespace {

constexpr std::uint32_t kNothing = 0x100;  // beyond every byte
#ifdef NEURON_DEBUG
constexpr auto kDefault = std::to_integer<std::uint32_t>(kPoisonByte);
#else
constexpr std::uint32_t kDefault = kNothing;
#endif

// Written once, by one hart, before there are others.
constinit std::atomic<std::uint32_t> current{kDefault};
constinit std::atomic<bool> is_wanted{false};

}  // namespace

void set_junk(std::optional<std::byte> fill) {
    current.store(fill.has_value() ? std::to_integer<std::uint32_t>(*fill) : kDefault,
                  std::memory_order_relaxed);
    is_wanted.store(fill.has_value(), std::memory_order_relaxed);
}

std::optional<std::byte> junk() {
    const std::uint32_t fill = current.load(std::memory_order_relaxed);
    return fill == kNothing ? std::nullopt : std::optional{static_cast<std::byte>(fill)};
}

bool is_careful() {
    return kHasShadow || is_wanted.load(std::memory_order_relaxed);
}

std::optional<std::size_t> first_change(std::span<const std::byte> bytes, std::byte fill) {
    constexpr std::uint64_t kEveryByte = 0x0101'0101'0101'0101;
    const std::uint64_t pattern = kEveryByte * std::to_integer<std::uint64_t>(fill);
    std::size_t i = 0;
    // By words where the memory is aligned: frames and objects are.
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % sizeof(pattern) == 0) {
        using Word [[gnu::may_alias]] = std::uint64_t;
        const auto* const words = reinterpret_cast<const Word*>(bytes.data());
        while (i + sizeof(pattern) <= bytes.size() && words[i / sizeof(pattern)] == pattern) {
            i += sizeof(pattern);
        }
    }
    while (i < bytes.size() && bytes[i] == fill) {
        ++i;
    }
    return i < bytes.size() ? std::optional{i} : std::nullopt;
}

}  // namespace kernel::mm
