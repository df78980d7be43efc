// SPDX-License-Identifier: MIT
#include "console_shell.hpp"

#include <gmock/gmock.h>

#include "fake_kernel.hpp"
#include "recipe_texts.hpp"
#include "supervisor.hpp"

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kServices = R"(schema = 1
[[service]]
name = "first"
program = "/bin/first"
[[service]]
name = "proof"
program = "/bin/selftest"
[[service]]
name = "last"
program = "/bin/last"
after = ["proof"]
)";

execd::Plan plan_with(const std::vector<std::string>& environment) {
    execd::Plan plan =
        execd::make_plan(execd_test::sources(kServices, execd_test::kEmptyRecipe, execd_test::kEmptyRecipe),
                         {.cpus_online = 0xf, .only = std::nullopt});
    execd::add_console_shell(plan, environment);
    return plan;
}

std::vector<std::string> names_of(const execd::Plan& plan) {
    std::vector<std::string> names;
    for (const auto& planned : plan.services) {
        names.push_back(planned.service.name);
    }
    return names;
}

TEST(ConsoleShell, OnlyWhenItIsAskedFor) {
    EXPECT_THAT(names_of(plan_with({})), ElementsAre("first", "proof", "last"));
    EXPECT_THAT(names_of(plan_with({"neuron.shell=0", "neuron.selftest=stay"})),
                ElementsAre("first", "proof", "last"));
    EXPECT_THAT(names_of(plan_with({"neuron.selftest=stayed"})), ElementsAre("first", "proof", "last"));
    const auto wrong = plan_with({"neuron.shell=yes"});
    EXPECT_THAT(names_of(wrong), ElementsAre("first", "proof", "last"));
    EXPECT_THAT(wrong.notes, ElementsAre("neuron.shell=yes ignored: it is 0 or 1"));
}

TEST(ConsoleShell, ByItselfItLeavesTheSelftestToTheConsole) {
    const auto plan = plan_with({"neuron.shell=1"});
    EXPECT_THAT(names_of(plan), ElementsAre("first", "last", "shell"));
    EXPECT_THAT(plan.services[1].service.after, IsEmpty());
    EXPECT_THAT(plan.notes, ElementsAre("svc=proof is not started: neuron.shell=1 leaves it to the console"));
    const execd::Service& shell = plan.services[2].service;
    EXPECT_EQ(shell.program, "/bin/nsh");
    EXPECT_EQ(shell.restart, execd::RestartPolicy::Always);
    EXPECT_EQ(shell.rights, nexus_abi::kRightsAll);
    EXPECT_EQ(shell.env.at("neuron.selftest"), "stay");
    EXPECT_EQ(plan.services[2].hints, execd::Hints{}) << "what it starts inherits them";
    EXPECT_THAT(names_of(plan_with({"neuron.shell=1", "neuron.selftest=shares"})),
                ElementsAre("first", "proof", "last", "shell"));
}

TEST(ConsoleShell, ARecipeOfThatNameIsKept) {
    execd::Plan plan = execd::make_plan(
        execd_test::sources("schema = 1\n[[service]]\nname = \"shell\"\nprogram = \"/bin/own\"\n",
                            execd_test::kEmptyRecipe, execd_test::kEmptyRecipe),
        {.cpus_online = 0xf, .only = std::nullopt});
    execd::add_console_shell(plan, {"neuron.shell=1"});
    ASSERT_EQ(plan.services.size(), 1U);
    EXPECT_EQ(plan.services[0].service.program, "/bin/own");
}

TEST(ConsoleShell, AfterASelftestThatStays) {
    execd_test::FakeKernel kernel{0xf};
    execd::Supervisor supervisor{plan_with({"neuron.selftest=shares,stay"}).services,
                                 {"neuron.selftest=shares,stay"},
                                 kernel,
                                 [](std::string_view) {}};
    supervisor.start_ready();
    const auto programs = [&] {
        std::vector<std::string> all;
        for (const auto& request : kernel.requests) {
            all.push_back(request.program);
        }
        return all;
    };
    EXPECT_THAT(programs(), ElementsAre("/bin/first", "/bin/selftest", "/bin/last"));
    supervisor.child_ended({.pid = 2, .wait_status = 0});
    EXPECT_EQ(programs().size(), 3U);
    supervisor.child_ended({.pid = 3, .wait_status = 0});
    ASSERT_EQ(programs().size(), 4U);
    EXPECT_EQ(programs()[3], "/bin/nsh");
    EXPECT_THAT(kernel.requests[3].envp, ElementsAre("HOME=/", "PATH=/bin:/usr/bin", "TERM=vt100",
                                                     "neuron.selftest=stay", execd::kControlVariable));
}

}  // namespace
