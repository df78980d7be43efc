// SPDX-License-Identifier: MIT
#include "task/file_locks.hpp"

#include <algorithm>
#include <compare>

#include "lib/avl_tree.hpp"
#include "lib/check.hpp"
#include "mm/slab.hpp"
#include "task/open_file.hpp"
#include "task/task.hpp"
#include "task/wait.hpp"

namespace kernel::task::file_locks {

struct FileId {
    std::uint64_t filesystem{0};
    std::uint64_t inode{0};
    friend auto operator<=>(const FileId&, const FileId&) = default;
};

// A file that somebody has locked.
struct LockedFile {
    explicit LockedFile(FileId file) : id{file} {}
    FileId id;
    AvlNode<LockedFile> node;
    IntrusiveList<Record, &Record::node> held;
    IntrusiveList<Record, &Record::node> waiting;  // the oldest first
    std::uint32_t records{0};
    struct ById {
        static bool before(const LockedFile& a, const LockedFile& b) { return a.id < b.id; }
        static void update(LockedFile&, const LockedFile*, const LockedFile*) {}
    };
};

namespace {

// A circle of more processes than this is not looked for.
constexpr std::uint32_t kMaxHoldersFollowed = 64;

constinit mm::ObjectPool<Record> records;
constinit mm::ObjectPool<LockedFile> files;

void forget_wish(Wait& wait);
// Wait::key is the address of the record.
constinit WaitQueue queue{LockRank::WaitQueue, forget_wish};

// Everything below is called with queue.lock() held.
constinit AvlTree<LockedFile, &LockedFile::node, LockedFile::ById> locked_files;
constinit std::uint64_t searches{0};

FileId id_of(const OpenFile& file) {
    const FileStatus status = file.status();
    return {.filesystem = status.filesystem, .inode = status.inode};
}

const void* owner_of(Kind kind, const Holder& holder, const OpenFile& file) {
    return kind == Kind::OfProcess ? static_cast<const void*>(&holder) : &file;
}

LockedFile* find(FileId id) {
    for (LockedFile* at = locked_files.root(); at != nullptr;) {
        if (at->id == id) {
            return at;
        }
        at = id < at->id ? locked_files.left(*at) : locked_files.right(*at);
    }
    return nullptr;
}

Result<LockedFile*> find_or_make(FileId id) {
    if (LockedFile* const place = find(id); place != nullptr) {
        return place;
    }
    const auto made = files.create(id);
    if (!made.ok()) {
        return Error::NoLocks;
    }
    locked_files.insert(**made);
    return *made;
}

Result<Record*> make_record(LockedFile& place, const Record& like) {
    if (place.records >= kMaxRecordsPerFile || records.in_use() >= kMaxRecords) {
        return Error::NoLocks;
    }
    const auto made = records.create();
    if (!made.ok()) {
        return Error::NoLocks;
    }
    Record& record = **made;
    record.lock = like.lock;
    record.owner = like.owner;
    record.holder = like.holder;
    record.place = &place;
    ++place.records;
    return &record;
}

void destroy(Record& record) {
    --record.place->records;
    records.destroy(&record);
}

void hold(Record& record) {
    record.place->held.push_back(record);
    if (record.lock.kind == Kind::OfProcess) {
        ++record.holder->owned;
    }
}

// The holder of a lock of another kind may be gone: open files outlive processes.
void drop(Record& record) {
    record.place->held.remove(record);
    if (record.lock.kind == Kind::OfProcess) {
        --record.holder->owned;
    }
    destroy(record);
}

void stop_waiting(Record& record) {
    record.place->waiting.remove(record);
    record.holder->waiting.remove(record);
    record.wait = nullptr;
}

void drop_if_empty(LockedFile& place) {
    if (place.records == 0) {
        locked_files.erase(place);
        files.destroy(&place);
    }
}

bool overlap(const Range& a, const Range& b) {
    return a.first <= b.last && b.first <= a.last;
}

// Whether both are one range together.
bool touch(const Range& a, const Range& b) {
    return a.first <= b.last + 1 && b.first <= a.last + 1;
}

bool conflict(const Record& a, const Record& b) {
    return (a.lock.kind == Kind::Whole) == (b.lock.kind == Kind::Whole) && a.owner != b.owner &&
           (a.lock.is_exclusive || b.lock.is_exclusive) && overlap(a.lock.range, b.lock.range);
}

// The first lock from `from` on that is in the way.
Record* conflict_from(Record* from, LockedFile& place, const Record& wish) {
    while (from != nullptr && !conflict(*from, wish)) {
        from = place.held.next(*from);
    }
    return from;
}

bool is_owners(const Record& record, const Record& wish) {
    return record.owner == wish.owner && record.lock.kind == wish.lock.kind;
}

// Takes the wish's range from what its owner has; the lock it is for, if it is for one, takes in what it
// touches and is of its kind. Errors: NoLocks; then nothing has changed.
Result<void> cut_out(LockedFile& place, const Record& wish, Record* lock) {
    const Range range = wish.lock.range;
    const auto is_like = [&](const Record& record) {
        return lock != nullptr && record.lock.is_exclusive == lock->lock.is_exclusive;
    };
    for (Record* at = place.held.front(); at != nullptr; at = place.held.next(*at)) {
        if (is_owners(*at, wish) && !is_like(*at) && at->lock.range.first < range.first &&
            at->lock.range.last > range.last) {
            Record& rest = *TRY(make_record(place, *at));
            rest.lock.range.first = range.last + 1;
            hold(rest);
            at->lock.range.last = range.first - 1;
            break;  // the owner's do not overlap
        }
    }
    for (Record* at = place.held.front(); at != nullptr;) {
        Record& record = *at;
        at = place.held.next(record);
        Range& has = record.lock.range;
        if (!is_owners(record, wish)) {
            continue;
        }
        if (is_like(record) && touch(has, lock->lock.range)) {
            lock->lock.range = {.first = std::min(has.first, lock->lock.range.first),
                                .last = std::max(has.last, lock->lock.range.last)};
            drop(record);
        } else if (overlap(has, range)) {
            if (has.first < range.first) {
                has.last = range.first - 1;
            } else if (has.last > range.last) {
                has.first = range.last + 1;
            } else {
                drop(record);
            }
        }
    }
    return {};
}

// Makes a record that nothing is in the way of a lock. Errors: NoLocks.
Result<void> grant(LockedFile& place, Record& record) {
    const Record wish{.lock = record.lock, .owner = record.owner};
    TRY(cut_out(place, wish, &record));
    hold(record);
    return {};
}

// Ends a wait that was claimed; without a lock its call looks again.
void let_go_on(Record& record, bool has_lock) {
    Wait& wait = *record.wait;
    LockedFile& place = *record.place;
    stop_waiting(record);
    queue.remove(wait);
    if (!has_lock || !grant(place, record).ok()) {
        destroy(record);
    }
    finish_wait(wait, 0);
}

// Gives those that wait what is free. Who gets a lock may give up a stronger one: then others are looked at
// again.
void serve(LockedFile& place) {
    for (bool has_granted = true; has_granted;) {
        has_granted = false;
        for (Record* at = place.waiting.front(); at != nullptr;) {
            Record& record = *at;
            at = place.waiting.next(record);
            if (conflict_from(place.held.front(), place, record) == nullptr && claim_wait(*record.wait)) {
                let_go_on(record, true);
                has_granted = true;
            }
        }
    }
    drop_if_empty(place);
}

void forget_wish(Wait& wait) {
    auto& record = *reinterpret_cast<Record*>(wait.key);
    LockedFile& place = *record.place;
    stop_waiting(record);
    destroy(record);
    drop_if_empty(place);
}

// Whether `asking` would wait for itself: those that are in its way, those that are in theirs, and so on.
class CircleSearch {
  public:
    explicit CircleSearch(const Holder& asking) : asking_{asking} { ++searches; }

    [[nodiscard]] bool finds_circle(const Record& wish) {
        look_at(wish);
        for (std::uint32_t followed = 0; !found_it_ && first_ != nullptr && followed < kMaxHoldersFollowed;
             ++followed) {
            Holder& holder = *first_;
            first_ = holder.next_found;
            for (Record* at = holder.waiting.front(); at != nullptr; at = holder.waiting.next(*at)) {
                look_at(*at);
            }
        }
        return found_it_;
    }

  private:
    void look_at(const Record& wish) {
        LockedFile& place = *wish.place;
        for (Record* at = conflict_from(place.held.front(), place, wish); at != nullptr;
             at = conflict_from(place.held.next(*at), place, wish)) {
            if (at->lock.kind == Kind::OfProcess) {
                found_it_ = found_it_ || at->holder == &asking_;
                add(*at->holder);
            }
        }
    }
    void add(Holder& holder) {
        if (holder.found_in != searches) {
            holder.found_in = searches;
            holder.next_found = first_;
            first_ = &holder;
        }
    }

    const Holder& asking_;
    Holder* first_{nullptr};
    bool found_it_{false};
};

SysResult wait_for(Task& caller, OpenFile& file, const Record& wish) {
    if (wish.lock.kind == Kind::OfProcess && CircleSearch{*wish.holder}.finds_circle(wish)) {
        return Error::Deadlock;
    }
    const auto made = make_record(*wish.place, wish);
    if (!made.ok()) {
        return made.error();
    }
    Record& record = **made;
    record.file = &file;
    record.wait = &caller.wait;
    record.place->waiting.push_back(record);
    record.holder->waiting.push_back(record);
    begin_wait(caller, &queue, {.run_again = true, .key = reinterpret_cast<std::uint64_t>(&record)});
    return SysResult::blocked();
}

SysResult take_at(Task& caller, OpenFile& file, const Record& wish, bool waits) {
    LockedFile& place = *wish.place;
    if (wish.lock.kind == Kind::Whole) {
        for (Record* at = place.held.front(); at != nullptr; at = place.held.next(*at)) {
            if (is_owners(*at, wish)) {
                if (at->lock.is_exclusive == wish.lock.is_exclusive) {
                    return std::uint64_t{0};
                }
                // As flock has it: the old lock goes first, whether or not the new one can be had.
                drop(*at);
                break;
            }
        }
    }
    if (conflict_from(place.held.front(), place, wish) != nullptr) {
        return waits ? wait_for(caller, file, wish) : SysResult{Error::TryAgain};
    }
    const auto made = make_record(place, wish);
    if (!made.ok()) {
        return made.error();
    }
    if (const auto granted = grant(place, **made); !granted.ok()) {
        destroy(**made);
        return granted;
    }
    return std::uint64_t{0};
}

// Drops the locks and ends the wishes that `is_gone` says.
template <class IsGone>
void clear(LockedFile& place, IsGone&& is_gone) {
    for (Record* at = place.held.front(); at != nullptr;) {
        Record& record = *at;
        at = place.held.next(record);
        if (is_gone(record)) {
            drop(record);
        }
    }
    for (Record* at = place.waiting.front(); at != nullptr;) {
        Record& record = *at;
        at = place.waiting.next(record);
        if (is_gone(record) && claim_wait(*record.wait)) {
            let_go_on(record, false);
        }
    }
    serve(place);
}

}  // namespace

SysResult take(Task& caller, Holder& holder, OpenFile& file, const Lock& wanted, bool waits) {
    holder.is_used.store(true);
    file.set_locked();
    const FileId id = id_of(file);
    const LockGuard guard{queue.lock()};
    const auto place = find_or_make(id);
    if (!place.ok()) {
        return place.error();
    }
    const Record wish{
        .lock = wanted, .place = *place, .owner = owner_of(wanted.kind, holder, file), .holder = &holder};
    const SysResult result = take_at(caller, file, wish, waits);
    serve(**place);
    return result;
}

Result<void> give_up(Holder& holder, OpenFile& file, Kind kind, Range range) {
    const FileId id = id_of(file);
    const LockGuard guard{queue.lock()};
    LockedFile* const place = find(id);
    if (place == nullptr) {
        return {};
    }
    const Record wish{.lock = {.kind = kind, .range = range}, .owner = owner_of(kind, holder, file)};
    const auto done = cut_out(*place, wish, nullptr);
    serve(*place);
    return done;
}

std::optional<Lock> find_conflict(const Holder& holder, const OpenFile& file, const Lock& wanted) {
    const FileId id = id_of(file);
    const LockGuard guard{queue.lock()};
    LockedFile* const place = find(id);
    if (place == nullptr) {
        return std::nullopt;
    }
    const Record wish{.lock = wanted, .owner = owner_of(wanted.kind, holder, file)};
    const Record* const found = conflict_from(place->held.front(), *place, wish);
    return found == nullptr ? std::nullopt : std::optional{found->lock};
}

void descriptor_closed(Holder& holder, OpenFile& file) {
    const FileId id = id_of(file);
    const LockGuard guard{queue.lock()};
    if (LockedFile* const place = find(id); place != nullptr) {
        clear(*place, [&](const Record& record) {
            return record.holder == &holder && (record.wait != nullptr || record.owner == &holder);
        });
    }
}

void file_closed(OpenFile& file) {
    const FileId id = id_of(file);
    const LockGuard guard{queue.lock()};
    if (LockedFile* const place = find(id); place != nullptr) {
        clear(*place, [&](const Record& record) {
            return record.wait != nullptr ? record.file == &file : record.owner == &file;
        });
    }
}

void holder_gone(Holder& holder) {
    const LockGuard guard{queue.lock()};
    // Locks that were given to a thread just as another one closed the file.
    for (LockedFile* at = locked_files.first(); at != nullptr && holder.owned != 0;) {
        LockedFile& place = *at;
        at = locked_files.next(place);
        clear(place, [&](const Record& record) { return record.owner == &holder; });
    }
}

std::uint64_t records_in_use() {
    return records.in_use();
}

}  // namespace kernel::task::file_locks
