// SPDX-License-Identifier: MIT
#include "script.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "diagnostics.hpp"
#include "notation.hpp"

namespace sched_sim {
namespace {

constexpr std::array<std::pair<std::string_view, Distribution::Kind>, 5> kDistributions{{
    {"constant", Distribution::Kind::Constant},
    {"uniform", Distribution::Kind::Uniform},
    {"exp", Distribution::Kind::Exponential},
    {"bimodal", Distribution::Kind::Bimodal},
    {"heavy", Distribution::Kind::HeavyTail},
}};

enum class Argument : std::uint8_t { None, Time, Name };
struct Verb {
    std::string_view word;
    Action::Kind kind;
    Argument argument;
};
constexpr std::array<Verb, 9> kVerbs{{
    {"run", Action::Kind::Run, Argument::Time},
    {"sleep", Action::Kind::Sleep, Argument::Time},
    {"forever", Action::Kind::RunForever, Argument::None},
    {"yield", Action::Kind::Yield, Argument::None},
    {"exit", Action::Kind::Exit, Argument::None},
    {"lock", Action::Kind::Lock, Argument::Name},
    {"unlock", Action::Kind::Unlock, Argument::Name},
    {"post", Action::Kind::Post, Argument::Name},
    {"wait", Action::Kind::Wait, Argument::Name},
}};

std::pair<std::string_view, std::string_view> split(std::string_view text) {
    const std::size_t space = text.find(' ');
    return space == std::string_view::npos ? std::pair{text, std::string_view{}}
                                           : std::pair{text.substr(0, space), text.substr(space + 1)};
}

struct Step {
    Action::Kind kind{};
    Distribution time{};
    std::uint32_t object{0};
};

class TimedScript final : public Behaviour {
  public:
    TimedScript(std::vector<Step> steps, bool repeats) : steps_{std::move(steps)}, repeats_{repeats} {}
    Action next(const Self& self) override {
        if (at_ == steps_.size()) {
            if (!repeats_) {
                return exit_now();
            }
            at_ = 0;
        }
        const Step& step = steps_[at_++];
        Action action{.kind = step.kind, .object = step.object};
        if (step.kind == Action::Kind::Run || step.kind == Action::Kind::Sleep) {
            action.duration = step.time.draw(self.random);
        }
        return action;
    }

  private:
    std::vector<Step> steps_;
    bool repeats_;
    std::size_t at_{0};
};

}  // namespace

std::optional<Distribution> parse_distribution(std::string_view text) {
    Distribution result;
    const auto [word, rest] = split(text);
    const auto* const found =
        std::ranges::find(kDistributions, word, &std::pair<std::string_view, Distribution::Kind>::first);
    if (found != kDistributions.end()) {
        result.kind = found->second;
        text = rest;
    }
    const auto mean = execd::parse_duration(text);
    if (!mean || mean->count() <= 0) {
        return std::nullopt;
    }
    result.mean = Duration::nanoseconds(mean->count());
    return result;
}

std::string check_step(std::string_view text) {
    const auto [word, argument] = split(text);
    const auto* const verb = std::ranges::find(kVerbs, word, &Verb::word);
    if (verb == kVerbs.end()) {
        std::vector<std::string_view> known;
        for (const Verb& candidate : kVerbs) {
            known.push_back(candidate.word);
        }
        const std::string near = execd::suggestion(word, known);
        return "unknown step '" + std::string{word} + "'" +
               (near.empty() ? ": expected " + execd::join_alternatives(known) : near);
    }
    const std::string name{word};
    switch (verb->argument) {
        case Argument::None:
            return argument.empty() ? "" : "'" + name + "' takes nothing after it";
        case Argument::Time:
            return parse_distribution(argument) ? "" : "'" + name + "' wants " + kDistributionForm;
        case Argument::Name:
            return argument.empty() ? "'" + name + "' wants a name, such as \"" + name + " door\"" : "";
    }
    return {};
}

SemaphoreIndex ScriptObjects::semaphore(const std::string& name) {
    const auto found = semaphores_.find(name);
    return found != semaphores_.end() ? found->second
                                      : semaphores_.emplace(name, simulation_.make_semaphore()).first->second;
}

MutexIndex ScriptObjects::mutex(const std::string& name) {
    const auto found = mutexes_.find(name);
    return found != mutexes_.end() ? found->second
                                   : mutexes_.emplace(name, simulation_.make_mutex()).first->second;
}

BehaviourPtr make_script(const std::vector<std::string>& steps, bool repeats, ScriptObjects& objects) {
    std::vector<Step> compiled;
    for (const std::string& text : steps) {
        const auto [word, argument] = split(text);
        const auto* const verb = std::ranges::find(kVerbs, word, &Verb::word);
        Step step{.kind = verb->kind};
        if (verb->argument == Argument::Time) {
            step.time = parse_distribution(argument).value_or(Distribution{});
        } else if (verb->argument == Argument::Name) {
            const bool is_mutex = verb->kind == Action::Kind::Lock || verb->kind == Action::Kind::Unlock;
            const std::string name{argument};
            step.object = is_mutex ? objects.mutex(name) : objects.semaphore(name);
        }
        compiled.push_back(step);
    }
    return std::make_shared<TimedScript>(std::move(compiled), repeats);
}

}  // namespace sched_sim
