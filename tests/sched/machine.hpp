// SPDX-License-Identifier: MIT
// A machine for tests: harts with real run queues, tasks that run and sleep as told, a clock that jumps from
// event to event. Switches and IPIs cost nothing. It does what the kernel's dispatcher does, in its order,
// and has the auditor look at every queue after every step unless told not to.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <ostream>
#include <vector>

#include "sched/auditor.hpp"
#include "sched/balance.hpp"
#include "sched/params.hpp"
#include "sched/placement.hpp"
#include "sched/run_queue.hpp"

namespace kernel {
// How GoogleTest prints them.
inline void PrintTo(const Duration& duration, std::ostream* out) {
    *out << duration.ns() << " ns";
}
inline void PrintTo(const Instant& instant, std::ostream* out) {
    *out << instant.ns() << " ns";
}
inline void PrintTo(const CpuId& cpu, std::ostream* out) {
    *out << "cpu" << cpu.value();
}
}  // namespace kernel

namespace sched_test {

using kernel::CpuId;
using kernel::CpuMask;
using kernel::Duration;
using kernel::Instant;
using kernel::sched::Attributes;
using kernel::sched::Entity;
using kernel::sched::Faults;
using kernel::sched::QosClass;
using kernel::sched::RunQueue;
using kernel::sched::TaskState;

constexpr Duration operator""_ms(unsigned long long n) {
    return Duration::milliseconds(static_cast<std::int64_t>(n));
}
constexpr Duration operator""_us(unsigned long long n) {
    return Duration::microseconds(static_cast<std::int64_t>(n));
}
constexpr Duration operator""_ns(unsigned long long n) {
    return Duration::nanoseconds(static_cast<std::int64_t>(n));
}
constexpr Duration operator""_s(unsigned long long n) {
    return Duration::seconds(static_cast<std::int64_t>(n));
}
constexpr Instant at(Duration since_boot) {
    return Instant{} + since_boot;
}

// What a task does: run `work` of CPU time, sleep `rest`, again. work 0: it never stops.
struct Behaviour {
    Duration work{};
    Duration rest{};
    Duration first_wake{};
};

struct Task;
struct OwnedEntity : Entity {
    explicit OwnedEntity(Task& task) : owner{task} { keep_runtime_by_cpu(time); }
    Task& owner;
    std::array<Duration, kernel::kMaxCpus> time{};
};

struct Task {
    OwnedEntity entity{*this};
    Behaviour behaviour;
    Duration left{};   // CPU time until it sleeps; not used by hogs
    Instant wakes_at;  // while Blocked
    Duration mark{};   // runtime at the last Machine::mark()
};

class Machine {
  public:
    // What balance.hpp needs. Each method is what the kernel does under its locks.
    class Harts {
      public:
        explicit Harts(Machine& machine) : machine_{machine} {}
        [[nodiscard]] CpuMask online() const { return machine_.online(); }
        [[nodiscard]] const kernel::sched::HartLoad& load(CpuId cpu) const {
            return machine_.loads_[cpu.value()];
        }
        template <class F>
        auto with_queue(CpuId cpu, F&& f) {
            const auto result = f(*machine_.queues_[cpu.value()]);
            machine_.publish(cpu.value());
            return result;
        }
        void set_home(Entity&, CpuId) {}
        void send(Entity& entity, CpuId cpu) {
            ++machine_.migrations_;
            machine_.enqueue(entity, cpu, kernel::sched::EnqueueReason::Migrate);
        }
        [[nodiscard]] Instant now() const { return machine_.now_; }
        [[nodiscard]] kernel::sched::MachineBalance& machine() { return machine_.balance_; }

      private:
        Machine& machine_;
    };

    // second_capacity: of every hart but the first.
    explicit Machine(std::uint32_t harts = 1, Faults faults = {}, Instant start = Instant{},
                     std::uint32_t second_capacity = kernel::sched::kCapacityFull);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    Task& add(const Attributes& attributes, const Behaviour& behaviour = {});
    Task& add_hog(QosClass qos_class, std::uint32_t shares, CpuMask mask = CpuMask::all());
    // Advances to `end`; every queue is audited after every step.
    void run_until(Instant end);
    void run_for(Duration span) { run_until(now_ + span); }
    void set(Task& task, const Attributes& attributes);
    void set_shares(Task& task, std::uint32_t shares);
    void exit(Task& task);
    void set_budget(Task& task, kernel::sched::Budget* budget) {
        home(task).set_budget(task.entity, budget, now_);
        publish(task.entity.cpu().value());
        settle();
    }
    void set_group(Task& task, kernel::sched::Group* group) {
        home(task).set_group(task.entity, group, now_);
        publish(task.entity.cpu().value());
        settle();
    }
    void donate(Task& task, const kernel::sched::Donation& donation) {
        home(task).set_donation(task.entity, donation, now_);
        publish(task.entity.cpu().value());
        settle();
    }
    void end_donation(Task& task) {
        home(task).end_donation(task.entity, now_);
        publish(task.entity.cpu().value());
        settle();
    }
    // The current task of a hart gives way.
    void yield(std::uint32_t hart);

    [[nodiscard]] Instant now() const { return now_; }
    [[nodiscard]] RunQueue& queue(std::uint32_t hart = 0) { return *queues_[hart]; }
    [[nodiscard]] std::uint64_t events() const { return events_; }
    // Tasks an idle hart took from another, and all that balancing moved, those included.
    [[nodiscard]] std::uint64_t steals() const;
    [[nodiscard]] std::uint64_t migrations() const { return migrations_; }
    [[nodiscard]] kernel::sched::BalanceState& balance_state(std::uint32_t hart) { return states_[hart]; }
    [[nodiscard]] Harts& harts() { return harts_; }
    // Long runs look at the queues at their ends only.
    void audit_every_step(bool wanted) { audits_ = wanted; }
    [[nodiscard]] std::deque<std::unique_ptr<Task>>& tasks() { return tasks_; }
    // Remembers every task's runtime; since_mark() is what it got after.
    void mark();
    [[nodiscard]] Duration since_mark(const Task& task) const {
        return task.entity.runtime(now_) - task.mark;
    }
    // busy + idle of every hart is the time passed, and busy is what the tasks were charged.
    void expect_exact_accounts();

  private:
    [[nodiscard]] RunQueue& home(const Task& task) { return *queues_[task.entity.cpu().value()]; }
    void place(Task& task, kernel::sched::EnqueueReason reason);
    void settle();
    void pick(std::uint32_t hart);
    void enqueue(Entity& entity, CpuId cpu, kernel::sched::EnqueueReason reason);
    void publish(std::uint32_t hart);
    void audit();
    [[nodiscard]] Instant next_event() const;
    [[nodiscard]] CpuMask online() const {
        return CpuMask::first(static_cast<std::uint32_t>(queues_.size()));
    }
    static Task& owner(Entity& entity);

    std::vector<std::unique_ptr<RunQueue>> queues_;
    std::deque<std::unique_ptr<Task>> tasks_;
    Instant start_;
    Instant now_;
    std::uint64_t events_{0};
    std::uint64_t migrations_{0};
    std::vector<kernel::sched::HartLoad> loads_;
    std::vector<kernel::sched::BalanceState> states_;
    kernel::sched::MachineBalance balance_;
    Harts harts_{*this};
    bool audits_{true};
};

// Attributes in one line.
Attributes make(QosClass qos_class, std::uint32_t shares = 100, CpuMask mask = CpuMask::all());
double ratio(Duration a, Duration b);

}  // namespace sched_test
