// SPDX-License-Identifier: MIT
// The scheduler once more, as plainly as it can be said: every decision of a hart by a scan over a list, in
// 128-bit numbers that never wrap, without a tree, an augment, a kept sum or a moving base. Written from the
// formulas (class_queue.hpp, run_queue.hpp, virtual_time.hpp), to be compared with the kernel's library step
// by step (differential_test.cpp). Slow on purpose: O(n) or worse per call.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sched/run_queue.hpp"

namespace sched_test::reference {

using kernel::CpuId;
using kernel::Duration;
using kernel::Instant;
using kernel::sched::Attributes;
using kernel::sched::EnqueueReason;
using kernel::sched::HartLoad;
using kernel::sched::kClasses;
using kernel::sched::Preempt;
using kernel::sched::PutReason;
using kernel::sched::QosClass;
using kernel::sched::TaskState;
__extension__ typedef __int128 Wide;

// The low 64 bits: what a wrapping virtual time of the library shows.
inline std::uint64_t wrapped(Wide value) {
    return static_cast<std::uint64_t>(value);
}

struct Task;

// Members count for at most `ceiling` shares together.
struct Group {
    std::uint32_t ceiling{0};
    std::vector<const Task*> runnable;
};

struct Task {
    std::uint32_t id{0};
    Attributes attributes;
    TaskState state{TaskState::Blocked};
    std::uint32_t hart{0};
    Instant since;
    Instant woken_at;
    bool wake_pending{false};

    Wide vt{0};
    Wide deadline{0};
    Wide request_end{0};
    std::uint64_t carry{0};
    std::uint32_t weight{0};
    bool fresh{false};
    bool has_global{false};
    QosClass frame{QosClass::Normal};
    Wide progress{0};  // as vt, but for what a placement could not grant: that stays on the account
    Wide global{0};
    bool is_local{false};
    Wide lag{0};
    std::uint64_t order{0};  // when it began to wait: ties go to the first

    Duration runtime;
    Duration wait;
    Duration wait_max;
    Duration sleep;
    std::uint64_t voluntary{0};
    std::uint64_t involuntary{0};
    std::uint64_t preempted{0};
    std::uint64_t migrations{0};
    std::uint64_t throttles{0};
    Duration boosted;
    Duration throttled;

    QosClass effective{QosClass::Normal};
    bool is_boosted{false};
    std::int64_t tokens{0};  // tenths of a nanosecond
    Instant tokens_at;
    bool is_donated{false};
    kernel::sched::Donation donation;
    kernel::sched::Budget* budget{nullptr};
    kernel::sched::BudgetWaiter waiter;
    Duration granted;
    Instant release_at;
    Group* group{nullptr};

    [[nodiscard]] Duration latency() const;
    [[nodiscard]] std::uint32_t weight_now() const;
    [[nodiscard]] bool wants_boost() const;
    [[nodiscard]] bool is_capped() const { return budget != nullptr && !is_donated; }
    [[nodiscard]] QosClass class_now() const;
    [[nodiscard]] bool is_on_queue() const {
        return state == TaskState::Queued || state == TaskState::Running;
    }
};

struct Choice {
    Task* task{nullptr};
    bool switched{false};
};

class Hart {
  public:
    Hart(std::uint32_t cpu, Instant now, std::uint32_t capacity);

    Preempt enqueue(Task& task, Instant now, EnqueueReason reason);
    void remove(Task& task, Instant now);
    void put_current(Instant now, PutReason reason);
    Choice pick_next(Instant now);
    bool yield_alone();
    bool set_attributes(Task& task, const Attributes& attributes, Instant now);
    void charge_current(Instant now) { account(now); }
    void set_donation(Task& task, const kernel::sched::Donation& donation, Instant now);
    void end_donation(Task& task, Instant now);
    void set_budget(Task& task, kernel::sched::Budget* budget, Instant now);
    void set_group(Task& task, Group* group, Instant now);
    void note_woken(Task& task, Instant now);
    static void note_created(Task& task, Instant now);
    void inherit_position(Task& child, const Task& parent);
    void raise_frame(QosClass qos_class, Wide global);

    [[nodiscard]] Instant next_event(Instant now) const;
    [[nodiscard]] Task* find_stealable(CpuId thief) const;
    [[nodiscard]] HartLoad load() const;
    [[nodiscard]] Duration lag(const Task& task) const;
    [[nodiscard]] Wide global_now(QosClass qos_class) const;
    [[nodiscard]] std::uint32_t count(QosClass qos_class) const;
    [[nodiscard]] Task* current() const { return current_; }
    [[nodiscard]] std::uint32_t runnable() const;
    [[nodiscard]] Duration busy() const { return busy_; }
    [[nodiscard]] Duration idle() const { return idle_; }

  private:
    struct Class {
        std::vector<Task*> members;  // waiting and running
        Wide empty_at{0};            // V when the last member left
        Wide empty_progress{0};
        Wide offset{0};
        Wide vt{0};
        Wide deadline{0};
        Wide request_end{0};
        std::uint64_t carry{0};
    };

    void account(Instant now);
    void charge(Duration service, Instant at);
    void spend(Instant from, Instant to);
    void drain(Duration ran, Instant at);
    [[nodiscard]] static Wide sum_weight(const Class& of);
    [[nodiscard]] static Wide virtual_now(const Class& of);
    [[nodiscard]] static bool is_eligible(const Class& of, const Task& task);
    [[nodiscard]] Wide root_now() const;
    [[nodiscard]] bool is_class_eligible(std::size_t index) const;
    [[nodiscard]] static Wide progress_now(const Class& of);
    void place(const Class& into, Task& task, Duration credit, bool keeps_credit) const;
    void raise_frame(Class& of, Wide global) const;
    void join(Task& task, std::size_t index, EnqueueReason reason);
    void leave(Task& task, std::size_t index);
    static void take_place(const Class& from, Task& task);
    Preempt judge(const Task& task, Instant now);
    void rescale_saved(Task& task, QosClass to, std::uint32_t weight, Instant now);
    void adopt_frame(Task& task);
    void set_request(Task& task, const Class& among) const;
    void follow_class(Task& task, Instant now);
    void follow_weight(Task& task);
    void reweigh(Task& task, std::uint32_t weight);
    void hasten(Task& task, Instant now);
    bool take_grant(Task& task, Instant now);
    void return_grant(Task& task);
    void throttle(Task& task, Instant now, bool is_waiting);
    void unthrottle(Task& task, Instant now);
    void release(Task& task, Instant now);
    void reconsider(Task& task, Instant now);
    [[nodiscard]] Task* first_throttled() const;
    [[nodiscard]] Task* choose(Instant now);
    void stop(Task& task) { task.order = ++orders_; }
    [[nodiscard]] std::vector<Task*> waiting(const Class& of) const;

    std::uint32_t cpu_;
    std::uint32_t capacity_;
    std::array<Class, kClasses> classes_;
    std::vector<Task*> throttled_;
    Wide root_last_{0};
    Task* current_{nullptr};
    const Task* last_run_{nullptr};
    std::uint64_t orders_{0};
    bool request_ended_{false};
    Instant clock_;
    Instant picked_at_;
    Instant resched_at_{Instant::never()};
    Duration busy_;
    Duration idle_;
};

}  // namespace sched_test::reference
