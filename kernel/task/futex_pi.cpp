// SPDX-License-Identifier: MIT
#include "task/futex_pi.hpp"

#include <utility>

#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"
#include "task/process.hpp"
#include "task/wait.hpp"

namespace kernel::task {

namespace {

// include/uapi/linux/futex.h
constexpr std::uint32_t kTidMask = 0x3fff'ffff;
constexpr std::uint32_t kOwnerDied = 0x4000'0000;
constexpr std::uint32_t kHasWaiters = 0x8000'0000;

constexpr std::uint64_t kWordBytes = sizeof(std::uint32_t);
constexpr std::int64_t kTimedOut = -static_cast<std::int64_t>(Error::TimedOut);
// How often a word that changes under our eyes is looked at again before the call starts over.
constexpr std::uint32_t kWordTries = 8;
// Futexes a thread that ends passes on in one go.
constexpr std::uint32_t kPassedPerStep = 16;

void give_up(Wait& wait);

// Everyone who waits for a PI futex. Its lock guards everything here and in pi_state.hpp.
constinit WaitQueue sleepers{LockRank::FutexBucket, &give_up};
constinit AvlTree<PiState, &PiState::by_key, PiKeyOrder> states;
constinit std::uint64_t last_sequence = 0;
constinit mm::ObjectPool<PiState> pool;

// From here on: pre: the PI lock is held, unless a comment says otherwise.

PiState* find_state(std::uint64_t space, std::uint64_t address) {
    PiState* at = states.root();
    while (at != nullptr && (at->space != space || at->address != address)) {
        const bool goes_left = at->space != space ? space < at->space : address < at->address;
        at = goes_left ? states.left(*at) : states.right(*at);
    }
    return at;
}

// Works out what the waiters of `state` lend together, and puts it where that belongs among its owner's.
// Pre: it has waiters. True when something changed.
bool refresh_state(PiState& state) {
    const PiWaiter& first = *state.waiters.first();
    const sched::Donation lends{.qos_class = first.lends.qos_class,
                                .latency = state.waiters.root()->least_latency,
                                .budget = first.lends.budget};
    if (lends == state.lends && first.sequence == state.sequence) {
        return false;
    }
    const bool is_held = state.by_owner.is_linked();
    if (is_held) {
        state.owner->pi_owner.held.erase(state);
    }
    state.lends = lends;
    state.sequence = first.sequence;
    if (is_held) {
        state.owner->pi_owner.held.insert(state);
    }
    return true;
}

// What a waiting task lends has changed perhaps: gives it its place among the waiters. True when its futex
// lends something else than before. Pre: it waits.
bool reorder(Task& task) {
    PiWaiter& waiter = task.pi_waiter;
    const sched::Donation lends = read_donation(task);
    if (lends == waiter.lends) {
        return false;
    }
    waiter.state->waiters.erase(waiter);
    waiter.lends = lends;
    waiter.state->waiters.insert(waiter);
    return refresh_state(*waiter.state);
}

// Lends the owner what the waiters of all it owns lend together. True when that is not what it was.
bool update_loan(Task& owner) {
    PiOwner& account = owner.pi_owner;
    const PiState* const first = account.held.first();
    if (first == nullptr) {
        if (std::exchange(account.is_lent_to, false)) {
            account.lent = {};
            end_donation(owner);
            return true;
        }
        return false;
    }
    const sched::Donation lent{.qos_class = first->lends.qos_class,
                               .latency = account.held.root()->least_latency,
                               .budget = first->lends.budget};
    if (std::exchange(account.is_lent_to, true) && lent == account.lent) {
        return false;
    }
    account.lent = lent;
    apply_donation(owner, lent);
    return true;
}

// What the owner is lent has changed perhaps: applies it, and goes on to the one it waits for itself.
void pass_donation_on(Task& from) {
    Task* owner = &from;
    for (std::uint32_t link = 0; link < kMaxPiChain && owner != nullptr; ++link) {
        if (!update_loan(*owner)) {
            return;
        }
        PiState* const next = owner->pi_waiter.state;
        if (next == nullptr || !reorder(*owner)) {
            return;
        }
        owner = next->owner;
    }
}

void set_owner(PiState& state, Task* owner) {
    if (state.by_owner.is_linked()) {
        state.owner->pi_owner.held.erase(state);
    }
    state.owner = owner;
    if (owner != nullptr) {
        owner->pi_owner.held.insert(state);
    }
}

// The waiter leaves its futex; the last one takes the state with it.
void leave(PiWaiter& waiter) {
    PiState& state = *waiter.state;
    state.waiters.erase(waiter);
    waiter.state = nullptr;
    if (!state.waiters.empty()) {
        static_cast<void>(refresh_state(state));
        return;
    }
    set_owner(state, nullptr);
    states.erase(state);
    pool.destroy(&state);
}

// A deadline or a kill ended the wait.
void give_up(Wait& wait) {
    PiWaiter& waiter = wait.task->pi_waiter;
    Task* const owner = waiter.state->owner;
    leave(waiter);
    if (owner != nullptr) {
        pass_donation_on(*owner);
    }
}

// The first waiter that is not giving up at this moment, claimed. Those that are claimed by others are no
// more than the harts are ending waits just now.
PiWaiter* claim_first(PiState& state) {
    for (PiWaiter* waiter = state.waiters.first(); waiter != nullptr; waiter = state.waiters.next(*waiter)) {
        if (claim_wait(waiter->task->wait)) {
            return waiter;
        }
    }
    return nullptr;
}

// A futex's word as one process sees it.
struct Word {
    mm::AddressSpace& space;
    VirtAddr address;
    [[nodiscard]] bool store(std::uint32_t value) const { return mm::store_word(space, address, value).ok(); }
};

// The word a task waits for, where its process has it: what it named in its call, the second word of
// FUTEX_WAIT_REQUEUE_PI, the only one of the others. Pre: it waits, so its call's arguments are in its frame
// and its memory is there.
Word word_of_waiter(Task& task) {
    constexpr std::uint64_t kWaitRequeuePi = 11;  // FUTEX_WAIT_REQUEUE_PI
    constexpr std::uint64_t kCommandMask = 0x7f;
    const bool is_second = (task.frame.argument(1) & kCommandMask) == kWaitRequeuePi;
    return {task.process().space(), VirtAddr{task.frame.argument(is_second ? 4 : 0)}};
}

// The owner lets go of a futex somebody waits for. `mark`: bits for the word. False: the word could not be
// written; the lock has changed hands all the same.
bool pass_on(PiState& state, const Word& word, std::uint32_t mark) {
    PiWaiter* const next = claim_first(state);
    if (next == nullptr) {
        set_owner(state, nullptr);
        return word.store(mark);
    }
    Task& heir = *next->task;
    const bool has_more = state.waiters.size() > 1;
    set_owner(state, nullptr);
    leave(*next);
    if (has_more) {
        set_owner(state, &heir);
    }
    const bool is_written = word.store(heir.tid().value() | mark | (has_more ? kHasWaiters : 0));
    pass_donation_on(heir);
    sleepers.remove(heir.wait);
    finish_wait(heir.wait, 0);
    return is_written;
}

// Whether the caller would wait for itself, or at the end of too long a chain.
bool would_deadlock(const Task& caller, const Task* owner) {
    for (std::uint32_t link = 1; owner != nullptr; ++link) {
        if (owner == &caller || link > kMaxPiChain) {
            return true;
        }
        const PiState* const state = owner->pi_waiter.state;
        owner = state == nullptr ? nullptr : state->owner;
    }
    return false;
}

// A futex's name, as of other futexes: in memory shared with others the file and the offset there.
struct Key {
    std::uint64_t space;
    std::uint64_t address;
    bool is_shared;
};
Key key_of(const mm::AddressSpace& space, VirtAddr address) {
    if (const auto shared = space.shared_place(address); shared.ok()) {
        return {reinterpret_cast<std::uint64_t>(shared->file), shared->offset, true};
    }
    return {reinterpret_cast<std::uint64_t>(&space), address.value(), false};
}

// No lock needed.
Result<VirtAddr> checked_address(FutexWord word) {
    const VirtAddr address = mm::user_address(word);
    if (address.value() % kWordBytes != 0) {
        return Error::InvalidArgument;
    }
    return address;
}

// How long a wait lasts at most, and what a signal does to it.
struct Patience {
    Instant deadline{Instant::never()};
    OnSignal on_signal{OnSignal::Stays};
};

// A state nobody uses yet; goes back if nobody did.
class Spare {
  public:
    Spare() = default;
    Spare(const Spare&) = delete;
    Spare& operator=(const Spare&) = delete;
    ~Spare() {
        if (state_ != nullptr) {
            pool.destroy(state_);
        }
    }
    Result<void> allocate() {
        state_ = TRY(pool.create());
        return {};
    }
    PiState& take() { return *std::exchange(state_, nullptr); }

  private:
    PiState* state_{nullptr};
};

void start_waiting(Task& caller, Task& owner, PiState& state, const Patience& patience) {
    PiWaiter& waiter = caller.pi_waiter;
    waiter.state = &state;
    waiter.lends = read_donation(caller);
    waiter.sequence = ++last_sequence;
    state.waiters.insert(waiter);
    static_cast<void>(refresh_state(state));
    if (state.owner == nullptr) {
        set_owner(state, &owner);
    }
    begin_wait(caller, &sleepers,
               {.on_timeout = kTimedOut, .deadline = patience.deadline, .on_signal = patience.on_signal});
    pass_donation_on(owner);
}

enum class IfTaken : std::uint8_t { Wait, Return };

// One look at the word. again(): it changed meanwhile.
SysResult try_lock(Task& caller, VirtAddr address, const Patience& patience, IfTaken if_taken, Spare& spare) {
    mm::AddressSpace& space = caller.process().space();
    const auto loaded = mm::fetch_op_word(space, address, mm::WordOperation::Or, 0);  // it must be writable
    if (!loaded.ok()) {
        return loaded.error();
    }
    const std::uint32_t value = *loaded;
    const TaskId owner_tid{value & kTidMask};
    const auto replace = [&](std::uint32_t wanted) -> Result<bool> {
        return TRY(mm::compare_exchange_word(space, address, value, wanted)) == value;
    };
    const Key key = key_of(space, address);
    PiState* state = find_state(key.space, key.address);
    if (owner_tid == caller.tid()) {
        return Error::Deadlock;
    }
    if (owner_tid == TaskId{}) {
        if (state != nullptr && state->owner != nullptr) {
            return Error::InvalidArgument;
        }
        const auto taken = replace(caller.tid().value() | (value & kOwnerDied));
        return !taken.ok() ? SysResult{taken.error()} : *taken ? SysResult{0U} : SysResult::again();
    }
    const Ref<Task> owner = find_task(owner_tid);
    if (state != nullptr && state->owner != nullptr && state->owner != owner.get()) {
        return Error::InvalidArgument;
    }
    const bool may_own = owner && (key.is_shared || &owner->process() == &caller.process());
    if (!may_own || owner->pi_owner.has_exited) {
        // It may have unlocked before it ended, after we looked.
        const auto now = mm::load_word(space, address);
        return now.ok() && *now != value ? SysResult::again() : SysResult{Error::NoProcess};
    }
    if (if_taken == IfTaken::Return) {
        return Error::TryAgain;
    }
    if (would_deadlock(caller, owner.get())) {
        return Error::Deadlock;
    }
    if ((value & kHasWaiters) == 0) {
        const auto marked = replace(value | kHasWaiters);
        if (!marked.ok()) {
            return marked.error();
        }
        if (!*marked) {
            return SysResult::again();
        }
    }
    if (state == nullptr) {
        state = &spare.take();
        state->space = key.space;
        state->address = key.address;
        states.insert(*state);
    }
    start_waiting(caller, *owner, *state, patience);
    return SysResult::blocked();
}

// Takes the PI lock.
SysResult lock(Task& caller, FutexWord word, const Patience& patience, IfTaken if_taken) {
    const auto address = checked_address(word);
    if (!address.ok()) {
        return address.error();
    }
    Spare spare;
    if (if_taken == IfTaken::Wait) {
        if (const auto allocated = spare.allocate(); !allocated.ok()) {
            return allocated.error();
        }
    }
    const LockGuard guard{sleepers.lock()};
    SysResult outcome = SysResult::again();
    for (std::uint32_t tries = 0; tries < kWordTries && outcome.wants_again(); ++tries) {
        outcome = try_lock(caller, *address, patience, if_taken, spare);
    }
    return outcome;
}

}  // namespace

SysResult futex_lock_pi(Task& caller, FutexWord word, Instant deadline, OnSignal on_signal) {
    return lock(caller, word, {.deadline = deadline, .on_signal = on_signal}, IfTaken::Wait);
}

SysResult futex_try_lock_pi(Task& caller, FutexWord word) {
    return lock(caller, word, {}, IfTaken::Return);
}

SysResult futex_unlock_pi(Task& caller, FutexWord word) {
    const auto address = checked_address(word);
    if (!address.ok()) {
        return address.error();
    }
    mm::AddressSpace& space = caller.process().space();
    const LockGuard guard{sleepers.lock()};
    // Only the kernel, under this lock, changes a word that has an owner; or its owner, who is here.
    const auto value = mm::fetch_op_word(space, *address, mm::WordOperation::Or, 0);
    if (!value.ok()) {
        return value.error();
    }
    if (TaskId{*value & kTidMask} != caller.tid()) {
        return Error::NotPermitted;
    }
    const Key key = key_of(space, *address);
    PiState* const state = find_state(key.space, key.address);
    if (state == nullptr || state->owner == nullptr) {
        return mm::store_word(space, *address, 0);
    }
    if (state->owner != &caller) {
        return Error::InvalidArgument;
    }
    const bool is_written = pass_on(*state, {space, *address}, 0);
    pass_donation_on(caller);
    return is_written ? SysResult{0U} : SysResult{Error::BadAddress};
}

bool pass_on_pi_futexes(Task& task) {
    const LockGuard guard{sleepers.lock()};
    PiOwner& account = task.pi_owner;
    account.has_exited = true;
    for (std::uint32_t passed = 0; passed < kPassedPerStep && !account.held.empty(); ++passed) {
        // A word that cannot be written any more is the program's loss. A state has waiters, who know it.
        PiState& state = *account.held.first();
        static_cast<void>(pass_on(state, word_of_waiter(*state.waiters.first()->task), kOwnerDied));
    }
    pass_donation_on(task);
    return account.held.empty();
}

Result<void> give_up_pi_futex(Task& task, VirtAddr word) {
    mm::AddressSpace& space = task.process().space();
    const LockGuard guard{sleepers.lock()};
    const std::uint32_t value = TRY(mm::fetch_op_word(space, word, mm::WordOperation::Or, 0));
    if (TaskId{value & kTidMask} != task.tid()) {
        return {};
    }
    const Key key = key_of(space, word);
    PiState* const state = find_state(key.space, key.address);
    if (state == nullptr || state->owner != &task) {
        return mm::store_word(space, word, kOwnerDied);
    }
    const bool is_written = pass_on(*state, {space, word}, kOwnerDied);
    pass_donation_on(task);
    return is_written ? Result<void>{} : Result<void>{Error::BadAddress};
}

void let_own_pi_futexes(Task& task) {
    const LockGuard guard{sleepers.lock()};
    task.pi_owner.has_exited = false;
}

void refresh_pi_waiter(Task& task) {
    const LockGuard guard{sleepers.lock()};
    PiState* const state = task.pi_waiter.state;
    if (state != nullptr && reorder(task) && state->owner != nullptr) {
        pass_donation_on(*state->owner);
    }
}

}  // namespace kernel::task
