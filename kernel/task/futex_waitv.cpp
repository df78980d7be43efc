// SPDX-License-Identifier: MIT
#include "task/futex_waitv.hpp"

#include <atomic>
#include <bit>
#include <memory>
#include <new>
#include <optional>

#include "lib/avl_tree.hpp"
#include "lib/check.hpp"
#include "mm/frames.hpp"
#include "mm/user_memory.hpp"
#include "task/dispatcher.hpp"
#include "task/process.hpp"
#include "task/wait.hpp"

namespace kernel::task {

namespace {

// What stands for a task on the queues of its words, in frames of its own. Concurrency: its task's, but for
// the stand-ins that are on queues.
struct Crowd {
    AvlNode<Crowd> node;
    Task* task{nullptr};
    std::uint32_t order{0};  // of its frames
    std::uint32_t count{0};  // stand-ins that were added
    [[nodiscard]] Wait* stand_ins() { return reinterpret_cast<Wait*>(this + 1); }
};
static_assert(sizeof(Crowd) % alignof(Wait) == 0);

struct ByTask {
    static bool before(const Crowd& a, const Crowd& b) { return a.task->tid() < b.task->tid(); }
    static void update(Crowd&, const Crowd*, const Crowd*) {}  // no augment
};

// Of all tasks that wait for several words: a task that ends has to find its own.
constinit SpinLock crowds_lock{LockRank::FutexBucket};
constinit AvlTree<Crowd, &Crowd::node, ByTask> crowds;  // guarded by crowds_lock
// How many there are: nearly always none, and then nobody looks.
constinit std::atomic<std::uint32_t> crowd_count{0};

Result<Crowd*> make_crowd(Task& task, std::uint32_t words) {
    const std::uint64_t pages = mm::page_up(sizeof(Crowd) + words * sizeof(Wait)) >> mm::kPageShift;
    const auto order = static_cast<std::uint32_t>(std::bit_width(pages - 1));
    auto* const crowd = new (phys_to_virt(TRY(mm::frames().allocate(order)))) Crowd{};
    crowd->task = &task;
    crowd->order = order;
    const LockGuard guard{crowds_lock};
    crowds.insert(*crowd);
    crowd_count.fetch_add(1, std::memory_order_relaxed);
    return crowd;
}

Crowd* find_crowd(Task& task) {
    if (crowd_count.load(std::memory_order_relaxed) == 0) {
        return nullptr;
    }
    const LockGuard guard{crowds_lock};
    Crowd* at = crowds.root();
    while (at != nullptr && at->task != &task) {
        at = task.tid() < at->task->tid() ? crowds.left(*at) : crowds.right(*at);
    }
    return at;
}

// Takes all off their queues. Which of them woke the task, if one did.
std::optional<std::uint32_t> disband(Crowd& crowd) {
    std::optional<std::uint32_t> woken;
    for (std::uint32_t i = 0; i < crowd.count; ++i) {
        Wait& stand_in = crowd.stand_ins()[i];
        if (remove_stand_in(stand_in)) {
            woken = i;
        }
        std::destroy_at(&stand_in);
    }
    {
        const LockGuard guard{crowds_lock};
        crowds.erase(crowd);
        crowd_count.fetch_sub(1, std::memory_order_relaxed);
    }
    const std::uint32_t order = crowd.order;
    std::destroy_at(&crowd);
    mm::frames().free(virt_to_phys(&crowd), order);
    return woken;
}

Result<void> gather(Task& caller, const WaitWords& words, Crowd& crowd) {
    for (std::uint32_t i = 0; i < words.count; ++i) {
        const WaitWord wanted = TRY(words.read(caller, words.first, i));
        Wait* const stand_in = new (crowd.stand_ins() + i) Wait{};
        stand_in->task = &caller;
        TRY(add_stand_in(*stand_in, caller.process().space(), wanted.word, wanted.expected));
        crowd.count = i + 1;
    }
    return {};
}

// Somebody may have changed a word, and looked for whom to wake, before the task's own wait was there.
bool has_changed(Task& caller, const WaitWords& words) {
    for (std::uint32_t i = 0; i < words.count; ++i) {
        const auto wanted = words.read(caller, words.first, i);
        if (!wanted.ok()) {
            return true;
        }
        const auto value = mm::load_word(caller.process().space(), mm::user_address(wanted->word));
        if (!value.ok() || *value != wanted->expected) {
            return true;
        }
    }
    return false;
}

// A handler is about to run: see OnSignal::IsUndone.
void leave_for_signal(Task& task) {
    leave_wait_words(task);
    task.call_progress = 0;
}

}  // namespace

SysResult futex_wait_any(Task& caller, const WaitWords& words, Instant deadline) {
    if (Crowd* const waited = find_crowd(caller); waited != nullptr) {
        // It waited, and no longer does.
        if (const auto woken = disband(*waited)) {
            return std::uint64_t{*woken};
        }
    }
    const auto crowd = make_crowd(caller, words.count);
    if (!crowd.ok()) {
        return crowd.error();
    }
    if (const auto gathered = gather(caller, words, **crowd); !gathered.ok()) {
        static_cast<void>(disband(**crowd));
        return gathered.error();
    }
    if (deadline <= arch::now()) {
        static_cast<void>(disband(**crowd));
        return Error::TimedOut;
    }
    begin_wait(caller, nullptr,
               {.deadline = deadline,
                .run_again = true,
                .on_signal = OnSignal::IsUndone,
                .on_interrupted = &leave_for_signal});
    if (has_changed(caller, words) && claim_wait(caller.wait)) {
        finish_wait(caller.wait, 0);  // it looks again
    }
    return SysResult::blocked();
}

void leave_wait_words(Task& task) {
    if (Crowd* const crowd = find_crowd(task); crowd != nullptr) {
        static_cast<void>(disband(*crowd));
    }
}

}  // namespace kernel::task
