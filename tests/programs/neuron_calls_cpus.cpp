// SPDX-License-Identifier: MIT
// CPUs that go offline and come back under tasks that run, wait, sleep and are pinned to them. With one CPU,
// only what the call refuses.
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "neuron_checks.hpp"

namespace {

namespace call = nexus_abi::call;
namespace sched = nexus_abi::sched;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;
using nexus_abi::sched_stat;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// For what must happen soon, however slow the machine.
constexpr auto kPatience = 20s;

std::uint64_t online_cpus() {
    return nexus_abi::info().value_or({}).cpus_online;
}

std::uint32_t cpu_count() {
    return static_cast<std::uint32_t>(std::popcount(online_cpus()));
}

std::uint64_t mask_of(std::uint32_t cpu) {
    return std::uint64_t{1} << cpu;
}

sched_stat stat_of(std::int32_t tid) {
    const auto stat = sched::get_stat(tid);
    succeeds("its figures", stat);
    return stat.value_or({});
}

template <class Condition>
bool comes_true(Condition&& condition) {
    const auto end = Clock::now() + kPatience;
    while (!condition()) {
        if (Clock::now() > end) {
            return false;
        }
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

// Threads that compute, or sleep and wake, until they are told to end.
class Crowd {
  public:
    enum class Habit : std::uint8_t { Compute, Nap };

    ~Crowd() {
        ends_ = true;
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }
    // Returns its id, once it is pinned to `cpus`.
    std::int32_t add(Habit habit, std::uint64_t cpus) {
        std::atomic<std::int32_t> tid{0};
        threads_.emplace_back([this, habit, cpus, &tid] {
            succeeds("a mask", sched::set_affinity(sched::kSelf, cpus));
            tid = gettid();
            while (!ends_) {
                if (habit == Habit::Nap) {
                    std::this_thread::sleep_for(300us);
                }
            }
        });
        while (tid == 0) {
            sched_yield();
        }
        tids_.push_back(tid);
        return tid;
    }
    // Time all of them together spent on a CPU so far.
    [[nodiscard]] std::uint64_t time_on(std::uint32_t cpu) const {
        std::uint64_t time = 0;
        for (const std::int32_t tid : tids_) {
            time += stat_of(tid).runtime_by_cpu_ns[cpu];
        }
        return time;
    }

  private:
    std::atomic<bool> ends_{false};
    std::vector<std::thread> threads_;
    std::vector<std::int32_t> tids_;
};

void refuse() {
    const std::uint64_t online = online_cpus();
    const std::uint32_t cpus = cpu_count();
    fails("no such CPU", sched::set_cpu_online(63, false), EINVAL);
    fails("nor that one", call::nexus_cpu_set_online(~std::uint64_t{0}, 0U), EINVAL);
    fails("half online", call::nexus_cpu_set_online(std::uint64_t{0}, 2U), EINVAL);
    succeeds("online already", sched::set_cpu_online(0, true));
    checks::exits("without the right", checks::started("unprivileged", {.rights = 0}), 0);
    for (std::uint32_t cpu = 1; cpu < cpus; ++cpu) {
        succeeds("one goes", sched::set_cpu_online(cpu, false));
        succeeds("is gone", sched::set_cpu_online(cpu, false));
    }
    equal("one is left", static_cast<std::int64_t>(online_cpus()), 1);
    fails("the last one stays", sched::set_cpu_online(0, false), EBUSY);
    for (std::uint32_t cpu = 1; cpu < cpus; ++cpu) {
        succeeds("it comes back", sched::set_cpu_online(cpu, true));
    }
    equal("all are back", static_cast<std::int64_t>(online_cpus()), static_cast<std::int64_t>(online));
}

void be_unprivileged() {
    fails("without the right", sched::set_cpu_online(0, false), EPERM);
    fails("the form comes first", sched::set_cpu_online(63, false), EINVAL);
}

// Tasks of every habit leave a CPU; who was pinned to it may run anywhere and goes back.
void drain() {
    const std::uint64_t online = online_cpus();
    const std::uint32_t last = cpu_count() - 1;
    if (last == 0) {
        return;
    }
    Crowd crowd;
    for (int i = 0; i < 20; ++i) {
        crowd.add(Crowd::Habit::Nap, i % 2 == 0 ? mask_of(last) : online);
        crowd.add(Crowd::Habit::Compute, i % 4 == 0 ? mask_of(last) : online);
    }
    const std::int32_t pinned = crowd.add(Crowd::Habit::Compute, mask_of(last));
    const std::int32_t napping = crowd.add(Crowd::Habit::Nap, mask_of(last));
    truth("they run there", comes_true([&] { return crowd.time_on(last) > 1'000'000; }));
    for (int round = 0; round < 3; ++round) {
        succeeds("it goes", sched::set_cpu_online(last, false));
        const std::uint64_t left = online & ~mask_of(last);
        equal("the online CPUs", static_cast<std::int64_t>(online_cpus()), static_cast<std::int64_t>(left));
        const auto hart = sched::hart_stat(last);
        truth("its own word", hart.ok() && hart->online == 0);
        const std::uint64_t before = crowd.time_on(last);
        std::this_thread::sleep_for(5ms);
        equal("nobody runs there", static_cast<std::int64_t>(crowd.time_on(last) - before), 0);
        for (const std::int32_t tid : {pinned, napping}) {
            const sched_stat stat = stat_of(tid);
            equal("what is left to it", static_cast<std::int64_t>(stat.mask_effective),
                  static_cast<std::int64_t>(left));
            equal("what it asked for", static_cast<std::int64_t>(stat.mask_requested),
                  static_cast<std::int64_t>(mask_of(last)));
            truth("and that it is not that", (stat.flags & nexus_abi::kStatAffinityBroken) != 0);
            const std::uint64_t so_far = stat.runtime_ns;
            truth("it runs all the same", comes_true([&] { return stat_of(tid).runtime_ns > so_far; }));
        }
        fails("nobody is sent there", sched::set_affinity(pinned, mask_of(last)), EINVAL);
        succeeds("it comes back", sched::set_cpu_online(last, true));
        equal("the online CPUs", static_cast<std::int64_t>(online_cpus()), static_cast<std::int64_t>(online));
        for (const std::int32_t tid : {pinned, napping}) {
            truth("it goes back", comes_true([&] { return stat_of(tid).last_cpu == last; }));
            const sched_stat stat = stat_of(tid);
            equal("its mask", static_cast<std::int64_t>(stat.mask_effective),
                  static_cast<std::int64_t>(mask_of(last)));
            truth("unbroken", (stat.flags & nexus_abi::kStatAffinityBroken) == 0);
        }
        const std::uint64_t again = crowd.time_on(last);
        truth("work is done there again",
              comes_true([&] { return crowd.time_on(last) > again + 1'000'000; }));
    }
}

// The caller's own CPU, the first one, which also takes the console's interrupts.
void leave_oneself() {
    if (cpu_count() == 1) {
        return;
    }
    const std::uint64_t online = online_cpus();
    succeeds("pinned to the first", sched::set_affinity(sched::kSelf, mask_of(0)));
    equal("it is there", sched_getcpu(), 0);
    succeeds("it goes", sched::set_cpu_online(0, false));
    truth("somewhere else", sched_getcpu() != 0);
    truth("not as asked", (stat_of(sched::kSelf).flags & nexus_abi::kStatAffinityBroken) != 0);
    std::this_thread::sleep_for(2ms);
    truth("a sleep ends", sched_getcpu() != 0);
    std::printf("# the console works\n");
    std::fflush(stdout);
    succeeds("it comes back", sched::set_cpu_online(0, true));
    equal("at home", sched_getcpu(), 0);
    succeeds("free again", sched::set_affinity(sched::kSelf, online));
}

// Who sleeps on a CPU that goes wakes in time. On a busy host the CPU may go too late for that: then again,
// with a longer sleep.
void wake_elsewhere() {
    const std::uint32_t last = cpu_count() - 1;
    if (last == 0) {
        return;
    }
    for (std::chrono::steady_clock::duration sleep = 30ms;; sleep *= 2) {
        std::atomic<bool> sleeps{false};
        std::atomic<int> woken_on{-1};
        const std::chrono::steady_clock::time_point end = std::chrono::steady_clock::now() + sleep;
        std::thread sleeper{[&] {
            succeeds("a mask", sched::set_affinity(sched::kSelf, mask_of(last)));
            sleeps = true;
            std::this_thread::sleep_until(end);
            woken_on = sched_getcpu();
        }};
        while (!sleeps) {
            sched_yield();
        }
        std::this_thread::sleep_for(5ms);
        succeeds("it goes", sched::set_cpu_online(last, false));
        const bool was_in_time = std::chrono::steady_clock::now() < end;
        sleeper.join();
        succeeds("it comes back", sched::set_cpu_online(last, true));
        if (was_in_time) {
            truth("woken elsewhere", woken_on >= 0 && static_cast<std::uint32_t>(woken_on) != last);
            return;
        }
    }
}

// Two callers switch the same CPUs; each call does what it says or is refused.
void contend() {
    const std::uint32_t cpus = cpu_count();
    if (cpus == 1) {
        return;
    }
    const std::uint64_t online = online_cpus();
    Crowd crowd;
    for (std::uint32_t i = 0; i < 2 * cpus; ++i) {
        crowd.add(Crowd::Habit::Nap, mask_of(i % cpus));
        crowd.add(Crowd::Habit::Compute, mask_of(i % cpus));
    }
    std::array<std::atomic<int>, 2> unexpected{};
    const auto flap = [&](int which) {
        for (std::uint32_t i = 0; i < 60; ++i) {
            const auto result =
                sched::set_cpu_online((i * 7 + static_cast<std::uint32_t>(which)) % cpus, i % 3 == 0);
            if (!result.ok() && result.error() != nexus_abi::Error::Busy) {
                ++unexpected[static_cast<std::size_t>(which)];
            }
        }
    };
    std::thread other{[&] { flap(1); }};
    flap(0);
    other.join();
    equal("errors", unexpected[0] + unexpected[1], 0);
    truth("there is always one", online_cpus() != 0);
    for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
        succeeds("all come back", sched::set_cpu_online(cpu, true));
    }
    equal("all of them", static_cast<std::int64_t>(online_cpus()), static_cast<std::int64_t>(online));
}

constexpr checks::Case kCases[]{
    {"refusals", refuse},         {"drain and restore", drain}, {"the own cpu", leave_oneself},
    {"sleepers", wake_elsewhere}, {"contention", contend},
};

constexpr checks::Role kRoles[]{{"unprivileged", be_unprivileged}};

}  // namespace

int main(int count, char** arguments) {
    return checks::run_with_roles(count, arguments, kCases, kRoles);
}
