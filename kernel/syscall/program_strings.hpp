// SPDX-License-Identifier: MIT
// Argument and environment strings on their way from one program's memory to another's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/ids.hpp"
#include "lib/result.hpp"
#include "mm/address_space.hpp"
#include "mm/frames.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall {

// Frames that hold the strings while the program is loaded. Concurrency: its owner's.
class StringBuffer {
  public:
    StringBuffer() = default;
    StringBuffer(const StringBuffer&) = delete;
    StringBuffer& operator=(const StringBuffer&) = delete;
    ~StringBuffer() {
        if (is_allocated_) {
            mm::frames().free(frames_, kOrder);
        }
    }

    Result<void> allocate() {
        frames_ = TRY(mm::frames().allocate(kOrder));
        is_allocated_ = true;
        return {};
    }
    // Appends a string and its zero. TooBig when it does not fit.
    Result<void> append(mm::AddressSpace& space, VirtAddr string);
    // Puts a string and its zero before the others. TooBig. `text` must not be in the buffer.
    Result<void> prepend(std::string_view text);
    [[nodiscard]] std::span<const char> strings() { return bytes().first(used_); }

  private:
    static constexpr std::uint32_t kOrder = 2;
    static_assert(mm::kPageSize << kOrder == task::kMaxArgumentBytes);

    [[nodiscard]] std::span<char> bytes() {
        return {static_cast<char*>(phys_to_virt(frames_)), task::kMaxArgumentBytes};
    }

    PhysAddr frames_{};
    std::size_t used_{0};
    bool is_allocated_{false};
};

// Appends the strings of a null-terminated array of pointers and returns how many. `array` 0: none. `before`:
// how many strings there are already. Errors: TooBig, BadAddress.
[[nodiscard]] Result<std::uint32_t> append_strings(mm::AddressSpace& space, StringBuffer& buffer,
                                                   std::uint64_t array, std::uint32_t before);

}  // namespace kernel::syscall
