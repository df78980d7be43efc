// SPDX-License-Identifier: MIT
// For files that are read as one number of eight bytes.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/result.hpp"
#include "mm/user_buffers.hpp"
#include "mm/user_memory.hpp"
#include "task/sys_result.hpp"

namespace kernel::file {

using NumberBytes = std::array<char, sizeof(std::uint64_t)>;

// Whether there is room for one. Errors: InvalidArgument; BadAddress.
[[nodiscard]] inline Result<void> check_number_room(const mm::UserBuffers& buffers) {
    const std::uint64_t room = TRY(buffers.count_up_to(sizeof(NumberBytes)));
    return room < sizeof(NumberBytes) ? Result<void>{Error::InvalidArgument} : Result<void>{};
}

// What a read of it returns. Pre: check_number_room().
[[nodiscard]] inline task::SysResult give_number(mm::UserBuffers& buffers, std::uint64_t number) {
    const auto bytes = std::bit_cast<NumberBytes>(number);
    for (std::size_t done = 0; done < bytes.size();) {
        const auto piece = buffers.next(bytes.size() - done);
        if (!piece.ok()) {
            return piece.error();
        }
        if (piece->bytes == 0) {
            return Error::InvalidArgument;  // the vectors, which may lie in what is read into, have changed
        }
        const auto part = std::as_bytes(std::span{bytes}).subspan(done, piece->bytes);
        if (const auto copied = mm::copy_to_user(buffers.space(), piece->start, part); !copied.ok()) {
            return copied.error();
        }
        done += piece->bytes;
    }
    return std::uint64_t{bytes.size()};
}

}  // namespace kernel::file
