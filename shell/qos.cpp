// SPDX-License-Identifier: MIT
// qos: what a task asks of the scheduler, shown and changed.
#include <algorithm>

#include "console.hpp"
#include "json.hpp"
#include "notation.hpp"
#include "tools.hpp"

namespace shell {
namespace {

using nexus_abi::sched_attr;

constexpr std::string_view kName = "qos";

// What is wrong with KEY=VALUE, in words.
using Problem = std::optional<std::string>;

Problem set_budget(sched_attr& wanted, const std::string& value) {
    wanted.fields |= nexus_abi::kFieldBudget;
    if (value == "0" || value == "none") {
        wanted.budget_ns = wanted.period_ns = 0;
        return std::nullopt;
    }
    const std::size_t slash = value.find('/');
    const auto runtime = parse_duration(value.substr(0, slash));
    const auto period = slash == std::string::npos ? std::nullopt : parse_duration(value.substr(slash + 1));
    if (!runtime || !period) {
        return "wants RUNTIME/PERIOD like 20ms/100ms, or 0";
    }
    wanted.budget_ns = static_cast<std::uint64_t>(runtime->count());
    wanted.period_ns = static_cast<std::uint64_t>(period->count());
    if (wanted.budget_ns < nexus_abi::kBudgetMinNs || wanted.budget_ns > wanted.period_ns ||
        wanted.period_ns > nexus_abi::kBudgetPeriodMaxNs) {
        return "wants 100us <= RUNTIME <= PERIOD <= 1s";
    }
    return std::nullopt;
}

Problem set_time(std::uint64_t& field, const std::string& value, std::uint64_t least, std::uint64_t most) {
    const auto time = parse_duration(value);
    const auto nanoseconds = time ? static_cast<std::uint64_t>(time->count()) : 1;
    if (!time || (nanoseconds != 0 && (nanoseconds < least || nanoseconds > most))) {
        return "wants 0 or a time from " + format_duration(least) + " to " + format_duration(most);
    }
    field = nanoseconds;
    return std::nullopt;
}

Problem set_cpus(std::uint64_t& field, const std::string& value) {
    const auto cpus = parse_cpu_list(value);
    if (!cpus) {
        return "wants a list of CPUs like 0-2,5";
    }
    field = *cpus;
    return std::nullopt;
}

Problem set_key(sched_attr& wanted, const std::string& key, const std::string& value) {
    if (key == "class") {
        const auto qos_class = parse_class(value);
        if (!qos_class) {
            return "wants idle, normal, interactive or perfburst";
        }
        wanted.qos_class = static_cast<std::uint32_t>(*qos_class);
        wanted.fields |= nexus_abi::kFieldClass;
        return std::nullopt;
    }
    if (key == "shares") {
        const auto shares = parse_number(value, nexus_abi::kSharesMin, nexus_abi::kSharesMax);
        if (!shares) {
            return "wants a number from 1 to 1000";
        }
        wanted.shares = static_cast<std::uint32_t>(*shares);
        wanted.fields |= nexus_abi::kFieldShares;
        return std::nullopt;
    }
    if (key == "policy") {
        const auto policy = parse_policy(value);
        if (!policy) {
            return "wants pin, prefer, perf or eff";
        }
        wanted.affinity_policy = static_cast<std::uint32_t>(*policy);
        wanted.fields |= nexus_abi::kFieldPolicy;
        return std::nullopt;
    }
    if (key == "latency") {
        wanted.fields |= nexus_abi::kFieldLatency;
        return set_time(wanted.latency_ns, value, nexus_abi::kLatencyHintMinNs, nexus_abi::kLatencyHintMaxNs);
    }
    if (key == "burst") {
        wanted.fields |= nexus_abi::kFieldBurst;
        return set_time(wanted.burst_ns, value, nexus_abi::kBurstHintMinNs, nexus_abi::kBurstHintMaxNs);
    }
    if (key == "budget") {
        return set_budget(wanted, value);
    }
    if (key == "cpus") {
        wanted.fields |= nexus_abi::kFieldAffinity;
        return set_cpus(wanted.affinity, value);
    }
    if (key == "prefer") {
        wanted.fields |= nexus_abi::kFieldPrefer;
        return set_cpus(wanted.affinity_prefer, value);
    }
    return "no such key: class, shares, latency, burst, budget, policy, cpus, prefer";
}

std::optional<Outcome> parse_wishes(Arguments words, sched_attr& wanted) {
    if (words.empty()) {
        return misuse(kName, "which values? KEY=VALUE...");
    }
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        const Problem problem = equals == std::string::npos
                                    ? Problem{"not KEY=VALUE"}
                                    : set_key(wanted, word.substr(0, equals), word.substr(equals + 1));
        if (problem) {
            return fail(kName, word + ": " + *problem);
        }
    }
    return std::nullopt;
}

std::string budget_text(const sched_attr& attributes) {
    return attributes.budget_ns == 0
               ? "none"
               : format_duration(attributes.budget_ns) + '/' + format_duration(attributes.period_ns);
}

std::string to_json(std::int32_t pid, const sched_attr& attributes) {
    JsonWriter json;
    json.begin_object();
    json.member("pid", pid);
    json.member("class", class_name(attributes.qos_class));
    json.member("effective_class", class_name(attributes.effective_class));
    json.member("shares", attributes.shares);
    json.member("effective_shares", attributes.effective_shares);
    json.member("latency_ns", attributes.latency_ns);
    json.member("burst_ns", attributes.burst_ns);
    json.member("budget_ns", attributes.budget_ns);
    json.member("period_ns", attributes.period_ns);
    json.member("policy", policy_name(attributes.affinity_policy));
    json.member("mask", format_hex(attributes.affinity));
    json.member("effective_mask", format_hex(attributes.effective_affinity));
    json.member("prefer", format_hex(attributes.affinity_prefer));
    json.end_object();
    return json.text();
}

// The words that `qos set` would take to make it so, and in brackets what else is in effect.
std::string to_line(std::int32_t pid, const sched_attr& attributes) {
    std::string line =
        user::format("pid %d: class=%s", pid, std::string{class_name(attributes.qos_class)}.c_str());
    if (attributes.effective_class != attributes.qos_class) {
        line += " (" + std::string{class_name(attributes.effective_class)} + " in effect)";
    }
    line += " shares=" + std::to_string(attributes.shares);
    if (attributes.effective_shares != attributes.shares) {
        line += " (" + std::to_string(attributes.effective_shares) + " in effect)";
    }
    line += " latency=" + format_duration(attributes.latency_ns) +
            " burst=" + format_duration(attributes.burst_ns) + " budget=" + budget_text(attributes) +
            " policy=" + std::string{policy_name(attributes.affinity_policy)} +
            " cpus=" + format_cpu_list(attributes.effective_affinity);
    if (attributes.affinity_prefer != 0) {
        line += " prefer=" + format_cpu_list(attributes.affinity_prefer);
    }
    return line + '\n';
}

Outcome get(System& system, Arguments arguments) {
    const PlainArguments plain = read_plain(kName, arguments);
    if (plain.wrong) {
        return *plain.wrong;
    }
    if (plain.operands.size() != 1) {
        return misuse(kName, "which task? One pid");
    }
    const auto pid = parse_pid(plain.operands[0]);
    if (!pid) {
        return fail(kName, "'" + plain.operands[0] + "': not a process id");
    }
    const auto attributes = system.attributes(*pid);
    if (!attributes.ok()) {
        return fail(kName, plain.operands[0], attributes.error());
    }
    return {.output = plain.is_json ? to_json(*pid, *attributes) : to_line(*pid, *attributes)};
}

Outcome set(System& system, Arguments arguments) {
    if (arguments.empty()) {
        return misuse(kName, "set: which task?");
    }
    const auto pid = parse_pid(arguments[0]);
    if (!pid) {
        return fail(kName, "'" + arguments[0] + "': not a process id");
    }
    sched_attr wanted{};
    if (auto wrong = parse_wishes(arguments.subspan(1), wanted)) {
        return *wrong;
    }
    if (const auto changed = system.change(*pid, wanted); !changed.ok()) {
        return fail(kName, arguments[0] + ": nothing changed", changed.error());
    }
    return get(system, arguments.first(1));
}

Outcome run(System& system, Arguments arguments) {
    const auto split = std::ranges::find(arguments, "--");
    const auto wishes = static_cast<std::size_t>(split - arguments.begin());
    if (wishes + 1 >= arguments.size()) {
        return misuse(kName, "run: KEY=VALUE... -- PROGRAM [ARGUMENT...]");
    }
    sched_attr wanted{};
    if (auto wrong = parse_wishes(arguments.first(wishes), wanted)) {
        return *wrong;
    }
    if (const auto changed = system.change(0, wanted); !changed.ok()) {
        return fail(kName, "run: nothing changed", changed.error());
    }
    const std::vector<std::string> program{split + 1, arguments.end()};
    const Error error = system.execute(program);
    Outcome outcome = fail(kName, "failed to execute " + program[0], error);
    outcome.status = error == Error::NoEntry ? kNotFound : kCannotExecute;
    return outcome;
}

}  // namespace

Outcome run_qos(System& system, Arguments arguments) {
    if (arguments.empty()) {
        return misuse(kName, "which task?");
    }
    if (arguments[0] == "set") {
        return set(system, arguments.subspan(1));
    }
    if (arguments[0] == "run") {
        return run(system, arguments.subspan(1));
    }
    return get(system, arguments[0] == "get" ? arguments.subspan(1) : arguments);
}

}  // namespace shell
