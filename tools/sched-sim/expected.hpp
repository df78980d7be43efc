// SPDX-License-Identifier: MIT
// What every task of a running simulation deserves, kept up as tasks come, go and change: the exact max-min
// fair rates (fair_shares.hpp) of each stretch between two changes, times its length. Tasks that sleep
// deserve what they took, and hogs share the rest. Where there is no single right answer (hogs of several
// classes spread over harts and masks, a hog whose boost comes and goes), it says so instead of guessing.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "engine.hpp"

namespace sched_sim {

class Expected final : public Observer {
  public:
    explicit Expected(const Simulation& simulation) : simulation_{simulation} {}

    void on_fork(Instant now, TaskIndex parent, TaskIndex child) override;
    void on_exit(Instant now, TaskIndex task) override;
    void on_attributes(Instant now, TaskIndex task) override;
    void on_online(Instant now, CpuId cpu, bool online) override;
    std::string after_event(const Simulation& simulation) override;

    // Forgets what was before.
    void start();
    // Brings the account up to now.
    void finish();
    // Service the task deserved since start(); nullopt: nobody can say.
    [[nodiscard]] std::optional<double> service_ns(TaskIndex task) const;

  private:
    // A task at the beginning of a stretch.
    struct Claim {
        TaskIndex task{kNoTask};
        std::size_t class_index{0};
        double weight{0};
        double limit{1};  // of a hart, from its budget
        bool is_boostable{false};
        std::uint64_t mask{0};
        Duration service_before{};
        std::vector<Duration> runtime_before{};  // per hart
    };
    using PerClass = std::array<double, kernel::sched::kClasses>;
    struct Stretch;

    void open();
    void close();
    void settle_sleepers(Stretch& stretch);
    void settle_hogs(const Stretch& stretch);
    [[nodiscard]] bool is_answerable(const Stretch& stretch) const;

    const Simulation& simulation_;
    bool stale_{true};
    bool known_{true};
    Instant since_;
    CpuMask online_;
    std::vector<Claim> claims_;
    std::vector<double> due_;  // per task
};

}  // namespace sched_sim
