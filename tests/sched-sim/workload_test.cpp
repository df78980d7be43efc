// SPDX-License-Identifier: MIT
// Workload files: what is read, and that every mistake is named with its place.
#include "workload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "report.hpp"

namespace sched_sim {
namespace {

std::vector<std::string> errors_of(std::string_view text) {
    std::vector<execd::Diagnostic> errors;
    static_cast<void>(read_workload(text, "w.toml", errors));
    std::vector<std::string> lines;
    for (const execd::Diagnostic& error : errors) {
        lines.push_back(execd::to_string(error));
    }
    return lines;
}

Workload read_good(std::string_view text) {
    std::vector<execd::Diagnostic> errors;
    Workload workload = read_workload(text, "w.toml", errors);
    for (const execd::Diagnostic& error : errors) {
        ADD_FAILURE() << execd::to_string(error);
    }
    return workload;
}

TEST(WorkloadFile, ReadsEveryPart) {
    const Workload workload = read_good(R"(
name = "all"
summary = "everything"
[machine]
harts = 2
capacities = [1024, 512]
ipi_latency = "3us"
switch_cost = "2us"
timer_latency = "1us"
lock_regions = true
[run]
duration = "2s"
warmup = "500ms"
seed = 7
[view]
from = "600ms"
span = "50ms"
[[task]]
name = "a"
count = 3
class = "interactive"
shares = 300
latency = "2ms"
burst = "4ms"
cpus = "0-1"
budget = "20ms"
budget_period = "100ms"
group = 200
starts = "10ms"
stops = "1s"
does = "periodic"
period = "10ms"
work = "exp 1ms"
[[task]]
name = "b"
prefer = [1]
does = "script"
steps = ["run 1ms", "lock m", "sleep exp 2ms", "unlock m"]
repeat = true
[[change]]
at = "1s"
task = "b"
shares = 50
[[expect]]
measure = "wake p99"
task = "a"
at_most = "3ms"
because = "it says so"
)");
    EXPECT_EQ(workload.name, "all");
    EXPECT_EQ(workload.machine.harts, 2U);
    EXPECT_EQ(workload.machine.capacities, (std::vector<std::uint32_t>{1024, 512}));
    EXPECT_EQ(workload.machine.seed, 7U);
    EXPECT_TRUE(workload.machine.lock_regions);
    EXPECT_EQ(workload.view_from, Duration::milliseconds(600));
    ASSERT_EQ(workload.tasks.size(), 2U);
    const TaskSpec& a = workload.tasks[0];
    EXPECT_EQ(a.count, 3U);
    EXPECT_EQ(a.attributes.qos_class, QosClass::Interactive);
    EXPECT_EQ(a.attributes.shares, 300U);
    EXPECT_EQ(a.attributes.latency, Duration::milliseconds(2));
    EXPECT_EQ(a.attributes.affinity, CpuMask::first(2));
    EXPECT_EQ(a.budget_period, Duration::milliseconds(100));
    EXPECT_EQ(a.group, 200U);
    EXPECT_EQ(a.conduct.work.kind, Distribution::Kind::Exponential);
    EXPECT_EQ(workload.tasks[1].attributes.policy, nexus_abi::AffinityPolicy::Prefer);
    ASSERT_EQ(workload.changes.size(), 1U);
    EXPECT_EQ(workload.changes[0].shares, 50U);
    ASSERT_EQ(workload.expects.size(), 1U);
    EXPECT_DOUBLE_EQ(workload.expects[0].at_most.value_or(0), 0.003);
}

// Mistake and message, the place included.
TEST(WorkloadFile, NamesEveryMistake) {
    using testing::ElementsAre;
    const std::string task = "[[task]]\nname = \"a\"\n";
    EXPECT_THAT(errors_of("x = "), ElementsAre(testing::StartsWith("w.toml:1:")));
    EXPECT_THAT(errors_of(""), ElementsAre("w.toml: there is no [[task]]"));
    EXPECT_THAT(errors_of(task + "sharez = 3\n"),
                ElementsAre("w.toml:3:1: unknown key 'sharez' (did you mean 'shares'?)"));
    EXPECT_THAT(errors_of(task + "shares = 1001\n"),
                ElementsAre("w.toml:3:10: 'shares' must be 1 to 1000, not 1001"));
    EXPECT_THAT(errors_of(task + "shares = \"many\"\n"),
                ElementsAre("w.toml:3:10: 'shares' must be an integer, not a string"));
    EXPECT_THAT(errors_of(task + "class = \"interactiv\"\n"),
                ElementsAre("w.toml:3:9: unknown class 'interactiv' (did you mean 'interactive'?)"));
    EXPECT_THAT(errors_of(task + "latency = \"2 ms\"\n"),
                ElementsAre("w.toml:3:11: 'latency' must be a duration such as \"5ms\", \"500us\" or "
                            "\"10s\", not \"2 ms\""));
    EXPECT_THAT(errors_of(task + "cpus = [3]\n"),
                ElementsAre("w.toml:3:8: 'cpus' names none of the machine's 1 harts"));
    EXPECT_THAT(errors_of(task + "does = \"periodic\"\nwork = \"1ms\"\n"),
                ElementsAre("w.toml:1:1: 'period' is missing"));
    EXPECT_THAT(errors_of(task + "does = \"on-off\"\nwork = \"exo 1ms\"\nrest = \"1ms\"\n"),
                ElementsAre(testing::StartsWith("w.toml:4:8: 'work' must be a duration above 0")));
    EXPECT_THAT(errors_of(task + "period = \"1ms\"\n"), ElementsAre("w.toml:3:1: unknown key 'period'"));
    EXPECT_THAT(errors_of(task + "does = \"script\"\nsteps = [\"rum 1ms\"]\n"),
                ElementsAre("w.toml:4:10: unknown step 'rum' (did you mean 'run'?)"));
    EXPECT_THAT(errors_of(task + "does = \"script\"\nsteps = [\"run\"]\n"),
                ElementsAre(testing::StartsWith("w.toml:4:10: 'run' wants a duration")));
    EXPECT_THAT(errors_of(task + task), ElementsAre("w.toml:4:8: there is already a task 'a'"));
    EXPECT_THAT(errors_of(task + "budget = \"20ms\"\nbudget_period = \"10ms\"\n"),
                ElementsAre("w.toml:3:10: 'budget' and 'budget_period' must be 100us <= budget <= "
                            "budget_period <= 1s"));
    EXPECT_THAT(errors_of("[machine]\nharts = 2\ncapacities = [1024]\n" + task),
                ElementsAre("w.toml:3:14: 'capacities' names 1 harts of 2"));
    EXPECT_THAT(errors_of("[run]\nduration = \"1s\"\nwarmup = \"1s\"\n" + task),
                ElementsAre("w.toml:3:10: 'warmup' must be shorter than 'duration'"));
    EXPECT_THAT(errors_of(task + "[[change]]\nat = \"1s\"\ntask = \"b\"\nshares = 5\n"),
                ElementsAre("w.toml:5:8: there is no task 'b' (did you mean 'a'?)"));
    EXPECT_THAT(errors_of(task + "[[change]]\nat = \"1s\"\n"),
                ElementsAre("w.toml:3:1: a change names a 'task', or a hart as 'offline' or 'online'"));
    EXPECT_THAT(errors_of(task + "[[expect]]\nmeasure = \"share\"\nat_most = 1\n"),
                ElementsAre("w.toml:3:1: 'because' is missing: say where the bound comes from"));
    EXPECT_THAT(errors_of(task + "[[expect]]\nmeasure = \"share\"\nbecause = \"x\"\n"),
                ElementsAre("w.toml:3:1: an expectation has 'at_least', 'at_most' or both"));
    EXPECT_THAT(errors_of(task + "[[expect]]\nmeasure = \"wait max\"\nat_most = 3\nbecause = \"x\"\n"),
                ElementsAre("w.toml:5:11: 'at_most' must be a duration such as \"5ms\", not an integer"));
}

// Tags balance, attributes are quoted, entities are known: what any XML parser would want.
std::string first_xml_problem(const std::string& text) {
    std::vector<std::string> open;
    std::size_t at = 0;
    while (at < text.size()) {
        if (text[at] == '&') {
            const std::size_t end = text.find(';', at);
            if (end == std::string::npos || end - at > 8) {
                return "a bare & at " + std::to_string(at);
            }
        }
        if (text[at] != '<') {
            ++at;
            continue;
        }
        const std::size_t end = text.find('>', at);
        if (end == std::string::npos) {
            return "a tag without end at " + std::to_string(at);
        }
        std::string tag = text.substr(at + 1, end - at - 1);
        at = end + 1;
        if (tag.starts_with('!')) {
            continue;
        }
        if (std::ranges::count(tag, '"') % 2 != 0 || tag.find('<') != std::string::npos) {
            return "a torn tag: " + tag;
        }
        const std::string name = tag.substr(0, tag.find_first_of(" \n"));
        if (name.starts_with('/')) {
            if (open.empty() || "/" + open.back() != name) {
                return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
            }
            open.pop_back();
        } else if (!tag.ends_with('/')) {
            open.push_back(name);
        }
    }
    return open.empty() ? "" : "not closed: " + open.back();
}

constexpr std::string_view kSmall = R"(
name = "small & <odd>"
[machine]
harts = 2
[run]
duration = "1s"
warmup = "100ms"
[view]
span = "40ms"
[[task]]
name = "left \"<\""
[[task]]
name = "right"
does = "periodic"
period = "10ms"
work = "2ms"
latency = "3ms"
[[task]]
name = "third"
shares = 300
[[expect]]
measure = "share"
task = "right"
at_least = 0.19
at_most = 0.21
because = "2 in 10"
[[expect]]
measure = "share"
task = "third"
at_most = 0.1
because = "an expectation that fails"
)";

class Reports : public testing::Test {
  protected:
    Report report_ = run_workload(read_good(kSmall), true);

    template <class Write>
    std::string text(Write&& write) {
        std::ostringstream out;
        write(out);
        return std::move(out).str();
    }
};

TEST_F(Reports, TheNumbersAreThere) {
    ASSERT_EQ(report_.rows.size(), 3U);
    EXPECT_EQ(report_.violation, "");
    EXPECT_NEAR(report_.rows[1].share, 0.2, 0.003);  // one period of 90 more or less
    EXPECT_EQ(report_.rows[1].wake.count(), 90U);
    EXPECT_EQ(report_.rows[1].wakes_met + report_.rows[1].wakes_missed, 90U);
    // Hogs share what the periodic one leaves of two harts; the heavy one can use a whole hart at most.
    ASSERT_TRUE(report_.rows[0].fair && report_.rows[2].fair);
    EXPECT_NEAR(*report_.rows[0].fair + *report_.rows[2].fair, 1.8, 0.003);
    ASSERT_EQ(report_.verdicts.size(), 2U);
    EXPECT_TRUE(report_.verdicts[0].is_met);
    EXPECT_FALSE(report_.verdicts[1].is_met);
    EXPECT_FALSE(report_.is_good());
}

TEST_F(Reports, HtmlIsWellFormedAndSelfContained) {
    const std::string html = text([&](std::ostream& out) { write_html(out, report_); });
    EXPECT_EQ(first_xml_problem(html), "");
    EXPECT_NE(html.find("small &amp; &lt;odd&gt;"), std::string::npos);
    EXPECT_NE(html.find("left &quot;&lt;&quot; on cpu"), std::string::npos);  // hover text of a segment
    EXPECT_NE(html.find("prefers-color-scheme:dark"), std::string::npos);
    EXPECT_NE(html.find("class=\"bad\">FAIL"), std::string::npos);
    EXPECT_NE(html.find("class=\"ok\">ok"), std::string::npos);
    for (const char* outside : {"src=", "href=", "@import", "url(", "https:"}) {
        EXPECT_EQ(html.find(outside), std::string::npos) << outside;
    }
    // As many lanes as harts, as many segments as were recorded.
    std::size_t segments = 0;
    for (const auto& lane : report_.lanes) {
        segments += lane.size();
    }
    ASSERT_GT(segments, 5U);
    std::size_t drawn = 0;
    for (std::size_t at = html.find("class=\"seg "); at != std::string::npos;
         at = html.find("class=\"seg ", at + 1)) {
        ++drawn;
    }
    EXPECT_EQ(drawn, segments);
}

TEST_F(Reports, SvgIsWellFormed) {
    const std::string svg = text([&](std::ostream& out) { write_svg(out, report_); });
    EXPECT_EQ(first_xml_problem(svg), "");
    EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    EXPECT_NE(svg.find(">cpu1</text>"), std::string::npos);
}

TEST_F(Reports, SegmentsCoverTheHartsTime) {
    for (const auto& lane : report_.lanes) {
        Instant before = report_.view_from;
        for (const Segment& segment : lane) {
            EXPECT_GE(segment.from, before);
            EXPECT_GT(segment.to, segment.from);
            before = segment.to;
        }
        EXPECT_LE(before, report_.view_to);
    }
}

TEST_F(Reports, CsvAndJsonSayTheSame) {
    const std::string csv = text([&](std::ostream& out) { write_csv(out, report_); });
    const std::string json = text([&](std::ostream& out) { write_json(out, report_); });
    EXPECT_EQ(std::ranges::count(csv, '\n'), 4);
    EXPECT_NE(csv.find("\"left \"\"<\"\"\",1,normal,100,0x3,"), std::string::npos) << csv;
    EXPECT_NE(json.find("{\"name\": \"left \\\"<\\\"\", \"members\": 1"), std::string::npos) << json;
    EXPECT_NE(json.find("\"wakes\": 90"), std::string::npos);
    EXPECT_EQ(std::ranges::count(json, '{'), std::ranges::count(json, '}'));
}

TEST_F(Reports, TimelineHasALinePerHart) {
    const std::string timeline = text([&](std::ostream& out) { write_timeline(out, report_, 40); });
    EXPECT_NE(timeline.find("from 100.00 ms, 1.00 ms per column"), std::string::npos) << timeline;
    EXPECT_NE(timeline.find("\ncpu0  "), std::string::npos);
    EXPECT_NE(timeline.find("\ncpu1  "), std::string::npos);
    EXPECT_NE(timeline.find("A left"), std::string::npos);
}

TEST_F(Reports, EqualRunsGiveEqualReports) {
    const Report again = run_workload(read_good(kSmall), false);
    EXPECT_EQ(again.fingerprint, report_.fingerprint);
    EXPECT_EQ(text([&](std::ostream& out) { write_json(out, again); }),
              text([&](std::ostream& out) { write_json(out, report_); }));
}

// A fault that is planted is seen by the figures.
TEST(Faults, AnIgnoredWeightShowsInTheShares) {
    Workload workload = read_good(
        "[run]\nduration = \"2s\"\n[[task]]\nname = \"a\"\n[[task]]\nname = "
        "\"b\"\nshares = 300\n");
    const Report right = run_workload(workload, false);
    ASSERT_TRUE(set_fault(workload.machine.faults, "shares"));
    const Report wrong = run_workload(workload, false);
    EXPECT_LT(right.rows[1].error_max, 0.003);  // a request of 3 ms in 2 s
    EXPECT_GT(wrong.rows[1].error_max, 0.2);
    EXPECT_FALSE(set_fault(workload.machine.faults, "nothing"));
}

}  // namespace
}  // namespace sched_sim
