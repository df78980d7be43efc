// SPDX-License-Identifier: MIT
#include "mm/file_object.hpp"

#include <algorithm>
#include <cstring>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/frames.hpp"
#include "mm/instruction_fence.hpp"

namespace kernel::mm {

FileObject::~FileObject() {
    if (directory_ == nullptr) {
        return;
    }
    for (std::uint64_t i = 0; i < kEntriesPerFrame; ++i) {
        if (directory_[i] == 0) {
            continue;
        }
        const auto* entries = static_cast<const std::uint64_t*>(phys_to_virt(PhysAddr{directory_[i]}));
        for (std::uint64_t j = 0; j < kEntriesPerFrame; ++j) {
            if (entries[j] != 0) {
                frames().unref(page_down(PhysAddr{entries[j]}));
                if (budget_ != nullptr) {
                    budget_->used.fetch_sub(1, std::memory_order_relaxed);
                }
            }
        }
        frames().unref(PhysAddr{directory_[i]});
    }
    frames().unref(virt_to_phys(directory_));
}

Result<std::string_view> FileObject::link_text(std::span<char> to) const {
    if (keeper_ != nullptr) {
        return keeper_->link_text(owner_, to);
    }
    const std::size_t slash = path_.starts_with('/') ? 0 : 1;
    if (path_.size() + slash > to.size()) {
        return Error::NameTooLong;
    }
    to[0] = '/';
    path_.copy(to.data() + slash, path_.size());
    return std::string_view{to.data(), path_.size() + slash};
}

Result<PhysAddr> FileObject::frame_of(std::uint64_t index, bool for_execution) {
    LockGuard guard{lock_};
    const PhysAddr frame = TRY(find_frame(index, for_execution));
    frames().ref(frame);
    return frame;
}

Result<PhysAddr> FileObject::lasting_frame_of(std::uint64_t index, bool for_execution) {
    DCHECK(!is_memory());
    LockGuard guard{lock_};
    return find_frame(index, for_execution);
}

Result<PhysAddr> FileObject::find_frame(std::uint64_t index, bool for_execution) {
    if (index >= page_count()) {
        return Error::BadAddress;
    }
    std::uint64_t& entry = *TRY(entry_of(index));
    if (entry == 0) {
        entry = TRY(load_page(index)).value();
        note_change();
    }
    if (for_execution && (entry & kFenced) == 0) {
        fence_instructions();
        entry |= is_memory() ? 0 : kFenced;
        note_change();
    }
    return page_down(PhysAddr{entry});
}

Result<std::uint64_t*> FileObject::entry_of(std::uint64_t index) {
    if (index >= kEntriesPerFrame * kEntriesPerFrame) {
        return Error::FileTooBig;
    }
    if (directory_ == nullptr) {
        directory_ = static_cast<std::uint64_t*>(phys_to_virt(TRY(frames().allocate_zeroed_frame())));
    }
    std::uint64_t& table = directory_[index / kEntriesPerFrame];
    if (table == 0) {
        table = TRY(frames().allocate_zeroed_frame()).value();
    }
    return static_cast<std::uint64_t*>(phys_to_virt(PhysAddr{table})) + index % kEntriesPerFrame;
}

Result<PhysAddr> FileObject::load_page(std::uint64_t index) {
    if (budget_ != nullptr) {
        if (budget_->used.fetch_add(1, std::memory_order_relaxed) >= budget_->limit) {
            budget_->used.fetch_sub(1, std::memory_order_relaxed);
            return Error::NoSpace;
        }
        const auto frame = frames().allocate_zeroed_frame();
        if (!frame.ok()) {
            budget_->used.fetch_sub(1, std::memory_order_relaxed);
            return frame.error();
        }
        frames().note_for_programs(*frame);
        top_page_ = std::max(top_page_, index + 1);
        return frame;
    }
    const PhysAddr frame = TRY(frames().allocate_frame());
    frames().note_for_programs(frame);
    const auto source = contents_.subspan(index * kPageSize);
    const std::size_t length = std::min<std::size_t>(source.size(), kPageSize);
    const auto page = frame_bytes(frame);
    std::memcpy(page.data(), source.data(), length);
    std::memset(page.data() + length, 0, kPageSize - length);
    return frame;
}

Result<PhysAddr> FileObject::frame_to_write(std::uint64_t index) {
    LockGuard guard{lock_};
    std::uint64_t& entry = *TRY(entry_of(index));
    if (entry == 0) {
        entry = TRY(load_page(index)).value();
    }
    const PhysAddr frame = page_down(PhysAddr{entry});
    frames().ref(frame);
    return frame;
}

Result<PhysAddr> FileObject::existing_frame(std::uint64_t index) {
    LockGuard guard{lock_};
    const std::uint64_t* const entry =
        index < kEntriesPerFrame * kEntriesPerFrame ? existing_entry(index) : nullptr;
    if (entry == nullptr || *entry == 0) {
        return Error::NoEntry;
    }
    const PhysAddr frame = page_down(PhysAddr{*entry});
    frames().ref(frame);
    return frame;
}

bool FileObject::has_pages_beyond() const {
    return top_page_ > page_count();
}

void FileObject::grow_to(std::uint64_t bytes) {
    DCHECK(bytes <= kMaxBytes);
    LockGuard guard{lock_};
    size_.store(std::max(size_.load(), bytes));
}

void FileObject::cut_to(std::uint64_t bytes) {
    LockGuard guard{lock_};
    if (bytes >= size_.load()) {
        return;
    }
    size_.store(bytes);
    // Should the file grow again, what follows is zero.
    if (const std::uint64_t offset = page_offset(bytes); offset != 0) {
        const std::uint64_t* const entry = existing_entry(bytes >> kPageShift);
        if (entry != nullptr && *entry != 0) {
            const auto page = frame_bytes(page_down(PhysAddr{*entry}));
            std::memset(page.data() + offset, 0, kPageSize - offset);
        }
    }
}

bool FileObject::shrink_step() {
    LockGuard guard{lock_};
    for (std::uint32_t dropped = 0; dropped < kPagesPerStep && has_pages_beyond(); ++dropped) {
        const std::uint64_t index = --top_page_;
        std::uint64_t* const entry = existing_entry(index);
        if (entry == nullptr) {
            top_page_ = index / kEntriesPerFrame * kEntriesPerFrame;  // nothing in this table
            continue;
        }
        if (*entry != 0) {
            frames().unref(page_down(PhysAddr{*entry}));
            *entry = 0;
            budget_->used.fetch_sub(1, std::memory_order_relaxed);
        }
        if (index % kEntriesPerFrame == 0) {
            frames().unref(PhysAddr{directory_[index / kEntriesPerFrame]});
            directory_[index / kEntriesPerFrame] = 0;
        }
    }
    return !has_pages_beyond();
}

FileHead::FileHead(FileObject& file) : bytes_{file.contents()} {
    if (!file.is_memory()) {
        return;
    }
    const std::uint64_t bytes = std::min(file.size(), kPageSize);
    if (const auto frame = file.existing_frame(0); frame.ok()) {
        frame_ = *frame;
        bytes_ = frame_bytes(frame_).first(bytes);
    }
}

FileHead::~FileHead() {
    if (frame_.value() != 0) {
        frames().unref(frame_);
    }
}

}  // namespace kernel::mm
