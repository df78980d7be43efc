// SPDX-License-Identifier: MIT
#include "control.hpp"

#include <gmock/gmock.h>

#include <csignal>

#include "fake_kernel.hpp"
#include "recipe_texts.hpp"
#include "supervisor.hpp"

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr const char* kServices = R"(schema = 1
[[service]]
name = "a"
program = "/bin/a"
restart = "always"
[[service]]
name = "b"
program = "/bin/b"
after = ["a"]
ready = "ended"
[[service]]
name = "c"
program = "/bin/c"
after = ["b"]
)";

class ControlTest : public ::testing::Test {
  protected:
    // a is pid 2, b pid 3; c waits for b's end.
    ControlTest() {
        execd::Plan plan = execd::make_plan(execd_test::sources(kServices, execd_test::kEmptyRecipe,
                                                                "schema = 1\n[service.a]\nshares = 300\n"),
                                            {.cpus_online = 0xf, .only = std::nullopt});
        supervisor_.emplace(std::move(plan.services), std::vector<std::string>{}, kernel_,
                            [this](std::string_view line) { log_.emplace_back(line); });
        supervisor_->start_ready();
        log_.clear();
    }

    // The status and the text of the answer to "1 <what>".
    std::pair<int, std::string> ask(const std::string& what) {
        const std::string message = supervisor_->control("1 " + what, [this] { reload_(); });
        const std::size_t end = message.find('\n');
        int status = -1;
        std::size_t bytes = 0;
        EXPECT_EQ(std::sscanf(message.c_str(), "1 %d %zu\n", &status, &bytes), 2) << message;
        EXPECT_EQ(message.size(), end + 1 + bytes) << "as long as it says";
        return {status, message.substr(end + 1)};
    }
    void end(std::int32_t pid, std::int32_t wait_status) {
        kernel_.running.erase(pid);
        supervisor_->child_ended({.pid = pid, .wait_status = wait_status});
    }

    execd_test::FakeKernel kernel_{0xf};
    std::vector<std::string> log_;
    std::optional<execd::Supervisor> supervisor_;
    std::function<void()> reload_ = [] {};
};

TEST_F(ControlTest, TellsTheStatus) {
    EXPECT_THAT(ask("status"), Pair(0,
                                    "a\trunning\t2\t1\t/bin/a\t-\n"
                                    "b\trunning\t3\t1\t/bin/b\t-\n"
                                    "c\twaiting\t-\t0\t/bin/c\t-\n"));
    EXPECT_THAT(ask("status a"), Pair(0, "a\trunning\t2\t1\t/bin/a\t-\n"));
    EXPECT_THAT(ask("status c"), Pair(3, "c\twaiting\t-\t0\t/bin/c\t-\n"));
    end(2, SIGSEGV);
    EXPECT_THAT(ask("status a"), Pair(3, "a\tpaused\t-\t1\t/bin/a\tkilled by signal 11\n"));
    EXPECT_THAT(ask("status z"), Pair(4, "no service 'z'\n"));
}

TEST_F(ControlTest, AKilledServiceComesBack) {
    end(2, SIGKILL);
    kernel_.clock = *supervisor_->next_restart();
    supervisor_->restart_due();
    EXPECT_THAT(ask("status a"), Pair(0, "a\trunning\t4\t2\t/bin/a\tkilled by signal 9\n"));
}

TEST_F(ControlTest, StopsForGood) {
    EXPECT_EQ(ask("stop a").first, 0);
    EXPECT_THAT(kernel_.signals, ElementsAre(Pair(2, SIGTERM)));
    EXPECT_THAT(ask("status a").second, HasSubstr("\tstopping\t2\t"));
    end(2, SIGTERM);
    EXPECT_THAT(ask("status a"), Pair(3, "a\tstopped\t-\t1\t/bin/a\tkilled by signal 15\n"));
    EXPECT_EQ(supervisor_->next_restart(), std::nullopt) << "though its recipe says always";
    EXPECT_EQ(ask("start a").first, 0);
    EXPECT_THAT(ask("status a").second, StartsWith("a\trunning\t4\t2\t"));
    end(4, 0);
    EXPECT_NE(supervisor_->next_restart(), std::nullopt) << "its recipe holds again";
}

TEST_F(ControlTest, KillsWhatDoesNotStop) {
    EXPECT_EQ(ask("stop a").first, 0);
    ASSERT_EQ(supervisor_->next_restart(), kernel_.clock + execd::kStopPatience);
    kernel_.clock += execd::kStopPatience - 1ms;
    supervisor_->restart_due();
    EXPECT_EQ(kernel_.signals.size(), 1U);
    kernel_.clock += 1ms;
    supervisor_->restart_due();
    EXPECT_THAT(kernel_.signals, ElementsAre(Pair(2, SIGTERM), Pair(2, SIGKILL)));
    EXPECT_EQ(supervisor_->next_restart(), std::nullopt);
    EXPECT_THAT(log_, ElementsAre("execd: svc=a is stopped by hand", "execd: svc=a does not stop: killed"));
}

TEST_F(ControlTest, RestartsOnceTheOldOneHasEnded) {
    EXPECT_EQ(ask("restart b").first, 0);
    EXPECT_EQ(kernel_.requests.size(), 2U) << "not two of them at once";
    end(3, 0);
    EXPECT_THAT(ask("status b"), Pair(0, "b\trunning\t4\t2\t/bin/b\texited (status 0)\n"));
    EXPECT_EQ(kernel_.requests.size(), 4U) << "c waited for b's end, which came";
}

TEST_F(ControlTest, StartsWhatWaitsAndRefusesWhatRuns) {
    EXPECT_EQ(ask("start c").first, 0);
    EXPECT_THAT(ask("status c").second, StartsWith("c\trunning\t4\t1\t"));
    EXPECT_THAT(ask("start c"), Pair(1, "c runs already\n"));
    EXPECT_EQ(ask("stop c").first, 0);
    EXPECT_THAT(ask("start c"), Pair(1, "c is being stopped\n"));
    kernel_.refusals["/bin/b"] = execd::Error::NoEntry;
    end(3, 0);
    EXPECT_THAT(ask("start b"), Pair(1, "b did not start\n"));
}

TEST_F(ControlTest, ReloadsAndSaysWhatCameOfIt) {
    reload_ = [this] {
        supervisor_->log("execd: reload of /recipes refused (1 error): everything is as before");
    };
    EXPECT_THAT(ask("reload"),
                Pair(1, "execd: reload of /recipes refused (1 error): everything is as before\n"));
    reload_ = [this] { supervisor_->log("execd: reloaded /recipes (1 changed)"); };
    EXPECT_THAT(ask("reload"), Pair(0, "execd: reloaded /recipes (1 changed)\n"));
    EXPECT_EQ(log_.size(), 2U) << "the console hears it as well";
}

TEST_F(ControlTest, KeepsWhatHappenedToEach) {
    kernel_.clock += 1500ms;
    end(2, 256);
    EXPECT_THAT(ask("logs a").second, MatchesRegex("\\[0\\.000000\\] info: started as pid 2\n"
                                                   "\\[1\\.500000\\] warn: exited \\(status 1\\)\n"
                                                   "\\[1\\.500000\\] notice: starts again in 100ms\n"));
    EXPECT_THAT(ask("logs c"), Pair(0, ""));
    kernel_.clock += 100ms;
    supervisor_->restart_due();
    end(kernel_.next_pid - 1, 11);
    EXPECT_THAT(ask("logs a").second, HasSubstr("] err: killed by signal 11\n"));
    for (std::size_t i = 0; i < execd::kMaxKeptLines; ++i) {
        ask("stop a");
    }
    const std::string kept = ask("logs a").second;
    EXPECT_EQ(std::ranges::count(kept, '\n'), execd::kMaxKeptLines);
}

TEST_F(ControlTest, ExplainsWhereValuesComeFrom) {
    EXPECT_THAT(ask("explain a").second, HasSubstr("shares\t300\t"));
    EXPECT_THAT(ask("explain a").second, HasSubstr("qos.toml:3\n"));
    EXPECT_THAT(ask("explain a").second, HasSubstr("class\tnormal\t-\n"));
}

TEST_F(ControlTest, RefusesWhatIsNoRequest) {
    const auto answer = [&](std::string_view line) {
        return supervisor_->control(line, [] { FAIL() << "a reload"; });
    };
    for (const std::string& line :
         {std::string{}, std::string{"status"}, std::string{"x status"}, std::string{"1"},
          std::string{"1  status"}, std::string{"1 status a b"}, std::string{"1 st\x01tus"},
          std::string{"12345678901 status"}, std::string{"1 status\xff"}, std::string(500, 'x')}) {
        EXPECT_EQ(answer(line), "0 2 14\nnot a request\n") << line;
    }
    EXPECT_EQ(ask("destroy").first, 2);
    EXPECT_EQ(ask("destroy a").first, 2);
    EXPECT_EQ(ask("stop").first, 2);
    EXPECT_EQ(ask("reload a").first, 2);
    EXPECT_THAT(log_, IsEmpty());
    EXPECT_THAT(kernel_.signals, IsEmpty());
}

TEST_F(ControlTest, CutsALongAnswerAtALine) {
    std::string text;
    while (text.size() <= execd::kMaxAnswerBytes) {
        text += "0123456789 line\n";
    }
    const std::string message = execd::to_message("7", {.text = text});
    EXPECT_LE(message.size(), execd::kMaxAnswerBytes + 32);
    EXPECT_TRUE(message.ends_with("line\n(the rest is left out)\n"));
}

TEST_F(ControlTest, AServiceWithControlIsToldSo) {
    execd::Plan plan = execd::make_plan(
        execd_test::sources("schema = 1\n[[service]]\nname = \"k\"\nprogram = \"/bin/k\"\ncontrol = true\n",
                            execd_test::kEmptyRecipe, execd_test::kEmptyRecipe),
        {.cpus_online = 0xf, .only = std::nullopt});
    EXPECT_THAT(plan.errors, IsEmpty());
    execd::Supervisor other{std::move(plan.services), {}, kernel_, [](std::string_view) {}};
    other.start_ready();
    EXPECT_TRUE(kernel_.requests.back().has_control);
    EXPECT_THAT(kernel_.requests.back().envp, ElementsAre("EXECD_CONTROL=3"));
    EXPECT_FALSE(kernel_.requests.front().has_control);
}

}  // namespace
