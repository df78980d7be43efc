// SPDX-License-Identifier: MIT
// The inside of Simulation. Each hart is either in user mode, asleep, or somewhere on a kernel path; a kernel
// path is a plain function that, where locked sections are interleaved, stops before each of them
// (section()). Internal to the library.
//
//   machine.cpp        events and time
//   exit_path.cpp      the dispatcher: what a hart does between kernel entry and user mode
//   moves.cpp          placement, inboxes, IPIs, balancing
//   actions.cpp        what tasks ask for
//   interventions.cpp  attributes, exit, offline and online
//   checks.cpp         the engine's invariants
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine.hpp"
#include "fiber.hpp"
#include "next_events.hpp"
#include "sched/balance.hpp"
#include "sched/load.hpp"
#include "sched/machine_shape.hpp"
#include "sched/run_queue.hpp"
#include "task/timer_queue.hpp"

namespace sched_sim {

using kernel::sched::BalanceState;
using kernel::sched::EnqueueReason;
using kernel::sched::HartLoad;
using kernel::sched::MachineBalance;
using kernel::sched::PutReason;
using kernel::sched::TaskState;

// As kernel/task/task.hpp: where a task is on its way between running and asleep.
enum class RunState : std::uint8_t { Running, Ready, Blocking, Woken, Blocked, Dead };

struct Task {
    struct OwnedEntity : Entity {
        explicit OwnedEntity(Task& task) : owner{task} { keep_runtime_by_cpu(time); }
        Task& owner;
        std::array<kernel::Duration, kernel::kMaxCpus> time{};
    };

    struct OwnedTimer : kernel::task::Timer {
        explicit OwnedTimer(Task& task) : owner{task} {}
        Task& owner;
    };

    Task(TaskIndex number, std::uint64_t seed) : index{number}, random{seed} {}

    OwnedEntity entity{*this};
    TaskIndex index;
    std::string name;
    TaskIndex parent{kNoTask};
    BehaviourPtr behaviour;
    Random random;
    Attributes wanted;  // masks as asked for, before harts went offline

    RunState run_state{RunState::Ready};
    CpuId home;
    EnqueueReason enqueue_reason{EnqueueReason::New};
    MoveReason move_reason{MoveReason::Wake};
    bool must_exit{false};
    bool throttled_here{false};

    bool needs_action{true};
    bool runs_forever{false};
    std::int64_t work_left{0};           // in 1024ths of a nanosecond of a full hart
    kernel::sched::Int128 work_done{0};  // likewise; 104 simulated days would not fit 64 bits
    Duration overhead_left{};            // of the switch to it, in time
    Instant acted_at{};                  // when it last asked for an action, and how often at that instant
    std::uint32_t actions_now{0};

    std::optional<CpuId> ran_on;
    Instant woken_at{};
    bool wake_pending{false};
    std::optional<Instant> released_at;  // the end of its last Sleep or Wait
    Instant waits_since{};
    bool waits{false};
    Instant throttled_since{};

    OwnedTimer timer{*this};
    std::uint32_t waits_for_semaphore{kNoObject};
    std::uint32_t waits_for_mutex{kNoObject};
    bool takes_mutex{false};  // what it waits for, or is woken with
    std::vector<MutexIndex> owned;
    std::shared_ptr<kernel::sched::Budget> budget;
    std::shared_ptr<kernel::sched::Group> group;

    TaskRecord record;
    Duration marked_runtime{};
    Duration marked_work{};

    static constexpr std::uint32_t kNoObject = ~std::uint32_t{0};
};

struct Hart {
    RunQueue queue;
    std::uint32_t capacity{kernel::sched::kCapacityFull};
    HartLoad load;  // as published
    bool load_is_stale{false};
    std::vector<Task*> throttled;
    BalanceState balance;
    kernel::task::TimerQueue timers;
    std::vector<Task*> inbox;  // a stack
    bool ipi_pending{false};

    Task* current{nullptr};
    bool asleep{true};
    bool recheck{false};
    bool yield_requested{false};
    bool was_called{false};  // woken from sleep, and has not looked for work elsewhere since
    bool is_wanted{false};   // interrupted, or runs a lower class than waits elsewhere
    bool exit_requested{false};

    Instant progress_at{};  // the current task's work is complete up to here
    Instant programmed{Instant::never()};
    Instant timer_at{Instant::never()};  // when it interrupts: `programmed`, or now when that is past
    Instant ipi_at{Instant::never()};
    bool in_kernel{false};  // between two sections of a kernel path

    HartRecord record;
};

struct Semaphore {
    std::uint64_t units{0};
    std::deque<Task*> waiters;
};

struct Mutex {
    Task* owner{nullptr};
    std::vector<Task*> waiters;  // in order of arrival
};

struct Intervention {
    Instant at;
    std::uint64_t order{0};
    std::function<void()> what;
};

class Machine {
  public:
    Machine(Simulation& owner, Config wanted);
    ~Machine();

    // --- machine.cpp ---
    void run_until(Instant end);
    void at(Instant when, std::function<void()> what);
    void plan_interventions();
    [[nodiscard]] std::uint32_t choose_source();
    void run_hart(Hart& hart, std::uint32_t source);
    void intervene();
    void section();  // before each locked section
    void note_progress(Hart& hart);
    void plan(Hart& hart);
    void fail(std::string what);
    Task& make_task(std::string name, const Attributes& attributes, BehaviourPtr behaviour);
    [[nodiscard]] Hart& hart_of(CpuId cpu) { return *harts[cpu.value()]; }
    [[nodiscard]] static Task& task_of(Entity& entity) {
        return static_cast<Task::OwnedEntity&>(entity).owner;
    }
    static const Task& task_of(const Entity& entity) {
        return static_cast<const Task::OwnedEntity&>(entity).owner;
    }
    struct HartsView;

    // --- moves.cpp ---
    void publish_load(Hart& hart);
    void place(Task& task, EnqueueReason reason);
    bool take_in(Hart& hart, Task& task);
    bool drain_inbox(Hart& hart);
    void send_to(CpuId cpu, Task& task);
    void kick(CpuId cpu);
    bool call_for_help(const Hart& hart);
    void pass_call_on();
    bool answer_call(Hart& hart);
    bool idle_pull(Hart& hart);
    bool balance(Hart& hart, const kernel::sched::Pick& pick);
    void wake(Task& task);
    void start_task(Task& task, Task* parent);
    void enqueue_here(Hart& hart, Task& task);

    // --- exit_path.cpp ---
    void enter_kernel(Hart& hart);
    void exit_to_user(Hart& hart);
    void program_timer(Hart& hart);
    void expire_timers(Hart& hart);
    bool look_for_work(Hart& hart);
    void settle_blocked(Task& task);
    void arm_timer(Hart& hart, Task& task, Instant deadline);

    // --- actions.cpp ---
    void act(Hart& hart, Task& task);
    void note_response(Task& task);
    void begin_block(Hart& hart, Task& task);
    void post_semaphore(Semaphore& semaphore);
    void lock_mutex(Hart& hart, Task& task, MutexIndex index);
    void unlock_mutex(Task& task, MutexIndex index);
    void update_donations(Task* owner);
    void set_donation(Task& task, const kernel::sched::Donation& donation, bool is_any);
    void cancel_waits(Task& task);
    void leave_everything(Task& task);

    // --- interventions.cpp ---
    void set_attributes(Task& task, const Attributes& attributes);
    void set_budget(Task& task, std::shared_ptr<kernel::sched::Budget> budget);
    void set_group(Task& task, std::shared_ptr<kernel::sched::Group> group);
    // After a change of a task's standing on this hart, its lock just dropped.
    void follow_change(Hart& hart, bool needs_kick);
    void kill(Task& task);
    void refit_masks();
    void offline(CpuId cpu);
    void online_again(CpuId cpu);

    // --- checks.cpp ---
    [[nodiscard]] std::string audit() const;
    [[nodiscard]] std::string check_hart(const Hart& hart) const;
    [[nodiscard]] std::string check_places() const;
    [[nodiscard]] std::string check_idle_harts() const;
    [[nodiscard]] bool is_help_on_the_way(const Hart& hart) const;
    [[nodiscard]] std::string check_accounts() const;

    template <class F>
    void tell(F&& f) {
        for (Observer* observer : observers) {
            f(*observer);
        }
    }
    void mix(std::uint64_t value) { fingerprint = (fingerprint ^ value) * 0x100000001b3U; }

    Simulation& simulation;
    Config config;
    Random random;
    Instant now;
    Instant start;
    std::vector<std::unique_ptr<Hart>> harts;
    std::vector<std::unique_ptr<Task>> tasks;
    std::vector<Semaphore> semaphores;
    std::vector<Mutex> mutexes;
    std::vector<Intervention> interventions;  // a heap
    std::vector<Observer*> observers;
    CpuMask online;
    CpuMask idle;
    MachineBalance shared;
    kernel::sched::MachineShape shape;
    NextEvents next;
    Hart* self{nullptr};                         // whose kernel path runs; null: an intervention's
    std::vector<std::unique_ptr<Fiber>> fibers;  // one per hart and one for interventions
    bool resumes_intervention{false};
    std::uint64_t order{0};
    std::uint64_t events{0};
    std::uint64_t fingerprint{0xcbf29ce484222325U};
    std::string violation;
};

// The machine as sched/balance.hpp sees it.
struct Machine::HartsView {
    Machine& machine_;

    [[nodiscard]] CpuMask online() const { return machine_.online; }
    [[nodiscard]] const HartLoad& load(CpuId cpu) const { return machine_.harts[cpu.value()]->load; }
    template <class F>
    auto with_queue(CpuId cpu, F&& f) {
        machine_.section();
        Hart& hart = machine_.hart_of(cpu);
        const auto result = f(hart.queue);
        machine_.publish_load(hart);
        return result;
    }
    void set_home(Entity& entity, CpuId cpu) const;
    void send(Entity& entity, CpuId cpu);
    [[nodiscard]] Instant now() const { return machine_.now; }
    [[nodiscard]] MachineBalance& machine() const { return machine_.shared; }
};

}  // namespace sched_sim
