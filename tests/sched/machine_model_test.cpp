// SPDX-License-Identifier: MIT
// What is said of a whole machine, beside the same said plainly: which harts are overloaded or would take
// work, which leads are cut, what each hart asks the rate oracle for, what makes two rate tables alike, how
// a machine's harts fall into fast and efficient ones, and where a task is placed. All at random, from few
// values, so that most comparisons are exactly at a limit or next to one.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <vector>

#include "balance_rule.hpp"
#include "sched/machine_shape.hpp"
#include "sched/placement.hpp"

namespace sched_test {
namespace {

using kernel::sched::class_at;
using kernel::sched::kClasses;
using kernel::sched::kClassTable;
using kernel::sched::MachineShape;
using kernel::sched::RateOracle;
using kernel::sched::RateTable;
using namespace kernel::sched::balance_detail;

class Dice {
  public:
    explicit Dice(std::uint64_t seed) : random_{seed} {}
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    bool flip() { return below(2) == 0; }
    CpuMask mask() { return CpuMask::from_bits(below(16)); }

  private:
    std::mt19937_64 random_;
};

constexpr std::uint32_t kHarts = 4;

// --- Who is overloaded, who takes ---

HartLoad any_load(Dice& dice) {
    HartLoad load;
    if (dice.below(4) != 0) {
        load.running_class = static_cast<std::uint8_t>(dice.below(kClasses));
    }
    for (std::size_t i = 0; i < kClasses; ++i) {
        load.waiting_mask[i] = dice.flip() ? CpuMask{} : dice.mask();
        load.weight[i] = dice.flip() ? 0 : 16 * static_cast<std::uint32_t>(1 + dice.below(3));
    }
    return load;
}

TEST(MachineModel, HintsFollowWhatIsPublished) {
    Dice dice{1};
    MachineBalance balance;
    std::array<std::array<bool, kHarts>, kClasses> overloaded{};
    std::array<std::array<bool, kHarts>, kClasses> takes{};
    for (int step = 0; step < 20'000; ++step) {
        const auto hart = static_cast<std::uint32_t>(dice.below(kHarts));
        const HartLoad load = any_load(dice);
        const CpuMask online = dice.mask() | CpuMask::of(CpuId{hart});
        if (dice.below(16) == 0) {
            balance.forget(CpuId{hart});
            for (std::size_t i = 0; i < kClasses; ++i) {
                overloaded[i][hart] = takes[i][hart] = false;
            }
        } else {
            bool is_wanted = false;
            for (std::size_t i = 0; i < kClasses; ++i) {
                bool may_go = false;
                bool waits_elsewhere = false;
                for (std::uint32_t other = 0; other < kHarts; ++other) {
                    may_go = may_go || (other != hart && online.contains(CpuId{other}) &&
                                        load.waiting_mask[i].contains(CpuId{other}));
                    waits_elsewhere = waits_elsewhere || (other != hart && overloaded[i][other]);
                }
                overloaded[i][hart] = may_go;
                const bool would_take =
                    load.running_class != HartLoad::kIdle && load.running_class < i && load.weight[i] == 0;
                is_wanted = is_wanted || (would_take && !takes[i][hart] && waits_elsewhere);
                takes[i][hart] = would_take;
            }
            ASSERT_EQ(balance.note_load(CpuId{hart}, load, online), is_wanted) << step;
        }
        CpuMask any;
        for (std::size_t i = 0; i < kClasses; ++i) {
            for (std::uint32_t other = 0; other < kHarts; ++other) {
                ASSERT_EQ(balance.overloaded(i).contains(CpuId{other}), overloaded[i][other]) << step;
                ASSERT_EQ(balance.takers(i).contains(CpuId{other}), takes[i][other]) << step;
                any = overloaded[i][other] ? any | CpuMask::of(CpuId{other}) : any;
            }
        }
        ASSERT_EQ(balance.overloaded(), any);
        // Who is to be told of what waits on this hart.
        CpuMask told;
        bool may_be = false;
        for (std::size_t i = 1; i < kClasses; ++i) {  // nobody takes the lowest class for a lower one
            for (std::uint32_t other = 0; other < kHarts; ++other) {
                may_be = may_be || (overloaded[i][hart] && takes[i][other]);
                if (other != hart && takes[i][other] && load.waiting_mask[i].contains(CpuId{other})) {
                    told.add(CpuId{other});
                }
            }
        }
        ASSERT_EQ(balance.takers(CpuId{hart}, load), told) << step;
        ASSERT_EQ(balance.may_have_takers(CpuId{hart}), may_be) << step;
    }
}

TEST(MachineModel, OneCallerPerSpacing) {
    MachineBalance balance;
    EXPECT_TRUE(balance.try_begin_compression(at(1_s)));
    EXPECT_FALSE(balance.try_begin_compression(at(1_s)));
    EXPECT_FALSE(balance.try_begin_compression(at(1_s + kernel::sched::kCompressSpacing) - 1_ns));
    EXPECT_TRUE(balance.try_begin_compression(at(1_s + kernel::sched::kCompressSpacing)));
    EXPECT_TRUE(balance.try_begin_rates(at(1_s)));
    EXPECT_FALSE(balance.try_begin_rates(at(2_s))) << "someone works on it";
    balance.end_rates(at(3_s));
    EXPECT_FALSE(balance.try_begin_rates(at(3_s) - 1_ns));
    EXPECT_TRUE(balance.try_begin_rates(at(3_s)));
    const std::uint32_t epoch = balance.next_epoch();
    EXPECT_EQ(epoch, 1U) << "never 0";
    EXPECT_EQ(balance.next_epoch(), epoch + 1);
}

// --- Leads ---

// A lead of more than four thresholds is cut to that, and who is ahead follows. Frames without work stay
// where they were between the one below and four thresholds ahead of it; below all they stay, within reason.
TEST(MachineModel, LeadsAreCut) {
    Dice dice{2};
    constexpr std::uint32_t kLightest = 1600;
    const VirtualSpan widest = span_of(kernel::sched::kBalanceThreshold * 4, kLightest);
    const VirtualTime start = VirtualTime{} + -5 * widest;  // around the wrap
    for (int step = 0; step < 20'000; ++step) {
        std::vector<Level> levels;
        for (std::uint32_t i = 0; i < kHarts; ++i) {
            VirtualSpan distance = widest * static_cast<VirtualSpan>(dice.below(4)) +
                                   static_cast<VirtualSpan>(dice.below(3)) - 1;
            if (dice.below(12) == 0) {
                distance -= (VirtualSpan{1} << 50U) - widest;
            }
            levels.push_back({.cpu = CpuId{i},
                              .global = start + distance,
                              .has_work = distance > -2 && dice.flip(),
                              .is_closed = dice.below(4) == 0});
        }
        std::vector<Level> expected = levels;
        // As distances from the lowest one, in order; of equals those with work first.
        const auto distance_of = [&](const Level& level) { return level.global - start; };
        std::ranges::stable_sort(expected, [&](const Level& a, const Level& b) {
            return distance_of(a) < distance_of(b) ||
                   (distance_of(a) == distance_of(b) && a.has_work && !b.has_work);
        });
        const bool has_any = std::ranges::any_of(levels, &Level::has_work);
        bool is_needed = false;
        for (std::size_t i = 0; has_any && i < expected.size(); ++i) {
            const auto below =
                std::find_if(std::make_reverse_iterator(expected.begin() + static_cast<std::ptrdiff_t>(i)),
                             expected.rend(), [](const Level& level) { return level.has_work; });
            if (below != expected.rend()) {
                const VirtualSpan lead = distance_of(expected[i]) - distance_of(*below);
                expected[i].shift = below->shift - std::max(VirtualSpan{0}, lead - widest);
                is_needed = is_needed || (expected[i].has_work ? expected[i].shift != 0 : lead > widest);
            } else if (!expected[i].has_work) {
                const auto first = std::ranges::find_if(levels, &Level::has_work);
                const VirtualSpan behind = distance_of(*first) - distance_of(expected[i]);
                if (behind > VirtualSpan{1} << 50U) {
                    expected[i].shift = behind - (VirtualSpan{1} << 49U);
                    is_needed = true;
                }
            }
        }
        ASSERT_EQ(compute_shifts(levels, kLightest), is_needed) << step;
        for (const Level& level : levels) {
            const auto same =
                std::ranges::find_if(expected, [&](const Level& e) { return e.cpu == level.cpu; });
            ASSERT_EQ(level.shift, same->shift) << step << " hart " << level.cpu.value();
        }
        if (!has_any) {
            continue;
        }
        // The upper half, the middle one among them, of those that have work and are open.
        std::vector<CpuId> open;
        for (const Level& level : levels) {
            if (level.has_work && !level.is_closed) {
                open.push_back(level.cpu);
            }
        }
        CpuMask upper;
        for (std::size_t i = open.size() / 2; i < open.size(); ++i) {
            upper.add(open[i]);
        }
        ASSERT_EQ(upper_half(levels), upper) << step;
    }
}

// --- What a hart asks for ---

// A queue with tasks of several classes, described, and by itself a problem of the oracle.
class Described {
  public:
    Described(Dice& dice, std::uint32_t hart) : capacity_{dice.below(3) == 0 ? 613U : 1024U} {
        queue_.start(CpuId{hart}, Instant{}, capacity_);
        for (std::uint64_t i = dice.below(9); i > 0; --i) {
            Entity& entity = entities_.emplace_back();
            entity.attributes.qos_class = dice.below(4) == 0 ? class_at(dice.below(3)) : Normal;
            entity.attributes.shares =
                static_cast<std::uint32_t>(std::array{100, 100, 200, 300, 700}[dice.below(5)]);
            // More masks than there are groups for.
            entity.attributes.affinity_effective =
                CpuMask::from_bits(1U << hart | (dice.flip() ? 0b11 : dice.below(1024) << 2U));
            static_cast<void>(queue_.enqueue(entity, Instant{}, EnqueueReason::New));
        }
        static_cast<void>(queue_.pick_next(Instant{}));
    }
    ~Described() {
        for (Entity& entity : entities_) {
            entity.state() == TaskState::Running ? queue_.put_current(Instant{}, PutReason::Exit)
                                                 : queue_.remove(entity, Instant{});
        }
    }
    Described(const Described&) = delete;
    Described& operator=(const Described&) = delete;

    [[nodiscard]] const RunQueue& queue() const { return queue_; }

    void ask_plainly(RateOracle& oracle) const {
        std::uint64_t present = kClassTable[kNormal].weight;
        std::uint32_t sum = 0;
        std::uint32_t heaviest = 0;
        std::array<bool, kClasses> is_counted{};
        is_counted[kNormal] = true;
        for (const Entity& entity : entities_) {
            const std::size_t index = kernel::sched::index_of(entity.effective());
            if (!std::exchange(is_counted[index], true)) {
                present += kClassTable[index].weight;
            }
            if (index == kNormal) {
                sum += entity.position().weight;
                heaviest = entity.state() == TaskState::Running
                               ? heaviest
                               : std::max(heaviest, entity.position().weight);
            }
        }
        const std::uint64_t part = RateOracle::kHart * std::uint64_t{kClassTable[kNormal].weight} / present;
        oracle.set_capacity(queue_.cpu(), static_cast<std::uint32_t>(part * capacity_ / 1024));
        // Of those that wait the heaviest may deserve a hart, and the one that runs: if a quarter is theirs.
        const Entity* const waiting = queue_.queue(Normal).heaviest_waiting();
        ASSERT_EQ(waiting == nullptr ? 0 : waiting->position().weight, heaviest);
        const auto is_apart = [&](const Entity* entity) {
            return entity != nullptr && (entity == waiting || entity == queue_.queue(Normal).running()) &&
                   entity->position().mask_place != kernel::sched::MaskGroups::kRest &&
                   4 * entity->position().weight >= sum;
        };
        const Entity* const running = queue_.queue(Normal).running();
        for (const Entity* const entity : {running, waiting}) {
            if (is_apart(entity)) {
                oracle.add_heavy(entity->attributes.affinity_effective, entity->position().weight);
            }
        }
        // The others by the places of their masks; those that found none are here and nowhere else.
        for (std::size_t place = 0; place <= kernel::sched::MaskGroups::kRest; ++place) {
            for (const Entity& entity : entities_) {
                if (entity.effective() == Normal && entity.position().mask_place == place &&
                    !is_apart(&entity)) {
                    oracle.add(place == kernel::sched::MaskGroups::kRest
                                   ? CpuMask::of(queue_.cpu())
                                   : entity.attributes.affinity_effective,
                               entity.position().weight);
                }
            }
        }
    }

  private:
    std::uint32_t capacity_;
    RunQueue queue_;
    std::deque<Entity> entities_;
};

TEST(MachineModel, EachHartAsksForWhatItsMembersWeigh) {
    Dice dice{3};
    RateOracle described;
    RateOracle plain;
    std::uint32_t with_table = 0;
    for (int round = 0; round < 3000; ++round) {
        const Described one{dice, 0};
        const Described other{dice, 1};
        for (RateOracle* const oracle : {&described, &plain}) {
            oracle->begin(CpuMask::first(6));
        }
        for (const Described* const hart : {&one, &other}) {
            describe(hart->queue(), kNormal, described);
            hart->ask_plainly(plain);
        }
        while (!described.step()) {
        }
        while (!plain.step()) {
        }
        ASSERT_EQ(described.table().generation, plain.table().generation) << round;
        ASSERT_EQ(described.table().count, plain.table().count) << round;
        ASSERT_EQ(described.table().whole, plain.table().whole) << round;
        ASSERT_EQ(described.table().rows, plain.table().rows) << round;
        with_table += described.table().generation;
    }
    EXPECT_GT(with_table, 300U);
}

// --- Tables ---

RateTable any_table(Dice& dice) {
    RateTable table;
    table.generation = static_cast<std::uint32_t>(dice.below(3));
    table.count =
        static_cast<std::uint32_t>(dice.below(8) == 0 ? kernel::sched::kMaxRateGroups : 1 + dice.below(2));
    table.whole = static_cast<std::uint32_t>(std::array{4000, 4001, 5000, 5001}[dice.below(4)]);
    for (std::uint32_t i = 0; i < table.count; ++i) {
        table.rows[i] = {.mask = CpuMask::from_bits(std::uint64_t{1} << i),
                         .factor = RateTable::kFactorOne * std::array{4ULL, 5ULL, 6ULL}[dice.below(3)] / 4};
    }
    return table;
}

TEST(MachineModel, TablesAreAlikeOrOfAnotherRegime) {
    Dice dice{4};
    std::array<std::uint32_t, 2> alike{};
    std::array<std::uint32_t, 2> other{};
    for (int round = 0; round < 20'000; ++round) {
        const RateTable before = any_table(dice);
        const RateTable after = any_table(dice);
        const bool has_before = before.generation != 0;
        const bool has_after = after.generation != 0;
        bool is_alike = has_before == has_after;
        if (has_before && has_after) {
            is_alike = before.whole == after.whole && before.count == after.count;
            for (std::uint32_t i = 0; i < before.count; ++i) {
                is_alike = is_alike && before.rows[i].factor == after.rows[i].factor;
            }
        }
        ASSERT_EQ(is_same(before, after), is_alike) << round;
        ++alike[is_alike ? 1 : 0];
        // More than a quarter of the lesser one apart.
        const auto is_far = [](std::uint64_t a, std::uint64_t b) {
            return std::max(a, b) > std::min(a, b) + std::min(a, b) / 4;
        };
        bool is_other = has_before != has_after || is_far(before.whole, after.whole);
        for (std::uint32_t i = 0; i < after.count; ++i) {
            const CpuMask mask = CpuMask::from_bits(std::uint64_t{1} << i);
            is_other = is_other || is_far(before.pace_of(1600, mask), after.pace_of(1600, mask));
        }
        ASSERT_EQ(is_another_regime(before, after), is_other) << round;
        ++other[is_other ? 1 : 0];
    }
    for (const std::uint32_t each : {alike[0], alike[1], other[0], other[1]}) {
        EXPECT_GT(each, 500U);
    }
}

// --- Shapes and places ---

TEST(MachineModel, AThirdOfTheHartsIsFastAndAThirdEfficient) {
    Dice dice{5};
    for (int round = 0; round < 20'000; ++round) {
        std::vector<std::uint32_t> capacities(dice.below(13));
        std::vector<std::uint32_t> present;
        for (std::uint32_t& capacity : capacities) {
            capacity = static_cast<std::uint32_t>(dice.below(5)) * 200;
            if (capacity != 0) {
                present.push_back(capacity);
            }
        }
        const MachineShape shape = MachineShape::of(capacities);
        for (std::uint32_t i = 0; i < capacities.size(); ++i) {
            // Fast: fewer than a third are faster, or it is among the fastest. Efficient: the other way
            // round.
            const std::size_t third = std::max<std::size_t>(1, present.size() / 3);
            const auto faster = static_cast<std::size_t>(
                std::ranges::count_if(present, [&](std::uint32_t other) { return other > capacities[i]; }));
            const auto slower = static_cast<std::size_t>(
                std::ranges::count_if(present, [&](std::uint32_t other) { return other < capacities[i]; }));
            const bool is_there = capacities[i] != 0;
            ASSERT_EQ(shape.fast.contains(CpuId{i}), is_there && faster < third) << round << " hart " << i;
            ASSERT_EQ(shape.efficient.contains(CpuId{i}), is_there && slower < third)
                << round << " hart " << i;
        }
    }
}

TEST(MachineModel, PlacesAreTheFirstOfTheBest) {
    using namespace kernel::sched;
    Dice dice{6};
    for (int round = 0; round < 50'000; ++round) {
        std::array<HartLoad, kHarts> loads;
        for (HartLoad& load : loads) {
            load = any_load(dice);
        }
        const PlacementRequest request{.allowed = CpuMask::from_bits(1 + dice.below(15)),
                                       .prefer = dice.flip() ? CpuMask{} : dice.mask(),
                                       .last = CpuId{static_cast<std::uint32_t>(dice.below(kHarts))},
                                       .effective = class_at(dice.below(kClasses))};
        const CpuMask idle = dice.mask() & dice.mask();
        // In turn from the last one on.
        const auto in_turn = [&](CpuMask of) {
            std::vector<std::uint32_t> harts;
            for (std::uint32_t i = 0; i < kHarts; ++i) {
                const std::uint32_t hart = (request.last.value() + i) % kHarts;
                if (of.contains(CpuId{hart})) {
                    harts.push_back(hart);
                }
            }
            return harts;
        };
        const CpuMask usable = request.allowed & idle;
        const CpuMask liked = (usable & request.prefer).empty() ? usable : usable & request.prefer;
        const Placement found = select_cpu(request, idle, [&](CpuId cpu) { return loads[cpu.value()]; });
        ASSERT_EQ(found.is_idle, !usable.empty()) << round;
        if (found.is_idle) {
            ASSERT_EQ(found.cpu.value(), in_turn(liked).front()) << round;
            continue;
        }
        const CpuMask preferred = request.allowed & request.prefer;
        const auto cost = [&](std::uint32_t hart) {
            std::uint64_t competing = 0;
            for (std::size_t i = index_of(request.effective); i < kClasses; ++i) {
                competing += std::uint64_t{loads[hart].weight[i]} * kClassTable[i].weight;
            }
            const bool is_idle = loads[hart].running_class == HartLoad::kIdle;
            return competing != 0 ? 100 + competing
                   : is_idle      ? 0
                                  : 1 + std::uint64_t{loads[hart].running_class};
        };
        const auto harts = in_turn(preferred.empty() ? request.allowed : preferred);
        ASSERT_EQ(found.cpu.value(), *std::ranges::min_element(harts, {}, cost)) << round;
    }
}

TEST(MachineModel, WhoStaysPutIsPlacedWhereItWas) {
    using namespace kernel::sched;
    Attributes attributes = make(Normal, 100, CpuMask::from_bits(0b0110));
    attributes.policy = nexus_abi::AffinityPolicy::Prefer;
    attributes.affinity_prefer = CpuMask::from_bits(0b0100);
    for (std::uint32_t last = 0; last < 3; ++last) {
        for (const std::uint64_t online : {0b1111U, 0b1011U, 0b1101U}) {
            const auto request = placement_request(attributes, Interactive, CpuId{last},
                                                   CpuMask::from_bits(online), Faults{.stay_put = true});
            const bool may_stay = (0b0110U & online >> last << last & 1U << last) != 0;
            EXPECT_EQ(request.allowed.bits(), may_stay ? 1U << last : 0b0110U & online);
            EXPECT_EQ(request.prefer.bits(), may_stay ? 0U : 0b0100U);
            EXPECT_EQ(request.last, CpuId{last});
            EXPECT_EQ(request.effective, Interactive);
        }
    }
}

}  // namespace
}  // namespace sched_test
