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
    Wide global{0};
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
    std::uint64_t wakes{0};

    [[nodiscard]] QosClass effective() const;
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
    bool set_attributes(Task& task, const Attributes& attributes, Instant now);
    void charge_current(Instant now) { account(now); }
    static void note_woken(Task& task, Instant now);
    static void note_created(Task& task, Instant now);
    void inherit_position(Task& child, const Task& parent);
    void raise_frame(QosClass qos_class, Wide global);

    [[nodiscard]] Instant next_event() const;
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
        Wide offset{0};
        Wide vt{0};
        Wide deadline{0};
        Wide request_end{0};
        std::uint64_t carry{0};
    };

    void account(Instant now);
    void charge(Duration service);
    [[nodiscard]] static Wide sum_weight(const Class& of);
    [[nodiscard]] static Wide virtual_now(const Class& of);
    [[nodiscard]] static bool is_eligible(const Class& of, const Task& task);
    [[nodiscard]] Wide root_now() const;
    [[nodiscard]] bool is_class_eligible(std::size_t index) const;
    [[nodiscard]] Wide place(const Class& into, const Task& task, Duration credit, bool is_home) const;
    void raise_frame(Class& of, Wide global) const;
    void join(Task& task, std::size_t index, EnqueueReason reason, bool is_home);
    void leave(Task& task, std::size_t index);
    Preempt judge(const Task& task, Instant now);
    void rescale_saved(Task& task, const Attributes& attributes, Instant now);
    void stop(Task& task) { task.order = ++orders_; }
    [[nodiscard]] std::vector<Task*> waiting(const Class& of) const;

    std::uint32_t cpu_;
    std::uint32_t capacity_;
    std::array<Class, kClasses> classes_;
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
