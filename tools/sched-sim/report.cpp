// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "expected.hpp"
#include "trace_writer.hpp"

namespace sched_sim {
namespace {

// A [[task]] with more members than this is one row.
constexpr std::uint32_t kMembersShown = 8;

struct Before {
    std::uint64_t migrations{0};
    std::uint64_t switches{0};
    std::uint64_t met{0};
    std::uint64_t missed{0};
    std::uint64_t completions{0};
    Duration service{};
};

Before snapshot(const Simulation& simulation, TaskIndex task) {
    const auto& statistics = simulation.entity(task).statistics();
    return {.migrations = statistics.migrations,
            .switches = statistics.switches_voluntary + statistics.switches_involuntary,
            .met = statistics.latency_target_met,
            .missed = statistics.latency_target_missed,
            .completions = simulation.record(task).completions,
            .service = simulation.service(task)};
}

class Run {
  public:
    Run(const Workload& workload, bool audit, bool traces)
        : workload_{workload},
          simulation_{config_of(workload, audit)},
          start_{simulation_.now()},
          recorder_{simulation_, start_ + workload.view_from,
                    start_ + workload.view_from + workload.view_span, start_ + workload.duration},
          expected_{simulation_},
          trace_{simulation_, start_ + workload.view_from, start_ + workload.view_from + workload.view_span},
          traces_{traces} {}

    Report go();

  private:
    static Config config_of(const Workload& workload, bool audit) {
        Config config = workload.machine;
        config.audit = config.audit || audit;
        return config;
    }
    [[nodiscard]] std::size_t spec_of(TaskIndex task) const;
    void add_to(Row& row, TaskIndex task);
    void fill_rows(Report& report);
    void judge(Report& report) const;
    [[nodiscard]] std::optional<double> measure(const Report& report, const ExpectSpec& expect) const;

    const Workload& workload_;
    Simulation simulation_;
    Instant start_;
    Recorder recorder_;
    Expected expected_;
    TraceWriter trace_;
    bool traces_;
    std::vector<Member> members_;
    std::vector<Before> before_;
    double span_ns_{1};
};

Report Run::go() {
    populate(simulation_, workload_, members_);
    simulation_.add_observer(recorder_);
    if (traces_) {
        simulation_.add_observer(trace_);
    }
    simulation_.run_until(start_ + workload_.warmup);
    simulation_.mark();
    simulation_.add_observer(expected_);
    expected_.start();
    recorder_.start_measuring();
    for (TaskIndex i = 0; i < simulation_.task_count(); ++i) {
        before_.push_back(snapshot(simulation_, i));
    }
    std::vector<HartRecord> harts_before;
    std::vector<Duration> busy_before;
    for (std::uint32_t h = 0; h < simulation_.hart_count(); ++h) {
        harts_before.push_back(simulation_.hart_record(CpuId{h}));
        busy_before.push_back(simulation_.queue(CpuId{h}).busy());
    }
    const Instant measured_from = simulation_.now();
    simulation_.run_until(start_ + workload_.duration);
    expected_.finish();
    recorder_.finish();

    Report report{.workload = workload_};
    report.trace = traces_ ? trace_.file() : std::string{};
    report.measured_for = simulation_.now() - measured_from;
    span_ns_ = std::max(1.0, static_cast<double>(report.measured_for.ns()));
    report.events = simulation_.events();
    report.fingerprint = simulation_.fingerprint();
    report.violation = simulation_.violation();
    report.migrations_per_second = static_cast<double>(recorder_.migrations()) / (span_ns_ * 1e-9);
    for (std::uint32_t h = 0; h < simulation_.hart_count(); ++h) {
        HartRow row{.record = simulation_.hart_record(CpuId{h})};
        const HartRecord& before = harts_before[h];
        row.busy = static_cast<double>((simulation_.queue(CpuId{h}).busy() - busy_before[h]).ns()) / span_ns_;
        row.record.timer_interrupts -= before.timer_interrupts;
        row.record.ipis_received -= before.ipis_received;
        row.record.switches -= before.switches;
        row.record.pulls -= before.pulls;
        row.record.pushes -= before.pushes;
        report.harts.push_back(row);
    }
    fill_rows(report);
    judge(report);
    report.lanes = recorder_.lanes();
    report.incidents = recorder_.incidents();
    report.history = recorder_.history();
    report.view_from = recorder_.from();
    report.view_to = recorder_.to();
    return report;
}

// A forked task belongs where its parent does.
std::size_t Run::spec_of(TaskIndex task) const {
    while (simulation_.parent(task) != kNoTask) {
        task = simulation_.parent(task);
    }
    const auto found = std::ranges::find(members_, task, &Member::task);
    return found == members_.end() ? 0 : found->spec;
}

void Run::add_to(Row& row, TaskIndex task) {
    const Before before = task < before_.size() ? before_[task] : Before{};
    const Before after = snapshot(simulation_, task);
    const TaskRecord& record = simulation_.record(task);
    const double share = static_cast<double>((after.service - before.service).ns()) / span_ns_;
    row.share += share;
    row.share_least = row.members == 0 ? share : std::min(row.share_least, share);
    row.share_most = std::max(row.share_most, share);
    ++row.members;
    if (const auto due = expected_.service_ns(task)) {
        row.fair = row.fair.value_or(0.0) + *due / span_ns_;
        row.error_max = std::max(row.error_max, std::abs(share - *due / span_ns_));
    }
    row.lag_max = std::max(row.lag_max, recorder_.lag_max(task));
    row.wait_max = std::max({row.wait_max, record.wait.max(), simulation_.waiting_for(task)});
    row.wake.merge(record.wake_latency);
    row.response.merge(record.response);
    row.wakes_met += after.met - before.met;
    row.wakes_missed += after.missed - before.missed;
    row.migrations += after.migrations - before.migrations;
    row.switches += after.switches - before.switches;
    row.completions += after.completions - before.completions;
    row.throttled += record.throttled;
    const Duration period = simulation_.entity(task).attributes.budget.period;
    if (!period.is_zero()) {
        row.window_max = std::max(row.window_max, recorder_.window_max(task, period));
    }
}

void Run::fill_rows(Report& report) {
    std::map<std::size_t, std::vector<TaskIndex>> by_spec;
    for (TaskIndex i = 0; i < simulation_.task_count(); ++i) {
        const std::size_t spec = spec_of(i);
        by_spec[spec].push_back(i);
        report.names.push_back(simulation_.name(i));
        report.specs.push_back(spec);
    }
    for (const auto& [spec, tasks] : by_spec) {
        const bool is_one_row = tasks.size() > kMembersShown;
        for (const TaskIndex task : tasks) {
            if (task == tasks.front() || !is_one_row) {
                const Entity& entity = simulation_.entity(task);
                report.rows.push_back(
                    {.name = is_one_row ? workload_.tasks[spec].name : simulation_.name(task),
                     .spec = spec,
                     .first = task,
                     .members = 0,
                     .qos_class = entity.attributes.qos_class,
                     .shares = entity.attributes.shares,
                     .mask = entity.attributes.affinity_effective & CpuMask::first(simulation_.hart_count()),
                     .has_target = !entity.attributes.latency.is_zero()});
            }
            add_to(report.rows.back(), task);
        }
    }
}

double seconds(Duration d) {
    return static_cast<double>(d.ns()) * 1e-9;
}

std::optional<double> Run::measure(const Report& report, const ExpectSpec& expect) const {
    Row sum{.members = 0};
    double spread = 0;
    bool is_fair_known = true;
    for (const Row& row : report.rows) {
        if (!expect.task.empty() && workload_.tasks[row.spec].name != expect.task) {
            continue;
        }
        sum.share_least = sum.members == 0 ? row.share_least : std::min(sum.share_least, row.share_least);
        sum.share_most = std::max(sum.share_most, row.share_most);
        sum.members += row.members;
        sum.share += row.share;
        sum.error_max = std::max(sum.error_max, row.error_max);
        is_fair_known = is_fair_known && row.fair.has_value();
        sum.lag_max = std::max(sum.lag_max, row.lag_max);
        sum.wait_max = std::max(sum.wait_max, row.wait_max);
        sum.window_max = std::max(sum.window_max, row.window_max);
        sum.wake.merge(row.wake);
        sum.response.merge(row.response);
        sum.wakes_met += row.wakes_met;
        sum.wakes_missed += row.wakes_missed;
        sum.completions += row.completions;
        sum.switches += row.switches;
    }
    const double mean = sum.share / std::max(1U, sum.members);
    spread = mean > 0 ? (sum.share_most - sum.share_least) / mean : 0;
    switch (expect.measure) {
        case Measure::Share:
            return sum.share;
        case Measure::ShareError:
            return is_fair_known ? std::optional{sum.error_max} : std::nullopt;
        case Measure::ShareSpread:
            return spread;
        case Measure::WaitMax:
            return seconds(sum.wait_max);
        case Measure::WakeP50:
            return seconds(sum.wake.percentile(0.5));
        case Measure::WakeP99:
            return seconds(sum.wake.percentile(0.99));
        case Measure::WakeP999:
            return seconds(sum.wake.percentile(0.999));
        case Measure::WakeMax:
            return seconds(sum.wake.max());
        case Measure::ResponseP50:
            return seconds(sum.response.percentile(0.5));
        case Measure::ResponseP99:
            return seconds(sum.response.percentile(0.99));
        case Measure::ResponseMax:
            return seconds(sum.response.max());
        case Measure::LagMax:
            return seconds(sum.lag_max);
        case Measure::LatencyMissed: {
            const auto all = static_cast<double>(sum.wakes_met + sum.wakes_missed);
            return all > 0 ? static_cast<double>(sum.wakes_missed) / all : 0.0;
        }
        case Measure::WindowMax:
            return seconds(sum.window_max);
        case Measure::Migrations:
            return report.migrations_per_second;
        case Measure::Switches:
            return static_cast<double>(sum.switches) / (span_ns_ * 1e-9);
        case Measure::Completions:
            return static_cast<double>(sum.completions);
        case Measure::Idle: {
            double busy = 0;
            for (const HartRow& hart : report.harts) {
                busy += hart.busy;
            }
            return 1.0 - busy / static_cast<double>(report.harts.size());
        }
    }
    return std::nullopt;
}

void Run::judge(Report& report) const {
    for (const ExpectSpec& expect : workload_.expects) {
        Verdict verdict{.expect = expect};
        const std::optional<double> measured = measure(report, expect);
        verdict.is_known = measured.has_value();
        verdict.measured = measured.value_or(0);
        verdict.is_met = verdict.is_known && verdict.measured >= expect.at_least.value_or(-INFINITY) &&
                         verdict.measured <= expect.at_most.value_or(INFINITY);
        report.verdicts.push_back(verdict);
    }
}

}  // namespace

bool Report::is_good() const {
    return violation.empty() && std::ranges::all_of(verdicts, &Verdict::is_met);
}

Report run_workload(const Workload& workload, bool audit, bool trace) {
    return Run{workload, audit, trace}.go();
}

}  // namespace sched_sim
