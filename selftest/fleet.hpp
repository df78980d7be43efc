// SPDX-License-Identifier: MIT
// Worker processes of one case: started with attributes that hold from their first instruction, observed
// through sched_getstat and their reports, killed and reaped when the case ends. Used by one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clock.hpp"
#include "judge.hpp"
#include "machine.hpp"
#include "nexus_abi/sched.hpp"
#include "patience.hpp"
#include "report.hpp"

namespace selftest {

// Class, shares and mask for a worker; more fields may be added by the caller.
[[nodiscard]] nexus_abi::sched_attr attributes(nexus_abi::QosClass qos_class, std::uint32_t shares,
                                               std::uint64_t mask);

// The instants of one measurement with a common start.
struct Schedule {
    user::Instant begin;  // all workers start
    user::Instant a, b;   // first window; begin..a is the warm-up
    user::Instant c, d;   // second window, or both at b if there is none

    // Lengths from now on; workers get `workers` times the usual start-up time before `begin`.
    [[nodiscard]] static Schedule one_window(std::size_t workers, user::Duration warm_up,
                                             user::Duration window);
    [[nodiscard]] static Schedule two_windows(std::size_t workers, user::Duration warm_up,
                                              user::Duration first, user::Duration settle,
                                              user::Duration second);
    // Arguments of a `spin` worker.
    [[nodiscard]] std::vector<std::string> spin() const;
};

// The charges of all workers at one instant.
struct Observation {
    user::Instant at;
    std::vector<nexus_abi::sched_stat> workers;
};

class Fleet {
  public:
    explicit Fleet(const Machine& machine) : machine_{machine} {}
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;
    ~Fleet() { stop(); }

    // Starts worker number size(). `arguments`: kind and what it takes (worker.hpp).
    [[nodiscard]] Result<void> start(const std::vector<std::string>& arguments,
                                     const nexus_abi::sched_attr& attr);
    [[nodiscard]] std::size_t size() const { return pids_.size(); }
    [[nodiscard]] std::int32_t pid(std::size_t worker) const { return pids_[worker]; }

    // Sleeps until `at`, then reads the statistics of every worker.
    [[nodiscard]] Result<Observation> observe(user::Instant at) const;
    // Waits until every worker has reported Done or Late. Errors: TimedOut (named in a diagnostic line).
    [[nodiscard]] Result<std::vector<Report>> reports() const;
    // Kills and reaps all; the fleet is empty then. What witnesses saw is added to machine.host.
    void stop();

  private:
    const Machine& machine_;
    std::vector<std::int32_t> pids_;
    std::vector<std::int32_t> witnesses_;  // of them
};

// The report of any task. Errors: NoProcess; TryAgain (it has not reported yet).
[[nodiscard]] Result<Report> read_report(std::int32_t pid);
// Polls read_report until the task is Done or Late.
[[nodiscard]] Result<Report> await_report(std::int32_t pid);

// SIGKILL, then wait4. Errors are of no use to the caller: the worker is gone either way.
void kill_and_reap(std::int32_t pid);

// The Skip of a measurement whose workers did not all start in time; nothing if they did.
[[nodiscard]] std::optional<Verdict> late_start(const std::vector<Report>& reports);

// What the workers did between two observations; `second` picks the reports' second window.
[[nodiscard]] Window window_between(const Machine& machine, const Observation& from, const Observation& to,
                                    const std::vector<Report>& reports, bool second);

}  // namespace selftest
