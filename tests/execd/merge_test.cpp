// SPDX-License-Identifier: MIT
// Who wins when several tables speak about one service: roles, boards, lists of preferred CPUs, ceilings.
#include "merge.hpp"

#include <gmock/gmock.h>

#include "plan.hpp"
#include "recipe_texts.hpp"

namespace {

using namespace std::chrono_literals;
using execd::Hints;
using execd::make_plan;
using execd::Plan;
using execd_test::kEmptyRecipe;
using execd_test::kThreeServices;
using execd_test::texts;
using nexus_abi::AffinityPolicy;
using nexus_abi::QosClass;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The recipes of one test; lines of the services file begin with those of kThreeServices, which has ten.
struct Recipes {
    std::string services{kThreeServices};
    std::string affinity{"schema = 1\n"};
    std::string qos{"schema = 1\n"};
    std::optional<std::string> board_affinity{};
    std::optional<std::string> board_qos{};
    std::optional<std::uint64_t> online{0xf};
};

Plan plan_of(const Recipes& recipes) {
    execd::RecipeSources sources = execd_test::sources(recipes.services, recipes.affinity, recipes.qos);
    sources.board = "acme,board";
    sources.board_affinity = execd_test::file("r/boards/acme,board/affinity.toml", recipes.board_affinity);
    sources.board_qos = execd_test::file("r/boards/acme,board/qos.toml", recipes.board_qos);
    return make_plan(sources, {.cpus_online = recipes.online, .only = std::nullopt});
}

const char* const kServiceWithRole =
    "schema = 1\n[[service]]\nname = \"a\"\nprogram = \"/bin/a\"\nrole = \"audio\"\n";

TEST(Role, FillsWhatTheServiceLeavesOutBeforeDefaults) {
    const Plan plan =
        plan_of({.affinity = "schema = 1\n[defaults]\ncpus = \"0-1\"\n[role.audio]\ncpus = \"2-3\"\n"
                             "[service.a]\nrole = \"audio\"\n",
                 .qos = "schema = 1\n[defaults]\nshares = 50\nlatency = \"1ms\"\nburst = \"1ms\"\n"
                        "[role.audio]\nshares = 300\nlatency = \"5ms\"\nclass = \"interactive\"\n"
                        "[service.a]\nrole = \"audio\"\nshares = 400\n"});
    ASSERT_THAT(texts(plan.errors), IsEmpty());
    const Hints& a = plan.services[0].hints;
    EXPECT_EQ(a.cpus, 0xcU);
    EXPECT_EQ(a.shares, 400U);
    EXPECT_EQ(a.latency, 5ms);
    EXPECT_EQ(a.burst, 1ms);
    EXPECT_EQ(a.qos_class, QosClass::Interactive);
    const Hints& b = plan.services[1].hints;
    EXPECT_EQ(b.cpus, 0x3U);
    EXPECT_EQ(b.shares, 50U);
    EXPECT_EQ(plan.services[0].origins.shares.table, "service.a");
    EXPECT_EQ(plan.services[0].origins.latency.table, "role.audio");
    EXPECT_EQ(plan.services[0].origins.latency.at.line, 8U);
    EXPECT_EQ(plan.services[0].origins.burst.table, "defaults");
    EXPECT_EQ(plan.services[1].origins.qos_class.file, "");
}

TEST(Role, OfServicesTomlHoldsInBothFiles) {
    const Plan plan = plan_of({.services = kServiceWithRole,
                               .affinity = "schema = 1\n[role.audio]\ncpus = [1]\n",
                               .qos = "schema = 1\n[role.audio]\nshares = 300\n"});
    ASSERT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_EQ(plan.services[0].hints.cpus, 0x2U);
    EXPECT_EQ(plan.services[0].hints.shares, 300U);
}

TEST(Role, OfTheServicesTableReplacesTheOneOfServicesToml) {
    const Plan plan = plan_of({.services = kServiceWithRole,
                               .qos = "schema = 1\n[role.audio]\nshares = 300\nburst = \"1ms\"\n"
                                      "[role.quiet]\nshares = 3\n[service.a]\nrole = \"quiet\"\n"});
    ASSERT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_EQ(plan.services[0].hints.shares, 3U);
    EXPECT_EQ(plan.services[0].hints.burst, 0ms);
}

TEST(Role, OneFileMayLackIt) {
    const Plan plan =
        plan_of({.services = kServiceWithRole, .qos = "schema = 1\n[role.audio]\nshares = 300\n"});
    EXPECT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_EQ(plan.services[0].hints.shares, 300U);
}

TEST(Role, UnknownInServicesTomlIsDropped) {
    const Plan plan =
        plan_of({.services = kServiceWithRole, .qos = "schema = 1\n[role.audi]\nshares = 300\n"});
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/services.toml:5:8: unknown role 'audio' (did you mean 'audi'?)"));
    EXPECT_TRUE(plan.services[0].faulty);
    EXPECT_EQ(plan.services[0].hints.shares, 100U);
}

TEST(Role, UnknownInATableCostsTheTable) {
    const Plan plan = plan_of(
        {.qos = "schema = 1\n[role.audio]\nlatency = \"5ms\"\n[service.a]\nrole = \"adio\"\nshares = 7\n"});
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/sched/qos.toml:5:8: unknown role 'adio' (did you mean 'audio'?)"));
    EXPECT_TRUE(plan.services[0].faulty);
    EXPECT_EQ(plan.services[0].hints.shares, 100U);
}

TEST(Role, FaultyRoleCostsThoseWhoHaveItItsKeysOnly) {
    const Plan plan = plan_of({.qos = "schema = 1\n[role.audio]\nlatency = \"5ms\"\nfoo = 1\n"
                                      "[service.a]\nrole = \"audio\"\nshares = 7\n"});
    EXPECT_THAT(texts(plan.errors), ElementsAre("r/sched/qos.toml:4:1: unknown key 'foo'"));
    EXPECT_TRUE(plan.services[0].faulty);
    EXPECT_EQ(plan.services[0].hints.shares, 7U);
    EXPECT_EQ(plan.services[0].hints.latency, 0ms);
    EXPECT_FALSE(plan.services[1].faulty);
}

TEST(Role, HasNoRoleItself) {
    const Plan plan = plan_of({.qos = "schema = 1\n[role.x]\n[role.y]\nrole = \"x\"\n"});
    EXPECT_THAT(texts(plan.errors), ElementsAre("r/sched/qos.toml:4:1: unknown key 'role'"));
}

TEST(Role, WithoutAnOnlineCpuIsAnErrorOnlyWhereItIsUsed) {
    const std::string roles = "schema = 1\n[role.far]\ncpus = [3]\n";
    EXPECT_THAT(plan_of({.affinity = roles, .online = 0x1}).errors, IsEmpty());
    const Plan plan = plan_of({.affinity = roles + "[service.b]\nrole = \"far\"\n", .online = 0x1});
    EXPECT_THAT(texts(plan.errors), ElementsAre("r/sched/affinity.toml:3:8: none of the cpus of role=far is "
                                                "online (mask=0x8 online=0x1)"));
    EXPECT_TRUE(plan.services[1].faulty);
    EXPECT_EQ(plan.services[1].hints.cpus, std::nullopt);
}

TEST(Prefer, ListStandsBesideTheHardMask) {
    const Plan plan = plan_of({.affinity = "schema = 1\n[defaults]\npolicy = \"pin\"\n"
                                           "[service.a]\ncpus = \"0-2\"\nprefer = \"2-3\"\n"});
    ASSERT_THAT(texts(plan.errors), IsEmpty());
    const Hints& a = plan.services[0].hints;
    EXPECT_EQ(a.policy, AffinityPolicy::Prefer);
    EXPECT_EQ(a.cpus, 0x7U);
    EXPECT_EQ(a.prefer, 0xcU);
    EXPECT_EQ(execd::usable_cpus(a, 0xf), 0x7U);
    EXPECT_EQ(execd::shown_cpus(a, 0xf), 0x4U);
    EXPECT_EQ(plan.services[1].hints.policy, AffinityPolicy::Pin);
}

TEST(Prefer, OwnPolicyPinDropsTheListOfTheRole) {
    const Plan plan = plan_of({.affinity = "schema = 1\n[role.r]\nprefer = [1]\n"
                                           "[service.a]\nrole = \"r\"\npolicy = \"pin\"\n"});
    ASSERT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_EQ(plan.services[0].hints.policy, AffinityPolicy::Pin);
    EXPECT_EQ(plan.services[0].hints.prefer, std::nullopt);
}

TEST(Prefer, WithAnotherPolicyIsAContradiction) {
    EXPECT_THAT(
        texts(plan_of({.affinity = "schema = 1\n[service.a]\npolicy = \"perf\"\nprefer = [1]\n"}).errors),
        ElementsAre("r/sched/affinity.toml:4:1: 'prefer' and policy = \"perf\" (lines 4 and 3) contradict "
                    "each other"));
}

TEST(Prefer, OutsideTheMaskIsAnError) {
    const Plan plan =
        plan_of({.affinity = "schema = 1\n[service.a]\ncpus = [0, 1]\nprefer = [2]\n", .online = 0xf});
    EXPECT_THAT(texts(plan.errors), ElementsAre("r/sched/affinity.toml:4:10: none of the cpus that svc=a "
                                                "prefers is among those it may use (prefer=0x4 mask=0x3)"));
    EXPECT_TRUE(plan.services[0].faulty);
    EXPECT_EQ(plan.services[0].hints.cpus, std::nullopt);
}

TEST(Prefer, ThatVanishesIsAWarning) {
    const Plan plan =
        plan_of({.affinity = "schema = 1\n[service.a]\ncpus = \"0-3\"\nprefer = [3]\n", .online = 0x3});
    EXPECT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_THAT(
        texts(plan.warnings),
        ElementsAre("r/sched/affinity.toml:4:10: warning: none of the cpus that svc=a prefers is online "
                    "(prefer=0x8): it runs as with policy = \"pin\""));
    EXPECT_FALSE(plan.services[0].faulty);
    EXPECT_EQ(plan.services[0].hints.policy, AffinityPolicy::Pin);
    EXPECT_EQ(plan.services[0].hints.cpus, 0xfU);
}

TEST(Limit, OutsideTheMaskIsAnErrorThatNamesBothPlaces) {
    const Plan plan = plan_of({.affinity = "schema = 1\n[defaults]\nlimit_cpus = [0]\n"
                                           "[service.a]\ncpus = [1]\n"});
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/sched/affinity.toml:5:8: none of the cpus of svc=a is within limit_cpus of "
                            "r/sched/affinity.toml:3 (mask=0x2 limit=0x1)"));
}

TEST(Limit, WithoutAnOnlineCpuIsAnError) {
    const Plan plan = plan_of({.affinity = "schema = 1\n[service.a]\nlimit_cpus = [2]\n", .online = 0x3});
    EXPECT_THAT(texts(plan.errors), ElementsAre("r/sched/affinity.toml:3:14: none of the limit_cpus of svc=a "
                                                "is online (mask=0x4 online=0x3)"));
}

TEST(Limit, EveryCeilingIsRead) {
    const Plan plan = plan_of(
        {.affinity = "schema = 1\n[service.a]\nlimit_cpus = \"0-1\"\n",
         .qos =
             "schema = 1\n[service.a]\nmax_class = \"interactive\"\nmax_shares = 500\ngroup_shares = 200\n"});
    ASSERT_THAT(texts(plan.errors), IsEmpty());
    const Hints& a = plan.services[0].hints;
    ASSERT_TRUE(execd::has_limits(a));
    const nexus_abi::sched_attr limits = execd::to_limits(a);
    EXPECT_EQ(limits.fields, nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldAffinity |
                                 nexus_abi::kFieldGroup);
    EXPECT_EQ(limits.qos_class, 2U);
    EXPECT_EQ(limits.shares, 500U);
    EXPECT_EQ(limits.affinity, 0x3U);
    EXPECT_EQ(limits.group, 200U);
    EXPECT_EQ(execd::limits_marker("a", limits),
              "execd: limits set (svc=a class=interactive shares=500 mask=0x3 group=200)");
    EXPECT_FALSE(execd::has_limits(plan.services[1].hints));
}

TEST(Limit, BelowTheServicesOwnValuesWarnsAndHolds) {
    const Plan plan = plan_of({.qos = "schema = 1\n[defaults]\nmax_class = \"normal\"\nmax_shares = 100\n"
                                      "[service.a]\nclass = \"interactive\"\nshares = 300\n"});
    EXPECT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_THAT(
        texts(plan.warnings),
        ElementsAre("r/sched/qos.toml:6:9: warning: class = \"interactive\" of svc=a is above max_class "
                    "of r/sched/qos.toml:3, which holds",
                    "r/sched/qos.toml:7:10: warning: shares = 300 of svc=a is above max_shares of "
                    "r/sched/qos.toml:4, which holds"));
    const nexus_abi::sched_attr attr = execd::to_attr(plan.services[0].hints);
    EXPECT_EQ(attr.qos_class, 1U);
    EXPECT_EQ(attr.shares, 100U);
}

TEST(Budget, HasTwoWaysToBeWritten) {
    for (const char* keys : {"budget = \"20ms/100ms\"\n", "budget = \"20ms\"\nperiod = \"100ms\"\n"}) {
        const Plan plan = plan_of({.qos = "schema = 1\n[service.a]\n" + std::string{keys}});
        ASSERT_THAT(texts(plan.errors), IsEmpty());
        EXPECT_EQ(plan.services[0].hints.budget, (execd::Budget{.runtime = 20ms, .period = 100ms}));
    }
}

TEST(Budget, NoneUndoesTheDefault) {
    const Plan plan =
        plan_of({.qos = "schema = 1\n[defaults]\nbudget = \"1ms/10ms\"\n[service.a]\nbudget = \"none\"\n"});
    ASSERT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_EQ(plan.services[0].hints.budget, execd::Budget{});
    EXPECT_EQ(plan.services[1].hints.budget, (execd::Budget{.runtime = 1ms, .period = 10ms}));
}

TEST(Budget, EachErrorHasItsWords) {
    const auto errors = [](const std::string& keys) {
        return texts(plan_of({.qos = "schema = 1\n[service.a]\n" + keys}).errors);
    };
    EXPECT_THAT(errors("budget = \"20ms\"\n"),
                ElementsAre("r/sched/qos.toml:3:10: budget = \"20ms\" has no period: write it like "
                            "\"20ms/100ms\""));
    EXPECT_THAT(errors("period = \"20ms\"\n"),
                ElementsAre("r/sched/qos.toml:3:1: 'period' without 'budget'"));
    EXPECT_THAT(errors("budget = \"20ms/100ms\"\nperiod = \"1s\"\n"),
                ElementsAre("r/sched/qos.toml:4:1: 'period' says again what budget = \"20ms/100ms\" (line 3) "
                            "says: leave it out"));
    EXPECT_THAT(errors("budget = \"50us/1ms\"\n"),
                ElementsAre("r/sched/qos.toml:3:10: 'budget' is out of range (50us in each 1ms): 100us <= "
                            "budget <= period <= 1000ms"));
    EXPECT_THAT(errors("budget = \"2ms/1ms\"\n"),
                ElementsAre("r/sched/qos.toml:3:10: 'budget' is out of range (2ms in each 1ms): 100us <= "
                            "budget <= period <= 1000ms"));
    EXPECT_THAT(errors("budget = \"2ms/2s\"\n"),
                ElementsAre("r/sched/qos.toml:3:10: 'budget' is out of range (2ms in each 2000ms): 100us <= "
                            "budget <= period <= 1000ms"));
    EXPECT_THAT(errors("budget = \"2ms/\"\n"),
                ElementsAre("r/sched/qos.toml:3:10: \"\" is no duration: write it like \"500us\", \"5ms\" or "
                            "\"1s\""));
    EXPECT_THAT(errors("budget = 20\n"),
                ElementsAre("r/sched/qos.toml:3:10: 'budget' must be \"none\" or a pair of durations like "
                            "\"20ms/100ms\", not an integer"));
    EXPECT_THAT(errors("group_shares = 1001\nmax_shares = 0\n"),
                ElementsAre("r/sched/qos.toml:3:16: group_shares = 1001 is out of range 0..1000",
                            "r/sched/qos.toml:4:14: max_shares = 0 is out of range 1..1000"));
}

TEST(Flags, GoToTheKernel) {
    const Plan plan = plan_of({.qos = "schema = 1\n[service.a]\nreset_on_spawn = true\n"
                                      "budget = \"1ms/10ms\"\ninherit_budget = true\n"
                                      "[service.b]\ninherit_budget = true\n"});
    const nexus_abi::sched_attr attr = execd::to_attr(plan.services[0].hints);
    EXPECT_EQ(attr.flags, nexus_abi::kAttrResetOnSpawn | nexus_abi::kAttrInheritBudget);
    EXPECT_NE(attr.fields & nexus_abi::kFieldFlags, 0U);
    EXPECT_EQ(attr.budget_ns, 1'000'000U);
    EXPECT_EQ(attr.period_ns, 10'000'000U);
    EXPECT_THAT(
        texts(plan.warnings),
        ElementsAre("r/sched/qos.toml:7:18: warning: 'inherit_budget' of svc=b has no effect without a "
                    "budget"));
}

TEST(Change, NamesEveryFieldSoThatWhatIsGoneIsUndone) {
    const nexus_abi::sched_attr change = execd::to_change(Hints{});
    EXPECT_EQ(change.fields, nexus_abi::kFieldsAll & ~nexus_abi::kFieldGroup);
    EXPECT_EQ(change.affinity, ~std::uint64_t{0});
    EXPECT_EQ(change.affinity_prefer, 0U);
    EXPECT_EQ(change.budget_ns, 0U);
    EXPECT_EQ(change.flags, 0U);
}

TEST(Board, ReplacesSingleKeys) {
    const Plan plan =
        plan_of({.affinity = "schema = 1\n[role.r]\ncpus = [0]\n[service.a]\ncpus = [7]\npolicy = \"pin\"\n",
                 .qos = "schema = 1\n[defaults]\nshares = 50\n[service.a]\nshares = 300\nlatency = \"5ms\"\n",
                 .board_affinity = "schema = 1\n[role.r]\ncpus = [1]\n[service.a]\ncpus = [2]\n"
                                   "[service.b]\nrole = \"r\"\n",
                 .board_qos = "schema = 1\n[defaults]\nshares = 60\n[service.a]\nlatency = \"2ms\"\n"});
    ASSERT_THAT(texts(plan.errors), IsEmpty());  // cpu 7 is not online, and not asked for on this board
    const Hints& a = plan.services[0].hints;
    EXPECT_EQ(a.cpus, 0x4U);
    EXPECT_EQ(a.shares, 300U);
    EXPECT_EQ(a.latency, 2ms);
    EXPECT_EQ(plan.services[0].origins.latency.file, "r/boards/acme,board/qos.toml");
    EXPECT_EQ(plan.services[1].hints.cpus, 0x2U);
    EXPECT_EQ(plan.services[1].hints.shares, 60U);
}

TEST(Board, ErrorsNameItsFile) {
    const Plan plan = plan_of({.affinity = "schema = 1\n[service.a]\ncpus = [0]\n",
                               .board_affinity = "schema = 1\n[service.a]\ncpus = [9]\n[service.zz]\n",
                               .board_qos = "schema = 1\n[service.a]\nrole = \"none\"\n"});
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/boards/acme,board/affinity.toml:4:10: unknown service 'zz'",
                            "r/boards/acme,board/affinity.toml:3:8: none of the cpus of svc=a is online "
                            "(mask=0x200 online=0xf)",
                            "r/boards/acme,board/qos.toml:3:8: unknown role 'none'"));
    EXPECT_TRUE(plan.services[0].faulty);
}

TEST(Board, FaultyTableCostsTheJointTable) {
    const Plan plan = plan_of({.qos = "schema = 1\n[service.a]\nshares = 300\n[service.b]\nshares = 200\n",
                               .board_qos = "schema = 1\n[service.a]\nlatency = 5\n"});
    EXPECT_EQ(plan.errors.size(), 1U);
    EXPECT_TRUE(plan.services[0].faulty);
    EXPECT_EQ(plan.services[0].hints.shares, 100U);
    EXPECT_EQ(plan.services[1].hints.shares, 200U);
}

TEST(Board, FaultyDefaultsCostTheJointDefaults) {
    const char* const qos = "schema = 1\n[defaults]\nshares = 300\n[service.b]\nshares = 200\n";
    for (const Recipes& recipes :
         {Recipes{.qos = qos, .board_qos = "schema = 1\n[defaults]\nlatency = 5\n"},
          Recipes{.qos = "schema = 1\n[defaults]\nlatency = 5\n[service.b]\nshares = 200\n",
                  .board_qos = "schema = 1\n[defaults]\nshares = 300\n"}}) {
        const Plan plan = plan_of(recipes);
        EXPECT_EQ(plan.errors.size(), 1U);
        EXPECT_EQ(plan.services[0].hints.shares, 100U) << "half of what was meant is not taken";
        EXPECT_EQ(plan.services[1].hints.shares, 200U);
    }
}

TEST(Board, FileThatIsNoTomlIsIgnored) {
    const Plan plan =
        plan_of({.qos = "schema = 1\n[service.a]\nshares = 300\n", .board_qos = "schema = 7\n"});
    EXPECT_EQ(plan.errors.size(), 1U);
    EXPECT_THAT(plan.notes,
                ElementsAre("r/boards/acme,board/qos.toml ignored (recipe error above): as on any "
                            "board"));
    EXPECT_EQ(plan.services[0].hints.shares, 300U);
}

TEST(ReloadFrom, IsAnAbsolutePath) {
    EXPECT_EQ(plan_of({.services = "schema = 1\nreload_from = \"/b\"\n"}).reload_from, "/b");
    EXPECT_EQ(plan_of({}).reload_from, std::nullopt);
    EXPECT_THAT(texts(plan_of({.services = "schema = 1\nreload_from = \"b\"\n"}).errors),
                ElementsAre("r/services.toml:2:15: 'reload_from' must be an absolute path, not 'b'"));
}

}  // namespace
