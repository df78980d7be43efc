// SPDX-License-Identifier: MIT
// Threads that measure: each with its own attributes and its own log, all starting at one instant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nexus_abi/sched_calls.hpp"
#include "turn_log.hpp"

namespace gauge {

// Nanoseconds of CLOCK_MONOTONIC, read without a system call.
[[nodiscard]] std::uint64_t now_ns();
void sleep_until_ns(std::uint64_t instant);

// Class and shares; pinned to `cpus`.
[[nodiscard]] nexus_abi::sched_attr attributes(nexus_abi::QosClass qos_class, std::uint32_t shares,
                                               std::uint64_t cpus);
[[nodiscard]] nexus_abi::sched_attr with_latency(nexus_abi::sched_attr attr, std::uint64_t latency_ns);
[[nodiscard]] nexus_abi::sched_attr with_budget(nexus_abi::sched_attr attr, std::uint64_t budget_ns,
                                                std::uint64_t period_ns);

// The window of a measurement.
struct Span {
    std::uint64_t begin{0};
    std::uint64_t end{0};
    [[nodiscard]] std::uint64_t length() const { return end - begin; }
};

struct Member {
    nexus_abi::sched_attr attr{};
    user::TurnLog log;
    std::int32_t tid{0};
    nexus_abi::sched_stat at_begin{};  // read by the observer
    nexus_abi::sched_stat at_end{};
};

// Used by one thread, the observer, which should be of class PerfBurst and otherwise asleep.
class Crew {
  public:
    // What a member does from the common start until `end`.
    using Body = std::function<void(Member& member, std::uint64_t end)>;

    Crew();
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew();

    // Starts a member. Exits with a message when a thread or its attributes cannot be had: nothing could be
    // measured.
    Member& add(const nexus_abi::sched_attr& attr, Body body, user::TurnLog log = user::TurnLog{0});
    // A member that does nothing but look at the clock.
    Member& add_hog(const nexus_abi::sched_attr& attr);

    // Lets all start, and measures from `warm_up` after the start for `length`. Returns when all have ended.
    Span run(std::uint64_t warm_up_ns, std::uint64_t length_ns);

    [[nodiscard]] Member& operator[](std::size_t index) { return *members_[index]; }
    [[nodiscard]] std::size_t size() const { return members_.size(); }

  private:
    struct Thread;
    static void* begin(void* argument);
    void join();

    std::vector<std::unique_ptr<Member>> members_;
    std::vector<std::unique_ptr<Thread>> threads_;
};

// The largest distance of a member's part of the hart from `expected` (fractions of one hart).
struct ShareErrors {
    double by_log{0};     // of the members
    double by_charge{0};  // of the kernel
};
[[nodiscard]] ShareErrors share_errors(Crew& crew, const std::vector<double>& expected, const Span& span);

// Lower-rank percentile; sorts its argument. Pre: not empty.
[[nodiscard]] std::uint64_t percentile(std::vector<std::uint64_t>& values, double part);

// Ends the program with a line that says why nothing was measured.
[[noreturn]] void give_up(const std::string& why);

}  // namespace gauge
