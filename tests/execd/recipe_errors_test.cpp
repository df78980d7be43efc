// SPDX-License-Identifier: MIT
// Every kind of recipe error: the exact line a person reads, and how much of the file it costs.
#include <gmock/gmock.h>

#include "recipe_texts.hpp"
#include "recipes.hpp"

namespace {

using execd::Diagnostic;
using execd_test::file;
using execd_test::texts;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> errors_in_services(const std::string& text) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_services(file("r/services.toml", text), errors);
    return texts(errors);
}

std::vector<std::string> errors_in_affinity(const std::string& text) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_affinity(file("r/sched/affinity.toml", text), errors);
    return texts(errors);
}

std::vector<std::string> errors_in_qos(const std::string& text) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_qos(file("r/sched/qos.toml", text), errors);
    return texts(errors);
}

// Keys of the table [service.x] stand from line 3 on.
std::vector<std::string> errors_in_affinity_of_x(const std::string& keys) {
    return errors_in_affinity("schema = 1\n[service.x]\n" + keys);
}
std::vector<std::string> errors_in_qos_of_x(const std::string& keys) {
    return errors_in_qos("schema = 1\n[service.x]\n" + keys);
}
// Keys of a service that has its name and program stand from line 5 on.
std::vector<std::string> errors_in_service_x(const std::string& keys) {
    return errors_in_services("schema = 1\n[[service]]\nname = \"x\"\nprogram = \"/bin/x\"\n" + keys);
}

// What toml++ takes for granted and a text need not keep: an error with its place, not the end of the
// program.
TEST(RecipeErrors, BracketsThatNoTableHas) {
    EXPECT_THAT(errors_in_services("schema = 1\n[[[limits]\n"), ElementsAre(HasSubstr("r/services.toml:2:")));
    EXPECT_THAT(errors_in_qos("schema = 1\n[=]\n"), ElementsAre(HasSubstr("r/sched/qos.toml:2:")));
}

// One letter of each range in which toml++ looks for blanks, and of those it once took for impossible (UBSan
// says so).
TEST(RecipeErrors, LettersBeyondAsciiWhereABlankMayStand) {
    for (const std::string letter : {"\u00a7", "\u00df", "\u0451", "\u1680", "\u2003", "\u2ff0", "\u3007",
                                     "\u3042", "\u4e2d", "\ufef0", "\ufffd", "\U0001f600"}) {
        SCOPED_TRACE(letter);
        EXPECT_THAT(errors_in_qos("schema = 1\n" + letter + " = 1\n"),
                    ElementsAre(HasSubstr("r/sched/qos.toml:2:1: ")));
        EXPECT_THAT(errors_in_qos_of_x("shares" + letter + "= 1\n"),
                    ElementsAre(HasSubstr("r/sched/qos.toml:3:")));
        EXPECT_THAT(errors_in_qos_of_x("shares = " + letter + "1\n"),
                    ElementsAre(HasSubstr("r/sched/qos.toml:3:")));
        EXPECT_THAT(errors_in_qos_of_x("class = \"\"\"\\\n" + letter + "\"\"\"\n"),
                    ElementsAre(HasSubstr("r/sched/qos.toml:3:9: unknown class")));
    }
}

TEST(RecipeErrors, UnknownKeyWithSuggestion) {
    EXPECT_THAT(errors_in_qos("schema = 1\n\n[service.audio]\nclass = \"idle\"\n        sharez = 300\n"),
                ElementsAre("r/sched/qos.toml:5:9: unknown key 'sharez' (did you mean 'shares'?)"));
    EXPECT_THAT(errors_in_affinity_of_x("polcy = \"pin\"\n"),
                ElementsAre("r/sched/affinity.toml:3:1: unknown key 'polcy' (did you mean 'policy'?)"));
    EXPECT_THAT(errors_in_service_x("restrat = \"no\"\n"),
                ElementsAre("r/services.toml:5:1: unknown key 'restrat' (did you mean 'restart'?)"));
    EXPECT_THAT(errors_in_qos("schema = 1\n[default]\nshares = 3\n"),
                ElementsAre("r/sched/qos.toml:2:2: unknown key 'default' (did you mean 'defaults'?)"));
}

TEST(RecipeErrors, UnknownKeyWithoutSuggestion) {
    EXPECT_THAT(errors_in_qos_of_x("priority = 7\n"),
                ElementsAre("r/sched/qos.toml:3:1: unknown key 'priority'"));
}

TEST(RecipeErrors, WrongTypes) {
    EXPECT_THAT(errors_in_qos_of_x("class = 2\n"),
                ElementsAre("r/sched/qos.toml:3:9: 'class' must be a string, not an integer"));
    EXPECT_THAT(errors_in_qos_of_x("shares = \"300\"\n"),
                ElementsAre("r/sched/qos.toml:3:10: 'shares' must be an integer, not a string"));
    EXPECT_THAT(errors_in_qos_of_x("shares = 1.5\n"),
                ElementsAre("r/sched/qos.toml:3:10: 'shares' must be an integer, not a fraction"));
    EXPECT_THAT(
        errors_in_qos_of_x("latency = 5\n"),
        ElementsAre("r/sched/qos.toml:3:11: 'latency' must be a duration like \"5ms\", not an integer"));
    EXPECT_THAT(errors_in_affinity_of_x("cpus = 3\n"),
                ElementsAre("r/sched/affinity.toml:3:8: 'cpus' must be an array of integers or a string like "
                            "\"0-2,4\", not an integer"));
    EXPECT_THAT(
        errors_in_affinity_of_x("cpus = [0, \"1\"]\n"),
        ElementsAre("r/sched/affinity.toml:3:12: 'cpus' must be an array of integers only, not a string"));
    EXPECT_THAT(
        errors_in_affinity_of_x("mask = true\n"),
        ElementsAre("r/sched/affinity.toml:3:8: 'mask' must be an integer like 0x3 or a string like \"0x3\", "
                    "not a boolean"));
    EXPECT_THAT(errors_in_service_x("args = \"-v\"\n"),
                ElementsAre("r/services.toml:5:8: 'args' must be an array of strings, not a string"));
    EXPECT_THAT(errors_in_service_x("args = [\"-v\", 1]\n"),
                ElementsAre("r/services.toml:5:15: 'args' must be an array of strings only, not an integer"));
    EXPECT_THAT(errors_in_service_x("env = { A = 1 }\n"),
                ElementsAre("r/services.toml:5:13: 'env.A' must be a string, not an integer"));
    EXPECT_THAT(errors_in_service_x("env = 2025-01-01\n"),
                ElementsAre("r/services.toml:5:7: 'env' must be a table of strings, not a date or time"));
    EXPECT_THAT(
        errors_in_qos("schema = 1\nservice = 1\n"),
        ElementsAre("r/sched/qos.toml:2:11: 'service' must be tables named [service.NAME], not an integer"));
    EXPECT_THAT(errors_in_qos("schema = 1\n[service]\nx = 1\n"),
                ElementsAre("r/sched/qos.toml:3:5: 'service.x' must be a table, not an integer"));
    EXPECT_THAT(errors_in_qos("schema = 1\ndefaults = []\n"),
                ElementsAre("r/sched/qos.toml:2:12: 'defaults' must be a table, not an array"));
    EXPECT_THAT(errors_in_services("schema = 1\nservice = [1]\n"),
                ElementsAre("r/services.toml:2:12: 'service' must be written as [[service]] tables"));
}

TEST(RecipeErrors, ServicesAsNamedTables) {
    EXPECT_THAT(errors_in_services("schema = 1\n[service.x]\nprogram = \"/x\"\n"),
                ElementsAre(HasSubstr("'service' must be an array of tables ([[service]]), not a table")));
}

TEST(RecipeErrors, ValuesOutOfRange) {
    EXPECT_THAT(errors_in_qos_of_x("shares = 0\n"),
                ElementsAre("r/sched/qos.toml:3:10: shares = 0 is out of range 1..1000"));
    EXPECT_THAT(errors_in_qos_of_x("shares = 1001\n"),
                ElementsAre("r/sched/qos.toml:3:10: shares = 1001 is out of range 1..1000"));
    EXPECT_THAT(errors_in_qos_of_x("shares = -1\n"),
                ElementsAre("r/sched/qos.toml:3:10: shares = -1 is out of range 1..1000"));
    EXPECT_THAT(
        errors_in_qos_of_x("latency = \"99us\"\n"),
        ElementsAre("r/sched/qos.toml:3:11: latency = \"99us\" is out of range: 0ms, or 100us to 1000ms"));
    EXPECT_THAT(
        errors_in_qos_of_x("latency = \"1001ms\"\n"),
        ElementsAre("r/sched/qos.toml:3:11: latency = \"1001ms\" is out of range: 0ms, or 100us to 1000ms"));
    EXPECT_THAT(errors_in_qos_of_x("burst = \"51ms\"\n"),
                ElementsAre("r/sched/qos.toml:3:9: burst = \"51ms\" is out of range: 0ms, or 100us to 50ms"));
    EXPECT_THAT(errors_in_affinity_of_x("cpus = [64]\n"),
                ElementsAre("r/sched/affinity.toml:3:9: cpu 64 is out of range 0..63"));
    EXPECT_THAT(errors_in_affinity_of_x("cpus = [-1]\n"),
                ElementsAre("r/sched/affinity.toml:3:9: cpu -1 is out of range 0..63"));
    EXPECT_THAT(errors_in_affinity_of_x("mask = -1\n"),
                ElementsAre("r/sched/affinity.toml:3:8: mask = -1 is negative"));
}

TEST(RecipeErrors, BadNotation) {
    EXPECT_THAT(
        errors_in_qos_of_x("burst = \"fast\"\n"),
        ElementsAre("r/sched/qos.toml:3:9: \"fast\" is no duration: write it like \"500us\", \"5ms\" or "
                    "\"1s\""));
    EXPECT_THAT(
        errors_in_affinity_of_x("cpus = \"2-0\"\n"),
        ElementsAre("r/sched/affinity.toml:3:8: \"2-0\" is no list of cpus: write it like \"0-2,4\", each "
                    "0..63"));
    EXPECT_THAT(errors_in_affinity_of_x("mask = \"all\"\n"),
                ElementsAre("r/sched/affinity.toml:3:8: \"all\" is no mask: write it like 0x3 or \"0x3\""));
}

TEST(RecipeErrors, EmptyAndContradictorySets) {
    EXPECT_THAT(errors_in_affinity_of_x("cpus = []\n"),
                ElementsAre("r/sched/affinity.toml:3:8: 'cpus' names no cpu"));
    EXPECT_THAT(errors_in_affinity_of_x("mask = 0\n"),
                ElementsAre("r/sched/affinity.toml:3:8: 'mask' names no cpu"));
    EXPECT_THAT(
        errors_in_affinity_of_x("cpus = [0]\nmask = 1\n"),
        ElementsAre(
            "r/sched/affinity.toml:4:1: 'mask' and 'cpus' (line 3) say the same thing: give one of them"));
}

TEST(RecipeErrors, UnknownNames) {
    EXPECT_THAT(
        errors_in_qos_of_x("class = \"interactiv\"\n"),
        ElementsAre("r/sched/qos.toml:3:9: unknown class 'interactiv' (did you mean 'interactive'?)"));
    EXPECT_THAT(
        errors_in_qos_of_x("class = \"fast\"\n"),
        ElementsAre("r/sched/qos.toml:3:9: unknown class 'fast': expected idle, normal, interactive or "
                    "perfburst"));
    EXPECT_THAT(
        errors_in_affinity_of_x("policy = \"fast\"\n"),
        ElementsAre("r/sched/affinity.toml:3:10: unknown policy 'fast': expected pin, prefer, perf or "
                    "eff"));
    EXPECT_THAT(
        errors_in_service_x("restart = \"never\"\n"),
        ElementsAre("r/services.toml:5:11: unknown restart 'never': expected no, on-failure or always"));
    EXPECT_THAT(errors_in_service_x("ready = \"end\"\n"),
                ElementsAre("r/services.toml:5:9: unknown ready 'end' (did you mean 'ended'?)"));
    EXPECT_THAT(
        errors_in_service_x("rights = [\"power\", \"sched_admn\"]\n"),
        ElementsAre("r/services.toml:5:20: unknown right 'sched_admn' (did you mean 'sched_admin'?)"));
}

TEST(RecipeErrors, SchemaVersion) {
    EXPECT_THAT(errors_in_qos("schema = 2\n"),
                ElementsAre("r/sched/qos.toml:1:10: schema 2 is unknown: this execd reads schema 1"));
    EXPECT_THAT(errors_in_qos("[defaults]\nshares = 5\n"),
                ElementsAre("r/sched/qos.toml:1:1: the file must say 'schema = 1'"));
    EXPECT_THAT(errors_in_qos("schema = \"1\"\n"),
                ElementsAre("r/sched/qos.toml:1:10: 'schema' must be an integer, not a string"));
    EXPECT_THAT(errors_in_services("schema = 2\n"),
                ElementsAre("r/services.toml:1:10: schema 2 is unknown: this execd reads schema 1"));
}

TEST(RecipeErrors, SyntaxErrorsHaveTheirPlace) {
    EXPECT_THAT(errors_in_qos("schema = 1\n[service.x]\nshares =\n"),
                ElementsAre(HasSubstr("r/sched/qos.toml:3:9: ")));
    EXPECT_THAT(errors_in_qos("schema = 1\n[service.x]\n[service.x]\n"),
                ElementsAre(HasSubstr("cannot redefine existing table 'service.x'")));
}

TEST(RecipeErrors, ServiceWithoutNameProgramOrWithBadOnes) {
    EXPECT_THAT(errors_in_services("schema = 1\n[[service]]\nprogram = \"/x\"\n"),
                ElementsAre("r/services.toml:2:1: a service without a 'name'"));
    EXPECT_THAT(errors_in_services("schema = 1\n[[service]]\nname = \"x\"\n"),
                ElementsAre("r/services.toml:2:1: service 'x' has no 'program'"));
    EXPECT_THAT(errors_in_services("schema = 1\n[[service]]\nname = \"x\"\nprogram = \"bin/x\"\n"),
                ElementsAre("r/services.toml:4:11: 'program' must be an absolute path, not 'bin/x'"));
    EXPECT_THAT(
        errors_in_services("schema = 1\n[[service]]\nname = \"a b\"\nprogram = \"/x\"\n"),
        ElementsAre("r/services.toml:3:8: 'a b' is no service name: 1 to 32 letters, digits, '_', '-' or "
                    "'.'"));
}

// Every printable character that a TOML string takes as it is, as a name and inside of one; and both lengths.
TEST(RecipeErrors, ServiceNamesHaveLettersDigitsAndThreeSigns) {
    const auto is_name = [](const std::string& name) {
        return errors_in_services("schema = 1\n[[service]]\nname = '" + name + "'\nprogram = \"/x\"\n")
            .empty();
    };
    for (char c = ' '; c < 0x7f; ++c) {
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool is_allowed = is_letter || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        if (c != '\'') {
            EXPECT_EQ(is_name(std::string{"x"} + c), is_allowed) << c;
            EXPECT_EQ(is_name(std::string(1, c)), is_allowed) << c;
        }
    }
    EXPECT_FALSE(is_name(""));
    EXPECT_TRUE(is_name(std::string(32, 'x')));
    EXPECT_FALSE(is_name(std::string(33, 'x')));
}

// What should be a table and is none spoils what it is about, and no more.
TEST(RecipeErrors, AServiceThatIsNoTableIsFaulty) {
    std::vector<Diagnostic> errors;
    const auto recipe =
        execd::read_qos(file("q", "schema = 1\n[service]\nbad = 5\n[service.good]\nshares = 7\n"), errors);
    EXPECT_EQ(errors.size(), 1U);
    ASSERT_EQ(recipe.services.size(), 2U);
    EXPECT_EQ(recipe.services[0].name, "bad");
    EXPECT_TRUE(recipe.services[0].faulty);
    EXPECT_FALSE(recipe.services[1].faulty);
}

TEST(RecipeErrors, DuplicateServiceKeepsTheFirst) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_services(file("r/services.toml",
                                                  "schema = 1\n"
                                                  "[[service]]\nname = \"x\"\nprogram = \"/1\"\n"
                                                  "[[service]]\nname = \"x\"\nprogram = \"/2\"\n"),
                                             errors);
    EXPECT_THAT(texts(errors),
                ElementsAre("r/services.toml:6:8: duplicate service 'x' (the first is at line 3)"));
    ASSERT_EQ(recipe.services.size(), 1U);
    EXPECT_EQ(recipe.services[0].service.program, "/1");
    EXPECT_FALSE(recipe.services[0].faulty);
}

TEST(RecipeErrors, OneTableDoesNotSpoilTheNext) {
    std::vector<Diagnostic> errors;
    const auto recipe = execd::read_qos(
        file("q", "schema = 1\n[service.bad]\nshares = 5\nsharez = 5\n[service.good]\nshares = 7\n"), errors);
    ASSERT_EQ(recipe.services.size(), 2U);
    EXPECT_TRUE(recipe.services[0].faulty);
    EXPECT_EQ(recipe.services[0].recipe.shares, std::nullopt);
    EXPECT_FALSE(recipe.services[1].faulty);
    EXPECT_EQ(recipe.services[1].recipe.shares, 7U);
}

TEST(RecipeErrors, EachErrorOfATableIsReported) {
    EXPECT_THAT(errors_in_qos_of_x("shares = 0\nlatency = \"x\"\nfoo = 1\n").size(), 3U);
}

}  // namespace
