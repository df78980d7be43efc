// SPDX-License-Identifier: MIT
// What right recipes mean: each key, each way to write it, and how defaults and built-in values fill the
// gaps.
#include "recipes.hpp"

#include <gmock/gmock.h>

#include "nexus_abi/system.hpp"
#include "recipe_texts.hpp"

namespace {

using namespace std::chrono_literals;
using execd::AffinityRecipe;
using execd::Diagnostic;
using execd::FileOutcome;
using execd::QosRecipe;
using execd_test::file;
using nexus_abi::AffinityPolicy;
using nexus_abi::QosClass;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Services, EveryKeyOfOneServiceIsRead) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_services(file("s.toml", R"(schema = 1
[[service]]
name = "audio"
program = "/bin/demo"
args = ["-v", "two words"]
env = { LANG = "C", DEPTH = "3" }
restart = "on-failure"
ready = "ended"
after = ["log"]
rights = ["sched_admin", "power"]
)"),
                                             errors);
    ASSERT_THAT(execd_test::texts(errors), IsEmpty());
    ASSERT_EQ(recipe.services.size(), 1U);
    const execd::Service& audio = recipe.services[0].service;
    EXPECT_EQ(audio.name, "audio");
    EXPECT_EQ(audio.program, "/bin/demo");
    EXPECT_THAT(audio.args, ElementsAre("-v", "two words"));
    EXPECT_THAT(audio.env, ElementsAre(Pair("DEPTH", "3"), Pair("LANG", "C")));
    EXPECT_EQ(audio.restart, execd::RestartPolicy::OnFailure);
    EXPECT_EQ(audio.ready, execd::ReadyWhen::Ended);
    ASSERT_EQ(audio.after.size(), 1U);
    EXPECT_EQ(audio.after[0].name, "log");
    EXPECT_EQ(audio.rights, nexus_abi::kRightSchedAdmin | nexus_abi::kRightPower);
    EXPECT_FALSE(recipe.services[0].faulty);
}

TEST(Services, WhatIsLeftOutHasItsDefault) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_services(file("s.toml", execd_test::kThreeServices), errors);
    ASSERT_THAT(execd_test::texts(errors), IsEmpty());
    ASSERT_EQ(recipe.services.size(), 3U);
    const execd::Service& first = recipe.services[0].service;
    EXPECT_THAT(first.args, IsEmpty());
    EXPECT_EQ(first.restart, execd::RestartPolicy::No);
    EXPECT_EQ(first.ready, execd::ReadyWhen::Started);
    EXPECT_EQ(first.rights, 0U);
    EXPECT_EQ(recipe.services[2].service.name, "c");
}

TEST(Services, KeepTheOrderOfTheFile) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_services(file("s.toml",
                                                  "schema = 1\n"
                                                  "[[service]]\nname = \"z\"\nprogram = \"/z\"\n"
                                                  "[[service]]\nname = \"a\"\nprogram = \"/a\"\n"),
                                             errors);
    ASSERT_EQ(recipe.services.size(), 2U);
    EXPECT_EQ(recipe.services[0].service.name, "z");
    EXPECT_EQ(recipe.services[1].service.name, "a");
}

AffinityRecipe one_affinity(const std::string& keys) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_affinity(file("a.toml", "schema = 1\n[service.x]\n" + keys), errors);
    EXPECT_THAT(execd_test::texts(errors), IsEmpty());
    return recipe.services.empty() ? AffinityRecipe{} : recipe.services[0].recipe;
}

std::uint64_t mask_of(const AffinityRecipe& recipe) {
    return recipe.cpus ? recipe.cpus->value : 0;
}

TEST(Affinity, OneSetOfCpusCanBeWrittenInFiveWays) {
    EXPECT_EQ(mask_of(one_affinity("cpus = [0, 1, 2, 4]")), 0x17U);
    EXPECT_EQ(mask_of(one_affinity("cpus = \"0-2,4\"")), 0x17U);
    EXPECT_EQ(mask_of(one_affinity("mask = 0x17")), 0x17U);
    EXPECT_EQ(mask_of(one_affinity("mask = \"0x17\"")), 0x17U);
    EXPECT_EQ(mask_of(one_affinity("mask = 23")), 0x17U);
}

TEST(Affinity, AStringReachesTheTopBitThatATomlIntegerCannot) {
    EXPECT_EQ(mask_of(one_affinity("mask = \"0x8000000000000000\"")), std::uint64_t{1} << 63U);
    EXPECT_EQ(mask_of(one_affinity("cpus = [63]")), std::uint64_t{1} << 63U);
}

TEST(Affinity, PoliciesGoByName) {
    EXPECT_EQ(one_affinity("policy = \"pin\"").policy, AffinityPolicy::Pin);
    EXPECT_EQ(one_affinity("policy = \"prefer\"").policy, AffinityPolicy::Prefer);
    EXPECT_EQ(one_affinity("").policy, std::nullopt);
}

QosRecipe one_qos(const std::string& keys) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_qos(file("q.toml", "schema = 1\n[service.x]\n" + keys), errors);
    EXPECT_THAT(execd_test::texts(errors), IsEmpty());
    return recipe.services.empty() ? QosRecipe{} : recipe.services[0].recipe;
}

TEST(Qos, EveryKeyIsRead) {
    const QosRecipe recipe =
        one_qos("class = \"interactive\"\nshares = 300\nlatency = \"5ms\"\nburst = \"500us\"\n");
    EXPECT_EQ(recipe.qos_class, QosClass::Interactive);
    EXPECT_EQ(recipe.shares, 300U);
    EXPECT_EQ(recipe.latency, 5ms);
    EXPECT_EQ(recipe.burst, 500us);
}

TEST(Qos, EachClassHasItsName) {
    EXPECT_EQ(one_qos("class = \"idle\"").qos_class, QosClass::Idle);
    EXPECT_EQ(one_qos("class = \"normal\"").qos_class, QosClass::Normal);
    EXPECT_EQ(one_qos("class = \"perfburst\"").qos_class, QosClass::PerfBurst);
}

TEST(Qos, TheEndsOfEachRangeAreInside) {
    EXPECT_EQ(one_qos("shares = 1").shares, 1U);
    EXPECT_EQ(one_qos("shares = 1000").shares, 1000U);
    EXPECT_EQ(one_qos("latency = \"0ms\"").latency, 0ms);
    EXPECT_EQ(one_qos("latency = \"100us\"").latency, 100us);
    EXPECT_EQ(one_qos("latency = \"1s\"").latency, 1s);
    EXPECT_EQ(one_qos("burst = \"100us\"").burst, 100us);
    EXPECT_EQ(one_qos("burst = \"50ms\"").burst, 50ms);
}

TEST(RecipeFile, TellsWhetherItWasMissingIgnoredOrRead) {
    std::vector<Diagnostic> errors;
    EXPECT_EQ(execd::read_qos(file("q.toml", std::nullopt), errors).outcome, FileOutcome::Missing);
    EXPECT_THAT(errors, IsEmpty());
    EXPECT_EQ(execd::read_qos(file("q.toml", "schema = 1\n"), errors).outcome, FileOutcome::Read);
    EXPECT_THAT(errors, IsEmpty());
    EXPECT_EQ(execd::read_qos(file("q.toml", "schema = "), errors).outcome, FileOutcome::Ignored);
    EXPECT_EQ(errors.size(), 1U);
}

}  // namespace
