// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_system.hpp"

namespace {

using shell_test::FakeSystem;
using shell_test::run;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ShellServices, Status) {
    FakeSystem system;
    system.answers["status"] = {
        .status = 0,
        .text = "audio\trunning\t5\t2\t/bin/audio\tkilled by signal 9\nui\tended\t-\t1\t/bin/ui\t-\n"};
    EXPECT_EQ(run(system, {"svc"}).output,
              "SERVICE STATE   PID STARTS PROGRAM    LAST-END\n"
              "audio   running 5   2      /bin/audio killed by signal 9\n"
              "ui      ended   -   1      /bin/ui    -\n");
    EXPECT_THAT(run(system, {"svc", "status", "--json"}).output,
                StartsWith("[{\"service\": \"audio\", \"state\": \"running\", \"pid\": \"5\", "));
    system.answers["status ui"] = {.status = 3, .text = "ui\tended\t-\t1\t/bin/ui\t-\n"};
    const auto ended = run(system, {"svc", "status", "ui"});
    EXPECT_EQ(ended.status, 3);
    EXPECT_THAT(ended.output, HasSubstr("ui      ended"));
}

TEST(ShellServices, PassesOnWhatIsAskedAndAnswered) {
    FakeSystem system;
    system.answers["restart ui"] = {.status = 0};
    system.answers["stop x"] = {.status = 4, .text = "no service 'x'\n"};
    system.answers["logs ui"] = {
        .status = 0, .text = "[1.000000] info: started as pid 3\n[2.000000] err: killed by signal 11\n"};
    system.answers["reload"] = {.status = 1, .text = "execd: refused\n"};
    EXPECT_EQ(run(system, {"svc", "restart", "ui"}).status, 0);
    const auto unknown = run(system, {"svc", "stop", "x"});
    EXPECT_EQ(unknown.status, 4);
    EXPECT_EQ(unknown.errors, "svc: no service 'x'\n");
    EXPECT_EQ(run(system, {"svc", "logs", "ui"}).output,
              "[1.000000] info: started as pid 3\n[2.000000] err: killed by signal 11\n");
    EXPECT_EQ(run(system, {"svc", "logs", "-l", "err,warn", "ui"}).output,
              "[2.000000] err: killed by signal 11\n");
    EXPECT_EQ(run(system, {"svc", "logs", "-l", "loud", "ui"}).status, 2);
    EXPECT_EQ(run(system, {"svc", "status", "-l", "err"}).status, 2);
    EXPECT_EQ(run(system, {"svc", "reload"}).status, 1);
    EXPECT_THAT(system.requests, ElementsAre("restart ui", "stop x", "logs ui", "logs ui", "reload"));
}

TEST(ShellServices, SaysWhyThereIsNoAnswer) {
    FakeSystem system;
    EXPECT_EQ(run(system, {"svc"}).errors,
              "svc: there is no channel to execd here; the console's shell has one\n");
    system.no_answer = shell::Error::BrokenPipe;
    EXPECT_EQ(run(system, {"svc"}).errors, "svc: execd does not answer: Broken pipe\n");
    system.requests.clear();
    EXPECT_EQ(run(system, {"svc", "destroy"}).status, 2);
    EXPECT_EQ(run(system, {"svc", "start"}).status, 2);
    EXPECT_EQ(run(system, {"svc", "start", "a", "b"}).status, 2);
    EXPECT_EQ(run(system, {"svc", "reload", "a"}).status, 2);
    EXPECT_TRUE(system.requests.empty());
}

TEST(ShellServices, SchedShowsWhereARecipesValuesComeFrom) {
    FakeSystem system;
    system.add_task(5, 5, "audio");
    system.answers["status"] = {.status = 0, .text = "audio\trunning\t5\t2\t/bin/audio\t-\n"};
    system.answers["explain audio"] = {.status = 0,
                                       .text = "shares\t300\t/recipes/sched/qos.toml:16\nclass\tnormal\t-\n"};
    const auto shown = run(system, {"sched", "show", "5"}).output;
    EXPECT_THAT(shown, HasSubstr("  recipe     shares = 300, /recipes/sched/qos.toml:16\n"));
    EXPECT_THAT(shown, testing::Not(HasSubstr("class = normal")));
    EXPECT_THAT(run(system, {"sched", "show", "5", "--json"}).output,
                HasSubstr("\"recipe\": {\"shares\": {\"value\": \"300\", \"origin\": "
                          "\"/recipes/sched/qos.toml:16\"}}"));
    system.add_task(6, 6, "other");
    EXPECT_THAT(run(system, {"sched", "show", "6"}).output, testing::Not(HasSubstr("recipe")));
}

}  // namespace
