// SPDX-License-Identifier: MIT
// New recipes for running services: the part of Supervisor that takes them over, and where they come from.
#include "reload.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace execd {
namespace {

std::string counted(std::size_t count, std::string_view what) {
    return std::to_string(count) + ' ' + std::string{what} + (count == 1 ? "" : "s");
}

// What only the start of a program can give it.
bool starts_alike(const Service& a, const Service& b) {
    return a.program == b.program && a.args == b.args && a.env == b.env && a.rights == b.rights &&
           a.has_control == b.has_control;
}

// What execd itself acts by.
bool is_supervised_alike(const Service& a, const Service& b) {
    return a.restart == b.restart && a.ready == b.ready &&
           std::ranges::equal(a.after, b.after, {}, &Reference::name, &Reference::name);
}

bool is_same(const nexus_abi::sched_attr& a, const nexus_abi::sched_attr& b) {
    return std::memcmp(&a, &b, sizeof(a)) == 0;  // no padding: the ABI's structs are laid out by hand
}

bool has_same_affinity(const Hints& a, const Hints& b) {
    return a.cpus == b.cpus && a.prefer == b.prefer && a.policy == b.policy && a.limit_cpus == b.limit_cpus;
}

bool has_same_qos(const Hints& a, const Hints& b) {
    return a.qos_class == b.qos_class && a.shares == b.shares && a.latency == b.latency &&
           a.burst == b.burst && a.max_class == b.max_class && a.max_shares == b.max_shares &&
           a.group_shares == b.group_shares;
}

}  // namespace

Supervisor::Slot* Supervisor::find_slot(std::string_view name) {
    const auto found =
        std::ranges::find_if(slots_, [&](const Slot& slot) { return slot.planned.service.name == name; });
    return found == slots_.end() ? nullptr : &*found;
}

Result<void> Supervisor::apply(const Slot& slot, const Hints& from, const Hints& to) {
    // The limit first: masks are judged against it.
    if (const auto limits = to_limits(to); !is_same(limits, to_limits(from))) {
        if (const auto limited = kernel_->limit(slot.pid, limits);
            !limited.ok() && limited.error() != Error::NoProcess) {
            return limited;
        }
    }
    const auto changed = kernel_->change(slot.pid, to_change(to));
    return changed.ok() || changed.error() == Error::NoProcess ? Result<void>{} : changed;
}

void Supervisor::put_back(std::span<const PlannedService* const> applied) {
    for (auto planned = applied.rbegin(); planned != applied.rend(); ++planned) {
        const Slot* const slot = find_slot((*planned)->service.name);
        const auto undone = apply(*slot, (*planned)->hints, slot->planned.hints);
        if (!undone.ok()) {
            log_service(*slot, "its hints cannot be put back: " + describe(undone.error()), Level::Err);
        }
    }
}

bool Supervisor::apply_all(const std::vector<PlannedService>& services) {
    std::vector<const PlannedService*> applied;
    for (const PlannedService& planned : services) {
        const Slot* const slot = find_slot(planned.service.name);
        if (slot == nullptr || slot->state != State::Running || slot->planned.hints == planned.hints) {
            continue;
        }
        applied.push_back(&planned);  // also when it fails: its limits may have been set
        if (const auto done = apply(*slot, slot->planned.hints, planned.hints); !done.ok()) {
            log_service(*slot, "the kernel refuses its new hints (" + describe(done.error()) + ")",
                        Level::Warn);
            put_back(applied);
            return false;
        }
    }
    return true;
}

void Supervisor::report_change(const Slot& slot, const PlannedService& before) {
    const Hints& old_hints = before.hints;
    const Hints& hints = slot.planned.hints;
    if (slot.state == State::Running && old_hints != hints) {
        print_markers(slot, {.affinity = !has_same_affinity(old_hints, hints),
                             .qos = !has_same_qos(old_hints, hints),
                             .budget = old_hints.budget != hints.budget,
                             .limits = !is_same(to_limits(old_hints), to_limits(hints))});
    }
    if (slot.state == State::Running && !starts_alike(before.service, slot.planned.service)) {
        log_service(slot, "program, arguments, environment and rights change at its next start");
    }
}

bool Supervisor::reload(std::vector<PlannedService> services, std::string_view from) {
    if (!apply_all(services)) {
        return false;
    }
    std::vector<Slot> slots;
    std::size_t changed = 0;
    std::size_t added = 0;
    std::size_t unchanged = 0;
    for (PlannedService& planned : services) {
        Slot* const old = find_slot(planned.service.name);
        if (old == nullptr || (old->is_removed && old->state == State::Ended)) {
            slots.push_back(
                {.planned = std::move(planned), .started_at = {}, .restart_at = {}, .backoff = {}});
            ++added;
            continue;
        }
        const PlannedService before = std::exchange(old->planned, std::move(planned));
        const bool is_unchanged = before.hints == old->planned.hints &&
                                  starts_alike(before.service, old->planned.service) &&
                                  is_supervised_alike(before.service, old->planned.service);
        ++(is_unchanged ? unchanged : changed);
        old->is_removed = false;
        if (old->state == State::Paused && old->planned.service.restart == RestartPolicy::No) {
            old->state = State::Ended;
        }
        report_change(*old, before);
        slots.push_back(std::move(*old));
        old->planned.service.name.clear();  // taken over
    }
    std::size_t removed = 0;
    for (Slot& old : slots_) {
        if (old.planned.service.name.empty()) {
            continue;
        }
        removed += old.is_removed ? 0 : 1;
        if (old.state == State::Running) {
            if (!old.is_removed) {
                log_service(old, "is not in the recipes any more: runs on, and is not started again");
            }
            old.planned.service.restart = RestartPolicy::No;
            old.is_removed = true;
            slots.push_back(std::move(old));
        } else {
            kernel_->forget_output(old.planned.service.name);
            kept_lines_.erase(old.planned.service.name);
        }
    }
    slots_ = std::move(slots);
    finish_logged_ = finish_logged_ && is_finished();
    start_ready();
    log_("execd: reloaded " + std::string{from} + " (" + std::to_string(changed) + " changed, " +
         std::to_string(added) + " new, " + std::to_string(removed) + " removed, " +
         std::to_string(unchanged) + " unchanged)");
    return true;
}

void reload_recipes(RecipeLocation& location, const PlanLoader& load, Supervisor& supervisor,
                    const LineSink& log) {
    const std::string directory = location.reload_from.value_or(location.directory);
    Plan plan = load(directory);
    std::size_t errors = plan.errors.size();
    for (const Diagnostic& error : plan.errors) {
        log("execd: " + to_string(error));
    }
    for (const Diagnostic& warning : plan.warnings) {
        log("execd: " + to_string(warning));
    }
    for (const std::string& note : plan.notes) {
        log("execd: " + note);
    }
    if (plan.is_without_services && errors == 0) {
        errors = 1;  // the note said so
    }
    if (errors != 0) {
        log("execd: reload of " + directory + " refused (" + counted(errors, "error") +
            "): everything is as before");
        return;
    }
    if (!supervisor.reload(std::move(plan.services), directory)) {
        log("execd: reload of " + directory + " refused: everything is as before");
        return;
    }
    location = {.directory = directory, .reload_from = plan.reload_from};
}

}  // namespace execd
