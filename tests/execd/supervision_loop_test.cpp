// SPDX-License-Identifier: MIT
// The loop over a fake kernel whose children end as a script says and whose waits move the clock: pauses of
// seconds pass at once.
#include "supervision_loop.hpp"

#include <gmock/gmock.h>

#include <deque>

#include "fake_kernel.hpp"
#include "recipe_texts.hpp"

namespace {

using namespace std::chrono_literals;
using execd::Error;
using ::testing::ElementsAre;

// The next event of the script: a child's wait status, or a request to reload.
struct Reload {};
using Step = std::variant<std::int32_t, Reload>;

class ScriptedKernel final : public execd_test::FakeKernel {
  public:
    explicit ScriptedKernel(std::deque<Step> steps) : FakeKernel{0x1}, steps_{std::move(steps)} {}

    execd::Result<execd::Event> wait(std::optional<execd::Instant> deadline) override {
        if (cannot_wait) {
            return Error::NotImplemented;
        }
        if (!steps_.empty() && std::holds_alternative<Reload>(steps_.front())) {
            steps_.pop_front();
            return execd::Event{execd::ReloadAsked{}};
        }
        if (!running.empty() && !steps_.empty()) {
            const execd::EndedChild ended{.pid = running.begin()->first,
                                          .wait_status = std::get<std::int32_t>(steps_.front())};
            running.erase(running.begin());
            steps_.pop_front();
            return execd::Event{ended};
        }
        if (!deadline) {
            ADD_FAILURE() << "the loop waits for nothing";
            return Error::NoChild;
        }
        EXPECT_LT(clock, *deadline) << "the loop turns without need";
        clock = *deadline;
        return execd::Event{execd::TimePassed{}};
    }

    bool cannot_wait{false};

  private:
    std::deque<Step> steps_;
};

execd::Plan plan_of(const std::string& services) {
    return execd::make_plan(
        execd_test::sources("schema = 1\n" + services, execd_test::kEmptyRecipe, execd_test::kEmptyRecipe),
        {});
}

const char* const kX = "[[service]]\nname = \"x\"\nprogram = \"/bin/x\"\n";

TEST(SupervisionLoop, RestartsUntilTheServiceSucceedsAndThenReturns) {
    ScriptedKernel kernel{{0x0100, 0x0200, 0x0000}};
    execd::Plan plan = plan_of(std::string{kX} + "restart = \"on-failure\"\n");
    std::vector<std::string> ends;
    const execd::LineSink log = [&](std::string_view line) {
        if (line.find("set (") == std::string_view::npos) {
            ends.emplace_back(line);
        }
    };
    execd::Supervisor supervisor{std::move(plan.services), {}, kernel, log};
    execd::supervise(supervisor, kernel, log, {}, false);
    EXPECT_THAT(ends, ElementsAre("execd: svc=x exited (status 1)", "execd: svc=x starts again in 100ms",
                                  "execd: svc=x exited (status 2)", "execd: svc=x starts again in 200ms",
                                  "execd: svc=x exited (status 0)", "execd: all services have ended"));
    EXPECT_EQ(kernel.requests.size(), 3U);
}

TEST(SupervisionLoop, ReturnsWhenARestartFailsForGood) {
    ScriptedKernel kernel{{0x0100}};
    execd::Plan plan = plan_of(std::string{kX} + "restart = \"always\"\n");
    std::vector<std::string> lines;
    const execd::LineSink log = [&](std::string_view line) {
        if (line == "execd: svc=x exited (status 1)") {
            kernel.refusals["/bin/x"] = Error::NoEntry;  // the second start will find no program
        }
        lines.emplace_back(line);
    };
    execd::Supervisor supervisor{std::move(plan.services), {}, kernel, log};
    execd::supervise(supervisor, kernel, log, {}, false);
    EXPECT_EQ(lines.back(), "execd: all services have ended");
    EXPECT_EQ(kernel.requests.size(), 2U);
}

TEST(SupervisionLoop, ReloadsWhenAskedAlsoDuringAPause) {
    ScriptedKernel kernel{{Reload{}, 0x0100, Reload{}, 0x0000}};
    execd::Plan plan = plan_of(std::string{kX} + "restart = \"on-failure\"\n");
    const execd::LineSink log = [](std::string_view) {};
    execd::Supervisor supervisor{std::move(plan.services), {}, kernel, log};
    int reloads = 0;
    execd::supervise(supervisor, kernel, log, [&] { ++reloads; }, false);
    EXPECT_EQ(reloads, 2);
    EXPECT_EQ(kernel.requests.size(), 2U);
}

TEST(SupervisionLoop, GivesUpOnAKernelThatCannotWait) {
    ScriptedKernel kernel{{}};
    kernel.cannot_wait = true;
    execd::Plan plan = plan_of(kX);
    std::vector<std::string> lines;
    const execd::LineSink log = [&](std::string_view line) { lines.emplace_back(line); };
    execd::Supervisor supervisor{std::move(plan.services), {}, kernel, log};
    execd::supervise(supervisor, kernel, log, {}, true);
    EXPECT_EQ(lines.back(), "execd: cannot wait for services: Function not implemented");
}

TEST(SupervisionLoop, ReturnsAtOnceWithoutServices) {
    ScriptedKernel kernel{{}};
    std::vector<std::string> lines;
    const execd::LineSink log = [&](std::string_view line) { lines.emplace_back(line); };
    execd::Supervisor supervisor{{}, {}, kernel, log};
    execd::supervise(supervisor, kernel, log, {}, false);
    EXPECT_THAT(lines, ElementsAre("execd: all services have ended"));
}

}  // namespace
