// SPDX-License-Identifier: MIT
// An auditor that cannot fail proves nothing: everything it says about a queue is made untrue once, behind
// the queue's back, and the auditor names the rule that is broken and on whom.
#include "sched/auditor.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::Auditor;
using kernel::sched::Budget;
using kernel::sched::ClassQueue;
using kernel::sched::Group;
using kernel::sched::VirtualSpan;
using enum QosClass;

// A private member by name: an explicit instantiation may name it, and hands it to a function that is found
// by its tag.
template <class Tag, auto Member>
struct Reveal {
    friend constexpr auto member(Tag) { return Member; }
};
#define REVEAL(owner, name)                           \
    struct owner##_##name {                           \
        friend constexpr auto member(owner##_##name); \
    };                                                \
    template struct Reveal<owner##_##name, &owner::name>

REVEAL(Entity, state_);
REVEAL(Entity, cpu_);
REVEAL(Entity, position_);
REVEAL(Entity, effective_);
REVEAL(Entity, granted_);
REVEAL(Entity, release_at_);
REVEAL(Entity, is_donated_);
REVEAL(Entity, budget_);
REVEAL(Entity, group_);
REVEAL(Entity, group_weight_);
REVEAL(Entity, node_);
REVEAL(RunQueue, idle_);
REVEAL(RunQueue, current_);
REVEAL(RunQueue, runnable_);
REVEAL(RunQueue, faults_);
REVEAL(ClassQueue, running_);
REVEAL(ClassQueue, sum_weight_);
REVEAL(ClassQueue, weighted_sum_);
REVEAL(ClassQueue, pace_sum_);
REVEAL(ClassQueue, progress_sum_);
REVEAL(ClassQueue, base_);
REVEAL(ClassQueue, masks_);
REVEAL(ClassQueue, waiting_);
REVEAL(RunQueue, throttled_);
#undef REVEAL
struct WaitingSize {
    friend constexpr auto member(WaitingSize);
};
template struct Reveal<WaitingSize, &ClassQueue::Tree::size_>;
struct NodeHeight {
    friend constexpr auto member(NodeHeight);
};
template struct Reveal<NodeHeight, &kernel::AvlNode<Entity>::height_>;
struct ThrottledSize {
    friend constexpr auto member(ThrottledSize);
};
template struct Reveal<ThrottledSize, &RunQueue::ThrottledTree::size_>;

// One hart: `running`, three that wait behind it, and two without budget.
class AuditorTest : public testing::Test {
  protected:
    AuditorTest() {
        machine.audit_every_step(false);
        budget.configure({.runtime = 1_ms, .period = 100_ms}, Instant{});
        other_budget.configure({.runtime = 2_ms, .period = 200_ms}, Instant{});
        machine.set_budget(capped, &budget);
        machine.set_budget(capped_longer, &other_budget);
        machine.run_for(60_ms);
        waiting = queue.queue(Normal).waiting().first();
    }
    void SetUp() override {
        ASSERT_EQ(queue.throttled(), 2U);
        ASSERT_NE(queue.current(), nullptr);
        ASSERT_EQ(queue.queue(Normal).waiting().size(), 3U);
        ASSERT_EQ(broken(), "") << "nothing is wrong yet";
    }
    void TearDown() override { EXPECT_EQ(broken(), "") << "all is right again"; }

    // The rule that is broken, "S3", or "".
    std::string broken(std::uint32_t max_entities = Auditor::kUnbounded) {
        const auto violation = Auditor::check(queue, max_entities);
        named = violation.entity;
        const std::string whole{violation.found() ? violation.rule : ""};
        return whole.substr(0, whole.find(':'));
    }
    // The rule that is broken while `place` is `value`.
    template <class Place, class Value>
    std::string broken_with(Place& place, const Value& value,
                            std::uint32_t max_entities = Auditor::kUnbounded) {
        const Place before = std::exchange(place, Place(value));
        std::string rule = broken(max_entities);
        place = before;
        return rule;
    }
    Entity& running() { return *queue.current(); }
    ClassQueue& normal() { return const_cast<ClassQueue&>(queue.queue(Normal)); }
    Entity::Position& position_of(Entity& entity) { return entity.*member(Entity_position_{}); }

    Machine machine;
    RunQueue& queue{machine.queue()};
    Budget budget;
    Budget other_budget;
    Task& capped{machine.add_hog(Normal, 100)};
    Task& capped_longer{machine.add_hog(Normal, 100)};
    std::array<Task*, 4> hogs{&machine.add_hog(Normal, 100), &machine.add_hog(Normal, 100),
                              &machine.add_hog(Normal, 100), &machine.add_hog(Normal, 300)};
    Entity* waiting{nullptr};
    const Entity* named{nullptr};
};

TEST_F(AuditorTest, TheHartsTime) {
    Duration& idle = queue.*member(RunQueue_idle_{});
    EXPECT_EQ(broken_with(idle, idle + 1_ns), "S7");
    EXPECT_EQ(broken_with(idle, idle - 1_ns), "S7");
    // The fault that has it lose time is planted to be found by others.
    Faults& faults = queue.*member(RunQueue_faults_{});
    faults.lose_time = true;
    EXPECT_EQ(broken_with(idle, idle + 1_ns), "");
    faults.lose_time = false;
}

TEST_F(AuditorTest, TheOneThatRuns) {
    Entity& entity = running();
    EXPECT_EQ(broken_with(entity.*member(Entity_state_{}), TaskState::Queued), "S1");
    EXPECT_EQ(named, &entity);
    EXPECT_EQ(broken_with(entity.*member(Entity_cpu_{}), CpuId{1}), "S1");
    EXPECT_EQ(named, &entity);
    EXPECT_EQ(broken_with(entity.attributes.qos_class, Interactive), "S23");
    EXPECT_EQ(named, &entity);
    EXPECT_EQ(broken_with(entity.attributes.shares, 99U), "S6");
    EXPECT_EQ(named, &entity);
    EXPECT_EQ(broken_with(normal().*member(ClassQueue_running_{}), nullptr), "S1");
    auto& interactive = const_cast<ClassQueue&>(queue.queue(Interactive));
    EXPECT_EQ(broken_with(interactive.*member(ClassQueue_running_{}), &entity), "S1");
    EXPECT_EQ(named, &entity);
    EXPECT_EQ(broken_with(queue.*member(RunQueue_current_{}), nullptr), "S1");
}

// Too high, or leaning to one side.
TEST_F(AuditorTest, TheBalanceOfTheTree) {
    for (Entity* entity = waiting; entity != nullptr; entity = ClassQueue::Tree::next(*entity)) {
        auto& height = (entity->*member(Entity_node_{})).*member(NodeHeight{});
        EXPECT_EQ(broken_with(height, height + 1), "S2");
        EXPECT_EQ(broken_with(height, height + 2), "S2");
    }
}

TEST_F(AuditorTest, HowManyThereAre) {
    auto& runnable = queue.*member(RunQueue_runnable_{});
    EXPECT_EQ(runnable, 4U);
    EXPECT_EQ(broken_with(runnable, 3U), "S5");
    EXPECT_EQ(broken_with(runnable, 5U), "S5");
}

TEST_F(AuditorTest, OneThatWaits) {
    for (Entity* entity = waiting; entity != nullptr; entity = ClassQueue::Tree::next(*entity)) {
        Entity::Position& position = position_of(*entity);
        EXPECT_EQ(broken_with(entity->*member(Entity_state_{}), TaskState::Blocked), "S1");
        EXPECT_EQ(named, entity);
        EXPECT_EQ(broken_with(entity->*member(Entity_cpu_{}), CpuId{1}), "S1");
        EXPECT_EQ(named, entity);
        EXPECT_EQ(broken_with(entity->attributes.qos_class, Interactive), "S23");
        EXPECT_EQ(named, entity);
        const auto both = std::exchange(entity->attributes.qos_class, Interactive);
        EXPECT_EQ(broken_with(entity->*member(Entity_effective_{}), Interactive), "S1") << "of another class";
        EXPECT_EQ(named, entity);
        entity->attributes.qos_class = both;
        EXPECT_EQ(broken_with(entity->attributes.affinity_effective, CpuMask::from_bits(0b10)), "S4");
        EXPECT_EQ(named, entity);
        using Tree = ClassQueue::Tree;
        const bool is_leaf = Tree::left(*entity) == nullptr && Tree::right(*entity) == nullptr;
        EXPECT_EQ(broken_with(entity->attributes.affinity_effective, CpuMask::from_bits(0b11)),
                  is_leaf ? "S2" : "");  // those below it may still run anywhere
        EXPECT_EQ(broken_with(entity->attributes.shares, 200U), "S6");
        EXPECT_EQ(named, entity);
        EXPECT_EQ(broken_with(entity->*member(Entity_granted_{}), 1_ns), "S24");
        EXPECT_EQ(named, entity);
        EXPECT_EQ(broken_with(position.min_vt, position.min_vt + 1), "S2");
        EXPECT_EQ(broken_with(position.min_vt, position.min_vt + -1), "S2");
        EXPECT_EQ(broken_with(position.weights, kernel::sched::WeightRange{1}), "S2");
        EXPECT_EQ(broken_with(position.any_allowed, CpuMask{}), "S2");
        EXPECT_EQ(broken_with(position.request_end, position.vt), "S8");
        EXPECT_EQ(broken_with(position.request_end, position.vt + -1), "S8");
        EXPECT_EQ(named, entity);
        EXPECT_EQ(broken_with(position.request_end, position.vt + 1), "");
        EXPECT_EQ(broken_with(position.request_end, position.vt + (VirtualSpan{1} << 50U)), "S8");
    }
}

TEST_F(AuditorTest, TheOrderOfThoseThatWait) {
    Entity* second = ClassQueue::Tree::next(*waiting);
    Entity::Position& position = position_of(*second);
    EXPECT_EQ(broken_with(position.deadline, waiting->position().deadline + -1), "S2");
    EXPECT_EQ(named, second);
    EXPECT_EQ(broken_with(position.deadline, waiting->position().deadline), "") << "first come, first served";
}

TEST_F(AuditorTest, TheSizesOfTheTrees) {
    auto& waiting_size = (normal().*member(ClassQueue_waiting_{})).*member(WaitingSize{});
    EXPECT_EQ(broken_with(waiting_size, 2U), "S2");
    EXPECT_EQ(broken_with(waiting_size, 4U), "S2");
    EXPECT_EQ(broken_with(waiting_size, 4U, 2), "S5") << "not all of them are looked at";
    auto& throttled_size = (queue.*member(RunQueue_throttled_{})).*member(ThrottledSize{});
    EXPECT_EQ(broken_with(throttled_size, 1U), "S24");
    EXPECT_EQ(broken_with(throttled_size, 3U), "S24");
}

TEST_F(AuditorTest, TheSumsOfAClass) {
    const auto expect_exact = [&](auto& sum) {
        EXPECT_EQ(broken_with(sum, sum + 1), "S3");
        EXPECT_EQ(broken_with(sum, sum - 1), "S3");
    };
    expect_exact(normal().*member(ClassQueue_sum_weight_{}));
    expect_exact(normal().*member(ClassQueue_weighted_sum_{}));
    expect_exact(normal().*member(ClassQueue_pace_sum_{}));
    expect_exact(normal().*member(ClassQueue_progress_sum_{}));
    auto& base = normal().*member(ClassQueue_base_{});
    EXPECT_EQ(broken_with(base, base + 1), "S3");
    auto& masks = normal().*member(ClassQueue_masks_{});
    const std::uint8_t place = masks.join(CpuMask::all(), 16);
    EXPECT_EQ(broken(), "S3");
    masks.leave(place, 16);
}

// What a debug kernel can afford: the first few of each class, and no word on what only all of them show.
TEST_F(AuditorTest, ABoundIsKeptTo) {
    auto& sum = normal().*member(ClassQueue_sum_weight_{});
    EXPECT_EQ(broken_with(sum, sum + 1, 2), "");
    EXPECT_EQ(broken_with(sum, sum + 1, 3), "S3") << "that is all of them";
    Entity* second = ClassQueue::Tree::next(*waiting);
    Entity* third = ClassQueue::Tree::next(*second);
    EXPECT_EQ(broken_with(second->*member(Entity_granted_{}), 1_ns, 2), "S24");
    EXPECT_EQ(broken_with(third->*member(Entity_granted_{}), 1_ns, 2), "");
    EXPECT_EQ(broken_with(third->*member(Entity_granted_{}), 1_ns, 3), "S24");
    EXPECT_EQ(broken_with(capped.entity.*member(Entity_granted_{}), 1_ns, 1), "S24");
    EXPECT_EQ(broken_with(capped_longer.entity.*member(Entity_granted_{}), 1_ns, 1), "");
}

TEST_F(AuditorTest, OneWithoutBudget) {
    for (Entity* entity :
         {static_cast<Entity*>(&capped.entity), static_cast<Entity*>(&capped_longer.entity)}) {
        ASSERT_EQ(entity->state(), TaskState::Throttled);
        EXPECT_EQ(broken_with(entity->*member(Entity_state_{}), TaskState::Queued), "S1");
        EXPECT_EQ(named, entity);
        EXPECT_EQ(broken_with(entity->*member(Entity_cpu_{}), CpuId{1}), "S1");
        EXPECT_EQ(broken_with(entity->attributes.affinity_effective, CpuMask::from_bits(0b10)), "S4");
        EXPECT_EQ(named, entity);
        EXPECT_EQ(broken_with(entity->*member(Entity_budget_{}), nullptr), "S24");
        EXPECT_EQ(broken_with(entity->*member(Entity_is_donated_{}), true), "S24");
        EXPECT_EQ(named, entity);
        EXPECT_EQ(broken_with(entity->*member(Entity_granted_{}), 1_ns), "S24");
        EXPECT_EQ(broken_with(entity->*member(Entity_group_weight_{}), 1600U), "S24");
        EXPECT_EQ(broken_with(entity->*member(Entity_release_at_{}), Instant::never()), "S24");
        EXPECT_EQ(named, entity);
    }
    Instant& first = capped.entity.*member(Entity_release_at_{});
    Instant& later = capped_longer.entity.*member(Entity_release_at_{});
    ASSERT_LT(first, later);
    EXPECT_EQ(broken_with(later, first - 1_ns), "S24");
    EXPECT_EQ(broken_with(later, first), "");
}

// A ceiling lowers what a member weighs, now and then, and never below the least share. (The sums are next to
// be looked at, and no longer those of this weight.)
TEST_F(AuditorTest, TheWeightOfAGroupsMember) {
    Group group;
    Entity& entity = running();
    std::uint32_t& weight = position_of(entity).weight;
    const std::uint32_t own = weight;
    EXPECT_EQ(broken_with(weight, own - 1), "S6") << "without a group it is exact";
    entity.*member(Entity_group_{}) = &group;
    EXPECT_EQ(broken(), "S6") << "not counted in its group";
    const auto counted = std::exchange(entity.*member(Entity_group_weight_{}), own);
    EXPECT_EQ(broken(), "");
    EXPECT_EQ(broken_with(weight, own - 1), "S3");
    EXPECT_EQ(broken_with(weight, kernel::sched::kWeightPerShare), "S3");
    EXPECT_EQ(broken_with(weight, kernel::sched::kWeightPerShare - 1), "S6");
    EXPECT_EQ(broken_with(weight, own + 1), "S6");
    entity.*member(Entity_group_weight_{}) = counted;
    entity.*member(Entity_group_{}) = nullptr;
}

}  // namespace
}  // namespace sched_test
