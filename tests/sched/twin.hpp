// SPDX-License-Identifier: MIT
// The kernel's run queues and the reference (reference.hpp) side by side: every operation is done to both,
// and whatever either decides or shows is compared after it. A sequence of operations is data, so that a
// failing one can be cut down to what is needed and printed.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "reference.hpp"
#include "sched/run_queue.hpp"

namespace sched_test {

struct Operation {
    enum class Kind : std::uint8_t {
        Advance,    // the clock moves by `amount`
        AdvanceTo,  // the clock moves to the next event of `hart`, at most `amount` ahead
        Wake,       // a task that is asleep or new becomes runnable on `hart`
        NoteWoken,  // the same, but it is under way from now on
        Arrive,     // a task under way is enqueued on `hart`
        Fork,       // a new task starts on `hart` behind the one that runs there
        Block,      // the current task of `hart` ...
        Yield,
        Preempt,
        Evict,
        Exit,  // ... and this is done to the task, whatever it does
        Pick,
        Charge,
        Remove,      // a waiting task leaves its queue
        Steal,       // `hart` takes a task from `other`
        RaiseFrame,  // one class's frame on `hart` follows the one on `other`
        Set,         // new attributes for the task, in any state
        Lend,        // the class and hint of the attributes, and the budget `other` unless it is the last
        EndLoan,
        Budget,   // the task draws on the budget `other`; the last one is none
        Group,    // the task counts for the group `other`; the last one is none
        Ceiling,  // of the group `other`: the shares of the attributes
    };
    Kind kind{Kind::Pick};
    std::uint32_t hart{0};
    std::uint32_t other{0};
    std::uint32_t task{0};
    std::int64_t amount{0};
    std::int64_t late{0};  // the operation reads the clock this long before it is done
    kernel::sched::Attributes attributes{};

    [[nodiscard]] std::string text() const;
};

struct Shape {
    std::uint32_t harts{1};
    std::uint32_t tasks{8};
    std::uint64_t seed{1};
    std::int64_t start_ns{0};
    kernel::sched::Faults faults{};
    // Tasks of one class without budgets, groups and loans: what run_queue_plain.cpp is for.
    bool is_usual{false};
    // And of those mostly what two tasks do that wake each other.
    bool is_ping_pong{false};
};

class Twin {
  public:
    explicit Twin(const Shape& shape);
    ~Twin();
    Twin(const Twin&) = delete;
    Twin& operator=(const Twin&) = delete;

    // Does it to both, or to neither where it makes no sense now. What differs afterwards, if anything does.
    std::optional<std::string> apply(const Operation& operation);

    // How often the library took its short way (run_queue_plain.cpp). The others of those that might have
    // been one were done in the general way, or the short one was refused.
    struct PlainSteps {
        std::uint64_t wakes{0};
        std::uint64_t switches{0};
        std::uint64_t put_off{0};     // wake-ups by wake_later() ...
        std::uint64_t hand_overs{0};  // ... that the running task's waiting followed at once
        std::uint64_t births{0};      // children by start_later() ...
        std::uint64_t born{0};        // ... that their parent's waiting followed at once
        std::uint64_t ends{0};        // of who had one woken by wake_later(), at once
        std::uint64_t at_once{0};     // switches that call nothing
        std::uint64_t among{0};       // yields while several wait
        std::uint64_t refused{0};
    };
    [[nodiscard]] const PlainSteps& plain_steps() const { return plain_; }

  private:
    struct Slot {
        std::unique_ptr<kernel::sched::Entity> entity;
        std::unique_ptr<reference::Task> task;
        bool was_enqueued{false};
    };
    using Entity = kernel::sched::Entity;

    static constexpr std::uint32_t kPools = 2;  // budgets, and groups
    void renew(Slot& slot);
    void bury(Slot& slot);
    void set_budget(Slot& slot, std::uint32_t pool);
    void set_group(Slot& slot, std::uint32_t pool);
    std::optional<std::string> set(const Operation& operation, kernel::Instant now);
    std::optional<std::string> limit(const Operation& operation);
    std::optional<std::string> put(const Operation& operation, kernel::sched::PutReason reason);
    std::optional<std::string> enqueue(const Operation& operation, kernel::sched::EnqueueReason reason);
    std::optional<std::string> yield(const Operation& operation);
    std::optional<std::string> pick(const Operation& operation);
    std::optional<std::string> wake_plainly(const Operation& operation, bool& was_taken);
    std::optional<std::string> wake_later(const Operation& operation, bool& was_taken);
    std::optional<std::string> start_later(const Operation& operation, bool& was_taken);
    std::optional<std::string> follow_at_once(const Operation& operation, std::uint64_t& counter);
    std::optional<std::string> end_at_once(const Operation& operation, bool& was_taken);
    std::optional<std::string> act(const Operation& operation);
    void catch_up();
    std::optional<std::string> switch_plainly(const Operation& operation, kernel::sched::PutReason reason,
                                              bool& was_taken);
    [[nodiscard]] kernel::sched::Entity* switch_at_once(const Operation& operation,
                                                        kernel::sched::PutReason reason, kernel::Instant now,
                                                        kernel::Instant& event);
    std::optional<std::string> steal(const Operation& operation);
    std::optional<std::string> compare() const;
    std::optional<std::string> compare_task(const Slot& slot) const;
    std::optional<std::string> compare_hart(std::uint32_t hart) const;
    [[nodiscard]] std::uint32_t id_of(const Entity* entity) const;

    Shape shape_;
    kernel::Instant now_;
    std::vector<std::unique_ptr<kernel::sched::RunQueue>> queues_;
    std::vector<std::unique_ptr<reference::Hart>> harts_;
    // A budget decides by itself: each side has its own, so that one does not spend the other's.
    std::array<kernel::sched::Budget, kPools> library_budgets_;
    std::array<kernel::sched::Budget, kPools> reference_budgets_;
    std::array<kernel::sched::Group, kPools> library_groups_;
    std::array<reference::Group, kPools> reference_groups_;
    std::vector<Slot> slots_;
    // Of a wake-up that wake_later() put off, and that the next operation finds not done yet.
    const Entity* put_off_{nullptr};
    // Of tasks that are gone: a run queue compares the address of the one that ran last, so none is reused.
    std::deque<Slot> graves_;
    PlainSteps plain_;
};

// What to do next: random, but so that most of it makes sense.
class OperationSource {
  public:
    explicit OperationSource(const Shape& shape) : shape_{shape}, random_{shape.seed} {}
    Operation next();

  private:
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    std::int64_t any_time();
    kernel::sched::Attributes any_attributes();

    Shape shape_;
    std::mt19937_64 random_;
    std::uint64_t rally_{0};  // how much longer nothing happens but that two tasks wake each other
};

struct Failure {
    std::string difference;
    std::vector<Operation> operations;
};

// Runs `count` random operations; what went wrong, if anything, cut down to the operations it takes.
// `steps`, if given, is added to.
std::optional<Failure> find_difference(const Shape& shape, std::uint64_t count,
                                       Twin::PlainSteps* steps = nullptr);

// As a script, one operation a line.
std::string script_of(const Shape& shape, const Failure& failure);

}  // namespace sched_test
