// SPDX-License-Identifier: MIT
// The world that small_state.hpp explores: its state, its steps, and what is wrong with it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sched/run_queue.hpp"
#include "small_state.hpp"

namespace sched_test::small_world {

using kernel::CpuId;
using kernel::CpuMask;
using kernel::Duration;
using kernel::Instant;
using kernel::sched::Attributes;
using kernel::sched::EnqueueReason;
using kernel::sched::Entity;
using kernel::sched::RunQueue;

inline constexpr std::uint8_t kHarts = 2;
inline constexpr std::uint8_t kTasks = 3;
inline constexpr std::uint8_t kNobody = 0xff;

// One step. What it is done to is in `who`.
struct Action {
    enum class Kind : std::uint8_t { Wake, Block, Yield, Exit, Tick, Ipi, Steal, Mask, Class, Shares };
    Kind kind{};
    std::uint8_t who{0};  // hart or task
    std::uint8_t mask{0};

    [[nodiscard]] std::string text() const;
};

std::vector<Action> all_actions();

// What a hart without a current task is at. Asleep: waiting for an interrupt.
enum class Phase : std::uint8_t { Running, Looking, Carrying, Announcing, Asleep };

struct Hart {
    std::array<std::uint8_t, kTasks> inbox{};
    std::uint8_t in_inbox{0};
    bool ipi{false};
    bool is_announced{false};  // in the idle mask
    Phase phase{Phase::Looking};
    std::uint8_t carried{kNobody};
};

// The two harts and three tasks: everything there is to know about them, by value, so that a copy of the
// bytes put back in the same place is the same world.
class World {
  public:
    World(const ProtocolDefects& defects, const kernel::sched::Faults& faults);

    [[nodiscard]] bool is_enabled(const Action& action) const;
    void apply(const Action& action);
    // What is wrong with this state, or null.
    [[nodiscard]] const char* violation() const;
    // Lets everything that was begun come to its end. What is wrong then, or null.
    const char* settle();
    [[nodiscard]] std::uint64_t hash() const;

  private:
    [[nodiscard]] std::uint8_t index_of(const Entity& entity) const {
        return static_cast<std::uint8_t>(&entity - entities_.data());
    }
    void kick(std::uint8_t hart) { harts_[hart].ipi = true; }
    [[nodiscard]] CpuMask idle_mask() const;
    void nudge(std::uint8_t hart);
    void place(std::uint8_t task);
    void take_in(std::uint8_t hart, std::uint8_t task);
    void choose(std::uint8_t hart, bool force);
    void deliver(std::uint8_t hart);
    void steal(std::uint8_t hart);
    void set(std::uint8_t task, const Attributes& attributes);
    [[nodiscard]] std::uint64_t kind_of(std::uint8_t task) const;
    [[nodiscard]] std::uint32_t places_of(std::uint8_t task) const;
    [[nodiscard]] const char* check_idle() const;

    std::array<RunQueue, kHarts> queues_{};
    std::array<Entity, kTasks> entities_{};
    std::array<Hart, kHarts> harts_{};
    std::array<EnqueueReason, kTasks> reasons_{};
    std::array<bool, kTasks> is_evicted_{};  // a setter waits until it has left its hart
    Instant now_{};
    ProtocolDefects defects_;
};

}  // namespace sched_test::small_world
