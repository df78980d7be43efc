// SPDX-License-Identifier: MIT
// Tables and timelines for terminals; CSV and JSON for programs.
#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>

#include "notation.hpp"
#include "report.hpp"

namespace sched_sim {
namespace {

template <class... Values>
std::string print(const char* format, Values... values) {
    std::array<char, 256> buffer{};
    const int length = std::snprintf(buffer.data(), buffer.size(), format, values...);
    return {buffer.data(), static_cast<std::size_t>(std::clamp(length, 0, 255))};
}

using Line = std::vector<std::string>;

// Columns as wide as their widest entry; the first is text, the others are figures.
void write_columns(std::ostream& out, const std::vector<Line>& lines) {
    std::vector<std::size_t> widths(lines.front().size());
    for (const Line& line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            widths[i] = std::max(widths[i], line[i].size());
        }
    }
    for (const Line& line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            const std::string fill(widths[i] - line[i].size(), ' ');
            out << (i == 0 ? "" : "  ") << (i < 2 ? line[i] + fill : fill + line[i]);
        }
        out << '\n';
    }
}

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            result += print("\\u%04x", static_cast<unsigned>(c));
        } else {
            result += c;
        }
    }
    return result + '"';
}

std::string csv_quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        result += c == '"' ? "\"\"" : std::string(1, c);
    }
    return result + '"';
}

std::string fraction(double value) {
    return print("%.4f", value);
}

std::string met(const Row& row) {
    const std::uint64_t all = row.wakes_met + row.wakes_missed;
    return !row.has_target || all == 0
               ? "-"
               : print("%.2f%%", 100.0 * static_cast<double>(row.wakes_met) / static_cast<double>(all));
}

// A letter per [[task]], a digit after that for its members would not fit: members share the letter.
char letter_of(const Report& report, TaskIndex task) {
    constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const bool is_small = report.names.size() <= kLetters.size();
    return kLetters[(is_small ? task : report.specs[task]) % kLetters.size()];
}

}  // namespace

std::string show(Duration duration) {
    const auto ns = static_cast<double>(duration.ns());
    if (duration.ns() < 1000) {
        return print("%.0f ns", ns);
    }
    if (duration.ns() < 1'000'000) {
        return print("%.3g us", ns * 1e-3);
    }
    return duration.ns() < 1'000'000'000 ? print("%.2f ms", ns * 1e-6) : print("%.3f s", ns * 1e-9);
}

std::string show(Measure measure, double value) {
    return is_duration(measure) ? show(Duration::nanoseconds(static_cast<std::int64_t>(value * 1e9 + 0.5)))
                                : print("%.5g", value);
}

std::string show_class(QosClass qos_class) {
    return std::string{execd::class_name(static_cast<std::uint32_t>(qos_class))};
}

void write_table(std::ostream& out, const Report& report) {
    const Workload& workload = report.workload;
    out << workload.name << (workload.summary.empty() ? "" : ": " + workload.summary) << '\n';
    out << workload.machine.harts << (workload.machine.harts == 1 ? " hart, " : " harts, ")
        << show(report.measured_for) << " measured after " << show(workload.warmup) << ", seed "
        << workload.machine.seed << ", " << report.events << " events\n\n";
    std::vector<Line> lines{{"task", "class", "shares", "share", "fair", "error", "lag max", "wait max",
                             "wakes", "wake p50", "p99", "p99.9", "max", "met", "response p99", "max",
                             "moves", "switches"}};
    for (const Row& row : report.rows) {
        lines.push_back({row.members > 1 ? row.name + " x" + std::to_string(row.members) : row.name,
                         show_class(row.qos_class), std::to_string(row.shares), fraction(row.share),
                         row.fair ? fraction(*row.fair) : "-", row.fair ? fraction(row.error_max) : "-",
                         show(row.lag_max), show(row.wait_max), std::to_string(row.wake.count()),
                         show(row.wake.percentile(0.5)), show(row.wake.percentile(0.99)),
                         show(row.wake.percentile(0.999)), show(row.wake.max()), met(row),
                         show(row.response.percentile(0.99)), show(row.response.max()),
                         std::to_string(row.migrations), std::to_string(row.switches)});
    }
    write_columns(out, lines);
    out << '\n';
    lines.assign({{"hart", "", "busy", "switches", "timer irqs", "ipis", "pulls", "pushes"}});
    for (std::size_t h = 0; h < report.harts.size(); ++h) {
        const HartRow& hart = report.harts[h];
        lines.push_back({"cpu" + std::to_string(h), "", print("%.2f%%", 100 * hart.busy),
                         std::to_string(hart.record.switches), std::to_string(hart.record.timer_interrupts),
                         std::to_string(hart.record.ipis_received), std::to_string(hart.record.pulls),
                         std::to_string(hart.record.pushes)});
    }
    write_columns(out, lines);
    if (!report.verdicts.empty()) {
        out << '\n';
        lines.assign({{"", "expected", "bound", "measured"}});
        for (const Verdict& verdict : report.verdicts) {
            const ExpectSpec& expect = verdict.expect;
            std::string bound = expect.at_least ? ">= " + show(expect.measure, *expect.at_least) : "";
            bound += expect.at_least && expect.at_most ? ", " : "";
            bound += expect.at_most ? "<= " + show(expect.measure, *expect.at_most) : "";
            lines.push_back(
                {verdict.is_met ? "ok" : "FAIL",
                 std::string{name_of(expect.measure)} + (expect.task.empty() ? "" : " of " + expect.task),
                 bound, verdict.is_known ? show(expect.measure, verdict.measured) : "no single answer"});
        }
        write_columns(out, lines);
    }
    if (!report.violation.empty()) {
        out << "\nVIOLATION at " << report.violation << '\n';
    }
}

// Each column is one stretch of time and shows who had most of it; '.' is nobody.
void write_timeline(std::ostream& out, const Report& report, std::uint32_t columns) {
    const std::int64_t span = std::max<std::int64_t>(1, (report.view_to - report.view_from).ns());
    const std::int64_t per_column = std::max<std::int64_t>(1, (span + columns - 1) / columns);
    const auto shown = static_cast<std::size_t>((span + per_column - 1) / per_column);
    out << "from " << show(report.view_from - Instant{}) << ", " << show(Duration::nanoseconds(per_column))
        << " per column\n";
    for (std::size_t h = 0; h < report.lanes.size(); ++h) {
        std::vector<std::int64_t> best(shown);
        std::string line(shown, '.');
        for (const Segment& segment : report.lanes[h]) {
            const std::int64_t from = (segment.from - report.view_from).ns();
            const std::int64_t to = (segment.to - report.view_from).ns();
            for (std::int64_t c = from / per_column; c * per_column < to; ++c) {
                const std::int64_t part = std::min(to, (c + 1) * per_column) - std::max(from, c * per_column);
                const auto column = static_cast<std::size_t>(c);
                if (column < shown && part > best[column]) {
                    best[column] = part;
                    line[column] = letter_of(report, segment.task);
                }
            }
        }
        out << "cpu" << h << (h < 10 ? "  " : " ") << line << '\n';
    }
    std::string previous;
    for (TaskIndex i = 0; i < report.names.size() && i < 200; ++i) {
        std::string entry{letter_of(report, i)};
        const bool is_small = report.names.size() <= 62;
        entry += " " + (is_small ? report.names[i] : report.workload.tasks[report.specs[i]].name);
        if (entry != previous) {
            out << (previous.empty() ? "      " : "   ") << entry;
        }
        previous = entry;
    }
    out << '\n';
}

void write_csv(std::ostream& out, const Report& report) {
    out << "task,members,class,shares,mask,share,fair,error_max,lag_max_ns,wait_max_ns,wakes,wake_p50_ns,"
           "wake_p99_ns,wake_p999_ns,wake_max_ns,response_p99_ns,response_max_ns,met,missed,migrations,"
           "switches,completions,throttled_ns,"
           "window_max_ns\n";
    for (const Row& row : report.rows) {
        out << csv_quoted(row.name) << ',' << row.members << ',' << show_class(row.qos_class) << ','
            << row.shares << ',' << print("0x%llx", static_cast<unsigned long long>(row.mask.bits())) << ','
            << print("%.9f", row.share) << ',' << (row.fair ? print("%.9f", *row.fair) : "") << ','
            << (row.fair ? print("%.9f", row.error_max) : "") << ',' << row.lag_max.ns() << ','
            << row.wait_max.ns() << ',' << row.wake.count() << ',' << row.wake.percentile(0.5).ns() << ','
            << row.wake.percentile(0.99).ns() << ',' << row.wake.percentile(0.999).ns() << ','
            << row.wake.max().ns() << ',' << row.response.percentile(0.99).ns() << ','
            << row.response.max().ns() << ',' << row.wakes_met << ',' << row.wakes_missed << ','
            << row.migrations << ',' << row.switches << ',' << row.completions << ',' << row.throttled.ns()
            << ',' << row.window_max.ns() << '\n';
    }
}

void write_json(std::ostream& out, const Report& report) {
    out << "{\"name\": " << quoted(report.workload.name) << ", \"harts\": " << report.workload.machine.harts
        << ", \"seed\": " << report.workload.machine.seed << ", \"events\": " << report.events
        << ", \"measured_ns\": " << report.measured_for.ns() << ", \"fingerprint\": "
        << quoted(print("%016llx", static_cast<unsigned long long>(report.fingerprint)))
        << ", \"migrations_per_second\": " << print("%.6g", report.migrations_per_second)
        << ", \"violation\": " << quoted(report.violation) << ",\n \"tasks\": [";
    for (const Row& row : report.rows) {
        out << (&row == report.rows.data() ? "\n" : ",\n") << "  {\"name\": " << quoted(row.name)
            << ", \"members\": " << row.members << ", \"class\": " << quoted(show_class(row.qos_class))
            << ", \"shares\": " << row.shares << ", \"share\": " << print("%.9f", row.share)
            << ", \"fair\": " << (row.fair ? print("%.9f", *row.fair) : "null")
            << ", \"error_max\": " << (row.fair ? print("%.9f", row.error_max) : "null")
            << ", \"lag_max_ns\": " << row.lag_max.ns() << ", \"wait_max_ns\": " << row.wait_max.ns()
            << ", \"wakes\": " << row.wake.count() << ", \"wake_p50_ns\": " << row.wake.percentile(0.5).ns()
            << ", \"wake_p99_ns\": " << row.wake.percentile(0.99).ns()
            << ", \"wake_p999_ns\": " << row.wake.percentile(0.999).ns()
            << ", \"wake_max_ns\": " << row.wake.max().ns()
            << ", \"response_p99_ns\": " << row.response.percentile(0.99).ns()
            << ", \"response_max_ns\": " << row.response.max().ns() << ", \"met\": " << row.wakes_met
            << ", \"missed\": " << row.wakes_missed << ", \"migrations\": " << row.migrations
            << ", \"switches\": " << row.switches << ", \"completions\": " << row.completions
            << ", \"throttled_ns\": " << row.throttled.ns() << ", \"window_max_ns\": " << row.window_max.ns()
            << '}';
    }
    out << "],\n \"harts_measured\": [";
    for (const HartRow& hart : report.harts) {
        out << (&hart == report.harts.data() ? "\n" : ",\n") << "  {\"busy\": " << print("%.6f", hart.busy)
            << ", \"switches\": " << hart.record.switches
            << ", \"timer_interrupts\": " << hart.record.timer_interrupts
            << ", \"ipis\": " << hart.record.ipis_received << ", \"pulls\": " << hart.record.pulls
            << ", \"pushes\": " << hart.record.pushes << '}';
    }
    out << "],\n \"expectations\": [";
    for (const Verdict& verdict : report.verdicts) {
        const ExpectSpec& expect = verdict.expect;
        out << (&verdict == report.verdicts.data() ? "\n" : ",\n")
            << "  {\"measure\": " << quoted(std::string{name_of(expect.measure)})
            << ", \"task\": " << quoted(expect.task)
            << ", \"at_least\": " << (expect.at_least ? print("%.9g", *expect.at_least) : "null")
            << ", \"at_most\": " << (expect.at_most ? print("%.9g", *expect.at_most) : "null")
            << ", \"measured\": " << (verdict.is_known ? print("%.9g", verdict.measured) : "null")
            << ", \"met\": " << (verdict.is_met ? "true" : "false")
            << ", \"because\": " << quoted(expect.because) << '}';
    }
    out << "]}\n";
}

}  // namespace sched_sim
