// SPDX-License-Identifier: MIT
// A workload file as plain data, and how it becomes a simulation. Reference of the format: docs/sched-sim.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnostics.hpp"
#include "engine.hpp"
#include "random.hpp"

namespace sched_sim {

// What a task does, as written.
struct Conduct {
    enum class Kind : std::uint8_t {
        Hog,
        Periodic,
        OnOff,
        Script,
        Forker,
        Schbench,
        Hackbench,
        Cyclictest,
        Build,
    };
    Kind kind{Kind::Hog};
    Duration period{};
    Duration offset{};
    Duration gap{};  // work between two forks
    Distribution work{};
    Distribution rest{};
    std::vector<std::string> steps{};  // of a script, checked by the reader
    bool repeats{false};
    std::uint32_t forks{0};
    std::uint32_t groups{1};    // schbench: messengers; hackbench: groups
    std::uint32_t workers{1};   // schbench: per messenger; hackbench: senders and receivers per group
    std::uint32_t parallel{1};  // build: jobs at a time
};

struct TaskSpec {
    std::string name{};
    std::uint32_t count{1};
    Attributes attributes{};
    Duration budget{};  // zero: none
    Duration budget_period{};
    std::uint32_t group{0};  // ceiling in shares; 0: none
    Conduct conduct{};
    Instant starts_at{};
    std::optional<Instant> stops_at{};
};

// What happens to tasks or harts at one instant. Only what is set changes.
struct ChangeSpec {
    Instant at{};
    std::string task{};
    std::optional<std::uint32_t> shares{};
    std::optional<QosClass> qos_class{};
    std::optional<CpuMask> affinity{};
    std::optional<Duration> latency{};
    std::optional<Duration> burst{};
    std::optional<Duration> budget{};
    std::optional<Duration> budget_period{};
    std::optional<std::uint32_t> offline{};
    std::optional<std::uint32_t> online{};
    bool exits{false};
};

enum class Measure : std::uint8_t {
    Share,        // of a full hart, of all members of the task together
    ShareError,   // largest |measured - fair| of a task, of a full hart; of one task, or of all
    ShareSpread,  // least and largest share among the members, relative to the mean
    WaitMax,
    WakeP50,
    WakeP99,
    WakeP999,
    WakeMax,
    ResponseP50,  // from a wake-up to the next sleep
    ResponseP99,
    ResponseMax,
    LagMax,
    LatencyMissed,  // part of the wake-ups that missed the hint
    WindowMax,      // most CPU time in any window of the task's budget period
    Migrations,     // per second, of all tasks
    Switches,       // per second, of the task
    Completions,    // Run actions finished
    Idle,           // part of the machine's time
};

struct ExpectSpec {
    Measure measure{};
    std::string task{};                // empty: all
    std::optional<double> at_least{};  // seconds for durations
    std::optional<double> at_most{};
    std::string because{};
};

struct Workload {
    std::string name{};
    std::string summary{};
    Config machine{};
    Duration warmup{};
    Duration duration{Duration::seconds(10)};
    Duration view_from{};
    Duration view_span{Duration::milliseconds(100)};
    std::vector<TaskSpec> tasks{};
    std::vector<ChangeSpec> changes{};
    std::vector<ExpectSpec> expects{};
};

// Is the measure a duration?
[[nodiscard]] bool is_duration(Measure measure);
[[nodiscard]] std::string_view name_of(Measure measure);

// Breaks a rule on purpose; false: there is none of this name.
[[nodiscard]] bool set_fault(Faults& faults, std::string_view name);

// Reads the text of a workload file. Errors go to `errors` as file:line:column: sentence; what is returned is
// usable only when there are none.
[[nodiscard]] Workload read_workload(std::string_view text, const std::string& file,
                                     std::vector<execd::Diagnostic>& errors);

// Which tasks a TaskSpec became.
struct Member {
    TaskIndex task{kNoTask};
    std::size_t spec{0};
};

// Puts the tasks of the workload and its changes into a simulation at its start. Tasks that are forked later
// belong to their parent's spec; see Recorder.
void populate(Simulation& simulation, const Workload& workload, std::vector<Member>& members);

}  // namespace sched_sim
