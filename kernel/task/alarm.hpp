// SPDX-License-Identifier: MIT
// Timers that send signals: those of timer_create, and the three of setitimer. An alarm lies in the timer
// queue of the hart that set it, beside the deadlines of waits. How often it went off unnoticed is counted
// with its signal while that is pending (PendingSignals::add).
//
// One that counts CPU time looks when that much could have been used at the earliest, and again, until it has
// been: at least kCpuTimeStep later each time, so it goes off that much late at most, and costs an interrupt
// now and then while its tasks do nothing.
#pragma once

#include <array>
#include <cstdint>

#include "lib/ids.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "lib/units.hpp"
#include "sync/spinlock.hpp"
#include "task/timer_queue.hpp"

namespace kernel::task {

class Process;

inline constexpr std::uint32_t kMaxTimers = 32;              // of one process, by timer_create
inline constexpr std::uint32_t kIntervalTimer = kMaxTimers;  // setitimer's: ITIMER_REAL, VIRTUAL, PROF
inline constexpr std::uint32_t kIntervalTimers = 3;
inline constexpr std::uint32_t kAllTimers = kMaxTimers + kIntervalTimers;
// Alarms that repeat more often go off this often, and count the rest as overruns.
inline constexpr Duration kShortestPeriod = Duration::microseconds(20);

inline constexpr Duration kCpuTimeStep = Duration::microseconds(500);

// What an alarm counts: time since boot, or the CPU time of its process or of one of its threads.
enum class AlarmClock : std::uint8_t { Boot, ProcessCpu, ThreadCpu };

// How an alarm tells. Immutable.
struct AlarmNotice {
    std::uint32_t signal{0};  // 0: not at all (SIGEV_NONE)
    TaskId thread{};          // SIGEV_THREAD_ID; 0: the process
    std::uint64_t value{0};
    bool has_value{false};  // else its id is sent along
    AlarmClock clock{AlarmClock::Boot};
    TaskId measured{};             // ThreadCpu: which
    bool counts_from_1970{false};  // Boot: set and read as CLOCK_REALTIME
};

// What is left until it goes off, 0 when it is not set; and how often it repeats, 0 for never.
struct AlarmTime {
    Duration left;
    Duration interval;
};

class Alarm : public RefCounted<Alarm> {
  public:
    static Result<Ref<Alarm>> create(Process& process, std::uint32_t id, const AlarmNotice& notice);
    static void last_reference_gone(Alarm& alarm);

    Timer timer;  // see timer_queue.hpp; timer.alarm is this
    const std::uint32_t id;
    const AlarmNotice notice;
    // What its clock shows; `now` is the time since boot.
    [[nodiscard]] Instant clock_time(Instant now) const;
    // `due` is what its clock shows when it goes off next by its owner's wish, never() when it is not set.
    void set(Instant due, Duration interval, Instant now) EXCLUDES(lock_);
    [[nodiscard]] AlarmTime read(Instant now) const EXCLUDES(lock_);
    // Its deadline has passed. Pre: no lock is held.
    void go_off(Instant now) EXCLUDES(lock_);

    Alarm(Process& process, std::uint32_t id, const AlarmNotice& notice);
    ~Alarm();

  private:
    // Puts the timer on this hart's queue for when to look next. Pre: it is on none, due_ is not never().
    void arm(Instant now, Instant shown) REQUIRES(lock_);

    mutable SpinLock lock_{LockRank::Alarm};
    Ref<Process> process_;
    Instant due_ GUARDED_BY(lock_){Instant::never()};
    Duration interval_ GUARDED_BY(lock_){};
};

// The alarms of a process. Concurrency: guarded by lock_.
class AlarmTable {
  public:
    // Gives a new alarm the lowest free id. Errors: NoMemory, TryAgain when all are taken.
    Result<std::uint32_t> create(Process& process, const AlarmNotice& notice) EXCLUDES(lock_);
    // setitimer's, number 0..2, made when there is none yet. Errors: NoMemory.
    Result<Ref<Alarm>> interval_timer(Process& process, std::uint32_t which, const AlarmNotice& notice)
        EXCLUDES(lock_);
    // Errors: InvalidArgument.
    Result<Ref<Alarm>> find(std::uint32_t id) const EXCLUDES(lock_);
    // Errors: InvalidArgument.
    Result<void> remove(std::uint32_t id) EXCLUDES(lock_);
    // execve: all but setitimer's. The end of the process: that as well.
    void remove_all(bool with_interval_timers) EXCLUDES(lock_);

  private:
    mutable SpinLock lock_{LockRank::Alarm};
    std::array<Ref<Alarm>, kAllTimers> alarms_ GUARDED_BY(lock_);
    std::uint32_t count_ GUARDED_BY(lock_){0};  // of alarms there are: most processes have none
};

// Of the last signal of this timer that was taken.
[[nodiscard]] std::uint32_t overruns_of(Process& process, std::uint32_t id);

// Puts an alarm's timer on this hart's queue. Pre: it is on none.
void arm_alarm(Timer& timer, Instant deadline);

}  // namespace kernel::task
