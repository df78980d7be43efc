// SPDX-License-Identifier: MIT
// What the kernel's log says of a program that a fault has killed, with names for its addresses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace execd {

struct CrashReport {
    std::string summary;             // "load page fault, pc main+0x1c, address 0x0"
    std::vector<std::string> lines;  // cause, registers, who called whom: innermost first
};

// What is known of an address of code: the file it lies in, and where in that file.
struct CodePlace {
    std::string_view file;
    std::uint64_t file_offset{0};
};
// "FUNCTION+OFFSET", or nullopt for none; empty when the place follows no call though it is said to.
using CodeNamer = std::function<std::optional<std::string>(const CodePlace& place, bool is_return)>;

// The last crash of that process in `log`, the kernel's lines with or without level and time; nullopt: there
// is none.
[[nodiscard]] std::optional<CrashReport> read_crash(std::string_view log, std::int32_t pid,
                                                    const CodeNamer& name);
// The name that the file itself tells. Remembers the files it has read: make one for each report.
[[nodiscard]] CodeNamer names_from_files();

}  // namespace execd
