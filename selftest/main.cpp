// SPDX-License-Identifier: MIT
// selftest: observes that the scheduler does what its calls promise, prints KTAP and one marker line per
// case, and powers the machine off. docs/perf/smp-v2.md says how to read it. `selftest
// [CASE[:MILLISECONDS]|stay]`, and the same words in the environment variable neuron.selftest. Exit: 0 all
// passed or skipped, 1 a case failed, 2 it could not run.
#include <sys/auxv.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cases.hpp"
#include "clock.hpp"
#include "console.hpp"
#include "ktap.hpp"
#include "machine.hpp"
#include "metronome.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "options.hpp"
#include "worker.hpp"

namespace selftest {
namespace {

struct Tally {
    int pass{0};
    int fail{0};
    int skip{0};
};

// Marker lines carry no figures, so that a passing log is the same text on every machine; KTAP lines carry
// them.
void report(user::Ktap& ktap, Tally& tally, const Case& test, const Verdict& verdict) {
    const std::string marker = "SELFTEST: " + std::string{test.name};
    switch (verdict.outcome) {
        case Outcome::Pass:
            ++tally.pass;
            ktap.ok(test.name, verdict.text);
            user::write_line(marker + " ok");
            return;
        case Outcome::Fail:
            ++tally.fail;
            ktap.not_ok(test.name, verdict.text);
            user::write_line(marker + " FAIL (" + verdict.text + ")");
            return;
        case Outcome::Skip:
            ++tally.skip;
            ktap.skip(test.name, verdict.text);
            user::write_line(marker + " SKIP (" + verdict.text + ")");
            return;
    }
}

Verdict run_case(const Machine& machine, const Case& test) {
    if (machine.cpus.size() < test.cpus) {
        return skip(user::format("needs %zu harts, %zu online", test.cpus, machine.cpus.size()));
    }
    const Result<Verdict> verdict = test.run(machine);
    if (!verdict.ok()) {
        return fail(
            user::format("a call it cannot do without failed: errno %d", static_cast<int>(verdict.error())));
    }
    // A host may become busy at any time, so a failure is a reason to look again.
    const bool failed = verdict->outcome == Outcome::Fail;
    if (failed && test.judges_time && !verdict->exact) {
        if (const auto reason = unsteady(machine)) {
            return skip(*reason + "; " + verdict->text);
        }
    }
    return *verdict;
}

Tally run_cases(const Machine& machine, std::span<const Case> cases) {
    Tally tally;
    user::Ktap ktap{cases.size()};
    user::Ktap::diagnostic(user::format("cpus online 0x%llx, test cpu %u, work unit %.0f ns, %s",
                                        static_cast<unsigned long long>(machine.online), machine.test_cpu,
                                        machine.unit_ns, machine.steady ? "steady" : "unsteady"));
    std::optional<Metronome> metronome;
    if (machine.test_cpu != machine.home_cpu) {
        metronome.emplace();
    }
    const user::Instant begin = user::now();
    for (const Case& test : cases) {
        report(ktap, tally, test, run_case(machine, test));
    }
    user::Ktap::diagnostic(user::format("charged though the hart did nothing: %llu us, up to %llu us at once",
                                        static_cast<unsigned long long>(machine.host->total_ns / 1000),
                                        static_cast<unsigned long long>(machine.host->longest_ns / 1000)));
    using Milliseconds = std::chrono::duration<double, std::milli>;
    user::Ktap::diagnostic(user::format("all took %.0f ms", Milliseconds{user::now() - begin}.count()));
    return tally;
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string own_path(const char* argument) {
    const unsigned long path = ::getauxval(AT_EXECFN);
    return path == 0 ? argument : reinterpret_cast<const char*>(path);
}

// Does not return on a machine that can switch itself off.
void power_off() {
    constexpr std::uint32_t kMagic1 = 0xfee1dead;  // reboot(2): LINUX_REBOOT_MAGIC1, MAGIC2, CMD_POWER_OFF
    constexpr std::uint32_t kMagic2 = 672274793;
    constexpr std::uint32_t kPowerOff = 0x4321fedc;
    // Without the right, or on a machine without a switch, it stays on; the end marker has been printed
    // either way.
    static_cast<void>(nexus_abi::call::reboot(kMagic1, kMagic2, kPowerOff, 0).ok());
}

int finish(const Tally& tally, const Options& options, int exit_code) {
    user::write_line(
        user::format("SELFTEST: end (pass=%d fail=%d skip=%d)", tally.pass, tally.fail, tally.skip));
    if (!options.stay) {
        power_off();
    }
    return exit_code;
}

int help() {
    std::string text =
        "usage: selftest [CASE[:MILLISECONDS]][,stay]\n"
        "Observes that the scheduler does what it promises; all cases, or one. Then the machine is powered "
        "off,\n"
        "unless it shall stay on. Cases:";
    for (const Case& test : all_cases()) {
        text += " " + std::string{test.short_name};
    }
    user::write_line(text);
    return 0;
}

int run(const std::string& program, const std::string& selection) {
    const Options options = parse_options(selection);
    const auto information = nexus_abi::info();
    if (!information.ok() && information.error() == Error::NotImplemented) {
        user::write_line("SELFTEST: not a NEURON kernel");
        return 2;
    }
    if (const std::string broken = environment("neuron.break"); !broken.empty()) {
        user::write_line("SELFTEST: *** neuron.break=" + broken + ": this kernel is broken on purpose ***");
    }
    std::vector<Case> cases;
    for (const Case& test : all_cases()) {
        if (options.case_name.empty() || options.case_name == test.short_name) {
            cases.push_back(test);
        }
    }
    if (cases.empty()) {
        std::string names;
        for (const Case& test : all_cases()) {
            names += " " + std::string{test.short_name};
        }
        user::write_line("SELFTEST: no case \"" + options.case_name + "\"; there are:" + names);
        return finish({0, 1, 0}, options, 2);
    }
    Result<Machine> machine = survey(program);
    if (!machine.ok()) {
        user::write_line(
            user::format("SELFTEST: set-up FAIL (errno %d; it needs sched-admin, sched-inspect and power)",
                         static_cast<int>(machine.error())));
        return finish({0, 1, 0}, options, 2);
    }
    machine->milliseconds = options.milliseconds;
    const Tally tally = run_cases(*machine, cases);
    return finish(tally, options, tally.fail == 0 ? 0 : 1);
}

}  // namespace
}  // namespace selftest

int main(int argc, char** argv) {
    const std::span<char*> arguments{argv, static_cast<std::size_t>(argc)};
    const std::string program = selftest::own_path(argc > 0 ? argv[0] : "/bin/selftest");
    if (arguments.size() >= 2 && std::string_view{arguments[1]} == selftest::kWorkerFlag) {
        return selftest::run_worker(program, arguments.subspan(2));
    }
    if (arguments.size() >= 2 && std::string_view{arguments[1]} == "--help") {
        return selftest::help();
    }
    // Both are read; a case named as argument wins.
    const std::string argument = arguments.size() >= 2 ? arguments[1] : "";
    return selftest::run(program, selftest::environment("neuron.selftest") + "," + argument);
}
