// SPDX-License-Identifier: MIT
// ConsoleDevice: what Console asks of the hardware under it: an ns16550 or the firmware.
// Concurrency: guarded by the lock of the Console it is attached to (but for a panic, which takes no lock).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace kernel::drivers {

class ConsoleDevice {
  public:
    // Sends the longest prefix of `bytes` the device takes without waiting; returns its length, 0 when it is
    // busy.
    [[nodiscard]] virtual std::size_t send(std::span<const char> bytes) = 0;
    // The next byte received, if any; never waits.
    [[nodiscard]] virtual std::optional<char> receive() = 0;
    // True when everything sent has left the device.
    [[nodiscard]] virtual bool is_idle() = 0;
    // Which events raise the device's interrupt. A transmit interrupt switched on while the device can take
    // bytes comes at once.
    virtual void set_interrupts(bool receive, bool transmit) = 0;
    // Clears one cause of the interrupt that neither send() nor receive() clears; false when no cause is
    // pending.
    [[nodiscard]] virtual bool acknowledge_interrupt() = 0;

  protected:
    ConsoleDevice() = default;
    ~ConsoleDevice() = default;
};

}  // namespace kernel::drivers
