// SPDX-License-Identifier: MIT
#include "explorer.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <utility>

namespace explore {

namespace {

constexpr std::size_t kStackBytes = 256U << 10;
constexpr std::uint32_t kMaxHarts = memory::kHartsMax;

enum class Mode : std::uint8_t { Ready, Waiting, Spinning };

struct Fiber {
    ucontext_t context{};
    std::byte* stack{nullptr};
    Mode mode{Mode::Ready};
    std::uint64_t spun_at{0};  // progress count when it began to spin
};

// One point of a schedule where there was more than one way to go on.
struct Choice {
    std::uint32_t taken{0};
    std::uint32_t options{1};
};

// A hart that made so many steps in a row may be looping until another one has done something: then those
// that can go on have their turn first, as they would on a machine.
constexpr std::uint32_t kPatience = 200;

struct State {
    const Program* program{nullptr};
    Bounds bounds;
    std::array<Fiber, kMaxHarts> fibers;
    ucontext_t main{};
    std::uint32_t running{0};
    bool on_fiber{false};
    bool failed{false};
    std::string violation;
    std::uint64_t progress{0};
    std::uint32_t steps{0};
    std::uint32_t steps_in_a_row{0};
    // The schedule: the first `forced` choices repeat the last execution's.
    std::vector<Choice> choices;
    std::size_t next_choice{0};
    std::uint32_t deviations{0};
    std::optional<std::mt19937_64> random;
    bool tracing{false};
    bool checks_races{false};
    std::vector<std::string> trace;
};
State state;

// Which of `options` ways to go on. The first `free` of them cost nothing, the others a deviation.
std::uint32_t decide(std::uint32_t options, std::uint32_t free) {
    const bool is_spent = !state.random && state.deviations >= state.bounds.deviations;
    const std::uint32_t open = is_spent ? free : options;
    if (open == 1) {
        return 0;
    }
    if (state.next_choice == state.choices.size()) {
        std::uint32_t taken = 0;
        if (state.random) {
            // Mostly straight on: a schedule with a switch at every step never gets far in any hart.
            const bool switches = (*state.random)() % 16 == 0;
            taken = static_cast<std::uint32_t>((*state.random)() % (switches ? open : free));
        }
        state.choices.push_back({.taken = taken, .options = open});
    }
    const Choice& choice = state.choices[state.next_choice++];
    if (choice.options != open) {
        std::fprintf(stderr, "explorer: an execution is not a function of its choices\n");
        std::abort();
    }
    state.deviations += choice.taken >= free ? 1 : 0;
    return choice.taken;
}

void enter_fiber() {
    state.program->hart(state.running);
    std::fprintf(stderr, "explorer: a hart returned\n");
    std::abort();
}

bool can_run(std::uint32_t hart) {
    Fiber& fiber = state.fibers[hart];
    switch (fiber.mode) {
        case Mode::Ready:
            return true;
        case Mode::Spinning:
            return state.progress != fiber.spun_at;
        case Mode::Waiting:
            return state.program->can_resume(hart);
    }
    return false;
}

void to_scheduler() {
    swapcontext(&state.fibers[state.running].context, &state.main);
}

void run_fiber(std::uint32_t hart) {
    Fiber& fiber = state.fibers[hart];
    if (fiber.mode != Mode::Spinning) {
        ++state.progress;
    }
    fiber.mode = Mode::Ready;
    state.running = hart;
    state.on_fiber = true;
    swapcontext(&state.main, &fiber.context);
    state.on_fiber = false;
    if (fiber.mode != Mode::Spinning) {
        ++state.progress;
    }
}

void execute() {
    state.next_choice = 0;
    state.deviations = 0;
    state.steps = 0;
    state.steps_in_a_row = 0;
    state.progress = 0;
    state.running = 0;
    state.failed = false;
    state.violation.clear();
    const Program& program = *state.program;
    memory::reset(program.harts, state.checks_races);
    program.begin();
    for (std::uint32_t i = 0; i < program.harts; ++i) {
        Fiber& fiber = state.fibers[i];
        fiber.mode = Mode::Ready;
        fiber.spun_at = 0;
        if (fiber.stack == nullptr) {
            fiber.stack = static_cast<std::byte*>(
                mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        }
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack;
        fiber.context.uc_stack.ss_size = kStackBytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, enter_fiber, 0);
    }
    std::array<std::uint32_t, kMaxHarts> enabled{};
    while (!state.failed) {
        // Option 0: the running hart, if it can go on; then the others in order, then events.
        std::uint32_t count = 0;
        const std::uint32_t last = state.running;
        const bool is_stuck = state.steps_in_a_row >= kPatience;
        const bool goes_on = state.steps != 0 && !is_stuck && can_run(last);
        for (std::uint32_t step = is_stuck ? 1 : 0; step < program.harts; ++step) {
            const std::uint32_t hart = (last + step) % program.harts;
            if (can_run(hart)) {
                enabled[count++] = hart;
            }
        }
        if (count == 0 && is_stuck && can_run(last)) {
            enabled[count++] = last;
        }
        if (count == 0 && memory::settle()) {
            ++state.progress;  // who spins looks again
            continue;
        }
        const std::uint32_t events = program.events();
        if (count == 0 && (events == 0 || program.is_done())) {
            break;
        }
        if (++state.steps > state.bounds.steps) {
            fail("livelock: no end after " + std::to_string(state.steps) + " steps");
            break;
        }
        const std::uint32_t free = goes_on ? 1 : std::max(count, count == 0 ? events : 0);
        const std::uint32_t taken = decide(count + events, free);
        if (taken >= count) {
            program.happen(taken - count);
            ++state.progress;
        } else {
            state.steps_in_a_row = enabled[taken] == last ? state.steps_in_a_row + 1 : 0;
            run_fiber(enabled[taken]);
        }
    }
    program.end();
}

// Goes to the next schedule in depth-first order; false when there is none.
bool next_schedule() {
    while (!state.choices.empty()) {
        Choice& choice = state.choices.back();
        if (choice.taken + 1 < choice.options) {
            ++choice.taken;
            return true;
        }
        state.choices.pop_back();
    }
    return false;
}

}  // namespace

Outcome explore(const Program& program, const Bounds& bounds) {
    state.program = &program;
    state.bounds = bounds;
    state.choices.clear();
    state.random.reset();
    Outcome outcome;
    const auto run_one = [&outcome] {
        state.checks_races = state.random || outcome.executions % state.bounds.races_in_one_of == 0;
        execute();
        ++outcome.executions;
        outcome.steps += state.steps;
        if (state.violation.empty()) {
            return false;
        }
        // Once more, to write down what happens.
        state.tracing = true;
        state.trace.clear();
        const std::string first = state.violation;
        execute();
        state.tracing = false;
        outcome.violation = first;
        outcome.trace = std::exchange(state.trace, {});
        return true;
    };
    do {
        if (run_one()) {
            return outcome;
        }
        if (outcome.executions >= bounds.executions) {
            break;
        }
    } while (next_schedule());
    outcome.complete = state.choices.empty();
    for (std::uint64_t sample = 0; sample < bounds.samples; ++sample) {
        state.choices.clear();
        state.random.emplace(bounds.seed + sample);
        if (run_one()) {
            outcome.violation += " (seed " + std::to_string(bounds.seed + sample) + ")";
            return outcome;
        }
    }
    return outcome;
}

void watch(const void* start, std::size_t bytes) {
    memory::watch(start, bytes);
}
void track(const void* start, std::size_t bytes) {
    memory::track(start, bytes);
}

void wait() {
    state.fibers[state.running].mode = Mode::Waiting;
    to_scheduler();
}

void spin() {
    if (!state.on_fiber) {
        return;
    }
    Fiber& fiber = state.fibers[state.running];
    fiber.mode = Mode::Spinning;
    fiber.spun_at = state.progress;
    to_scheduler();
}

void choice() {
    if (state.on_fiber) {
        to_scheduler();
    }
}

void catch_up(std::uint32_t hart) {
    if (state.on_fiber) {
        memory::catch_up(hart, state.running);
    }
}

std::uint32_t current_hart() {
    return state.running;
}
void as_hart(std::uint32_t hart) {
    state.running = hart;
}

void fail(std::string what) {
    if (!state.failed) {
        state.failed = true;
        state.violation = std::move(what);
    }
    if (state.on_fiber) {
        to_scheduler();
    }
}

bool is_tracing() {
    return state.tracing;
}
void note(std::string line) {
    if (state.tracing) {
        state.trace.push_back((state.on_fiber ? "hart " + std::to_string(state.running) + ": " : "world: ") +
                              std::move(line));
    }
}

void before_atomic(const volatile void* address) {
    if (state.on_fiber && memory::is_watched(address)) {
        to_scheduler();
    }
}

std::uint64_t atomic_load(const volatile void* address, std::uint64_t newest, memory::Order order) {
    if (!state.on_fiber) {
        return newest;
    }
    const std::uint64_t value = memory::load(state.running, address, newest, order,
                                             [](std::uint32_t options) { return decide(options, 1); });
    if (value != newest) {
        note("reads what was there before");
    }
    return value;
}

void atomic_store(const volatile void* address, std::uint64_t before, std::uint64_t value,
                  memory::Order order) {
    if (state.on_fiber) {
        memory::store(state.running, address, before, value, order);
    }
}

void atomic_exchange(const volatile void* address, std::uint64_t before, std::uint64_t value,
                     memory::Order order) {
    if (state.on_fiber) {
        memory::exchange(state.running, address, before, value, order);
    }
}

void atomic_failed_exchange(const volatile void* address, memory::Order order) {
    if (state.on_fiber) {
        memory::failed_exchange(state.running, address, order);
    }
}

void atomic_fence(memory::Order order) {
    if (state.on_fiber) {
        memory::fence(state.running, order);
    }
}

void plain_access(const volatile void* address, bool is_write, const void* code) {
    if (state.on_fiber && state.checks_races) {
        if (std::string race = memory::access(state.running, address, is_write, code); !race.empty()) {
            fail(std::move(race));
        }
    }
}

}  // namespace explore
