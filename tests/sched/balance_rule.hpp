// SPDX-License-Identifier: MIT
// Harts for the tests of the rules of balance.hpp one by one. Loads are what a test says until their queues
// are touched.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "machine.hpp"
#include "sched/balance.hpp"

namespace sched_test {

using kernel::sched::BalanceState;
using kernel::sched::EnqueueReason;
using kernel::sched::HartLoad;
using kernel::sched::MachineBalance;
using kernel::sched::PutReason;
using kernel::sched::span_of;
using kernel::sched::VirtualSpan;
using kernel::sched::VirtualTime;
using enum QosClass;

inline constexpr std::size_t kNormal = kernel::sched::index_of(Normal);
inline constexpr std::size_t kInteractive = kernel::sched::index_of(Interactive);
inline constexpr std::size_t kIdleClass = kernel::sched::index_of(Idle);
inline constexpr std::uint32_t kWeight = 100 * kernel::sched::kWeightPerShare;
inline constexpr CpuId kSelf{0};

// What a rule asks of the machine, and what it does there.
class Harts {
  public:
    explicit Harts(std::uint32_t count) : queues(count), loads(count), reads(count), locks(count) {
        online_ = CpuMask::first(count);
        for (std::uint32_t i = 0; i < count; ++i) {
            queues[i].start(CpuId{i}, Instant{});
            publish(CpuId{i});
        }
    }
    [[nodiscard]] CpuMask online() const { return online_; }
    [[nodiscard]] const HartLoad& load(CpuId cpu) {
        ++reads[cpu.value()];
        return loads[cpu.value()];
    }
    template <class F>
    auto with_queue(CpuId cpu, F&& f) {
        ++locks[cpu.value()];
        const auto result = f(queues[cpu.value()]);
        publish(cpu);
        return result;
    }
    void set_home(Entity&, CpuId) {}
    void send(Entity& entity, CpuId cpu) { sent.emplace_back(&entity, cpu); }
    [[nodiscard]] Instant now() const { return time; }
    [[nodiscard]] MachineBalance& machine() { return balance; }

    void publish(CpuId cpu) { tell(cpu, queues[cpu.value()].load()); }
    void tell(CpuId cpu, const HartLoad& load) {
        loads[cpu.value()] = load;
        static_cast<void>(balance.note_load(cpu, load, online_));
    }

    std::deque<RunQueue> queues;
    std::vector<HartLoad> loads;
    std::vector<std::uint32_t> reads;
    std::vector<std::uint32_t> locks;
    std::vector<std::pair<Entity*, CpuId>> sent;
    MachineBalance balance;
    Instant time;

  private:
    CpuMask online_;
};

using Sent = std::vector<std::pair<Entity*, CpuId>>;

class BalanceRule : public testing::Test {
  protected:
    explicit BalanceRule(std::uint32_t count = 2) : harts{count} {}
    ~BalanceRule() override {
        for (RunQueue& queue : harts.queues) {
            while (queue.current() != nullptr || queue.pick_next(harts.time).entity != nullptr) {
                queue.put_current(harts.time, PutReason::Exit);
            }
        }
    }
    Entity& add(std::uint32_t hart, const Attributes& attributes) {
        Entity& entity = entities.emplace_back();
        entity.attributes = attributes;
        harts.queues[hart].enqueue(entity, harts.time, EnqueueReason::New);
        if (harts.queues[hart].current() == nullptr) {
            harts.queues[hart].pick_next(harts.time);
        }
        harts.publish(CpuId{hart});
        return entity;
    }
    [[nodiscard]] VirtualTime global_of(std::uint32_t hart, const Entity& entity) {
        return harts.queues[hart].queue(entity.effective()).global_of(entity);
    }
    [[nodiscard]] VirtualTime global_now(std::uint32_t hart, QosClass qos_class = Normal) {
        return harts.queues[hart].queue(qos_class).global_now();
    }
    // A hart that runs one task of this weight and class, which stands at `global`.
    [[nodiscard]] HartLoad busy(QosClass qos_class, std::uint32_t weight, VirtualTime global) const {
        HartLoad load;
        const std::size_t index = kernel::sched::index_of(qos_class);
        load.running_class = static_cast<std::uint8_t>(qos_class);
        load.runnable = 1;
        load.at = harts.time;
        load.running_mask = CpuMask::all();
        load.weight[index] = load.pace[index] = load.lightest[index] = weight;
        load.global[index] = global;
        return load;
    }
    [[nodiscard]] std::uint64_t sum(const std::vector<std::uint32_t>& counts) const {
        std::uint64_t total = 0;
        for (const std::uint32_t count : counts) {
            total += count;
        }
        return total;
    }

    Harts harts;
    BalanceState state;
    std::deque<Entity> entities;
};

}  // namespace sched_test
