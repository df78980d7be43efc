// SPDX-License-Identifier: MIT
// What several tasks draw on or count for together: a budget, a group. Each lives as long as a task refers to
// it; the scheduler's own pointers into it (Entity::budget, group) are covered by the task's references.
#pragma once

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "sched/budget.hpp"
#include "sched/group.hpp"

namespace kernel::task {

struct SharedBudget : RefCounted<SharedBudget> {
    // Errors: NoMemory.
    static Result<Ref<SharedBudget>> create();
    static void last_reference_gone(SharedBudget& budget);

    sched::Budget budget;  // has a lock of its own

    // Books so many millionths of a CPU, on the first of these that has room, in place of what was booked.
    // Returns 0, or how much the emptiest lacks, and all is as before. Callers exclude each other.
    std::uint32_t book(std::uint32_t ppm, CpuMask cpus);
    // Gives that back.
    void unbook();

  private:
    CpuId booked_on_{0};
    std::uint32_t booked_ppm_{0};
};

struct SharedGroup : RefCounted<SharedGroup> {
    // Errors: NoMemory.
    static Result<Ref<SharedGroup>> create(TaskId head, std::uint32_t ceiling);
    static void last_reference_gone(SharedGroup& group);

    explicit SharedGroup(TaskId head_process) : head{head_process} {}
    TaskId head;         // the process it was made for; immutable
    sched::Group group;  // atomic
};

}  // namespace kernel::task
