// SPDX-License-Identifier: MIT
#include "sched/placement.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::class_at;
using kernel::sched::HartLoad;
using kernel::sched::Placement;
using kernel::sched::PlacementRequest;
using enum QosClass;

HartLoad running(QosClass qos_class, std::uint32_t weight) {
    HartLoad load;
    load.running_class = static_cast<std::uint8_t>(qos_class);
    load.runnable = 1;
    load.weight[kernel::sched::index_of(qos_class)] = weight;
    return load;
}

class Select : public testing::Test {
  protected:
    Placement select(std::uint64_t idle = 0) {
        probes = 0;
        return kernel::sched::select_cpu(request, CpuMask::from_bits(idle), [this](CpuId cpu) {
            ++probes;
            EXPECT_TRUE(request.allowed.contains(cpu));
            return loads[cpu.value()];
        });
    }
    PlacementRequest request{
        .allowed = CpuMask::first(4), .prefer = {}, .last = CpuId{1}, .effective = Normal};
    std::vector<HartLoad> loads = std::vector<HartLoad>(64, running(Normal, 1600));
    std::uint32_t probes{0};
};

TEST_F(Select, TheLastHartIfIdle) {
    const Placement placement = select(0b1111);
    EXPECT_EQ(placement.cpu, CpuId{1});
    EXPECT_TRUE(placement.is_idle);
    EXPECT_EQ(probes, 0U);
}

TEST_F(Select, ThenTheNextIdleAfterIt) {
    EXPECT_EQ(select(0b1001).cpu, CpuId{3});
    EXPECT_EQ(select(0b0001).cpu, CpuId{0});
}

TEST_F(Select, AnIdleHartOutsideTheMaskDoesNotExist) {
    request.allowed = CpuMask::from_bits(0b0110);
    const Placement placement = select(0b1001);
    EXPECT_FALSE(placement.is_idle);
    EXPECT_TRUE(request.allowed.contains(placement.cpu));
}

TEST_F(Select, APreferredIdleHartComesFirst) {
    request.prefer = CpuMask::from_bits(0b1000);
    EXPECT_EQ(select(0b1111).cpu, CpuId{3});
    EXPECT_EQ(select(0b0111).cpu, CpuId{1});  // preferred is not pinned: any idle hart beats waiting
}

TEST_F(Select, ThenTheHartThatRunsTheLowestClassBelow) {
    loads[0] = running(Interactive, 1600);
    loads[2] = running(Normal, 1600);
    loads[3] = running(Idle, 1600);
    request.effective = Interactive;
    EXPECT_EQ(select().cpu, CpuId{3});
    loads[3] = running(Interactive, 1600);
    EXPECT_EQ(select().cpu, CpuId{1});  // Normal there, on the last hart
}

TEST_F(Select, ThenTheLeastCompetingLoad) {
    loads[2] = running(Normal, 800);
    EXPECT_EQ(select().cpu, CpuId{2});
    loads[2].weight[kernel::sched::index_of(Interactive)] = 1600;  // competes four times as hard
    EXPECT_EQ(select().cpu, CpuId{1});
    loads[3].weight[kernel::sched::index_of(Idle)] = 160'000;  // does not compete with Normal
    loads[3].weight[kernel::sched::index_of(Normal)] = 1584;
    EXPECT_EQ(select().cpu, CpuId{3});
}

TEST_F(Select, ALowerClassRunningInItsTurnIsNoInvitation) {
    loads[3] = running(Idle, 1600);
    loads[3].weight[kernel::sched::index_of(Normal)] = 16'000;  // ten wait there
    EXPECT_EQ(select().cpu, CpuId{1});
}

TEST_F(Select, ProbesAreBounded) {
    request.allowed = CpuMask::all();
    request.last = CpuId{60};
    loads[30] = running(Normal, 1);  // beyond the horizon
    const Placement placement = select();
    EXPECT_EQ(probes, kernel::sched::kPlacementProbes);
    EXPECT_EQ(placement.cpu, CpuId{60});
}

TEST_F(Select, ALastHartThatIsNoLongerAllowed) {
    request.last = CpuId{7};
    EXPECT_TRUE(request.allowed.contains(select().cpu));
    EXPECT_EQ(select(0b0100).cpu, CpuId{2});
}

TEST(PlacementRequestOf, UsesTheEffectiveMaskAndClass) {
    Attributes attributes = make(PerfBurst, 100, CpuMask::from_bits(0b110));
    attributes.affinity_prefer = CpuMask::from_bits(0b10);
    const CpuMask online = CpuMask::first(2);
    auto request = kernel::sched::placement_request(attributes, Interactive, CpuId{0}, online);
    EXPECT_EQ(request.allowed.bits(), 0b10U);
    EXPECT_TRUE(request.prefer.empty());  // policy Pin
    EXPECT_EQ(request.effective, Interactive);
    attributes.policy = nexus_abi::AffinityPolicy::Prefer;
    request = kernel::sched::placement_request(attributes, Interactive, CpuId{0}, online,
                                               Faults{.ignore_affinity = true});
    EXPECT_EQ(request.prefer.bits(), 0b10U);
    EXPECT_EQ(request.allowed, online);
}

TEST(Steal, TakesTheHighestClassThenTheLeastServedThatMay) {
    Machine machine{1};
    machine.add_hog(Normal, 100, CpuMask::first(1));
    Task& pinned = machine.add_hog(Interactive, 100, CpuMask::first(1));
    Task& free = machine.add_hog(Normal, 100);
    machine.run_for(50_ms);
    RunQueue& victim = machine.queue();
    EXPECT_NE(pinned.entity.state(), TaskState::Blocked);
    if (free.entity.state() == TaskState::Running) {
        machine.yield(0);
    }
    EXPECT_EQ(victim.find_stealable(CpuId{1}), &free.entity);
    EXPECT_TRUE(victim.load().offers_work_to(CpuId{1}));
    machine.exit(free);
    EXPECT_EQ(victim.find_stealable(CpuId{1}), nullptr);
    EXPECT_FALSE(victim.load().offers_work_to(CpuId{1}));
}

// Not the next one to run there, but the one that has been served least: it waits longest.
TEST(Steal, TakesTheLeastServed) {
    Machine machine;
    machine.add_hog(Normal, 1000);
    Task& heavy = machine.add_hog(Normal, 1000);
    Task& light = machine.add_hog(Normal, 1);
    machine.run_for(4_ms);
    ASSERT_EQ(heavy.entity.state(), TaskState::Running);
    Task& latest = machine.add_hog(Interactive, 100, CpuMask::first(1));
    ASSERT_EQ(latest.entity.state(), TaskState::Running);
    ASSERT_EQ(machine.queue().queue(Normal).best(), &heavy.entity);
    EXPECT_EQ(machine.queue().find_stealable(CpuId{1}), &light.entity);
}

// One movable task among 500 pinned ones, wherever it stands in the order: it is found, and its kind only.
TEST(Steal, FindsTheNeedle) {
    for (std::uint32_t position = 0; position < 500; position += 83) {
        Machine machine{1};
        Task* needle = nullptr;
        for (std::uint32_t i = 0; i < 500; ++i) {
            Task& task = machine.add_hog(Normal, 1 + (i * 37) % 1000,
                                         i == position ? CpuMask::first(2) : CpuMask::first(1));
            needle = i == position ? &task : needle;
        }
        ASSERT_NE(needle, nullptr);
        if (needle->entity.state() == TaskState::Running) {
            machine.yield(0);
        }
        EXPECT_EQ(machine.queue().find_stealable(CpuId{1}), &needle->entity);
        EXPECT_EQ(machine.queue().find_stealable(CpuId{2}), nullptr);
    }
}

TEST(MachineWide, IdleHartsAreFilled) {
    Machine machine{4};
    for (int i = 0; i < 4; ++i) {
        machine.add_hog(Normal, 100);
    }
    machine.run_for(1_s);
    for (std::uint32_t hart = 0; hart < 4; ++hart) {
        EXPECT_EQ(machine.queue(hart).idle(), 0_ms);
    }
    EXPECT_EQ(machine.steals(), 0U);
}

TEST(MachineWide, StealingRespectsMasks) {
    Machine machine{4};
    std::vector<Task*> tasks;
    for (int i = 0; i < 8; ++i) {
        tasks.push_back(&machine.add_hog(Normal, 100, CpuMask::first(1)));
    }
    machine.run_for(100_ms);
    EXPECT_EQ(machine.steals(), 0U);
    EXPECT_EQ(machine.queue(1).busy(), 0_ms);
    for (Task* task : tasks) {
        machine.set(*task, make(Normal));
    }
    machine.mark();
    const Duration idle_before = machine.queue(1).idle() + machine.queue(2).idle() + machine.queue(3).idle();
    machine.run_for(100_ms);
    EXPECT_GE(machine.steals(), 3U);
    EXPECT_EQ(machine.queue(1).idle() + machine.queue(2).idle() + machine.queue(3).idle(), idle_before);
    machine.expect_exact_accounts();
}

TEST(MachineWide, TheAffinityFaultIsVisible) {
    Machine machine{2, Faults{.ignore_affinity = true}};
    Task& first = machine.add_hog(Normal, 100, CpuMask::first(1));
    Task& second = machine.add_hog(Normal, 100, CpuMask::first(1));
    machine.run_for(10_ms);
    EXPECT_EQ(first.entity.runtime(machine.now()) + second.entity.runtime(machine.now()), 20_ms);
}

}  // namespace
}  // namespace sched_test
