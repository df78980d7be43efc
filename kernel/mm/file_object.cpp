// SPDX-License-Identifier: MIT
#include "mm/file_object.hpp"

#include <algorithm>
#include <cstring>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/frames.hpp"
#include "mm/instruction_fence.hpp"

namespace kernel::mm {

namespace {

// An entry is the physical address of a frame; its lowest bit says that instruction fetch has been told of
// the contents.
constexpr std::uint64_t kFenced = 1;

}  // namespace

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
            }
        }
        frames().unref(PhysAddr{directory_[i]});
    }
    frames().unref(virt_to_phys(directory_));
}

Result<PhysAddr> FileObject::frame_of(std::uint64_t index, bool for_execution) {
    if (index >= page_count()) {
        return Error::BadAddress;
    }
    LockGuard guard{lock_};
    std::uint64_t& entry = *TRY(entry_of(index));
    if (entry == 0) {
        entry = TRY(load_page(index)).value();
    }
    if (for_execution && (entry & kFenced) == 0) {
        fence_instructions();
        entry |= kFenced;
    }
    const PhysAddr frame = page_down(PhysAddr{entry});
    frames().ref(frame);
    return frame;
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
    const PhysAddr frame = TRY(frames().allocate_frame());
    const auto source = contents_.subspan(index * kPageSize);
    const std::size_t length = std::min<std::size_t>(source.size(), kPageSize);
    const auto page = frame_bytes(frame);
    std::memcpy(page.data(), source.data(), length);
    std::memset(page.data() + length, 0, kPageSize - length);
    return frame;
}

}  // namespace kernel::mm
