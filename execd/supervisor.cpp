// SPDX-License-Identifier: MIT
#include "supervisor.hpp"

#include <algorithm>
#include <utility>

#include "crash_report.hpp"
#include "notation.hpp"

namespace execd {
namespace {

// Errors that may pass: worth another try under any restart policy but "no".
bool is_transient(Error error) {
    return error == Error::NoMemory || error == Error::TryAgain;
}

// Errors by which the kernel can refuse the hints rather than the program.
bool may_concern_hints(Error error) {
    return error == Error::InvalidArgument || error == Error::NotPermitted || error == Error::NotSupported;
}

std::string_view key_of(std::string_view assignment) {
    return assignment.substr(0, assignment.find('='));
}

}  // namespace

Supervisor::Supervisor(std::vector<PlannedService> services, std::vector<std::string> environment,
                       Kernel& kernel, LineSink log)
    : environment_{std::move(environment)}, kernel_{&kernel}, log_{std::move(log)} {
    for (PlannedService& planned : services) {
        slots_.push_back({.planned = std::move(planned), .started_at = {}, .restart_at = {}, .backoff = {}});
    }
}

void Supervisor::start_ready() {
    // A service that cannot be started makes those after it ready: once more until nothing changes.
    for (bool has_changed = true; has_changed;) {
        has_changed = false;
        for (Slot& slot : slots_) {
            const auto is_satisfied = [&](const Reference& reference) { return is_ready(reference); };
            if (slot.state == State::Waiting &&
                std::ranges::all_of(slot.planned.service.after, is_satisfied)) {
                start(slot);
                has_changed = true;
            }
        }
    }
    log_if_finished();
}

void Supervisor::child_ended(const EndedChild& child) {
    const auto is_child = [&](const Slot& slot) {
        return slot.state == State::Running && slot.pid == child.pid;
    };
    const auto slot = std::ranges::find_if(slots_, is_child);
    if (slot == slots_.end()) {
        return;
    }
    const ExitReason reason{child.wait_status};
    Level level = reason.was_killed() ? Level::Err : Level::Warn;
    if (slot->end_wanted != EndWanted::No) {
        level = Level::Notice;
    } else if (reason.is_success()) {
        level = Level::Info;
    }
    log_service(*slot, reason.describe(), level);
    slot->last_end = reason.describe();
    if (reason.was_killed_by_fault()) {
        note_crash(*slot);
    }
    slot->kill_at.reset();
    if (slot->end_wanted == EndWanted::No) {
        pause_or_end(*slot, reason.is_success(), kernel_->now() - slot->started_at);
    } else {
        end_as_wanted(*slot);
    }
    start_ready();
}

void Supervisor::restart_due() {
    kill_overdue();
    const Instant now = kernel_->now();
    for (Slot& slot : slots_) {
        if (slot.state == State::Paused && slot.restart_at <= now) {
            start(slot);
        }
    }
    start_ready();
}

std::optional<Instant> Supervisor::next_restart() const {
    std::optional<Instant> next;
    for (const Slot& slot : slots_) {
        if (slot.state == State::Paused && (!next || slot.restart_at < *next)) {
            next = slot.restart_at;
        }
        if (slot.state == State::Running && slot.kill_at && (!next || *slot.kill_at < *next)) {
            next = slot.kill_at;
        }
    }
    return next;
}

bool Supervisor::has_running() const {
    return std::ranges::any_of(slots_, [](const Slot& slot) { return slot.state == State::Running; });
}

bool Supervisor::is_finished() const {
    return std::ranges::all_of(slots_, [](const Slot& slot) { return slot.state == State::Ended; });
}

bool Supervisor::is_ready(const Reference& reference) const {
    const auto slot = std::ranges::find_if(
        slots_, [&](const Slot& other) { return other.planned.service.name == reference.name; });
    if (slot == slots_.end()) {
        return true;
    }
    const bool wants_end = reference.until_end || slot->planned.service.ready == ReadyWhen::Ended;
    return wants_end ? slot->has_ended : slot->has_started;
}

StartRequest Supervisor::request_for(const PlannedService& planned) const {
    const Service& service = planned.service;
    StartRequest request{.service = service.name,
                         .program = service.program,
                         .argv = {service.program},
                         .envp = {},
                         .attributes = to_attr(planned.hints),
                         .rights = service.rights,
                         .has_control = service.has_control};
    request.argv.insert(request.argv.end(), service.args.begin(), service.args.end());
    for (const std::string& assignment : environment_) {
        if (!service.env.contains(std::string{key_of(assignment)})) {
            request.envp.push_back(assignment);
        }
    }
    for (const auto& [key, value] : service.env) {
        request.envp.push_back(key + '=' + value);
    }
    if (service.has_control) {
        request.envp.emplace_back(kControlVariable);
    }
    return request;
}

void Supervisor::start(Slot& slot) {
    if (slot.planned.service.program.empty()) {
        log_service(slot, "cannot start (recipe error above)", Level::Err);
        slot.has_started = slot.has_ended = true;
        slot.state = State::Ended;
        return;
    }
    if (slot.planned.faulty && !slot.has_started) {
        log_service(slot, "starts with defaults (recipe error above)", Level::Warn);
    }
    slot.started_at = kernel_->now();
    const auto pid = try_create(slot.planned);
    slot.has_started = true;
    if (!pid.ok()) {
        start_failed(slot, pid.error());
        return;
    }
    slot.state = State::Running;
    slot.pid = *pid;
    ++slot.starts;
    keep_line(slot.planned.service.name, "started as pid " + std::to_string(slot.pid), Level::Info);
    // It does not run yet: ceilings hold before its first instruction, and its values can be read whatever it
    // does next.
    set_limits(slot);
    print_markers(slot, {});
    kernel_->release(slot.pid);
}

Result<std::int32_t> Supervisor::try_create(const PlannedService& planned) {
    StartRequest request = request_for(planned);
    const auto pid = kernel_->create(request);
    if (pid.ok() || !may_concern_hints(pid.error())) {
        return pid;
    }
    request.attributes.reset();
    const auto pid_without = kernel_->create(request);
    if (pid_without.ok()) {
        log_("execd: svc=" + planned.service.name + " starts with defaults: the kernel refuses its hints (" +
             describe(pid.error()) + ")");
    }
    return pid_without;
}

void Supervisor::start_failed(Slot& slot, Error error) {
    log_service(slot, "cannot start " + slot.planned.service.program + ": " + describe(error), Level::Err);
    slot.has_ended = true;
    if (is_transient(error)) {
        pause_or_end(slot, false, Duration{0});
    } else {
        slot.state = State::Ended;
    }
}

void Supervisor::set_limits(const Slot& slot) {
    if (!has_limits(slot.planned.hints)) {
        return;
    }
    if (const auto limited = kernel_->limit(slot.pid, to_limits(slot.planned.hints)); !limited.ok()) {
        log_service(slot,
                    "runs without its limits: the kernel refuses them (" + describe(limited.error()) + ")",
                    Level::Warn);
    }
}

void Supervisor::print_markers(const Slot& slot, const Markers& which) {
    const auto reported = kernel_->attributes(slot.pid);
    if (!reported.ok()) {
        log_service(slot, "values in effect cannot be read: " + describe(reported.error()), Level::Warn);
        return;
    }
    const std::string& name = slot.planned.service.name;
    if (which.affinity) {
        log_(affinity_marker(name, *reported));
    }
    if (which.qos) {
        log_(qos_marker(name, *reported));
    }
    if (which.budget && (slot.planned.hints.budget != Budget{} || reported->budget_ns != 0)) {
        log_(budget_marker(name, *reported));
    }
    if (which.limits && has_limits(slot.planned.hints)) {
        log_(limits_marker(name, to_limits(slot.planned.hints)));
    }
}

void Supervisor::pause_or_end(Slot& slot, bool is_success, Duration run_time) {
    slot.has_ended = true;
    slot.pid = 0;
    if (!wants_restart(slot.planned.service.restart, is_success)) {
        slot.state = State::Ended;
        return;
    }
    const Duration pause = slot.backoff.next(run_time);
    slot.state = State::Paused;
    slot.restart_at = kernel_->now() + pause;
    log_service(slot, "starts again in " + format_duration(pause));
}

void Supervisor::end_as_wanted(Slot& slot) {
    slot.has_ended = true;
    slot.pid = 0;
    if (slot.end_wanted == EndWanted::ToStartAgain) {
        slot.end_wanted = EndWanted::No;
        slot.backoff = {};
        start(slot);
    } else {
        slot.state = State::Ended;
    }
}

void Supervisor::note_crash(Slot& slot) {
    const auto report = read_crash(kernel_->kernel_log(), slot.pid, names_from_files());
    if (!report) {
        return;
    }
    slot.last_end += " (" + report->summary + ')';
    for (const std::string& line : report->lines) {
        keep_line(slot.planned.service.name, line, Level::Err);
    }
}

void Supervisor::log_service(const Slot& slot, const std::string& what, Level level) {
    log_("execd: svc=" + slot.planned.service.name + ' ' + what);
    keep_line(slot.planned.service.name, what, level);
}

void Supervisor::log_if_finished() {
    if (is_finished() && !finish_logged_) {
        finish_logged_ = true;
        log_("execd: all services have ended");
    }
}

}  // namespace execd
