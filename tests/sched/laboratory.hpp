// SPDX-License-Identifier: MIT
// What the tests of the invariants share: a watcher that judges a simulation from outside, by what ran where
// and when, and random casts of tasks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine.hpp"

namespace sched_test {

using kernel::CpuId;
using kernel::CpuMask;
using kernel::Duration;
using kernel::Instant;
using kernel::sched::Attributes;
using kernel::sched::QosClass;
using sched_sim::Behaviour;
using sched_sim::BehaviourPtr;
using sched_sim::Distribution;
using sched_sim::Random;
using sched_sim::Simulation;
using sched_sim::TaskIndex;
using sched_sim::TaskOptions;

constexpr Duration operator""_ms(unsigned long long n) {
    return Duration::milliseconds(static_cast<std::int64_t>(n));
}
constexpr Duration operator""_us(unsigned long long n) {
    return Duration::microseconds(static_cast<std::int64_t>(n));
}
constexpr Duration operator""_s(unsigned long long n) {
    return Duration::seconds(static_cast<std::int64_t>(n));
}
inline double in_ms(Duration d) {
    return static_cast<double>(d.ns()) / 1e6;
}
inline double in_us(Duration d) {
    return static_cast<double>(d.ns()) / 1e3;
}

Attributes make(QosClass qos_class, std::uint32_t shares = 100, CpuMask mask = CpuMask::all());
TaskOptions task_of(const Attributes& attributes, BehaviourPtr behaviour = {});
// Part of one hart that a task ran since mark().
double part(const Simulation& simulation, TaskIndex task, Duration window);

// Judges while the simulation runs. Every figure is worked out from what is observed, not from the engine's
// own checks.
class Watcher : public sched_sim::Observer {
  public:
    explicit Watcher(Simulation& simulation);

    // From the setter's return on: an IPI (5 us) and the kernel entry are under way before it.
    Duration eviction_allowance{20_us};
    // Look at stretches of idling and class inversion; costs a look at every hart after every event.
    bool looks_at_harts{true};

    std::uint64_t events{0};
    std::uint64_t outside_mask{0};  // switches to a task outside its mask, or stretches beyond allowance
    std::string first_outside;
    Duration longest_idle_beside_work{};  // a hart idle while a task that may run there waits on another
    Duration longest_inversion{};         // a hart runs a class below one that waits elsewhere and may come
    std::uint64_t switches{0};
    std::uint64_t early_preemptions{0};  // by an unhinted peer of the class, before MIN_GRAN
    std::uint64_t wakes{0};
    std::uint64_t ipis{0};
    std::uint64_t timers{0};
    std::uint64_t migrations{0};
    std::map<TaskIndex, std::vector<std::pair<Instant, Instant>>> runs;  // of tasks in `tracked`
    std::vector<TaskIndex> tracked;

    void on_switch(Instant now, CpuId cpu, TaskIndex previous, TaskIndex task) override;
    void on_wake(Instant now, TaskIndex task, CpuId target) override;
    void on_migrate(Instant now, TaskIndex task, CpuId from, CpuId to, sched_sim::MoveReason reason) override;
    void on_ipi(Instant now, CpuId target) override;
    void on_timer(Instant now, CpuId cpu) override;
    void on_attributes(Instant now, TaskIndex task) override;
    std::string after_event(const Simulation& simulation) override;

  private:
    struct Hart {
        TaskIndex running{sched_sim::kNoTask};
        Instant since{};
        Instant idle_beside_work_since{Instant::never()};
        Instant inverted_since{Instant::never()};
    };
    void look_at(std::uint32_t cpu);

    Simulation& simulation_;
    std::vector<Hart> harts_;
    std::map<TaskIndex, Instant> changed_at_;
};

// A random cast (scheduler.md C, recipe 1).
struct CastOptions {
    std::uint32_t tasks{20};
    bool only_hogs{false};
    bool one_class{false};
    bool equal_shares{false};
    bool full_masks{false};
    std::uint32_t setters_per_s{0};  // live changes
};
void add_cast(Simulation& simulation, Random& random, const CastOptions& options);

std::uint32_t log_uniform(Random& random, std::uint32_t low, std::uint32_t high);
CpuMask any_mask(Random& random, std::uint32_t harts);

// The difference between what each task got since mark() and its max-min fair share, as part of a hart.
// Pre: all tasks are hogs of one class.
struct ShareErrors {
    double worst_absolute{0};  // part of a hart
    double worst_relative{0};  // of the task's due
};
ShareErrors share_errors(const Simulation& simulation, Duration window);

}  // namespace sched_test
