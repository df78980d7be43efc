// SPDX-License-Identifier: MIT
#include "supervisor.hpp"

#include <gmock/gmock.h>

#include "fake_kernel.hpp"
#include "recipe_texts.hpp"

namespace {

using namespace std::chrono_literals;
using execd::Error;
using execd::PlannedService;
using execd::Supervisor;
using execd_test::FakeKernel;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::int32_t exit_status(std::int32_t status) {
    return status << 8;
}

// A supervisor over a fake kernel, and what it said.
class SupervisorTest : public ::testing::Test {
  protected:
    // The plan that recipes give on this kernel, as execd makes it.
    Supervisor& make(const std::string& services, const std::string& affinity = execd_test::kEmptyRecipe,
                     const std::string& qos = execd_test::kEmptyRecipe) {
        const auto info = kernel_.info();
        execd::Plan plan = execd::make_plan(execd_test::sources("schema = 1\n" + services, affinity, qos),
                                            {.cpus_online = info->cpus_online, .only = std::nullopt});
        return supervisor_.emplace(std::move(plan.services), std::vector<std::string>{"neuron.selftest=stay"},
                                   kernel_, [this](std::string_view line) { log_.emplace_back(line); });
    }

    static std::string service(const std::string& name, const std::string& more = "") {
        return "[[service]]\nname = \"" + name + "\"\nprogram = \"/bin/" + name + "\"\n" + more;
    }

    // The programs started so far, in order.
    std::vector<std::string> started() const {
        std::vector<std::string> programs;
        for (const auto& request : kernel_.requests) {
            programs.push_back(request.program);
        }
        return programs;
    }

    std::vector<std::string> take_log() { return std::exchange(log_, {}); }

    FakeKernel kernel_{0x7};

  private:
    std::vector<std::string> log_;
    std::optional<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, PrintsBothMarkersOfEachServiceWithTheEffectiveValues) {
    make(service("audio") + service("ui"), "schema = 1\n[service.audio]\nmask = 0xff\n",
         "schema = 1\n[service.audio]\nclass = \"interactive\"\nshares = 300\nlatency = \"5ms\"\n")
        .start_ready();
    EXPECT_THAT(take_log(),
                ElementsAre("execd: affinity set (svc=audio mask=0x7 policy=pin)",
                            "execd: qos set (svc=audio class=interactive shares=300 lat=5ms burst=0ms)",
                            "execd: affinity set (svc=ui mask=0x7 policy=pin)",
                            "execd: qos set (svc=ui class=normal shares=100 lat=0ms burst=0ms)"));
}

TEST_F(SupervisorTest, FaultyServiceStartsWithDefaultsAndTheOthersKeepTheirs) {
    make(service("audio") + service("ui"),
         "schema = 1\n[service.audio]\nmask = 0x8\n[service.ui]\nmask = 0x2\n")
        .start_ready();
    EXPECT_THAT(take_log(),
                ElementsAre("execd: svc=audio starts with defaults (recipe error above)",
                            "execd: affinity set (svc=audio mask=0x7 policy=pin)",
                            "execd: qos set (svc=audio class=normal shares=100 lat=0ms burst=0ms)",
                            "execd: affinity set (svc=ui mask=0x2 policy=pin)",
                            "execd: qos set (svc=ui class=normal shares=100 lat=0ms burst=0ms)"));
}

TEST_F(SupervisorTest, HandsOverArgumentsEnvironmentAndRights) {
    make(service("x", "args = [\"-v\"]\nenv = { A = \"1\" }\nrights = [\"power\"]\n") +
         service("y", "env = { \"neuron.selftest\" = \"off\" }\n"))
        .start_ready();
    ASSERT_EQ(kernel_.requests.size(), 2U);
    EXPECT_EQ(kernel_.requests[0].program, "/bin/x");
    EXPECT_THAT(kernel_.requests[0].argv, ElementsAre("/bin/x", "-v"));
    EXPECT_THAT(kernel_.requests[0].envp, ElementsAre("neuron.selftest=stay", "A=1"));
    EXPECT_EQ(kernel_.requests[0].rights, nexus_abi::kRightPower);
    EXPECT_THAT(kernel_.requests[1].envp, ElementsAre("neuron.selftest=off"));
    EXPECT_EQ(kernel_.requests[1].rights, 0U);
}

TEST_F(SupervisorTest, AfterAStartedServiceMeansInOrder) {
    make(service("late", "after = [\"early\"]\n") + service("early")).start_ready();
    EXPECT_THAT(started(), ElementsAre("/bin/early", "/bin/late"));
}

TEST_F(SupervisorTest, AfterAServiceThatIsReadyWhenEndedMeansOnceItHasEnded) {
    Supervisor& supervisor =
        make(service("job", "ready = \"ended\"\n") + service("next", "after = [\"job\"]\n"));
    supervisor.start_ready();
    EXPECT_THAT(started(), ElementsAre("/bin/job"));
    take_log();
    supervisor.child_ended({.pid = 2, .wait_status = exit_status(0)});
    EXPECT_THAT(started(), ElementsAre("/bin/job", "/bin/next"));
    EXPECT_THAT(
        take_log(),
        ElementsAre("execd: svc=job exited (status 0)", "execd: affinity set (svc=next mask=0x7 policy=pin)",
                    "execd: qos set (svc=next class=normal shares=100 lat=0ms burst=0ms)"));
}

TEST_F(SupervisorTest, FailureToStartIsSaidAndHoldsNobodyUp) {
    kernel_.refusals["/bin/job"] = Error::NoEntry;
    Supervisor& supervisor = make(service("next", "after = [\"job\"]\n") +
                                  service("job", "ready = \"ended\"\nrestart = \"always\"\n"));
    supervisor.start_ready();
    EXPECT_THAT(started(), ElementsAre("/bin/job", "/bin/next"));
    EXPECT_THAT(take_log(), Contains("execd: svc=job cannot start /bin/job: No such file or directory"));
    EXPECT_EQ(supervisor.next_restart(), std::nullopt);
}

TEST_F(SupervisorTest, ServiceWithoutAProgramCannotStart) {
    make("[[service]]\nname = \"x\"\n").start_ready();
    EXPECT_THAT(started(), IsEmpty());
    EXPECT_THAT(take_log(), ElementsAre("execd: svc=x cannot start (recipe error above)",
                                        "execd: all services have ended"));
}

TEST_F(SupervisorTest, KernelThatRefusesHintsGetsTheServiceWithout) {
    kernel_.refuses_hints = true;
    make(service("x"), "schema = 1\n[service.x]\nmask = 0x1\n").start_ready();
    ASSERT_EQ(kernel_.requests.size(), 2U);
    EXPECT_FALSE(kernel_.requests[1].attributes.has_value());
    EXPECT_THAT(
        take_log(),
        ElementsAre("execd: svc=x starts with defaults: the kernel refuses its hints (Invalid argument)",
                    "execd: affinity set (svc=x mask=0x7 policy=pin)",
                    "execd: qos set (svc=x class=normal shares=100 lat=0ms burst=0ms)"));
}

TEST_F(SupervisorTest, MarkersAreNotInventedWhenTheValuesCannotBeRead) {
    kernel_.ends_at_once = true;
    make(service("x")).start_ready();
    EXPECT_THAT(take_log(), ElementsAre("execd: svc=x values in effect cannot be read: No such process"));
}

TEST_F(SupervisorTest, LimitsHoldBeforeTheServiceRunsAndHaveAMarker) {
    make(service("x"), "schema = 1\n[service.x]\nlimit_cpus = \"0-1\"\n",
         "schema = 1\n[service.x]\nmax_class = \"interactive\"\nbudget = \"2ms/10ms\"\ngroup_shares = 200\n")
        .start_ready();
    ASSERT_TRUE(kernel_.limits.contains(2));
    EXPECT_EQ(kernel_.limits[2].qos_class, 2U);
    EXPECT_THAT(kernel_.released, ElementsAre(2));
    EXPECT_THAT(take_log(),
                ElementsAre("execd: affinity set (svc=x mask=0x3 policy=pin)",
                            "execd: qos set (svc=x class=normal shares=100 lat=0ms burst=0ms)",
                            "execd: budget set (svc=x budget=2ms period=10ms)",
                            "execd: limits set (svc=x class=interactive shares=1000 mask=0x3 group=200)"));
}

TEST_F(SupervisorTest, KernelThatRefusesLimitsIsSaid) {
    kernel_.refuses_limits = true;
    make(service("x"), execd_test::kEmptyRecipe, "schema = 1\n[service.x]\nmax_shares = 200\n").start_ready();
    EXPECT_THAT(take_log(),
                Contains("execd: svc=x runs without its limits: the kernel refuses them (Function "
                         "not implemented)"));
    EXPECT_THAT(kernel_.released, ElementsAre(2));
}

TEST_F(SupervisorTest, ServiceRunsOnlyAfterItsMarkers) {
    make(service("x")).start_ready();
    EXPECT_THAT(kernel_.released, ElementsAre(2));
    kernel_.ends_at_once = true;
    make(service("y")).start_ready();
    EXPECT_THAT(kernel_.released, ElementsAre(2, 3));
}

TEST_F(SupervisorTest, RestartsWithGrowingPausesUntilHealthy) {
    Supervisor& supervisor = make(service("x", "restart = \"on-failure\"\n"));
    supervisor.start_ready();
    take_log();

    supervisor.child_ended({.pid = 2, .wait_status = exit_status(3)});
    EXPECT_THAT(take_log(),
                ElementsAre("execd: svc=x exited (status 3)", "execd: svc=x starts again in 100ms"));
    EXPECT_EQ(supervisor.next_restart(), kernel_.clock + 100ms);
    kernel_.clock += 99ms;
    supervisor.restart_due();
    EXPECT_EQ(kernel_.requests.size(), 1U);
    kernel_.clock += 1ms;
    supervisor.restart_due();
    EXPECT_EQ(kernel_.requests.size(), 2U);
    EXPECT_EQ(supervisor.next_restart(), std::nullopt);
    EXPECT_THAT(take_log(), ElementsAre("execd: affinity set (svc=x mask=0x7 policy=pin)",
                                        "execd: qos set (svc=x class=normal shares=100 lat=0ms burst=0ms)"));

    supervisor.child_ended({.pid = 3, .wait_status = 11});
    EXPECT_THAT(take_log(),
                ElementsAre("execd: svc=x killed by signal 11", "execd: svc=x starts again in 200ms"));
    kernel_.clock += 200ms;
    supervisor.restart_due();

    kernel_.clock += 10s;
    supervisor.child_ended({.pid = 4, .wait_status = exit_status(1)});
    EXPECT_THAT(take_log(), Contains("execd: svc=x starts again in 100ms"));
}

TEST_F(SupervisorTest, OnFailureEndsWithSuccess) {
    Supervisor& supervisor = make(service("x", "restart = \"on-failure\"\n"));
    supervisor.start_ready();
    EXPECT_FALSE(supervisor.is_finished());
    take_log();
    supervisor.child_ended({.pid = 2, .wait_status = exit_status(0)});
    EXPECT_TRUE(supervisor.is_finished());
    EXPECT_THAT(take_log(), ElementsAre("execd: svc=x exited (status 0)", "execd: all services have ended"));
}

TEST_F(SupervisorTest, LackOfMemoryIsTriedAgainAndLackOfProgramIsNot) {
    kernel_.refusals["/bin/x"] = Error::NoMemory;
    Supervisor& supervisor = make(service("x", "restart = \"on-failure\"\n"));
    supervisor.start_ready();
    EXPECT_THAT(take_log(), ElementsAre("execd: svc=x cannot start /bin/x: Cannot allocate memory",
                                        "execd: svc=x starts again in 100ms"));
    kernel_.refusals["/bin/x"] = Error::NoEntry;
    kernel_.clock += 100ms;
    supervisor.restart_due();
    EXPECT_TRUE(supervisor.is_finished());
}

TEST_F(SupervisorTest, OrphansAreReapedWithoutAWord) {
    Supervisor& supervisor = make(service("x"));
    supervisor.start_ready();
    take_log();
    supervisor.child_ended({.pid = 77, .wait_status = exit_status(1)});
    EXPECT_THAT(take_log(), IsEmpty());
    EXPECT_TRUE(supervisor.has_running());
}

TEST_F(SupervisorTest, PidThatWasUsedBeforeIsNotTakenForTheService) {
    Supervisor& supervisor = make(service("x") + service("y"));
    supervisor.start_ready();
    supervisor.child_ended({.pid = 2, .wait_status = exit_status(0)});
    take_log();
    supervisor.child_ended({.pid = 2, .wait_status = exit_status(1)});  // an orphan with a recycled pid
    EXPECT_THAT(take_log(), IsEmpty());
}

TEST_F(SupervisorTest, TheEndOfAllIsSaidOnce) {
    Supervisor& supervisor = make(service("x") + service("y"));
    supervisor.start_ready();
    supervisor.child_ended({.pid = 2, .wait_status = exit_status(0)});
    EXPECT_THAT(take_log(), Not(Contains("execd: all services have ended")));
    supervisor.child_ended({.pid = 3, .wait_status = exit_status(0)});
    EXPECT_THAT(take_log(), Contains("execd: all services have ended"));
    supervisor.start_ready();
    EXPECT_THAT(take_log(), IsEmpty());
}

}  // namespace
