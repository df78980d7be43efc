// SPDX-License-Identifier: MIT
// The memory a read or write names: one buffer, or the vectors of readv and writev, walked from front to back
// as one sequence of bytes. Concurrency: lives on the stack of the hart that handles the call.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/ids.hpp"
#include "lib/result.hpp"
#include "mm/address_space.hpp"
#include "nexus_abi/linux.hpp"
#include "nexus_abi/user_ptr.hpp"

namespace kernel::mm {

class UserBuffers {
  public:
    static constexpr std::uint32_t kMaxVectors = 1024;  // UIO_MAXIOV

    // NOLINTBEGIN(cppcoreguidelines-pro-type-member-init): of ahead_ only what was read is looked at
    UserBuffers(AddressSpace& space, VirtAddr start, std::uint64_t bytes)
        : space_{space}, at_{start}, left_{bytes} {}
    UserBuffers(AddressSpace& space, nexus_abi::In<nexus_abi::iovec> vectors, std::uint32_t count)
        : space_{space}, vectors_{vectors}, vectors_left_{count} {}
    // NOLINTEND(cppcoreguidelines-pro-type-member-init)

    // A contiguous part; bytes == 0: the end.
    struct Piece {
        VirtAddr start;
        std::uint64_t bytes{0};
    };
    // The next part of at most `limit` (> 0) bytes. Errors: BadAddress; InvalidArgument for a negative vector
    // length.
    [[nodiscard]] Result<Piece> next(std::uint64_t limit) {
        if (left_ == 0 && vectors_left_ > 0) [[unlikely]] {
            TRY(next_vector());
        }
        const Piece piece{.start = at_, .bytes = left_ < limit ? left_ : limit};
        at_ = at_ + piece.bytes;
        left_ -= piece.bytes;
        return piece;
    }
    // Passes over `bytes`, or to the end. Errors as next().
    [[nodiscard]] Result<void> skip(std::uint64_t bytes) {
        return bytes == 0 ? Result<void>{} : pass_over(bytes);
    }
    // How many bytes are left, or `limit` if that is less. Errors as next().
    [[nodiscard]] Result<std::uint64_t> count_up_to(std::uint64_t limit) const {
        if (left_ >= limit || vectors_left_ == 0) [[likely]] {
            return left_ < limit ? left_ : limit;
        }
        return add_up_to(limit);
    }
    // All of it, if it is one buffer; else, or if it is empty, bytes == 0.
    [[nodiscard]] Piece only() const { return {.start = at_, .bytes = vectors_left_ == 0 ? left_ : 0}; }
    // Copies from the sequence until `to` is full or the sequence ends; returns how many. Errors as next().
    [[nodiscard]] Result<std::size_t> gather(std::span<char> to);

    [[nodiscard]] AddressSpace& space() const { return space_; }

  private:
    // Reads the next vectors, so that a thousand of them are not looked up one by one: in a debug kernel that
    // takes a millisecond.
    [[nodiscard]] Result<void> look_ahead();
    // Goes to the next vector that is not empty, if there is one.
    [[nodiscard]] Result<void> next_vector();
    [[nodiscard]] Result<void> pass_over(std::uint64_t bytes);
    [[nodiscard]] Result<std::uint64_t> add_up_to(std::uint64_t limit) const;

    AddressSpace& space_;
    nexus_abi::In<nexus_abi::iovec> vectors_;
    std::uint32_t vectors_left_{0};
    VirtAddr at_;
    std::uint64_t left_{0};  // of the current buffer
    // Vectors read before their turn: [seen_, known_) are still to come, and counted in vectors_left_.
    std::uint32_t seen_{0};
    std::uint32_t known_{0};
    std::array<nexus_abi::iovec, 16> ahead_;
};

}  // namespace kernel::mm
