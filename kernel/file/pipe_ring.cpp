// SPDX-License-Identifier: MIT
#include "file/pipe_ring.hpp"

#include <algorithm>
#include <utility>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/frames.hpp"

namespace kernel::file {

PipeRing::~PipeRing() {
    for (std::byte* const page : pages_) {
        if (page != nullptr) {
            mm::frames().unref(virt_to_phys(page));
        }
    }
}

Result<void> PipeRing::reserve(std::uint64_t bytes) {
    DCHECK(bytes <= room());
    for (std::uint64_t at = mm::page_down(written_); at < written_ + bytes; at += mm::kPageSize) {
        std::byte*& page = page_of(at);
        if (page == nullptr) {
            const auto frame = mm::frames().allocate_frame();
            if (!frame.ok()) {
                release_pages(mm::page_up(written_), at);
                return frame.error();
            }
            page = static_cast<std::byte*>(phys_to_virt(*frame));
        }
    }
    reserved_ = written_ + bytes;
    return {};
}

std::span<std::byte> PipeRing::piece(std::uint64_t position) const {
    std::byte* const page = pages_[position / mm::kPageSize % kPages];
    DCHECK(page != nullptr);
    return std::span{page, mm::kPageSize}.subspan(position % mm::kPageSize);
}

std::span<std::byte> PipeRing::space_at(std::uint64_t offset) const {
    return piece(written_ + offset);
}

std::span<const std::byte> PipeRing::data_at(std::uint64_t offset) const {
    DCHECK(offset < used());
    const std::span<std::byte> page = piece(read_ + offset);
    return page.first(std::min<std::uint64_t>(used() - offset, page.size()));
}

void PipeRing::add(std::uint64_t bytes) {
    DCHECK(written_ + bytes <= reserved_);
    written_ += bytes;
    release_pages(mm::page_up(written_), mm::page_up(reserved_));
    reserved_ = written_;
}

void PipeRing::remove(std::uint64_t bytes) {
    DCHECK(bytes <= used());
    const std::uint64_t from = mm::page_down(read_);
    read_ += bytes;
    release_pages(from, mm::page_down(read_));
    if (used() == 0 && reserved_ <= written_) {
        read_ = written_ = reserved_ = mm::page_down(read_);
    }
}

void PipeRing::release_pages(std::uint64_t from, std::uint64_t until) {
    for (std::uint64_t at = from; at < until; at += mm::kPageSize) {
        if (std::byte* const page = std::exchange(page_of(at), nullptr); page != nullptr) {
            mm::frames().unref(virt_to_phys(page));
        }
    }
}

}  // namespace kernel::file
