// SPDX-License-Identifier: MIT
#include "drivers/sbi_console.hpp"

#include "arch/riscv64/sbi.hpp"

namespace kernel::drivers {

void SbiConsole::start() {
    has_debug_console_ = arch::sbi::has_extension(arch::sbi::Extension::DebugConsole);
}

// Byte by byte: the call that takes a buffer wants physical memory, which a caller's stack need not be known
// as.
std::size_t SbiConsole::send(std::span<const char> bytes) {
    std::size_t sent = 0;
    for (const char byte : bytes) {
        if (has_debug_console_) {
            if (!arch::sbi::debug_console_write_byte(byte).ok()) {
                break;
            }
        } else {
            arch::sbi::legacy_putchar(byte);
        }
        ++sent;
    }
    return sent;
}

std::optional<char> SbiConsole::receive() {
    return arch::sbi::legacy_getchar();
}

}  // namespace kernel::drivers
