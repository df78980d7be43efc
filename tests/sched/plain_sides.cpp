// SPDX-License-Identifier: MIT
#include "plain_sides.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace sched_test {
namespace {

using kernel::sched::Auditor;
using kernel::sched::class_at;
using kernel::sched::ClassQueue;
using kernel::sched::HartLoad;
using kernel::sched::kClasses;
using kernel::sched::MaskGroups;

class Comparison {
  public:
    Comparison(const Side& quick, const Side& general, Instant now)
        : quick_{quick}, general_{general}, now_{now} {}

    void compare() {
        for (std::size_t i = 0; i < kTasks; ++i) {
            compare_tasks(*quick_.tasks[i], *general_.tasks[i]);
        }
        const RunQueue& quick = quick_.queue;
        const RunQueue& general = general_.queue;
        EXPECT_EQ(quick_.index_of(quick.current()), general_.index_of(general.current()));
        EXPECT_EQ(quick.next_event(now_), general.next_event(now_));
        EXPECT_EQ(quick.runnable_after_decision(), general.runnable_after_decision());
        EXPECT_EQ(quick.throttled(), general.throttled());
        EXPECT_EQ(quick_.index_of(quick.first_throttled()), general_.index_of(general.first_throttled()));
        EXPECT_EQ(quick.switches(), general.switches());
        EXPECT_EQ(quick.busy(), general.busy());
        EXPECT_EQ(quick.idle(), general.idle());
        const RunQueue::Use used = quick.use(now_);
        const RunQueue::Use expected = general.use(now_);
        EXPECT_EQ(used.runtime, expected.runtime);
        EXPECT_EQ(used.voluntary, expected.voluntary);
        EXPECT_EQ(used.involuntary, expected.involuntary);
        compare_sums(expected);
        compare_loads(quick.load(), general.load());
        for (std::size_t i = 0; i < kClasses; ++i) {
            compare_classes(quick.queue(class_at(i)), general.queue(class_at(i)));
        }
        for (const Side* side : {&quick_, &general_}) {
            const auto violation = Auditor::check(side->queue);
            EXPECT_FALSE(violation.found()) << violation.rule;
        }
    }

  private:
    // What the hart says was used is what its tasks say.
    void compare_sums(const RunQueue::Use& use) {
        RunQueue::Use sum;
        for (const auto& entity : general_.all) {
            sum.runtime += entity->statistics().runtime;
            sum.voluntary += entity->statistics().switches_voluntary;
            sum.involuntary += entity->statistics().switches_involuntary;
        }
        EXPECT_EQ(general_.queue.busy(), sum.runtime);
        EXPECT_EQ(use.voluntary, sum.voluntary);
        EXPECT_EQ(use.involuntary, sum.involuntary);
    }
    void compare_loads(const HartLoad& quick, const HartLoad& general) {
        EXPECT_EQ(quick.running_class, general.running_class);
        EXPECT_EQ(quick.capacity, general.capacity);
        EXPECT_EQ(quick.whole_classes, general.whole_classes);
        EXPECT_EQ(quick.epoch, general.epoch);
        EXPECT_EQ(quick.runnable, general.runnable);
        EXPECT_EQ(quick.at, general.at);
        EXPECT_EQ(quick.running_mask, general.running_mask);
        EXPECT_EQ(quick.weight, general.weight);
        EXPECT_EQ(quick.pace, general.pace);
        EXPECT_EQ(quick.waiting_mask, general.waiting_mask);
        EXPECT_EQ(quick.global, general.global);
        EXPECT_EQ(quick.least, general.least);
        EXPECT_EQ(quick.heaviest, general.heaviest);
        EXPECT_EQ(quick.lightest, general.lightest);
    }
    void compare_classes(const ClassQueue& quick, const ClassQueue& general) {
        EXPECT_EQ(quick.virtual_now(), general.virtual_now());
        EXPECT_EQ(quick.sum_weight(), general.sum_weight());
        EXPECT_EQ(quick.pace_sum(), general.pace_sum());
        EXPECT_EQ(quick.wholes(), general.wholes());
        EXPECT_EQ(quick_.index_of(quick.running()), general_.index_of(general.running()));
        const Entity* a = quick.waiting().first();
        const Entity* b = general.waiting().first();
        for (; a != nullptr || b != nullptr; a = ClassQueue::Tree::next(*a), b = ClassQueue::Tree::next(*b)) {
            ASSERT_EQ(quick_.index_of(a), general_.index_of(b)) << "the order";
        }
        // Places are given as they are free, which may be another way round.
        for (const MaskGroups::Group& group : quick.masks().all()) {
            const auto& others = general.masks().all();
            EXPECT_TRUE(group.count == 0 || std::ranges::any_of(others, [&](const MaskGroups::Group& other) {
                            return other.mask == group.mask && other.count == group.count &&
                                   other.weight == group.weight;
                        }));
        }
    }
    void compare_tasks(const Entity& quick, const Entity& general) {
        nexus_abi::sched_stat quick_stat;
        nexus_abi::sched_stat general_stat;
        std::memset(&quick_stat, 0, sizeof quick_stat);
        std::memset(&general_stat, 0, sizeof general_stat);
        quick.fill_stat(now_, quick_stat);
        general.fill_stat(now_, general_stat);
        ASSERT_EQ(quick.state(), general.state());
        EXPECT_EQ(std::memcmp(&quick_stat, &general_stat, sizeof quick_stat), 0) << "figures";
        EXPECT_EQ(quick.is_waking(), general.is_waking());
        EXPECT_EQ(quick.effective(), general.effective());
        EXPECT_EQ(quick.statistics().runtime, general.statistics().runtime);
        EXPECT_EQ(quick.statistics().wait_max, general.statistics().wait_max);
        EXPECT_EQ(quick.statistics().wake_latency_max, general.statistics().wake_latency_max);
        const Entity::Position& a = quick.position();
        const Entity::Position& b = general.position();
        if (quick.state() == TaskState::Dead) {
            return;
        }
        EXPECT_EQ(a.weight, b.weight);
        EXPECT_EQ(a.vt, b.vt);
        EXPECT_EQ(a.carry, b.carry);
        if (quick.is_on_queue()) {
            const QosClass qos_class = quick.effective();
            EXPECT_EQ(a.deadline, b.deadline);
            EXPECT_EQ(a.request_end, b.request_end);
            EXPECT_EQ(a.fresh, b.fresh);
            EXPECT_EQ(a.pace, b.pace);
            EXPECT_EQ(a.is_whole, b.is_whole);
            EXPECT_EQ(quick_.queue.queue(qos_class).global_of(quick),
                      general_.queue.queue(qos_class).global_of(general));
            EXPECT_EQ(quick_.queue.lag(quick), general_.queue.lag(general));
        } else {
            EXPECT_EQ(a.has_global, b.has_global);
            EXPECT_EQ(a.lag, b.lag);
            EXPECT_EQ(a.global, b.global);
            EXPECT_EQ(a.epoch, b.epoch);
            EXPECT_EQ(a.frame, b.frame);
        }
    }

    const Side& quick_;
    const Side& general_;
    Instant now_;
};

}  // namespace

void expect_alike(const Side& quick, const Side& general, Instant now) {
    Comparison{quick, general, now}.compare();
}

}  // namespace sched_test
