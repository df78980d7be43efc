// SPDX-License-Identifier: MIT
// Explorer: runs harts as fibers on one thread and tries the orders in which their steps can interleave. A
// step ends before each operation on a watched atomic, a lock acquisition among them; there the explorer may
// let another hart go first. An execution is a function of its choices, so every schedule can be repeated.
//
// Search: depth first over all schedules with at most `deviations`: switches away from a hart that could have
// gone on (Musuvathi and Qadeer, "Iterative Context Bounding", PLDI 2007: most races need one or two), and
// loads that get something older than the newest value (memory.hpp). Switches where the running hart has to
// wait cost nothing and are all tried. With `samples` set, random schedules follow.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "memory.hpp"

namespace explore {

struct Bounds {
    std::uint32_t deviations{2};
    std::uint64_t executions{200'000};  // the search ends here; Outcome::complete is then false
    std::uint64_t samples{0};           // random schedules after the search
    std::uint64_t seed{1};
    // Every so manieth execution of the search looks for data races, which show in most orders if in any.
    std::uint32_t races_in_one_of{16};
    std::uint32_t steps{20'000};  // of one execution; more is a livelock
};

struct Outcome {
    std::uint64_t executions{0};
    std::uint64_t steps{0};
    bool complete{false};            // every schedule within the bound was tried
    std::string violation;           // empty: none found
    std::vector<std::string> trace;  // of the violation: what happened, in order
};

// What one execution is made of. All callbacks run on the explorer's own stack, but for `hart`.
struct Program {
    std::uint32_t harts{2};
    std::function<void()> begin;                   // builds the world; nothing is a choice here
    std::function<void(std::uint32_t hart)> hart;  // the hart's life, on its fiber; never returns
    // May the hart leave its wait (see wait())?
    std::function<bool(std::uint32_t hart)> can_resume;
    // Something outside the harts that may happen at any time, as a timer that expires: how many such events
    // are possible now, and making one happen.
    std::function<std::uint32_t()> events;
    std::function<void(std::uint32_t event)> happen;
    // Asked when no hart can go on: need no more events happen?
    std::function<bool()> is_done;
    // Unless the execution failed, no hart can go on: checks the end state, then takes the world down.
    std::function<void()> end;
};

[[nodiscard]] Outcome explore(const Program& program, const Bounds& bounds);

// ---- For the code of a Program ----

// Operations on atomics in this memory end a step and may read what is not the newest, from now to the end of
// the execution.
void watch(const void* start, std::size_t bytes);
// Plain accesses of two harts to this memory must be ordered by something.
void track(const void* start, std::size_t bytes);
// The hart goes on when can_resume() says so. Pre: on a hart's fiber.
void wait();
// The hart spins: it goes on after some other hart has.
void spin();
// Another hart may go first.
void choice();
// `hart` sees what the running one does: an interrupt of the running hart, which it waits for, reached it.
void catch_up(std::uint32_t hart);
// The running hart. Pre: on a hart's fiber, or set by as_hart().
[[nodiscard]] std::uint32_t current_hart();
void as_hart(std::uint32_t hart);
// Ends the execution as a violation.
void fail(std::string what);
// A line of the trace; made only when a violation is being repeated.
[[nodiscard]] bool is_tracing();
void note(std::string line);

// ---- For atomics.cpp: what the code under exploration is about to do ----

void before_atomic(const volatile void* address);
[[nodiscard]] std::uint64_t atomic_load(const volatile void* address, std::uint64_t newest,
                                        memory::Order order);
void atomic_store(const volatile void* address, std::uint64_t before, std::uint64_t value,
                  memory::Order order);
void atomic_exchange(const volatile void* address, std::uint64_t before, std::uint64_t value,
                     memory::Order order);
void atomic_failed_exchange(const volatile void* address, memory::Order order);
void atomic_fence(memory::Order order);
void plain_access(const volatile void* address, bool is_write, const void* code);

}  // namespace explore
