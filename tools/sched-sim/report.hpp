// SPDX-License-Identifier: MIT
// The figures of a finished run, and the forms they are written in.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "recorder.hpp"
#include "workload.hpp"

namespace sched_sim {

// One task, or all members of a [[task]] with many.
struct Row {
    std::string name{};
    std::size_t spec{0};
    TaskIndex first{kNoTask};
    std::uint32_t members{1};
    QosClass qos_class{};
    std::uint32_t shares{0};
    CpuMask mask{};
    double share{0};               // of a full hart, all members together
    std::optional<double> fair{};  // likewise
    double error_max{0};           // largest |share - fair| of a member
    double share_least{0};
    double share_most{0};
    Duration lag_max{};
    Duration wait_max{};
    LatencyHistogram wake{};
    LatencyHistogram response{};
    std::uint64_t wakes_met{0};
    std::uint64_t wakes_missed{0};
    bool has_target{false};
    std::uint64_t migrations{0};
    std::uint64_t switches{0};
    std::uint64_t completions{0};
    Duration throttled{};
    Duration window_max{};
};

struct HartRow {
    double busy{0};  // part of the measured time
    HartRecord record{};
};

struct Verdict {
    ExpectSpec expect{};
    double measured{0};
    bool is_met{false};
    bool is_known{true};  // false: there is no fair share to compare with
};

struct Report {
    Workload workload{};
    std::vector<Row> rows{};
    std::vector<HartRow> harts{};
    std::vector<Verdict> verdicts{};
    Duration measured_for{};
    double migrations_per_second{0};
    std::uint64_t events{0};
    std::uint64_t fingerprint{0};
    std::string violation{};
    // For the pictures.
    std::vector<std::string> names{};  // of every task
    std::vector<std::size_t> specs{};  // the [[task]] every task belongs to
    std::vector<std::vector<Segment>> lanes{};
    std::vector<Incident> incidents{};
    std::vector<Bucket> history{};
    Instant view_from{};
    Instant view_to{};
    // The view as a trace file, when it was asked for.
    std::string trace{};

    [[nodiscard]] bool is_good() const;
};

// Runs the workload from beginning to end. `audit`: check every invariant after every event (slow). `trace`:
// fill Report::trace.
[[nodiscard]] Report run_workload(const Workload& workload, bool audit, bool trace = false);

void write_table(std::ostream& out, const Report& report);
void write_timeline(std::ostream& out, const Report& report, std::uint32_t columns);
void write_csv(std::ostream& out, const Report& report);
void write_json(std::ostream& out, const Report& report);
// One file without anything from outside.
void write_html(std::ostream& out, const Report& report);
// The timeline and the history of shares as one picture for the docs.
void write_svg(std::ostream& out, const Report& report);

// "2.50 ms", "812 ns"
[[nodiscard]] std::string show(Duration duration);
// "0.6667"; with a duration measure "2.50 ms".
[[nodiscard]] std::string show(Measure measure, double value);
[[nodiscard]] std::string show_class(QosClass qos_class);

}  // namespace sched_sim
