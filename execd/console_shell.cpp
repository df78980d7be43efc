// SPDX-License-Identifier: MIT
#include "console_shell.hpp"

#include <algorithm>
#include <string_view>

#include "nexus_abi/system.hpp"
#include "options.hpp"
#include "words.hpp"

namespace execd {
namespace {

constexpr std::string_view kSelftestProgram = "/bin/selftest";

void leave_out_selftest(Plan& plan) {
    std::vector<std::string> left_out;
    std::erase_if(plan.services, [&](const PlannedService& planned) {
        const bool is_selftest = planned.service.program == kSelftestProgram;
        if (is_selftest) {
            left_out.push_back(planned.service.name);
        }
        return is_selftest;
    });
    for (PlannedService& planned : plan.services) {
        std::erase_if(planned.service.after, [&](const Reference& reference) {
            return std::ranges::find(left_out, reference.name) != left_out.end();
        });
    }
    for (const std::string& name : left_out) {
        plan.notes.push_back("svc=" + name + " is not started: neuron.shell=1 leaves it to the console");
    }
}

PlannedService shell_service() {
    PlannedService planned;
    Service& service = planned.service;
    service.name = kShellName;
    service.program = kShellProgram;
    service.restart = RestartPolicy::Always;
    service.rights = nexus_abi::kRightsAll;
    service.has_control = true;
    // A selftest that is run by hand leaves the machine on.
    service.env = {{"HOME", "/"}, {"PATH", "/bin:/usr/bin"}, {"TERM", "vt100"}, {"neuron.selftest", "stay"}};
    return planned;
}

}  // namespace

void add_console_shell(Plan& plan, const std::vector<std::string>& environment) {
    const auto asked = find_variable(environment, "neuron.shell");
    const auto selftest = find_variable(environment, "neuron.selftest");
    const bool is_first = asked.has_value() && *asked == "1";
    const bool stays = selftest.has_value() && user::has_word(*selftest, "stay");
    if (asked && *asked != "0" && *asked != "1") {
        plan.notes.push_back("neuron.shell=" + *asked + " ignored: it is 0 or 1");
    }
    if ((!is_first && !stays) || (asked && *asked == "0") ||
        std::ranges::any_of(plan.services, [](const PlannedService& planned) {
            return planned.service.name == kShellName;
        })) {
        return;
    }
    if (is_first && !selftest) {
        leave_out_selftest(plan);
    }
    PlannedService shell = shell_service();
    for (const PlannedService& planned : plan.services) {
        if (stays && planned.service.program == kSelftestProgram) {
            shell.service.after.push_back({.name = planned.service.name, .at = {}, .until_end = true});
        }
    }
    plan.services.push_back(std::move(shell));
}

}  // namespace execd
