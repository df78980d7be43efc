// SPDX-License-Identifier: MIT
// The bytes of a pipe: a ring of frames that are taken when a writer first reaches them and given back when
// the reader has passed them. An empty pipe keeps one, to begin with again. Concurrency: none of its own;
// what a writer reserved and the reader has not removed may be copied to and from without a lock.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/result.hpp"
#include "mm/layout.hpp"

namespace kernel::file {

class PipeRing {
  public:
    static constexpr std::uint64_t kPages = 16;
    static constexpr std::uint64_t kBytes = kPages * mm::kPageSize;  // Linux' default

    PipeRing() = default;
    PipeRing(const PipeRing&) = delete;
    PipeRing& operator=(const PipeRing&) = delete;
    ~PipeRing();

    [[nodiscard]] std::uint64_t used() const { return written_ - read_; }
    // A page that was read in part is no room yet; kBytes when the pipe is empty.
    [[nodiscard]] std::uint64_t room() const { return mm::page_down(read_) + kBytes - written_; }

    // Has frames for `bytes` more. Pre: bytes <= room(), nothing is reserved. Errors: NoMemory.
    Result<void> reserve(std::uint64_t bytes);
    // Where byte `offset` behind the last one written goes, up to the end of its page. Pre: reserved.
    [[nodiscard]] std::span<std::byte> space_at(std::uint64_t offset) const;
    // The bytes from `offset` behind the first unread one on, up to the end of their page. Pre: offset <
    // used().
    [[nodiscard]] std::span<const std::byte> data_at(std::uint64_t offset) const;
    // What space_at() and data_at() give when all of `bytes` fit into a page that is there, and, for
    // data_inside(), do not reach its end; else null. add_inside() and remove_inside() are then add() and
    // remove(): no page comes or goes. Pre: nothing is reserved. bytes > 0; not more than used().
    [[nodiscard]] std::byte* space_inside(std::uint64_t bytes) const {
        std::byte* const page = pages_[written_ / mm::kPageSize % kPages];
        const std::uint64_t offset = mm::page_offset(written_);
        return page != nullptr && bytes <= mm::kPageSize - offset && bytes <= room() ? page + offset
                                                                                     : nullptr;
    }
    [[nodiscard]] const std::byte* data_inside(std::uint64_t bytes) const {
        const std::uint64_t offset = mm::page_offset(read_);
        return bytes < mm::kPageSize - offset ? pages_[read_ / mm::kPageSize % kPages] + offset : nullptr;
    }
    void add_inside(std::uint64_t bytes) { reserved_ = written_ += bytes; }
    void remove_inside(std::uint64_t bytes) {
        read_ += bytes;
        if (read_ == written_ && reserved_ <= written_) {
            read_ = written_ = reserved_ = mm::page_down(read_);
        }
    }
    // That many of space_at() hold data now; the rest of what was reserved is so no more.
    void add(std::uint64_t bytes);
    // That many of data_at() are done with.
    void remove(std::uint64_t bytes);

  private:
    [[nodiscard]] std::byte*& page_of(std::uint64_t position) {
        return pages_[position / mm::kPageSize % kPages];
    }
    [[nodiscard]] std::span<std::byte> piece(std::uint64_t position) const;
    // Gives back the pages of [from, until). Pre: both are page aligned.
    void release_pages(std::uint64_t from, std::uint64_t until);

    std::array<std::byte*, kPages> pages_{};  // null: none yet
    std::uint64_t read_{0};                   // positions since the pipe was made
    std::uint64_t written_{0};
    std::uint64_t reserved_{0};  // up to here, if beyond written_
};

}  // namespace kernel::file
