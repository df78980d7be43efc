// SPDX-License-Identifier: MIT
// Starts services when those before them are ready, says how each ended, decides which start again, and takes
// over new recipes. No waiting in here: the loop in supervision_loop.hpp feeds it what happened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control.hpp"
#include "kernel.hpp"
#include "plan.hpp"
#include "restart.hpp"
#include "service_log.hpp"

namespace execd {

// Takes one line without its end and writes it at once.
using LineSink = std::function<void(std::string_view)>;

// For one thread. A service is in one of four states:
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

    // Starts the services whose pause is over, and kills those that do not stop.
    void restart_due();

    // Takes over another plan, all of it or nothing: hints of services that run are changed at once, and when
    // the kernel refuses one the others are put back and false is returned. Then: prints the markers of what
    // has changed; services that are new start as soon as they may; those that are gone run on, and are not
    // started again when they end; ended ones stay ended. The last line sums it up, `from` named in it.
    bool reload(std::vector<PlannedService> services, std::string_view from);

    // A request on a control channel; the answer, whole. reload: as SIGHUP.
    [[nodiscard]] std::string control(std::string_view line, const std::function<void()>& reload);

    // One line, to where all of them go.
    void log(std::string_view line) { log_(line); }

    // When restart_due() has something to do next: the end of the shortest pause, or of the patience with a
    // service that was told to stop; nullopt: never.
    [[nodiscard]] std::optional<Instant> next_restart() const;

    [[nodiscard]] bool has_running() const;

    // No service runs and none ever will again.
    [[nodiscard]] bool is_finished() const;

  private:
    enum class State : std::uint8_t { Waiting, Running, Paused, Ended };

    // What a person asked for: that it ends and stays ended, or starts once more.
    enum class EndWanted : std::uint8_t { No, Yes, ToStartAgain };

    struct Slot {
        PlannedService planned;
        State state{State::Waiting};
        EndWanted end_wanted{EndWanted::No};
        std::uint32_t starts{0};
        std::string last_end{};            // as it was logged; empty: it has not ended yet
        std::optional<Instant> kill_at{};  // while Running: SIGKILL then
        bool has_started{false};
        bool has_ended{false};   // at least once
        bool is_removed{false};  // from the recipes, while it ran
        std::int32_t pid{0};     // while Running
        Instant started_at;      // of the last run
        Instant restart_at;      // while Paused
        Backoff backoff;
    };

    [[nodiscard]] bool is_ready(const Reference& reference) const;
    [[nodiscard]] StartRequest request_for(const PlannedService& planned) const;
    void start(Slot& slot);
    // The pid, with defaults instead of the recipe's hints if the kernel refuses those.
    Result<std::int32_t> try_create(const PlannedService& planned);
    void start_failed(Slot& slot, Error error);
    void set_limits(const Slot& slot);
    // Those of the marker lines that `which` asks for, with the values that the kernel tells.
    struct Markers {
        bool affinity{true};
        bool qos{true};
        bool budget{true};
        bool limits{true};
    };
    void print_markers(const Slot& slot, const Markers& which);

    // Gives a running service other hints; a child that has ended is no error.
    Result<void> apply(const Slot& slot, const Hints& from, const Hints& to);
    // Gives all running services the hints of a new plan, or leaves all as they are.
    bool apply_all(const std::vector<PlannedService>& services);
    void put_back(std::span<const PlannedService* const> applied);
    [[nodiscard]] Slot* find_slot(std::string_view name);
    void report_change(const Slot& slot, const PlannedService& before);
    // Plans the next start, or ends the service for good.
    void pause_or_end(Slot& slot, bool is_success, Duration run_time);
    // The end of one that was told to.
    void end_as_wanted(Slot& slot);
    // The cause of a fault that killed it, its registers and callers go to its log; its last_end names the
    // cause.
    void note_crash(Slot& slot);
    // Writes a line, and keeps it for `svc logs`.
    void log_service(const Slot& slot, const std::string& what, Level level = Level::Notice);
    void keep_line(const std::string& service, const std::string& what, Level level);

    // control.cpp
    ControlAnswer obey(const std::vector<std::string>& words, const std::function<void()>& reload);
    [[nodiscard]] std::string status_line(const Slot& slot) const;
    [[nodiscard]] ControlAnswer logs_of(const Slot& slot) const;
    [[nodiscard]] static ControlAnswer explain(const Slot& slot);
    ControlAnswer reload_and_tell(const std::function<void()>& reload);
    ControlAnswer start_by_hand(Slot& slot);
    ControlAnswer stop_by_hand(Slot& slot, bool starts_again);
    void kill_overdue();
    void log_if_finished();

    std::vector<Slot> slots_;
    std::vector<std::string> environment_;
    Kernel* kernel_;
    LineSink log_;
    bool finish_logged_{false};
    std::map<std::string, std::deque<LogLine>> kept_lines_;  // by service
};

}  // namespace execd
