// SPDX-License-Identifier: MIT
// A small machine around the kernel's own dispatcher: harts that enter and leave the kernel as real ones do,
// and tasks whose user code is a list of system calls. After each execution it checks what must hold whatever
// the order: nobody is lost, nobody is in two places, no task ran where its mask forbids it once the setter
// had returned, no hart idles beside work, no lock is held.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "explorer.hpp"
#include "lib/cpu_mask.hpp"
#include "nexus_abi/sched.hpp"
#include "sched/attributes.hpp"
#include "task/process.hpp"
#include "task/task.hpp"
#include "task/wait.hpp"
#include "wire.hpp"

namespace explore {

class World;

// A counting semaphore over a wait queue: what every blocking call looks like inside.
struct Semaphore {
    kernel::task::WaitQueue queue;
    std::uint32_t count{0};
};

// The user code of one task.
struct Actor {
    std::string name;
    kernel::Ref<kernel::task::Task> task;
    // System calls in order, each made in kernel mode as the handler of a trap. False: it ran to its end
    // without blocking and has set its result itself.
    std::vector<std::function<void(World&, Actor&)>> calls;
    bool spins{false};      // after its calls: runs for ever instead of exiting
    bool may_sleep{false};  // being asleep at the end is no fault
    std::size_t next_call{0};
    Wire<bool> is_done{false};
    std::int32_t in_user_on{-1};  // the hart that executes it in user mode
    std::uint32_t setters{0};     // mask changes of it that have not returned
    Actor* setting{nullptr};      // whose mask its own call changes, until that has returned
    kernel::CpuMask set_to;
    std::vector<std::uint32_t> ran_on;
};

class World {
  public:
    explicit World(std::uint32_t harts);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    Actor& add(std::string name, std::uint32_t start_on, kernel::CpuMask mask = kernel::CpuMask::all(),
               kernel::sched::QosClass qos_class = kernel::sched::QosClass::Normal);
    Semaphore& add_semaphore();
    // The harts work out paces (sched/rate_oracle.hpp), which is many steps more; by default they do not.
    static void find_paces();

    // ---- System calls, for Actor::calls ----
    static std::function<void(World&, Actor&)> set_mask(Actor& target, kernel::CpuMask mask);
    static std::function<void(World&, Actor&)> set_class(Actor& target, kernel::sched::QosClass qos_class);
    static std::function<void(World&, Actor&)> set_shares(Actor& target, std::uint32_t shares);
    static std::function<void(World&, Actor&)> down(Semaphore& semaphore);
    static std::function<void(World&, Actor&)> down_until(Semaphore& semaphore, kernel::Duration timeout);
    static std::function<void(World&, Actor&)> up(Semaphore& semaphore);
    static std::function<void(World&, Actor&)> sleep(kernel::Duration time);
    static std::function<void(World&, Actor&)> yield();
    static std::function<void(World&, Actor&)> kill(Actor& target);
    static std::function<void(World&, Actor&)> set_online(std::uint32_t hart, bool online);
    // Words of user memory that are 0 at first, after watch_words(). A wait is for a word to be no longer 0;
    // to wake stores 1 before.
    static constexpr std::uint32_t kWords = 2;
    void watch_words();
    static std::function<void(World&, Actor&)> futex_wait(std::uint32_t word, kernel::Duration timeout = {});
    static std::function<void(World&, Actor&)> futex_wake(std::uint32_t word, std::uint32_t count);
    static std::function<void(World&, Actor&)> futex_requeue(std::uint32_t from, std::uint32_t to);

    // ---- The explorer's side ----
    void begin_run();
    void hart(std::uint32_t index);
    [[nodiscard]] bool can_resume(std::uint32_t index);
    [[nodiscard]] std::uint32_t events();
    void happen(std::uint32_t event);
    [[nodiscard]] bool is_done();
    void check_end();

    // More to check at the end of a run.
    std::function<void(World&)> at_end;
    [[nodiscard]] std::deque<Actor>& actors() { return actors_; }

  private:
    void user_mode(std::uint32_t index);
    Actor& actor_of(kernel::task::Task& task);
    void end_task(kernel::task::Task& task);
    void check_places();
    void check_waits();
    void check_idle();
    void release_all();

    std::uint32_t harts_;
    std::deque<Actor> actors_;
    std::deque<Semaphore> semaphores_;
    std::uint32_t time_steps_{0};
};

// Explores a world that `build` makes anew for every execution.
[[nodiscard]] Outcome explore_world(std::uint32_t harts, const std::function<void(World&)>& build,
                                    const Bounds& bounds);

}  // namespace explore
