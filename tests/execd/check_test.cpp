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
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
        const auto report = check_recipes(SHIPPED_RECIPES, (std::uint64_t{1} << cpus) - 1);
        EXPECT_FALSE(report.has_errors) << report.messages;
        EXPECT_THAT(report.messages, IsEmpty());
    }
}

TEST(ShippedRecipes, GiveAudioTheValuesOfTheMarkers) {
    std::vector<execd::Diagnostic> errors;
    const execd::Plan plan = execd::make_plan(execd::load_recipes(SHIPPED_RECIPES, errors), {});
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
    const execd::Plan plan = execd::make_plan(execd::load_recipes(SHIPPED_RECIPES, errors), {});
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
    const auto report = check_recipes(path(), 0x7);
    EXPECT_FALSE(report.has_errors) << report.messages;
    EXPECT_EQ(report.plan,
              "SERVICE  PROGRAM  RESTART  CPUS  POLICY  CLASS   SHARES  LATENCY  BURST  AFTER\n"
              "a        /bin/a   no       0x7   pin     normal  100     0ms      0ms    -\n"
              "b        /bin/b   no       0x7   pin     normal  100     0ms      0ms    -\n"
              "c        /bin/c   no       0x7   pin     idle    100     500us    0ms    -\n"
              "3 services, 0 errors\n");
}

TEST_F(RecipeDirectory, ErrorsNameTheFileAsGiven) {
    write("services.toml", execd_test::kThreeServices);
    write("sched/affinity.toml", execd_test::kEmptyRecipe);
    write("sched/qos.toml", "schema = 1\n[service.a]\nsharez = 3\n");
    const auto report = check_recipes(path() + "/", std::nullopt);
    EXPECT_TRUE(report.has_errors);
    EXPECT_EQ(report.messages,
              path() + "/sched/qos.toml:3:1: unknown key 'sharez' (did you mean 'shares'?)\n");
    EXPECT_THAT(report.plan, HasSubstr("defaults (recipe error)"));
    EXPECT_THAT(report.plan, HasSubstr("3 services, 1 error\n"));
}

TEST_F(RecipeDirectory, WithoutAnyRecipeIsAnError) {
    const auto report = check_recipes(path(), std::nullopt);
    EXPECT_TRUE(report.has_errors);
    EXPECT_THAT(report.messages, HasSubstr(path() + ": there are no recipes here\n"));
}

TEST_F(RecipeDirectory, MissingSchedulingRecipesAreOnlyNoted) {
    write("services.toml", execd_test::kThreeServices);
    const auto report = check_recipes(path(), std::nullopt);
    EXPECT_FALSE(report.has_errors);
    EXPECT_THAT(report.messages, HasSubstr("sched/qos.toml not found: built-in defaults apply\n"));
}

TEST_F(RecipeDirectory, WhatCannotBeReadIsAnError) {
    std::filesystem::create_directories(path() + "/services.toml");
    const auto report = check_recipes(path(), std::nullopt);
    EXPECT_TRUE(report.has_errors);
    EXPECT_THAT(report.messages, HasSubstr("/services.toml: cannot be read: Is a directory\n"));
}

}  // namespace
