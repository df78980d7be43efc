// SPDX-License-Identifier: MIT
// The loop with its two threads, over a fake kernel whose children end as a script says and whose clock
// leaps: pauses of seconds pass at once.
#include "supervision_loop.hpp"

#include <gmock/gmock.h>

#include <deque>
#include <mutex>

#include "fake_kernel.hpp"
#include "recipe_texts.hpp"

namespace {

using namespace std::chrono_literals;
using execd::Error;
using ::testing::ElementsAre;

class ScriptedKernel final : public execd_test::FakeKernel {
  public:
    explicit ScriptedKernel(std::deque<std::int32_t> wait_statuses)
        : FakeKernel{0x1}, wait_statuses_{std::move(wait_statuses)} {}

    execd::Result<std::int32_t> start(const execd::StartRequest& request) override {
        const std::lock_guard lock{mutex_};
        return FakeKernel::start(request);
    }
    execd::Result<nexus_abi::sched_attr> attributes(std::int32_t pid) override {
        const std::lock_guard lock{mutex_};
        return FakeKernel::attributes(pid);
    }
    // Any running child ends with the next status of the script.
    execd::Result<execd::EndedChild> wait_for_child() override {
        const std::lock_guard lock{mutex_};
        if (cannot_wait) {
            return Error::NotImplemented;
        }
        if (interruptions_ > 0) {
            --interruptions_;
            return Error::Interrupted;
        }
        if (running.empty() || wait_statuses_.empty()) {
            return Error::NoChild;
        }
        const execd::EndedChild ended{.pid = running.begin()->first, .wait_status = wait_statuses_.front()};
        running.erase(running.begin());
        wait_statuses_.pop_front();
        return ended;
    }
    execd::Instant now() override {
        const std::lock_guard lock{mutex_};
        clock += 1s;
        return clock;
    }

    bool cannot_wait{false};

  private:
    std::mutex mutex_;
    std::deque<std::int32_t> wait_statuses_;
    int interruptions_{1};
};

TEST(SupervisionLoop, RestartsUntilTheServiceSucceedsAndThenReturns) {
    ScriptedKernel kernel{{0x0100, 0x0200, 0x0000}};
    execd::Plan plan = execd::make_plan(
        execd_test::sources(
            "schema = 1\n[[service]]\nname = \"x\"\nprogram = \"/bin/x\"\nrestart = \"on-failure\"\n",
            execd_test::kEmptyRecipe, execd_test::kEmptyRecipe),
        {});
    std::vector<std::string> ends;
    const execd::LineSink log = [&](std::string_view line) {
        if (line.find("set (") == std::string_view::npos) {
            ends.emplace_back(line);
        }
    };
    execd::Supervisor supervisor{std::move(plan.services), {}, kernel, log};
    execd::supervise(supervisor, kernel, log, false);
    EXPECT_THAT(ends, ElementsAre("execd: svc=x exited (status 1)", "execd: svc=x starts again in 100ms",
                                  "execd: svc=x exited (status 2)", "execd: svc=x starts again in 200ms",
                                  "execd: svc=x exited (status 0)", "execd: all services have ended"));
    EXPECT_EQ(kernel.requests.size(), 3U);
}

TEST(SupervisionLoop, ReturnsWhenARestartFailsForGood) {
    ScriptedKernel kernel{{0x0100}};
    execd::Plan plan =
        execd::make_plan(execd_test::sources("schema = 1\n[[service]]\nname = \"x\"\nprogram = \"/bin/x\"\n"
                                             "restart = \"always\"\n",
                                             execd_test::kEmptyRecipe, execd_test::kEmptyRecipe),
                         {});
    std::vector<std::string> lines;
    const execd::LineSink log = [&](std::string_view line) {
        if (line == "execd: svc=x exited (status 1)") {
            kernel.refusals["/bin/x"] = Error::NoEntry;  // the second start will find no program
        }
        lines.emplace_back(line);
    };
    execd::Supervisor supervisor{std::move(plan.services), {}, kernel, log};
    execd::supervise(supervisor, kernel, log, false);
    EXPECT_EQ(lines.back(), "execd: all services have ended");
    EXPECT_EQ(kernel.requests.size(), 2U);
}

TEST(SupervisionLoop, DoesNotSpinOnAKernelThatCannotWait) {
    ScriptedKernel kernel{{}};
    kernel.cannot_wait = true;
    execd::Plan plan =
        execd::make_plan(execd_test::sources("schema = 1\n[[service]]\nname = \"x\"\nprogram = \"/bin/x\"\n",
                                             execd_test::kEmptyRecipe, execd_test::kEmptyRecipe),
                         {});
    std::vector<std::string> lines;
    const execd::LineSink log = [&](std::string_view line) { lines.emplace_back(line); };
    execd::Supervisor supervisor{std::move(plan.services), {}, kernel, log};
    execd::supervise(supervisor, kernel, log, false);
    EXPECT_EQ(lines.back(), "execd: cannot wait for services: Function not implemented");
}

TEST(SupervisionLoop, ReturnsAtOnceWithoutServices) {
    ScriptedKernel kernel{{}};
    std::vector<std::string> lines;
    const execd::LineSink log = [&](std::string_view line) { lines.emplace_back(line); };
    execd::Supervisor supervisor{{}, {}, kernel, log};
    execd::supervise(supervisor, kernel, log, false);
    EXPECT_THAT(lines, ElementsAre("execd: all services have ended"));
}

}  // namespace
