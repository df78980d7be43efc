// SPDX-License-Identifier: MIT
#include "file/event_list.hpp"

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

namespace kernel::file {

namespace {

constexpr std::uint32_t kAlwaysReported = task::kPollError | task::kPollHangUp;
constexpr std::uint32_t kHows = kEventExclusive | kEventWakeUp | kEventOnce | kEventEdge;

constinit mm::ObjectPool<EventList> lists;

}  // namespace

constinit mm::ObjectPool<EventList::Item> EventList::items;

struct alignas(64) EventList::Watched {
    SpinLock lock{LockRank::Watched};
    AvlTree<Item, &Item::of_file, ByFile> items GUARDED_BY(lock);

    // The first of a file's items.
    [[nodiscard]] Item* first_of(std::uint64_t file) const REQUIRES(lock) {
        Item* found = nullptr;
        for (Item* at = items.root(); at != nullptr;) {
            const bool goes_left = at->key.file >= file;
            found = at->key.file == file ? at : found;
            at = goes_left ? items.left(*at) : items.right(*at);
        }
        return found;
    }
};

EventList::Watched& EventList::watched(std::uint64_t file) {
    constexpr std::size_t kBuckets = 64;
    constexpr std::uint64_t kLine = 64;
    static constinit std::array<Watched, kBuckets> buckets;
    return buckets[file / kLine % kBuckets];
}

bool EventList::ByKey::before(const Item& a, const Item& b) {
    return a.key < b.key;
}

bool EventList::ByFile::before(const Item& a, const Item& b) {
    return a.key.file < b.key.file;
}

// ---- the list itself

EventList::Item* EventList::first_behind(const Key& after) const {
    Item* found = nullptr;
    for (Item* at = list_.root(); at != nullptr;) {
        if (after < at->key) {
            found = at;
            at = list_.left(*at);
        } else {
            at = list_.right(*at);
        }
    }
    return found;
}

EventList::Item* EventList::find(const Key& key) const {
    for (Item* at = list_.root(); at != nullptr;) {
        if (at->key == key) {
            return at;
        }
        at = key < at->key ? list_.left(*at) : list_.right(*at);
    }
    return nullptr;
}

void EventList::insert(Item& item) {
    item.serial = next_serial_++;
    list_.insert(item);
    Watched& of_file = watched(item.key.file);
    const LockGuard guard{of_file.lock};
    of_file.items.insert(item);
}

void EventList::erase(Item& item) {
    list_.erase(item);
    {
        Watched& of_file = watched(item.key.file);
        const LockGuard guard{of_file.lock};
        if (item.file != nullptr) {
            of_file.items.erase(item);
        }
    }
    items.destroy(&item);
}

void EventList::drop_gone() {
    for (Item* item = list_.first(); item != nullptr;) {
        Item* const following = list_.next(*item);
        bool is_gone = false;
        {
            const LockGuard guard{watched(item->key.file).lock};
            is_gone = item->file == nullptr;
        }
        if (is_gone) {
            erase(*item);
        }
        item = following;
    }
}

void EventList::forget(task::OpenFile& file) {
    const auto address = reinterpret_cast<std::uint64_t>(&file);
    Watched& of_file = watched(address);
    const LockGuard guard{of_file.lock};
    while (Item* const item = of_file.first_of(address)) {
        of_file.items.erase(*item);
        item->file = nullptr;
    }
}

void EventList::close() {
    {
        const LockGuard guard{lock_};
        while (Item* const item = list_.first()) {
            erase(*item);
        }
    }
    lists.destroy(this);
}

bool EventList::take_role(Role role) {
    Role before = Role::Neither;
    return role_.compare_exchange_strong(before, role) || before == role;
}

void EventList::tell(bool was_watched) {
    if (was_watched) {
        poll_changed(this);
    }
}

Result<void> EventList::add(task::OpenFile& file, std::int32_t fd, const nexus_abi::epoll_event& wish) {
    PollWatch watch;
    static_cast<void>(file.poll(watch));
    if (watch.is_empty()) {
        return Error::NotPermitted;
    }
    EventList* const inner = file.event_list();
    if (inner != nullptr && (!inner->take_role(Role::IsOnOne) || !take_role(Role::Holds))) {
        return Error::TooManyLinks;
    }
    // Before it is on the list, so that it cannot go unnoticed.
    file.set_watched(&EventList::forget);
    const Key key = key_of(file, fd);
    Item* const item = TRY(items.create(key, file, wish));
    bool was_watched = false;
    Result<void> added;
    {
        const LockGuard guard{lock_};
        if (Item* const other = find(key); other != nullptr || list_.size() >= kMaxItems) {
            drop_gone();
        }
        if (find(key) != nullptr) {
            added = Error::Exists;
        } else if (list_.size() >= kMaxItems) {
            added = Error::NoSpace;
        } else {
            insert(*item);
            was_watched = mark_.take();
        }
    }
    if (!added.ok()) {
        items.destroy(item);
    }
    tell(was_watched);
    return added;
}

Result<void> EventList::change(const task::OpenFile& file, std::int32_t fd,
                               const nexus_abi::epoll_event& wish) {
    bool was_watched = false;
    {
        const LockGuard guard{lock_};
        Item* const item = find(key_of(file, fd));
        if (item == nullptr) {
            return Error::NoEntry;
        }
        if ((item->wanted & kEventExclusive) != 0) {
            return Error::InvalidArgument;
        }
        item->wanted = wish.events | kAlwaysReported;
        item->data = wish.data;
        item->serial = next_serial_++;
        item->seen = 0;
        was_watched = mark_.take();
    }
    tell(was_watched);
    return {};
}

Result<void> EventList::remove(const task::OpenFile& file, std::int32_t fd) {
    const LockGuard guard{lock_};
    Item* const item = find(key_of(file, fd));
    if (item == nullptr) {
        return Error::NoEntry;
    }
    erase(*item);
    return {};
}

// ---- looking

PollWatch::Place EventList::place_of(const Key& at, const Key& end) {
    constexpr unsigned kBits = 32;
    return {at.file, end.file,
            std::uint64_t{static_cast<std::uint32_t>(at.fd)} << kBits | static_cast<std::uint32_t>(end.fd)};
}

std::pair<EventList::Key, EventList::Key> EventList::keys_of(const PollWatch::Place& place) {
    constexpr unsigned kBits = 32;
    return {{.fd = static_cast<std::int32_t>(place[2] >> kBits), .file = place[0]},
            {.fd = static_cast<std::int32_t>(place[2]), .file = place[1]}};
}

std::optional<EventList::Candidate> EventList::next_candidate(const Key& after) {
    const LockGuard guard{lock_};
    Item* item = first_behind(after);
    while (item != nullptr) {
        Item* const following = list_.next(*item);
        Ref<task::OpenFile> file;
        bool is_gone = false;
        {
            // Its file's memory stays as long as this lock is held and the file is not gone.
            const LockGuard of_file{watched(item->key.file).lock};
            is_gone = item->file == nullptr;
            if (!is_gone) {
                file = Ref<task::OpenFile>::try_share(*item->file);
            }
        }
        if (file) {
            return Candidate{.file = std::move(file),
                             .key = item->key,
                             .wanted = item->wanted,
                             .data = item->data,
                             .serial = item->serial,
                             .seen = item->seen};
        }
        if (is_gone) {
            erase(*item);
        }
        item = following;
    }
    return std::nullopt;
}

EventList::Finding EventList::look_at(const Candidate& candidate, PollWatch& watch) {
    if ((candidate.wanted & ~kHows) == 0) {
        return {};
    }
    watch.count_look();
    const std::uint64_t before = watch.changes();
    const std::uint32_t events = with_normal_bits(candidate.file->poll(watch));
    Finding finding{.events = events & candidate.wanted, .changes = watch.changes() - before};
    if ((candidate.wanted & kEventEdge) != 0 && finding.changes == candidate.seen) {
        finding.events = 0;
    }
    return finding;
}

bool EventList::claim(const Candidate& candidate, std::uint64_t changes) {
    const LockGuard guard{lock_};
    Item* const item = find(candidate.key);
    if (item == nullptr || item->serial != candidate.serial || item->seen != candidate.seen) {
        return false;
    }
    if ((item->wanted & kEventEdge) != 0) {
        item->seen = changes;
    }
    if ((item->wanted & kEventOnce) != 0) {
        item->wanted &= kHows;
        item->serial = next_serial_++;
    }
    last_reported_ = candidate.key;
    return true;
}

Result<std::uint64_t> EventList::take(mm::AddressSpace& space, nexus_abi::Out<nexus_abi::epoll_event> to,
                                      std::uint32_t most, PollWatch& watch) {
    Key end;
    {
        const LockGuard guard{lock_};
        mark_.look(watch, this);
        end = last_reported_;
    }
    std::uint64_t taken = 0;
    // From behind the last one reported to the end, then from the beginning to it.
    Key at = end;
    bool is_second = false;
    if (const PollWatch::Place* const place = watch.resumed_at()) {
        std::tie(at, end) = keys_of(*place);
        is_second = !(end < at);
    }
    while (taken < most) {
        auto candidate = next_candidate(at);
        if (candidate && is_second && end < candidate->key) {
            break;
        }
        if (!candidate) {
            if (is_second) {
                break;
            }
            is_second = true;
            at = Key{};
            continue;
        }
        if (watch.is_tired()) {
            // What was found is enough; the rest has its turn next time.
            if (taken == 0) {
                watch.stop_at(place_of(at, end));
            }
            break;
        }
        at = candidate->key;
        const Finding finding = look_at(*candidate, watch);
        if (finding.events == 0) {
            continue;
        }
        const nexus_abi::epoll_event event{.events = finding.events, .reserved = 0, .data = candidate->data};
        const nexus_abi::Out<nexus_abi::epoll_event> place{mm::user_address(to).value() +
                                                           taken * sizeof(event)};
        if (const auto written = mm::copy_out(space, place, event); !written.ok()) {
            return taken > 0 ? Result<std::uint64_t>{taken} : written.error();
        }
        taken += claim(*candidate, finding.changes) ? 1 : 0;
    }
    return taken;
}

std::uint32_t EventList::poll(PollWatch& watch) {
    {
        const LockGuard guard{lock_};
        mark_.look(watch, this);
    }
    for (auto candidate = next_candidate(Key{}); candidate; candidate = next_candidate(candidate->key)) {
        if (look_at(*candidate, watch).events != 0) {
            return task::kPollIn;
        }
    }
    return 0;
}

Result<std::string_view> EventList::link_text(std::span<char> to) const {
    constexpr std::string_view kText = "anon_inode:[eventpoll]";
    if (kText.size() > to.size()) {
        return Error::NameTooLong;
    }
    return std::string_view{to.data(), kText.copy(to.data(), to.size())};
}

Result<Ref<task::OpenFile>> open_event_list() {
    return Ref<task::OpenFile>::adopt(*TRY(lists.create()));
}

}  // namespace kernel::file
