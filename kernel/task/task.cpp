// SPDX-License-Identifier: MIT
#include "task/task.hpp"

#include <bit>
#include <memory>

#include "mm/slab.hpp"
#include "task/process.hpp"
#include "task/task_table.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

namespace {

constinit mm::ObjectPool<Task> pool;
constinit std::uint32_t cpu_count = 0;

}  // namespace

Task::Task(TaskId tid, Process& process, const Task* original)
    : tid_{tid}, process_{Ref<Process>::share(process)} {
    if (original != nullptr) {
        frame = original->frame;
        fp = original->fp;
        fp_epoch = original->fp_epoch;
        for (std::size_t i = 0; i < name_.size(); ++i) {
            name_[i].store(original->name_[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
        }
    } else {
        frame = {};
        fp = {};
    }
    wait.task = this;
    wait.timer.wait = &wait;
    pi_waiter.task = this;
    // Behind the task; see set_cpu_count().
    auto* const by_cpu = reinterpret_cast<Duration*>(this + 1);
    std::uninitialized_value_construct_n(by_cpu, cpu_count);
    entity.keep_runtime_by_cpu({by_cpu, cpu_count});
}

Task::~Task() = default;

void Task::set_cpu_count(std::uint32_t cpus) {
    // With up to eight harts, seventeen tasks fit in a slab: less than 2 KiB for each.
    static_assert(sizeof(Task) + 8 * sizeof(Duration) <= 1920);
    static_assert(alignof(Task) % alignof(Duration) == 0);
    pool.set_tail_bytes(std::size_t{cpus} * sizeof(Duration));
    cpu_count = cpus;
}

Result<Ref<Task>> Task::create(Process& process, std::string_view name) {
    Ref<Task> task = TRY(make(process, nullptr));
    task->set_name(name);
    return task;
}

Result<Ref<Task>> Task::create_copy(Process& process, const Task& original) {
    return make(process, &original);
}

Result<Ref<Task>> Task::make(Process& process, const Task* original) {
    const TaskId tid = TRY(allocate_task_id());
    const auto created = pool.create(tid, process, original);
    if (!created.ok()) {
        release_task_id(tid);
        return created.error();
    }
    return Ref<Task>::adopt(**created);
}

void Task::publish() {
    publish_task(tid_, *this);
}

void Task::last_reference_gone(Task& task) {
    const TaskId tid = task.tid_;
    // Before the memory goes: lookups try to take references as long as the id finds the task.
    release_task_id(tid);
    pool.destroy(&task);
}

Task::Name Task::name() const {
    return std::bit_cast<Name>(
        std::array{name_[0].load(std::memory_order_relaxed), name_[1].load(std::memory_order_relaxed)});
}

void Task::set_name(std::string_view name) {
    Name padded{};
    name.substr(0, padded.size() - 1).copy(padded.data(), padded.size() - 1);
    const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(padded);
    name_[0].store(words[0], std::memory_order_relaxed);
    name_[1].store(words[1], std::memory_order_relaxed);
    trace::write_name(tid_.value(), padded);
}

}  // namespace kernel::task
