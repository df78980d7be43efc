// SPDX-License-Identifier: MIT
#include "mm/user_buffers.hpp"

#include <algorithm>
#include <span>

#include "mm/user_memory.hpp"

namespace kernel::mm {

Result<void> UserBuffers::look_ahead() {
    const auto count = std::min(static_cast<std::uint32_t>(ahead_.size()), vectors_left_);
    seen_ = 0;
    known_ = 0;
    if (count > 1 && copy_in_array(space_, std::span{ahead_}.first(count), vectors_).ok()) {
        known_ = count;
    } else {
        // Where several cannot be read, the first of them perhaps can.
        ahead_[0] = TRY(copy_in(space_, vectors_));
        known_ = 1;
    }
    const std::uint64_t passed = known_ * sizeof(nexus_abi::iovec);
    vectors_ = nexus_abi::In<nexus_abi::iovec>{user_address(vectors_).value() + passed};
    return {};
}

Result<void> UserBuffers::next_vector() {
    while (left_ == 0 && vectors_left_ > 0) {
        if (seen_ == known_) {
            TRY(look_ahead());
        }
        const nexus_abi::iovec& vector = ahead_[seen_];
        if (static_cast<std::int64_t>(vector.length) < 0) {
            return Error::InvalidArgument;
        }
        at_ = VirtAddr{vector.base};
        left_ = vector.length;
        ++seen_;
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
    std::uint64_t bytes = 0;
    while (bytes < limit) {
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
