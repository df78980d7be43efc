// SPDX-License-Identifier: MIT
// execd: pid 1. Reads the recipes, starts the services under their hints, and looks after them.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "check.hpp"
#include "console.hpp"
#include "console_shell.hpp"
#include "explain.hpp"
#include "nexus_kernel.hpp"
#include "notation.hpp"
#include "options.hpp"
#include "recipe_files.hpp"
#include "reload.hpp"
#include "supervision_loop.hpp"

namespace execd {
namespace {

constexpr std::string_view kDefaultRecipes = "/recipes";

// Exit statuses of --check and of a wrong command line.
constexpr int kRecipeErrors = 1;
constexpr int kUsageError = 2;

int run_check(const std::string& directory, const Options& options) {
    const CheckReport report = check_recipes(
        directory, {.cpus_online = options.cpus_online, .board = options.board, .json = options.json});
    std::fputs(report.messages.c_str(), stderr);
    std::fputs(report.plan.c_str(), stdout);
    return report.has_errors ? kRecipeErrors : EXIT_SUCCESS;
}

// Says which kernel this is; the mask of its CPUs, or nullopt when it is not NEURON.
std::optional<std::uint64_t> probe(Kernel& kernel) {
    const auto info = kernel.info();
    if (!info.ok()) {
        user::write_line("execd: this kernel is not NEURON (no nexus_abi_info): hints cannot be applied");
        return std::nullopt;
    }
    const std::string_view version{info->version, strnlen(info->version, sizeof(info->version))};
    user::write_line("execd: " + std::string{version} + ", ABI " + std::to_string(info->abi_version) +
                     ", cpus " + format_mask(info->cpus_online));
    return info->cpus_online;
}

// CPUs come and go: those that run at this moment.
std::optional<std::uint64_t> online_now(Kernel& kernel, std::optional<std::uint64_t> at_boot) {
    const auto info = kernel.info();
    return info.ok() ? std::optional{info->cpus_online} : at_boot;
}

// Which board this is: what a person says before what the device tree says.
BoardNames board_names(const Options& options, const std::vector<std::string>& environment) {
    if (const auto given = options.board ? options.board : find_variable(environment, "neuron.board")) {
        return {.names = split_compatible(*given), .is_given = true};
    }
    return {.names = read_compatible(), .is_given = false};
}

// Reads a directory's recipes; errors of reading are among the plan's.
Plan load_plan(const std::string& directory, std::optional<std::uint64_t> cpus_online,
               const BoardNames& board, const std::vector<std::string>& environment) {
    std::vector<Diagnostic> read_errors;
    const RecipeSources sources = load_recipes(directory, board, read_errors);
    Plan plan = make_plan(
        sources, {.cpus_online = cpus_online, .only = find_variable(environment, "neuron.services")});
    add_console_shell(plan, environment);
    plan.errors.insert(plan.errors.begin(), read_errors.begin(), read_errors.end());
    if (!sources.board.empty()) {
        plan.notes.push_back("recipes of board " + sources.board + " on top");
    }
    return plan;
}

void log_findings(const Plan& plan) {
    for (const auto* const findings : {&plan.errors, &plan.warnings}) {
        for (const Diagnostic& finding : *findings) {
            user::write_line("execd: " + to_string(finding));
        }
    }
    for (const std::string& note : plan.notes) {
        user::write_line("execd: " + note);
    }
}

// Pid 1 must not end, whatever happens: the machine would stop.
[[noreturn]] void idle_for_ever() {
    for (;;) {
        std::this_thread::sleep_for(std::chrono::hours{1});
    }
}

int run_services(const Options& options, const std::vector<std::string>& environment) {
    NexusKernel kernel;
    const bool is_init = getpid() == 1;
    const auto cpus_online = probe(kernel);
    const BoardNames board = board_names(options, environment);
    const PlanLoader load = [&](const std::string& directory) {
        return load_plan(directory, online_now(kernel, cpus_online), board, environment);
    };
    RecipeLocation location{
        .directory = options.recipes.value_or(
            find_variable(environment, "neuron.recipes").value_or(std::string{kDefaultRecipes})),
        .reload_from = std::nullopt};
    Plan plan = load(location.directory);
    log_findings(plan);
    location.reload_from = plan.reload_from;
    if (!cpus_online && !is_init) {
        std::fputs(plan_table(plan, cpus_online).c_str(), stdout);
        return plan.errors.empty() ? EXIT_SUCCESS : kRecipeErrors;
    }
    const LineSink log = user::write_line;
    Supervisor supervisor{std::move(plan.services), neuron_variables(environment), kernel, log};
    // By way of the supervisor: who asks for a reload hears what it says.
    supervise(
        supervisor, kernel, log,
        [&] {
            reload_recipes(location, load, supervisor, [&](std::string_view line) { supervisor.log(line); });
        },
        is_init);
    if (is_init) {
        idle_for_ever();
    }
    return EXIT_SUCCESS;
}

int run(std::span<const char* const> arguments, const std::vector<std::string>& environment) {
    const auto parsed = parse_options(arguments);
    const bool is_init = getpid() == 1;
    Options options;
    if (const auto* const error = std::get_if<UsageError>(&parsed)) {
        user::write_line("execd: " + error->what);
        if (!is_init) {
            return kUsageError;
        }
    } else if (const auto* const good = std::get_if<Options>(&parsed)) {
        options = *good;
    }
    for (const std::string& argument : options.unknown) {
        user::write_line("execd: unknown argument '" + argument + "'" + (is_init ? " ignored" : ""));
    }
    if (options.wants_help || (!options.unknown.empty() && !is_init)) {
        std::fputs(kUsage, stdout);
        return options.wants_help ? EXIT_SUCCESS : kUsageError;
    }
    if (options.check) {
        return run_check(*options.check, options);
    }
    return run_services(options, environment);
}

std::vector<std::string> read_environment(const char* const* environment) {
    std::vector<std::string> variables;
    for (; *environment != nullptr; ++environment) {
        variables.emplace_back(*environment);
    }
    return variables;
}

}  // namespace
}  // namespace execd

int main(int argument_count, char** arguments, char** environment) {
    const std::span<const char* const> all{arguments, static_cast<std::size_t>(argument_count)};
    return execd::run(all.empty() ? all : all.subspan(1), execd::read_environment(environment));
}
