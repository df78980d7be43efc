// SPDX-License-Identifier: MIT
// SifiveUart: "sifive,uart0" as a console (SiFive FU540-C000 manual v1p4, chapter 13). The firmware has set
// the bit rate; the divisor is never written.
//
// `Registers` is a window as in drivers/mmio.hpp.
// Concurrency: guarded by the lock of the Console it is attached to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "drivers/console_device.hpp"

namespace kernel::drivers {

// Offsets and bits: tables 47 to 57 of the manual.
namespace sifive_uart {
inline constexpr std::uint64_t kTransmitData = 0x00;
inline constexpr std::uint64_t kReceiveData = 0x04;
inline constexpr std::uint64_t kTransmitControl = 0x08;
inline constexpr std::uint64_t kReceiveControl = 0x0c;
inline constexpr std::uint64_t kInterruptEnable = 0x10;
inline constexpr std::uint64_t kInterruptPending = 0x14;

inline constexpr std::uint32_t kFull = std::uint32_t{1} << 31;   // of the transmit data register
inline constexpr std::uint32_t kEmpty = std::uint32_t{1} << 31;  // of the receive data register
inline constexpr std::uint32_t kOn = 1;                          // transmitter or receiver on
inline constexpr std::uint32_t kTwoStopBits = 2;
inline constexpr std::uint32_t kWatermarkShift = 16;
// Levels, not events: fewer bytes queued than the transmit watermark; more received than the other one.
inline constexpr std::uint32_t kTransmitWatermark = 1;
inline constexpr std::uint32_t kReceiveWatermark = 2;
}  // namespace sifive_uart

template <class Registers>
class SifiveUart final : public ConsoleDevice {
  public:
    explicit SifiveUart(Registers registers) : registers_{registers} {}

    // Interrupts off; the transmit watermark at "empty", the receive one at "anything".
    void start() {
        write(sifive_uart::kInterruptEnable, 0);
        const std::uint32_t stop_bits = read(sifive_uart::kTransmitControl) & sifive_uart::kTwoStopBits;
        write(sifive_uart::kTransmitControl,
              sifive_uart::kOn | stop_bits | std::uint32_t{1} << sifive_uart::kWatermarkShift);
        write(sifive_uart::kReceiveControl, sifive_uart::kOn);
    }

    [[nodiscard]] std::size_t send(std::span<const char> bytes) override {
        std::size_t sent = 0;
        while (sent < bytes.size() && (read(sifive_uart::kTransmitData) & sifive_uart::kFull) == 0) {
            write(sifive_uart::kTransmitData, static_cast<unsigned char>(bytes[sent]));
            ++sent;
        }
        return sent;
    }

    [[nodiscard]] std::optional<char> receive() override {
        const std::uint32_t data = read(sifive_uart::kReceiveData);
        if ((data & sifive_uart::kEmpty) != 0) {
            return std::nullopt;
        }
        return static_cast<char>(data & 0xff);
    }

    // The queue is empty; of the last byte, which is on its way out, the device says nothing.
    [[nodiscard]] bool is_idle() override {
        return (read(sifive_uart::kInterruptPending) & sifive_uart::kTransmitWatermark) != 0;
    }

    void set_interrupts(bool receive, bool transmit) override {
        write(sifive_uart::kInterruptEnable, (receive ? sifive_uart::kReceiveWatermark : 0) |
                                                 (transmit ? sifive_uart::kTransmitWatermark : 0));
    }

    // Both causes end by what send() and receive() do.
    [[nodiscard]] bool acknowledge_interrupt() override { return false; }

  private:
    [[nodiscard]] std::uint32_t read(std::uint64_t offset) { return registers_.read(offset, 4); }
    void write(std::uint64_t offset, std::uint32_t value) { registers_.write(offset, 4, value); }

    Registers registers_;
};

}  // namespace kernel::drivers
