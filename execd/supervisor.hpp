// SPDX-License-Identifier: MIT
// Starts services when those before them are ready, says how each ended, and decides which start again. No
// threads and no waiting in here: the loop in main feeds it what happened (see supervision_loop.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel.hpp"
#include "plan.hpp"
#include "restart.hpp"

namespace execd {

// Takes one line without its end and writes it at once.
using LineSink = std::function<void(std::string_view)>;

// Not thread-safe: the caller holds a lock. A service is in one of four states:
//   Waiting (for its `after` list) -> Running -> Ended, or -> Paused (until restart_at) -> Running.
class Supervisor {
  public:
    // environment: what every service gets, "KEY=value"; a service's own env comes on top of it.
    Supervisor(std::vector<PlannedService> services, std::vector<std::string> environment, Kernel& kernel,
               LineSink log);

    // Starts every service whose `after` list is ready, in recipe order.
    void start_ready();

    // A child ended: its reason is logged, its restart planned, and what waited for it starts. A pid of no
    // service is an orphan that was adopted: it is reaped by now, and that is all.
    void child_ended(const EndedChild& child);

    // Starts the services whose pause is over.
    void restart_due();

    // The end of the shortest pause; nullopt: no service is to be restarted.
    [[nodiscard]] std::optional<Instant> next_restart() const;

    [[nodiscard]] bool has_running() const;

    // No service runs and none ever will again.
    [[nodiscard]] bool is_finished() const;

  private:
    enum class State : std::uint8_t { Waiting, Running, Paused, Ended };

    struct Slot {
        PlannedService planned;
        State state{State::Waiting};
        bool has_started{false};
        bool has_ended{false};  // at least once
        std::int32_t pid{0};    // while Running
        Instant started_at;     // of the last run
        Instant restart_at;     // while Paused
        Backoff backoff;
    };

    [[nodiscard]] bool is_ready(std::string_view name) const;
    [[nodiscard]] StartRequest request_for(const PlannedService& planned) const;
    void start(Slot& slot);
    // The pid, with defaults instead of the recipe's hints if the kernel refuses those.
    Result<std::int32_t> try_start(const PlannedService& planned);
    void start_failed(Slot& slot, Error error);
    void print_markers(const Slot& slot);
    // Plans the next start, or ends the service for good.
    void pause_or_end(Slot& slot, bool is_success, Duration run_time);
    void log_service(const Slot& slot, const std::string& what);
    void log_if_finished();

    std::vector<Slot> slots_;
    std::vector<std::string> environment_;
    Kernel* kernel_;
    LineSink log_;
    bool finish_logged_{false};
};

}  // namespace execd
