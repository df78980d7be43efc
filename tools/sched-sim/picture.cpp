// SPDX-License-Identifier: MIT
#include "picture.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ostream>

namespace sched_sim {
namespace {

constexpr int kLeft = 64;
constexpr int kRight = 12;
constexpr int kPlotWidth = kPictureWidth - kLeft - kRight;
constexpr int kBarTop = 8;  // above: wake-ups; below: arrivals
constexpr int kBarHeight = kLaneHeight - 2 * kBarTop;
constexpr int kHistoryHeight = 150;
// Beyond this colours cannot be told apart; tasks of one [[task]] share theirs when there are more.
constexpr std::size_t kColours = 24;

std::string number(double value) {
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.2f", value);
    return buffer.data();
}

std::size_t colour_of(const Report& report, TaskIndex task) {
    return (report.names.size() <= kColours ? std::size_t{task} : report.specs[task]) % kColours;
}

// 1, 2 or 5 times a power of ten, giving at most ten steps.
double step_for(double span) {
    const double power = std::pow(10.0, std::floor(std::log10(span / 10)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (span / (power * factor) <= 10) {
            return power * factor;
        }
    }
    return power * 10;
}

// Vertical lines and their times. `from`, `span` in ms.
void draw_time_axis(std::ostream& out, double from, double span, int height) {
    const double step = step_for(span);
    for (double t = std::ceil(from / step) * step; t <= from + span * 1.0001; t += step) {
        const double x = kLeft + (t - from) / span * kPlotWidth;
        out << "<line class=\"grid\" x1=\"" << number(x) << "\" x2=\"" << number(x) << "\" y1=\"0\" y2=\""
            << height << "\"/><text class=\"tick\" x=\"" << number(x) << "\" y=\"" << height + 14 << "\">";
        std::array<char, 32> buffer{};
        const bool in_seconds = from + span > 2000;
        std::snprintf(buffer.data(), buffer.size(), "%.4g %s", in_seconds ? t / 1000 : t,
                      in_seconds ? "s" : "ms");
        out << buffer.data() << "</text>\n";
    }
}

const char* word_of(Incident::Kind kind) {
    switch (kind) {
        case Incident::Kind::Wake:
            return "wakes";
        case Incident::Kind::Move:
            return "comes from another hart";
        case Incident::Kind::Throttled:
            return "is out of budget";
        case Incident::Kind::Released:
            return "has budget again";
        case Incident::Kind::Exit:
            return "ends";
        case Incident::Kind::Offline:
            return "goes offline";
        case Incident::Kind::Online:
            return "comes online";
    }
    return "";
}

double ms(Duration d) {
    return static_cast<double>(d.ns()) * 1e-6;
}

std::string moment(Instant t) {
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.3f ms", ms(t - Instant{}));
    return buffer.data();
}

void draw_incident(std::ostream& out, const Report& report, const Incident& incident, double x) {
    const double y = incident.cpu.value() * kLaneHeight;
    const bool is_move = incident.kind == Incident::Kind::Move;
    const bool is_task = incident.task != kNoTask;
    const std::string who =
        is_task ? report.names[incident.task] : "cpu" + std::to_string(incident.cpu.value());
    if (incident.kind == Incident::Kind::Wake || is_move) {
        const double tip = is_move ? y + kLaneHeight - 8 : y + 6;
        const double base = is_move ? y + kLaneHeight - 2 : y;
        out << "<path class=\"" << (is_move ? "move" : "wake") << "\" d=\"M" << number(x) << ' '
            << number(tip) << " l-3 " << number(base - tip) << " h6 z\">";
    } else {
        out << "<line class=\"incident\" x1=\"" << number(x) << "\" x2=\"" << number(x) << "\" y1=\""
            << number(y) << "\" y2=\"" << number(y + kLaneHeight) << "\">";
    }
    out << "<title>" << escaped(who) << ' ' << word_of(incident.kind) << " at " << moment(incident.at)
        << "</title>" << (incident.kind == Incident::Kind::Wake || is_move ? "</path>\n" : "</line>\n");
}

}  // namespace

std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        switch (c) {
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;";
                break;
            case '&':
                result += "&amp;";
                break;
            case '"':
                result += "&quot;";
                break;
            default:
                result += c;
        }
    }
    return result;
}

void write_style(std::ostream& out, const Report& report) {
    out << "svg{font:12px system-ui,sans-serif}\n"
           "text{fill:#333}.tick{fill:#666;text-anchor:middle;font-size:11px}.value{text-anchor:end}\n"
           ".lane{fill:#8881}.grid{stroke:#8885;stroke-width:.5}.seg{stroke:#fff;stroke-width:.4}\n"
           ".seg:hover{stroke:#000;stroke-width:1.5}.dim{opacity:.15}\n"
           ".wake{fill:#222}.move{fill:#c22}.incident{stroke:#c22;stroke-width:1.5;stroke-dasharray:3 2}\n"
           ".line{fill:none;stroke-width:1.6}.fair{stroke-dasharray:5 3;stroke-width:1}\n";
    const std::size_t colours = std::min(report.names.size(), kColours);
    for (std::size_t i = 0; i < colours; ++i) {
        // Steps of the golden angle keep neighbours apart.
        const auto hue = static_cast<int>(std::fmod(210.0 + static_cast<double>(i) * 137.508, 360.0));
        const int light = i % 2 == 0 ? 52 : 62;
        out << ".c" << i << "{fill:hsl(" << hue << ",62%," << light << "%)}.l" << i << "{stroke:hsl(" << hue
            << ",62%," << light << "%)}";
    }
    out << "\n@media(prefers-color-scheme:dark){text{fill:#ddd}.tick{fill:#aaa}.wake{fill:#eee}"
           ".seg{stroke:#111}.seg:hover{stroke:#fff}.move,.incident{fill:#f66;stroke:#f66}}\n";
}

int draw_timeline(std::ostream& out, const Report& report) {
    const auto lanes = static_cast<int>(report.lanes.size());
    const int height = lanes * kLaneHeight;
    const double from = ms(report.view_from - Instant{});
    const double span = std::max(1e-6, ms(report.view_to - report.view_from));
    const auto x_of = [&](Instant t) { return kLeft + (ms(t - Instant{}) - from) / span * kPlotWidth; };
    for (int h = 0; h < lanes; ++h) {
        out << "<rect class=\"lane\" x=\"" << kLeft << "\" y=\"" << h * kLaneHeight + kBarTop << "\" width=\""
            << kPlotWidth << "\" height=\"" << kBarHeight << "\"/><text x=\"4\" y=\"" << h * kLaneHeight + 21
            << "\">cpu" << h << "</text>\n";
    }
    draw_time_axis(out, from, span, height);
    for (int h = 0; h < lanes; ++h) {
        for (const Segment& segment : report.lanes[static_cast<std::size_t>(h)]) {
            const double x = x_of(segment.from);
            const double width = std::max(0.3, x_of(segment.to) - x);
            out << "<rect class=\"seg c" << colour_of(report, segment.task) << "\" x=\"" << number(x)
                << "\" y=\"" << h * kLaneHeight + kBarTop << "\" width=\"" << number(width) << "\" height=\""
                << kBarHeight << "\"><title>" << escaped(report.names[segment.task]) << " on cpu" << h << '\n'
                << moment(segment.from) << " + " << show(segment.to - segment.from) << "</title></rect>\n";
        }
    }
    for (const Incident& incident : report.incidents) {
        draw_incident(out, report, incident, x_of(incident.at));
    }
    return height + 20;
}

// Part of a hart over the whole run, with the mean fair share of the measured part dashed.
int draw_history(std::ostream& out, const Report& report) {
    if (report.history.size() < 2 || report.names.size() > kColours) {
        return 0;
    }
    float top = 0.01F;
    for (const Bucket& bucket : report.history) {
        for (const float share : bucket.shares) {
            top = std::max(top, share);
        }
    }
    const double scale = static_cast<double>(top) * 1.08;
    const double span = ms(report.workload.duration);
    const auto y_of = [&](double share) { return kHistoryHeight * (1 - share / scale); };
    draw_time_axis(out, 0, span, kHistoryHeight);
    const double step = step_for(scale * 2);
    for (double share = 0; share < scale; share += step) {
        out << "<line class=\"grid\" x1=\"" << kLeft << "\" x2=\"" << kPictureWidth - kRight << "\" y1=\""
            << number(y_of(share)) << "\" y2=\"" << number(y_of(share)) << "\"/><text class=\"value\" x=\""
            << kLeft - 6 << "\" y=\"" << number(y_of(share) + 4) << "\">" << number(share) << "</text>\n";
    }
    for (TaskIndex task = 0; task < report.names.size(); ++task) {
        out << "<polyline class=\"line l" << colour_of(report, task) << "\" points=\"";
        for (const Bucket& bucket : report.history) {
            if (task < bucket.shares.size()) {
                const double middle = (ms(bucket.from - Instant{}) + ms(bucket.to - Instant{})) / 2;
                out << number(kLeft + middle / span * kPlotWidth) << ','
                    << number(y_of(static_cast<double>(bucket.shares[task]))) << ' ';
            }
        }
        out << "\"><title>" << escaped(report.names[task]) << "</title></polyline>\n";
    }
    const double measured_from = kLeft + ms(report.workload.warmup) / span * kPlotWidth;
    for (const Row& row : report.rows) {
        if (row.fair && row.members == 1) {
            out << "<line class=\"fair l" << colour_of(report, row.first) << "\" x1=\""
                << number(measured_from) << "\" x2=\"" << kPictureWidth - kRight << "\" y1=\""
                << number(y_of(*row.fair)) << "\" y2=\"" << number(y_of(*row.fair))
                << "\"><title>fair share of " << escaped(row.name) << "</title></line>\n";
        }
    }
    return kHistoryHeight + 26;
}

int draw_legend(std::ostream& out, const Report& report) {
    int x = kLeft;
    int y = 0;
    const bool is_small = report.names.size() <= kColours;
    const std::size_t entries = is_small ? report.names.size() : report.workload.tasks.size();
    for (std::size_t i = 0; i < entries; ++i) {
        const std::string& name = is_small ? report.names[i] : report.workload.tasks[i].name;
        const int width = 30 + 7 * static_cast<int>(name.size());
        if (x + width > kPictureWidth) {
            x = kLeft;
            y += 18;
        }
        out << "<rect class=\"c" << i % kColours << "\" x=\"" << x << "\" y=\"" << y + 2
            << "\" width=\"11\" height=\"11\"/><text x=\"" << x + 16 << "\" y=\"" << y + 12 << "\">"
            << escaped(name) << "</text>\n";
        x += width;
    }
    return y + 24;
}

}  // namespace sched_sim
