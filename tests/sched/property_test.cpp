// SPDX-License-Identifier: MIT
// Seeded random schedules. The machine audits every queue after every step (S1..S10); here the laws are added
// that need more than one look: exact accounts, masks over time, lag bounds, and the best task found by a
// plain search.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::ClassQueue;
using enum QosClass;

class Seeded : public testing::TestWithParam<std::uint32_t> {
  protected:
    std::uint64_t below(std::uint64_t bound) { return random() % bound; }
    QosClass any_class() { return kernel::sched::class_at(below(4)); }
    std::uint32_t any_shares() {
        static constexpr std::array<std::uint32_t, 7> kShares{1, 3, 10, 50, 100, 333, 1000};
        return kShares[below(kShares.size())];
    }
    Duration any_time(Duration longest) {
        return Duration::nanoseconds(
            static_cast<std::int64_t>(below(static_cast<std::uint64_t>(longest.ns())) + 1));
    }
    CpuMask any_mask(std::uint32_t harts) {
        const auto bits = below(std::uint64_t{1} << harts);
        return bits == 0 ? CpuMask::all() : CpuMask::from_bits(bits);
    }
    Attributes any_attributes(std::uint32_t harts) {
        Attributes attributes = make(any_class(), any_shares(), any_mask(harts));
        attributes.latency = below(3) == 0 ? any_time(20_ms) + 100_us : Duration{};
        attributes.burst = below(3) == 0 ? any_time(40_ms) + 100_us : Duration{};
        return attributes;
    }
    Behaviour any_behaviour() {
        return below(3) == 0 ? Behaviour{} : Behaviour{.work = any_time(8_ms), .rest = any_time(20_ms)};
    }
    // The tree's answer against a search of all members with plain arithmetic.
    static void expect_best_by_search(const RunQueue& queue) {
        for (const QosClass qos_class : {Idle, Normal, Interactive}) {
            const ClassQueue& members = queue.queue(qos_class);
            if (members.running() != nullptr || members.empty()) {
                continue;
            }
            kernel::sched::Int128 sum = 0;
            kernel::sched::Int128 weights = 0;
            const auto origin = members.waiting().first()->position().vt;
            for (const Entity* e = members.waiting().first(); e != nullptr; e = ClassQueue::Tree::next(*e)) {
                sum += kernel::sched::Int128{e->position().vt - origin} * e->position().weight;
                weights += e->position().weight;
            }
            const Entity* best = nullptr;
            for (const Entity* e = members.waiting().first(); e != nullptr; e = ClassQueue::Tree::next(*e)) {
                const bool is_eligible = kernel::sched::Int128{e->position().vt - origin} * weights <= sum;
                if (is_eligible && best == nullptr) {
                    best = e;  // in order of deadline
                }
            }
            ASSERT_EQ(members.best(), best);
        }
    }

    std::mt19937_64 random{GetParam()};
};

std::string seed_name(const testing::TestParamInfo<std::uint32_t>& info) {
    return "Seed" + std::to_string(info.param);
}

TEST_P(Seeded, OneHart) {
    Machine machine;
    for (int step = 0; step < 400; ++step) {
        auto& tasks = machine.tasks();
        const auto alive = [](const auto& task) { return task->entity.state() != TaskState::Dead; };
        const auto count = std::count_if(tasks.begin(), tasks.end(), alive);
        Task* some = tasks.empty() ? nullptr : tasks[below(tasks.size())].get();
        const bool is_alive = some != nullptr && some->entity.state() != TaskState::Dead;
        switch (below(6)) {
            case 0:
                if (count < 40) {
                    machine.add(any_attributes(1), any_behaviour());
                }
                break;
            case 1:
                if (is_alive) {
                    machine.exit(*some);
                }
                break;
            case 2:
                if (is_alive) {
                    machine.set(*some, any_attributes(1));
                }
                break;
            case 3:
                if (machine.queue().current() != nullptr) {
                    machine.yield(0);
                }
                break;
            default:
                machine.run_for(any_time(10_ms));
        }
        expect_best_by_search(machine.queue());
        if (HasFailure()) {
            break;
        }
    }
    machine.expect_exact_accounts();
}

TEST_P(Seeded, ManyHartsNeverLeaveAMask) {
    const auto harts = static_cast<std::uint32_t>(below(7) + 2);
    Machine machine{harts};
    for (std::uint64_t i = below(30) + 5; i > 0; --i) {
        machine.add(any_attributes(harts), any_behaviour());
    }
    for (int step = 0; step < 150; ++step) {
        Task& task = *machine.tasks()[below(machine.tasks().size())];
        const Attributes attributes = any_attributes(harts);
        machine.set(task, attributes);
        std::vector<Duration> before;
        for (std::uint32_t cpu = 0; cpu < harts; ++cpu) {
            before.push_back(task.entity.runtime_on(CpuId{cpu}));
        }
        machine.run_for(any_time(3_ms));
        for (std::uint32_t cpu = 0; cpu < harts; ++cpu) {
            if (!attributes.affinity_effective.contains(CpuId{cpu})) {
                ASSERT_EQ(task.entity.runtime_on(CpuId{cpu}), before[cpu]) << "cpu" << cpu;
            }
        }
        ASSERT_FALSE(HasFailure());
    }
    machine.expect_exact_accounts();
}

// EEVDF's theorem: with requests of at most R, nobody is ever owed or ahead by more than R (plus rounding).
TEST_P(Seeded, LagIsBoundedByOneRequest) {
    Machine machine;
    const auto count = below(20) + 2;
    for (std::uint64_t i = 0; i < count; ++i) {
        machine.add_hog(Normal, any_shares());
    }
    for (int step = 0; step < 300; ++step) {
        machine.run_for(any_time(4_ms));
        for (const auto& task : machine.tasks()) {
            const Duration lag = machine.queue().lag(task->entity);
            ASSERT_LE(std::abs(lag.ns()), Duration{3_ms + 1_us}.ns())
                << "shares " << task->entity.attributes.shares;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Seeded, testing::Range(1U, 13U), seed_name);

// Ten thousand tasks: the tree stays as low as it must, and every one of them is served.
TEST(Scale, TenThousandTasks) {
    RunQueue queue;
    queue.start(CpuId{0}, Instant{});
    std::vector<std::unique_ptr<Entity>> entities;
    for (int i = 0; i < 10'000; ++i) {
        entities.push_back(std::make_unique<Entity>());
        entities.back()->attributes = make(Normal);
        queue.enqueue(*entities.back(), Instant{}, kernel::sched::EnqueueReason::New);
    }
    EXPECT_LE(queue.queue(Normal).waiting().height(), 19);
    Instant now;
    for (int i = 0; i < 10'000; ++i) {
        ASSERT_NE(queue.pick_next(now).entity, nullptr);
        now = queue.next_event(now);
    }
    queue.charge_current(now);
    for (const auto& entity : entities) {
        EXPECT_EQ(entity->runtime(now), 3_ms);
    }
    EXPECT_FALSE(kernel::sched::Auditor::check(queue).found());
    EXPECT_FALSE(kernel::sched::Auditor::check(queue, 64).found());
    while (queue.current() != nullptr || queue.pick_next(now).entity != nullptr) {
        queue.put_current(now, kernel::sched::PutReason::Exit);
    }
}

}  // namespace
}  // namespace sched_test
