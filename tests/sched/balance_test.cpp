// SPDX-License-Identifier: MIT
// Fairness between harts, on the rules the kernel runs: what each hog gets over many seconds against the
// exact weighted max-min allocation (tools/sched-sim/fair_shares.hpp), how far two equals are apart at any
// instant, and how many migrations that takes.
#include "sched/balance.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "fair_shares.hpp"
#include "machine.hpp"
#include "tier.hpp"

namespace sched_test {
namespace {

using enum QosClass;

struct Hog {
    std::uint32_t shares{100};
    std::uint64_t mask{~std::uint64_t{0}};
};

// Hogs of one class, run for `warm_up` unmeasured and `window` measured.
class Experiment {
  public:
    Experiment(std::uint32_t harts, const std::vector<Hog>& hogs, Duration warm_up, Duration window)
        : machine_{harts}, window_{window} {
        machine_.audit_every_step(false);
        std::vector<sched_sim::Demand> demands;
        for (const Hog& hog : hogs) {
            tasks_.push_back(&machine_.add_hog(Normal, hog.shares, CpuMask::from_bits(hog.mask)));
            demands.push_back({.weight = static_cast<double>(hog.shares), .mask = hog.mask});
        }
        ideal_ = sched_sim::fair_shares(harts, demands);
        machine_.run_for(warm_up);
        machine_.mark();
        const std::uint64_t before = machine_.migrations();
        machine_.run_for(window);
        migrations_per_second_ =
            static_cast<double>(machine_.migrations() - before) / (static_cast<double>(window.ns()) / 1e9);
    }
    // Of one hart.
    [[nodiscard]] double share(std::size_t hog) const {
        return ratio(machine_.since_mark(*tasks_[hog]), window_);
    }
    [[nodiscard]] double ideal(std::size_t hog) const { return ideal_[hog]; }
    [[nodiscard]] double error(std::size_t hog) const { return std::fabs(share(hog) - ideal(hog)); }
    [[nodiscard]] double largest_error() const {
        double largest = 0;
        for (std::size_t i = 0; i < tasks_.size(); ++i) {
            largest = std::max(largest, error(i));
        }
        return largest;
    }
    [[nodiscard]] double largest_relative_error() const {
        double largest = 0;
        for (std::size_t i = 0; i < tasks_.size(); ++i) {
            largest = std::max(largest, error(i) / ideal(i));
        }
        return largest;
    }
    [[nodiscard]] double migrations_per_second() const { return migrations_per_second_; }

  private:
    Machine machine_;
    Duration window_;
    std::vector<Task*> tasks_;
    std::vector<double> ideal_;
    double migrations_per_second_{0};
};

std::vector<Hog> equal_hogs(std::size_t count) {
    return std::vector<Hog>(count);
}

// I6 and I12 of the design: the spread is the threshold, one request that is not interrupted, and 1 ms.
TEST(Balance, ThreeHogsOnTwoHarts) {
    Machine machine{2};
    machine.audit_every_step(false);
    std::vector<Task*> hogs;
    for (int i = 0; i < 3; ++i) {
        hogs.push_back(&machine.add_hog(Normal, 100));
    }
    machine.run_for(1_s);
    machine.mark();
    const std::uint64_t before = machine.migrations();
    Duration spread;
    constexpr Duration kWindow = 10_s;
    for (Duration t; t < kWindow; t += 500_us) {
        machine.run_for(500_us);
        const auto [least, most] = std::ranges::minmax(std::vector{
            machine.since_mark(*hogs[0]), machine.since_mark(*hogs[1]), machine.since_mark(*hogs[2])});
        spread = std::max(spread, most - least);
    }
    for (const Task* hog : hogs) {
        EXPECT_NEAR(ratio(machine.since_mark(*hog), kWindow), 2.0 / 3, 0.01 * 2 / 3);
    }
    EXPECT_LE(spread, kernel::sched::kBalanceThreshold + 3_ms + 1_ms);
    const auto per_second = (machine.migrations() - before) / 10;
    EXPECT_LE(per_second, 70U);
    EXPECT_GE(per_second, 1U);
    machine.expect_exact_accounts();
    RecordProperty("spread_us", static_cast<int>(spread.ns() / 1000));
    RecordProperty("migrations_per_second", static_cast<int>(per_second));
}

TEST(Balance, NobodyMovesWithoutNeed) {
    struct Case {
        std::size_t hogs;
        std::uint32_t harts;
    };
    for (const Case split :
         {Case{1, 2}, Case{2, 2}, Case{3, 4}, Case{4, 4}, Case{4, 2}, Case{8, 4}, Case{15, 5}}) {
        const Experiment run{split.harts, equal_hogs(split.hogs), 1_s, 2_s};
        EXPECT_EQ(run.migrations_per_second(), 0.0) << split.hogs << " hogs on " << split.harts << " harts";
        EXPECT_LE(run.largest_relative_error(), 0.005);  // one request in 2 s
    }
}

TEST(Balance, PinnedAndFreeEqualsShareAlike) {
    const Experiment run{2, {{.mask = 1}, {.mask = 1}, {.mask = 3}, {.mask = 3}, {.mask = 2}}, 1_s, 10_s};
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_NEAR(run.share(i), 0.4, 0.005 * 0.4);
    }
}

// A hundred pinned to one hart are nobody else's trouble.
TEST(Balance, PinPile) {
    std::vector<Hog> hogs(100, Hog{.mask = 1});
    hogs.resize(106, Hog{.mask = 0xf});
    const Experiment run{4, hogs, 1_s, 6_s};
    for (std::size_t i = 100; i < 106; ++i) {
        EXPECT_NEAR(run.share(i), 0.5, 0.0025);
    }
    for (std::size_t i = 0; i < 100; ++i) {
        EXPECT_NEAR(run.share(i), 0.01, 0.0005 + 0.00001);  // one request of 3 ms in 6 s
    }
    EXPECT_EQ(run.migrations_per_second(), 0.0);
}

// Ten seconds of a lead that nobody could catch up with are not held against those who had it.
TEST(Balance, RegimeFlip) {
    Machine machine{2};
    machine.audit_every_step(false);
    std::vector<Task*> pinned;
    for (int i = 0; i < 6; ++i) {
        pinned.push_back(&machine.add_hog(Normal, 100, CpuMask::first(1)));
    }
    const std::vector<Task*> three{pinned[5], &machine.add_hog(Normal, 100), &machine.add_hog(Normal, 100)};
    machine.run_for(10_s);
    for (int i = 0; i < 5; ++i) {
        machine.exit(*pinned[static_cast<std::size_t>(i)]);
    }
    machine.mark();
    machine.run_for(500_ms);
    for (const Task* task : three) {
        // The gap that is left by compression, four thresholds, is made up for in this window: 32 ms.
        EXPECT_NEAR(ratio(machine.since_mark(*task), 500_ms), 2.0 / 3, 0.032 / 0.5 + 0.01);
    }
    machine.mark();
    machine.run_for(2_s);
    for (const Task* task : three) {
        EXPECT_NEAR(ratio(machine.since_mark(*task), 2_s), 2.0 / 3, 0.01);
    }
    std::uint64_t compressions = 0;
    for (std::uint32_t hart = 0; hart < 2; ++hart) {
        compressions += machine.balance_state(hart).compressions;
    }
    EXPECT_GT(compressions, 0U);
}

// I5a: equal shares, any masks.
TEST(Balance, RandomGraphsOfEquals) {
    const std::uint64_t first = first_seed();
    const std::uint64_t graphs = Tiers<std::uint64_t>{.brief = 5, .quick = 300, .thorough = 5000}.value();
    double worst = 0;
    for (std::uint64_t seed = first; seed < first + graphs; ++seed) {
        std::mt19937_64 random{seed};
        const auto harts = static_cast<std::uint32_t>(2 + random() % 5);
        const std::uint64_t all = (std::uint64_t{1} << harts) - 1;
        std::vector<Hog> hogs(harts + 1 + random() % (2 * harts + 2));
        for (Hog& hog : hogs) {
            do {
                hog.mask = random() & all;
            } while (hog.mask == 0);
        }
        const Experiment run{harts, hogs, 1_s, 10_s};
        worst = std::max(worst, run.largest_relative_error());
        EXPECT_LE(run.largest_relative_error(), 0.005) << "seed " << seed;
    }
    RecordProperty("worst_relative_error_ppm", static_cast<int>(worst * 1e6));
}

std::uint32_t log_uniform(std::mt19937_64& random, double most) {
    std::uniform_real_distribution<double> exponent{0.0, std::log(most + 0.999)};
    return static_cast<std::uint32_t>(std::exp(exponent(random)));
}

// I5b: any shares where everybody may go everywhere. Weights that are more than a hart's worth are common
// here.
TEST(Balance, RandomSharesOnFullMasks) {
    const std::uint64_t first = first_seed();
    struct Size {
        std::uint32_t harts;
        Tiers<std::uint64_t> graphs;
    };
    for (const Size& size : {Size{.harts = 4, .graphs = {.brief = 2, .quick = 60, .thorough = 600}},
                             Size{.harts = 16, .graphs = {.brief = 1, .quick = 8, .thorough = 60}},
                             Size{.harts = 64, .graphs = {.brief = 0, .quick = 1, .thorough = 8}}}) {
        double worst = 0;
        for (std::uint64_t seed = first; seed < first + size.graphs.value(); ++seed) {
            std::mt19937_64 random{seed};
            std::vector<Hog> hogs(size.harts + 1 + random() % (2 * size.harts + 2));
            for (Hog& hog : hogs) {
                hog.shares = log_uniform(random, 1000);
            }
            const Experiment run{size.harts, hogs, 2_s, 10_s};
            worst = std::max(worst, run.largest_error());
            EXPECT_LE(run.largest_error(), 0.005) << size.harts << " harts, seed " << seed;
        }
        RecordProperty("worst_error_ppm_on_" + std::to_string(size.harts), static_cast<int>(worst * 1e6));
    }
}

// I5c and correction 11: any shares, any masks, which only paces from the rate oracle get right.
class AnyGraph : public testing::Test {
  protected:
    // The errors of many graphs, the largest last.
    static std::vector<double> errors(std::uint64_t count, std::uint32_t least, std::uint32_t most) {
        const std::uint64_t first = first_seed();
        std::vector<double> all;
        for (std::uint64_t seed = first; seed < first + count; ++seed) {
            std::mt19937_64 random{seed};
            const auto harts = static_cast<std::uint32_t>(2 + random() % 3);
            const std::uint64_t every = (std::uint64_t{1} << harts) - 1;
            std::vector<Hog> hogs(harts + 1 + random() % (2 * harts + 2));
            for (Hog& hog : hogs) {
                do {
                    hog.mask = random() & every;
                } while (hog.mask == 0);
                hog.shares = least == 1 ? log_uniform(random, most)
                                        : static_cast<std::uint32_t>(least + random() % (most - least + 1));
            }
            all.push_back(Experiment{harts, hogs, 2_s, 10_s}.largest_error());
        }
        std::ranges::sort(all);
        return all;
    }
    static double quantile(const std::vector<double>& sorted, double part) {
        return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
    }
};

TEST_F(AnyGraph, ModerateShares) {
    const auto all =
        errors(Tiers<std::uint64_t>{.brief = 3, .quick = 200, .thorough = 3000}.value(), 50, 300);
    EXPECT_LE(quantile(all, 0.99), 0.01);
    RecordProperty("p50_ppm", static_cast<int>(quantile(all, 0.5) * 1e6));
    RecordProperty("p99_ppm", static_cast<int>(quantile(all, 0.99) * 1e6));
    RecordProperty("max_ppm", static_cast<int>(all.back() * 1e6));
}

TEST_F(AnyGraph, SharesOfThreeDecades) {
    const auto all =
        errors(Tiers<std::uint64_t>{.brief = 3, .quick = 200, .thorough = 3000}.value(), 1, 1000);
    if (all.size() >= 20) {  // fewer have no 95 %
        EXPECT_LE(quantile(all, 0.95), 0.03);
    }
    RecordProperty("p50_ppm", static_cast<int>(quantile(all, 0.5) * 1e6));
    RecordProperty("p95_ppm", static_cast<int>(quantile(all, 0.95) * 1e6));
    RecordProperty("max_ppm", static_cast<int>(all.back() * 1e6));
}

// I4: a hart does not run a lower class while a task of a higher one waits elsewhere that could run there.
TEST(Balance, AHigherClassDoesNotWaitBesideALowerOne) {
    Machine machine{2};
    Task& first = machine.add_hog(Interactive, 100);
    Task& gone = machine.add_hog(Interactive, 100);
    Task& second = machine.add_hog(Interactive, 100, CpuMask::first(1));
    machine.add_hog(Normal, 100);
    machine.run_for(100_ms);
    machine.exit(gone);
    machine.mark();
    machine.run_for(1_s);
    // Each has a hart but for what the Normal one, wherever it is, gets by its root weight.
    EXPECT_GE(ratio(machine.since_mark(first) + machine.since_mark(second), 1_s), 1 + 64.0 / 80 - 0.02);
    machine.expect_exact_accounts();
}

// What nobody would notice by itself: one task of a higher class waits elsewhere, and its mask is widened.
TEST(Balance, AHartThatIsCalledTakesTheHigherClass) {
    Machine machine{2};
    Task& first = machine.add_hog(Interactive, 100, CpuMask::first(1));
    Task& second = machine.add_hog(Interactive, 100, CpuMask::first(1));
    machine.add_hog(Normal, 100, CpuMask::of(CpuId{1}));
    machine.run_for(1_ms);
    kernel::sched::MachineBalance& shared = machine.harts().machine();
    EXPECT_FALSE(shared.may_have_takers(CpuId{0}));
    EXPECT_FALSE(kernel::sched::answer_call(machine.harts(), CpuId{1}, machine.balance_state(1)));

    Task& waiting = first.entity.state() == TaskState::Queued ? first : second;
    Attributes attributes = waiting.entity.attributes;
    attributes.affinity = attributes.affinity_effective = CpuMask::first(2);
    machine.set(waiting, attributes);
    EXPECT_TRUE(shared.may_have_takers(CpuId{0}));
    EXPECT_EQ(shared.takers(CpuId{0}, machine.harts().load(CpuId{0})), CpuMask::of(CpuId{1}));
    EXPECT_TRUE(kernel::sched::answer_call(machine.harts(), CpuId{1}, machine.balance_state(1)));
    EXPECT_EQ(waiting.entity.cpu(), CpuId{1});
    EXPECT_FALSE(shared.may_have_takers(CpuId{0}));
}

TEST(Balance, WhoBeginsToRunALowerClassIsTold) {
    const auto index = kernel::sched::index_of(Interactive);
    const CpuMask online = CpuMask::first(3);
    kernel::sched::MachineBalance shared;
    kernel::sched::HartLoad same;  // one task of the class
    same.running_class = static_cast<std::uint8_t>(index);
    same.weight[index] = 1600;
    kernel::sched::HartLoad lower;
    lower.running_class = static_cast<std::uint8_t>(kernel::sched::index_of(Normal));
    lower.weight[kernel::sched::index_of(Normal)] = 1600;
    kernel::sched::HartLoad busy = same;  // another one waits
    busy.waiting_mask[index] = CpuMask::first(2);

    EXPECT_FALSE(shared.note_load(CpuId{1}, lower, online));  // nothing waits yet
    EXPECT_FALSE(shared.note_load(CpuId{1}, same, online));
    EXPECT_FALSE(shared.note_load(CpuId{0}, busy, online));
    EXPECT_FALSE(shared.may_have_takers(CpuId{0}));
    EXPECT_TRUE(shared.note_load(CpuId{1}, lower, online));
    EXPECT_FALSE(shared.note_load(CpuId{1}, lower, online)) << "told once";
    EXPECT_EQ(shared.takers(CpuId{0}, busy), CpuMask::of(CpuId{1}));

    kernel::sched::HartLoad turn = lower;  // it has a task of the class itself, whose turn it is not
    turn.weight[index] = 1600;
    EXPECT_FALSE(shared.note_load(CpuId{1}, turn, online));
    EXPECT_TRUE(shared.takers(CpuId{0}, busy).empty());
    EXPECT_TRUE(shared.note_load(CpuId{1}, lower, online));
    shared.forget(CpuId{1});
    EXPECT_FALSE(shared.may_have_takers(CpuId{0}));
}

// A bomb's members share what they may have alike, and who is interactive does not notice.
TEST(Balance, ForkBomb) {
    Machine machine{4};
    machine.audit_every_step(false);
    std::vector<Task*> users;
    for (int i = 0; i < 2; ++i) {
        users.push_back(&machine.add(make(Interactive), {.work = 2_ms, .rest = 14_ms}));
    }
    std::vector<Task*> members;
    for (int i = 0; i < 300; ++i) {
        members.push_back(&machine.add_hog(Normal, 100));
    }
    machine.run_for(1_s);
    machine.mark();
    machine.run_for(9_s);
    const auto [least, most] =
        std::ranges::minmax(members, {}, [&](const Task* task) { return machine.since_mark(*task); });
    // Around 115 ms each in requests of 3 ms: one at either end, and the threshold between harts.
    EXPECT_LE((machine.since_mark(*most) - machine.since_mark(*least)).ns(), (8_ms * 2 + 3_ms * 2).ns());
    for (const Task* user : users) {
        EXPECT_LE(user->entity.statistics().wake_latency_max, 100_us);
    }
}

// Classes mixed on four harts: every Normal task gets the same, wherever the Interactive ones happen to run.
TEST(Balance, ClassesMixed) {
    Machine machine{4};
    machine.audit_every_step(false);
    std::vector<Task*> normal;
    for (int i = 0; i < 6; ++i) {
        machine.add(make(Interactive), {.work = Duration::milliseconds(1 + i % 3), .rest = 13_ms});
    }
    for (int i = 0; i < 16; ++i) {
        normal.push_back(&machine.add_hog(Normal, 100));
    }
    for (int i = 0; i < 4; ++i) {
        machine.add_hog(Idle, 100);
    }
    machine.run_for(2_s);
    machine.mark();
    machine.run_for(20_s);
    const auto [least, most] =
        std::ranges::minmax(normal, {}, [&](const Task* task) { return machine.since_mark(*task); });
    // The threshold and a request of 3 ms, of some 4 s each.
    EXPECT_LE((machine.since_mark(*most) - machine.since_mark(*least)).ns(), (8_ms * 2 + 3_ms).ns());
}

// Correction 3: the clock of Idle is set 7 days of service ahead on one hart, where it has wrapped its sign;
// a task that comes from there and one that stayed are still compared right.
TEST(Balance, FramesMayBeAnywhereInTheirRange) {
    for (const Duration ahead : {7_s * 86400, 14_s * 86400, 100_s * 86400}) {
        Machine machine{2};
        machine.audit_every_step(false);
        const auto shift =
            kernel::sched::span_of(1_s, kernel::sched::kWeightPerShare) * (ahead.ns() / 1'000'000'000);
        for (std::uint32_t hart = 0; hart < 2; ++hart) {
            machine.queue(hart).shift_frames({shift, shift, 0, 0}, 1);
        }
        std::vector<Task*> hogs;
        for (const QosClass qos_class : {Idle, Normal}) {
            for (int i = 0; i < 3; ++i) {
                hogs.push_back(&machine.add_hog(qos_class, 1));
            }
        }
        machine.run_for(1_s);
        machine.mark();
        machine.run_for(10_s);
        for (std::size_t i = 3; i < 6; ++i) {
            EXPECT_NEAR(ratio(machine.since_mark(*hogs[i]), 10_s), 2.0 / 3 * 16 / 17, 0.01) << ahead.ns();
        }
    }
}

}  // namespace
}  // namespace sched_test
