// SPDX-License-Identifier: MIT
#include "task/task_table.hpp"

#include <array>
#include <bit>
#include <cstddef>

#include "mm/frames.hpp"
#include "sync/spinlock.hpp"
#include "task/task.hpp"

namespace kernel::task {

namespace {

constexpr std::uint32_t kTasksPerChunk = mm::kPageSize / sizeof(Task*);
constexpr std::uint32_t kBitsPerWord = 64;
using Chunk = std::array<Task*, kTasksPerChunk>;
constexpr std::uint32_t kCountsPerFrame = mm::kPageSize / sizeof(std::uint32_t);
using UseCounts = std::array<std::uint32_t, kCountsPerFrame>;

constinit SpinLock lock{LockRank::TaskTable};
// Bit = id taken. Id 0 is never handed out.
constinit std::array<std::uint64_t, kMaxTasks / kBitsPerWord> taken GUARDED_BY(lock){1};
// Frames of task pointers, allocated when the first id in them is; never given back.
constinit std::array<Chunk*, kMaxTasks / kTasksPerChunk> chunks GUARDED_BY(lock){};
// How often each id was handed out; frames as above.
constinit std::array<UseCounts*, kMaxTasks / kCountsPerFrame> use_counts GUARDED_BY(lock){};
constinit std::uint32_t last_id GUARDED_BY(lock){0};

// The first id from `from` up whose bit is `value`; kMaxTasks when there is none.
std::uint32_t find_bit(std::uint32_t from, bool value) REQUIRES(lock) {
    while (from < kMaxTasks) {
        std::uint64_t word = taken[from / kBitsPerWord];
        word = (value ? word : ~word) >> (from % kBitsPerWord);
        if (word != 0) {
            return from + static_cast<std::uint32_t>(std::countr_zero(word));
        }
        from = (from / kBitsPerWord + 1) * kBitsPerWord;
    }
    return kMaxTasks;
}

}  // namespace

Result<TaskId> allocate_task_id() {
    const LockGuard guard{lock};
    std::uint32_t id = find_bit(last_id + 1, false);
    if (id == kMaxTasks) {
        id = find_bit(1, false);
    }
    if (id == kMaxTasks) {
        return Error::TryAgain;
    }
    Chunk*& chunk = chunks[id / kTasksPerChunk];
    if (chunk == nullptr) {
        chunk = static_cast<Chunk*>(phys_to_virt(TRY(mm::frames().allocate_zeroed_frame())));
    }
    UseCounts*& counts = use_counts[id / kCountsPerFrame];
    if (counts == nullptr) {
        counts = static_cast<UseCounts*>(phys_to_virt(TRY(mm::frames().allocate_zeroed_frame())));
    }
    ++(*counts)[id % kCountsPerFrame];
    taken[id / kBitsPerWord] |= std::uint64_t{1} << (id % kBitsPerWord);
    last_id = id;
    return TaskId{id};
}

void publish_task(TaskId id, Task& task) {
    const LockGuard guard{lock};
    (*chunks[id.value() / kTasksPerChunk])[id.value() % kTasksPerChunk] = &task;
}

void release_task_id(TaskId id) {
    const LockGuard guard{lock};
    (*chunks[id.value() / kTasksPerChunk])[id.value() % kTasksPerChunk] = nullptr;
    taken[id.value() / kBitsPerWord] &= ~(std::uint64_t{1} << (id.value() % kBitsPerWord));
}

std::uint64_t task_serial(TaskId id) {
    const LockGuard guard{lock};
    return std::uint64_t{(*use_counts[id.value() / kCountsPerFrame])[id.value() % kCountsPerFrame]} << 32U |
           id.value();
}

Ref<Task> lookup_task(TaskId id) {
    if (id.value() >= kMaxTasks) {
        return {};
    }
    const LockGuard guard{lock};
    const Chunk* chunk = chunks[id.value() / kTasksPerChunk];
    Task* task = chunk == nullptr ? nullptr : (*chunk)[id.value() % kTasksPerChunk];
    // A task whose last reference just went is still listed until it has released its id.
    return task == nullptr ? Ref<Task>{} : Ref<Task>::try_share(*task);
}

Ref<Task> lookup_next_task(TaskId after) {
    const LockGuard guard{lock};
    for (std::uint32_t id = find_bit(after.value() + 1, true); id < kMaxTasks; id = find_bit(id + 1, true)) {
        const Chunk* chunk = chunks[id / kTasksPerChunk];
        Task* task = chunk == nullptr ? nullptr : (*chunk)[id % kTasksPerChunk];
        if (task != nullptr) {
            if (Ref<Task> found = Ref<Task>::try_share(*task)) {
                return found;
            }
        }
    }
    return {};
}

}  // namespace kernel::task
