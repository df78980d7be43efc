// SPDX-License-Identifier: MIT
// The same programs with a thread for each hart, under ThreadSanitizer's own runtime instead of the
// explorer's: real parallel execution of the objects that the explorer tries order by order (explorer.hpp). A
// thread that waits polls, so that nothing but what the kernel does orders what two harts do; between two
// executions all of them meet.
#include <array>
#include <atomic>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "explorer.hpp"

namespace explore {

namespace {

// Enough for each pair of steps to meet in some of them on two processors; the whole suite takes seconds.
constexpr std::uint64_t kRounds = 40;
constexpr std::uint32_t kHarts = memory::kHartsMax;

struct Hart {
    std::thread thread;
    std::atomic<bool> waits{false};
    std::atomic<std::uint64_t> waited{0};
};

struct Team {
    const Program* program{nullptr};
    std::array<Hart, kHarts> harts;
    std::uint32_t count{0};
    std::atomic<std::uint64_t> round{0};     // goes up when one begins
    std::atomic<bool> is_over{false};        // harts come back from what they wait for
    std::atomic<std::uint32_t> returned{0};  // harts that have
    std::atomic<bool> has_ended{false};      // no further round
};
Team team;
thread_local std::uint32_t running = 0;
thread_local bool is_hart = false;
thread_local std::jmp_buf way_out;

void live_once(std::uint32_t index) {
    if (setjmp(way_out) == 0) {  // NOLINT(cert-err52-cpp): a hart's life has no end of its own
        team.program->hart(index);
    }
}

void live(std::uint32_t index) {
    running = index;
    is_hart = true;
    for (std::uint64_t round = 1;; ++round) {
        while (team.round.load(std::memory_order_acquire) < round) {
            if (team.has_ended.load()) {
                return;
            }
            std::this_thread::yield();
        }
        live_once(index);
        team.returned.fetch_add(1, std::memory_order_release);
    }
}

// Every hart waits for something that has not come, and none has gone on meanwhile.
bool is_quiet() {
    std::array<std::uint64_t, kHarts> before{};
    for (std::uint32_t i = 0; i < team.count; ++i) {
        before[i] = team.harts[i].waited.load();
        if (!team.harts[i].waits.load() || team.program->can_resume(i)) {
            return false;
        }
    }
    for (std::uint32_t i = 0; i < team.count; ++i) {
        if (!team.harts[i].waits.load() || team.harts[i].waited.load() != before[i]) {
            return false;
        }
    }
    return true;
}

void run_round() {
    const Program& program = *team.program;
    program.begin();
    team.is_over.store(false, std::memory_order_relaxed);
    team.returned.store(0, std::memory_order_relaxed);
    team.round.fetch_add(1, std::memory_order_release);
    while (true) {
        if (!is_quiet()) {
            std::this_thread::yield();
        } else if (program.events() == 0 || program.is_done()) {
            break;
        } else {
            program.happen(0);
        }
    }
    team.is_over.store(true, std::memory_order_relaxed);
    while (team.returned.load(std::memory_order_acquire) != team.count) {
        std::this_thread::yield();
    }
    program.end();
}

}  // namespace

Outcome explore(const Program& program, const Bounds&) {
    team.program = &program;
    team.count = program.harts;
    team.has_ended.store(false);
    team.round.store(0);
    for (std::uint32_t i = 0; i < program.harts; ++i) {
        team.harts[i].waits.store(false);
        team.harts[i].thread = std::thread{live, i};
    }
    for (std::uint64_t round = 0; round < kRounds; ++round) {
        run_round();
    }
    team.has_ended.store(true);
    for (std::uint32_t i = 0; i < program.harts; ++i) {
        team.harts[i].thread.join();
    }
    Outcome outcome;
    outcome.executions = kRounds;
    outcome.complete = true;
    return outcome;
}

void watch(const void*, std::size_t) {}
void track(const void*, std::size_t) {}
void choice() {}
void catch_up(std::uint32_t) {}
void note(std::string) {}
bool is_tracing() {
    return false;
}
void plain_access(const volatile void*, bool, const void*) {}

void wait() {
    Hart& self = team.harts[running];
    self.waits.store(true, std::memory_order_relaxed);
    while (!team.program->can_resume(running)) {
        if (team.is_over.load(std::memory_order_relaxed)) {
            self.waits.store(false, std::memory_order_relaxed);
            std::longjmp(way_out, 1);  // NOLINT(cert-err52-cpp): as above
        }
        std::this_thread::yield();
    }
    self.waited.fetch_add(1, std::memory_order_relaxed);
    self.waits.store(false, std::memory_order_relaxed);
}

void spin() {
    std::this_thread::yield();
}

std::uint32_t current_hart() {
    return running;
}
void as_hart(std::uint32_t hart) {
    if (!is_hart) {
        running = hart;
    }
}

void fail(std::string what) {
    std::fprintf(stderr, "a violation, with threads: %s\n", what.c_str());
    std::abort();
}

}  // namespace explore
