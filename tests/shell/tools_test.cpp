// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_system.hpp"
#include "json.hpp"

namespace {

using shell_test::FakeSystem;
using shell_test::run;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Pair;
using testing::StartsWith;

TEST(ShellTools, EachAnswersHelpAndRefusesAnUnknownOption) {
    for (const shell::Tool& tool : shell::all_tools()) {
        FakeSystem system;
        const std::string name{tool.name};
        const auto help = run(system, {name, "--help"});
        EXPECT_EQ(help.status, 0);
        EXPECT_THAT(help.output, StartsWith("usage: " + name));
        if (name != "help" && name != "kill") {
            const auto wrong = run(system, {name, "--nonsense"});
            EXPECT_EQ(wrong.status, 2) << name;
            EXPECT_THAT(wrong.errors, StartsWith(name + ": '--nonsense'"));
            EXPECT_THAT(wrong.errors, HasSubstr("usage: " + name));
        }
    }
}

TEST(ShellTools, HelpNamesEachTool) {
    FakeSystem system;
    const auto help = run(system, {"help"});
    for (const shell::Tool& tool : shell::all_tools()) {
        EXPECT_THAT(help.output, HasSubstr(std::string{tool.name} + ' '));
        EXPECT_EQ(run(system, {"help", std::string{tool.name}}).output, std::string{tool.usage} + '\n');
    }
    EXPECT_EQ(run(system, {"help", "nonsense"}).status, 1);
}

TEST(ShellTools, NprocCountsWhatTheCallerMayUse) {
    FakeSystem system;
    system.add_task(0, 0, "caller");
    system.all_attributes[0].effective_affinity = 0x5;
    EXPECT_EQ(run(system, {"nproc"}).output, "2\n");
    EXPECT_EQ(run(system, {"nproc", "--all"}).output, "4\n");
    EXPECT_EQ(run(system, {"nproc", "--json"}).output,
              "{\"cpus\": 2, \"online\": \"f\", \"possible\": \"f\"}\n");
}

TEST(ShellTools, Uptime) {
    FakeSystem system;
    system.files["/proc/loadavg"] = "0.10 0.20 0.30 1/5 12\n";
    system.clock = std::chrono::seconds{125};
    EXPECT_EQ(run(system, {"uptime"}).output, " 01:01:01 up 2 min,  load average: 0.10, 0.20, 0.30\n");
    system.clock = std::chrono::hours{49} + std::chrono::minutes{7};
    EXPECT_EQ(run(system, {"uptime"}).output, " 01:01:01 up 2 days, 1:07,  load average: 0.10, 0.20, 0.30\n");
    EXPECT_EQ(run(system, {"uptime", "--json"}).output,
              "{\"up_seconds\": 176820, \"load\": \"0.10 0.20 0.30\"}\n");
    system.files["/proc/loadavg"] = "0.10\n";
    EXPECT_EQ(run(system, {"uptime"}).errors, "uptime: /proc/loadavg: not three averages\n");
    system.files.clear();
    EXPECT_EQ(run(system, {"uptime"}).errors, "uptime: /proc/loadavg: No such file or directory\n");
}

TEST(ShellTools, KillSendsWhatItIsTold) {
    FakeSystem system;
    system.add_task(7, 7, "a");
    EXPECT_EQ(run(system, {"kill", "7"}).status, 0);
    EXPECT_EQ(run(system, {"kill", "-9", "7"}).status, 0);
    EXPECT_EQ(run(system, {"kill", "-s", "HUP", "7"}).status, 0);
    EXPECT_EQ(run(system, {"kill", "-SIGUSR1", "--", "7"}).status, 0);
    const auto gone = run(system, {"kill", "8", "7"});
    EXPECT_EQ(gone.status, 1);
    EXPECT_EQ(gone.errors, "kill: 8: No such process\n");
    EXPECT_THAT(system.signals,
                ElementsAre(Pair(7, 15), Pair(7, 9), Pair(7, 1), Pair(7, 10), Pair(8, 15), Pair(7, 15)));
}

TEST(ShellTools, KillSaysWhatIsWrong) {
    FakeSystem system;
    EXPECT_EQ(run(system, {"kill"}).status, 2);
    EXPECT_EQ(run(system, {"kill", "-NOPE", "1"}).errors, "kill: '-NOPE': no such signal\n");
    EXPECT_EQ(run(system, {"kill", "x"}).errors, "kill: 'x': not a process id\n");
    EXPECT_EQ(run(system, {"kill", "-l", "137"}).output, "KILL\n");
    EXPECT_EQ(run(system, {"kill", "-l", "TERM"}).output, "15\n");
    EXPECT_TRUE(system.signals.empty());
}

TEST(ShellTools, DmesgByLevel) {
    FakeSystem system;
    system.log = "<6>[    0.1] one\n<4>[    0.2] warning: two\n<3>[    0.3] error: three\nplain\n";
    EXPECT_EQ(run(system, {"dmesg"}).output,
              "[    0.1] one\n[    0.2] warning: two\n[    0.3] error: three\nplain\n");
    EXPECT_EQ(run(system, {"dmesg", "-l", "err,warn"}).output,
              "[    0.2] warning: two\n[    0.3] error: three\n");
    EXPECT_EQ(run(system, {"dmesg", "-lerr+"}).output, "[    0.3] error: three\n");
    EXPECT_EQ(run(system, {"dmesg", "--level=info", "-x"}).output, "info  : [    0.1] one\ninfo  : plain\n");
    EXPECT_EQ(run(system, {"dmesg", "-l", "err", "--json"}).output,
              "[{\"level\": \"err\", \"text\": \"[    0.3] error: three\"}]\n");
    EXPECT_THAT(run(system, {"dmesg", "-l", "loud"}).errors, StartsWith("dmesg: 'loud': no such level\n"));
}

TEST(ShellTools, PowerStaysOnWithAReason) {
    FakeSystem system;
    EXPECT_EQ(run(system, {"poweroff"}).errors, "poweroff: the machine stays on: Operation not permitted\n");
    EXPECT_EQ(run(system, {"reboot", "-f"}).status, 1);
    EXPECT_THAT(system.powers, ElementsAre(shell::Power::Off, shell::Power::Restart));
}

TEST(ShellTools, PsListsProcesses) {
    FakeSystem system;
    auto& first = system.add_task(5, 5, "five");
    first.runtime_ns = 1'000'000'000;
    auto& thread = system.add_task(5, 6, "helper");
    thread.runtime_ns = 2'000'000'000;
    thread.state = 2;
    thread.cpu = 3;
    system.add_task(7, 7, "seven");
    EXPECT_EQ(run(system, {"ps"}).output,
              "PID PPID S CLASS  SHARES CPU CPUS    TIME COMMAND\n"
              "  5    1 R normal    100   3 0-3  0:03.00 five\n"
              "  7    1 S normal    100   0 0-3  0:00.00 seven\n");
    EXPECT_EQ(run(system, {"ps", "-T", "-o", "tid,time,comm"}).output,
              "TID    TIME COMMAND\n"
              "  5 0:01.00 five\n"
              "  6 0:02.00 helper\n"
              "  7 0:00.00 seven\n");
    EXPECT_EQ(run(system, {"ps", "-o", "pid", "--sort", "-pid"}).output, "PID\n  7\n  5\n");
    EXPECT_EQ(run(system, {"ps", "-p", "7", "-o", "pid,comm", "--json"}).output,
              "[{\"pid\": 7, \"comm\": \"seven\"}]\n");
    EXPECT_EQ(run(system, {"ps", "-p", "9"}).status, 1);
    EXPECT_THAT(run(system, {"ps", "-o", "colour"}).errors, StartsWith("ps: 'colour': no such field\n"));
}

TEST(ShellTools, PsReadsCommandLines) {
    FakeSystem system;
    system.add_task(5, 5, "five");
    system.add_task(6, 6, "six");
    system.files["/proc/5/cmdline"] = std::string("/bin/five\0a b\0", 14);
    EXPECT_EQ(run(system, {"ps", "-o", "args"}).output, "COMMAND\n/bin/five a b\n[six]\n");
}

TEST(ShellTools, TasksetShowsAndChanges) {
    FakeSystem system;
    system.add_task(7, 7, "a");
    EXPECT_EQ(run(system, {"taskset", "-p", "7"}).output, "pid 7's current affinity mask: f\n");
    EXPECT_EQ(run(system, {"taskset", "-cp", "7"}).output, "pid 7's current affinity list: 0-3\n");
    EXPECT_EQ(run(system, {"taskset", "-p", "0x5", "7"}).output,
              "pid 7's current affinity mask: f\npid 7's new affinity mask: 5\n");
    EXPECT_EQ(run(system, {"taskset", "-p", "-c", "1-2,40", "7"}).output,
              "pid 7's current affinity list: 0,2\npid 7's new affinity list: 1-2\n");
    EXPECT_EQ(run(system, {"taskset", "-c", "-p", "40", "7"}).errors,
              "taskset: failed to set pid 7's affinity: Invalid argument\n");
    EXPECT_EQ(run(system, {"taskset", "-p", "8"}).errors,
              "taskset: failed to get pid 8's affinity: No such process\n");
    EXPECT_EQ(run(system, {"taskset", "-p", "xyz", "7"}).errors, "taskset: failed to parse CPU mask: xyz\n");
    EXPECT_EQ(run(system, {"taskset", "-p", "seven"}).errors, "taskset: invalid PID argument: 'seven'\n");
}

TEST(ShellTools, TasksetTakesAllThreads) {
    FakeSystem system;
    system.add_task(7, 7, "a");
    system.add_task(7, 8, "b");
    EXPECT_EQ(run(system, {"taskset", "-ap", "1", "7"}).status, 0);
    EXPECT_EQ(system.all_attributes[7].affinity, 1U);
    EXPECT_EQ(system.all_attributes[8].affinity, 1U);
    EXPECT_EQ(run(system, {"taskset", "-ap", "1", "8"}).status, 1) << "a thread is no process";
}

TEST(ShellTools, TasksetRunsAProgram) {
    FakeSystem system;
    system.add_task(0, 0, "caller");
    const auto outcome = run(system, {"taskset", "-c", "1", "demo", "-c", "name"});
    EXPECT_EQ(system.all_attributes[0].affinity, 2U);
    EXPECT_THAT(system.executed, ElementsAre("demo", "-c", "name"));
    EXPECT_EQ(outcome.status, 127) << "which the fake cannot find";
    EXPECT_EQ(outcome.errors, "taskset: failed to execute demo: No such file or directory\n");
    EXPECT_EQ(run(system, {"taskset", "1"}).status, 2);
}

TEST(ShellTools, QosShows) {
    FakeSystem system;
    system.add_task(7, 7, "a");
    EXPECT_EQ(run(system, {"qos", "7"}).output,
              "pid 7: class=normal shares=100 latency=0ms burst=0ms budget=none policy=pin cpus=0-3\n");
    auto& attributes = system.all_attributes[7];
    attributes.qos_class = 3;
    attributes.budget_ns = 20'000'000;
    attributes.period_ns = 100'000'000;
    attributes.affinity_prefer = 2;
    EXPECT_EQ(run(system, {"qos", "get", "7"}).output,
              "pid 7: class=perfburst (normal in effect) shares=100 latency=0ms burst=0ms "
              "budget=20ms/100ms policy=pin cpus=0-3 prefer=1\n");
    EXPECT_THAT(run(system, {"qos", "7", "--json"}).output,
                HasSubstr("\"class\": \"perfburst\", \"effective_class\": \"normal\""));
    EXPECT_EQ(run(system, {"qos", "8"}).errors, "qos: 8: No such process\n");
}

TEST(ShellTools, QosChangesAllAtOnce) {
    FakeSystem system;
    system.add_task(7, 7, "a");
    const auto outcome =
        run(system, {"qos", "set", "7", "class=interactive", "shares=300", "latency=5ms", "burst=500us",
                     "budget=20ms/100ms", "policy=prefer", "cpus=0-2", "prefer=1"});
    EXPECT_THAT(outcome.output, StartsWith("pid 7: class=interactive shares=300 "));
    ASSERT_EQ(system.changes.size(), 1U);
    const auto& wanted = system.changes[0].second;
    EXPECT_EQ(wanted.fields, nexus_abi::kFieldsAll & ~(nexus_abi::kFieldGroup | nexus_abi::kFieldFlags));
    EXPECT_EQ(wanted.latency_ns, 5'000'000U);
    EXPECT_EQ(wanted.burst_ns, 500'000U);
    EXPECT_EQ(wanted.budget_ns, 20'000'000U);
    EXPECT_EQ(wanted.period_ns, 100'000'000U);
    EXPECT_EQ(wanted.affinity_policy, 1U);
    EXPECT_EQ(wanted.affinity, 7U);
    EXPECT_EQ(wanted.affinity_prefer, 2U);
    EXPECT_EQ(run(system, {"qos", "set", "7", "budget=0"}).status, 0);
    EXPECT_EQ(system.changes[1].second.fields, nexus_abi::kFieldBudget);
}

TEST(ShellTools, QosRefusesBeforeItChangesAnything) {
    FakeSystem system;
    system.add_task(7, 7, "a");
    const std::pair<const char*, const char*> wrongs[] = {
        {"shares=0", "wants a number from 1 to 1000"},
        {"class=fast", "wants idle, normal, interactive or perfburst"},
        {"latency=50us", "wants 0 or a time from 100us to 1000ms"},
        {"burst=51ms", "wants 0 or a time from 100us to 50ms"},
        {"budget=20ms", "wants RUNTIME/PERIOD like 20ms/100ms, or 0"},
        {"budget=30ms/20ms", "wants 100us <= RUNTIME <= PERIOD <= 1s"},
        {"cpus=9-1", "wants a list of CPUs like 0-2,5"},
        {"policy=best", "wants pin, prefer, perf or eff"},
        {"sharse=1", "no such key: class, shares, latency, burst, budget, policy, cpus, prefer"},
        {"shares", "not KEY=VALUE"},
    };
    for (const auto& [word, reason] : wrongs) {
        const auto outcome = run(system, {"qos", "set", "7", "shares=5", word});
        EXPECT_EQ(outcome.status, 1);
        EXPECT_EQ(outcome.errors, std::string{"qos: "} + word + ": " + reason + '\n');
    }
    EXPECT_TRUE(system.changes.empty());
    system.refuses = true;
    EXPECT_EQ(run(system, {"qos", "set", "7", "shares=5"}).errors,
              "qos: 7: nothing changed: Operation not permitted\n");
}

TEST(ShellTools, QosRunsAProgramUnderItsWishes) {
    FakeSystem system;
    system.add_task(0, 0, "caller");
    EXPECT_EQ(run(system, {"qos", "run", "shares=5", "--", "demo", "x"}).status, 127);
    EXPECT_THAT(system.executed, ElementsAre("demo", "x"));
    EXPECT_EQ(system.all_attributes[0].shares, 5U);
    EXPECT_EQ(run(system, {"qos", "run", "shares=5", "demo"}).status, 2);
    EXPECT_EQ(run(system, {"qos", "run", "shares=5", "--"}).status, 2);
}

TEST(ShellTools, SchedShowsATask) {
    FakeSystem system;
    system.add_task(7, 7, "audio");
    auto& attributes = system.all_attributes[7];
    attributes.latency_ns = 5'000'000;
    attributes.budget_ns = 20'000'000;
    attributes.period_ns = 100'000'000;
    attributes.affinity = 0x3f;
    auto& stat = system.all_statistics[7];
    stat.state = 2;
    stat.last_cpu = 1;
    stat.flags = nexus_abi::kStatBoosted;
    stat.nr_latency_target_met = 99;
    stat.nr_latency_target_missed = 1;
    stat.wake_latency_hist[3] = 60;
    stat.wake_latency_hist[5] = 40;
    stat.wake_latency_max_ns = 31'000;
    stat.nr_throttled = 3;
    stat.throttled_ns = 4'000'000;
    stat.runtime_ns = 12'000'000;
    stat.runtime_by_cpu_ns[1] = 12'000'000;
    stat.nr_migrations = 9;
    const auto shown = run(system, {"sched", "show", "7"}).output;
    EXPECT_THAT(shown, StartsWith("audio: tid 7 of process 7, running on cpu1, boosted\n"));
    EXPECT_THAT(shown, HasSubstr("  mask       0x3f, allowed 0x3, in effect 0xf, policy pin\n"));
    EXPECT_THAT(shown, HasSubstr("  ceilings   interactive, shares 400, mask 0x13\n"));
    EXPECT_THAT(shown, HasSubstr("  latency    target 5ms, met 99 of 100; 100 wake-ups: half < 8us, 99% < "
                                 "32us, longest 31us\n"));
    EXPECT_THAT(shown, HasSubstr("  budget     20ms of each 100ms; throttled 3 times, 4.0ms in all\n"));
    EXPECT_THAT(shown, HasSubstr("  ran        12.0ms: cpu1 12.0ms\n"));
    EXPECT_THAT(shown, HasSubstr("9 migrations\n"));
    EXPECT_THAT(run(system, {"sched", "show", "7", "--json"}).output,
                HasSubstr("\"latency_met\": 99, \"latency_missed\": 1, \"wake_ups\": 100, "));
    EXPECT_THAT(run(system, {"sched", "show", "7", "--json"}).output,
                HasSubstr("\"allowed_mask\": \"3\", \"policy\": \"pin\", \"ceilings\": {\"class\": "
                          "\"interactive\", \"shares\": 400, \"mask\": \"13\"}, "));
    EXPECT_EQ(run(system, {"sched", "show", "8"}).errors, "sched: 8: No such process\n");
    EXPECT_EQ(run(system, {"sched", "show"}).status, 2);
}

TEST(ShellTools, SchedStatsHarts) {
    FakeSystem system;
    for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
        auto& hart = system.harts[cpu];
        hart.online = cpu == 3 ? 0 : 1;
        hart.hart_id = cpu + 1;
        hart.busy_ns = cpu * 1'000'000;
        hart.idle_ns = 1'000'000;
        hart.section_max_ns = cpu == 2 ? 0 : 20'000;
        hart.section_max_what = cpu == 0 ? (std::uint64_t{1} << 63) + 5 : 222;
    }
    const auto text = run(system, {"sched", "stat"}).output;
    EXPECT_THAT(text, StartsWith("CPU HART STATE    BUSY"));
    EXPECT_THAT(text, HasSubstr("\n  0    1 online   0.0%"));
    EXPECT_THAT(text, HasSubstr("20us trap 5\n"));
    EXPECT_THAT(text, HasSubstr("\n  3    4 offline 75.0%"));
    EXPECT_THAT(text, HasSubstr("20us call 222\n"));
    EXPECT_THAT(text, testing::ContainsRegex("\n  2    3 [^\n]* -\n"));
    EXPECT_THAT(run(system, {"sched", "stat", "--json"}).output,
                StartsWith("[{\"cpu\": 0, \"hart\": 1, \"online\": true, \"busy_ns\": 0, "));
    EXPECT_EQ(run(system, {"sched", "stat", "3"}).status, 2);
    EXPECT_EQ(run(system, {"sched"}).status, 2);
}

TEST(ShellTools, SchedTellsWhoChangedWhat) {
    FakeSystem system;
    system.audit.push_back({.time_ns = 1'500'000'000,
                            .caller_serial = 9,
                            .target_serial = 7,
                            .old_value = 100,
                            .new_value = 300,
                            .caller = 9,
                            .target = 7,
                            .call = 1030,
                            .result = 300,
                            .what = 1,
                            .field = 1,
                            .left_out = 0});
    system.audit.push_back(system.audit.front());
    system.audit.back().what = 2;
    const auto text = run(system, {"sched", "audit"}).output;
    EXPECT_THAT(text, HasSubstr("1.500000 set "));
    EXPECT_THAT(text, HasSubstr(" 1030 shares  100 300    300 "));
    EXPECT_THAT(text, HasSubstr(" denied "));
    EXPECT_THAT(
        run(system, {"sched", "audit", "--json"}).output,
        HasSubstr("\"field\": \"shares\", \"old\": 100, \"new\": 300, \"result\": 300, \"left_out\": 0}"));
    EXPECT_EQ(run(system, {"sched", "audit", "7"}).status, 2);
}

TEST(ShellTools, JsonEscapes) {
    shell::JsonWriter json;
    json.begin_object();
    json.member("a\"b", "line\nend\\");
    json.key("list").begin_array();
    json.value(1);
    json.value(true);
    json.end_array();
    json.end_object();
    EXPECT_EQ(json.text(), "{\"a\\\"b\": \"line\\u000aend\\\\\", \"list\": [1, true]}\n");
}

}  // namespace
