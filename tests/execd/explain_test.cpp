// SPDX-License-Identifier: MIT
// What --check says about a plan: expected shares against hand-made arithmetic, origins, budgets, JSON.
#include "explain.hpp"

#include <gmock/gmock.h>

#include "recipe_texts.hpp"

namespace {

using execd::expected_shares;
using execd::make_plan;
using execd::Plan;
using execd_test::kEmptyRecipe;
using execd_test::kThreeServices;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Plan plan_of(const std::string& affinity, const std::string& qos, std::uint64_t online) {
    Plan plan =
        make_plan(execd_test::sources(kThreeServices, "schema = 1\n" + affinity, "schema = 1\n" + qos),
                  {.cpus_online = online, .only = std::nullopt});
    EXPECT_THAT(execd_test::texts(plan.errors), IsEmpty());
    return plan;
}

// The shares are computed to 1e-9; budgets to 1e-4.
constexpr double kExact = 1e-6;
constexpr double kBudgetPrecision = 2e-4;

TEST(ExpectedShares, FollowSharesWithinAClass) {
    const Plan plan = plan_of("", "[service.a]\nshares = 300\n[service.b]\nshares = 200\n", 0x1);
    EXPECT_THAT(expected_shares(plan, 0x1), ElementsAre(DoubleNear(0.5, kExact), DoubleNear(1.0 / 3, kExact),
                                                        DoubleNear(1.0 / 6, kExact)));
}

TEST(ExpectedShares, FollowTheWeightsOfTheClasses) {
    const Plan plan =
        plan_of("", "[service.a]\nclass = \"interactive\"\n[service.c]\nclass = \"idle\"\n", 0x1);
    EXPECT_THAT(expected_shares(plan, 0x1),
                ElementsAre(DoubleNear(64.0 / 81, kExact), DoubleNear(16.0 / 81, kExact),
                            DoubleNear(1.0 / 81, kExact)));
}

TEST(ExpectedShares, NobodyGetsMoreThanOneCpu) {
    const Plan plan =
        plan_of("", "[service.a]\nshares = 1000\n[service.b]\nshares = 1\n[service.c]\nshares = 1\n", 0x3);
    EXPECT_THAT(expected_shares(plan, 0x3),
                ElementsAre(DoubleNear(1, kExact), DoubleNear(0.5, kExact), DoubleNear(0.5, kExact)));
}

TEST(ExpectedShares, RespectMasksAndGapsAmongTheCpus) {
    const Plan plan = plan_of("[service.a]\ncpus = [1]\n[service.b]\ncpus = [1]\n", "", 0xa);
    EXPECT_THAT(expected_shares(plan, 0xa),
                ElementsAre(DoubleNear(0.5, kExact), DoubleNear(0.5, kExact), DoubleNear(1, kExact)));
}

TEST(ExpectedShares, BudgetCapsAndTheRestGoesToTheOthers) {
    const Plan plan = plan_of("", "[service.a]\nbudget = \"10ms/100ms\"\n", 0x1);
    EXPECT_THAT(expected_shares(plan, 0x1),
                ElementsAre(DoubleNear(0.1, kBudgetPrecision), DoubleNear(0.45, kBudgetPrecision),
                            DoubleNear(0.45, kBudgetPrecision)));
}

TEST(ExpectedShares, CeilingsLower) {
    const Plan plan =
        plan_of("", "[service.a]\nshares = 300\nmax_shares = 100\n[service.b]\ngroup_shares = 50\n", 0x1);
    EXPECT_THAT(expected_shares(plan, 0x1),
                ElementsAre(DoubleNear(0.4, kExact), DoubleNear(0.2, kExact), DoubleNear(0.4, kExact)));
}

TEST(BudgetWarnings, NameTheServicesOfAFullSet) {
    const Plan plan =
        plan_of("[service.a]\ncpus = [0]\n[service.b]\ncpus = [0]\n",
                "[service.a]\nbudget = \"50ms/100ms\"\n[service.b]\nbudget = \"41ms/100ms\"\n", 0x3);
    EXPECT_THAT(
        execd::budget_warnings(plan, 0x3),
        ElementsAre("the budgets of a, b sum up to 91 % of a cpu, on cpus 0, where 90 % is the most to "
                    "plan with"));
}

TEST(BudgetWarnings, KeepQuietBelow) {
    const Plan plan = plan_of("[service.a]\ncpus = [0]\n[service.b]\ncpus = [1]\n",
                              "[defaults]\nbudget = \"50ms/100ms\"\n", 0x3);
    EXPECT_THAT(execd::budget_warnings(plan, 0x3), IsEmpty());
}

TEST(Details, ShowEachValueWithItsOrigin) {
    const Plan plan = plan_of("[service.a]\ncpus = \"0-7\"\nlimit_cpus = \"0-1\"\n",
                              "[defaults]\nshares = 50\n[role.r]\nlatency = \"2ms\"\n"
                              "[service.a]\nrole = \"r\"\nbudget = \"1ms/10ms\"\ninherit_budget = true\n"
                              "reset_on_spawn = true\nmax_class = \"interactive\"\nmax_shares = 400\n"
                              "group_shares = 70\n",
                              0xf);
    const std::string details = execd::plan_details(plan, 0xf);
    EXPECT_THAT(details, HasSubstr("\nsvc=a\n"
                                   "  cpus            0x3          r/sched/affinity.toml:3 [service.a]\n"
                                   "  policy          pin          built in\n"
                                   "  class           normal       built in\n"
                                   "  shares          50           r/sched/qos.toml:3 [defaults]\n"
                                   "  latency         2ms          r/sched/qos.toml:5 [role.r]\n"
                                   "  burst           0ms          built in\n"
                                   "  budget          1ms/10ms     r/sched/qos.toml:8 [service.a]\n"
                                   "  inherit_budget  true         r/sched/qos.toml:9 [service.a]\n"
                                   "  reset_on_spawn  true         r/sched/qos.toml:10 [service.a]\n"
                                   "  max_class       interactive  r/sched/qos.toml:11 [service.a]\n"
                                   "  max_shares      400          r/sched/qos.toml:12 [service.a]\n"
                                   "  limit_cpus      0x3          r/sched/affinity.toml:4 [service.a]\n"
                                   "  group_shares    70           r/sched/qos.toml:13 [service.a]\n"));
}

TEST(Details, ShowWhatACeilingLeaves) {
    const Plan plan = plan_of("",
                              "[service.a]\nclass = \"interactive\"\nmax_class = \"normal\"\nshares = 300\n"
                              "max_shares = 200\n",
                              0x1);
    EXPECT_THAT(execd::plan_details(plan, 0x1),
                HasSubstr("  class       normal  r/sched/qos.toml:3 [service.a]\n"
                          "  shares      200     r/sched/qos.toml:5 [service.a]\n"));
    EXPECT_THAT(execd::plan_table(plan, 0x1), HasSubstr("/bin/a   no       0x1   pin     normal  200"));
}

TEST(Table, WithoutKnowledgeOfCpusExpectsNothing) {
    const Plan plan = make_plan(execd_test::sources(kThreeServices, kEmptyRecipe, kEmptyRecipe), {});
    EXPECT_THAT(
        execd::plan_table(plan, std::nullopt),
        HasSubstr("a        /bin/a   no       all   pin     normal  100     0ms      0ms    -         -\n"));
}

TEST(Json, HoldsPlanFindingsAndOrigins) {
    const Plan plan =
        make_plan(execd_test::sources(
                      "schema = 1\n[[service]]\nname = \"a\"\nprogram = \"/bin/a\"\nargs = [\"q\\\"\\n\"]\n"
                      "rights = [\"power\"]\n",
                      "schema = 1\n[service.a]\ncpus = [0]\n", "schema = 1\nfoo = 1\n"),
                  {.cpus_online = 0x1, .only = std::nullopt});
    EXPECT_EQ(
        execd::plan_json(plan, 0x1, "acme,board"),
        "{\"cpus_online\":\"0x1\",\"board\":\"acme,board\","
        "\"errors\":[{\"file\":\"r/sched/qos.toml\",\"line\":2,\"column\":1,\"what\":\"unknown key "
        "'foo'\"}],\"warnings\":[],\"notes\":[],\"services\":[{\"name\":\"a\",\"program\":\"/bin/a\","
        "\"args\":[\"q\\\"\\u000a\"],\"restart\":\"no\",\"after\":[],\"rights\":[\"power\"],\"role\":null,"
        "\"faulty\":false,\"expected_share\":1.0000,\"values\":{"
        "\"cpus\":{\"value\":\"0x1\",\"origin\":{\"file\":\"r/sched/affinity.toml\",\"line\":3,\"column\":8,"
        "\"table\":\"service.a\"}},"
        "\"policy\":{\"value\":\"pin\",\"origin\":null},\"class\":{\"value\":\"normal\",\"origin\":null},"
        "\"shares\":{\"value\":\"100\",\"origin\":null},\"latency\":{\"value\":\"0ms\",\"origin\":null},"
        "\"burst\":{\"value\":\"0ms\",\"origin\":null}}}]}\n");
}

}  // namespace
