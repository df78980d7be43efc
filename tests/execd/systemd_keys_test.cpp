// SPDX-License-Identifier: MIT
// The keys of systemd that recipes understand: what each becomes, and what is refused because its meaning
// cannot be kept.
#include "systemd_keys.hpp"

#include <gmock/gmock.h>

#include "recipe_texts.hpp"
#include "recipes.hpp"

namespace {

using namespace std::chrono_literals;
using execd::AffinityRecipe;
using execd::Diagnostic;
using execd::QosRecipe;
using execd_test::file;
using execd_test::texts;
using nexus_abi::QosClass;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

QosRecipe qos_of(const std::string& keys) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_qos(file("q", "schema = 1\n[service.x]\n" + keys), errors);
    EXPECT_THAT(texts(errors), IsEmpty());
    return recipe.services.at(0).recipe;
}

AffinityRecipe affinity_of(const std::string& keys) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_affinity(file("a", "schema = 1\n[service.x]\n" + keys), errors);
    EXPECT_THAT(texts(errors), IsEmpty());
    return recipe.services.at(0).recipe;
}

// Keys stand from line 3 on.
std::vector<std::string> qos_findings(const std::string& keys) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_qos(file("q", "schema = 1\n[service.x]\n" + keys), errors);
    return texts(errors);
}

std::vector<std::string> affinity_findings(const std::string& keys) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_affinity(file("a", "schema = 1\n[service.x]\n" + keys), errors);
    return texts(errors);
}

TEST(SystemdKeys, CpuWeightIsShares) {
    EXPECT_EQ(qos_of("CPUWeight = 100").shares, 100U);
    EXPECT_EQ(qos_of("CPUWeight = 1").shares, 1U);
    EXPECT_EQ(qos_of("CPUWeight = 1000").shares, 1000U);
    EXPECT_THAT(
        qos_findings("CPUWeight = 1001"),
        ElementsAre("q:3:13: CPUWeight = 1001 is more than shares can say: they end at 1000; a higher "
                    "class may be what you want"));
    EXPECT_THAT(qos_findings("CPUWeight = 0"), ElementsAre("q:3:13: CPUWeight = 0 is out of range 1..10000"));
}

TEST(SystemdKeys, CpuWeightIdleIsTheIdleClass) {
    const QosRecipe recipe = qos_of("CPUWeight = \"idle\"");
    EXPECT_EQ(recipe.qos_class, QosClass::Idle);
    EXPECT_EQ(recipe.shares, std::nullopt);
    EXPECT_THAT(qos_findings("class = \"normal\"\nCPUWeight = \"idle\""),
                ElementsAre("q:4:1: 'CPUWeight' and 'class' (line 3) say the same thing: give one of them"));
    // Beside shares it is no contradiction: one is a class, the other a part of it.
    EXPECT_EQ(qos_of("shares = 50\nCPUWeight = \"idle\"").shares, 50U);
}

TEST(SystemdKeys, NiceIsSharesByLinuxWeights) {
    EXPECT_EQ(qos_of("Nice = 0").shares, 100U);
    EXPECT_EQ(qos_of("Nice = 5").shares, 33U);    // 335 / 1024
    EXPECT_EQ(qos_of("Nice = 19").shares, 1U);    // 15 / 1024
    EXPECT_EQ(qos_of("Nice = -5").shares, 305U);  // 3121 / 1024
    EXPECT_EQ(qos_of("Nice = -10").shares, 932U);
    EXPECT_THAT(qos_findings("Nice = -11"),
                ElementsAre("q:3:8: Nice = -11 is more than 1000 shares can say: the least is -10; a higher "
                            "class may be what you want"));
    EXPECT_THAT(qos_findings("Nice = 20"), ElementsAre("q:3:8: Nice = 20 is out of range -20..19"));
}

TEST(SystemdKeys, CpuQuotaIsABudgetOfTheWholeService) {
    const QosRecipe recipe = qos_of("CPUQuota = \"20%\"");
    EXPECT_EQ(recipe.budget, (execd::Budget{.runtime = 20ms, .period = 100ms}));
    EXPECT_EQ(recipe.inherit_budget, true);
    EXPECT_EQ(qos_of("CPUQuota = \"20%\"\ninherit_budget = false").inherit_budget, false);
    EXPECT_EQ(qos_of("CPUQuota = \"50%\"\nCPUQuotaPeriodSec = \"10ms\"").budget,
              (execd::Budget{.runtime = 5ms, .period = 10ms}));
    EXPECT_EQ(qos_of("CPUQuota = \"100%\"").budget, (execd::Budget{.runtime = 100ms, .period = 100ms}));
}

TEST(SystemdKeys, CpuQuotaThatIsNoBudget) {
    EXPECT_THAT(qos_findings("CPUQuota = \"150%\""),
                ElementsAre("q:3:12: CPUQuota = \"150%\": a budget is at most one whole cpu (100%)"));
    for (const char* quota : {"20", "0%", "%", "1.5%", "-5%", "1000001%"}) {
        EXPECT_THAT(qos_findings("CPUQuota = \"" + std::string{quota} + "\""),
                    ElementsAre("q:3:12: \"" + std::string{quota} +
                                "\" is no quota: write it in whole percent, like \"20%\""));
    }
    EXPECT_THAT(qos_findings("CPUQuotaPeriodSec = \"10ms\""),
                ElementsAre("q:3:1: 'CPUQuotaPeriodSec' without 'CPUQuota'"));
    EXPECT_THAT(
        qos_findings("CPUQuota = \"1%\"\nCPUQuotaPeriodSec = \"1ms\""),
        ElementsAre("q:3:12: 'CPUQuota' is out of range (10us in each 1ms): 100us <= budget <= period "
                    "<= 1000ms"));
    EXPECT_THAT(qos_findings("CPUQuota = \"50%\"\nCPUQuotaPeriodSec = \"often\""),
                ElementsAre("q:4:21: \"often\" is no duration: write it like \"500us\", \"5ms\" or \"1s\""));
}

TEST(SystemdKeys, CpuSchedulingPolicyIsAClass) {
    EXPECT_EQ(qos_of("CPUSchedulingPolicy = \"other\"").qos_class, QosClass::Normal);
    EXPECT_EQ(qos_of("CPUSchedulingPolicy = \"batch\"").qos_class, QosClass::Normal);
    EXPECT_EQ(qos_of("CPUSchedulingPolicy = \"idle\"").qos_class, QosClass::Idle);
    EXPECT_THAT(qos_findings("CPUSchedulingPolicy = \"fifo\""),
                ElementsAre("q:3:23: unknown CPUSchedulingPolicy 'fifo': expected other, batch or idle"));
}

TEST(SystemdKeys, ResetOnForkIsResetOnSpawn) {
    EXPECT_EQ(qos_of("CPUSchedulingResetOnFork = true").reset_on_spawn, true);
    EXPECT_THAT(qos_findings("CPUSchedulingResetOnFork = 1"),
                ElementsAre("q:3:28: 'CPUSchedulingResetOnFork' must be true or false, not an integer"));
}

TEST(SystemdKeys, TimerSlackIsOnlyNoted) {
    EXPECT_THAT(qos_findings("TimerSlackNSec = \"50us\"\nshares = 7"),
                ElementsAre("q:3:1: warning: 'TimerSlackNSec' has no effect: timer slack follows the class"));
    std::vector<Diagnostic> findings;
    const auto recipe =
        execd::read_qos(file("q", "schema = 1\n[service.x]\nTimerSlackNSec = 1\nshares = 7\n"), findings);
    EXPECT_FALSE(recipe.services.at(0).faulty);
    EXPECT_EQ(recipe.services.at(0).recipe.shares, 7U);
}

TEST(SystemdKeys, CpuAffinityIsTheMaskAndAllowedCpusTheLimit) {
    EXPECT_EQ(affinity_of("CPUAffinity = \"0-2 4\"").cpus, 0x17U);
    EXPECT_EQ(affinity_of("CPUAffinity = [0, 3]").cpus, 0x9U);
    EXPECT_EQ(affinity_of("AllowedCPUs = \"0-1, 3\"").limit_cpus, 0xbU);
    EXPECT_THAT(affinity_findings("CPUAffinity = \"numa\""),
                ElementsAre("a:3:15: \"numa\" is no list of cpus: write it like \"0-2,4\", each 0..63"));
    EXPECT_THAT(affinity_findings("AllowedCPUs = []"), ElementsAre("a:3:15: 'AllowedCPUs' names no cpu"));
}

TEST(SystemdKeys, ConflictWithTheNativeKeyNamesBothLines) {
    EXPECT_THAT(qos_findings("shares = 3\nlatency = \"1ms\"\nCPUWeight = 3"),
                ElementsAre("q:5:1: 'CPUWeight' and 'shares' (line 3) say the same thing: give one of them"));
    EXPECT_THAT(qos_findings("Nice = 3\nCPUWeight = 3"),
                ElementsAre("q:4:1: 'CPUWeight' and 'Nice' (line 3) say the same thing: give one of them"));
    EXPECT_THAT(
        qos_findings("CPUSchedulingPolicy = \"idle\"\nclass = \"idle\""),
        ElementsAre(
            "q:4:1: 'class' and 'CPUSchedulingPolicy' (line 3) say the same thing: give one of them"));
    EXPECT_THAT(qos_findings("budget = \"1ms/10ms\"\nCPUQuota = \"10%\""),
                ElementsAre("q:4:1: 'CPUQuota' and 'budget' (line 3) say the same thing: give one of them"));
    EXPECT_THAT(
        qos_findings("reset_on_spawn = true\nCPUSchedulingResetOnFork = true"),
        ElementsAre(
            "q:4:1: 'CPUSchedulingResetOnFork' and 'reset_on_spawn' (line 3) say the same thing: give "
            "one of them"));
    EXPECT_THAT(affinity_findings("mask = 1\nCPUAffinity = [0]"),
                ElementsAre("a:4:1: 'CPUAffinity' and 'mask' (line 3) say the same thing: give one of them"));
    EXPECT_THAT(
        affinity_findings("AllowedCPUs = [0]\nlimit_cpus = [0]"),
        ElementsAre("a:4:1: 'limit_cpus' and 'AllowedCPUs' (line 3) say the same thing: give one of them"));
}

TEST(SystemdKeys, OthersAreUnknownLikeAnyKey) {
    EXPECT_THAT(qos_findings("CPUWieght = 3"),
                ElementsAre("q:3:1: unknown key 'CPUWieght' (did you mean 'CPUWeight'?)"));
    EXPECT_THAT(qos_findings("RuntimeMaxSec = \"1s\""), ElementsAre("q:3:1: unknown key 'RuntimeMaxSec'"));
    EXPECT_THAT(qos_findings("CPUSchedulingPriority = 3"),
                ElementsAre("q:3:1: unknown key 'CPUSchedulingPriority'"));
}

}  // namespace
