// SPDX-License-Identifier: MIT
// Parents and children: who is whose, what a parent is told, and what it collects (reap_child() and
// note_child_change() of lifecycle.hpp). For lifecycle.cpp.
#pragma once

#include <cstdint>

#include "lib/fixed_vector.hpp"
#include "task/process.hpp"
#include "task/process_group.hpp"

namespace kernel::task {

// Children handed to pid 1 in one go.
inline constexpr std::uint32_t kChildrenPerStep = 16;

// Groups whose last tie to the rest of their session was the process that ends, with stopped members: who
// could continue them is gone.
using AbandonedGroups = FixedVector<TaskId, kChildrenPerStep + 1>;

void link_child(Process& parent, Process& child) REQUIRES(family_lock());
// What the last thread of a process does about its family: hands the children to `init`, pid 1, a few at a
// time, and tells the parent; false when there is more to do. `group` is what goes once the lock is dropped.
[[nodiscard]] bool leave_family(Process& process, Process& init, Ref<ProcessGroup>& group,
                                AbandonedGroups& abandoned) REQUIRES(family_lock());

}  // namespace kernel::task
