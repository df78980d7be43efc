// SPDX-License-Identifier: MIT
#include "syscall/planted.hpp"

#include <array>
#include <cstdint>

#include "lib/check.hpp"
#include "nexus_abi/numbers.hpp"
#include "syscall/caller.hpp"

namespace kernel::syscall {

#ifdef NEURON_KCSAN
namespace {

constinit std::uint64_t planted_calls = 0;

}  // namespace

void race_as_planted() {
    // So often that the few of them that are watched meet others within seconds, however the host divides its
    // processors among the harts.
    constexpr std::uint32_t kTimes = 64;
    for (std::uint32_t i = 0; faults().planted_race && i < kTimes; ++i) {
        planted_calls = planted_calls + 1;
        asm volatile("" ::: "memory");  // each a read and a write of its own
    }
}
#endif

#ifdef NEURON_COVERAGE
namespace {

using nexus_abi::Syscall;

// How far a task came. Tasks that share a place take it from each other.
struct Progress {
    std::uint32_t tid{0};
    std::uint32_t steps{0};
};
constinit std::array<Progress, 64> progresses{};

// What a task does when it takes a step. A call, since the optimiser makes an addition of a condition, which
// no edge tells of.
template <std::uint32_t step>
[[gnu::noinline]] void take_step(Progress& progress) {
    progress.steps = step;
}
template <>
[[gnu::noinline]] void take_step<3>(Progress&) {
    CHECK(!"the planted sequence of calls was made");
}

// Step by step: a certain call, and one out of four values of an argument of its.
template <std::uint32_t step>
void try_step(Progress& progress, const task::Task& task, Syscall call, std::uint32_t argument,
              std::uint64_t value) {
    if (task.frame.syscall_number() == static_cast<std::uint64_t>(call) &&
        task.frame.argument(argument) % 4 == value) {
        take_step<step>(progress);
    }
}

}  // namespace

void note_planted_step(const task::Task& task) {
    if (!faults().planted_sequence) {
        return;
    }
    Progress& mine = progresses[task.tid().value() % progresses.size()];
    if (mine.tid != task.tid().value()) {
        mine = {.tid = task.tid().value(), .steps = 0};
    }
    switch (mine.steps) {
        case 0:
            try_step<1>(mine, task, Syscall::lseek, 2, 2);
            break;
        case 1:
            try_step<2>(mine, task, Syscall::getpriority, 0, 1);
            break;
        default:
            try_step<3>(mine, task, Syscall::fcntl, 1, 3);
            break;
    }
}
#endif

}  // namespace kernel::syscall
