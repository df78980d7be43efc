// SPDX-License-Identifier: MIT
// A class queue beside a list of its members: V is the mean of their vt weighed by weight and rounded down, U
// the same of their progress by pace, and everybody is picked, taken and counted as class_queue.hpp says. The
// members stand anywhere between next to each other and days apart, where sums of 64 bits do not do.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "machine.hpp"
#include "sched/class_queue.hpp"

namespace sched_test {
namespace {

using kernel::sched::ClassQueue;
using kernel::sched::RateTable;
using kernel::sched::span_of;
using kernel::sched::VirtualSpan;
using kernel::sched::VirtualTime;
using Wide = __int128;

template <class Tag, auto Member>
struct Reveal {
    friend constexpr auto member(Tag) { return Member; }
};
struct PositionOf {
    friend constexpr auto member(PositionOf);
};
template struct Reveal<PositionOf, &Entity::position_>;

Wide floor_of(Wide dividend, Wide divisor) {
    const Wide quotient = dividend / divisor;
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}

class Model {
  public:
    explicit Model(std::uint64_t seed, unsigned far_bits) : random_{seed}, far_bits_{far_bits} {}
    ~Model() {
        for (Entity* const entity : waiting_) {
            queue_.remove(*entity);
        }
        if (running_ != nullptr) {
            queue_.remove(*running_);
        }
    }
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    void step() {
        Entity& entity = entities_[below(entities_.size())];
        const auto at = std::ranges::find(waiting_, &entity);
        if (&entity == running_) {
            run();
        } else if (at == waiting_.end()) {
            add(entity);
        } else {
            change(entity, at);
        }
        look();
    }

  private:
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    static Entity::Position& position_of(Entity& entity) { return entity.*member(PositionOf{}); }
    // From where the first one stood.
    static Wide distance_of(VirtualTime vt) { return vt - VirtualTime{}; }

    std::vector<const Entity*> members() const {
        std::vector<const Entity*> all{waiting_.begin(), waiting_.end()};
        if (running_ != nullptr) {
            all.push_back(running_);
        }
        return all;
    }
    std::uint32_t any_weight() {
        return static_cast<std::uint32_t>(std::array{16, 16, 1600, 1600, 4800, 16'000}[below(6)]);
    }
    VirtualSpan any_span() {
        const auto bits = 1 + below(far_bits_);
        return static_cast<VirtualSpan>(below(std::uint64_t{1} << bits)) - (VirtualSpan{1} << (bits - 1));
    }
    // Behind those with the same deadline.
    void put_in_order(Entity& entity) {
        const auto after = std::ranges::find_if(waiting_, [&](const Entity* other) {
            return is_before(entity.position().deadline, other->position().deadline);
        });
        waiting_.insert(after, &entity);
    }

    void add(Entity& entity) {
        Entity::Position& position = position_of(entity);
        position.weight = any_weight();
        position.pace = below(3) == 0 ? any_weight() : position.weight;
        position.vt = queue_.virtual_now() + any_span();
        position.paced_at = position.vt;
        position.paced_from = queue_.virtual_now() + any_span();
        position.deadline = position.vt + static_cast<VirtualSpan>(1 + below(5)) * 1000;
        position.request_end = position.deadline;
        position.carry = 0;
        entity.attributes.affinity_effective = CpuMask::from_bits(1 + below(7));
        queue_.add_waiting(entity);
        put_in_order(entity);
    }

    void change(Entity& entity, std::vector<Entity*>::iterator at) {
        switch (below(7)) {
            case 0:
            case 1:
                if (running_ == nullptr) {
                    waiting_.erase(at);
                    queue_.start(entity);
                    running_ = &entity;
                }
                break;
            case 2:
                entity.attributes.affinity_effective = CpuMask::from_bits(1 + below(7));
                queue_.follow_mask(entity);
                break;
            case 3: {
                RateTable rates;
                rates.generation = static_cast<std::uint32_t>(below(2));
                rates.count = 1;
                rates.rows[0] = {.mask = entity.attributes.affinity_effective,
                                 .factor = RateTable::kFactorOne * (1 + below(3))};
                rates.whole = below(2) == 0 ? RateTable::kNoLimit : entity.position().weight;
                const Wide global = distance_of(queue_.global_now());
                const Wide own = distance_of(queue_.global_of(entity));
                const std::uint32_t pace = entity.position().pace;
                queue_.follow_pace(entity, rates);
                EXPECT_EQ(entity.position().pace_generation, rates.generation);
                // As far from U as it is from V, at its new pace.
                const Wide owed = distance_of(queue_.virtual_now()) - distance_of(entity.position().vt);
                const Wide lag = floor_of(owed * entity.position().weight, entity.position().pace);
                EXPECT_TRUE(distance_of(queue_.global_of(entity)) ==
                            (pace == entity.position().pace ? own : global - lag));
                break;
            }
            case 4:
                waiting_.erase(at);
                reweigh(entity);
                put_in_order(entity);
                break;
            default:
                waiting_.erase(at);
                remove(entity);
                break;
        }
    }

    // Its lag stays, and what is left of its request; after a yield another one's deadline, too.
    void reweigh(Entity& entity) {
        const Entity::Position before = entity.position();
        const VirtualTime now = queue_.virtual_now();
        const std::uint32_t weight = any_weight();
        const auto rescaled = [&](VirtualSpan span) {
            return static_cast<VirtualSpan>(floor_of(Wide{span} * before.weight, weight));
        };
        queue_.reweigh(entity, weight);
        const Entity::Position& after = entity.position();
        EXPECT_EQ(after.weight, weight);
        const std::uint64_t pace = std::uint64_t{before.pace} * weight / before.weight;
        EXPECT_EQ(after.pace, before.pace == before.weight ? weight : std::max(pace, std::uint64_t{1}));
        EXPECT_EQ(after.vt, now + -rescaled(now - before.vt));
        const VirtualSpan rest = before.request_end - before.vt;
        const VirtualTime end =
            after.vt + (rest > 0 ? std::max(rescaled(rest), VirtualSpan{1}) : rescaled(rest));
        EXPECT_EQ(after.request_end, end);
        EXPECT_EQ(after.deadline, is_before(before.request_end, before.deadline)
                                      ? later(end, before.deadline)
                                      : after.vt + rescaled(before.deadline - before.vt));
    }

    void run() {
        Entity& entity = *running_;
        switch (below(5)) {
            case 0:
                running_ = nullptr;
                queue_.stop(entity);
                put_in_order(entity);
                break;
            case 1:
                running_ = nullptr;
                remove(entity);
                break;
            case 2: {
                const Duration request = 1_us * (1 + below(3000));
                const VirtualTime latest =
                    waiting_.empty() ? entity.position().vt : waiting_.back()->position().deadline;
                queue_.yield(request);
                const VirtualTime end = entity.position().vt + span_of(request, entity.position().weight);
                EXPECT_EQ(entity.position().request_end, end);
                EXPECT_EQ(entity.position().deadline, waiting_.empty() ? end : later(end, latest));
                break;
            }
            default: {
                const auto bits = 1 + below(std::min(40U, far_bits_));
                const Duration service =
                    Duration::nanoseconds(static_cast<std::int64_t>(below(std::uint64_t{1} << bits)));
                const Wide units = Wide{service.ns()} * 613 * 16 + static_cast<Wide>(entity.position().carry);
                const Wide before = distance_of(entity.position().vt);
                const bool has_ended = queue_.charge(service, 613);
                EXPECT_TRUE(distance_of(entity.position().vt) == before + units / entity.position().weight);
                EXPECT_EQ(entity.position().carry,
                          static_cast<std::uint64_t>(units % entity.position().weight));
                EXPECT_EQ(has_ended, !is_before(entity.position().vt, entity.position().request_end));
                break;
            }
        }
    }

    // What it leaves with is where it stood.
    void remove(Entity& entity) {
        const Wide lag = distance_of(queue_.virtual_now()) - distance_of(entity.position().vt);
        const VirtualTime global = queue_.global_of(entity);
        queue_.remove(entity);
        EXPECT_TRUE(entity.position().lag == lag);
        EXPECT_EQ(entity.position().global, global);
        EXPECT_TRUE(entity.position().has_global);
    }

    void look() const {
        const auto all = members();
        ASSERT_EQ(queue_.count(), all.size());
        ASSERT_EQ(queue_.empty(), all.empty());
        ASSERT_EQ(queue_.running(), running_);
        ASSERT_EQ(queue_.only_waiting(), waiting_.size() == 1 ? waiting_.front() : nullptr);
        Wide weights = 0;
        Wide paces = 0;
        Wide vts = 0;
        Wide progresses = 0;
        std::uint32_t wholes = 0;
        std::uint32_t lightest = all.empty() ? 0 : ~std::uint32_t{0};
        for (const Entity* const entity : all) {
            const Entity::Position& position = entity->position();
            weights += position.weight;
            paces += position.pace;
            vts += distance_of(position.vt) * position.weight;
            // Its progress since it had this pace, in parts of a unit.
            progresses += distance_of(position.paced_from) * position.pace +
                          (distance_of(position.vt) - distance_of(position.paced_at)) * position.weight;
            wholes += position.is_whole ? 1 : 0;
            lightest = std::min(lightest, position.weight);
        }
        ASSERT_EQ(queue_.sum_weight(), static_cast<std::uint32_t>(weights));
        ASSERT_EQ(queue_.pace_sum(), static_cast<std::uint64_t>(paces));
        ASSERT_EQ(queue_.wholes(), wholes);
        ASSERT_EQ(queue_.lightest(), lightest);
        if (!all.empty()) {
            ASSERT_TRUE(distance_of(queue_.virtual_now()) == floor_of(vts, weights)) << "V";
            ASSERT_TRUE(distance_of(queue_.global_now()) == floor_of(progresses, paces)) << "U";
        }
        for (const Entity* const entity : all) {
            const Wide owed = distance_of(queue_.virtual_now()) - distance_of(entity->position().vt);
            const Wide service = owed * entity->position().weight / kernel::sched::kVirtualPerNs;
            ASSERT_EQ(queue_.lag(*entity).ns(), static_cast<std::int64_t>(service));
        }
        look_at_order();
    }
    void look_at_order() const {
        std::uint32_t heaviest = 0;
        const Entity* first = nullptr;
        const Entity* item = queue_.waiting().first();
        for (const Entity* const entity : waiting_) {
            ASSERT_EQ(item, entity);
            item = ClassQueue::Tree::next(*item);
            heaviest = std::max(heaviest, entity->position().weight);
            const bool is_eligible = distance_of(entity->position().vt) <= distance_of(queue_.virtual_now());
            ASSERT_EQ(queue_.is_eligible(*entity), is_eligible);
            first = first == nullptr && is_eligible ? entity : first;
        }
        ASSERT_EQ(item, nullptr);
        ASSERT_EQ(queue_.first_eligible(), first);
        if (running_ == nullptr) {
            ASSERT_EQ(queue_.best(), first);
        }
        const Entity* const found = queue_.heaviest_waiting();
        ASSERT_EQ(found == nullptr ? 0 : found->position().weight, heaviest);
        // Of those that may run there the first sixteen, and of these who stands least.
        for (std::uint32_t thief = 0; thief < 3; ++thief) {
            std::vector<const Entity*> candidates;
            for (const Entity* const entity : waiting_) {
                if (entity->attributes.affinity_effective.contains(CpuId{thief}) && candidates.size() < 16) {
                    candidates.push_back(entity);
                }
            }
            std::vector<const Entity*> seen;
            queue_.for_candidates(CpuMask::of(CpuId{thief}), {},
                                  [&](Entity& entity) { seen.push_back(&entity); });
            ASSERT_EQ(seen, candidates);
            const auto least = std::ranges::min_element(candidates, [](const Entity* a, const Entity* b) {
                return is_before(a->position().vt, b->position().vt);
            });
            ASSERT_EQ(queue_.find_stealable(CpuId{thief}, {}), least == candidates.end() ? nullptr : *least);
        }
    }

    std::mt19937_64 random_;
    unsigned far_bits_;
    std::array<Entity, 40> entities_;
    std::vector<Entity*> waiting_;
    Entity* running_{nullptr};
    ClassQueue queue_;
};

// Near, as they mostly are; hours apart; and so far that only 128 bits hold a sum.
TEST(ClassQueueModel, IsAListOfMembers) {
    for (const unsigned far_bits : {20U, 44U, 51U}) {
        for (std::uint64_t seed = 1; seed <= 10; ++seed) {
            Model model{seed, far_bits};
            for (int i = 0; i < 1500; ++i) {
                model.step();
                ASSERT_FALSE(testing::Test::HasFailure())
                    << far_bits << " bits, seed " << seed << " step " << i;
            }
        }
    }
}

}  // namespace
}  // namespace sched_test
