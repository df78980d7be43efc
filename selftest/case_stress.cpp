// SPDX-License-Identifier: MIT
// Proves: whatever is changed while tasks run, sleep and die, nobody is lost and time adds up. Twice as many
// hogs as CPUs, and a sleeper for each CPU, free; for half a second, or as long as asked for, a thread on
// each CPU gives one of them after the other another class, mask, share, hint or budget, drawn from a fixed
// sequence, and now and then kills one and has another born. Then all are made equal: each must run again;
// what the harts charged and idled must be their time, and what they charged must be what the tasks were
// charged, both within 0.1 %. In a debug build the kernel's auditor checks the queues all the while.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "cases.hpp"
#include "console.hpp"
#include "fleet.hpp"
#include "judge_machine.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "patience.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;
namespace sched = nexus_abi::sched;
namespace call = nexus_abi::call;
using nexus_abi::QosClass;

constexpr user::Duration kStorm = 500ms;
constexpr user::Duration kCalm = 200ms;  // at least; a fifth of a long storm
// Or so many times as long as reading everybody's figures takes, before and after: what goes on meanwhile
// blurs the sum by 1 %. Bounded, because a busy host makes a reading as long as it likes.
constexpr std::int64_t kCalmReadings = 200;
constexpr user::Duration kLongestCalm = 3s;
// Several changes in a row: where the harts are threads of a busy host, each sleep takes a turn of all of
// them.
constexpr std::uint64_t kChangesInARow = 8;
constexpr user::Duration kPause = 2ms;              // after these
constexpr std::uint64_t kDeathEvery = 12;           // changes
constexpr std::uint64_t kFewest = 2 * kDeathEvery;  // changes; on a slow machine it takes longer than kStorm

// xorshift64: the same sequences in every run.
class Sequence {
  public:
    explicit Sequence(std::uint64_t number) : state_{0x2545f4914f6cdd1dU + number} {}
    std::uint64_t below(std::uint64_t bound) {
        state_ ^= state_ << 13U;
        state_ ^= state_ >> 7U;
        state_ ^= state_ << 17U;
        return (state_ >> 11U) % bound;
    }

  private:
    std::uint64_t state_;
};

// One place in the crowd, with one task at a time.
struct Slot {
    Slot(const Machine& machine, bool is_sleeper) : fleet{machine}, sleeps{is_sleeper} {}

    Fleet fleet;
    bool sleeps;
    std::atomic<std::int32_t> pid{0};  // 0 while there is none
};

class Crowd {
  public:
    explicit Crowd(const Machine& machine) : machine_{machine} {}

    Result<void> fill() {
        const std::size_t cpus = machine_.cpus.size();
        for (std::size_t i = 0; i < 3 * cpus; ++i) {
            slots_.push_back(std::make_unique<Slot>(machine_, i >= 2 * cpus));
            TRY(start(*slots_.back()));
        }
        return {};
    }

    // One change of one task. False: it was refused to somebody who was there all the time.
    bool change(Sequence& sequence) {
        Slot& slot = *slots_[sequence.below(slots_.size())];
        const std::int32_t pid = slot.pid;
        return pid == 0 || change(sequence, pid) || slot.pid != pid;
    }

    // Somebody dies and somebody is born, in a place that only this one of `all` threads looks after.
    Result<void> replace(Sequence& sequence, std::size_t thread, std::size_t all) {
        Slot& slot = *slots_[thread + sequence.below(slots_.size() / all) * all];
        slot.pid = 0;
        slot.fleet.stop();
        return start(slot);
    }

    // Everybody equal and free.
    std::uint64_t calm() {
        std::uint64_t refused = 0;
        nexus_abi::sched_attr plain = attributes(QosClass::Normal, 100, machine_.online);
        plain.fields |= nexus_abi::kFieldLatency | nexus_abi::kFieldBurst | nexus_abi::kFieldBudget;
        for (const auto& slot : slots_) {
            refused += sched::set_attr(slot->pid, plain).ok() ? 0 : 1;
        }
        return refused;
    }

    // How many have not run since `before`, once all had time to.
    Result<std::uint64_t> stuck_since(const std::vector<std::uint64_t>& before) const {
        for (Patience patience{user::now()};;) {
            const std::vector<std::uint64_t> now = TRY(runtimes());
            std::uint64_t stuck = 0;
            for (std::size_t i = 0; i < now.size(); ++i) {
                stuck += now[i] > before[i] ? 0 : 1;
            }
            if (stuck == 0) {
                return stuck;
            }
            if (!patience.lasts()) {
                TRY(describe_stuck(before));
                return stuck;
            }
            user::sleep_until(user::now() + 5ms);
        }
    }

    Result<void> describe_stuck(const std::vector<std::uint64_t>& before) const {
        for (std::size_t i = 0; i < slots_.size(); ++i) {
            const nexus_abi::sched_stat stat = TRY(sched::get_stat(slots_[i]->pid.load()));
            if (stat.runtime_ns <= before[i]) {
                user::write_line(
                    user::format("# stress: pid %d has not run: state %u on cpu %u, class %u, flags %x, mask "
                                 "%llx, lag %lld ns",
                                 slots_[i]->pid.load(), stat.state, stat.last_cpu, stat.effective_class,
                                 stat.flags, static_cast<unsigned long long>(stat.mask_effective),
                                 static_cast<long long>(stat.lag_ns)));
            }
        }
        return {};
    }

    Result<std::vector<std::uint64_t>> runtimes() const {
        std::vector<std::uint64_t> all;
        for (const auto& slot : slots_) {
            all.push_back(TRY(sched::get_stat(slot->pid)).runtime_ns);
        }
        return all;
    }

  private:
    Result<void> start(Slot& slot) {
        const auto plain = attributes(QosClass::Normal, 100, machine_.online);
        TRY(slot.sleeps ? slot.fleet.start({"restless", "200", "700"}, plain)
                        : slot.fleet.start({"hog"}, plain));
        slot.pid = slot.fleet.pid(0);
        return {};
    }

    bool change(Sequence& sequence, std::int32_t pid) const {
        switch (sequence.below(6)) {
            case 0:
                return call::sched_set_qos_class(pid, static_cast<std::int64_t>(sequence.below(4))).ok();
            case 1:
                return call::sched_set_shares(pid, static_cast<std::int64_t>(1 + sequence.below(1000))).ok();
            case 2:
                return call::sched_set_latency_hint(pid, static_cast<std::int64_t>(sequence.below(20))).ok();
            case 3:
                return call::sched_set_burst_hint(pid, static_cast<std::int64_t>(sequence.below(50))).ok();
            case 4:
                return call::sched_set_budget(pid, static_cast<std::int64_t>(500 + sequence.below(5000)),
                                              10'000)
                    .ok();
            default:
                return call::sched_set_affinity(pid, any_mask(sequence)).ok();
        }
    }

    std::uint64_t any_mask(Sequence& sequence) const {
        const std::uint64_t mask = sequence.below(machine_.online) + 1;
        return (mask & machine_.online) != 0 ? mask : machine_.online;
    }

    const Machine& machine_;
    std::vector<std::unique_ptr<Slot>> slots_;
};

// What one hart did until an instant of its own: reading all of them takes a while.
struct HartTimes {
    std::uint64_t busy_ns{0};
    std::uint64_t accounted_ns{0};
    std::uint64_t before_ns{0};  // the clock before each reading, summed
    std::uint64_t after_ns{0};
};

Result<HartTimes> harts_now(const Machine& machine) {
    HartTimes sum;
    for (const std::uint32_t cpu : machine.cpus) {
        const user::Instant before = user::now();
        const nexus_abi::sched_hartstat stat = TRY(sched::hart_stat(cpu));
        const user::Instant after = user::now();
        sum.busy_ns += stat.busy_ns;
        sum.accounted_ns += stat.busy_ns + stat.idle_ns;
        sum.before_ns += static_cast<std::uint64_t>(before.time_since_epoch().count());
        sum.after_ns += static_cast<std::uint64_t>(after.time_since_epoch().count());
    }
    return sum;
}

// Charged to all tasks there are.
Result<std::uint64_t> charged_to_tasks() {
    std::vector<nexus_abi::sched_snapshot_entry> entries(64);
    std::uint64_t cursor = 0;
    std::uint64_t sum = 0;
    for (;;) {
        const std::size_t count = TRY(sched::snapshot(entries, cursor));
        if (count == 0) {
            return sum;
        }
        for (std::size_t i = 0; i < count; ++i) {
            sum += entries[i].runtime_ns;
        }
    }
}

// What all threads together did to the crowd.
struct Deeds {
    std::atomic<std::uint64_t> changes{0};
    std::atomic<std::uint64_t> deaths{0};
    std::atomic<std::uint64_t> refused{0};
};

// On the CPU with this index, until `end`.
Result<void> rage(const Machine& machine, Crowd& crowd, std::size_t index, user::Instant end, Deeds& deeds) {
    TRY(call::sched_set_affinity(sched::kSelf, std::uint64_t{1} << machine.cpus[index]));
    Sequence sequence{index};
    Patience patience{user::now()};
    for (std::uint64_t own = 1; user::now() < end || (deeds.changes < kFewest && patience.lasts()); ++own) {
        deeds.refused += crowd.change(sequence) ? 0 : 1;
        if (++deeds.changes % kDeathEvery == 0) {
            TRY(crowd.replace(sequence, index, machine.cpus.size()));
            ++deeds.deaths;
        }
        if (own % kChangesInARow == 0) {
            user::sleep_until(user::now() + kPause);
        }
    }
    return {};
}

// A thread on each CPU changes the crowd until `end`.
Result<void> storm(const Machine& machine, Crowd& crowd, user::Instant end, StressFigures& figures) {
    Deeds deeds;
    std::vector<Result<void>> outcomes(machine.cpus.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        threads.emplace_back([&, i] { outcomes[i] = rage(machine, crowd, i, end, deeds); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const Result<void>& outcome : outcomes) {
        TRY(outcome);
    }
    figures.changes = deeds.changes;
    figures.deaths = deeds.deaths;
    figures.refused = deeds.refused;
    return {};
}

}  // namespace

Result<Verdict> case_stress(const Machine& machine) {
    StressFigures figures;
    Crowd crowd{machine};
    TRY(crowd.fill());
    const HartTimes start = TRY(harts_now(machine));
    const user::Duration length =
        machine.milliseconds == 0 ? kStorm : user::Duration{std::chrono::milliseconds{machine.milliseconds}};
    TRY(storm(machine, crowd, user::now() + length, figures));
    figures.refused += crowd.calm();
    const std::vector<std::uint64_t> stormed = TRY(crowd.runtimes());
    figures.stuck = TRY(crowd.stuck_since(stormed));

    // Nobody dies from here on, so the tasks' charges can be added up.
    const user::Instant reading = user::now();
    const HartTimes calm = TRY(harts_now(machine));
    const std::uint64_t charged = TRY(charged_to_tasks());
    const HartTimes calm_read = TRY(harts_now(machine));
    const user::Instant read = user::now();
    const user::Duration blurred = std::min(kCalmReadings * (read - reading), kLongestCalm);
    user::sleep_until(read + std::max({kCalm, length / 5, blurred}));
    const HartTimes finish = TRY(harts_now(machine));
    figures.charged_ns = TRY(charged_to_tasks()) - charged;
    const HartTimes finish_read = TRY(harts_now(machine));
    figures.busy_least_ns = finish.busy_ns - calm_read.busy_ns;
    figures.busy_most_ns = finish_read.busy_ns - calm.busy_ns;
    figures.accounted_ns = finish.accounted_ns - start.accounted_ns;
    figures.harts_least_ns = finish.before_ns - start.after_ns;
    figures.harts_most_ns = finish.after_ns - start.before_ns;
    figures.steady = machine.steady;
    return judge_stress(figures);
}

}  // namespace selftest
