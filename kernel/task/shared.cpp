// SPDX-License-Identifier: MIT
#include "task/shared.hpp"

#include "mm/slab.hpp"

namespace kernel::task {

namespace {

constinit mm::ObjectPool<SharedBudget> budgets;
constinit mm::ObjectPool<SharedGroup> groups;

}  // namespace

Result<Ref<SharedBudget>> SharedBudget::create() {
    SharedBudget* const created = TRY(budgets.create());
    return Ref<SharedBudget>::adopt(*created);
}

void SharedBudget::last_reference_gone(SharedBudget& budget) {
    budgets.destroy(&budget);
}

Result<Ref<SharedGroup>> SharedGroup::create(TaskId head, std::uint32_t ceiling) {
    SharedGroup* const created = TRY(groups.create(head));
    created->group.set_ceiling(ceiling);
    return Ref<SharedGroup>::adopt(*created);
}

void SharedGroup::last_reference_gone(SharedGroup& group) {
    groups.destroy(&group);
}

}  // namespace kernel::task
