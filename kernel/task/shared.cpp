// SPDX-License-Identifier: MIT
#include "task/shared.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "mm/slab.hpp"
#include "nexus_abi/audit.hpp"

namespace kernel::task {

namespace {

// What is booked of each CPU, in millionths.
constinit std::array<std::atomic<std::uint32_t>, kMaxCpus> booked{};
constinit mm::ObjectPool<SharedBudget> budgets;
constinit mm::ObjectPool<SharedGroup> groups;

}  // namespace

Result<Ref<SharedBudget>> SharedBudget::create() {
    SharedBudget* const created = TRY(budgets.create());
    return Ref<SharedBudget>::adopt(*created);
}

std::uint32_t SharedBudget::book(std::uint32_t ppm, CpuMask cpus) {
    constexpr auto kMost = static_cast<std::uint32_t>(nexus_abi::kReservedMostPpm);
    std::uint32_t missing = ppm;
    bool is_booked = false;
    cpus.for_each([&](CpuId cpu) {
        const std::uint32_t own = booked_on_ == cpu ? booked_ppm_ : 0;
        std::atomic<std::uint32_t>& all = booked[cpu.value()];
        std::uint32_t before = all.load(std::memory_order_relaxed);
        while (!is_booked && before - own + ppm <= kMost) {
            is_booked = all.compare_exchange_weak(before, before - own + ppm, std::memory_order_relaxed);
            if (is_booked) {
                booked_ppm_ -= own;
                unbook();
                booked_on_ = cpu;
                booked_ppm_ = ppm;
            }
        }
        missing = is_booked ? 0 : std::min(missing, before - own + ppm - kMost);
    });
    return missing;
}

void SharedBudget::unbook() {
    booked[booked_on_.value()].fetch_sub(std::exchange(booked_ppm_, 0), std::memory_order_relaxed);
}

void SharedBudget::last_reference_gone(SharedBudget& budget) {
    budget.unbook();
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
