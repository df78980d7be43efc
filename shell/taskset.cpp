// SPDX-License-Identifier: MIT
// taskset(1).
#include <bit>

#include "console.hpp"
#include "notation.hpp"
#include "tools.hpp"

namespace shell {
namespace {

constexpr std::string_view kName = "taskset";

struct Wish {
    bool is_list{false};       // -c
    bool concerns_pid{false};  // -p
    bool is_all{false};        // -a
};

std::string shown(std::uint64_t mask, const Wish& wish) {
    return wish.is_list ? format_cpu_list(mask) : format_hex(mask);
}

std::optional<std::uint64_t> parse_cpus(std::string_view text, const Wish& wish) {
    return wish.is_list ? parse_cpu_list(text) : parse_mask(text);
}

Outcome cannot_parse(std::string_view text, const Wish& wish) {
    return fail(kName, user::format("failed to parse CPU %s: %s", wish.is_list ? "list" : "mask",
                                    std::string{text}.c_str()));
}

// The threads of a process, or the one task.
Result<std::vector<std::int32_t>> targets_of(System& system, std::int32_t pid, const Wish& wish) {
    if (!wish.is_all) {
        return std::vector<std::int32_t>{pid};
    }
    std::vector<std::int32_t> threads;
    for (const auto& entry : TRY(system.tasks())) {
        if (static_cast<std::int32_t>(entry.pid) == pid) {
            threads.push_back(static_cast<std::int32_t>(entry.tid));
        }
    }
    return threads.empty() ? Result<std::vector<std::int32_t>>{Error::NoProcess} : threads;
}

Outcome change_one(System& system, std::int32_t pid, std::optional<std::uint64_t> cpus, const Wish& wish) {
    const auto line = [&](std::string_view which, std::uint64_t mask) {
        return user::format("pid %d's %s affinity %s: %s\n", pid, std::string{which}.c_str(),
                            wish.is_list ? "list" : "mask", shown(mask, wish).c_str());
    };
    const auto before = system.attributes(pid);
    if (!before.ok()) {
        return fail(kName, user::format("failed to get pid %d's affinity", pid), before.error());
    }
    Outcome outcome{.output = line("current", before->effective_affinity)};
    if (!cpus) {
        return outcome;
    }
    const auto after = system.set_affinity(pid, *cpus);
    if (!after.ok()) {
        Outcome failed = fail(kName, user::format("failed to set pid %d's affinity", pid), after.error());
        failed.output = outcome.output;
        return failed;
    }
    outcome.output += line("new", *after);
    return outcome;
}

Outcome change_pid(System& system, const std::vector<std::string>& operands, const Wish& wish) {
    if (operands.empty() || operands.size() > 2) {
        return misuse(kName, "-p wants a pid, or CPUs and a pid");
    }
    const auto pid = parse_pid(operands.back());
    if (!pid) {
        return fail(kName, "invalid PID argument: '" + operands.back() + "'");
    }
    std::optional<std::uint64_t> cpus;
    if (operands.size() == 2) {
        cpus = parse_cpus(operands[0], wish);
        if (!cpus) {
            return cannot_parse(operands[0], wish);
        }
    }
    const auto targets = targets_of(system, *pid, wish);
    if (!targets.ok()) {
        return fail(kName, operands.back(), targets.error());
    }
    Outcome outcome;
    for (const std::int32_t target : *targets) {
        const Outcome one = change_one(system, target, cpus, wish);
        outcome.output += one.output;
        outcome.errors += one.errors;
        outcome.status = one.status == kSuccess ? outcome.status : one.status;
    }
    return outcome;
}

Outcome run_program(System& system, const std::vector<std::string>& operands, const Wish& wish) {
    if (operands.size() < 2) {
        return misuse(kName, "it wants CPUs and a program, or -p and a pid");
    }
    const auto cpus = parse_cpus(operands[0], wish);
    if (!cpus) {
        return cannot_parse(operands[0], wish);
    }
    if (const auto set = system.set_affinity(0, *cpus); !set.ok()) {
        return fail(kName, "failed to set its own affinity", set.error());
    }
    const std::vector<std::string> program{operands.begin() + 1, operands.end()};
    const Error error = system.execute(program);
    Outcome outcome = fail(kName, "failed to execute " + program[0], error);
    outcome.status = error == Error::NoEntry ? kNotFound : kCannotExecute;
    return outcome;
}

}  // namespace

Outcome run_taskset(System& system, Arguments arguments) {
    Wish wish;
    OptionReader options{arguments};
    while (const auto option = options.next(true)) {
        if (*option == "-p" || *option == "--pid") {
            wish.concerns_pid = true;
        } else if (*option == "-c" || *option == "--cpu-list") {
            wish.is_list = true;
        } else if (*option == "-a" || *option == "--all-tasks") {
            wish.is_all = true;
        } else {
            return misuse(kName, "'" + *option + "': no such option");
        }
    }
    return wish.concerns_pid ? change_pid(system, options.operands(), wish)
                             : run_program(system, options.operands(), wish);
}

}  // namespace shell
