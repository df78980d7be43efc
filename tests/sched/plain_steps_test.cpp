// SPDX-License-Identifier: MIT
// The short ways of run_queue_plain.cpp beside the general functions, step by step: two queues live the same
// life, one takes the short way wherever it is offered, the other never does, and all there is to see of
// either is compared after each step. What the reference (twin.hpp) does not know is part of it: paces of a
// rate table, epochs of frames, masks, and the figures of each task and hart to the last byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <utility>

#include "plain_sides.hpp"
#include "tier.hpp"

namespace sched_test {
namespace {

using kernel::sched::EnqueueReason;
using kernel::sched::index_of;
using kernel::sched::kClasses;
using kernel::sched::Pick;
using kernel::sched::PutReason;
using kernel::sched::RateTable;
using kernel::sched::VirtualSpan;
using Turn = RunQueue::Turn;
using enum QosClass;

// What a life is mostly about.
struct Life {
    std::uint64_t seed{1};
    bool is_lone{true};       // one mask and one hart: steps that call nothing are allowed
    std::uint32_t odd{30};    // one step in so many is unusual
    std::uint32_t hints{12};  // one task in so many has some
};

// How often each short way was taken.
struct Taken {
    std::uint64_t wakes, put_off, put_off_at_once, births, switches, hand_overs, born, ends, yields, among,
        started;
};

class Pair {
  public:
    Pair(const Life& life, Taken& taken) : life_{life}, taken_{taken}, random_{life.seed} {
        now_ = at(1_s * below(1'000'000));
        for (Side* side : {&quick_, &general_}) {
            side->queue.start(CpuId{0}, now_, life.seed % 3 == 0 ? 613 : kernel::sched::kCapacityFull);
            side->budget.configure({.runtime = 2_ms, .period = 20_ms}, now_);
            side->group.set_ceiling(150);
        }
        for (std::size_t i = 0; i < kTasks; ++i) {
            renew(i, any_attributes());
        }
    }

    void step() {
        if (rally_ == 0 && below(30) == 0) {
            rally_ = below(150);
            players_ = 2 + below(2);
            begin_rally();
        }
        rally_ -= rally_ == 0 ? 0 : 1;
        advance();
        if (general_.queue.current() == nullptr && general_.queue.runnable() != 0 && below(8) != 0) {
            pick();
        }
        const bool is_put_off = quick_.queue.put_off() != nullptr;
        const bool is_odd = below(is_put_off ? 20 : is_rally() ? 20 * life_.odd : life_.odd) == 0;
        const std::uint64_t drawn = is_odd                        ? 100
                                    : is_put_off && below(4) != 0 ? 8
                                    : is_rally()                  ? below(18)
                                                                  : below(20);
        const std::size_t task = below(is_rally() && !is_odd ? players_ : kTasks);
        if (drawn == 100) {
            do_odd(task);
        } else if (drawn < 8) {
            wake(task);
        } else if (drawn < 13) {
            put(PutReason::Block);
        } else if (drawn < 16) {
            yield();
        } else if (drawn < 18) {
            give_birth(task);
        } else {
            pick();
        }
        finish();
    }

  private:
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    // Nothing happens but that a few tasks wake each other, and all of it the short way: most of these need
    // that there was no other since.
    [[nodiscard]] bool is_rally() const { return rally_ != 0; }
    // Mostly now; at times the clock was read somewhat earlier.
    [[nodiscard]] Instant early() {
        return below(is_rally() ? 400 : 40) == 0
                   ? now_ - Duration::nanoseconds(static_cast<std::int64_t>(below(3000)))
                   : now_;
    }

    void advance() {
        const auto some = [&](std::uint64_t bound) {
            return Duration::nanoseconds(static_cast<std::int64_t>(below(bound)));
        };
        switch (is_rally() ? 2 + below(14) : below(16)) {
            case 0:
                now_ += some(8'000'000);
                break;
            case 1: {
                // To the next decision, or next to it.
                const Instant event = general_.queue.next_event(now_);
                if (!event.is_never() && now_ < event && event < now_ + 1_s) {
                    now_ = std::max(now_, event + Duration::nanoseconds(1) - some(3));
                }
                break;
            }
            case 2:
                now_ += below(200) == 0 ? some(std::uint64_t{1} << (36 + below(8))) : some(300'000);
                break;
            case 3:
            case 4:
                break;
            default:
                now_ += some(30'000);
                break;
        }
    }

    Attributes any_attributes() {
        static constexpr std::array<std::uint32_t, 3> kShares{200, 1, 777};
        Attributes attributes;
        attributes.shares = below(4) == 0 ? kShares[below(kShares.size())] : 100;
        if (below(life_.hints) == 0) {
            attributes.latency = 1_us * (100 + below(4000));
        }
        if (below(life_.hints) == 0) {
            attributes.burst = 1_us * (100 + below(9000));
        }
        if (below(60) == 0) {
            attributes.qos_class = std::array{Idle, Interactive, PerfBurst}[below(3)];
        }
        attributes.affinity_effective = attributes.affinity =
            life_.is_lone ? CpuMask::first(1) : CpuMask::from_bits(1 | below(8) << 1U);
        return attributes;
    }

    void renew(std::size_t task, const Attributes& attributes) {
        for (Side* side : {&quick_, &general_}) {
            side->renew(task).attributes = attributes;
        }
        was_born_[task] = false;
    }

    [[nodiscard]] Entity& of(Side& side, std::size_t task) { return *side.tasks[task]; }

    // Who is about to do something with a task that was woken, or to look, says so.
    void catch_up() { quick_.queue.catch_up(); }

    template <class F>
    void both(F&& f) {
        f(quick_);
        f(general_);
    }

    // The others are somewhere else; the players have nothing unusual, or nearly.
    void begin_rally() {
        catch_up();
        for (std::size_t i = players_; i < kTasks; ++i) {
            const TaskState state = of(general_, i).state();
            both([&](Side& side) {
                if (state == TaskState::Queued || state == TaskState::Throttled) {
                    side.queue.remove(of(side, i), now_);
                } else if (state == TaskState::Running) {
                    side.queue.put_current(now_, PutReason::Block);
                    static_cast<void>(side.queue.pick_next(now_));
                }
            });
        }
        if (below(8) == 0) {
            return;
        }
        Attributes attributes;
        attributes.affinity_effective = attributes.affinity = CpuMask::first(1);
        attributes.shares = below(4) == 0 ? 300 : 100;
        for (std::size_t i = 0; i < players_; ++i) {
            const TaskState state = of(general_, i).state();
            if (state == TaskState::Dead && i == 0) {
                renew(i, attributes);
            }
            if (was_born_[i] && state != TaskState::Dead) {
                both([&](Side& side) {
                    side.queue.set_budget(of(side, i), nullptr, now_);
                    side.queue.set_group(of(side, i), nullptr, now_);
                    side.queue.end_donation(of(side, i), now_);
                    static_cast<void>(side.queue.set_attributes(of(side, i), attributes, now_));
                });
                if (state == TaskState::Migrating) {
                    arrive(i, now_);
                }
            }
            attributes.shares = below(16) == 0 ? 200 : attributes.shares;
        }
        both([&](Side& side) { side.queue.set_rates(index_of(Normal), RateTable{}, now_); });
    }

    // --- Usual ---

    void wake(std::size_t task) {
        if (of(general_, task).state() != TaskState::Blocked) {
            return;
        }
        Instant now = early();
        if (!was_born_[task]) {
            was_born_[task] = true;
            both([&](Side& side) {
                static_cast<void>(side.queue.enqueue(of(side, task), now, EnqueueReason::New));
            });
            return;
        }
        Entity& entity = of(quick_, task);
        Instant event = Instant::never();
        bool is_put_off = false;
        bool is_taken = false;
        Instant programmed = Instant::never();
        switch (is_rally() ? 1 + below(4) : below(5)) {
            case 1:
                // The hart's timer may be set to any instant.
                now = now_;
                programmed = below(3) != 0 ? now : now + 1_us * below(600);
                is_put_off = is_taken = quick_.queue.current() != nullptr &&
                                        quick_.queue.wake_later_at_once(entity, now, programmed);
                taken_.put_off_at_once += is_taken ? 1 : 0;
                break;
            case 2:
            case 3:
                is_put_off = is_taken = quick_.queue.wake_later(entity, now, event);
                taken_.put_off += is_taken ? 1 : 0;
                break;
            default:
                break;
        }
        if (!is_taken && (is_rally() || below(4) != 0)) {
            is_taken = quick_.queue.wake_plainly(entity, now, event);
            taken_.wakes += is_taken ? 1 : 0;
        }
        if (!is_taken) {
            static_cast<void>(quick_.queue.enqueue(entity, now, EnqueueReason::Wake));
        }
        static_cast<void>(general_.queue.enqueue(of(general_, task), now, EnqueueReason::Wake));
        const Instant expected = general_.queue.next_event(now);
        if (is_put_off) {
            EXPECT_LE(programmed.is_never() ? event : programmed, expected) << "too late";
            is_put_off_ = true;
        } else if (is_taken) {
            EXPECT_EQ(event, expected);
        }
    }

    // A child like its parent is one that can be put off.
    void give_birth(std::size_t task) {
        if (of(general_, task).state() != TaskState::Dead || general_.queue.current() == nullptr) {
            return;
        }
        Attributes attributes = any_attributes();
        if (below(8) != 0) {
            attributes = general_.queue.current()->attributes;
        }
        renew(task, attributes);
        was_born_[task] = true;
        const Instant now = early();
        const auto begin = [&](Side& side) {
            side.queue.charge_current(now);
            side.queue.inherit_position(of(side, task), *side.queue.current());
            static_cast<void>(side.queue.enqueue(of(side, task), now, EnqueueReason::New));
        };
        Instant event;
        const bool is_taken = below(6) != 0 && quick_.queue.start_later(of(quick_, task), now, event);
        if (!is_taken) {
            begin(quick_);
        }
        begin(general_);
        if (is_taken) {
            ++taken_.births;
            EXPECT_LE(event, general_.queue.next_event(now)) << "too late";
            is_put_off_ = true;
        }
    }

    void yield() {
        if (general_.queue.current() == nullptr) {
            return;
        }
        if (below(4) != 0) {
            const bool is_alone = quick_.queue.yield_alone();
            EXPECT_EQ(is_alone, general_.queue.yield_alone());
            if (is_alone) {
                return;
            }
        }
        put(PutReason::Yield);
    }

    // The current one stops, and another one follows.
    void put(PutReason reason) {
        if (general_.queue.current() == nullptr ||
            (is_rally() && general_.queue.runnable() == 1 && below(16) != 0)) {
            return;
        }
        const Instant now = early();
        const bool ends = reason == PutReason::Block && below(8) == 0;
        const std::size_t before = general_.index_of(general_.queue.current());
        if (ends) {
            reason = PutReason::Exit;
        }
        // One that waits again before it went on never takes a short way.
        const std::uint64_t way = general_.queue.current()->is_waking() ? 0 : is_rally() ? 2 : below(4);
        general_.queue.put_current(now, reason);
        const Pick expected = general_.queue.pick_next(now);
        const Instant event = general_.queue.next_event(now);
        bool is_taken = way >= 2 && quick_.queue.is_usual(now) && put_at_once(now, reason, expected, event);
        if (!is_taken && way >= 1 && !ends) {
            RunQueue::Step step;
            is_taken = quick_.queue.switch_plainly(now, reason, step);
            if (is_taken) {
                ++taken_.switches;
                expect_pick(step.pick, expected);
                EXPECT_EQ(step.event, event);
                note_started(now, true);
            }
        }
        if (!is_taken) {
            quick_.queue.put_current(now, reason);
            expect_pick(quick_.queue.pick_next(now), expected);
            note_started(now, false);
        }
        if (ends) {
            forget(before);
        }
    }

    // The steps that call nothing: on the only hart there is, of those a put off one is followed by.
    bool put_at_once(Instant now, PutReason reason, const Pick& expected, Instant event) {
        RunQueue& queue = quick_.queue;
        if (reason == PutReason::Yield) {
            Entity* const other = queue.only_waiting();
            Instant found = Instant::never();
            Entity* const next =
                other != nullptr ? queue.yield_at_once(*other, now, found) : queue.yield_among(now, found);
            if (next == nullptr) {
                return false;
            }
            ++(other != nullptr ? taken_.yields : taken_.among);
            EXPECT_EQ(quick_.index_of(next), general_.index_of(expected.entity));
            EXPECT_EQ(found, event);
            note_started(now, true);
            return true;
        }
        Entity* const next = queue.put_off();
        if (next == nullptr || !life_.is_lone) {
            return false;
        }
        Turn turn = Turn::Refused;
        if (reason == PutReason::Exit) {
            turn = queue.hand_over_at_end(*next, now);
            taken_.ends += turn != Turn::Refused ? 1 : 0;
        } else {
            turn = queue.hand_over_at_once(*next, now);
            taken_.hand_overs += turn != Turn::Refused ? 1 : 0;
            if (turn == Turn::Refused) {
                turn = queue.hand_over_to_child(*next, now);
                taken_.born += turn != Turn::Refused ? 1 : 0;
                EXPECT_NE(turn, Turn::Waking) << "a child is not late";
            }
        }
        if (turn == Turn::Refused) {
            return false;
        }
        EXPECT_EQ(quick_.index_of(next), general_.index_of(expected.entity));
        EXPECT_TRUE(expected.switched);
        EXPECT_TRUE(event.is_never());
        EXPECT_EQ(turn == Turn::Waking, next->is_waking());
        note_started(now, turn != Turn::Waking);
        return true;
    }

    // What the kernel does where a task goes on: mostly at once.
    void note_started(Instant now, bool is_short) {
        Entity* const current = general_.queue.current();
        if (current == nullptr || !current->is_waking()) {
            return;
        }
        if (is_short && !quick_.queue.current()->is_waking()) {
            general_.queue.note_started(now);  // the other one did
            return;
        }
        if (below(10) == 0) {
            return;
        }
        if (is_short && below(2) == 0 && quick_.queue.note_started_at_once(now)) {
            ++taken_.started;
            general_.queue.note_started(now);
            return;
        }
        const bool is_timed = below(4) == 0;
        const Instant due =
            is_timed ? now - Duration::nanoseconds(static_cast<std::int64_t>(below(9'000))) : Instant{};
        const Instant latest = is_timed ? due + 2_us : Instant::never();
        quick_.queue.note_started(now, due, latest);
        general_.queue.note_started(now, due, latest);
    }

    void expect_pick(const Pick& found, const Pick& expected) {
        EXPECT_EQ(quick_.index_of(found.entity), general_.index_of(expected.entity));
        EXPECT_EQ(found.switched, expected.switched);
        EXPECT_EQ(found.balance, expected.balance);
    }

    void pick() {
        const Instant now = early();
        const Pick expected = general_.queue.pick_next(now);
        expect_pick(quick_.queue.pick_next(now), expected);
        note_started(now, false);
    }

    void forget(std::size_t task) {
        if (of(general_, task).budget() == nullptr && of(general_, task).group() == nullptr) {
            return;
        }
        both([&](Side& side) {
            side.queue.set_budget(of(side, task), nullptr, now_);
            side.queue.set_group(of(side, task), nullptr, now_);
        });
    }

    // --- Unusual ---

    void do_odd(std::size_t task) {
        // What is put off is done before anything else, unless that is about the one it is of.
        if (quick_.queue.put_off() == &of(quick_, task) || below(2) == 0) {
            catch_up();
        }
        const TaskState state = of(general_, task).state();
        const bool is_alive = was_born_[task] && state != TaskState::Dead;
        const Instant now = early();
        const auto drawn = below(11);
        if (drawn <= 6 && !is_alive) {
            return;
        }
        Attributes attributes = any_attributes();
        if (below(5) == 0) {
            attributes.qos_class = PerfBurst;
        }
        const bool has_some = below(3) == 0;
        RateTable table;
        std::array<VirtualSpan, kClasses> shifts{};
        switch (drawn) {
            case 0:
            case 1:
                both([&](Side& side) {
                    static_cast<void>(side.queue.set_attributes(of(side, task), attributes, now));
                });
                break;
            case 2:
                both([&](Side& side) {
                    side.queue.set_budget(of(side, task), has_some ? &side.budget : nullptr, now);
                });
                break;
            case 3:
                both([&](Side& side) {
                    side.queue.set_group(of(side, task), has_some ? &side.group : nullptr, now);
                });
                break;
            case 4:
                both([&](Side& side) {
                    if (has_some) {
                        side.queue.set_donation(of(side, task), {.qos_class = Normal, .latency = 2_ms}, now);
                    } else {
                        side.queue.end_donation(of(side, task), now);
                    }
                });
                break;
            case 5:
            case 6:
                travel(task, now);
                break;
            case 7:
                // Paces that are not weights, and mostly the end of that.
                if (has_some) {
                    table.generation = ++generation_;
                    table.count = 1;
                    table.rows[0] = {.mask = CpuMask::first(1),
                                     .factor = RateTable::kFactorOne * (1 + below(4))};
                    table.whole = below(2) == 0 ? RateTable::kNoLimit : 1600;
                }
                both([&](Side& side) { side.queue.set_rates(index_of(Normal), table, now); });
                break;
            case 8:
                for (VirtualSpan& shift : shifts) {
                    shift = static_cast<VirtualSpan>(below(1U << 30U)) - (VirtualSpan{1} << 29U);
                }
                ++epoch_;
                both([&](Side& side) { side.queue.shift_frames(shifts, epoch_); });
                break;
            case 9: {
                catch_up();
                const VirtualSpan ahead = static_cast<VirtualSpan>(below(1U << 30U));
                both([&](Side& side) {
                    side.queue.raise_frame(Normal, side.queue.queue(Normal).global_now() + ahead);
                });
                break;
            }
            default:
                both([&](Side& side) { side.queue.charge_current(now); });
                break;
        }
    }

    // A task leaves, as for another hart, and is back soon.
    void travel(std::size_t task, Instant now) {
        const TaskState state = of(general_, task).state();
        both([&](Side& side) {
            Entity& entity = of(side, task);
            if (state == TaskState::Blocked) {
                side.queue.note_woken(entity, now);
            } else if (state == TaskState::Running) {
                side.queue.put_current(now, PutReason::Migrate);
            } else if (state != TaskState::Migrating) {
                side.queue.remove(entity, now);
            }
        });
        if (below(2) == 0) {
            return;
        }
        arrive(task, now);
    }
    void arrive(std::size_t task, Instant now) {
        both([&](Side& side) {
            Entity& entity = of(side, task);
            static_cast<void>(side.queue.enqueue(
                entity, now, entity.is_waking() ? EnqueueReason::Wake : EnqueueReason::Migrate));
        });
    }

    void finish() {
        // What was put off is found so by the next step, every other time.
        if (std::exchange(is_put_off_, false) && quick_.queue.put_off() != nullptr && below(4) != 0) {
            return;
        }
        catch_up();
        for (std::size_t i = 0; i < kTasks; ++i) {
            if (!is_rally() && of(general_, i).state() == TaskState::Migrating && below(8) == 0) {
                arrive(i, now_);
            }
        }
        expect_alike(quick_, general_, now_);
    }

    Life life_;
    Taken& taken_;
    std::mt19937_64 random_;
    Instant now_;
    Side quick_;
    Side general_;
    std::array<bool, kTasks> was_born_{};
    std::uint64_t rally_{0};    // so many more steps
    std::uint64_t players_{2};  // tasks with these numbers
    bool is_put_off_{false};
    std::uint32_t epoch_{0};
    std::uint32_t generation_{0};
};

TEST(PlainSteps, AreTheGeneralOnes) {
    const std::uint64_t lives = Tiers<std::uint64_t>{.brief = 60, .quick = 1000, .thorough = 100'000}.value();
    const std::uint64_t first = first_seed();
    Taken sum{};
    for (std::uint64_t seed = first; seed < first + lives; ++seed) {
        const Life life{.seed = seed,
                        .is_lone = seed % 4 != 0,
                        .odd = seed % 2 == 0 ? 12U : 80U,
                        .hints = seed % 3 == 0 ? 2U : 20U};
        Pair pair{life, sum};
        for (int i = 0; i < 600; ++i) {
            pair.step();
            ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << " step " << i;
        }
    }
    // Each way was taken many times, or nothing was compared.
    for (const std::uint64_t each :
         {sum.wakes, sum.put_off, sum.put_off_at_once, sum.births, sum.switches, sum.hand_overs, sum.born,
          sum.ends, sum.yields, sum.among, sum.started}) {
        EXPECT_GT(each, lives / 10);
    }
}

}  // namespace
}  // namespace sched_test
