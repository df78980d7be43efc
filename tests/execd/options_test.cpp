// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <gmock/gmock.h>

namespace {

using execd::Options;
using ::testing::ElementsAre;

Options parsed(const std::vector<const char*>& arguments) {
    const auto result = execd::parse_options(arguments);
    const auto* const options = std::get_if<Options>(&result);
    EXPECT_NE(options, nullptr);
    return options == nullptr ? Options{} : *options;
}

std::string refusal(const std::vector<const char*>& arguments) {
    const auto result = execd::parse_options(arguments);
    const auto* const error = std::get_if<execd::UsageError>(&result);
    return error == nullptr ? "accepted" : error->what;
}

TEST(Options, AreRead) {
    const Options options = parsed({"--check", "recipes", "--cpus", "3", "--recipes", "/r"});
    EXPECT_EQ(options.check, "recipes");
    EXPECT_EQ(options.cpus_online, 0x7U);
    EXPECT_EQ(options.recipes, "/r");
    EXPECT_FALSE(options.wants_help);
    EXPECT_FALSE(options.json);
    EXPECT_TRUE(parsed({"--json"}).json);
    EXPECT_EQ(parsed({"--board", "starfive,visionfive-2"}).board, "starfive,visionfive-2");
    EXPECT_TRUE(parsed({"--help"}).wants_help);
}

TEST(Options, WordsOfTheKernelCommandLineAreCollected) {
    EXPECT_THAT(parsed({"quiet", "--recipes", "/r", "splash"}).unknown, ElementsAre("quiet", "splash"));
}

TEST(Options, CpuCountsAreFrom1To64) {
    EXPECT_EQ(parsed({"--cpus", "1"}).cpus_online, 0x1U);
    EXPECT_EQ(parsed({"--cpus", "64"}).cpus_online, ~std::uint64_t{0});
    for (const char* count : {"0", "65", "-1", "four", ""}) {
        EXPECT_EQ(refusal({"--cpus", count}),
                  "--cpus wants a number from 1 to 64, not '" + std::string{count} + "'");
    }
}

TEST(Options, AValueMayNotBeMissing) {
    EXPECT_EQ(refusal({"--check"}), "--check wants a value");
    EXPECT_EQ(refusal({"--recipes"}), "--recipes wants a value");
    EXPECT_EQ(refusal({"--board"}), "--board wants a value");
    for (const char* name : {"", "..", "a/b", "two words"}) {
        EXPECT_EQ(refusal({"--board", name}),
                  "--board wants a name like \"starfive,visionfive-2\", not '" + std::string{name} + "'");
    }
}

TEST(Environment, VariablesAreFoundByTheirWholeName) {
    const std::vector<std::string> environment{"neuron.selftests=no", "neuron.selftest=stay", "HOME=/",
                                               "neuron.x="};
    EXPECT_EQ(execd::find_variable(environment, "neuron.selftest"), "stay");
    EXPECT_EQ(execd::find_variable(environment, "neuron.x"), "");
    EXPECT_EQ(execd::find_variable(environment, "neuron"), std::nullopt);
    EXPECT_THAT(execd::neuron_variables(environment),
                ElementsAre("neuron.selftests=no", "neuron.selftest=stay", "neuron.x="));
}

}  // namespace
