// SPDX-License-Identifier: MIT
#include "task/watchdog.hpp"

#include <array>
#include <atomic>

#include "arch/contract.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"

namespace kernel::task {

namespace {

constexpr std::int64_t kLooksPerLimit = 4;
// No hart.
constexpr std::uint32_t kNobody = kMaxCpus;

struct alignas(64) Watch {
    // Of the hart that watches: whom it asked last, when, and how many interrupts that one had taken then.
    CpuId asked{kNobody};
    Instant asked_at;
    std::uint64_t had_taken{0};
    // Of the hart that is watched: the CPU that looks no further until it is called, or kNobody.
    std::atomic<std::uint32_t> caller{kNobody};
};

constinit std::array<Watch, kMaxCpus> watches{};
constinit Duration watch_limit{};
using LockupHook = void (*)(CpuId silent, Duration silence);
constinit LockupHook report_lockup = nullptr;

// True when the hart sleeps and will call.
bool leaves_to_sleep(CpuId neighbour, CpuId self) {
    if (!idle_cpus.load().contains(neighbour)) {
        return false;
    }
    // It leaves idle_cpus first and looks at `caller` then: one of the two sees the other.
    watches[neighbour.value()].caller.store(self.value());
    return idle_cpus.load().contains(neighbour);
}

}  // namespace

constinit bool is_watching = false;

void set_watchdog(Duration limit, void (*on_lockup)(CpuId silent, Duration silence)) {
    watch_limit = limit;
    report_lockup = on_lockup;
    is_watching = true;
}

void tell_watcher() {
    std::atomic<std::uint32_t>& caller = watches[arch::current_cpu().value()].caller;
    if (caller.load() != kNobody) {
        if (const std::uint32_t watcher = caller.exchange(kNobody); watcher != kNobody) {
            kick(CpuId{watcher});
        }
    }
}

void resume_watching() {
    Hart& hart = this_hart();
    const LockGuard guard{hart.lock};
    if (hart.watch_at.is_never()) {
        hart.watch_at = arch::now() + watch_limit / kLooksPerLimit;
        hart.poll_at = min(hart.poll_at, hart.watch_at);
        hart.recheck = true;
    }
}

Instant look_at_neighbour(Instant now) {
    const CpuId self = arch::current_cpu();
    Watch& watch = watches[self.value()];
    CpuMask others = online_cpus();
    others.remove(self);
    if (others.empty()) {
        return Instant::never();  // who comes online is interrupted, and then watches this one
    }
    const CpuId neighbour = others.next_from(CpuId{(self.value() + 1) % kMaxCpus});
    if (leaves_to_sleep(neighbour, self)) {
        watch.asked = CpuId{kNobody};
        return Instant::never();
    }
    const std::uint64_t taken = hart_of(neighbour).ipis_received.load(std::memory_order_relaxed);
    if (watch.asked != neighbour || taken != watch.had_taken) {
        watch.asked = neighbour;
        watch.asked_at = now;
        watch.had_taken = taken;
        kick(neighbour);
    } else if (now - watch.asked_at >= watch_limit) {
        report_lockup(neighbour, now - watch.asked_at);
    }
    return now + watch_limit / kLooksPerLimit;
}

}  // namespace kernel::task
