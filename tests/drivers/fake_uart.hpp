// SPDX-License-Identifier: MIT
// A 16550A behind a register window: a transmit FIFO of 16 that empties one byte per step() (or at once), a
// receive queue, and the interrupt identification rules of the PC16550D data sheet, section 8.6. Bytes
// written to a full FIFO are counted as lost. A DesignWare UART can also be told to signal "busy detect".
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <string_view>

#include "drivers/ns16550.hpp"

namespace fake {

class Uart {
  public:
    static constexpr std::size_t kFifoBytes = 16;

    Uart(std::uint32_t reg_shift, std::uint32_t width_bytes)
        : reg_shift_{reg_shift}, width_bytes_{width_bytes} {}

    // ---- What the test does to it ----
    bool is_instant{false};         // every byte is on the wire as soon as it is written
    bool steps_when_polled{false};  // each read of LSR lets one byte out: time passes for who polls
    bool is_busy_detected{false};   // IIR = 7 until USR is read
    std::string wire;               // what left
    std::size_t lost_bytes{0};      // written to a full FIFO
    std::size_t status_reads{0};    // of USR
    std::size_t line_status_reads{0};
    std::string touched_lcr_or_divisor;  // says what the driver must not do

    void type(std::string_view text) { received_.insert(received_.end(), text.begin(), text.end()); }
    // The wire takes one byte from the FIFO.
    void step() {
        if (fifo_.empty()) {
            return;
        }
        wire += fifo_.front();
        fifo_.pop_front();
        if (fifo_.empty()) {
            transmit_pending_ = true;
        }
    }
    [[nodiscard]] bool is_interrupting() const {
        return is_busy_detected || ((enable_ & 1U) != 0 && !received_.empty()) ||
               ((enable_ & 2U) != 0 && transmit_pending_);
    }
    [[nodiscard]] std::size_t unread() const { return received_.size(); }
    [[nodiscard]] std::size_t in_fifo() const { return fifo_.size(); }
    [[nodiscard]] std::uint32_t interrupt_enable() const { return enable_; }
    // The next byte received is damaged (framing error).
    void type_damaged(char byte) {
        received_.push_back(byte);
        damaged_at_ = received_.size();
    }

    // ---- The registers ----
    std::uint32_t read(std::uint64_t offset, std::uint32_t width) {
        namespace uart = kernel::drivers::uart;
        switch (number_of(offset, width)) {
            case uart::kData: {
                if (received_.empty()) {
                    return 0;
                }
                const auto byte = static_cast<unsigned char>(received_.front());
                received_.pop_front();
                damaged_at_ = damaged_at_ > 0 ? damaged_at_ - 1 : 0;
                return byte;
            }
            case uart::kInterruptEnable:
                return enable_;
            case uart::kInterruptId:
                return identify() | (has_fifos_ ? uart::kIdFifosEnabled : 0);
            case uart::kLineStatus:
                ++line_status_reads;
                if (steps_when_polled) {
                    step();
                }
                return (received_.empty() ? 0U : 1U) | (damaged_at_ == 1 ? 0x08U : 0U) |
                       (fifo_.empty() ? uart::kTransmitEmpty | uart::kTransmitterIdle : 0U);
            case uart::kModemStatus:
                return 0;
            case uart::kUartStatus:
                ++status_reads;
                is_busy_detected = false;
                return 0;
            default:
                throw std::logic_error("read of a register no driver should need");
        }
    }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) {
        namespace uart = kernel::drivers::uart;
        switch (number_of(offset, width)) {
            case uart::kData:
                transmit(static_cast<char>(value));
                return;
            case uart::kInterruptEnable: {
                const std::uint32_t rising = value & ~enable_;
                enable_ = value & 0x0fU;
                if ((rising & 2U) != 0) {
                    transmit_pending_ = fifo_.empty();
                }
                return;
            }
            case uart::kFifoControl:
                if (has_fifos_ != ((value & 1U) != 0)) {
                    lost_bytes += fifo_.size();
                    fifo_.clear();
                }
                has_fifos_ = (value & 1U) != 0;
                return;
            default:
                touched_lcr_or_divisor += "register " + std::to_string(offset >> reg_shift_) + " ";
        }
    }
    // Bytes the firmware left in the FIFO.
    void preload(std::string_view text) {
        has_fifos_ = true;
        for (const char byte : text) {
            fifo_.push_back(byte);
        }
    }

  private:
    std::uint64_t number_of(std::uint64_t offset, std::uint32_t width) const {
        if (width != width_bytes_ || (offset & ((std::uint64_t{1} << reg_shift_) - 1)) != 0) {
            throw std::logic_error("register access of the wrong width or between two registers");
        }
        return offset >> reg_shift_;
    }
    void transmit(char byte) {
        transmit_pending_ = false;
        if (is_instant) {
            wire += byte;
            transmit_pending_ = true;
            return;
        }
        if (fifo_.size() == (has_fifos_ ? kFifoBytes : 1)) {
            ++lost_bytes;
            return;
        }
        fifo_.push_back(byte);
    }
    std::uint32_t identify() {
        if (is_busy_detected) {
            return 0x07;
        }
        if ((enable_ & 1U) != 0 && !received_.empty()) {
            return 0x04;
        }
        if ((enable_ & 2U) != 0 && transmit_pending_) {
            transmit_pending_ = false;
            return 0x02;
        }
        return 0x01;
    }

    std::uint32_t reg_shift_;
    std::uint32_t width_bytes_;
    std::uint32_t enable_{0};
    bool has_fifos_{false};
    bool transmit_pending_{false};
    std::size_t damaged_at_{0};  // 1 = the byte at the front of received_
    std::deque<char> fifo_;
    std::deque<char> received_;
};

// What the driver holds.
struct UartWindow {
    Uart* uart;
    std::uint32_t read(std::uint64_t offset, std::uint32_t width) { return uart->read(offset, width); }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) {
        uart->write(offset, width, value);
    }
};

}  // namespace fake
