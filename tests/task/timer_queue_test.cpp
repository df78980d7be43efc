// SPDX-License-Identifier: MIT
// Sleepers of one hart: nobody wakes early, nobody later than the slack allows, nobody waits for nothing, and
// no set of interrupts would be smaller.
#include "task/timer_queue.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <vector>

namespace kernel::task {
namespace {

using ::testing::ElementsAre;

constexpr Duration us(std::int64_t n) {
    return Duration::microseconds(n);
}
constexpr Instant at_us(std::int64_t n) {
    return Instant{} + us(n);
}

struct Sleeper {
    Timer timer;
    Instant deadline;
    Duration slack;
    Instant woken{Instant::never()};
};

// A hart that does nothing but sleep until its next interrupt.
class Hart {
  public:
    Sleeper& sleep(Instant deadline, Duration slack) {
        Sleeper& sleeper = sleepers_.emplace_back();
        sleeper.deadline = deadline;
        sleeper.slack = slack;
        queue_.add(sleeper.timer, deadline, slack);
        return sleeper;
    }
    void wake(Sleeper& sleeper) { queue_.remove(sleeper.timer); }

    // In the kernel at `now`, for whatever reason.
    void enter(Instant now) {
        while (Timer* timer = queue_.pop_expired(now)) {
            const auto owner = std::ranges::find_if(
                sleepers_, [&](const Sleeper& sleeper) { return &sleeper.timer == timer; });
            ASSERT_NE(owner, sleepers_.end());
            owner->woken = now;
        }
    }
    // Takes interrupts until nobody is left; returns when they came.
    std::vector<Instant> run() {
        std::vector<Instant> interrupts;
        while (!queue_.next_interrupt().is_never()) {
            interrupts.push_back(queue_.next_interrupt());
            enter(interrupts.back());
        }
        return interrupts;
    }
    [[nodiscard]] std::deque<Sleeper>& sleepers() { return sleepers_; }
    [[nodiscard]] TimerQueue& queue() { return queue_; }

  private:
    TimerQueue queue_;
    std::deque<Sleeper> sleepers_;
};

TEST(TimerSlack, NobodySleepsNoInterrupt) {
    Hart hart;
    EXPECT_TRUE(hart.queue().next_interrupt().is_never());
    EXPECT_TRUE(hart.queue().next_deadline().is_never());
    EXPECT_EQ(hart.queue().pop_expired(at_us(1)), nullptr);
}

TEST(TimerSlack, ALoneSleeperIsNotLate) {
    Hart hart;
    const Sleeper& lone = hart.sleep(at_us(100), kTimerSlack);
    EXPECT_THAT(hart.run(), ElementsAre(at_us(100)));
    EXPECT_EQ(lone.woken, at_us(100));
}

TEST(TimerSlack, TwoHalfAMillisecondApartTakeOneInterrupt) {
    for (const bool in_order : {true, false}) {
        Hart hart;
        const Sleeper& one = hart.sleep(at_us(in_order ? 5000 : 5500), kTimerSlack);
        const Sleeper& other = hart.sleep(at_us(in_order ? 5500 : 5000), kTimerSlack);
        EXPECT_THAT(hart.run(), ElementsAre(at_us(5500)));
        EXPECT_EQ(one.woken, at_us(5500));
        EXPECT_EQ(other.woken, at_us(5500));
    }
}

TEST(TimerSlack, TwoFurtherApartThanTheSlackTakeTwo) {
    Hart hart;
    hart.sleep(at_us(5000), kTimerSlack);
    hart.sleep(at_us(6001), kTimerSlack);
    EXPECT_THAT(hart.run(), ElementsAre(at_us(5000), at_us(6001)));
}

TEST(TimerSlack, ExactlyTheSlackApartTakeOne) {
    Hart hart;
    hart.sleep(at_us(5000), kTimerSlack);
    hart.sleep(at_us(6000), kTimerSlack);
    EXPECT_THAT(hart.run(), ElementsAre(at_us(6000)));
}

TEST(TimerSlack, WithoutSlackNobodyWaitsForOthers) {
    Hart hart;
    const Sleeper& prompt = hart.sleep(at_us(5000), Duration{});
    hart.sleep(at_us(5300), Duration{});
    EXPECT_THAT(hart.run(), ElementsAre(at_us(5000), at_us(5300)));
    EXPECT_EQ(prompt.woken, at_us(5000));
}

TEST(TimerSlack, OthersWaitForOneWithout) {
    Hart hart;
    const Sleeper& lax = hart.sleep(at_us(4800), kTimerSlack);
    const Sleeper& prompt = hart.sleep(at_us(5000), Duration{});
    const Sleeper& later = hart.sleep(at_us(5100), kTimerSlack);
    EXPECT_THAT(hart.run(), ElementsAre(at_us(5000), at_us(5100)));
    EXPECT_EQ(lax.woken, at_us(5000));
    EXPECT_EQ(prompt.woken, at_us(5000));
    EXPECT_EQ(later.woken, at_us(5100));
}

TEST(TimerSlack, WhoIsDueWhenTheHartIsThereAnywayDoesNotWait) {
    Hart hart;
    const Sleeper& one = hart.sleep(at_us(5000), kTimerSlack);
    const Sleeper& other = hart.sleep(at_us(5500), kTimerSlack);
    hart.enter(at_us(5100));
    EXPECT_EQ(one.woken, at_us(5100));
    EXPECT_TRUE(other.woken.is_never());
    EXPECT_THAT(hart.run(), ElementsAre(at_us(5500)));
}

TEST(TimerSlack, AChainDoesNotPushTheFirstBeyondItsSlack) {
    Hart hart;
    for (std::int64_t i = 0; i < 10; ++i) {
        hart.sleep(at_us(1000 + i * 300), kTimerSlack);
    }
    EXPECT_THAT(hart.run(), ElementsAre(at_us(1900), at_us(3100), at_us(3700)));
}

TEST(TimerSlack, WhoIsWokenByOthersIsNotWaitedFor) {
    Hart hart;
    const Sleeper& one = hart.sleep(at_us(5000), kTimerSlack);
    Sleeper& other = hart.sleep(at_us(5500), kTimerSlack);
    hart.wake(other);
    EXPECT_THAT(hart.run(), ElementsAre(at_us(5000)));
    EXPECT_EQ(one.woken, at_us(5000));
}

// The fewest points that meet every [deadline, deadline + slack]: always the earliest end of an unmet one.
std::size_t fewest_interrupts(const std::deque<Sleeper>& sleepers) {
    std::vector<std::array<Instant, 2>> unmet;
    for (const Sleeper& sleeper : sleepers) {
        unmet.push_back({sleeper.deadline + sleeper.slack, sleeper.deadline});
    }
    std::ranges::sort(unmet);
    std::size_t points = 0;
    Instant last = Instant::from_ns(-1);
    for (const auto& [latest, deadline] : unmet) {
        if (deadline > last) {
            last = latest;
            ++points;
        }
    }
    return points;
}

TEST(TimerSlack, SeededSleepersAreServedWithTheFewestInterrupts) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937_64 random{seed};
        Hart hart;
        const auto count = static_cast<std::int64_t>(1 + random() % 200);
        for (std::int64_t i = 0; i < count; ++i) {
            const auto deadline = at_us(static_cast<std::int64_t>(random() % 50'000));
            hart.sleep(deadline, random() % 3 == 0 ? Duration{} : kTimerSlack);
        }
        const std::vector<Instant> interrupts = hart.run();
        EXPECT_EQ(interrupts.size(), fewest_interrupts(hart.sleepers()));
        EXPECT_TRUE(std::ranges::is_sorted(interrupts));
        for (const Sleeper& sleeper : hart.sleepers()) {
            EXPECT_GE(sleeper.woken, sleeper.deadline);
            EXPECT_LE(sleeper.woken, sleeper.deadline + sleeper.slack);
        }
        for (const Instant interrupt : interrupts) {
            EXPECT_TRUE(std::ranges::any_of(hart.sleepers(), [&](const Sleeper& sleeper) {
                return sleeper.deadline == interrupt;
            })) << "an interrupt comes when somebody is due";
        }
    }
}

}  // namespace
}  // namespace kernel::task
