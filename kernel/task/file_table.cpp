// SPDX-License-Identifier: MIT
#include "task/file_table.hpp"

#include <utility>

#include "mm/frames.hpp"
#include "mm/slab.hpp"

namespace kernel::task {

namespace {

constinit mm::ObjectPool<OpenFile> pool;

constexpr std::uint32_t kConsoleMode = 0020620;  // S_IFCHR, as /dev/console

}  // namespace

Result<Ref<OpenFile>> OpenFile::create(FileKind kind, std::uint32_t open_flags) {
    OpenFile* file = TRY(pool.create(kind, open_flags));
    return Ref<OpenFile>::adopt(*file);
}

void OpenFile::last_reference_gone(OpenFile& file) {
    if (file.has_text_) {
        mm::frames().free(file.text_frames_, file.text_order_);
    }
    pool.destroy(&file);
}

Result<std::span<char>> OpenFile::allocate_text(std::uint32_t order) {
    CHECK(!has_text_);
    text_frames_ = TRY(mm::frames().allocate(order));
    text_order_ = order;
    has_text_ = true;
    return std::span{static_cast<char*>(phys_to_virt(text_frames_)), std::size_t{mm::kPageSize} << order};
}

std::span<const char> OpenFile::text() const {
    if (!has_text_) {
        return {};
    }
    return {static_cast<const char*>(phys_to_virt(text_frames_)), static_cast<std::size_t>(size_)};
}

Result<std::uint32_t> FileTable::insert(Ref<OpenFile> file, bool close_on_exec) {
    const LockGuard guard{lock_};
    for (std::uint32_t i = 0; i < kMaxFiles; ++i) {
        if (i == capacity()) {
            TRY(grow());
        }
        Slot& free_slot = slot(i);
        if (free_slot.file == nullptr) {
            free_slot = {file.release(), close_on_exec};
            return i;
        }
    }
    return Error::TooManyFiles;
}

Result<void> FileTable::insert_at(std::int32_t descriptor, Ref<OpenFile> file, bool close_on_exec) {
    if (descriptor < 0 || std::cmp_greater_equal(descriptor, kMaxFiles)) {
        return Error::BadDescriptor;
    }
    const auto index = static_cast<std::uint32_t>(descriptor);
    Ref<OpenFile> replaced;  // dropped after the lock
    const LockGuard guard{lock_};
    if (index >= capacity()) {
        TRY(grow());
    }
    Slot& place = slot(index);
    if (place.file != nullptr) {
        replaced = Ref<OpenFile>::adopt(*place.file);
    }
    place = {file.release(), close_on_exec};
    return {};
}

Result<Ref<OpenFile>> FileTable::find(std::int32_t descriptor) const {
    if (descriptor < 0) {
        return Error::BadDescriptor;
    }
    const LockGuard guard{lock_};
    const auto index = static_cast<std::uint32_t>(descriptor);
    if (index >= capacity() || slot(index).file == nullptr) {
        return Error::BadDescriptor;
    }
    return Ref<OpenFile>::share(*slot(index).file);
}

Result<void> FileTable::close(std::int32_t descriptor) {
    if (descriptor < 0) {
        return Error::BadDescriptor;
    }
    Ref<OpenFile> closed;  // dropped after the lock
    const LockGuard guard{lock_};
    const auto index = static_cast<std::uint32_t>(descriptor);
    if (index >= capacity() || slot(index).file == nullptr) {
        return Error::BadDescriptor;
    }
    closed = Ref<OpenFile>::adopt(*std::exchange(slot(index).file, nullptr));
    return {};
}

void FileTable::close_all() {
    const LockGuard guard{lock_};
    for (std::uint32_t i = 0; i < capacity(); ++i) {
        if (OpenFile* file = std::exchange(slot(i).file, nullptr); file != nullptr) {
            const auto closed = Ref<OpenFile>::adopt(*file);
        }
    }
    if (grown_ != nullptr) {
        mm::frames().unref(virt_to_phys(std::exchange(grown_, nullptr)));
    }
}

Result<void> FileTable::copy_from(const FileTable& other) {
    for (std::uint32_t i = 0; i < kMaxFiles; ++i) {
        Kept kept = other.kept_at(i);
        if (kept.file) {
            TRY(insert_at(static_cast<std::int32_t>(i), std::move(kept.file), false));
        }
        if (kept.is_last) {
            break;
        }
    }
    return {};
}

Result<void> FileTable::open_console() {
    auto console = TRY(OpenFile::create(FileKind::Console, kOpenReadWrite));
    console->mode = kConsoleMode;
    for (std::int32_t descriptor = 0; descriptor < 3; ++descriptor) {
        TRY(insert_at(descriptor, console.clone(), false));
    }
    return {};
}

FileTable::Kept FileTable::kept_at(std::uint32_t index) const {
    const LockGuard guard{lock_};
    Kept kept{.file = {}, .is_last = index + 1 >= capacity()};
    if (index < capacity() && slot(index).file != nullptr && slot(index).close_on_exec == 0) {
        kept.file = Ref<OpenFile>::share(*slot(index).file);
    }
    return kept;
}

Result<void> FileTable::grow() {
    const PhysAddr frame = TRY(mm::frames().allocate_zeroed_frame());
    auto* slots = static_cast<Slot*>(phys_to_virt(frame));
    for (std::uint32_t i = 0; i < kInlineSlots; ++i) {
        slots[i] = std::exchange(inline_slots_[i], Slot{});
    }
    grown_ = slots;
    return {};
}

}  // namespace kernel::task
