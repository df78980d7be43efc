// SPDX-License-Identifier: MIT
#include "drivers/sifive_uart.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <stdexcept>
#include <string>
#include <string_view>

#include "drivers/console.hpp"

namespace {

namespace reg = kernel::drivers::sifive_uart;

// The device as its manual has it: two queues of 8, two watermarks, interrupts that are levels.
class FakeSifive {
  public:
    static constexpr std::size_t kQueueBytes = 8;

    std::string wire;
    std::size_t lost_bytes{0};
    std::deque<char> received;
    std::deque<char> queued;
    std::uint32_t transmit_control{0};
    std::uint32_t receive_control{0};
    std::uint32_t enabled{3};  // as a firmware may leave it

    void step() {
        if (!queued.empty() && (transmit_control & reg::kOn) != 0) {
            wire += queued.front();
            queued.pop_front();
        }
    }
    [[nodiscard]] std::uint32_t pending() const {
        const std::uint32_t transmit_mark = transmit_control >> reg::kWatermarkShift & 7U;
        const std::uint32_t receive_mark = receive_control >> reg::kWatermarkShift & 7U;
        return (queued.size() < transmit_mark ? reg::kTransmitWatermark : 0) |
               (received.size() > receive_mark ? reg::kReceiveWatermark : 0);
    }
    [[nodiscard]] bool is_interrupting() const { return (pending() & enabled) != 0; }

    std::uint32_t read(std::uint64_t offset, std::uint32_t width) {
        check(width);
        switch (offset) {
            case reg::kTransmitData:
                return queued.size() == kQueueBytes ? reg::kFull : 0;
            case reg::kReceiveData: {
                if (received.empty() || (receive_control & reg::kOn) == 0) {
                    return reg::kEmpty;
                }
                const auto byte = static_cast<unsigned char>(received.front());
                received.pop_front();
                return byte;
            }
            case reg::kTransmitControl:
                return transmit_control;
            case reg::kInterruptPending:
                return pending();
            default:
                throw std::logic_error("read of a register no driver should need");
        }
    }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) {
        check(width);
        switch (offset) {
            case reg::kTransmitData:
                if (queued.size() == kQueueBytes) {
                    ++lost_bytes;
                } else {
                    queued.push_back(static_cast<char>(value));
                }
                return;
            case reg::kTransmitControl:
                transmit_control = value;
                return;
            case reg::kReceiveControl:
                receive_control = value;
                return;
            case reg::kInterruptEnable:
                enabled = value;
                return;
            default:
                throw std::logic_error("the driver wrote the divisor or a read-only register");
        }
    }

  private:
    static void check(std::uint32_t width) {
        if (width != 4) {
            throw std::logic_error("registers are 32 bits wide");
        }
    }
};

struct Window {
    FakeSifive* device;
    std::uint32_t read(std::uint64_t offset, std::uint32_t width) { return device->read(offset, width); }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) {
        device->write(offset, width, value);
    }
};
using Driver = kernel::drivers::SifiveUart<Window>;

class SifiveUartTest : public testing::Test {
  protected:
    SifiveUartTest() { driver_.start(); }
    FakeSifive device_;
    Driver driver_{Window{&device_}};
};

TEST_F(SifiveUartTest, FillsTheQueueAndNoMore) {
    EXPECT_EQ(driver_.send(std::string_view{"0123456789"}), FakeSifive::kQueueBytes);
    EXPECT_EQ(driver_.send(std::string_view{"89"}), 0U);
    device_.step();
    EXPECT_EQ(driver_.send(std::string_view{"89"}), 1U);
    EXPECT_FALSE(driver_.is_idle());
    while (!device_.queued.empty()) {
        device_.step();
    }
    EXPECT_TRUE(driver_.is_idle());
    EXPECT_EQ(device_.wire, "012345678");
    EXPECT_EQ(device_.lost_bytes, 0U);
}

TEST_F(SifiveUartTest, ReceivesBytesWithTheHighBitSet) {
    device_.received = {'a', '\xff', '\0'};
    EXPECT_EQ(driver_.receive(), 'a');
    EXPECT_EQ(driver_.receive(), '\xff');
    EXPECT_EQ(driver_.receive(), '\0');
    EXPECT_EQ(driver_.receive(), std::nullopt);
}

TEST_F(SifiveUartTest, StartsSilentAndKeepsTheStopBits) {
    EXPECT_FALSE(device_.is_interrupting());
    device_.received = {'x'};
    EXPECT_FALSE(device_.is_interrupting());
    driver_.set_interrupts(true, false);
    EXPECT_TRUE(device_.is_interrupting());
    EXPECT_EQ(driver_.receive(), 'x');
    EXPECT_FALSE(device_.is_interrupting()) << "reading the byte ends it";
    driver_.set_interrupts(false, true);
    EXPECT_TRUE(device_.is_interrupting()) << "the queue is empty: comes at once";

    FakeSifive other;
    other.transmit_control = reg::kTwoStopBits;
    Driver again{Window{&other}};
    again.start();
    EXPECT_NE(other.transmit_control & reg::kTwoStopBits, 0U);
}

// Under the console: every interrupt the device raises ends, and all bytes leave in order.
TEST_F(SifiveUartTest, ConsoleEmptiesItsRingByInterrupts) {
    static kernel::drivers::Console console;
    console.attach(driver_);
    console.start_interrupts();
    std::string text;
    for (int i = 0; i < 200; ++i) {
        text += static_cast<char>('a' + i % 26);
    }
    EXPECT_EQ(console.try_write(text, kernel::drivers::Newline::AsIs), text.size());
    for (int i = 0; i < 1000 && device_.wire.size() < text.size(); ++i) {
        device_.step();
        if (device_.is_interrupting()) {
            console.service();
        }
    }
    EXPECT_EQ(device_.wire, text);
    EXPECT_FALSE(device_.is_interrupting()) << "nothing to send: the transmit interrupt is off";
}

}  // namespace
