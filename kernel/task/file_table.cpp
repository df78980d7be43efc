// SPDX-License-Identifier: MIT
#include "task/file_table.hpp"

#include <utility>

#include "mm/frames.hpp"

namespace kernel::task {

Result<std::uint32_t> FileTable::insert(Ref<OpenFile> file, bool close_on_exec, std::uint32_t minimum) {
    const LockGuard guard{lock_};
    const std::uint32_t end = limit.load(std::memory_order_relaxed);
    for (std::uint32_t i = minimum; i < end; ++i) {
        if (i >= capacity()) {
            TRY(grow());
        }
        Slot& free_slot = slot(i);
        if (free_slot.file == nullptr) {
            free_slot = {file.release(), close_on_exec};
            ++open_;
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
    {
        const LockGuard guard{lock_};
        if (index >= capacity()) {
            TRY(grow());
        }
        Slot& place = slot(index);
        if (place.file != nullptr) {
            replaced = Ref<OpenFile>::adopt(*place.file);
        } else {
            ++open_;
        }
        place = {file.release(), close_on_exec};
    }
    forget_locks_on(replaced);
    return {};
}

Result<FileTable::Slot*> FileTable::used_slot(std::int32_t descriptor) const {
    const auto index = static_cast<std::uint32_t>(descriptor);
    if (descriptor < 0 || index >= capacity() || slot(index).file == nullptr) {
        return Error::BadDescriptor;
    }
    return &slot(index);
}

Result<void> FileTable::close(std::int32_t descriptor) {
    Ref<OpenFile> closed;  // dropped after the lock
    {
        const LockGuard guard{lock_};
        closed = Ref<OpenFile>::adopt(*std::exchange(TRY(used_slot(descriptor))->file, nullptr));
        --open_;
    }
    forget_locks_on(closed);
    return {};
}

std::optional<std::uint32_t> FileTable::next_open(std::uint32_t from) const {
    const LockGuard guard{lock_};
    for (std::uint32_t i = from; i < capacity(); ++i) {
        if (slot(i).file != nullptr) {
            return i;
        }
    }
    return std::nullopt;
}

Result<bool> FileTable::closes_on_exec(std::int32_t descriptor) const {
    const LockGuard guard{lock_};
    return TRY(used_slot(descriptor))->close_on_exec != 0;
}

Result<void> FileTable::set_closes_on_exec(std::int32_t descriptor, bool closes) {
    const LockGuard guard{lock_};
    TRY(used_slot(descriptor))->close_on_exec = closes;
    return {};
}

FileTable::Taken FileTable::take_next(std::uint32_t from, bool marked_only) {
    const LockGuard guard{lock_};
    const std::uint32_t end = open_ == 0 ? from : capacity();
    std::uint32_t seen = 0;  // behind the last one that is open there is nothing
    for (std::uint32_t i = from; i < end && seen < open_; ++i) {
        Slot& place = slot(i);
        seen += place.file != nullptr ? 1 : 0;
        if (place.file != nullptr && (!marked_only || place.close_on_exec != 0)) {
            --open_;
            return {.file = Ref<OpenFile>::adopt(*std::exchange(place.file, nullptr)), .next = i + 1};
        }
    }
    return {};
}

void FileTable::forget_locks_on(const Ref<OpenFile>& file) {
    if (file && locks.is_used.load()) {
        file_locks::descriptor_closed(locks, *file);
    }
}

std::uint32_t FileTable::close_marked_step(std::uint32_t from) {
    for (std::uint32_t closed = 0; closed < kClosedPerStep; ++closed) {
        const Taken taken = take_next(from, true);
        if (!taken.file) {
            return kMaxFiles;
        }
        forget_locks_on(taken.file);
        from = taken.next;
    }
    return from;
}

std::uint32_t FileTable::close_range_step(std::uint32_t from, std::uint32_t last) {
    for (std::uint32_t closed = 0; closed < kClosedPerStep && from <= last; ++closed, ++from) {
        static_cast<void>(close(static_cast<std::int32_t>(from)));
    }
    return from;
}

void FileTable::mark_range(std::uint32_t from, std::uint32_t last) {
    const LockGuard guard{lock_};
    for (std::uint32_t i = from; i <= last && i < capacity(); ++i) {
        slot(i).close_on_exec = slot(i).file != nullptr ? 1 : 0;
    }
}

bool FileTable::close_step() {
    for (std::uint32_t closed = 0; closed < kClosedPerStep; ++closed) {
        if (const Taken taken = take_next(0, false); taken.file) {
            forget_locks_on(taken.file);
        } else {
            if (locks.is_used.load()) {
                file_locks::holder_gone(locks);
            }
            set_directory({});
            if (!clean_up_step()) {
                return false;
            }
            const LockGuard guard{lock_};
            if (grown_ != nullptr) {
                mm::frames().unref(virt_to_phys(std::exchange(grown_, nullptr)));
            }
            return true;
        }
    }
    return false;
}

void FileTable::close_all() {
    while (!close_step()) {
    }
}

Result<void> FileTable::copy_from(const FileTable& other) {
    set_directory(other.directory());
    umask.store(other.umask.load());
    limit.store(other.limit.load());
    for (std::uint32_t from = 0;;) {
        Kept kept = other.kept_from(from);
        if (!kept.file) {
            return {};
        }
        from = kept.index + 1;
        TRY(insert_at(static_cast<std::int32_t>(kept.index), std::move(kept.file), kept.close_on_exec));
    }
}

Ref<OpenFile> FileTable::directory() const {
    const LockGuard guard{lock_};
    return directory_.clone();
}

void FileTable::set_directory(Ref<OpenFile> directory) {
    const LockGuard guard{lock_};
    // `directory` is the caller's: it goes, with what was here, after the lock.
    std::swap(directory_, directory);
}

FileTable::Kept FileTable::kept_from(std::uint32_t from) const {
    const LockGuard guard{lock_};
    for (std::uint32_t i = from; i < capacity(); ++i) {
        const Slot& place = slot(i);
        if (place.file != nullptr) {
            return {.file = Ref<OpenFile>::share(*place.file),
                    .close_on_exec = place.close_on_exec != 0,
                    .index = i};
        }
    }
    return {};
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
