// SPDX-License-Identifier: MIT
// Open files of the initrd, and texts the kernel writes when they are opened.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "mm/file_object.hpp"
#include "task/open_file.hpp"

namespace kernel::file {

// A regular file of the initrd; `object` lives as long as the kernel. Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_initrd_file(mm::FileObject& object, std::uint32_t flags,
                                                           const task::FileStatus& status);

// A text while it is written: room for 2^order frames of it. Errors: NoMemory.
[[nodiscard]] Result<std::span<char>> allocate_text(std::uint32_t order);
// For texts that do not become files.
void free_text(std::span<char> room);
// What writing to a text does. At most kMaxTextWritten bytes of a write get there.
struct TextWriter {
    Result<void> (*write)(task::Task& caller, std::uint64_t subject, std::string_view text){nullptr};
    std::uint64_t subject{0};  // the writer's business
};
inline constexpr std::size_t kMaxTextWritten = 64;

// A file that reads as the first `bytes` of `room` and owns it from now on, also when this fails. Errors:
// NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_text(std::span<char> room, std::size_t bytes,
                                                    std::uint32_t flags, const task::FileStatus& status,
                                                    const TextWriter& writer = {});

}  // namespace kernel::file
