// SPDX-License-Identifier: MIT
#include "analogues.hpp"

#include <utility>

namespace sched_sim {
namespace {

constexpr Duration kMessengerWork = Duration::microseconds(5);
constexpr std::uint32_t kPipeMessages = 16;

BehaviourPtr make_messenger(std::vector<SemaphoreIndex> workers, SemaphoreIndex done, Distribution rest) {
    std::size_t step = 0;
    const std::size_t count = workers.size();
    return program([=, workers = std::move(workers)](const Self& self) mutable {
        const std::size_t now = step;
        step = step == 2 * count + 1 ? 0 : step + 1;
        if (now == 0) {
            return run(kMessengerWork);
        }
        if (now <= count) {
            return post(workers[now - 1]);
        }
        return now <= 2 * count ? wait_on(done) : sleep_for(rest.draw(self.random));
    });
}

BehaviourPtr make_worker(SemaphoreIndex go, SemaphoreIndex done, Distribution work) {
    unsigned step = 0;
    return program([=](const Self& self) mutable {
        switch (step++ % 3) {
            case 0:
                return wait_on(go);
            case 1:
                return run(work.draw(self.random));
            default:
                return post(done);
        }
    });
}

struct Pipe {
    SemaphoreIndex space;
    SemaphoreIndex messages;
};

BehaviourPtr make_sender(std::vector<Pipe> pipes, Distribution work) {
    std::size_t step = 0;
    return program([=, pipes = std::move(pipes)](const Self& self) mutable {
        const Pipe& pipe = pipes[step / 3 % pipes.size()];
        switch (step++ % 3) {
            case 0:
                return run(work.draw(self.random));
            case 1:
                return wait_on(pipe.space);
            default:
                return post(pipe.messages);
        }
    });
}

BehaviourPtr make_receiver(Pipe pipe, Distribution work) {
    unsigned step = 0;
    return program([=](const Self& self) mutable {
        switch (step++ % 3) {
            case 0:
                return wait_on(pipe.messages);
            case 1:
                return post(pipe.space);
            default:
                return run(work.draw(self.random));
        }
    });
}

}  // namespace

std::vector<Part> schbench(Simulation& simulation, std::uint32_t messengers, std::uint32_t workers,
                           Distribution work, Distribution rest) {
    std::vector<Part> parts;
    for (std::uint32_t m = 0; m < messengers; ++m) {
        const SemaphoreIndex done = simulation.make_semaphore();
        std::vector<SemaphoreIndex> starts;
        for (std::uint32_t w = 0; w < workers; ++w) {
            const SemaphoreIndex go = simulation.make_semaphore();
            starts.push_back(go);
            parts.push_back({.role = "worker", .behaviour = make_worker(go, done, work)});
        }
        parts.push_back({.role = "messenger", .behaviour = make_messenger(std::move(starts), done, rest)});
    }
    return parts;
}

std::vector<Part> hackbench(Simulation& simulation, std::uint32_t groups, std::uint32_t pairs,
                            Distribution work) {
    std::vector<Part> parts;
    for (std::uint32_t g = 0; g < groups; ++g) {
        std::vector<Pipe> pipes;
        for (std::uint32_t p = 0; p < pairs; ++p) {
            pipes.push_back(
                {.space = simulation.make_semaphore(kPipeMessages), .messages = simulation.make_semaphore()});
            parts.push_back({.role = "receiver", .behaviour = make_receiver(pipes.back(), work)});
        }
        for (std::uint32_t p = 0; p < pairs; ++p) {
            parts.push_back({.role = "sender", .behaviour = make_sender(pipes, work)});
        }
    }
    return parts;
}

Part build(Simulation& simulation, std::uint32_t parallel, std::uint32_t jobs, Distribution work,
           const NewTask& job) {
    const SemaphoreIndex slots = simulation.make_semaphore(parallel);
    std::uint32_t started = 0;
    bool has_slot = false;
    auto master = program([=](const Self& self) mutable {
        if (!has_slot) {
            has_slot = true;
            return started == jobs ? exit_now() : wait_on(slots);
        }
        has_slot = false;
        const Duration compute = work.draw(self.random);
        auto child = std::make_shared<NewTask>(job);
        child->name += " " + std::to_string(started++);
        child->behaviour = script({sleep_for(compute / 10), run(compute), post(slots)});
        return Action{.kind = Action::Kind::Fork, .child = std::move(child)};
    });
    return {.role = "make", .behaviour = std::move(master)};
}

}  // namespace sched_sim
