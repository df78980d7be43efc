// SPDX-License-Identifier: MIT
// Mmio: a window of device registers. Drivers take the window as a template parameter, `Registers`, with
// these two members, so that tests can put a model of the device behind it. Target only. Concurrency: none of
// its own; each driver says who may touch its registers.
#pragma once

#include <cstdint>

#include "lib/ids.hpp"

namespace kernel::drivers {

class Mmio {
  public:
    // `base` is mapped for as long as the window lives.
    constexpr explicit Mmio(VirtAddr base) : base_{base} {}

    // Width is 1, 2 or 4 bytes; the access is naturally aligned. The fences order device accesses with each
    // other and with memory (RISC-V unprivileged specification 2.7), as a claim and its completion need.
    [[nodiscard]] std::uint32_t read(std::uint64_t offset, std::uint32_t width_bytes) const {
        std::uint32_t value = 0;
        const std::uint64_t address = (base_ + offset).value();
        switch (width_bytes) {
            case 1:
                value = *reinterpret_cast<const volatile std::uint8_t*>(address);
                break;
            case 2:
                value = *reinterpret_cast<const volatile std::uint16_t*>(address);
                break;
            default:
                value = *reinterpret_cast<const volatile std::uint32_t*>(address);
                break;
        }
        asm volatile("fence i, iorw" : : : "memory");
        return value;
    }
    void write(std::uint64_t offset, std::uint32_t width_bytes, std::uint32_t value) const {
        const std::uint64_t address = (base_ + offset).value();
        asm volatile("fence iorw, o" : : : "memory");
        switch (width_bytes) {
            case 1:
                *reinterpret_cast<volatile std::uint8_t*>(address) = static_cast<std::uint8_t>(value);
                break;
            case 2:
                *reinterpret_cast<volatile std::uint16_t*>(address) = static_cast<std::uint16_t>(value);
                break;
            default:
                *reinterpret_cast<volatile std::uint32_t*>(address) = value;
                break;
        }
    }

  private:
    VirtAddr base_;
};

}  // namespace kernel::drivers
