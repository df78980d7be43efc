// SPDX-License-Identifier: MIT
// The HTML report (also well-formed XML, so that any parser can read it) and the single picture.
#include <array>
#include <cstdio>
#include <ostream>
#include <sstream>

#include "picture.hpp"

namespace sched_sim {
namespace {

std::string fraction(double value) {
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.4f", value);
    return buffer.data();
}

struct Figure {
    std::string elements;
    int height{0};
};

template <class Draw>
Figure figure(Draw&& draw) {
    std::ostringstream out;
    const int height = draw(out);
    return {.elements = out.str(), .height = height};
}

void write_figure(std::ostream& out, const Figure& drawing) {
    if (drawing.height == 0) {
        return;
    }
    out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 -4 " << kPictureWidth << ' '
        << drawing.height + 4 << "\" role=\"img\">\n"
        << drawing.elements << "</svg>\n";
}

void write_verdicts(std::ostream& out, const Report& report) {
    if (report.verdicts.empty()) {
        return;
    }
    out << "<h2>Expected and measured</h2>\n<table><tr><th></th><th>measure</th><th>bound</th>"
           "<th>measured</th><th>why</th></tr>\n";
    for (const Verdict& verdict : report.verdicts) {
        const ExpectSpec& expect = verdict.expect;
        out << "<tr><td class=\"" << (verdict.is_met ? "ok\">ok" : "bad\">FAIL") << "</td><td class=\"text\">"
            << name_of(expect.measure) << (expect.task.empty() ? "" : " of " + escaped(expect.task))
            << "</td><td>"
            << (expect.at_least ? "&#8805; " + show(expect.measure, *expect.at_least) + " " : "")
            << (expect.at_most ? "&#8804; " + show(expect.measure, *expect.at_most) : "") << "</td><td>"
            << (verdict.is_known ? show(expect.measure, verdict.measured) : "no single answer")
            << "</td><td class=\"text\">" << escaped(expect.because) << "</td></tr>\n";
    }
    out << "</table>\n";
}

void write_tasks(std::ostream& out, const Report& report) {
    out << "<h2>Tasks</h2>\n<table><tr><th>task</th><th>class</th><th>shares</th><th>share</th><th>fair</th>"
           "<th>error</th><th>lag max</th><th>wait max</th><th>wakes</th><th>p50</th><th>p99</th>"
           "<th>p99.9</th><th>max</th><th>response p99</th><th>max</th><th>hint "
           "met</th><th>moves</th><th>switches</th></tr>\n";
    for (const Row& row : report.rows) {
        const auto wakes = static_cast<double>(row.wakes_met + row.wakes_missed);
        out << "<tr><td class=\"text\">" << escaped(row.name)
            << (row.members > 1 ? " &#215;" + std::to_string(row.members) : "") << "</td><td>"
            << show_class(row.qos_class) << "</td><td>" << row.shares << "</td><td>" << fraction(row.share)
            << "</td><td>" << (row.fair ? fraction(*row.fair) : "-") << "</td><td>"
            << (row.fair ? fraction(row.error_max) : "-") << "</td><td>" << show(row.lag_max) << "</td><td>"
            << show(row.wait_max) << "</td><td>" << row.wake.count() << "</td>";
        for (const double part : {0.5, 0.99, 0.999, 1.0}) {
            out << "<td>" << show(row.wake.percentile(part)) << "</td>";
        }
        out << "<td>" << show(row.response.percentile(0.99)) << "</td><td>" << show(row.response.max())
            << "</td><td>"
            << (row.has_target && wakes > 0 ? fraction(static_cast<double>(row.wakes_met) / wakes) : "-")
            << "</td><td>" << row.migrations << "</td><td>" << row.switches << "</td></tr>\n";
    }
    out << "</table>\n";
}

void write_harts(std::ostream& out, const Report& report) {
    out << "<h2>Harts</h2>\n<table><tr><th>hart</th><th>busy</th><th>switches</th><th>timer interrupts</th>"
           "<th>IPIs</th><th>pulls</th><th>pushes</th></tr>\n";
    for (std::size_t h = 0; h < report.harts.size(); ++h) {
        const HartRow& hart = report.harts[h];
        out << "<tr><td class=\"text\">cpu" << h << "</td><td>" << fraction(hart.busy) << "</td><td>"
            << hart.record.switches << "</td><td>" << hart.record.timer_interrupts << "</td><td>"
            << hart.record.ipis_received << "</td><td>" << hart.record.pulls << "</td><td>"
            << hart.record.pushes << "</td></tr>\n";
    }
    out << "</table>\n";
}

// Hovering over a segment dims all other tasks. No < or & in here: the page is XML as well.
constexpr const char* kScript =
    "document.querySelectorAll('.seg').forEach(function(s){var c=s.classList[1];"
    "s.onmouseenter=function(){document.querySelectorAll('.seg').forEach(function(o){"
    "o.classList.toggle('dim',!o.classList.contains(c))})};"
    "s.onmouseleave=function(){document.querySelectorAll('.dim').forEach(function(o){"
    "o.classList.remove('dim')})}});";

}  // namespace

void write_html(std::ostream& out, const Report& report) {
    const Workload& workload = report.workload;
    out << "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta "
           "charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width\"/><title>sched-sim: "
        << escaped(workload.name)
        << "</title><style>\n:root{color-scheme:light dark}\n"
           "body{font:15px system-ui,sans-serif;max-width:1100px;margin:24px auto;padding:0 16px}\n"
           "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}\n"
           "th,td{padding:3px 9px;text-align:right;border-bottom:1px solid #8884}th{font-weight:600}\n"
           ".text{text-align:left}.ok{color:#2a2;font-weight:600}.bad{color:#d33;font-weight:600}\n"
           "svg{width:100%;height:auto;display:block;margin:8px 0}.scroll{overflow-x:auto}\n";
    write_style(out, report);
    out << "</style></head><body>\n<h1>" << escaped(workload.name) << "</h1>\n<p>"
        << escaped(workload.summary) << "</p>\n<p>" << workload.machine.harts
        << (workload.machine.harts == 1 ? " hart; " : " harts; ") << show(report.measured_for)
        << " measured after " << show(workload.warmup) << "; seed " << workload.machine.seed << "; "
        << report.events << " events; IPI " << show(workload.machine.ipi_latency) << ", switch "
        << show(workload.machine.switch_cost) << ".</p>\n";
    if (!report.violation.empty()) {
        out << "<p class=\"bad\">Violation at " << escaped(report.violation) << "</p>\n";
    }
    write_verdicts(out, report);
    out << "<h2>Who runs where</h2>\n<p>" << show(report.view_to - report.view_from) << " from "
        << show(report.view_from - Instant{})
        << ". Black marks: a task wakes; red: it comes from another hart.</p>\n";
    write_figure(out, figure([&](std::ostream& o) { return draw_timeline(o, report); }));
    write_figure(out, figure([&](std::ostream& o) { return draw_legend(o, report); }));
    const Figure history = figure([&](std::ostream& o) { return draw_history(o, report); });
    if (history.height != 0) {
        out << "<h2>Share of a hart over the whole run</h2>\n<p>Dashed: the fair share of the measured "
               "part.</p>\n";
        write_figure(out, history);
    }
    out << "<div class=\"scroll\">\n";
    write_tasks(out, report);
    write_harts(out, report);
    out << "</div>\n<script>" << kScript << "</script></body></html>\n";
}

void write_svg(std::ostream& out, const Report& report) {
    const Figure timeline = figure([&](std::ostream& o) { return draw_timeline(o, report); });
    const Figure legend = figure([&](std::ostream& o) { return draw_legend(o, report); });
    const Figure history = figure([&](std::ostream& o) { return draw_history(o, report); });
    const int gap = 14;
    const int height =
        gap + timeline.height + gap + history.height + (history.height == 0 ? 0 : gap) + legend.height;
    out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << kPictureWidth << ' ' << height
        << "\" width=\"" << kPictureWidth << "\" role=\"img\">\n<title>" << escaped(report.workload.name)
        << "</title><style>\n";
    write_style(out, report);
    out << "</style>\n";
    int y = gap;
    for (const Figure* part : {&timeline, &history, &legend}) {
        out << "<g transform=\"translate(0 " << y << ")\">\n" << part->elements << "</g>\n";
        y += part->height + (part->height == 0 ? 0 : gap);
    }
    out << "</svg>\n";
}

}  // namespace sched_sim
