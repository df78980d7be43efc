// SPDX-License-Identifier: MIT
#include "mm/user_buffers.hpp"

#include <algorithm>
#include <array>

#include "mm/user_memory.hpp"

namespace kernel::mm {

Result<void> UserBuffers::next_vector() {
    while (left_ == 0 && vectors_left_ > 0) {
        const nexus_abi::iovec vector = TRY(copy_in(space_, vectors_));
        if (static_cast<std::int64_t>(vector.length) < 0) {
            return Error::InvalidArgument;
        }
        at_ = VirtAddr{vector.base};
        left_ = vector.length;
        vectors_ = nexus_abi::In<nexus_abi::iovec>{user_address(vectors_).value() + sizeof(vector)};
        --vectors_left_;
    }
    return {};
}

Result<void> UserBuffers::pass_over(std::uint64_t bytes) {
    while (bytes > 0) {
        const Piece piece = TRY(next(bytes));
        if (piece.bytes == 0) {
            break;
        }
        bytes -= piece.bytes;
    }
    return {};
}

Result<std::uint64_t> UserBuffers::add_up_to(std::uint64_t limit) const {
    UserBuffers ahead{*this};
    std::array<nexus_abi::iovec, 16> several;
    std::uint64_t bytes = 0;
    while (bytes < limit) {
        // A thousand vectors one by one take a millisecond in a debug kernel. Where several cannot be read,
        // next() finds out whether the first of them can.
        const auto count = std::min<std::uint32_t>(several.size(), ahead.vectors_left_);
        const std::span read_ahead = std::span{several}.first(count);
        if (ahead.left_ == 0 && count > 1 && copy_in_array(space_, read_ahead, ahead.vectors_).ok()) {
            for (const nexus_abi::iovec& vector : read_ahead) {
                if (bytes < limit && static_cast<std::int64_t>(vector.length) < 0) {
                    return Error::InvalidArgument;
                }
                bytes += std::min(vector.length, limit - bytes);
            }
            const std::uint64_t passed = count * sizeof(nexus_abi::iovec);
            ahead.vectors_ = nexus_abi::In<nexus_abi::iovec>{user_address(ahead.vectors_).value() + passed};
            ahead.vectors_left_ -= count;
            continue;
        }
        const Piece piece = TRY(ahead.next(limit - bytes));
        if (piece.bytes == 0) {
            break;
        }
        bytes += piece.bytes;
    }
    return bytes;
}

Result<std::size_t> UserBuffers::gather(std::span<char> to) {
    std::size_t filled = 0;
    while (filled < to.size()) {
        const Piece piece = TRY(next(to.size() - filled));
        if (piece.bytes == 0) {
            break;
        }
        TRY(copy_from_user(space_, std::as_writable_bytes(to.subspan(filled, piece.bytes)), piece.start));
        filled += piece.bytes;
    }
    return filled;
}

}  // namespace kernel::mm
