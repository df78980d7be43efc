// SPDX-License-Identifier: MIT
#include "syscall/program_strings.hpp"

#include <cstring>

#include "mm/user_memory.hpp"

namespace kernel::syscall {

Result<void> StringBuffer::append(mm::AddressSpace& space, VirtAddr string) {
    const auto length = mm::copy_in_string(space, bytes().subspan(used_), string);
    if (!length.ok()) {
        return length.error() == Error::NameTooLong ? Error::TooBig : length.error();
    }
    used_ += *length + 1;
    return {};
}

Result<void> StringBuffer::prepend(std::string_view text) {
    if (text.size() + 1 > task::kMaxArgumentBytes - used_) {
        return Error::TooBig;
    }
    char* const start = bytes().data();
    std::memmove(start + text.size() + 1, start, used_);
    text.copy(start, text.size());
    start[text.size()] = '\0';
    used_ += text.size() + 1;
    return {};
}

Result<std::uint32_t> append_strings(mm::AddressSpace& space, StringBuffer& buffer, std::uint64_t array,
                                     std::uint32_t before) {
    if (array == 0) {
        return std::uint32_t{0};
    }
    for (std::uint32_t count = 0;; ++count) {
        const auto string =
            TRY(mm::copy_in(space, mm::In<std::uint64_t>{array + count * sizeof(std::uint64_t)}));
        if (string == 0) {
            return count;
        }
        if (before + count >= task::kMaxArguments) {
            return Error::TooBig;
        }
        TRY(buffer.append(space, VirtAddr{string}));
    }
}

}  // namespace kernel::syscall
