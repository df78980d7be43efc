// SPDX-License-Identifier: MIT
// Rights: who may do what (permissions.def, every cell of it), how rights and ceilings only ever shrink, what
// is written down of it, and who pays for asking too often.
#include <signal.h>
#include <sys/klog.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "neuron_checks.hpp"
#include "nexus_abi/audit.hpp"

namespace {

namespace call = nexus_abi::call;
namespace sched = nexus_abi::sched;
using checks::answers;
using checks::end_of;
using checks::equal;
using checks::exits;
using checks::fails;
using checks::started;
using checks::succeeds;
using checks::truth;
using nexus_abi::audit_record;
using nexus_abi::AuditWhat;
using nexus_abi::Error;
using nexus_abi::In;
using nexus_abi::InOut;
using nexus_abi::Out;
using nexus_abi::QosClass;
using nexus_abi::Result;
using nexus_abi::sched_attr;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// ---- What permissions.def names ----

using Outcome = Result<void>;
template <class T>
Outcome outcome(const Result<T>& result) {
    return result.ok() ? Outcome{} : Outcome{result.error()};
}

Outcome do_get_attr(std::int32_t pid) {
    return outcome(sched::get_attr(pid));
}
Outcome do_get_stat(std::int32_t pid) {
    return outcome(sched::get_stat(pid));
}
Outcome do_get_limits(std::int32_t pid) {
    return outcome(sched::get_limits(pid));
}
Outcome do_task_serial(std::int32_t pid) {
    return outcome(call::nexus_task_serial(pid));
}
Outcome do_lower_class(std::int32_t pid) {
    return sched::set_qos_class(pid, QosClass::Idle);
}
Outcome do_raise_class(std::int32_t pid) {
    return sched::set_qos_class(pid, QosClass::Normal);
}
Outcome do_beyond_ceiling(std::int32_t pid) {
    return sched::set_qos_class(pid, QosClass::Interactive);
}
Outcome do_lower_shares(std::int32_t pid) {
    return outcome(sched::set_shares(pid, 90));
}
Outcome do_narrow_mask(std::int32_t pid) {
    TRY(call::sched_set_affinity(pid, std::uint64_t{1}));
    return outcome(call::sched_set_affinity(pid, ~std::uint64_t{0}));
}
Outcome do_set_hints(std::int32_t pid) {
    TRY(sched::set_latency_hint(pid, milliseconds{5}));
    return outcome(sched::set_burst_hint(pid, milliseconds{5}));
}
Outcome do_set_budget(std::int32_t pid) {
    TRY(sched::set_budget(pid, milliseconds{50}, milliseconds{100}));
    return sched::set_budget(pid, microseconds{0}, microseconds{0});
}
Outcome do_send_signal(std::int32_t pid) {
    return kill(pid, 0) == 0 ? Outcome{} : Outcome{static_cast<Error>(errno)};
}
Outcome do_set_limits(std::int32_t pid) {
    sched_attr limits{};
    limits.fields = nexus_abi::kFieldShares;
    limits.shares = nexus_abi::kSharesMax;
    return sched::set_limits(pid, limits);
}
Result<void> reserve(std::int32_t pid, std::int64_t runtime_us, std::uint64_t& shortfall) {
    return outcome(
        call::sched_reserve_budget(pid, runtime_us, std::int64_t{1'000'000}, Out<std::uint64_t>{&shortfall}));
}
Outcome do_reserve_budget(std::int32_t pid) {
    std::uint64_t shortfall = 0;
    TRY(reserve(pid, 1000, shortfall));
    return sched::set_budget(pid, microseconds{0}, microseconds{0});
}

std::vector<audit_record> records_from(std::uint64_t& position, Outcome* told = nullptr) {
    std::vector<audit_record> all;
    std::array<audit_record, 16> part{};
    for (;;) {
        const auto count = call::nexus_audit_read(Out<audit_record>{part.data()}, std::uint64_t{part.size()},
                                                  InOut<std::uint64_t>{&position});
        if (told != nullptr) {
            *told = outcome(count);
        }
        if (!count.ok() || *count == 0) {
            return all;
        }
        all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*count));
    }
}

Outcome do_snapshot() {
    std::array<nexus_abi::sched_snapshot_entry, 1> entries{};
    std::uint64_t cursor = 0;
    return outcome(sched::snapshot(entries, cursor));
}
Outcome do_audit_read() {
    std::uint64_t position = 0;
    Outcome told;
    records_from(position, &told);
    return told;
}
Outcome do_trace_read() {
    std::array<nexus_abi::trace_record, 1> records{};
    std::uint64_t cursor = 0;
    return outcome(call::nexus_trace_read(std::uint64_t{0}, Out<nexus_abi::trace_record>{records.data()},
                                          records.size(), InOut<std::uint64_t>{&cursor}));
}
Outcome do_trace_control() {
    nexus_abi::trace_control control{};
    control.size = sizeof(control);
    control.flags = nexus_abi::kTraceQuery;
    return outcome(call::nexus_trace_control(InOut<nexus_abi::trace_control>{&control}, sizeof(control)));
}
Outcome do_cpu_online() {
    return sched::set_cpu_online(0, true);
}
Outcome do_console_level() {
    constexpr int kSetLevel = 8;
    return klogctl(kSetLevel, nullptr, 7) == 0 ? Outcome{} : Outcome{static_cast<Error>(errno)};
}
Outcome grant(std::uint64_t rights) {
    const auto child = checks::start("return", {.rights = rights});
    if (child.ok()) {
        exits("who was granted it", *child, 0);
    }
    return outcome(child);
}
Outcome do_grant_admin() {
    return grant(nexus_abi::kRightSchedAdmin);
}
Outcome do_grant_inspect() {
    return grant(nexus_abi::kRightSchedInspect);
}
Outcome do_grant_power() {
    return grant(nexus_abi::kRightPower);
}
Outcome do_lock() {
    return outcome(call::nexus_sched_lock(nexus_abi::kLockPerfBurst));
}
Outcome do_power() {
    // With the right it would be obeyed, which other tests show.
    const auto told = call::nexus_limit_rights(nexus_abi::kRightsAll);
    if (told.value_or(0) & nexus_abi::kRightPower) {
        return {};
    }
    return reboot(RB_POWER_OFF) == 0 ? Outcome{} : Outcome{static_cast<Error>(errno)};
}

struct Permission {
    const char* name;
    Outcome (*on_task)(std::int32_t pid);
    Outcome (*on_machine)();
    bool self, child, other;
    std::uint64_t right;
};
constexpr bool Yes = true;
constexpr bool No = false;
constexpr Permission kPermissions[]{
#define PERMISSION(name, what, self, child, other, right) \
    {#name, &do_##name, nullptr, self, child, other, nexus_abi::kRight##right},
#define MACHINE(name, what, right) {#name, nullptr, &do_##name, No, No, No, nexus_abi::kRight##right},
#include "permissions.def"
#undef PERMISSION
#undef MACHINE
};

void try_cell(const Permission& row, const char* whom, bool may, const Outcome& told) {
    const std::string what = std::string{row.name} + " " + whom;
    if (may) {
        succeeds(what, told);
    } else {
        fails(what, told, EPERM);
    }
}

std::uint64_t own_rights() {
    return call::nexus_limit_rights(nexus_abi::kRightsAll).value_or(0);
}

// In a process of its own, with the rights it was given; STRANGER names a process that is not its child.
void play_try_all() {
    const char* const told = std::getenv("STRANGER");
    const std::int32_t stranger = told == nullptr ? -1 : std::atoi(told);
    const std::uint64_t rights = own_rights();
    const std::int32_t child = started("sleep");
    for (const Permission& row : kPermissions) {
        const bool has_right = (rights & row.right) == row.right;
        if (row.on_machine != nullptr) {
            try_cell(row, "on the machine", has_right, row.on_machine());
            continue;
        }
        try_cell(row, "on itself", has_right || row.self, row.on_task(getpid()));
        try_cell(row, "on a child", has_right || row.child, row.on_task(child));
        try_cell(row, "on another's task", has_right || row.other, row.on_task(stranger));
    }
    fails("a task that is not there", sched::get_attr(30'000),
          (rights & nexus_abi::kRightSchedInspect) != 0 ? ESRCH : EPERM);
    succeeds("the child ends", kill(child, SIGKILL));
    end_of(child);
}

void try_every_cell() {
    const std::int32_t stranger = started("sleep");
    const std::string variable = "STRANGER=" + std::to_string(stranger);
    const char* const environment[]{variable.c_str(), nullptr};
    // SCHED_ADMIN last: it locks something for good.
    for (const std::uint64_t rights : {std::uint64_t{0}, nexus_abi::kRightSchedInspect,
                                       nexus_abi::kRightPower, nexus_abi::kRightSchedAdmin}) {
        exits("rights " + std::to_string(rights), started("try-all", {.envp = environment, .rights = rights}),
              0);
    }
    succeeds("the stranger ends", kill(stranger, SIGKILL));
    end_of(stranger);
}

// ---- Shrinking ----

void play_shrink() {
    constexpr std::uint64_t kBoth = nexus_abi::kRightSchedAdmin | nexus_abi::kRightSchedInspect;
    equal("what it has", static_cast<std::int64_t>(own_rights()), static_cast<std::int64_t>(kBoth));
    fails("rights that there are not", call::nexus_limit_rights(1U << 20), EINVAL);
    answers("one given up", call::nexus_limit_rights(nexus_abi::kRightSchedInspect),
            nexus_abi::kRightSchedInspect);
    answers("it does not come back", call::nexus_limit_rights(nexus_abi::kRightsAll),
            nexus_abi::kRightSchedInspect);
    succeeds("what is left may be used", do_snapshot());
    fails("what was given up may not", do_trace_control(), EPERM);
    fails("nor be granted", do_grant_admin(), EPERM);
    const pid_t child = fork();
    if (child == 0) {
        _exit(own_rights() == nexus_abi::kRightSchedInspect ? 0 : 1);
    }
    exits("fork passes on what is left", child, 0);
    answers("all given up", call::nexus_limit_rights(0), 0);
    fails("nothing is left", do_snapshot(), EPERM);
}

void shrink_rights() {
    exits("it only gets less",
          started("shrink", {.rights = nexus_abi::kRightSchedAdmin | nexus_abi::kRightSchedInspect}), 0);
}

// ---- Ids ----

void tell_tasks_apart() {
    const std::int32_t first = started("sleep");
    const auto serial = call::nexus_task_serial(first);
    succeeds("a number", serial);
    equal("its lower half is the id", static_cast<std::int64_t>(serial.value_or(0) & 0xffff'ffff), first);
    succeeds("it ends", kill(first, SIGKILL));
    end_of(first);
    fails("nobody has it now", call::nexus_task_serial(first), ESRCH);
    truth("its own is another", call::nexus_task_serial(0).value_or(0) != serial.value_or(0));
}

// ---- Booking ----

void book_time() {
    const std::int32_t first = started("sleep");
    const std::int32_t second = started("sleep");
    for (const std::int32_t child : {first, second}) {
        succeeds("on CPU 0", sched::set_affinity(child, 1));
    }
    std::uint64_t shortfall = 0;
    succeeds("50 %", reserve(first, 500'000, shortfall));
    fails("50 % more", reserve(second, 500'000, shortfall), EBUSY);
    equal("what is missing", static_cast<std::int64_t>(shortfall), 100'000);
    equal("nothing was changed", static_cast<std::int64_t>(sched::get_attr(second).value_or({}).budget_ns),
          0);
    succeeds("40 % is just all", reserve(second, 400'000, shortfall));
    equal("it is its budget", static_cast<std::int64_t>(sched::get_attr(second).value_or({}).budget_ns),
          400'000'000);
    fails("no more", reserve(first, 500'001, shortfall), EBUSY);
    succeeds("the first wants less", reserve(first, 100'000, shortfall));
    succeeds("then there is room", reserve(second, 800'000, shortfall));
    succeeds("a budget that is not booked", sched::set_budget(second, milliseconds{900}, milliseconds{1000}));
    succeeds("has given back what was", reserve(first, 900'000, shortfall));
    succeeds("it ends", kill(first, SIGKILL));
    end_of(first);
    succeeds("an end gives back too", reserve(second, 900'000, shortfall));
    succeeds("it ends", kill(second, SIGKILL));
    end_of(second);
}

// ---- Audit ----

struct Counts {
    std::uint64_t denied{0};
    std::uint64_t clamped{0};
    std::uint64_t foreign{0};
};

Counts counted() {
    Counts all;
    const std::uint64_t cpus = nexus_abi::info().value_or({}).cpus_possible;
    for (std::uint32_t cpu = 0; cpu < 64; ++cpu) {
        if ((cpus >> cpu & 1U) != 0) {
            const auto stat = sched::hart_stat(cpu).value_or({});
            all.denied += stat.nr_denied;
            all.clamped += stat.nr_clamped;
            all.foreign += stat.nr_foreign_sets;
        }
    }
    return all;
}

void write_down() {
    // Behind what came too fast: a hundred may come at once again.
    const timespec second{.tv_sec = 1, .tv_nsec = 0};
    nanosleep(&second, nullptr);
    std::uint64_t position = 0;
    records_from(position);
    const Counts before = counted();
    const std::int32_t child = started("be-denied", {.flags = nexus_abi::kSpawnHeld});
    const auto serial = call::nexus_task_serial(child).value_or(0);
    succeeds("another's shares", sched::set_shares(child, 70));
    succeeds("it begins", kill(child, SIGCONT));
    exits("it was denied", child, 0);
    answers("cut to fit", call::sched_set_latency_hint(0, std::int64_t{5000}), 1000);
    succeeds("none", sched::set_latency_hint(0, milliseconds{0}));
    const auto records = records_from(position);
    const Counts after = counted();
    const auto find = [&](AuditWhat what) {
        const auto found = std::ranges::find(records, static_cast<std::uint16_t>(what), &audit_record::what);
        truth("there is a record", found != records.end());
        return found == records.end() ? audit_record{} : *found;
    };
    const audit_record set = find(AuditWhat::ForeignSet);
    equal("who set", set.caller, getpid());
    equal("whose", set.target, child);
    truth("that one, and no later one", set.target_serial == serial);
    equal("by which call", set.call, static_cast<int>(nexus_abi::Syscall::sched_set_shares));
    equal("what", set.field, 1);
    equal("from", static_cast<std::int64_t>(set.old_value), 100);
    equal("to", static_cast<std::int64_t>(set.new_value), 70);
    equal("it was done", set.result, 70);
    const audit_record denied = find(AuditWhat::Denied);
    equal("who was denied", denied.caller, child);
    equal("what it asked for", denied.call, static_cast<int>(nexus_abi::Syscall::sched_set_qos_class));
    equal("of whom", denied.target, getpid());
    equal("the answer", denied.result, -EPERM);
    const audit_record cut = find(AuditWhat::Clamped);
    equal("who asked for too much", cut.caller, getpid());
    equal("asked", static_cast<std::int64_t>(cut.old_value), 5000);
    equal("applied", static_cast<std::int64_t>(cut.new_value), 1000);
    truth("in order", set.time_ns <= denied.time_ns && denied.time_ns <= cut.time_ns);
    equal("one set is counted", static_cast<std::int64_t>(after.foreign - before.foreign), 1);
    equal("one denial is counted", static_cast<std::int64_t>(after.denied - before.denied), 1);
    equal("one cut is counted", static_cast<std::int64_t>(after.clamped - before.clamped), 1);
}

void play_be_denied() {
    fails("its parent's class", sched::set_qos_class(getppid(), QosClass::Idle), EPERM);
}

// More denials than there is room for: all are counted, not all are written down, and that is said.
void count_what_comes_too_fast() {
    std::uint64_t position = 0;
    records_from(position);
    const Counts before = counted();
    exits("a flood of denials", started("flood"), 0);
    const Counts after = counted();
    equal("all are counted", static_cast<std::int64_t>(after.denied - before.denied), 5000);
    const auto records = records_from(position);
    truth("not all are written down", records.size() < nexus_abi::kAuditRecords);
}

// ---- Who pays ----

std::uint64_t runtime_of(std::int32_t pid) {
    return sched::get_stat(pid).value_or({}).runtime_ns;
}

// Two tasks of equal shares on one CPU; one of them sets attributes as fast as it can. With one hart the
// machine counts instructions: both get the same to within a turn of 3 ms at either end.
void charge_who_flaps() {
    const std::int32_t hog = started("hog");
    const std::int32_t flapper = started("flap");
    for (const std::int32_t child : {hog, flapper}) {
        succeeds("on CPU 0", sched::set_affinity(child, 1));
    }
    const auto ran = [&] { return std::array{runtime_of(hog), runtime_of(flapper)}; };
    const timespec length{.tv_sec = 0, .tv_nsec = 300'000'000};
    const timespec settled{.tv_sec = 0, .tv_nsec = 20'000'000};
    nanosleep(&settled, nullptr);
    const auto before = ran();
    nanosleep(&length, nullptr);
    const auto after = ran();
    const auto quiet = static_cast<std::int64_t>(after[0] - before[0]);
    const auto busy = static_cast<std::int64_t>(after[1] - before[1]);
    std::printf("# %.1f ms beside one that flaps for %.1f ms\n", static_cast<double>(quiet) / 1e6,
                static_cast<double>(busy) / 1e6);
    const std::uint64_t cpus = nexus_abi::info().value_or({}).cpus_possible;
    truth("nobody else pays", cpus != 1 || std::abs(quiet - busy) <= 6'000'000);
    for (const std::int32_t child : {hog, flapper}) {
        succeeds("it ends", kill(child, SIGKILL));
        end_of(child);
    }
}

// ---- Locks; they stay, so this is last ----

void play_locked() {
    sched_attr limits{};
    limits.fields = nexus_abi::kFieldShares | nexus_abi::kFieldClass;
    limits.shares = 50;
    limits.qos_class = static_cast<std::uint32_t>(QosClass::Normal);
    succeeds("ceilings come down", sched::set_limits(0, limits));
    limits.shares = 51;
    fails("and not up", sched::set_limits(0, limits), EPERM);
    fails("nor are they passed", sched::set_shares(0, 51), EPERM);
    fails("with the right", sched::set_qos_class(0, QosClass::Interactive), EPERM);
    equal("the shares are told", sched::get_limits(0).value_or({}).shares, 50);
    limits.fields = nexus_abi::kFieldAffinity;
    limits.affinity = 1;
    succeeds("fewer CPUs", sched::set_limits(0, limits));
    equal("they are told", static_cast<std::int64_t>(sched::get_limits(0).value_or({}).effective_affinity),
          1);
    limits.affinity = 3;
    fails("not more", sched::set_limits(0, limits), EPERM);
}

void lock_for_good() {
    fails("a lock that there is not", call::nexus_sched_lock(1U << 10), EINVAL);
    answers("one is on", call::nexus_sched_lock(0), nexus_abi::kLockPerfBurst);
    fails("nobody begins to burst", sched::set_qos_class(0, QosClass::PerfBurst), EPERM);
    exits("ceilings may go up", started("rise", {.rights = nexus_abi::kRightSchedAdmin}), 0);
    answers("both", call::nexus_sched_lock(nexus_abi::kLockCeilings), nexus_abi::kLocksAll);
    answers("they stay", call::nexus_sched_lock(0), nexus_abi::kLocksAll);
    exits("ceilings only come down", started("locked", {.rights = nexus_abi::kRightSchedAdmin}), 0);
    sched_attr attributes{};
    attributes.fields = nexus_abi::kFieldClass;
    attributes.qos_class = static_cast<std::uint32_t>(QosClass::Interactive);
    exits("the first process may still start what it may be itself",
          started("return", {.attributes = &attributes}), 0);
}

constexpr checks::Case kCases[]{
    {"every cell of permissions.def", try_every_cell},
    {"rights only shrink", shrink_rights},
    {"ids are told apart", tell_tasks_apart},
    {"booked time", book_time},
    {"what is written down", write_down},
    {"what comes too fast", count_what_comes_too_fast},
    {"who flaps pays", charge_who_flaps},
    {"locks stay", lock_for_good},
};

constexpr checks::Role kRoles[]{
    {"try-all", play_try_all},
    {"shrink", play_shrink},
    {"be-denied", play_be_denied},
    {"locked", play_locked},
    {"rise", [] { succeeds("with the right", sched::set_qos_class(0, QosClass::Interactive)); }},
    {"flood",
     [] {
         for (int i = 0; i < 5000; ++i) {
             static_cast<void>(sched::set_shares(getppid(), 1));
         }
     }},
    {"hog",
     [] {
         for (volatile unsigned turns = 0;;) {
             turns = turns + 1;
         }
     }},
    {"flap",
     [] {
         for (std::int64_t turn = 0;; ++turn) {
             static_cast<void>(sched::set_latency_hint(0, milliseconds{100 + turn % 2}));
             static_cast<void>(sched::set_shares(0, 100));
             static_cast<void>(sched::set_qos_class(0, QosClass::Normal));
             static_cast<void>(sched::set_budget(0, microseconds{0}, microseconds{0}));
             static_cast<void>(call::sched_set_affinity(0, turn % 2 == 0 ? 1U : 3U));
         }
     }},
    {"return", [] {}},
    {"sleep",
     [] {
         const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
         nanosleep(&long_time, nullptr);
     }},
};

}  // namespace

int main(int argc, char** argv) {
    return checks::run_with_roles(argc, argv, kCases, kRoles);
}
