// SPDX-License-Identifier: MIT
#include "plan.hpp"

#include <gmock/gmock.h>

#include "recipe_texts.hpp"

namespace {

using namespace std::chrono_literals;
using execd::make_plan;
using execd::Plan;
using execd_test::kEmptyRecipe;
using execd_test::kThreeServices;
using execd_test::sources;
using execd_test::texts;
using nexus_abi::AffinityPolicy;
using nexus_abi::QosClass;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Plan plan_of(const std::string& affinity, const std::string& qos, std::optional<std::uint64_t> online = 0xf) {
    return make_plan(sources(kThreeServices, affinity, qos), {.cpus_online = online, .only = std::nullopt});
}

std::vector<std::string> names_of(const Plan& plan) {
    std::vector<std::string> names;
    for (const auto& planned : plan.services) {
        names.push_back(planned.service.name);
    }
    return names;
}

std::vector<std::string> after_of(const execd::PlannedService& planned) {
    std::vector<std::string> names;
    for (const auto& reference : planned.service.after) {
        names.push_back(reference.name);
    }
    return names;
}

TEST(Plan, OwnValueBeforeDefaultsBeforeBuiltIn) {
    const Plan plan =
        plan_of("schema = 1\n[defaults]\nmask = 0x3\n[service.a]\nmask = 0x4\npolicy = \"prefer\"\n",
                "schema = 1\n[defaults]\nshares = 50\nlatency = \"2ms\"\n"
                "[service.a]\nshares = 300\nclass = \"idle\"\n");
    ASSERT_THAT(texts(plan.errors), IsEmpty());
    ASSERT_THAT(names_of(plan), ElementsAre("a", "b", "c"));
    const execd::Hints& a = plan.services[0].hints;
    EXPECT_EQ(a.cpus, std::nullopt);
    EXPECT_EQ(a.prefer, 0x4U);
    EXPECT_EQ(a.policy, AffinityPolicy::Prefer);
    EXPECT_EQ(a.shares, 300U);
    EXPECT_EQ(a.qos_class, QosClass::Idle);
    EXPECT_EQ(a.latency, 2ms);
    EXPECT_EQ(a.burst, 0ms);
    const execd::Hints& b = plan.services[1].hints;
    EXPECT_EQ(b.cpus, 0x3U);
    EXPECT_EQ(b.policy, AffinityPolicy::Pin);
    EXPECT_EQ(b.shares, 50U);
    EXPECT_EQ(b.qos_class, QosClass::Normal);
}

TEST(Plan, BuiltInDefaultsAreTheAbis) {
    const Plan plan = plan_of(kEmptyRecipe, kEmptyRecipe);
    ASSERT_EQ(plan.services.size(), 3U);
    const execd::Hints& hints = plan.services[0].hints;
    EXPECT_EQ(hints.cpus, std::nullopt);
    EXPECT_EQ(hints.policy, AffinityPolicy::Pin);
    EXPECT_EQ(hints.qos_class, QosClass::Normal);
    EXPECT_EQ(hints.shares, 100U);
    EXPECT_EQ(hints.latency, 0ms);
    EXPECT_EQ(hints.burst, 0ms);
    EXPECT_FALSE(plan.services[0].faulty);
}

TEST(Plan, FaultyTableCostsItsServiceTheDefaultsAndNobodyElseAnything) {
    const Plan plan = plan_of("schema = 1\n[service.a]\nmask = 0x2\n[service.b]\nmask = 0x2\n",
                              "schema = 1\n[defaults]\nshares = 70\n[service.a]\nshares = 300\nfoo = 1\n"
                              "[service.b]\nshares = 200\n");
    EXPECT_THAT(texts(plan.errors), ElementsAre("r/sched/qos.toml:6:1: unknown key 'foo'"));
    EXPECT_TRUE(plan.services[0].faulty);
    EXPECT_EQ(plan.services[0].hints.shares, 70U);
    EXPECT_EQ(plan.services[0].hints.cpus, 0x2U);  // the other file is right, so it holds
    EXPECT_FALSE(plan.services[1].faulty);
    EXPECT_EQ(plan.services[1].hints.shares, 200U);
    EXPECT_FALSE(plan.services[2].faulty);
}

TEST(Plan, MissingFilesAreSaidOnceEachAndMeanDefaults) {
    const Plan plan = make_plan(sources(kThreeServices, std::nullopt, std::nullopt), {});
    EXPECT_THAT(plan.errors, IsEmpty());
    EXPECT_THAT(plan.notes, ElementsAre("r/sched/affinity.toml not found: built-in defaults apply",
                                        "r/sched/qos.toml not found: built-in defaults apply"));
    EXPECT_EQ(plan.services.size(), 3U);
}

TEST(Plan, MissingServicesMeanNoServices) {
    const Plan plan = make_plan(sources(std::nullopt, kEmptyRecipe, kEmptyRecipe), {});
    EXPECT_THAT(plan.notes, ElementsAre("r/services.toml not found: no services to start"));
    EXPECT_THAT(plan.services, IsEmpty());
}

TEST(Plan, FileThatIsNoTomlIsIgnoredAsAWhole) {
    const Plan plan =
        plan_of("schema = 1\n[service.a]\nmask = 0x2\n", "schema = 1\n[service.a]\nshares = 3\nx\n");
    ASSERT_EQ(plan.errors.size(), 1U);
    EXPECT_THAT(plan.notes,
                ElementsAre("r/sched/qos.toml ignored (recipe error above): built-in defaults apply"));
    EXPECT_EQ(plan.services[0].hints.shares, 100U);
    EXPECT_EQ(plan.services[0].hints.cpus, 0x2U);
}

TEST(Plan, FaultyDefaultsAreIgnoredAndSaid) {
    const Plan plan = plan_of(kEmptyRecipe, "schema = 1\n[defaults]\nshares = 0\n[service.a]\nshares = 7\n");
    EXPECT_THAT(texts(plan.errors), ElementsAre("r/sched/qos.toml:3:10: shares = 0 is out of range 1..1000"));
    EXPECT_THAT(plan.notes, ElementsAre("r/sched/qos.toml: [defaults] ignored (recipe error above): built-in "
                                        "defaults apply"));
    EXPECT_EQ(plan.services[0].hints.shares, 7U);
    EXPECT_EQ(plan.services[1].hints.shares, 100U);
}

TEST(Plan, TablesOfServicesThatDoNotExist) {
    const Plan plan = make_plan(
        sources("schema = 1\n[[service]]\nname = \"audio\"\nprogram = \"/a\"\n",
                "schema = 1\n[service.adio]\nmask = 0x100\n", "schema = 1\n[service.network]\nshares = 3\n"),
        {.cpus_online = 0x1, .only = std::nullopt});
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/sched/affinity.toml:2:10: unknown service 'adio' (did you mean 'audio'?)",
                            "r/sched/qos.toml:2:10: unknown service 'network'"));
}

TEST(Plan, MaskWithoutAnOnlineCpuIsAnErrorAndTheServiceHasTheDefault) {
    const Plan plan = plan_of("schema = 1\n[defaults]\npolicy = \"prefer\"\n[service.a]\nmask = 0xe\n",
                              "schema = 1\n[service.a]\nshares = 300\n", 0x1);
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/sched/affinity.toml:5:8: none of the cpus of svc=a is online "
                            "(mask=0xe online=0x1)"));
    EXPECT_TRUE(plan.services[0].faulty);
    EXPECT_EQ(plan.services[0].hints.cpus, std::nullopt);
    EXPECT_EQ(plan.services[0].hints.shares, 300U);
}

TEST(Plan, MaskWithSomeOnlineCpusGoesToTheKernelAsItIs) {
    const Plan plan = plan_of("schema = 1\n[service.a]\nmask = 0xff\n", kEmptyRecipe, 0x7);
    EXPECT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_EQ(plan.services[0].hints.cpus, 0xffU);
}

TEST(Plan, DefaultMaskWithoutAnOnlineCpuIsReportedOnce) {
    const Plan plan = plan_of("schema = 1\n[defaults]\nmask = 0x8\n", kEmptyRecipe, 0x1);
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/sched/affinity.toml:3:8: none of the cpus of [defaults] is online "
                            "(mask=0x8 online=0x1)"));
    EXPECT_EQ(plan.services[0].hints.cpus, std::nullopt);
}

TEST(Plan, WithoutKnowledgeOfCpusNoMaskIsRefused) {
    EXPECT_THAT(plan_of("schema = 1\n[service.a]\nmask = 0x100\n", kEmptyRecipe, std::nullopt).errors,
                IsEmpty());
}

Plan plan_of_services(const std::string& text) {
    return make_plan(sources("schema = 1\n" + text, kEmptyRecipe, kEmptyRecipe), {});
}

TEST(StartOrder, UnknownReferenceIsDroppedWithASuggestion) {
    const Plan plan = plan_of_services(
        "[[service]]\nname = \"audio\"\nprogram = \"/a\"\n"
        "[[service]]\nname = \"ui\"\nprogram = \"/u\"\nafter = [\"audio\", \"audoi\"]\n");
    EXPECT_THAT(
        texts(plan.errors),
        ElementsAre("r/services.toml:8:19: unknown service 'audoi' in 'after' (did you mean 'audio'?)"));
    EXPECT_THAT(after_of(plan.services[1]), ElementsAre("audio"));
    EXPECT_TRUE(plan.services[1].faulty);
    EXPECT_FALSE(plan.services[0].faulty);
}

TEST(StartOrder, CircleIsReportedOnceAndCut) {
    const Plan plan = plan_of_services(
        "[[service]]\nname = \"a\"\nprogram = \"/a\"\nafter = [\"c\"]\n"
        "[[service]]\nname = \"b\"\nprogram = \"/b\"\nafter = [\"a\"]\n"
        "[[service]]\nname = \"c\"\nprogram = \"/c\"\nafter = [\"b\"]\n");
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/services.toml:9:10: 'after' goes in a circle: a -> c -> b -> a"));
    EXPECT_THAT(after_of(plan.services[0]), ElementsAre("c"));
    EXPECT_THAT(after_of(plan.services[1]), IsEmpty());
    EXPECT_THAT(after_of(plan.services[2]), ElementsAre("b"));
}

TEST(StartOrder, AServiceIsNotAfterItself) {
    const Plan plan = plan_of_services("[[service]]\nname = \"a\"\nprogram = \"/a\"\nafter = [\"a\"]\n");
    EXPECT_THAT(texts(plan.errors), ElementsAre("r/services.toml:5:10: 'after' goes in a circle: a -> a"));
}

TEST(StartOrder, ADiamondIsNoCircle) {
    const Plan plan = plan_of_services(
        "[[service]]\nname = \"top\"\nprogram = \"/t\"\nafter = [\"left\", \"right\"]\n"
        "[[service]]\nname = \"left\"\nprogram = \"/l\"\nafter = [\"base\"]\n"
        "[[service]]\nname = \"right\"\nprogram = \"/r\"\nafter = [\"base\"]\n"
        "[[service]]\nname = \"base\"\nprogram = \"/b\"\n");
    EXPECT_THAT(texts(plan.errors), IsEmpty());
    EXPECT_THAT(after_of(plan.services[0]), ElementsAre("left", "right"));
}

TEST(Filter, KeepsTheNamedServicesAndTheirOrder) {
    const Plan plan =
        make_plan(sources("schema = 1\n"
                          "[[service]]\nname = \"a\"\nprogram = \"/a\"\n"
                          "[[service]]\nname = \"b\"\nprogram = \"/b\"\n"
                          "[[service]]\nname = \"c\"\nprogram = \"/c\"\nafter = [\"a\", \"b\"]\n",
                          kEmptyRecipe, "schema = 1\n[service.b]\nshares = 3\n"),
                  {.cpus_online = std::nullopt, .only = "c,a"});
    EXPECT_THAT(texts(plan.errors), IsEmpty());  // the table of b is right, though b does not start
    EXPECT_THAT(names_of(plan), ElementsAre("a", "c"));
    EXPECT_THAT(after_of(plan.services[1]), ElementsAre("a"));
}

TEST(Filter, UnknownNameIsAnError) {
    const Plan plan =
        make_plan(sources(kThreeServices, kEmptyRecipe, kEmptyRecipe), {.cpus_online = {}, .only = "a,bb"});
    EXPECT_THAT(texts(plan.errors), ElementsAre("neuron.services: unknown service 'bb' (did you mean 'b'?)"));
    EXPECT_THAT(names_of(plan), ElementsAre("a"));
}

TEST(Errors, ComeInTheOrderOfTheirFile) {
    const Plan plan =
        plan_of("schema = 1\n[service.zz]\nmask = 1\n[service.a]\nfoo = 1\n[service.b]\nmask = 0x80\n",
                kEmptyRecipe, 0x1);
    EXPECT_THAT(texts(plan.errors),
                ElementsAre("r/sched/affinity.toml:2:10: unknown service 'zz'",
                            "r/sched/affinity.toml:5:1: unknown key 'foo'",
                            "r/sched/affinity.toml:7:8: none of the cpus of svc=b is online "
                            "(mask=0x80 online=0x1)"));
}

TEST(Hints, BecomeOneAttributeSetThatSpawnApplies) {
    execd::Hints hints;
    hints.cpus = 0x3;
    hints.qos_class = QosClass::Interactive;
    hints.shares = 300;
    hints.latency = 5ms;
    hints.burst = 2ms;
    const nexus_abi::sched_attr pinned = execd::to_attr(hints);
    EXPECT_EQ(pinned.size, sizeof(nexus_abi::sched_attr));
    EXPECT_EQ(pinned.flags, 0U);
    EXPECT_EQ(pinned.fields, nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldLatency |
                                 nexus_abi::kFieldBurst | nexus_abi::kFieldPolicy |
                                 nexus_abi::kFieldAffinity);
    EXPECT_EQ(pinned.qos_class, 2U);
    EXPECT_EQ(pinned.shares, 300U);
    EXPECT_EQ(pinned.latency_ns, 5'000'000U);
    EXPECT_EQ(pinned.burst_ns, 2'000'000U);
    EXPECT_EQ(pinned.affinity, 0x3U);
    EXPECT_EQ(pinned.effective_affinity, 0U);  // reserved for the kernel's answer
}

TEST(Hints, PreferLeavesTheLimitAlone) {
    execd::Hints hints;
    hints.prefer = 0xd;
    hints.policy = AffinityPolicy::Prefer;
    const nexus_abi::sched_attr preferring = execd::to_attr(hints);
    EXPECT_EQ(preferring.fields & (nexus_abi::kFieldAffinity | nexus_abi::kFieldPrefer),
              nexus_abi::kFieldPrefer);
    EXPECT_EQ(preferring.affinity_prefer, 0xdU);
    EXPECT_EQ(preferring.affinity, 0U);
}

TEST(Hints, WithoutCpusTheMaskIsInherited) {
    EXPECT_EQ(execd::to_attr({}).fields & (nexus_abi::kFieldAffinity | nexus_abi::kFieldPrefer), 0U);
}

TEST(Markers, AreSpelledAsTestsExpectThemAndShowEffectiveValues) {
    nexus_abi::sched_attr reported{};
    reported.affinity = 0xff;
    reported.effective_affinity = 0x3;
    reported.qos_class = 3;
    reported.effective_class = 2;
    reported.shares = 400;
    reported.effective_shares = 300;
    reported.latency_ns = 5'000'000;
    EXPECT_EQ(execd::affinity_marker("audio", reported),
              "execd: affinity set (svc=audio mask=0x3 policy=pin)");
    EXPECT_EQ(execd::qos_marker("audio", reported),
              "execd: qos set (svc=audio class=interactive shares=300 lat=5ms burst=0ms)");
    reported.latency_ns = 500'000;
    reported.burst_ns = 1'500'000;
    EXPECT_EQ(execd::qos_marker("ui", reported),
              "execd: qos set (svc=ui class=interactive shares=300 lat=500us burst=1500us)");
}

TEST(Markers, PreferShowsTheCpusThatAreTriedFirst) {
    nexus_abi::sched_attr reported{};
    reported.effective_affinity = 0x7;
    reported.affinity_prefer = 0xd;
    reported.affinity_policy = 1;
    EXPECT_EQ(execd::affinity_marker("bg", reported), "execd: affinity set (svc=bg mask=0x5 policy=prefer)");
}

}  // namespace
