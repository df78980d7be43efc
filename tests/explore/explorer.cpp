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
constexpr std::uint32_t kMaxHarts = 8;

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

struct Range {
    std::uintptr_t start;
    std::uintptr_t end;
};

struct State {
    const Program* program{nullptr};
    Bounds bounds;
    std::array<Fiber, kMaxHarts> fibers;
    ucontext_t main{};
    std::uint32_t running{0};
    bool on_fiber{false};
    bool failed{false};
    std::string violation;
    std::vector<Range> watched;
    std::uint64_t progress{0};
    std::uint32_t steps{0};
    // The schedule: the first `forced` choices repeat the last execution's.
    std::vector<Choice> choices;
    std::size_t next_choice{0};
    std::uint32_t preemptions{0};
    std::optional<std::mt19937_64> random;
    bool tracing{false};
    std::vector<std::string> trace;
};
State state;

// Which of `options` ways to go on. The first `free` of them cost nothing, the others a preemption.
std::uint32_t decide(std::uint32_t options, std::uint32_t free) {
    const bool is_spent = !state.random && state.preemptions >= state.bounds.preemptions;
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
    state.preemptions += choice.taken >= free ? 1 : 0;
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
    state.preemptions = 0;
    state.steps = 0;
    state.progress = 0;
    state.running = 0;
    state.failed = false;
    state.violation.clear();
    state.watched.clear();
    const Program& program = *state.program;
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
        const bool goes_on = state.steps != 0 && can_run(last);
        for (std::uint32_t step = 0; step < program.harts; ++step) {
            const std::uint32_t hart = (last + step) % program.harts;
            if (can_run(hart)) {
                enabled[count++] = hart;
            }
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
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    state.watched.push_back({address, address + bytes});
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

// Called before an operation on an atomic.
void before_atomic(const volatile void* address);
void before_atomic(const volatile void* address) {
    if (!state.on_fiber) {
        return;
    }
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    for (const Range& range : state.watched) {
        if (at >= range.start && at < range.end) {
            to_scheduler();
            return;
        }
    }
}

}  // namespace explore
