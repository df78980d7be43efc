// SPDX-License-Identifier: MIT
// SbiConsole: the firmware as console device: DBCN (SBI 2.0) where there is one, else the legacy calls, which
// the stock firmware of the VisionFive 2 has only. No interrupts. Concurrency: guarded by the lock of the
// Console it is attached to.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "drivers/console_device.hpp"

namespace kernel::drivers {

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
};

}  // namespace kernel::drivers
