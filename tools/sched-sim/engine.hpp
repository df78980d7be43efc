// SPDX-License-Identifier: MIT
// Simulation: a machine whose harts run the kernel's own scheduler library, tasks that behave as told, and a
// clock that jumps from event to event. It does what the kernel's dispatcher does, in its order: placement,
// inboxes and IPIs with latency, one-shot timers, exit path, balancing (sched/balance.hpp).
//
// Deterministic: the same configuration and calls give the same run, bit for bit. Nothing here reads a clock
// or an address. Concurrency: one simulation belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "behaviour.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "observer.hpp"
#include "sched/qos.hpp"
#include "sched/run_queue.hpp"

namespace sched_sim {

using kernel::CpuMask;
using kernel::sched::Entity;
using kernel::sched::Faults;
using kernel::sched::QosClass;
using kernel::sched::RunQueue;

// Which of several events that are due at the same instant comes first. The default draws from the seed;
// an explorer enumerates.
using Chooser = std::function<std::uint32_t(std::uint32_t count)>;

struct Config {
    std::uint32_t harts{1};                   // 1..64
    std::vector<std::uint32_t> capacities{};  // 1..1024 per hart; empty: all full
    // From sending an IPI to the target's kernel entry. Source of 5 us: scheduler.md C.
    Duration ipi_latency{Duration::microseconds(5)};
    Duration timer_latency{};  // from a programmed instant to the kernel entry
    Duration switch_cost{};    // taken from the task that is switched to, before it does any work
    // Between two locked sections of one kernel path other harts may run theirs: each section starts
    // 0 .. 2 * section_time after the one before, drawn from the seed. Off: a kernel path is one step.
    bool lock_regions{false};
    Duration section_time{Duration::nanoseconds(200)};
    bool balancing{true};  // off: idle pull and placement only
    bool audit{false};     // the auditor and the engine's own invariants after every event (slow)
    Faults faults{};
    std::uint64_t seed{1};
    Instant start{};
    Chooser chooser{};
};

struct TaskOptions {
    std::string name{};  // empty: "task N"
    Attributes attributes{};
    BehaviourPtr behaviour{};   // empty: hog()
    Instant starts_at{};        // earlier than now: now
    TaskIndex parent{kNoTask};  // whose virtual time it starts behind, when that is running
};

// Latencies in buckets of at most 1/32 relative width, so percentiles of 10^8 samples cost nothing.
class LatencyHistogram {
  public:
    void add(Duration d);
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] Duration max() const { return max_; }
    // The least bucket edge that `part` (0..1) of the samples do not exceed; 0 without samples.
    [[nodiscard]] Duration percentile(double part) const;
    void merge(const LatencyHistogram& other);

  private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_{0};
    Duration max_{};
};

// What the scheduler does not count itself. The rest is in Entity::statistics().
struct TaskRecord {
    LatencyHistogram wake_latency;  // from the wake-up until it does work: IPI, wait and switch
    // From the end of a Sleep or Wait to the beginning of the next one: work, waits, and locks on the way.
    LatencyHistogram response;
    LatencyHistogram wait;         // every stretch of waiting, runnable but not running
    Duration work{};               // done, in time of a hart of full capacity
    std::uint64_t completions{0};  // Run actions finished
    Duration throttled{};
};

struct HartRecord {
    std::uint64_t timer_interrupts{0};
    std::uint64_t ipis_received{0};
    std::uint64_t switches{0};
    std::uint64_t pulls{0};   // tasks taken from other harts
    std::uint64_t pushes{0};  // tasks sent to other harts
    Duration switch_time{};
};

class Simulation {
  public:
    explicit Simulation(Config config);
    ~Simulation();
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    // --- The cast ---
    TaskIndex add_task(TaskOptions options);
    // A hog in one line.
    TaskIndex add_hog(std::uint32_t shares, CpuMask mask = CpuMask::all(),
                      QosClass qos_class = QosClass::Normal, std::string name = {});
    [[nodiscard]] SemaphoreIndex make_semaphore(std::uint32_t units = 0);
    [[nodiscard]] MutexIndex make_mutex();
    // Calls f at `when`, once; what it does takes no simulated time. Earlier than now: at once.
    void at(Instant when, std::function<void(Simulation&)> f);

    // --- Interventions, at the present instant, as if by a task on a hart of its own ---
    void set_attributes(TaskIndex task, const Attributes& attributes);
    void set_shares(TaskIndex task, std::uint32_t shares);
    void set_class(TaskIndex task, QosClass qos_class);
    void set_affinity(TaskIndex task, CpuMask mask);  // the part on online harts is effective; not empty
    void set_latency(TaskIndex task, Duration latency);
    void set_burst(TaskIndex task, Duration burst);
    void set_budget(TaskIndex task, Duration quota, Duration period);  // 0, 0: none
    void set_group(TaskIndex task, std::uint32_t ceiling);  // shares; the task heads a group; 0: none
    void exit(TaskIndex task);
    // Pre: it is not the last online hart.
    void offline(CpuId cpu);
    void online(CpuId cpu);

    // --- Time ---
    void run_until(Instant end);
    void run_for(Duration span);
    [[nodiscard]] Instant now() const;
    [[nodiscard]] std::uint64_t events() const;
    // What the first failed check said; empty: none. run_until() returns at once when there is one.
    [[nodiscard]] const std::string& violation() const;

    void add_observer(Observer& observer);  // outlives the simulation's last run

    // --- Reading ---
    [[nodiscard]] const Config& config() const;
    [[nodiscard]] CpuMask online_mask() const;
    [[nodiscard]] std::uint32_t hart_count() const;
    [[nodiscard]] std::uint32_t task_count() const;
    [[nodiscard]] const RunQueue& queue(CpuId cpu) const;
    [[nodiscard]] const Entity& entity(TaskIndex task) const;
    [[nodiscard]] const std::string& name(TaskIndex task) const;
    [[nodiscard]] TaskIndex index_of(const Entity& entity) const;
    [[nodiscard]] TaskIndex running(CpuId cpu) const;  // kNoTask: idle
    [[nodiscard]] bool is_hog(TaskIndex task) const;   // it lives and asked, or will ask, to run for ever
    [[nodiscard]] Duration waiting_for(TaskIndex task) const;  // runnable and not running: since when
    [[nodiscard]] TaskIndex parent(TaskIndex task) const;      // who forked it; kNoTask: nobody
    [[nodiscard]] const TaskRecord& record(TaskIndex task) const;
    [[nodiscard]] const HartRecord& hart_record(CpuId cpu) const;
    // CPU time so far, the stretch that is going on included.
    [[nodiscard]] Duration runtime(TaskIndex task) const;
    // Service: CPU time weighed by the capacity of the hart it was spent on; what fairness is about.
    [[nodiscard]] Duration service(TaskIndex task) const;
    [[nodiscard]] Duration runtime_on(TaskIndex task, CpuId cpu) const;
    // Its weight in fair_shares(): shares, scaled down when its group is over its ceiling.
    [[nodiscard]] double fair_weight(TaskIndex task) const;
    // The most of a hart its budget lets it use: 1 without one.
    [[nodiscard]] double budget_rate(TaskIndex task) const;
    // mark() starts every TaskRecord's histograms anew and remembers runtime and work; these are what came
    // since.
    void mark();
    [[nodiscard]] Duration runtime_since_mark(TaskIndex task) const;
    [[nodiscard]] Duration work_since_mark(TaskIndex task) const;
    // Runs every invariant now: the auditor on each queue, one place per task (I2), masks (I1), idle harts
    // beside waiting work (I3 at rest), exact accounts (I17). Empty: all hold.
    [[nodiscard]] std::string audit() const;
    // A hash of everything observable so far: equal for equal runs.
    [[nodiscard]] std::uint64_t fingerprint() const;

  private:
    std::unique_ptr<class Machine> machine_;
};

}  // namespace sched_sim
