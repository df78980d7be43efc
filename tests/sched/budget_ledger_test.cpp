// SPDX-License-Identifier: MIT
// A budget's accounts beside a plain ledger: whatever is done to a budget, in whatever order, is done to a
// list of what was used, written for reading and not for speed, and every answer either gives is compared.
// Times are few and round, so that most of what is compared is exactly at a limit, or next to it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "machine.hpp"
#include "sched/budget.hpp"

namespace sched_test {
namespace {

using kernel::sched::Budget;
using kernel::sched::BudgetParams;
using kernel::sched::BudgetWaiter;

// What budget.hpp says, with everything worked out anew each time.
class Ledger {
  public:
    void configure(const BudgetParams& params, Instant now) {
        expire(now);
        params_ = params;
    }
    void attach(Instant now) {
        expire(now);
        if (++tasks_ == 2) {
            for (Stretch& stretch : used_) {
                stretch.base += stretch.amount;
            }
            std::ranges::stable_sort(used_, {}, [](const Stretch& stretch) { return stretch.base.ns(); });
        }
    }
    void detach() { --tasks_; }
    Duration grant(Instant now) {
        const Duration free = left(now);
        const Duration most = tasks_ > 1 ? piece_or_quantum() : free;
        const Duration granted = free < Budget::kQuantum ? 0_ns : std::min(free, most);
        set_aside_ += granted;
        return granted;
    }
    Duration renew(Instant now) { return line_.empty() ? grant(now) : 0_ns; }
    void give_back(Duration granted) { set_aside_ -= granted; }
    void use(Instant from, Instant to, Duration granted, bool lent) {
        set_aside_ -= granted;
        if (from >= to) {
            return;
        }
        expire(to);
        const bool from_end = lent || tasks_ > 1;
        const Duration most = from_end ? params_.runtime / 8 : params_.runtime;
        const bool goes_on = !used_.empty() && last_end_ == from && used_.back().amount + (to - from) <= most;
        last_end_ = to;
        if (goes_on) {
            used_.back().amount += to - from;
            used_.back().base = from_end ? to : used_.back().base;
            return;
        }
        if (used_.size() == 8) {
            merge_nearest();
        }
        const Stretch stretch{.base = from_end ? to : from, .amount = to - from};
        const auto after = std::ranges::find_if(
            used_, [&](const Stretch& other) { return other.base.ns() > stretch.base.ns(); });
        used_.insert(after, stretch);
    }
    void wait(BudgetWaiter& waiter) { line_.insert(waiter.has_turn ? line_.begin() : line_.end(), &waiter); }
    void stop_waiting(const BudgetWaiter& waiter) { std::erase(line_, &waiter); }
    bool may_start(const BudgetWaiter& waiter, Instant now) {
        return left(now) >= Budget::kQuantum && (line_.empty() || waiter.has_turn);
    }
    bool may_go_on(const BudgetWaiter& waiter, Instant now) {
        return left(now) >= Budget::kQuantum && line_.front() == &waiter;
    }
    Instant ask_again_at(const BudgetWaiter& waiter, Instant now) {
        // When the first of what was used are back, so that a quantum is left; where that is never, others
        // have set it aside.
        Duration free = left(now);
        std::size_t back = 0;
        while (free < Budget::kQuantum && back < used_.size()) {
            free += used_[back++].amount;
        }
        const Instant soon = now + piece_or_quantum();
        const Instant available = free < Budget::kQuantum ? soon
                                  : back == 0             ? now
                                                          : used_[back - 1].base + params_.period;
        return line_.front() == &waiter ? available : std::max(available, soon);
    }
    Duration left(Instant now) {
        expire(now);
        Duration sum;
        for (const Stretch& stretch : used_) {
            sum += stretch.amount;
        }
        return params_.runtime - sum - set_aside_;
    }
    [[nodiscard]] Instant last_end() const { return last_end_; }
    [[nodiscard]] std::uint32_t tasks() const { return tasks_; }
    [[nodiscard]] const std::deque<const BudgetWaiter*>& line() const { return line_; }

  private:
    struct Stretch {
        Instant base;
        Duration amount;
    };
    [[nodiscard]] Duration piece_or_quantum() const {
        return std::max(Budget::kQuantum, params_.runtime / 8);
    }
    // In order: one that is there yet keeps those behind it.
    void expire(Instant now) {
        while (!used_.empty() && now - used_.front().base >= params_.period) {
            used_.erase(used_.begin());
        }
    }
    // The two that are nearest to each other, of those the first: the later one has both.
    void merge_nearest() {
        std::vector<Duration> gaps;
        for (std::size_t i = 0; i + 1 < used_.size(); ++i) {
            gaps.push_back(used_[i + 1].base - used_[i].base);
        }
        const auto first = std::ranges::min_element(gaps, {}, [](Duration gap) { return gap.ns(); });
        const auto at = used_.begin() + (first - gaps.begin());
        std::next(at)->amount += at->amount;
        used_.erase(at);
    }

    BudgetParams params_;
    std::vector<Stretch> used_;
    Duration set_aside_;
    Instant last_end_;
    std::uint32_t tasks_{0};
    std::deque<const BudgetWaiter*> line_;
};

// A budget and its ledger; each step does one thing to both, at random.
class Books {
  public:
    explicit Books(std::uint64_t seed) : random_{seed} { configure(); }

    void step() {
        now_ += kTick * below(below(4) == 0 ? 40 : 4);
        switch (below(9)) {
            case 0:
                if (below(8) == 0) {
                    configure();
                }
                break;
            case 1:
                change_tasks();
                break;
            case 2:
            case 3:
                set_aside();
                break;
            case 4:
            case 5:
            case 6:
                use();
                break;
            default:
                wait();
                break;
        }
        compare();
    }

  private:
    static constexpr Duration kTick = 10_us;

    std::int64_t below(std::uint64_t bound) { return static_cast<std::int64_t>(random_() % bound); }

    void configure() {
        // A piece that is a quantum, one that is less, and some that are more.
        static constexpr std::array kRuntimes{100_us, 400_us, 480_us, 800_us, 2000_us};
        const Duration runtime = kRuntimes[static_cast<std::size_t>(below(kRuntimes.size()))];
        const BudgetParams params{.runtime = runtime, .period = runtime + kTick * below(200)};
        budget_.configure(params, now_);
        ledger_.configure(params, now_);
        EXPECT_EQ(budget_.params(), params);
    }
    void change_tasks() {
        if (below(3) == 0 && ledger_.tasks() != 0) {
            budget_.detach();
            ledger_.detach();
        } else if (ledger_.tasks() < 3) {
            budget_.attach(now_);
            ledger_.attach(now_);
        }
    }
    void set_aside() {
        const bool is_first = below(2) == 0;
        const Duration granted = is_first ? budget_.grant(now_) : budget_.renew(now_);
        ASSERT_EQ(granted, is_first ? ledger_.grant(now_) : ledger_.renew(now_));
        if (!granted.is_zero()) {
            grants_.push_back(granted);
        }
    }
    // Some of what was set aside, all of it, or more; right behind the last stretch, or not; nothing, too.
    void use() {
        const Instant from = below(2) == 0 && !(now_ < ledger_.last_end()) ? ledger_.last_end()
                                                                           : now_ + kTick * (below(5) - 2);
        if (from.ns() < 0) {
            return;
        }
        Duration ran = kTick * below(14);
        if (grants_.empty()) {
            ran = below(6) == 0 ? ran : 0_ns;
        }
        Duration granted;
        if (!grants_.empty()) {
            Duration& grant = grants_[static_cast<std::size_t>(below(grants_.size()))];
            granted = std::min(grant, ran);
            grant -= granted;
        }
        const bool lent = below(6) == 0;
        budget_.use(from, from + ran, granted, lent);
        ledger_.use(from, from + ran, granted, lent);
        now_ = std::max(now_, from + ran);
        if (below(3) == 0 && !grants_.empty()) {
            budget_.give_back(grants_.back());
            ledger_.give_back(grants_.back());
            grants_.pop_back();
        }
    }
    void wait() {
        BudgetWaiter& waiter = waiters_[static_cast<std::size_t>(below(waiters_.size()))];
        if (std::ranges::find(ledger_.line(), &waiter) != ledger_.line().end()) {
            budget_.stop_waiting(waiter);
            ledger_.stop_waiting(waiter);
        } else {
            waiter.has_turn = below(3) == 0;
            budget_.wait(waiter);
            ledger_.wait(waiter);
        }
    }
    void compare() {
        for (const BudgetWaiter& waiter : waiters_) {
            ASSERT_EQ(budget_.may_start(waiter, now_), ledger_.may_start(waiter, now_));
            if (!ledger_.line().empty()) {
                ASSERT_EQ(budget_.may_go_on(waiter, now_), ledger_.may_go_on(waiter, now_));
                ASSERT_EQ(budget_.ask_again_at(waiter, now_), ledger_.ask_again_at(waiter, now_));
            }
        }
        ASSERT_EQ(budget_.left(now_), ledger_.left(now_));
    }

    std::mt19937_64 random_;
    Instant now_{at(1_s)};
    Budget budget_;
    Ledger ledger_;
    std::array<BudgetWaiter, 3> waiters_;
    std::vector<Duration> grants_;
};

TEST(BudgetLedger, EveryAnswerIsTheLedgers) {
    for (std::uint64_t seed = 1; seed <= 300 && !testing::Test::HasFailure(); ++seed) {
        Books books{seed};
        for (int i = 0; i < 300 && !testing::Test::HasFatalFailure(); ++i) {
            books.step();
        }
        EXPECT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
    }
}

// Harts draw on one budget at once: nothing is lost or spent twice.
TEST(BudgetLedger, IsOneForAllHarts) {
    Budget budget;
    budget.configure({.runtime = 100_ms, .period = 100_ms}, at(0_ms));
    constexpr int kRounds = 50'000;
    const auto draw = [&] {
        budget.attach(at(0_ms));
        for (int i = 0; i < kRounds; ++i) {
            const Duration granted = budget.grant(at(0_ms));
            if (granted >= 1_ns) {
                budget.use(at(0_ms), at(1_ns), 1_ns, false);
                budget.give_back(granted - 1_ns);
            } else {
                --i;  // another one has it all
            }
        }
    };
    {
        std::jthread other{draw};
        draw();
    }
    EXPECT_EQ(budget.left(at(1_ns)), 100_ms - 2_ns * kRounds);
}

// The time between two looks does not matter: what is asked late has what was there when it was due.
TEST(BudgetLedger, AQuantumIsEnoughAndLessIsNot) {
    Budget budget;
    budget.configure({.runtime = 100_us, .period = 1_ms}, at(0_ms));
    budget.attach(at(0_ms));
    const Duration granted = budget.grant(at(0_ms));
    budget.use(at(0_ms), at(50_us), 50_us, false);
    budget.give_back(granted - 50_us);
    BudgetWaiter waiter;
    EXPECT_TRUE(budget.may_start(waiter, at(50_us)));
    EXPECT_EQ(budget.grant(at(50_us)), Budget::kQuantum);
    budget.use(at(50_us), at(51_us), 1_us, false);
    budget.give_back(49_us);
    EXPECT_EQ(budget.left(at(51_us)), 49_us);
    EXPECT_FALSE(budget.may_start(waiter, at(51_us)));
    EXPECT_EQ(budget.grant(at(51_us)), 0_us);
    budget.wait(waiter);
    EXPECT_EQ(budget.ask_again_at(waiter, at(51_us)), at(1_ms));
    budget.stop_waiting(waiter);
    budget.detach();
}

}  // namespace
}  // namespace sched_test
