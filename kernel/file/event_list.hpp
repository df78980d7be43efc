// SPDX-License-Identifier: MIT
// A list of files to wait for, kept by the kernel: what epoll_create1 opens. Each look goes through all of
// it, in pieces when it is long (file/poll.hpp); as a file of another list, ppoll or select it is looked at
// in one piece: a list holds at most kMaxItems files.
//
// A list does not keep its files open. What is on a list is a Watched, which all lists that the file is on
// share; when the file's last reference goes, it is left empty, in one step, and each list drops its items
// the next time it comes across them.
//
// A list whose last reference goes drops a few items at once, the rest in pieces (clean_up_step()): nobody
// waits for a hart that closes hundreds of full lists.
//
// An edge triggered item is reported when its file is ready and has changed since it was last reported, as
// PollWatch::changes() tells; two threads that look at once see the same change, and the first one takes it.
//
// A list may be on other lists, but not on one that is on a list itself: no circle can arise, and a look goes
// two deep.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "file/poll.hpp"
#include "lib/avl_tree.hpp"
#include "lib/intrusive_list.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "lib/thread_safety.hpp"
#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "nexus_abi/linux.hpp"
#include "sync/spinlock.hpp"
#include "task/open_file.hpp"

namespace kernel::file {

// Beside task::kPoll* (include/uapi/linux/eventpoll.h).
inline constexpr std::uint32_t kEventExclusive = 1U << 28;
inline constexpr std::uint32_t kEventWakeUp = 1U << 29;
inline constexpr std::uint32_t kEventOnce = 1U << 30;
inline constexpr std::uint32_t kEventEdge = 1U << 31;

// A file that is or was on event lists: the file has a reference, and each item.
// Concurrency: guarded by `lock`.
struct Watched : RefCounted<Watched> {
    explicit Watched(task::OpenFile& opened) : file{&opened} {}
    static void last_reference_gone(Watched& watched);

    SpinLock lock{LockRank::Watched};
    task::OpenFile* file GUARDED_BY(lock);  // null: it is gone; else its memory stays while the lock is held
};

// Concurrency: a lock for the list; files are looked at without it.
class EventList final : public task::OpenFile {
  public:
    static constexpr std::uint32_t kMaxItems = 512;

    // Puts a file on the list that the caller has open as `fd`. Errors: Exists; NotPermitted for what does
    // not change; TooManyLinks; NoSpace, NoMemory.
    Result<void> add(task::OpenFile& file, std::int32_t fd, const nexus_abi::epoll_event& wish)
        EXCLUDES(lock_);
    // Errors: NoEntry; InvalidArgument for an exclusive one.
    Result<void> change(const task::OpenFile& file, std::int32_t fd, const nexus_abi::epoll_event& wish)
        EXCLUDES(lock_);
    // Errors: NoEntry.
    Result<void> remove(const task::OpenFile& file, std::int32_t fd) EXCLUDES(lock_);
    // Writes to `to` up to `most` events of files that are ready, and takes them: edges are no news
    // afterwards. Returns how many; 0 too when `watch` says that it is not finished. Errors: BadAddress; what
    // could not be written is not taken.
    Result<std::uint64_t> take(mm::AddressSpace& space, nexus_abi::Out<nexus_abi::epoll_event> to,
                               std::uint32_t most, PollWatch& watch) EXCLUDES(lock_);

    [[nodiscard]] task::FileStatus status() const override { return {.mode = 0600}; }
    [[nodiscard]] std::uint32_t poll(PollWatch& watch) override;
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const override;
    [[nodiscard]] EventList* event_list() override { return this; }

    // On the list of those that nobody refers to any more, guarded by its lock.
    ListNode leaving_node;
    // Drops some of what closed lists left behind; true: there is nothing left.
    [[nodiscard]] static bool clean_up_step();

  private:
    template <class T>
    friend class mm::ObjectPool;
    friend Result<Ref<task::OpenFile>> open_event_list();
    EventList() : OpenFile{task::kOpenReadWrite} {}
    ~EventList() = default;
    void close() override;

    // Of the file: the address of its Watched, which no other file has as long as an item is there.
    struct Key {
        std::int32_t fd{-1};
        std::uint64_t file{0};
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    // The key of a file that is on no list is no item's.
    static Key key_of(const task::OpenFile& file, std::int32_t fd) {
        return {.fd = fd, .file = reinterpret_cast<std::uint64_t>(file.watched())};
    }
    struct Item;
    struct ByKey {
        static bool before(const Item& a, const Item& b);
        static void update(Item&, const Item*, const Item*) {}
    };
    struct Item {
        Item(const Key& of, Ref<Watched> file_of, const nexus_abi::epoll_event& wish)
            : key{of},
              of_file{std::move(file_of)},
              wanted{wish.events | task::kPollError | task::kPollHangUp},
              data{wish.data} {}
        const Key key;
        AvlNode<Item> in_list;
        const Ref<Watched> of_file;
        std::uint32_t wanted;    // kPoll* and kEvent*; none of kPoll*: nothing until it is changed
        std::uint64_t data;      // the program's
        std::uint64_t serial{};  // no other item or wish has it
        std::uint64_t seen{0};   // PollWatch::changes() when it was last reported
    };
    static mm::ObjectPool<Item> items;
    // The file's, made if need be. Errors: NoMemory.
    [[nodiscard]] static Result<Ref<Watched>> watched_of(task::OpenFile& file);

    // What one look needs to know of an item.
    struct Candidate {
        Ref<task::OpenFile> file;
        Key key;
        std::uint32_t wanted{0};
        std::uint64_t data{0};
        std::uint64_t serial{0};
        std::uint64_t seen{0};
    };
    // What a candidate has to report now; 0: nothing.
    struct Finding {
        std::uint32_t events{0};
        std::uint64_t changes{0};
    };
    static Finding look_at(const Candidate& candidate, PollWatch& watch);
    // Where a look in pieces is: behind `at`, on its way around to `end`.
    static PollWatch::Place place_of(const Key& at, const Key& end);
    static std::pair<Key, Key> keys_of(const PollWatch::Place& place);
    // The first item behind `after` whose file is there.
    [[nodiscard]] std::optional<Candidate> next_candidate(const Key& after) EXCLUDES(lock_);
    // False: it has been changed or reported meanwhile.
    [[nodiscard]] bool claim(const Candidate& candidate, std::uint64_t changes) EXCLUDES(lock_);

    [[nodiscard]] Item* first_behind(const Key& after) const REQUIRES(lock_);
    [[nodiscard]] Item* find(const Key& key) const REQUIRES(lock_);
    void insert(Item& item) REQUIRES(lock_);
    // Takes it off and frees it.
    void erase(Item& item) REQUIRES(lock_);
    void drop_gone() REQUIRES(lock_);
    // Drops up to `most` items; true: it is empty.
    [[nodiscard]] bool drop(std::uint32_t most) EXCLUDES(lock_);
    // Who waits looks again.
    void tell(bool was_watched);

    // Whether it holds lists or is on some; for good.
    enum class Role : std::uint32_t { Neither = 0, Holds = 1, IsOnOne = 2 };
    [[nodiscard]] bool take_role(Role role);

    std::atomic<Role> role_{Role::Neither};
    SpinLock lock_{LockRank::EventList};
    AvlTree<Item, &Item::in_list, ByKey> list_ GUARDED_BY(lock_);
    PollMark mark_ GUARDED_BY(lock_);
    std::uint64_t next_serial_ GUARDED_BY(lock_){1};
    Key last_reported_ GUARDED_BY(lock_);  // the next look begins behind it, so that all have their turn
};

// Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_event_list();

}  // namespace kernel::file
