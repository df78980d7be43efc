// SPDX-License-Identifier: MIT
#include "drivers/sbi_console.hpp"

#include <algorithm>

#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/sbi.hpp"

namespace kernel::drivers {

void SbiConsole::start() {
    has_debug_console_ = arch::sbi::has_extension(arch::sbi::Extension::DebugConsole);
}

std::size_t SbiConsole::send(std::span<const char> bytes) {
    if (has_debug_console_) {
        const std::span<const char> piece = bytes.first(std::min(bytes.size(), buffer_.size()));
        std::copy(piece.begin(), piece.end(), buffer_.begin());
        return arch::sbi::debug_console_write(arch::image_physical(buffer_.data()), piece.size()).value_or(0);
    }
    for (const char byte : bytes) {
        arch::sbi::legacy_putchar(byte);
    }
    return bytes.size();
}

std::optional<char> SbiConsole::receive() {
    if (!has_debug_console_) {
        return arch::sbi::legacy_getchar();
    }
    const auto count = arch::sbi::debug_console_read(arch::image_physical(buffer_.data()), 1);
    if (count.value_or(0) == 0) {
        return std::nullopt;
    }
    return buffer_[0];
}

}  // namespace kernel::drivers
