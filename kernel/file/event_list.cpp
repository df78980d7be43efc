// SPDX-License-Identifier: MIT
#include "file/event_list.hpp"

#include <tuple>
#include <utility>

namespace kernel::file {

namespace {

constexpr std::uint32_t kAlwaysReported = task::kPollError | task::kPollHangUp;
constexpr std::uint32_t kHows = kEventExclusive | kEventWakeUp | kEventOnce | kEventEdge;

// Dropped where a list is closed, and in one step of cleaning up: about 10 us.
constexpr std::uint32_t kDroppedAtOnce = 16;
constexpr std::uint32_t kDroppedPerStep = 64;

constinit mm::ObjectPool<EventList> lists;
constinit mm::ObjectPool<Watched> watched_files;

// Lists that nobody refers to any more and that hold items still.
constinit SpinLock leaving_lock{LockRank::EventList};
constinit IntrusiveList<EventList, &EventList::leaving_node> leaving GUARDED_BY(leaving_lock);
constinit std::atomic<std::uint32_t> leaving_count{0};

// The file goes: nobody can share it any more.
void forget(Watched& watched) {
    {
        const LockGuard guard{watched.lock};
        watched.file = nullptr;
    }
    Ref<Watched>::adopt(watched).reset();  // the file's
}

}  // namespace

constinit mm::ObjectPool<EventList::Item> EventList::items;

void Watched::last_reference_gone(Watched& watched) {
    watched_files.destroy(&watched);
}

Result<Ref<Watched>> EventList::watched_of(task::OpenFile& file) {
    if (file.watched() == nullptr) {
        Ref<Watched> made = Ref<Watched>::adopt(*TRY(watched_files.create(file)));
        if (file.set_watched(*made, &forget)) {
            static_cast<void>(made.release());  // the file's now
        }
    }
    return Ref<Watched>::share(*file.watched());
}

bool EventList::ByKey::before(const Item& a, const Item& b) {
    return a.key < b.key;
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
}

void EventList::erase(Item& item) {
    list_.erase(item);
    items.destroy(&item);
}

void EventList::drop_gone() {
    for (Item* item = list_.first(); item != nullptr;) {
        Item* const following = list_.next(*item);
        bool is_gone = false;
        {
            const LockGuard guard{item->of_file->lock};
            is_gone = item->of_file->file == nullptr;
        }
        if (is_gone) {
            erase(*item);
        }
        item = following;
    }
}

bool EventList::drop(std::uint32_t most) {
    const LockGuard guard{lock_};
    for (std::uint32_t i = 0; i < most && !list_.empty(); ++i) {
        erase(*list_.first());
    }
    return list_.empty();
}

void EventList::close() {
    if (drop(kDroppedAtOnce)) {
        lists.destroy(this);
        return;
    }
    const LockGuard guard{leaving_lock};
    leaving.push_back(*this);
    leaving_count.fetch_add(1, std::memory_order_relaxed);
}

bool EventList::clean_up_step() {
    if (leaving_count.load(std::memory_order_relaxed) == 0) {
        return true;
    }
    EventList* list = nullptr;
    {
        const LockGuard guard{leaving_lock};
        list = leaving.pop_front();
    }
    if (list == nullptr) {
        return true;  // another hart is at the last one
    }
    if (!list->drop(kDroppedPerStep)) {
        const LockGuard guard{leaving_lock};
        leaving.push_front(*list);
        return false;
    }
    lists.destroy(list);
    return leaving_count.fetch_sub(1, std::memory_order_relaxed) == 1;
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
    Ref<Watched> of_file = TRY(watched_of(file));
    const Key key = key_of(file, fd);
    Item* const item = TRY(items.create(key, std::move(of_file), wish));
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
            Watched& of_file = *item->of_file;
            const LockGuard file_guard{of_file.lock};
            is_gone = of_file.file == nullptr;
            if (!is_gone) {
                file = Ref<task::OpenFile>::try_share(*of_file.file);
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
