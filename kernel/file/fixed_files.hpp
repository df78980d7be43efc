// SPDX-License-Identifier: MIT
// Open files of the initrd, and texts the kernel writes when they are read.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/format.hpp"
#include "mm/file_object.hpp"
#include "task/open_file.hpp"

namespace kernel::file {

// A regular file of the initrd; `object` lives as long as the kernel. Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_initrd_file(mm::FileObject& object, std::uint32_t flags,
                                                           const task::FileStatus& status);

// What a text file says, written anew whenever it is read from its start, and what writing to it does.
struct TextSource {
    // Errors: NoEntry when what it tells about is gone.
    Result<void> (*describe)(const TextSource& source, LineWriter& out){nullptr};
    // Null: it cannot be written. At most kMaxTextWritten bytes of a write get there.
    Result<void> (*write)(task::Task& caller, std::uint64_t subject, std::string_view text){nullptr};
    std::uint64_t kind{0};  // the three are the functions' business
    std::uint64_t subject{0};
    std::string_view text{};
};
inline constexpr std::size_t kMaxTextWritten = 64;

// A file whose text is cut after 2^order frames. Errors: NoMemory. A read of what is gone is NoProcess.
[[nodiscard]] Result<Ref<task::OpenFile>> open_text(const TextSource& source, std::uint32_t order,
                                                    std::uint32_t flags, const task::FileStatus& status);

}  // namespace kernel::file
