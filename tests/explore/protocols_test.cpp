// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "task/short_cuts.hpp"
#include "world.hpp"

namespace explore {
namespace {

using kernel::CpuMask;

constexpr CpuMask kHart0 = CpuMask::from_bits(1);
constexpr CpuMask kHart1 = CpuMask::from_bits(2);
constexpr CpuMask kHart2 = CpuMask::from_bits(4);

void expect_none(std::uint32_t harts, const std::function<void(World&)>& build, const Bounds& bounds) {
    const Outcome outcome = explore_world(harts, build, bounds);
    ::testing::Test::RecordProperty("executions", std::to_string(outcome.executions));
    std::string trace;
    for (const std::string& line : outcome.trace) {
        trace += "  " + line + "\n";
    }
    EXPECT_EQ(outcome.violation, "") << trace;
    EXPECT_TRUE(outcome.complete) << "after " << outcome.executions << " executions";
    std::printf("%llu executions, %llu steps%s\n", static_cast<unsigned long long>(outcome.executions),
                static_cast<unsigned long long>(outcome.steps), outcome.complete ? ", complete" : "");
}

// The bounds: two preemptions cover every pair of steps of two protocols; with three harts one does, plus
// random schedules.
constexpr Bounds kTwoHarts{.deviations = 2, .executions = 60'000, .samples = 2'000};
// What goes wrong takes three preemptions: random schedules have to come across it.
constexpr Bounds kTwoHartsDeep{.deviations = 2, .executions = 60'000, .samples = 12'000};
// Two harts, but several times as many steps.
constexpr Bounds kLongPath{.deviations = 1, .executions = 60'000, .samples = 4'000};
constexpr Bounds kThreeHarts{.deviations = 1, .executions = 60'000, .samples = 4'000};

void sleep_and_wake(World& world) {
    Semaphore& semaphore = world.add_semaphore();
    Actor& sleeper = world.add("sleeper", 0, kHart0);
    Actor& waker = world.add("waker", 1, kHart1);
    sleeper.calls = {World::down(semaphore), World::down(semaphore)};
    waker.calls = {World::up(semaphore), World::up(semaphore)};
}

TEST(Explore, WakeAgainstBlock) {
    expect_none(2, sleep_and_wake, kTwoHarts);
}

// The sleeper leaves its hart at once: else so many deviations end while the hart lingers with it.
TEST(Explore, WakeAgainstBlockWithoutLingering) {
    expect_none(
        2,
        [](World& world) {
            kernel::task::allow_short_cuts(false);
            sleep_and_wake(world);
        },
        kTwoHarts);
}

// Who was woken waits for something else at once: the end of its first wait must be over by then. Two queues,
// or the lock of the one would keep the two apart.
TEST(Explore, WakeOfATaskThatWaitsAgainAtOnce) {
    expect_none(
        2,
        [](World& world) {
            Semaphore& first = world.add_semaphore();
            Semaphore& second = world.add_semaphore();
            Actor& sleeper = world.add("sleeper", 0, kHart0);
            Actor& waker = world.add("waker", 1, kHart1);
            sleeper.calls = {World::down(first), World::down(second)};
            waker.calls = {World::up(first), World::up(second)};
        },
        kTwoHarts);
}

TEST(Explore, WakeAgainstWakeOfOneIdleHart) {
    expect_none(
        3,
        [](World& world) {
            Semaphore& first = world.add_semaphore();
            Semaphore& second = world.add_semaphore();
            Actor& sleeper1 = world.add("sleeper1", 2, kHart2);
            Actor& sleeper2 = world.add("sleeper2", 2, kHart2);
            Actor& waker1 = world.add("waker1", 0, kHart0);
            Actor& waker2 = world.add("waker2", 1, kHart1);
            sleeper1.calls = {World::down(first)};
            sleeper2.calls = {World::down(second)};
            waker1.calls = {World::up(first)};
            waker2.calls = {World::up(second)};
        },
        kThreeHarts);
}

TEST(Explore, WakeTowardsAnyIdleHart) {
    expect_none(
        3,
        [](World& world) {
            Semaphore& first = world.add_semaphore();
            Semaphore& second = world.add_semaphore();
            Actor& sleeper1 = world.add("sleeper1", 0);
            Actor& sleeper2 = world.add("sleeper2", 0);
            Actor& waker1 = world.add("waker1", 0, kHart0);
            Actor& waker2 = world.add("waker2", 1, kHart1);
            sleeper1.calls = {World::down(first)};
            sleeper2.calls = {World::down(second)};
            waker1.calls = {World::up(first), World::yield()};
            waker2.calls = {World::up(second), World::yield()};
        },
        kThreeHarts);
}

TEST(Explore, EvictionOfARunningTask) {
    expect_none(
        2,
        [](World& world) {
            Actor& hog = world.add("hog", 0, kHart0 | kHart1);
            hog.spins = true;
            Actor& setter = world.add("setter", 1, kHart1);
            setter.calls = {World::set_mask(hog, kHart0), World::set_mask(hog, kHart1),
                            World::set_mask(hog, kHart0)};
        },
        kTwoHarts);
}

TEST(Explore, EvictionAgainstEviction) {
    expect_none(
        2,
        [](World& world) {
            Actor& first = world.add("first", 0, kHart0);
            Actor& second = world.add("second", 1, kHart1);
            first.calls = {World::set_mask(second, kHart0), World::yield()};
            second.calls = {World::set_mask(first, kHart1), World::yield()};
        },
        kTwoHarts);
}

TEST(Explore, TwoSettersOfOneTask) {
    expect_none(
        3,
        [](World& world) {
            Actor& hog = world.add("hog", 2);
            hog.spins = true;
            Actor& setter1 = world.add("setter1", 0, kHart0);
            Actor& setter2 = world.add("setter2", 1, kHart1);
            setter1.calls = {World::set_mask(hog, kHart0)};
            setter2.calls = {World::set_mask(hog, kHart1)};
        },
        kThreeHarts);
}

TEST(Explore, SetMaskAgainstWake) {
    expect_none(
        3,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& sleeper = world.add("sleeper", 2, kHart0 | kHart2);
            Actor& waker = world.add("waker", 0, kHart0);
            Actor& setter = world.add("setter", 1, kHart1);
            sleeper.calls = {World::down(semaphore), World::yield()};
            waker.calls = {World::up(semaphore)};
            setter.calls = {World::set_mask(sleeper, kHart0), World::set_mask(sleeper, kHart2)};
        },
        kThreeHarts);
}

TEST(Explore, SetMaskOnSelf) {
    expect_none(
        2,
        [](World& world) {
            Actor& mover = world.add("mover", 0);
            Actor& other = world.add("other", 1);
            mover.calls = {World::set_mask(mover, kHart1), World::set_mask(mover, kHart0)};
            other.calls = {World::yield(), World::set_mask(mover, kHart0 | kHart1)};
        },
        kTwoHarts);
}

TEST(Explore, WorkReachesAnIdleHart) {
    expect_none(
        2,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& sleeper = world.add("sleeper", 0);
            Actor& waker = world.add("waker", 0, kHart0);
            sleeper.calls = {World::down(semaphore)};
            waker.calls = {World::up(semaphore)};
            sleeper.spins = waker.spins = true;
        },
        kTwoHarts);
}

// Who preempts stays where it is; the preempted one may run on the other hart, which has nothing to do.
TEST(Explore, PreemptedTaskReachesAnIdleHart) {
    expect_none(
        2,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& sleeper = world.add("sleeper", 0, kHart0, kernel::sched::QosClass::Interactive);
            Actor& free = world.add("free", 0);
            Actor& waker = world.add("waker", 1, kHart1);
            sleeper.calls = {World::down(semaphore)};
            waker.calls = {World::yield(), World::up(semaphore)};
            sleeper.spins = free.spins = true;
        },
        kTwoHartsDeep);
}

TEST(Explore, StealAgainstExit) {
    expect_none(
        2,
        [](World& world) {
            for (const char* name : {"a", "b", "c"}) {
                Actor& task = world.add(name, 0);
                task.calls = {World::yield()};
            }
        },
        kTwoHarts);
}

// Whoever works out the paces locks one hart after the other, while tasks come and go there.
TEST(Explore, PacesWhileTasksMove) {
    expect_none(
        2,
        [](World& world) {
            World::find_paces();
            world.add("pinned", 0, kHart0).calls = {World::yield()};
            Actor& heavy = world.add("heavy", 0);
            heavy.calls = {World::set_shares(heavy, 1000)};
            world.add("free", 1).calls = {World::yield()};
        },
        kLongPath);
}

TEST(Explore, StealAgainstSetMask) {
    expect_none(
        2,
        [](World& world) {
            Actor& hog = world.add("hog", 0, kHart0);
            hog.spins = true;
            Actor& free = world.add("free", 0);
            free.calls = {World::yield(), World::yield()};
            Actor& setter = world.add("setter", 1);
            setter.calls = {World::set_mask(free, kHart0), World::set_mask(free, kHart1)};
        },
        kTwoHarts);
}

TEST(Explore, KillAgainstBlock) {
    expect_none(
        2,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& victim = world.add("victim", 0, kHart0);
            Actor& killer = world.add("killer", 1, kHart1);
            victim.calls = {World::down(semaphore)};
            killer.calls = {World::kill(victim)};
        },
        kTwoHarts);
}

TEST(Explore, KillAgainstWake) {
    expect_none(
        3,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& victim = world.add("victim", 0, kHart0);
            Actor& killer = world.add("killer", 1, kHart1);
            Actor& waker = world.add("waker", 2, kHart2);
            victim.calls = {World::down(semaphore), World::down(semaphore)};
            killer.calls = {World::kill(victim)};
            waker.calls = {World::up(semaphore)};
        },
        kThreeHarts);
}

TEST(Explore, KillOfASetterThatWaits) {
    expect_none(
        3,
        [](World& world) {
            Actor& hog = world.add("hog", 0);
            hog.spins = true;
            Actor& setter = world.add("setter", 1, kHart1);
            Actor& killer = world.add("killer", 2, kHart2);
            setter.calls = {World::set_mask(hog, kHart2 | kHart1)};
            killer.calls = {World::kill(setter)};
        },
        kThreeHarts);
}

TEST(Explore, TimeoutAgainstWake) {
    expect_none(
        2,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& sleeper = world.add("sleeper", 0, kHart0);
            Actor& waker = world.add("waker", 1, kHart1);
            sleeper.calls = {World::down_until(semaphore, kernel::Duration::milliseconds(1))};
            waker.calls = {World::up(semaphore)};
        },
        kTwoHarts);
}

TEST(Explore, TwoDeadlinesInARow) {
    expect_none(
        2,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& sleeper = world.add("sleeper", 0, kHart0);
            Actor& waker = world.add("waker", 1, kHart1);
            sleeper.calls = {World::down_until(semaphore, kernel::Duration::milliseconds(2)),
                             World::down_until(semaphore, kernel::Duration::milliseconds(1))};
            waker.calls = {World::up(semaphore)};
        },
        kTwoHarts);
}

TEST(Explore, TimeoutOfATaskThatMovedOn) {
    expect_none(
        2,
        [](World& world) {
            Actor& sleeper = world.add("sleeper", 0);
            Actor& setter = world.add("setter", 1, kHart1);
            sleeper.calls = {World::sleep(kernel::Duration::milliseconds(1)),
                             World::sleep(kernel::Duration::milliseconds(1))};
            setter.calls = {World::set_mask(sleeper, kHart1), World::set_mask(sleeper, kHart0)};
        },
        kTwoHarts);
}

TEST(Explore, ClassAndSharesOfATaskOnTheMove) {
    expect_none(
        3,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& target = world.add("target", 2);
            Actor& waker = world.add("waker", 0, kHart0);
            Actor& setter = world.add("setter", 1, kHart1);
            target.calls = {World::down(semaphore), World::yield()};
            waker.calls = {World::up(semaphore)};
            setter.calls = {World::set_class(target, kernel::sched::QosClass::Idle),
                            World::set_shares(target, 1000)};
        },
        kThreeHarts);
}

TEST(Explore, OfflineAgainstWake) {
    expect_none(
        3,
        [](World& world) {
            Semaphore& semaphore = world.add_semaphore();
            Actor& sleeper = world.add("sleeper", 1, kHart1);
            Actor& waker = world.add("waker", 0, kHart0);
            Actor& operating = world.add("operator", 2, kHart2);
            sleeper.calls = {World::down(semaphore), World::yield()};
            waker.calls = {World::up(semaphore)};
            operating.calls = {World::set_online(1, false)};
        },
        kThreeHarts);
}

TEST(Explore, OfflineOfABusyHart) {
    expect_none(
        2,
        [](World& world) {
            Actor& pinned = world.add("pinned", 1, kHart1);
            Actor& free = world.add("free", 1);
            Actor& operating = world.add("operator", 0, kHart0);
            pinned.calls = {World::yield()};
            pinned.spins = free.spins = true;
            operating.calls = {World::set_online(1, false), World::set_online(1, true)};
            world.at_end = [](World& after) {
                if (after.actors().front().task->home() != kernel::CpuId{1}) {
                    fail("pinned did not return to its hart");
                }
            };
        },
        kLongPath);
}

TEST(Explore, OfflineOfTheCallersHart) {
    expect_none(
        2,
        [](World& world) {
            Actor& operating = world.add("operator", 1);
            Actor& other = world.add("other", 1);
            operating.calls = {World::set_online(1, false), World::yield(), World::set_online(1, true)};
            other.calls = {World::yield(), World::yield()};
        },
        kLongPath);
}

// One of the two is refused: somebody has to run them.
TEST(Explore, OfflineAgainstOffline) {
    expect_none(
        2,
        [](World& world) {
            Actor& first = world.add("first", 0);
            Actor& second = world.add("second", 1);
            first.calls = {World::set_online(1, false)};
            second.calls = {World::set_online(0, false)};
        },
        kTwoHarts);
}

TEST(Explore, OfflineAgainstOnline) {
    expect_none(
        3,
        [](World& world) {
            Actor& first = world.add("first", 0, kHart0);
            Actor& second = world.add("second", 1, kHart1);
            Actor& free = world.add("free", 2);
            first.calls = {World::set_online(2, false)};
            second.calls = {World::set_online(2, true)};
            free.calls = {World::yield()};
        },
        kThreeHarts);
}

TEST(Explore, OfflineAgainstSetMask) {
    expect_none(
        3,
        [](World& world) {
            Actor& hog = world.add("hog", 2);
            hog.spins = true;
            Actor& setter = world.add("setter", 0, kHart0);
            Actor& operating = world.add("operator", 1, kHart1);
            setter.calls = {World::set_mask(hog, kHart2)};
            operating.calls = {World::set_online(2, false)};
        },
        kThreeHarts);
}

}  // namespace
}  // namespace explore
