// SPDX-License-Identifier: MIT
// What simulated tasks do. A behaviour is asked for one action after another, as a program would make system
// calls; between two actions no simulated time passes unless the action says so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/units.hpp"
#include "random.hpp"
#include "sched/attributes.hpp"

namespace sched_sim {

using kernel::Instant;
using kernel::sched::Attributes;

class Simulation;
class Behaviour;

using TaskIndex = std::uint32_t;
inline constexpr TaskIndex kNoTask = ~TaskIndex{0};
// Objects tasks meet at; made by Simulation::make_semaphore() and make_mutex().
using SemaphoreIndex = std::uint32_t;
using MutexIndex = std::uint32_t;

struct NewTask {
    std::string name{};
    Attributes attributes{};
    std::shared_ptr<Behaviour> behaviour{};  // one object per task, unless it has no state
};

struct Action {
    enum class Kind : std::uint8_t {
        Run,  // `duration` of work: CPU time on a hart of full capacity
        RunForever,
        Sleep,       // for `duration`
        SleepUntil,  // `until`; no sleep at all when that has passed
        Wait,        // on semaphore `object`: takes a unit, sleeping until there is one
        Post,        // semaphore `object`: adds a unit, waking the longest waiter
        Lock,        // PI mutex `object`; the waiter donates to the owner
        Unlock,
        Yield,
        Fork,  // starts `child`
        Call,  // `call`, without simulated time: setters, counters
        Exit,
    };
    Kind kind{Kind::Exit};
    Duration duration{};
    Instant until{};
    std::uint32_t object{0};
    std::shared_ptr<NewTask> child{};
    std::function<void(Simulation&)> call{};
};

// Makers of actions, for behaviours that read like programs.
[[nodiscard]] inline Action run(Duration work) {
    return {.kind = Action::Kind::Run, .duration = work};
}
[[nodiscard]] inline Action run_forever() {
    return {.kind = Action::Kind::RunForever};
}
[[nodiscard]] inline Action sleep_for(Duration d) {
    return {.kind = Action::Kind::Sleep, .duration = d};
}
[[nodiscard]] inline Action sleep_until(Instant t) {
    return {.kind = Action::Kind::SleepUntil, .until = t};
}
[[nodiscard]] inline Action wait_on(SemaphoreIndex s) {
    return {.kind = Action::Kind::Wait, .object = s};
}
[[nodiscard]] inline Action post(SemaphoreIndex s) {
    return {.kind = Action::Kind::Post, .object = s};
}
[[nodiscard]] inline Action lock(MutexIndex m) {
    return {.kind = Action::Kind::Lock, .object = m};
}
[[nodiscard]] inline Action unlock(MutexIndex m) {
    return {.kind = Action::Kind::Unlock, .object = m};
}
[[nodiscard]] inline Action yield_now() {
    return {.kind = Action::Kind::Yield};
}
[[nodiscard]] inline Action exit_now() {
    return {.kind = Action::Kind::Exit};
}

// What a behaviour sees of its task.
struct Self {
    TaskIndex task{kNoTask};
    Instant now{};    // when the action is asked for
    Instant woken{};  // the last wake-up, before any wait for the hart
    Random& random;   // the task's own
};

class Behaviour {
  public:
    virtual ~Behaviour() = default;
    // Called when the previous action is complete and the task runs.
    virtual Action next(const Self& self) = 0;
    // Its first action will be to run for ever: known before it first runs, so that a task that is never
    // given a hart counts as starved and not as asleep.
    [[nodiscard]] virtual bool is_hog() const { return false; }
};

// ---- Ready-made ----

using BehaviourPtr = std::shared_ptr<Behaviour>;

[[nodiscard]] BehaviourPtr hog();
// Released every `period` from `offset` on, runs `work` each time (cyclictest when work is small).
[[nodiscard]] BehaviourPtr periodic(Duration period, Distribution work, Duration offset = {});
// Runs and sleeps by turns, starting with a run.
[[nodiscard]] BehaviourPtr on_off(Distribution work, Distribution rest);
// The actions in order, from the start again when `repeat`; otherwise it exits at the end.
[[nodiscard]] BehaviourPtr script(std::vector<Action> actions, bool repeat = false);
// Actions made by a function: the free form.
[[nodiscard]] BehaviourPtr program(std::function<Action(const Self&)> next);
// Runs for ever, giving way after every `work`.
[[nodiscard]] BehaviourPtr yielder(Duration work);
// Forks `count` copies of `child` with `gap` of work between, then runs for ever or exits.
[[nodiscard]] BehaviourPtr forker(NewTask child, std::function<BehaviourPtr()> behaviour, std::uint32_t count,
                                  Duration gap, bool exits);

}  // namespace sched_sim
