// SPDX-License-Identifier: MIT
// Proves: when a setter has returned, the task runs nowhere else, whatever it does. Two threads, one working
// without pause, one sleeping and waking all the time, while the main thread changes their masks up to a
// thousand times. Between two changes their charges on every forbidden CPU must not grow by a nanosecond
// (sched_getstat, exact), and wherever they look at their CPU while one mask is in force, it is in that mask.
// An epoch counter brackets each look: odd while a change is under way, so a look that spans a change is not
// judged. Last, the main thread changes its own mask and must find itself there on return. Control:
// neuron.break=affinity lets the kernel ignore masks; the charges show it and the case fails.
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <thread>

#include "cases.hpp"
#include "clock.hpp"
#include "console.hpp"
#include "fleet.hpp"
#include "judge.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "patience.hpp"
#include "work.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;
namespace sched = nexus_abi::sched;

constexpr std::uint64_t kChanges = 1000;
// The emulator with few turns a second may be slow at it: the case then ends early, with the number it
// reached.
constexpr user::Duration kLongest = 1200ms;
constexpr user::Duration kBetweenChanges = 150us;
constexpr user::Duration kNap = 50us;
constexpr std::size_t kRunners = 2;

// One observed thread. Shared between it and the main thread; atomics with the default order throughout,
// since a sample's meaning rests on the order of epoch, mask and the look at the CPU.
struct Runner {
    bool naps{false};
    std::atomic<std::int32_t> tid{0};
    std::atomic<std::uint64_t> epoch{0};
    std::atomic<std::uint64_t> mask{~std::uint64_t{0}};
    std::atomic<std::uint64_t> samples{0};
    std::atomic<std::uint64_t> outside{0};
    std::atomic<bool> stop{false};
};

std::uint64_t current_cpu_bit() {
    std::uint32_t cpu = 0;
    const auto answer =
        nexus_abi::call::getcpu(nexus_abi::Out<std::uint32_t>{&cpu}, nexus_abi::Out<std::uint32_t>{}, 0);
    return answer.ok() ? std::uint64_t{1} << cpu : 0;
}

void look(Runner& runner) {
    const std::uint64_t before = runner.epoch;
    const std::uint64_t mask = runner.mask;
    const std::uint64_t cpu = current_cpu_bit();
    const std::uint64_t after = runner.epoch;
    if (before != after || before % 2 != 0) {
        return;
    }
    ++runner.samples;
    if ((mask & cpu) == 0) {
        ++runner.outside;
    }
}

void run(Runner& runner) {
    // A hog of class Interactive would delay the thread that judges it.
    if (!sched::set_qos_class(sched::kSelf, nexus_abi::QosClass::Normal).ok()) {
        user::write_line("# affinity: a runner could not lower its class");
    }
    const auto tid = nexus_abi::call::gettid();
    runner.tid = tid.ok() ? static_cast<std::int32_t>(*tid) : -1;
    while (!runner.stop) {
        if (runner.naps) {
            user::sleep_until(user::now() + kNap);
        } else {
            user::burn_unit();
        }
        look(runner);
    }
}

// The next mask: any non-empty proper subset of the online CPUs, in a fixed order without pattern
// (xorshift64).
class MaskSequence {
  public:
    explicit MaskSequence(std::uint64_t online) : online_{online} {}
    std::uint64_t next() {
        for (;;) {
            state_ ^= state_ << 13U;
            state_ ^= state_ >> 7U;
            state_ ^= state_ << 17U;
            const std::uint64_t mask = (state_ >> 20U) & online_;
            if (mask != 0 && mask != online_) {
                return mask;
            }
        }
    }

  private:
    std::uint64_t online_;
    std::uint64_t state_{0x9e3779b97f4a7c15U};
};

// Charged outside `mask` between two statistics.
std::uint64_t charged_outside(std::uint64_t mask, const nexus_abi::sched_stat& from,
                              const nexus_abi::sched_stat& to) {
    std::uint64_t sum = 0;
    for (std::size_t cpu = 0; cpu < nexus_abi::kMaxHartsInStat; ++cpu) {
        if ((mask >> cpu & 1U) == 0) {
            sum += to.runtime_by_cpu_ns[cpu] - from.runtime_by_cpu_ns[cpu];
        }
    }
    return sum;
}

// Ends the threads however the case ends.
class Runners {
  public:
    Runners() {
        runners_[1].naps = true;
        for (std::size_t i = 0; i < kRunners; ++i) {
            threads_[i] = std::thread{run, std::ref(runners_[i])};
        }
    }
    Runners(const Runners&) = delete;
    Runners& operator=(const Runners&) = delete;
    ~Runners() { stop(); }
    void stop() {
        for (std::size_t i = 0; i < kRunners; ++i) {
            runners_[i].stop = true;
        }
        for (std::thread& thread : threads_) {
            if (thread.joinable()) {
                thread.join();
            }
        }
    }
    Runner& operator[](std::size_t i) { return runners_[i]; }

  private:
    std::array<Runner, kRunners> runners_{};
    std::array<std::thread, kRunners> threads_;
};

Result<void> change_masks(const Machine& machine, Runners& runners, AffinityFigures& figures) {
    MaskSequence masks{machine.online};
    const user::Instant deadline = user::now() + kLongest;
    while (figures.changes < kChanges && user::now() < deadline) {
        std::array<nexus_abi::sched_stat, kRunners> before;
        for (std::size_t i = 0; i < kRunners; ++i) {
            Runner& runner = runners[i];
            const std::uint64_t mask = masks.next();
            ++runner.epoch;
            const std::uint64_t effective = TRY(sched::set_affinity(runner.tid, mask));
            runner.mask = mask;
            before[i] = TRY(sched::get_stat(runner.tid));
            ++runner.epoch;
            figures.wrong_effective += effective == mask ? 0 : 1;
            ++figures.changes;
        }
        user::sleep_until(user::now() + kBetweenChanges);
        for (std::size_t i = 0; i < kRunners; ++i) {
            const nexus_abi::sched_stat after = TRY(sched::get_stat(runners[i].tid));
            figures.forbidden_ns += charged_outside(runners[i].mask, before[i], after);
        }
    }
    return {};
}

}  // namespace

Result<Verdict> case_affinity(const Machine& machine) {
    AffinityFigures figures;
    Runners runners;
    for (std::size_t i = 0; i < kRunners; ++i) {
        Patience patience{user::now()};
        while (runners[i].tid == 0 && patience.lasts()) {
            user::sleep_until(user::now() + 1ms);
        }
        if (runners[i].tid <= 0) {
            return fail(user::format("runner %zu did not start", i));
        }
    }
    TRY(change_masks(machine, runners, figures));
    runners.stop();
    for (std::size_t i = 0; i < kRunners; ++i) {
        figures.samples += runners[i].samples;
        figures.samples_outside += runners[i].outside;
    }
    for (const std::uint32_t cpu : machine.cpus) {
        const std::uint64_t mask = std::uint64_t{1} << cpu;
        TRY(sched::set_affinity(sched::kSelf, mask));
        figures.self_outside += current_cpu_bit() == mask ? 0 : 1;
    }
    TRY(sched::set_affinity(sched::kSelf, std::uint64_t{1} << machine.home_cpu));
    return judge_affinity(figures);
}

}  // namespace selftest
