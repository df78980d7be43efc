// SPDX-License-Identifier: MIT
// The terminal part of the Linux block: the structs behind the ioctls TCGETS, TCSETS* and TIOC[GS]WINSZ and
// the flags the console's line discipline acts on (include/uapi/asm-generic/termbits.h, ioctls.h, termios.h).
// Other flags are stored and given back, without effect.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus_abi {

inline constexpr std::uint32_t kTcgets = 0x5401;
inline constexpr std::uint32_t kTcsets = 0x5402;     // now
inline constexpr std::uint32_t kTcsetsw = 0x5403;    // after output is sent
inline constexpr std::uint32_t kTcsetsf = 0x5404;    // the same, and pending input is thrown away
inline constexpr std::uint32_t kTcflsh = 0x540b;     // argument: 0 input, 1 output, 2 both
inline constexpr std::uint32_t kTiocsctty = 0x540e;  // argument 1: even if another session has it
inline constexpr std::uint32_t kTiocgpgrp = 0x540f;
inline constexpr std::uint32_t kTiocspgrp = 0x5410;
inline constexpr std::uint32_t kTiocgwinsz = 0x5413;
inline constexpr std::uint32_t kTiocswinsz = 0x5414;
inline constexpr std::uint32_t kTiocnotty = 0x5422;
inline constexpr std::uint32_t kTiocgsid = 0x5429;

// Linux' struct ktermios without the speeds, which glibc and musl both expect from TCGETS.
struct termios {
    std::uint32_t c_iflag;
    std::uint32_t c_oflag;
    std::uint32_t c_cflag;
    std::uint32_t c_lflag;
    std::uint8_t c_line;
    std::uint8_t c_cc[19];

    bool operator==(const termios&) const = default;
};
static_assert(sizeof(termios) == 36 && offsetof(termios, c_cc) == 17);

struct winsize {
    std::uint16_t rows;
    std::uint16_t columns;
    std::uint16_t x_pixels;
    std::uint16_t y_pixels;

    bool operator==(const winsize&) const = default;
};
static_assert(sizeof(winsize) == 8);

namespace iflag {
inline constexpr std::uint32_t kInlcr = 0000100;  // newline -> carriage return
inline constexpr std::uint32_t kIgncr = 0000200;  // drop carriage returns
inline constexpr std::uint32_t kIcrnl = 0000400;  // carriage return -> newline
inline constexpr std::uint32_t kIutf8 = 0040000;  // erase whole UTF-8 characters
}  // namespace iflag

namespace oflag {
inline constexpr std::uint32_t kOpost = 0000001;  // process output at all
inline constexpr std::uint32_t kOnlcr = 0000004;  // newline -> carriage return, newline
}  // namespace oflag

namespace cflag {
inline constexpr std::uint32_t kB115200 = 0010002;
inline constexpr std::uint32_t kCs8 = 0000060;
inline constexpr std::uint32_t kCread = 0000200;
inline constexpr std::uint32_t kClocal = 0004000;
}  // namespace cflag

namespace lflag {
inline constexpr std::uint32_t kIsig = 0000001;     // Ctrl-C and its like raise signals
inline constexpr std::uint32_t kIcanon = 0000002;   // input comes in edited lines
inline constexpr std::uint32_t kEcho = 0000010;     // what is typed is shown
inline constexpr std::uint32_t kEchoe = 0000020;    // erasing is shown by removing the character
inline constexpr std::uint32_t kEchok = 0000040;    // killing the line is shown
inline constexpr std::uint32_t kEchonl = 0000100;   // newline is shown even without kEcho
inline constexpr std::uint32_t kNoflsh = 0000200;   // a signal keeps pending input
inline constexpr std::uint32_t kTostop = 0000400;   // the background is stopped when it writes, too
inline constexpr std::uint32_t kEchoctl = 0001000;  // control characters are shown as ^X
inline constexpr std::uint32_t kEchoke = 0004000;   // killing the line is shown by removing it
inline constexpr std::uint32_t kIexten = 0100000;   // Ctrl-W erases a word
}  // namespace lflag

// Index into termios::c_cc. A character of 0 is off.
enum class ControlCharacter : std::uint8_t {
    Interrupt = 0,
    Quit = 1,
    Erase = 2,
    Kill = 3,
    EndOfFile = 4,
    Time = 5,
    Minimum = 6,
    Start = 8,
    Stop = 9,
    Suspend = 10,
    EndOfLine = 11,
    Reprint = 12,
    Discard = 13,
    WordErase = 14,
    LiteralNext = 15,
    EndOfLine2 = 16,
};

}  // namespace nexus_abi
