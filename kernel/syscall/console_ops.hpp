// SPDX-License-Identifier: MIT
// What the system calls need of the terminal. Drivers are a sibling layer, so init, which knows both, hands
// these in at boot and routes the terminal's events to the three console_* functions.
#pragma once

#include <cstddef>
#include <span>

#include "lib/result.hpp"
#include "nexus_abi/terminal.hpp"

namespace kernel::syscall {

struct ConsoleOps {
    // Takes input that is there; 0 = end of file. Errors: TryAgain when there is none yet.
    Result<std::size_t> (*read)(std::span<char> out);
    // In raw mode: how many bytes are there, though read() may want more (VMIN); and takes those.
    std::size_t (*raw_bytes)();
    std::size_t (*read_raw)(std::span<char> out);
    // Whether read() would return something.
    bool (*has_input)();
    // Takes bytes from the front and returns how many (at least 1). Errors: TryAgain when there is no room
    // now.
    Result<std::size_t> (*try_write)(std::span<const char> bytes);
    nexus_abi::termios (*attributes)();
    void (*set_attributes)(const nexus_abi::termios& attributes);
    void (*discard_input)();
    nexus_abi::winsize (*window_size)();
    void (*set_window_size)(const nexus_abi::winsize& size);
};

// Boot, one hart, before the first program runs. Every member is set.
void set_console_ops(const ConsoleOps& ops);

// Input arrived: wakes the readers. Pre: no lock of the terminal is held (for all three).
void console_input_ready();
// There is room again after try_write said TryAgain: wakes the writers.
void console_space_ready();
// The terminal recognised Ctrl-C or its like: signals its foreground group.
void console_signal(int signal);

}  // namespace kernel::syscall
