// SPDX-License-Identifier: MIT
#include "drivers/devices.hpp"

#include <array>
#include <atomic>
#include <optional>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "drivers/interrupts.hpp"
#include "drivers/mmio.hpp"
#include "drivers/ns16550.hpp"
#include "drivers/sbi_console.hpp"
#include "drivers/sifive_uart.hpp"

namespace kernel::drivers {

namespace {

constinit Console the_console;
constinit Tty the_terminal{the_console};
constinit SbiConsole firmware_console;
// Filled in at boot by one hart, before the other harts start; afterwards immutable but for their own state.
constinit std::optional<Ns16550<Mmio>> the_ns16550;
constinit std::optional<SifiveUart<Mmio>> the_sifive_uart;
constinit bool uart_has_interrupts = false;
constinit std::atomic<std::uint64_t> uart_interrupts{0};
// Where the UART's interrupt comes from; set with uart_has_interrupts.
constinit fdt::WiredInterrupt uart_interrupt;
// The CPU that gets it: changed by that CPU only.
constinit std::atomic<std::uint32_t> uart_cpu{kMaxCpus};

enum class UartKind : std::uint8_t {
    Ns16550,
    DesignWare,  // a 16550 with a busy-detect interrupt
    Sifive,
};

struct SupportedUart {
    std::string_view compatible;
    UartKind kind;
};

// The first row whose name the device tree lists decides: a DesignWare UART calls itself ns16550a, too.
constexpr std::array<SupportedUart, 7> kSupportedUarts{{
    {"snps,dw-apb-uart", UartKind::DesignWare},
    {"starfive,jh7110-uart", UartKind::DesignWare},
    {"starfive,jh7100-uart", UartKind::DesignWare},
    {"ns16550a", UartKind::Ns16550},
    {"ns16550", UartKind::Ns16550},
    {"ns16750", UartKind::Ns16550},
    {"sifive,uart0", UartKind::Sifive},
}};

std::optional<UartKind> kind_of(const fdt::Compatible& compatible) {
    for (const SupportedUart& row : kSupportedUarts) {
        if (compatible.contains(row.compatible)) {
            return row.kind;
        }
    }
    return std::nullopt;
}

Result<void> start_ns16550(const fdt::Console& description, VirtAddr registers, UartKind kind) {
    const std::uint32_t width = description.reg_io_width;
    const bool is_width_supported = width == 1 || width == 2 || width == 4;
    // Registers lie reg_shift apart, so an access must not be wider than that.
    if (!is_width_supported || description.reg_shift > 4 || width > (1U << description.reg_shift)) {
        return Error::NotSupported;
    }
    Ns16550<Mmio>& uart =
        the_ns16550.emplace(Mmio{registers}, UartLayout{.reg_shift = description.reg_shift,
                                                        .io_width_bytes = width,
                                                        .is_designware = kind == UartKind::DesignWare});
    uart.start();
    the_console.attach(uart);
    return {};
}

}  // namespace

Console& console() {
    return the_console;
}

Tty& terminal() {
    return the_terminal;
}

void start_firmware_console() {
    firmware_console.start();
    the_console.set_input_handler([](std::span<const char> bytes) { the_terminal.receive(bytes); });
    the_console.attach(firmware_console);
}

bool is_supported_uart(const fdt::Console& description) {
    return kind_of(description.compatible).has_value();
}

Result<void> start_uart(const fdt::Console& description, VirtAddr registers) {
    const std::optional<UartKind> kind = kind_of(description.compatible);
    if (!kind.has_value()) {
        return Error::NotSupported;
    }
    if (*kind != UartKind::Sifive) {
        return start_ns16550(description, registers, *kind);
    }
    SifiveUart<Mmio>& uart = the_sifive_uart.emplace(Mmio{registers});
    uart.start();
    the_console.attach(uart);
    return {};
}

Result<CpuId> start_uart_interrupts(const fdt::Machine& machine, CpuMask online) {
    const bool has_uart = the_ns16550.has_value() || the_sifive_uart.has_value();
    if (!has_uart || !machine.console.has_value() || !machine.console->interrupt.has_value()) {
        return Error::NotSupported;
    }
    const fdt::WiredInterrupt& interrupt = *machine.console->interrupt;
    const auto handler = [](std::uint32_t /*source*/) {
        uart_interrupts.fetch_add(1, std::memory_order_relaxed);
        the_console.service();
    };
    CpuId cpu = arch::current_cpu();
    while (!can_reach(machine, interrupt, cpu)) {
        online.remove(cpu);
        if (online.empty()) {
            return Error::NotSupported;
        }
        cpu = online.lowest();
    }
    TRY(route_interrupt(machine, interrupt, handler, cpu));
    the_console.start_interrupts();
    uart_interrupt = interrupt;
    uart_cpu.store(cpu.value(), std::memory_order_relaxed);
    uart_has_interrupts = true;
    return cpu;
}

bool check_uart_interrupts() {
    // A busy UART of 115200 baud interrupts 1.4 ms after its FIFO was filled; a hart of an emulator may have
    // to wait for its turn on a busy host.
    constexpr Duration kDeadline = Duration::seconds(1);
    const std::uint64_t before = uart_interrupts.load(std::memory_order_relaxed);
    the_console.provoke_interrupt();
    const Instant deadline = arch::now() + kDeadline;
    while (uart_interrupts.load(std::memory_order_relaxed) == before) {
        if ((arch::pending_interrupts() & arch::kPendingExternal) != 0) {
            handle_external_interrupt();
        } else if (arch::now() >= deadline) {
            the_console.stop_interrupts();
            uart_has_interrupts = false;
            return false;
        }
        arch::cpu_relax();
    }
    return true;
}

bool has_uart_interrupts() {
    return uart_has_interrupts;
}

void move_interrupts(const fdt::Machine& machine, CpuId self, CpuMask others) {
    if (!uart_has_interrupts || uart_cpu.load(std::memory_order_acquire) != self.value()) {
        return;
    }
    for (; !others.empty(); others.remove(others.lowest())) {
        const CpuId next = others.lowest();
        // Said first: from the moment it is enabled there, that CPU may be asked to give it away again.
        uart_cpu.store(next.value(), std::memory_order_release);
        if (move_interrupt(machine, uart_interrupt, self, next).ok()) {
            return;
        }
    }
    uart_cpu.store(self.value(), std::memory_order_release);
}

void poll_console() {
    if (!uart_has_interrupts) {
        the_console.service();
    }
}

}  // namespace kernel::drivers
