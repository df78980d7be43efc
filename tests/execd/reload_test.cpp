// SPDX-License-Identifier: MIT
// SIGHUP: what changes, what is printed, and that an error changes nothing.
#include "reload.hpp"

#include <gmock/gmock.h>

#include "fake_kernel.hpp"
#include "recipe_texts.hpp"

namespace {

using namespace std::chrono_literals;
using execd::Error;
using execd::Plan;
using execd::RecipeLocation;
using execd::Supervisor;
using execd_test::FakeKernel;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

struct Recipes {
    std::string services;
    std::string affinity{};
    std::string qos{};
};

constexpr const char* kOldDirectory = "/old";
constexpr const char* kNewDirectory = "/new";

std::string service(const std::string& name, const std::string& more = "") {
    return "[[service]]\nname = \"" + name + "\"\nprogram = \"/bin/" + name + "\"\n" + more;
}

class Reload : public ::testing::Test {
  protected:
    // Starts the old recipes; what that printed is forgotten.
    void start(const Recipes& recipes) {
        kernel_.allows_late_limits = true;
        Plan plan = plan_of(recipes);
        ASSERT_THAT(execd_test::texts(plan.errors), IsEmpty());
        supervisor_.emplace(std::move(plan.services), std::vector<std::string>{}, kernel_, log_sink());
        supervisor_->start_ready();
        location_ = {.directory = kOldDirectory, .reload_from = kNewDirectory};
        log_.clear();
        kernel_.changes = 0;
    }

    // A reload with new recipes; what it printed.
    std::vector<std::string> reload(const Recipes& recipes) {
        const execd::PlanLoader load = [&](const std::string& directory) {
            asked_.push_back(directory);
            return plan_of(recipes);
        };
        execd::reload_recipes(location_, load, *supervisor_, log_sink());
        return std::exchange(log_, {});
    }

    void end(std::int32_t pid, std::int32_t status = 0) {
        kernel_.running.erase(pid);
        supervisor_->child_ended({.pid = pid, .wait_status = status});
    }

    Plan plan_of(const Recipes& recipes) {
        return execd::make_plan(
            execd_test::sources("schema = 1\n" + recipes.services, "schema = 1\n" + recipes.affinity,
                                "schema = 1\n" + recipes.qos),
            {.cpus_online = 0x7, .only = std::nullopt});
    }
    execd::LineSink log_sink() {
        return [this](std::string_view line) { log_.emplace_back(line); };
    }

    FakeKernel kernel_{0x7};
    std::optional<Supervisor> supervisor_;
    RecipeLocation location_;
    std::vector<std::string> asked_;
    std::vector<std::string> log_;
};

TEST_F(Reload, ChangedHintsHoldAtOnceAndOnlyTheirMarkersAreShown) {
    start({.services = service("a") + service("b") + service("c"), .affinity = "[service.a]\ncpus = [0]\n"});
    EXPECT_THAT(reload({.services = service("a") + service("b") + service("c"),
                        .affinity = "[service.a]\ncpus = [1]\n",
                        .qos = "[service.b]\nclass = \"interactive\"\nbudget = \"2ms/10ms\"\n"}),
                ElementsAre("execd: affinity set (svc=a mask=0x2 policy=pin)",
                            "execd: qos set (svc=b class=interactive shares=100 lat=0ms burst=0ms)",
                            "execd: budget set (svc=b budget=2ms period=10ms)",
                            "execd: reloaded /new (2 changed, 0 new, 0 removed, 1 unchanged)"));
    EXPECT_EQ(kernel_.running[2].affinity, 0x2U);
    EXPECT_EQ(kernel_.running[3].qos_class, 2U);
    EXPECT_EQ(kernel_.limits[3].qos_class, 2U);  // a service's own class is its ceiling
    EXPECT_EQ(kernel_.changes, 2);
    EXPECT_EQ(kernel_.requests.size(), 3U);
}

TEST_F(Reload, WhatIsGoneFromTheRecipeIsUndone) {
    start(
        {.services = service("a"),
         .affinity = "[service.a]\ncpus = [0]\nlimit_cpus = [0, 1]\n",
         .qos =
             "[service.a]\nshares = 300\nlatency = \"2ms\"\nbudget = \"1ms/10ms\"\nreset_on_spawn = true\n"});
    reload({.services = service("a")});
    const nexus_abi::sched_attr& attr = kernel_.running[2];
    EXPECT_EQ(attr.effective_affinity, 0x7U);
    EXPECT_EQ(attr.shares, 100U);
    EXPECT_EQ(attr.latency_ns, 0U);
    EXPECT_EQ(attr.budget_ns, 0U);
    EXPECT_EQ(attr.flags, 0U);
    EXPECT_EQ(kernel_.limits[2].affinity, ~std::uint64_t{0});
}

TEST_F(Reload, MaskBeyondTheOldLimitIsFineWhenTheLimitMovesToo) {
    start({.services = service("a"), .affinity = "[service.a]\ncpus = [0]\nlimit_cpus = [0]\n"});
    EXPECT_THAT(reload({.services = service("a"), .affinity = "[service.a]\ncpus = [2]\nlimit_cpus = [2]\n"}),
                Contains("execd: affinity set (svc=a mask=0x4 policy=pin)"));
}

TEST_F(Reload, SameRecipesChangeNothing) {
    start({.services = service("a"), .qos = "[service.a]\nshares = 300\n"});
    EXPECT_THAT(reload({.services = service("a"), .qos = "\n\n[service.a]\nshares = 300\n"}),
                ElementsAre("execd: reloaded /new (0 changed, 0 new, 0 removed, 1 unchanged)"));
    EXPECT_EQ(kernel_.changes, 0);
}

TEST_F(Reload, AnErrorAnywhereChangesNothingAndIsSaidWithItsPlace) {
    start({.services = service("a"), .qos = "[service.a]\nshares = 300\n"});
    EXPECT_THAT(reload({.services = service("a") + service("b"),
                        .qos = "[service.a]\nshares = 200\n[service.b]\nsharez = 1\n"}),
                ElementsAre("execd: r/sched/qos.toml:5:1: unknown key 'sharez' (did you mean 'shares'?)",
                            "execd: reload of /new refused (1 error): everything is as before"));
    EXPECT_EQ(kernel_.running[2].shares, 300U);
    EXPECT_EQ(kernel_.requests.size(), 1U);
    EXPECT_EQ(location_.directory, kOldDirectory);
}

TEST_F(Reload, WithoutServicesTomlIsRefused) {
    start({.services = service("a")});
    const execd::PlanLoader load = [](const std::string&) {
        return execd::make_plan(
            execd_test::sources(std::nullopt, execd_test::kEmptyRecipe, execd_test::kEmptyRecipe), {});
    };
    execd::reload_recipes(location_, load, *supervisor_, log_sink());
    EXPECT_THAT(log_, ElementsAre("execd: r/services.toml not found: no services to start",
                                  "execd: reload of /new refused (1 error): everything is as before"));
}

TEST_F(Reload, KernelThatRefusesOneGetsAllPutBack) {
    start({.services = service("a") + service("b") + service("c"), .qos = "[defaults]\nshares = 300\n"});
    kernel_.refuses_change = 13;
    EXPECT_THAT(reload({.services = service("a") + service("b") + service("c") + service("d"),
                        .affinity = "[service.b]\nlimit_cpus = [0]\n",
                        .qos = "[service.a]\nshares = 200\n[service.b]\nshares = 13\n"}),
                ElementsAre("execd: svc=b the kernel refuses its new hints (Invalid argument)",
                            "execd: reload of /new refused: everything is as before"));
    EXPECT_EQ(kernel_.running[2].shares, 300U);
    EXPECT_EQ(kernel_.running[3].shares, 300U);
    EXPECT_EQ(kernel_.running[4].shares, 300U);
    EXPECT_EQ(kernel_.limits[3].affinity, ~std::uint64_t{0});
    EXPECT_EQ(kernel_.requests.size(), 3U);
}

TEST_F(Reload, WhatCannotBePutBackIsSaid) {
    start({.services = service("a") + service("b"), .qos = "[service.a]\nshares = 13\n"});
    kernel_.refuses_change = 13;
    EXPECT_THAT(reload({.services = service("a") + service("b"),
                        .qos = "[service.a]\nshares = 200\n[service.b]\nshares = 13\n"}),
                Contains("execd: svc=a its hints cannot be put back: Invalid argument"));
}

TEST_F(Reload, ChildThatHasEndedMeanwhileIsNoError) {
    start({.services = service("a", "restart = \"always\"\n") + service("b")});
    kernel_.running.erase(2);  // execd has not been told yet
    EXPECT_THAT(reload({.services = service("a", "restart = \"always\"\n") + service("b"),
                        .qos = "[defaults]\nshares = 200\n"}),
                Contains("execd: reloaded /new (2 changed, 0 new, 0 removed, 0 unchanged)"));
    supervisor_->child_ended({.pid = 2, .wait_status = 0});
    kernel_.clock += 1s;
    supervisor_->restart_due();
    EXPECT_EQ(kernel_.running[4].shares, 200U);  // the new hints hold at its next start
}

TEST_F(Reload, NewServicesStartWhenThoseBeforeThemAreReady) {
    start({.services = service("a", "ready = \"ended\"\n")});
    const std::string services =
        service("now") + service("later", "after = [\"a\"]\n") + service("a", "ready = \"ended\"\n");
    EXPECT_THAT(reload({.services = services}),
                ElementsAre("execd: affinity set (svc=now mask=0x7 policy=pin)",
                            "execd: qos set (svc=now class=normal shares=100 lat=0ms burst=0ms)",
                            "execd: reloaded /new (0 changed, 2 new, 0 removed, 1 unchanged)"));
    end(2);
    EXPECT_EQ(kernel_.requests.back().program, "/bin/later");
}

TEST_F(Reload, NewServicesStartAlsoWhenAllOthersHaveEnded) {
    start({.services = service("a")});
    end(2);
    EXPECT_TRUE(supervisor_->is_finished());
    log_.clear();
    reload({.services = service("a") + service("b")});
    EXPECT_FALSE(supervisor_->is_finished());
    end(3);
    EXPECT_THAT(log_, Contains("execd: all services have ended"));
}

TEST_F(Reload, RemovedServicesRunOnAndAreNotStartedAgain) {
    start({.services = service("a", "restart = \"always\"\n") + service("b")});
    EXPECT_THAT(reload({.services = service("b")}),
                ElementsAre("execd: svc=a is not in the recipes any more: runs on, and is not started again",
                            "execd: reloaded /new (0 changed, 0 new, 1 removed, 1 unchanged)"));
    EXPECT_TRUE(kernel_.running.contains(2));
    EXPECT_THAT(reload({.services = service("b")}),
                ElementsAre("execd: reloaded /new (0 changed, 0 new, 0 removed, 1 unchanged)"));
    end(2, 0x0100);
    EXPECT_EQ(supervisor_->next_restart(), std::nullopt);
    EXPECT_THAT(log_, ElementsAre("execd: svc=a exited (status 1)"));
}

TEST_F(Reload, RemovedServiceThatComesBackWhileItRunsIsTheSame) {
    start({.services = service("a", "restart = \"always\"\n")});
    reload({.services = service("b")});
    EXPECT_THAT(reload({.services = service("a", "restart = \"always\"\n") + service("b")}),
                ElementsAre("execd: reloaded /new (1 changed, 0 new, 0 removed, 1 unchanged)"));
    end(2);
    EXPECT_TRUE(supervisor_->next_restart().has_value());
}

TEST_F(Reload, RemovedServiceThatComesBackAfterItsEndIsNew) {
    start({.services = service("a")});
    reload({.services = service("b")});
    end(2);
    reload({.services = service("a") + service("b")});
    EXPECT_EQ(kernel_.requests.back().program, "/bin/a");
    EXPECT_EQ(kernel_.requests.size(), 3U);
}

TEST_F(Reload, EndedServicesStayEnded) {
    start({.services = service("a")});
    end(2);
    reload({.services = service("a", "restart = \"always\"\n"), .qos = "[service.a]\nshares = 7\n"});
    EXPECT_EQ(kernel_.requests.size(), 1U);
    EXPECT_EQ(supervisor_->next_restart(), std::nullopt);
}

TEST_F(Reload, PausedServiceThatIsNotToRestartAnyMoreEnds) {
    start({.services = service("a", "restart = \"always\"\n")});
    end(2);
    reload({.services = service("a")});
    EXPECT_EQ(supervisor_->next_restart(), std::nullopt);
    EXPECT_TRUE(supervisor_->is_finished());
}

TEST_F(Reload, ProgramAndArgumentsChangeAtTheNextStart) {
    start({.services = service("a", "restart = \"always\"\n")});
    EXPECT_THAT(
        reload({.services = service("a", "restart = \"always\"\nargs = [\"-v\"]\n")}),
        ElementsAre("execd: svc=a program, arguments, environment and rights change at its next start",
                    "execd: reloaded /new (1 changed, 0 new, 0 removed, 0 unchanged)"));
    end(2);
    kernel_.clock += 1s;
    supervisor_->restart_due();
    EXPECT_THAT(kernel_.requests.back().argv, ElementsAre("/bin/a", "-v"));
}

TEST_F(Reload, ReadsWhereTheRecipesInForceSay) {
    start({.services = service("a")});
    reload({.services = "reload_from = \"/third\"\n" + service("a")});
    EXPECT_EQ(location_.directory, kNewDirectory);
    EXPECT_EQ(location_.reload_from, "/third");
    reload({.services = service("a", "restart = 3\n")});  // refused: the next one reads the same again
    reload({.services = service("a")});
    reload({.services = service("a")});  // says nothing more: the same directory again
    EXPECT_THAT(asked_, ElementsAre("/new", "/third", "/third", "/third"));
}

}  // namespace
