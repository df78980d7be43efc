// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "absence.hpp"

namespace {

using selftest::AbsenceWatch;

constexpr std::uint64_t kUnit = 10'000;
constexpr std::uint64_t kLimit = 100 * kUnit;
constexpr std::uint64_t kMs = 1'000'000;

// A thread with its clock and its charge.
class Thread {
  public:
    // One unit, in the middle of which the host is away, or others have the hart.
    bool unit(std::uint64_t away_ns = 0, std::uint64_t displaced_ns = 0) {
        now_ += kUnit + away_ns + displaced_ns;
        charged_ += kUnit + away_ns;
        return watch_.note(now_, [this] {
            ++looks_;
            return charged_;
        });
    }
    void units(int count) {
        for (int i = 0; i < count; ++i) {
            EXPECT_FALSE(unit());
        }
    }
    [[nodiscard]] const selftest::Absences& absences() const { return watch_.absences(); }
    [[nodiscard]] int looks() const { return looks_; }

  private:
    std::uint64_t now_{5 * kMs};
    std::uint64_t charged_{2 * kMs};
    int looks_{0};
    AbsenceWatch watch_{kLimit, now_, charged_};
};

TEST(Absence, UndisturbedWorkIsNotEvenLookedAt) {
    Thread thread;
    thread.units(10'000);
    EXPECT_EQ(thread.looks(), 0);
    EXPECT_EQ(thread.absences().total_ns, 0U);
}

TEST(Absence, OtherTasksAreNone) {
    Thread thread;
    for (int turn = 0; turn < 50; ++turn) {
        EXPECT_FALSE(thread.unit(0, 12 * kMs));
        thread.units(300);
    }
    EXPECT_EQ(thread.looks(), 50);
    EXPECT_EQ(thread.absences().longest_ns, 0U);
}

TEST(Absence, ChargedForNothing) {
    Thread thread;
    thread.units(300);
    EXPECT_TRUE(thread.unit(4 * kMs));
    thread.units(300);
    // The host comes back when the turn is over: the thread is displaced at once.
    EXPECT_TRUE(thread.unit(7 * kMs, 12 * kMs));
    EXPECT_EQ(thread.absences().longest_ns, 7 * kMs + kUnit);
    EXPECT_EQ(thread.absences().total_ns, 11 * kMs + 2 * kUnit);
}

TEST(Absence, InterruptsAreNone) {
    Thread thread;
    for (int i = 0; i < 1000; ++i) {
        EXPECT_FALSE(thread.unit(kLimit / 2));
        EXPECT_FALSE(thread.unit(kUnit));
    }
    EXPECT_EQ(thread.absences().total_ns, 0U);
}

// A kernel that forgets to charge shows no absence, however long others had the hart.
TEST(Absence, AKernelThatChargesNothing) {
    AbsenceWatch watch{kLimit, 0, 0};
    for (std::uint64_t now = kUnit; now < 100 * kMs; now += kUnit) {
        EXPECT_FALSE(watch.note(now, [] { return std::uint64_t{0}; }));
    }
    EXPECT_FALSE(watch.note(200 * kMs, [] { return std::uint64_t{0}; }));
}

}  // namespace
