// SPDX-License-Identifier: MIT
// Strong types for the numbers that must not be mixed up. HartId is the firmware's name of a hart and sparse
// (on the JH7110 hart 0 is a monitor core without an MMU, so usable harts are 1..4); CpuId is ours and dense;
// the ABI speaks CpuId only.
#pragma once

#include <compare>
#include <cstdint>

namespace kernel {

template <class Tag, class Rep>
class StrongId {
  public:
    using rep = Rep;
    constexpr StrongId() = default;
    constexpr explicit StrongId(Rep value) : value_{value} {}
    [[nodiscard]] constexpr Rep value() const { return value_; }
    constexpr auto operator<=>(const StrongId&) const = default;

  private:
    Rep value_{};
};

using HartId = StrongId<struct HartIdTag, std::uint64_t>;
using CpuId = StrongId<struct CpuIdTag, std::uint32_t>;
// Thread id; a process is named by the TaskId of its first thread.
using TaskId = StrongId<struct TaskIdTag, std::uint32_t>;

using PhysAddr = StrongId<struct PhysAddrTag, std::uint64_t>;
// An address in some address space, user or kernel. Never dereferenced directly when it came from user space.
using VirtAddr = StrongId<struct VirtAddrTag, std::uint64_t>;

constexpr PhysAddr operator+(PhysAddr a, std::uint64_t bytes) {
    return PhysAddr{a.value() + bytes};
}
constexpr VirtAddr operator+(VirtAddr a, std::uint64_t bytes) {
    return VirtAddr{a.value() + bytes};
}
constexpr std::uint64_t operator-(PhysAddr a, PhysAddr b) {
    return a.value() - b.value();
}
constexpr std::uint64_t operator-(VirtAddr a, VirtAddr b) {
    return a.value() - b.value();
}

}  // namespace kernel
