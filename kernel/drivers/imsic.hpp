// SPDX-License-Identifier: MIT
// Imsic: the calling hart's S-mode interrupt file of an incoming message controller (RISC-V Advanced
// Interrupt Architecture 1.0, chapter 3), driven by CSRs only. A message is a number, its identity.
//
// `Csrs` has std::uint64_t read_indirect(std::uint32_t number), void write_indirect(number, value) and
// std::uint32_t claim(), for the file of the hart it is called on. Concurrency: hart-local.
#pragma once

#include <atomic>
#include <cstdint>

#include "drivers/interrupt_handlers.hpp"

namespace kernel::drivers {

// Numbers for siselect: AIA 3.8.
namespace imsic_map {
inline constexpr std::uint32_t kDelivery = 0x70;
inline constexpr std::uint32_t kThreshold = 0x72;
inline constexpr std::uint32_t kPending = 0x80;  // + 2 * (identity / 64)
inline constexpr std::uint32_t kEnabled = 0xc0;  // + 2 * (identity / 64)
inline constexpr std::uint32_t kMaxIdentity = 2047;
inline constexpr std::uint32_t kClaimShift = 16;  // of stopei: identity, then priority
}  // namespace imsic_map

template <class Csrs>
class Imsic {
  public:
    static constexpr std::uint32_t kMaxClaims = 16;

    constexpr explicit Imsic(Csrs csrs) : csrs_{csrs} {}

    // Drops what is pending, and lets identities 1..enabled of 1..identities in. Each hart, once.
    // Pre: enabled <= identities, enabled < 64.
    void start(std::uint32_t identities, std::uint32_t enabled) {
        const std::uint32_t last =
            identities < imsic_map::kMaxIdentity ? identities : imsic_map::kMaxIdentity;
        csrs_.write_indirect(imsic_map::kDelivery, 0);
        csrs_.write_indirect(imsic_map::kThreshold, 0);
        for (std::uint32_t word = 0; word <= last / 64; ++word) {
            csrs_.write_indirect(imsic_map::kEnabled + 2 * word, 0);
            csrs_.write_indirect(imsic_map::kPending + 2 * word, 0);
        }
        csrs_.write_indirect(imsic_map::kEnabled, ((std::uint64_t{1} << enabled) - 1) << 1);
        csrs_.write_indirect(imsic_map::kDelivery, 1);
    }

    // Claims and handles what is pending on the calling hart; returns how many. What has no handler is
    // dropped and counted.
    std::uint32_t handle(const InterruptHandlers& handlers) {
        std::uint32_t handled = 0;
        while (handled < kMaxClaims) {
            const std::uint32_t identity = csrs_.claim() >> imsic_map::kClaimShift;
            if (identity == 0) {
                break;
            }
            if (const InterruptHandler handler = handlers.find(identity); handler != nullptr) {
                handler(identity);
            } else {
                unexpected_.fetch_add(1, std::memory_order_relaxed);
            }
            ++handled;
        }
        return handled;
    }
    // Messages that nobody handles, on all harts.
    [[nodiscard]] std::uint64_t unexpected() const { return unexpected_.load(std::memory_order_relaxed); }

  private:
    Csrs csrs_;
    std::atomic<std::uint64_t> unexpected_{0};
};

}  // namespace kernel::drivers
