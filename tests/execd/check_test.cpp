// SPDX-License-Identifier: MIT
// execd --check, on the recipes the project ships and on directories made up here.
#include "check.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "hints.hpp"
#include "nexus_abi/system.hpp"
#include "recipe_files.hpp"
#include "recipe_texts.hpp"

namespace {

using execd::check_recipes;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class RecipeDirectory : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
        directory_ = std::filesystem::path{::testing::TempDir()} / (std::string{"execd_"} + test->name());
        std::filesystem::remove_all(directory_);
        std::filesystem::create_directories(directory_ / "sched");
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    void write(const std::string& name, const std::string& text) const {
        std::ofstream{directory_ / name} << text;
    }
    [[nodiscard]] std::string path() const { return directory_.string(); }

  private:
    std::filesystem::path directory_;
};

TEST(ShippedRecipes, AreRightForMachinesOfOneToEightCpus) {
    for (unsigned cpus = 1; cpus <= 8; ++cpus) {
        const auto report = check_recipes(SHIPPED_RECIPES, {.cpus_online = (std::uint64_t{1} << cpus) - 1});
        EXPECT_FALSE(report.has_errors) << report.messages;
        EXPECT_THAT(report.messages, IsEmpty());
    }
}

TEST(ShippedRecipes, GiveAudioTheValuesOfTheMarkers) {
    std::vector<execd::Diagnostic> errors;
    const execd::Plan plan = execd::make_plan(execd::load_recipes(SHIPPED_RECIPES, {}, errors), {});
    ASSERT_THAT(errors, IsEmpty());
    ASSERT_EQ(plan.services.size(), 4U);
    EXPECT_EQ(plan.services[0].service.name, "audio");
    // A kernel that applies everything as asked reports this.
    nexus_abi::sched_attr reported = execd::to_attr(plan.services[0].hints);
    reported.effective_affinity = reported.affinity;
    reported.effective_class = reported.qos_class;
    reported.effective_shares = reported.shares;
    EXPECT_EQ(execd::affinity_marker("audio", reported),
              "execd: affinity set (svc=audio mask=0x3 policy=pin)");
    EXPECT_EQ(execd::qos_marker("audio", reported),
              "execd: qos set (svc=audio class=interactive shares=300 lat=5ms burst=0ms)");
}

TEST(ShippedRecipes, SelftestComesLastWithItsRights) {
    std::vector<execd::Diagnostic> errors;
    const execd::Plan plan = execd::make_plan(execd::load_recipes(SHIPPED_RECIPES, {}, errors), {});
    const execd::Service& selftest = plan.services.back().service;
    EXPECT_EQ(selftest.program, "/bin/selftest");
    EXPECT_EQ(selftest.rights, nexus_abi::kRightsAll);
    EXPECT_EQ(selftest.restart, execd::RestartPolicy::No);
    EXPECT_EQ(selftest.after.size(), plan.services.size() - 1);
}

TEST_F(RecipeDirectory, PlanIsATable) {
    write("services.toml", execd_test::kThreeServices);
    write("sched/affinity.toml", "schema = 1\n[service.b]\nmask = 0xff\n");
    write("sched/qos.toml", "schema = 1\n[service.c]\nclass = \"idle\"\nlatency = \"500us\"\n");
    const auto report = check_recipes(path(), {.cpus_online = 0x7});
    EXPECT_FALSE(report.has_errors) << report.messages;
    EXPECT_THAT(
        report.plan,
        StartsWith(
            "SERVICE  PROGRAM  RESTART  CPUS  POLICY  CLASS   SHARES  LATENCY  BURST  EXPECTED  AFTER\n"
            "a        /bin/a   no       0x7   pin     normal  100     0ms      0ms    100.0%    -\n"
            "b        /bin/b   no       0x7   pin     normal  100     0ms      0ms    100.0%    -\n"
            "c        /bin/c   no       0x7   pin     idle    100     500us    0ms    100.0%    -\n"
            "\nsvc=a\n"));
    EXPECT_THAT(report.plan, EndsWith("\n\n3 services, 0 errors, 0 warnings\n"));
}

TEST_F(RecipeDirectory, ErrorsNameTheFileAsGiven) {
    write("services.toml", execd_test::kThreeServices);
    write("sched/affinity.toml", execd_test::kEmptyRecipe);
    write("sched/qos.toml", "schema = 1\n[service.a]\nsharez = 3\n");
    const auto report = check_recipes(path() + "/", {});
    EXPECT_TRUE(report.has_errors);
    EXPECT_EQ(report.messages,
              path() + "/sched/qos.toml:3:1: unknown key 'sharez' (did you mean 'shares'?)\n");
    EXPECT_THAT(report.plan, HasSubstr("defaults (recipe error)"));
    EXPECT_THAT(report.plan, HasSubstr("3 services, 1 error, 0 warnings\n"));
}

TEST_F(RecipeDirectory, BoardRecipesLieInADirectoryOfItsName) {
    write("services.toml", execd_test::kThreeServices);
    write("sched/affinity.toml", execd_test::kEmptyRecipe);
    write("sched/qos.toml", "schema = 1\n[service.a]\nshares = 300\n");
    std::filesystem::create_directories(path() + "/boards/acme,board");
    write("boards/acme,board/qos.toml", "schema = 1\n[service.a]\nshares = 200\n");
    EXPECT_THAT(check_recipes(path(), {}).plan,
                HasSubstr("shares   300     " + path() + "/sched/qos.toml:3"));
    EXPECT_THAT(check_recipes(path(), {.board = "acme,board"}).plan,
                HasSubstr("shares   200     " + path() + "/boards/acme,board/qos.toml:3 [service.a]\n"));
}

TEST_F(RecipeDirectory, BoardWithoutRecipesIsAnErrorWhenAsked) {
    write("services.toml", execd_test::kThreeServices);
    write("sched/affinity.toml", execd_test::kEmptyRecipe);
    write("sched/qos.toml", execd_test::kEmptyRecipe);
    EXPECT_EQ(check_recipes(path(), {.board = "acme,bord"}).messages,
              path() + "/boards/acme,bord/: there are no recipes for board 'acme,bord'\n");
}

TEST_F(RecipeDirectory, OfTheNamesOfADeviceTreeTheFirstWithRecipesCounts) {
    std::filesystem::create_directories(path() + "/boards/acme,chip");
    write("boards/acme,chip/affinity.toml", execd_test::kEmptyRecipe);
    std::vector<execd::Diagnostic> errors;
    const auto sources = execd::load_recipes(path(), {.names = {"acme,board", "acme,chip"}}, errors);
    EXPECT_THAT(errors, IsEmpty());
    EXPECT_EQ(sources.board, "acme,chip");
    EXPECT_TRUE(sources.board_affinity.text.has_value());
    EXPECT_FALSE(sources.board_qos.text.has_value());
}

TEST_F(RecipeDirectory, WarningsAreNoErrors) {
    write("services.toml", execd_test::kThreeServices);
    write("sched/affinity.toml", execd_test::kEmptyRecipe);
    write("sched/qos.toml", "schema = 1\n[service.a]\nTimerSlackNSec = 1\nbudget = \"95ms/100ms\"\n");
    const auto report = check_recipes(path(), {.cpus_online = 0x1});
    EXPECT_FALSE(report.has_errors);
    EXPECT_EQ(report.messages,
              path() +
                  "/sched/qos.toml:3:1: warning: 'TimerSlackNSec' has no effect: timer slack follows the "
                  "class\n" +
                  path() +
                  ": warning: the budgets of a sum up to 95 % of a cpu, on cpus 0, where 90 % is the "
                  "most to plan with\n");
    EXPECT_THAT(report.plan, EndsWith("3 services, 0 errors, 2 warnings\n"));
}

TEST(Compatible, IsSplitAtItsZeros) {
    using namespace std::string_view_literals;
    EXPECT_THAT(execd::split_compatible("acme,board\0acme,chip\0"sv), ElementsAre("acme,board", "acme,chip"));
    EXPECT_THAT(execd::split_compatible("acme,board"sv), ElementsAre("acme,board"));
    // A directory of that name is opened: nothing that leads elsewhere.
    EXPECT_THAT(execd::split_compatible("../x\0a/b\0..\0\0"sv), IsEmpty());
}

TEST_F(RecipeDirectory, WithoutAnyRecipeIsAnError) {
    const auto report = check_recipes(path(), {});
    EXPECT_TRUE(report.has_errors);
    EXPECT_THAT(report.messages, HasSubstr(path() + ": there are no recipes here\n"));
}

TEST_F(RecipeDirectory, MissingSchedulingRecipesAreOnlyNoted) {
    write("services.toml", execd_test::kThreeServices);
    const auto report = check_recipes(path(), {});
    EXPECT_FALSE(report.has_errors);
    EXPECT_THAT(report.messages, HasSubstr("sched/qos.toml not found: built-in defaults apply\n"));
}

TEST_F(RecipeDirectory, WhatCannotBeReadIsAnError) {
    std::filesystem::create_directories(path() + "/services.toml");
    const auto report = check_recipes(path(), {});
    EXPECT_TRUE(report.has_errors);
    EXPECT_THAT(report.messages, HasSubstr("/services.toml: cannot be read: Is a directory\n"));
}

}  // namespace
