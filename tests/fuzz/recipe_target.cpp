// SPDX-License-Identifier: MIT
// A set of recipes, the files one behind the other with a line "%%" between them: services, affinity, qos,
// and the board's affinity and qos. Whatever stands there, execd has a plan and words for what is wrong, and
// renders both.
#include <array>
#include <optional>
#include <string>

#include "diagnostics.hpp"
#include "explain.hpp"
#include "mutators.hpp"
#include "plan.hpp"
#include "target.hpp"

namespace {

using fuzz::require;

constexpr std::size_t kFiles = 5;
constexpr std::size_t kRendered = 4;

std::array<std::optional<std::string>, kFiles> split(std::string_view text) {
    std::array<std::optional<std::string>, kFiles> files;
    for (std::size_t i = 0; i < kFiles; ++i) {
        const std::size_t end = i + 1 < kFiles ? text.find("%%\n") : std::string_view::npos;
        files[i] = std::string{text.substr(0, end)};
        if (end == std::string_view::npos) {
            break;
        }
        text.remove_prefix(end + 3);
    }
    return files;
}

void require_sound(const execd::Plan& plan) {
    for (const auto* const findings : {&plan.errors, &plan.warnings}) {
        for (const execd::Diagnostic& finding : *findings) {
            require(!finding.what.empty() && !finding.file.empty(), "a finding says what and where");
            require(!execd::to_string(finding).empty(), "a finding has words");
        }
    }
    for (const execd::PlannedService& planned : plan.services) {
        const nexus_abi::sched_attr attr = execd::to_attr(planned.hints);
        require(attr.shares >= 1 && attr.shares <= 1000, "shares are 1..1000");
        require(attr.qos_class <= 3, "there are four classes");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto files = split({reinterpret_cast<const char*>(data), size});
    const execd::RecipeSources sources{.services = {.path = "services.toml", .text = files[0]},
                                       .affinity = {.path = "sched/affinity.toml", .text = files[1]},
                                       .qos = {.path = "sched/qos.toml", .text = files[2]},
                                       .board = "board",
                                       .board_affinity = {.path = "board/affinity.toml", .text = files[3]},
                                       .board_qos = {.path = "board/qos.toml", .text = files[4]}};
    require_sound(execd::make_plan(sources, {.cpus_online = std::nullopt, .only = std::nullopt}));
    constexpr std::uint64_t kOnline = 0x5;
    const execd::Plan plan = execd::make_plan(sources, {.cpus_online = kOnline, .only = "a,b"});
    require_sound(plan);
    // What a service can expect is a linear program; many services are many inputs' time.
    if (plan.services.size() <= kRendered) {
        require(!execd::plan_json(plan, kOnline, sources.board).empty(), "a plan has JSON");
        static_cast<void>(execd::plan_details(plan, kOnline));
        for (const double share : execd::expected_shares(plan, kOnline)) {
            require(share >= 0 && share <= 1.000001, "an expected share is a part of a CPU");
        }
    }
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
    fuzz::Random random{seed};
    if (fuzz::below(random, 2) == 0) {
        return fuzz::change_text(data, size, max_size, random);
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
