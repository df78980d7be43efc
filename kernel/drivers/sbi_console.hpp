// SPDX-License-Identifier: MIT
// SbiConsole: the firmware as console device: DBCN (SBI 2.0) where there is one, else the legacy calls, which
// the stock firmware of the VisionFive 2 has only. No interrupts. Concurrency: guarded by the lock of the
// Console it is attached to.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "drivers/console_device.hpp"

namespace kernel::drivers {

// Pre: the object is part of the kernel image.
class SbiConsole final : public ConsoleDevice {
  public:
    constexpr SbiConsole() = default;

    // Asks the firmware what it has.
    void start();

    [[nodiscard]] std::size_t send(std::span<const char> bytes) override;
    [[nodiscard]] std::optional<char> receive() override;
    [[nodiscard]] bool is_idle() override { return true; }
    void set_interrupts(bool /*receive*/, bool /*transmit*/) override {}
    [[nodiscard]] bool acknowledge_interrupt() override { return false; }

  private:
    bool has_debug_console_{false};
    // What DBCN reads and writes: it wants physical addresses, and the image's are known from the start.
    std::array<char, 128> buffer_{};
};

}  // namespace kernel::drivers
