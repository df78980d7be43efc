// SPDX-License-Identifier: MIT
// The panic report ends the process: each case is a death test that prints the UART's wire and exits with
// what the power-off hook says.
#include "init/panic.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>

#include "arch/host/host_machine.hpp"
#include "drivers/console.hpp"
#include "fake_uart.hpp"
#include "init/log.hpp"
#include "sync/spinlock.hpp"

namespace {

using kernel::CpuId;
using kernel::HartId;
using kernel::PanicHooks;
using kernel::StackBounds;
using kernel::VirtAddr;
using kernel::drivers::Console;

constexpr int kPoweredOff = 42;
constexpr int kParked = 43;

fake::Uart uart{0, 1};
kernel::drivers::Ns16550<fake::UartWindow> driver{{&uart}, {}};
Console console;
alignas(16) std::array<std::uint64_t, 64> stack{};
std::atomic<bool> is_other_parked{false};

void show_wire_and_exit(int status) {
    std::fwrite(uart.wire.data(), 1, uart.wire.size(), stderr);
    std::fflush(stderr);
    _exit(status);
}

PanicHooks test_hooks() {
    return {.hart_of = [](CpuId cpu) { return HartId{cpu.value() + 1}; },
            .stack_of =
                [](CpuId) {
                    return StackBounds{
                        VirtAddr{reinterpret_cast<std::uint64_t>(stack.data())},
                        VirtAddr{reinterpret_cast<std::uint64_t>(stack.data() + stack.size())}};
                },
            .stop_other_harts = [] { std::fputs("[stop]", stderr); },
            .power_off = [] { show_wire_and_exit(kPoweredOff); },
            .park = [] { show_wire_and_exit(kParked); }};
}

class PanicTest : public testing::Test {
  protected:
    PanicTest() {
        uart.is_instant = true;
        driver.start();
        console.attach(driver);
        kernel::log::set_console(&console);
        kernel::set_panic_hooks(test_hooks());
        kernel::arch::host::set_now(kernel::Instant::from_ns(2'000'250'000));
    }
};
using PanicDeathTest = PanicTest;

std::uint64_t address_of(const std::uint64_t& word) {
    return reinterpret_cast<std::uint64_t>(&word);
}

// A frame whose s0 points behind words `at - 1` (return address) and `at - 2` (the caller's s0).
std::uint64_t make_frame(std::size_t at, std::uint64_t return_address, std::uint64_t caller) {
    stack[at - 1] = return_address;
    stack[at - 2] = caller;
    return address_of(stack[at]);
}

TEST_F(PanicDeathTest, OneReportBetweenTheMarkers) {
    EXPECT_EXIT(
        kernel::panic("frame ", kernel::hex(0x1234U), " freed twice"), testing::ExitedWithCode(kPoweredOff),
        "^\\[stop\\]KERNEL PANIC begin\r\nframe 0x1234 freed twice\r\non cpu 0, hart 1, 2.000250 s after "
        "boot\r\nbacktrace:\r\nKERNEL PANIC end\r\n$");
}

TEST_F(PanicDeathTest, CheckSaysWhatAndWhere) {
    EXPECT_EXIT(kernel::check_failed("a < b", "kernel/x.cpp", 7), testing::ExitedWithCode(kPoweredOff),
                "CHECK failed: a < b at kernel/x.cpp:7\r\n");
    EXPECT_EXIT(kernel::check_failed_values("a == b", "kernel/x.cpp", 7, 16, 17),
                testing::ExitedWithCode(kPoweredOff),
                "a == b at kernel/x.cpp:7: left 0x10 .16., right 0x11 .17.\r\n");
}

TEST_F(PanicDeathTest, TheHartsComeLast) {
    PanicHooks hooks = test_hooks();
    hooks.describe_harts = [](kernel::PrintLine print_line) {
        print_line("harts:");
        print_line("  cpu 0: reports");
    };
    kernel::set_panic_hooks(hooks);
    EXPECT_EXIT(kernel::panic("why"), testing::ExitedWithCode(kPoweredOff),
                "backtrace:\r\n(  #.*\r\n)*harts:\r\n  cpu 0: reports\r\nKERNEL PANIC end\r\n$");
}

// A report on the harts that goes wrong still ends.
TEST_F(PanicDeathTest, AFailureWhileTheHartsAreDescribed) {
    PanicHooks hooks = test_hooks();
    hooks.describe_harts = [](kernel::PrintLine) { kernel::panic("no such task"); };
    kernel::set_panic_hooks(hooks);
    EXPECT_EXIT(kernel::panic("why"), testing::ExitedWithCode(kPoweredOff),
                "^.*why\r\n.*panic inside the report: no such task\r\nKERNEL PANIC end\r\n$");
}

TEST_F(PanicDeathTest, RegistersAndBacktraceOfATrap) {
    const std::uint64_t outer = make_frame(40, 0xffffffff80200300, 0);
    const std::uint64_t inner = make_frame(20, 0xffffffff80200200, outer);
    const kernel::BacktraceStart start{.frame_pointer = inner, .pc = 0xffffffff80200100};
    const std::array registers{kernel::NamedRegister{"ra", 1}, kernel::NamedRegister{"sp", 2},
                               kernel::NamedRegister{"scause", 3}, kernel::NamedRegister{"stval", 4}};
    EXPECT_EXIT(kernel::panic_at(start, registers, "trap from kernel mode"),
                testing::ExitedWithCode(kPoweredOff),
                "registers:\r\n"
                "  ra      0x0000000000000001  sp      0x0000000000000002  scause  0x0000000000000003\r\n"
                "  stval   0x0000000000000004\r\n"
                "backtrace:\r\n"
                "  pc 0xffffffff80200100\r\n"
                "  #0 0xffffffff80200200\r\n"
                "  #1 0xffffffff80200300\r\n"
                "KERNEL PANIC end\r\n");
}

TEST_F(PanicDeathTest, PanicWhileStoppingTheOthersStillReports) {
    PanicHooks hooks = test_hooks();
    hooks.stop_other_harts = [] { kernel::panic("no IPI"); };
    kernel::set_panic_hooks(hooks);
    EXPECT_EXIT(
        kernel::panic("first"), testing::ExitedWithCode(kPoweredOff),
        "^KERNEL PANIC begin\r\npanic while stopping the other harts: no IPI\r\nKERNEL PANIC end\r\n$");
}

TEST_F(PanicDeathTest, PanicInsideTheReportClosesIt) {
    PanicHooks hooks = test_hooks();
    hooks.stack_of = [](CpuId) -> StackBounds { kernel::panic("bad stack table"); };
    kernel::set_panic_hooks(hooks);
    EXPECT_EXIT(
        kernel::panic("first"), testing::ExitedWithCode(kPoweredOff),
        "KERNEL PANIC begin\r\nfirst\r\n.*backtrace:\r\npanic inside the report: bad stack table\r\nKERNEL "
        "PANIC end\r\n$");
}

TEST_F(PanicDeathTest, PanicInPowerOffParks) {
    PanicHooks hooks = test_hooks();
    hooks.power_off = [] { kernel::panic("firmware"); };
    kernel::set_panic_hooks(hooks);
    EXPECT_EXIT(kernel::panic("first"), testing::ExitedWithCode(kParked), "first\r\n.*KERNEL PANIC end\r\n$");
}

TEST_F(PanicDeathTest, MachineThatCannotPowerOffParks) {
    PanicHooks hooks = test_hooks();
    hooks.power_off = [] {};
    kernel::set_panic_hooks(hooks);
    EXPECT_EXIT(kernel::panic("first"), testing::ExitedWithCode(kParked), "KERNEL PANIC end\r\n$");
}

TEST_F(PanicDeathTest, SecondHartParksSilently) {
    PanicHooks hooks = test_hooks();
    // The first hart waits here until the second has panicked too.
    hooks.stop_other_harts = [] {
        std::thread other{[] {
            kernel::arch::host::set_current_cpu(CpuId{1});
            kernel::panic("second");
        }};
        other.detach();
        while (!is_other_parked.load()) {
            std::this_thread::yield();
        }
    };
    hooks.park = [] {
        is_other_parked = true;
        while (true) {
            std::this_thread::yield();
        }
    };
    kernel::set_panic_hooks(hooks);
    EXPECT_EXIT(kernel::panic("first"), testing::ExitedWithCode(kPoweredOff),
                "^KERNEL PANIC begin\r\nfirst\r\n.*KERNEL PANIC end\r\n$");
}

TEST_F(PanicDeathTest, HooksMayBeMissing) {
    PanicHooks hooks;
    hooks.park = [] { show_wire_and_exit(kParked); };
    kernel::set_panic_hooks(hooks);
    EXPECT_EXIT(kernel::panic("early"), testing::ExitedWithCode(kParked),
                "early\r\non cpu 0, 2.000250 s after boot\r\nbacktrace:\r\n  no backtrace");
}

TEST(WalkFrames, StopsWhereItMust) {
    stack.fill(0);
    const StackBounds bounds{VirtAddr{address_of(stack[8])}, VirtAddr{address_of(stack[48])}};
    std::array<std::uint64_t, 8> found{};
    EXPECT_EQ(kernel::walk_frames(0, bounds, found), 0U);
    EXPECT_EQ(kernel::walk_frames(address_of(stack[20]) + 8, bounds, found), 0U) << "misaligned";
    EXPECT_EQ(kernel::walk_frames(address_of(stack[8]), bounds, found), 0U)
        << "its words are below the stack";
    EXPECT_EQ(kernel::walk_frames(address_of(stack[50]), bounds, found), 0U) << "above the stack";
    EXPECT_EQ(kernel::walk_frames(~std::uint64_t{15}, bounds, found), 0U);
    EXPECT_EQ(kernel::walk_frames(address_of(stack[20]), {}, found), 0U) << "unknown bounds";

    const std::uint64_t top = make_frame(48, 0x111, 0);
    EXPECT_EQ(kernel::walk_frames(top, bounds, found), 1U);
    EXPECT_EQ(found[0], 0x111U);
    make_frame(20, 0x222, address_of(stack[20]));
    EXPECT_EQ(kernel::walk_frames(address_of(stack[20]), bounds, found), 1U) << "a frame that names itself";
    const std::uint64_t low = make_frame(10, 0x333, address_of(stack[20]));
    make_frame(20, 0x222, low);
    EXPECT_EQ(kernel::walk_frames(low, bounds, found), 2U) << "and one that goes back down";
    make_frame(20, 0x222, top);
    EXPECT_EQ(kernel::walk_frames(low, bounds, std::span{found}.first(2)), 2U) << "no more than asked for";
}

TEST(WalkFrames, LeafFrameWithoutReturnAddress) {
    stack.fill(0);
    const StackBounds bounds{VirtAddr{address_of(stack[0])}, VirtAddr{address_of(stack[63]) + 8}};
    std::array<std::uint64_t, 8> found{};
    const std::uint64_t caller = make_frame(40, 0x111, 0);
    stack[19] = caller;  // g++ saves only s0 in a leaf, where the return address would be
    stack[18] = 0xdead;
    EXPECT_EQ(kernel::walk_frames(address_of(stack[20]), bounds, found), 1U);
    EXPECT_EQ(found[0], 0x111U);
}

}  // namespace
