// SPDX-License-Identifier: MIT
// Ns16550: the 16550A UART and its kin (TI PC16550D data sheet, register names from there), among them the
// Synopsys DesignWare APB UART of the JH7110 (DW_apb_uart databook 4.02). Speed and frame format stay as the
// firmware set them: LCR and the divisor are never written, since a DesignWare UART that is busy ignores the
// write and interrupts for ever.
//
// `Registers` is a window as in drivers/mmio.hpp.
// Concurrency: guarded by the lock of the Console it is attached to.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "drivers/console_device.hpp"

namespace kernel::drivers {

// Register numbers and bits: PC16550D, table 1.
namespace uart {
inline constexpr std::uint32_t kData = 0;             // RBR read, THR written
inline constexpr std::uint32_t kInterruptEnable = 1;  // IER
inline constexpr std::uint32_t kInterruptId = 2;      // IIR read
inline constexpr std::uint32_t kFifoControl = 2;      // FCR written
inline constexpr std::uint32_t kLineStatus = 5;       // LSR
inline constexpr std::uint32_t kModemStatus = 6;      // MSR
inline constexpr std::uint32_t kUartStatus = 0x1f;    // USR, DesignWare only

inline constexpr std::uint32_t kReceiveInterrupt = 0x01;
inline constexpr std::uint32_t kTransmitInterrupt = 0x02;
inline constexpr std::uint32_t kFifoEnable = 0x01;

inline constexpr std::uint32_t kIdMask = 0x0f;
inline constexpr std::uint32_t kIdModemStatus = 0x00;
inline constexpr std::uint32_t kIdNone = 0x01;
inline constexpr std::uint32_t kIdLineStatus = 0x06;
inline constexpr std::uint32_t kIdBusyDetect = 0x07;  // DesignWare only
inline constexpr std::uint32_t kIdReceiveTimeout = 0x0c;
inline constexpr std::uint32_t kIdFifosEnabled = 0xc0;

inline constexpr std::uint32_t kDataReady = 0x01;
inline constexpr std::uint32_t kBadByte = 0x1c;  // parity error, framing error, break
inline constexpr std::uint32_t kTransmitEmpty = 0x20;
inline constexpr std::uint32_t kTransmitterIdle = 0x40;
}  // namespace uart

struct UartLayout {
    std::uint32_t reg_shift{0};       // register n is at n << reg_shift
    std::uint32_t io_width_bytes{1};  // 1, 2 or 4
    bool is_designware{false};
};

template <class Registers>
class Ns16550 final : public ConsoleDevice {
  public:
    static constexpr std::size_t kFifoBytes = 16;
    // Reads of LSR while the firmware's last bytes leave: 16 of them take 1.4 ms at 115200 baud.
    static constexpr std::uint32_t kStartPolls = 100'000;
    // Damaged bytes skipped in one receive(): what a full FIFO can hold.
    static constexpr std::uint32_t kMaxBadBytes = kFifoBytes;

    Ns16550(Registers registers, UartLayout layout) : registers_{registers}, layout_{layout} {}

    // Interrupts off, FIFOs on, once what the firmware wrote has left: switching FIFOs throws their contents
    // away.
    void start() {
        write(uart::kInterruptEnable, 0);
        for (std::uint32_t polls = 0; polls < kStartPolls && !is_idle(); ++polls) {
        }
        write(uart::kFifoControl, uart::kFifoEnable);
        const bool has_fifo = (read(uart::kInterruptId) & uart::kIdFifosEnabled) == uart::kIdFifosEnabled;
        burst_bytes_ = has_fifo ? kFifoBytes : 1;
    }

    [[nodiscard]] std::size_t send(std::span<const char> bytes) override {
        // Transmitter empty means the whole FIFO is.
        if ((read(uart::kLineStatus) & uart::kTransmitEmpty) == 0) {
            return 0;
        }
        const std::span<const char> burst = bytes.first(std::min(bytes.size(), burst_bytes_));
        for (const char byte : burst) {
            write(uart::kData, static_cast<unsigned char>(byte));
        }
        return burst.size();
    }

    [[nodiscard]] std::optional<char> receive() override {
        for (std::uint32_t i = 0; i <= kMaxBadBytes; ++i) {
            const std::uint32_t status = read(uart::kLineStatus);
            if ((status & uart::kDataReady) == 0) {
                return std::nullopt;
            }
            const auto byte = static_cast<char>(read(uart::kData) & 0xff);
            if ((status & uart::kBadByte) == 0) {
                return byte;
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] bool is_idle() override { return (read(uart::kLineStatus) & uart::kTransmitterIdle) != 0; }

    void set_interrupts(bool receive, bool transmit) override {
        const std::uint32_t wanted =
            (receive ? uart::kReceiveInterrupt : 0) | (transmit ? uart::kTransmitInterrupt : 0);
        if (wanted != interrupts_) {
            interrupts_ = wanted;
            write(uart::kInterruptEnable, wanted);
        }
    }

    [[nodiscard]] bool acknowledge_interrupt() override {
        const std::uint32_t id = read(uart::kInterruptId) & uart::kIdMask;
        if (id == uart::kIdBusyDetect && layout_.is_designware) {
            discard(uart::kUartStatus);
            return true;
        }
        if ((id & uart::kIdNone) != 0) {
            return false;
        }
        if (id == uart::kIdLineStatus) {
            discard(uart::kLineStatus);
        } else if (id == uart::kIdModemStatus) {
            discard(uart::kModemStatus);
        } else if (id == uart::kIdReceiveTimeout && (read(uart::kLineStatus) & uart::kDataReady) == 0) {
            // A DesignWare UART can time out with an empty FIFO; only a read of the data register ends that.
            discard(uart::kData);
        }
        // "Transmitter empty" was cleared by reading its id; "data available" ends when the data is read.
        return true;
    }

  private:
    [[nodiscard]] std::uint32_t read(std::uint32_t number) {
        return registers_.read(std::uint64_t{number} << layout_.reg_shift, layout_.io_width_bytes);
    }
    void write(std::uint32_t number, std::uint32_t value) {
        registers_.write(std::uint64_t{number} << layout_.reg_shift, layout_.io_width_bytes, value);
    }
    // Reads a register for the effect the read has on the device.
    void discard(std::uint32_t number) { static_cast<void>(read(number)); }

    Registers registers_;
    UartLayout layout_;
    std::size_t burst_bytes_{1};
    std::uint32_t interrupts_{0};  // what IER holds
};

}  // namespace kernel::drivers
