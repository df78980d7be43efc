// SPDX-License-Identifier: MIT
// Two run queues that live the same life, each with its own tasks, and everything there is to see of them
// (plain_steps_test.cpp).
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <memory>

#include "machine.hpp"
#include "sched/budget.hpp"
#include "sched/group.hpp"

namespace sched_test {

inline constexpr std::size_t kTasks = 5;

struct Side {
    RunQueue queue;
    std::array<Entity*, kTasks> tasks{};
    std::deque<std::unique_ptr<Entity>> all;  // those that are gone, too: a queue compares their addresses
    kernel::sched::Budget budget;
    kernel::sched::Group group;

    Entity& renew(std::size_t task) {
        all.push_back(std::make_unique<Entity>());
        tasks[task] = all.back().get();
        return *tasks[task];
    }
    [[nodiscard]] std::size_t index_of(const Entity* entity) const {
        std::size_t i = 0;
        while (i < kTasks && tasks[i] != entity) {
            ++i;
        }
        return i;
    }
};

// Whatever either shows is the same. Pre: nothing is put off.
void expect_alike(const Side& quick, const Side& general, Instant now);

}  // namespace sched_test
