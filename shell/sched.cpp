// SPDX-License-Identifier: MIT
// sched: what the scheduler knows of one task and of each hart, and who changed what.
#include <algorithm>
#include <array>
#include <span>

#include "console.hpp"
#include "json.hpp"
#include "notation.hpp"
#include "svc.hpp"
#include "table.hpp"
#include "tools.hpp"

namespace shell {
namespace {

using nexus_abi::sched_attr;
using nexus_abi::sched_hartstat;
using nexus_abi::sched_stat;

constexpr std::string_view kName = "sched";

struct Facts {
    nexus_abi::sched_snapshot_entry entry{};
    sched_attr attributes{};
    sched_attr limits{};
    sched_stat statistics{};
    // KEY VALUE FILE:LINE of what a recipe says of it.
    std::vector<std::vector<std::string>> origins{};
};

Result<Facts> facts_of(System& system, std::int32_t pid) {
    Facts facts;
    facts.attributes = TRY(system.attributes(pid));
    facts.limits = TRY(system.limits(pid));
    facts.statistics = TRY(system.statistics(pid));
    for (auto& row : recipe_origins(system, pid)) {
        if (row.size() == 3 && row[2] != "-") {
            facts.origins.push_back(std::move(row));
        }
    }
    for (const auto& entry : TRY(system.tasks())) {
        if (static_cast<std::int32_t>(entry.tid) == pid) {
            facts.entry = entry;
            return facts;
        }
    }
    return Error::NoProcess;
}

std::string flag_words(std::uint32_t flags) {
    std::string words;
    words +=
        (flags & nexus_abi::kStatAffinityBroken) != 0 ? ", outside its mask: none of its CPUs is there" : "";
    words += (flags & nexus_abi::kStatThrottled) != 0 ? ", throttled" : "";
    words += (flags & nexus_abi::kStatBoosted) != 0 ? ", boosted" : "";
    words += (flags & nexus_abi::kStatDonated) != 0 ? ", with another's shares" : "";
    return words;
}

// The upper end of the histogram's bucket in which the share `part` (0..1) of all wake-ups is reached.
std::uint64_t percentile_us(const sched_stat& statistics, double part) {
    const std::span<const std::uint64_t> buckets{statistics.wake_latency_hist};
    std::uint64_t all = 0;
    for (const std::uint64_t count : buckets) {
        all += count;
    }
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        seen += buckets[i];
        if (static_cast<double>(seen) >= part * static_cast<double>(all)) {
            return std::uint64_t{1} << i;
        }
    }
    return 0;
}

std::uint64_t wake_ups(const sched_stat& statistics) {
    std::uint64_t all = 0;
    for (const std::uint64_t count : statistics.wake_latency_hist) {
        all += count;
    }
    return all;
}

std::string latency_text(const Facts& facts) {
    const sched_stat& stat = facts.statistics;
    std::string text;
    if (facts.attributes.latency_ns == 0) {
        text = "no target";
    } else {
        const std::uint64_t all = stat.nr_latency_target_met + stat.nr_latency_target_missed;
        text =
            user::format("target %s, met %llu of %llu", format_duration(facts.attributes.latency_ns).c_str(),
                         static_cast<unsigned long long>(stat.nr_latency_target_met),
                         static_cast<unsigned long long>(all));
    }
    if (const std::uint64_t all = wake_ups(stat); all > 0) {
        text += user::format("; %llu wake-ups: half < %lluus, 99%% < %lluus, longest %s",
                             static_cast<unsigned long long>(all),
                             static_cast<unsigned long long>(percentile_us(stat, 0.5)),
                             static_cast<unsigned long long>(percentile_us(stat, 0.99)),
                             format_rough(stat.wake_latency_max_ns).c_str());
    }
    return text;
}

std::string budget_text(const Facts& facts) {
    const std::string throttled = user::format("; throttled %llu times, %s in all",
                                               static_cast<unsigned long long>(facts.statistics.nr_throttled),
                                               format_rough(facts.statistics.throttled_ns).c_str());
    if (facts.attributes.budget_ns == 0) {
        return "none" + (facts.statistics.nr_throttled > 0 ? throttled : "");
    }
    return format_duration(facts.attributes.budget_ns) + " of each " +
           format_duration(facts.attributes.period_ns) + throttled;
}

std::string per_cpu_text(const sched_stat& statistics) {
    std::string text;
    for (std::size_t cpu = 0; cpu < nexus_abi::kMaxHartsInStat; ++cpu) {
        if (const std::uint64_t time = statistics.runtime_by_cpu_ns[cpu]; time > 0) {
            text += user::format("%scpu%zu %s", text.empty() ? "" : ", ", cpu, format_rough(time).c_str());
        }
    }
    return text.empty() ? "nowhere yet" : text;
}

std::string show_text(const Facts& facts) {
    const sched_attr& attr = facts.attributes;
    const sched_stat& stat = facts.statistics;
    std::string text =
        user::format("%s: tid %u of process %u, %s on cpu%u%s\n", name_of(facts.entry).c_str(),
                     facts.entry.tid, facts.entry.pid, std::string{state_name(stat.state)}.c_str(),
                     stat.last_cpu, flag_words(stat.flags).c_str());
    const auto put = [&](const char* what, const std::string& value) {
        text += user::format("  %-11s%s\n", what, value.c_str());
    };
    put("class", std::string{class_name(attr.qos_class)} + ", in effect " +
                     std::string{class_name(attr.effective_class)});
    put("shares", std::to_string(attr.shares) + ", in effect " + std::to_string(attr.effective_shares) +
                      (attr.group == 0 ? "" : ", its group at most " + std::to_string(attr.group)));
    put("mask", "0x" + format_hex(attr.affinity) + ", allowed 0x" +
                    format_hex(facts.limits.effective_affinity) + ", in effect 0x" +
                    format_hex(attr.effective_affinity) + ", policy " +
                    std::string{policy_name(attr.affinity_policy)} +
                    (attr.affinity_prefer == 0 ? "" : ", first 0x" + format_hex(attr.affinity_prefer)));
    put("ceilings", std::string{class_name(facts.limits.qos_class)} + ", shares " +
                        std::to_string(facts.limits.shares) + ", mask 0x" +
                        format_hex(facts.limits.affinity) +
                        (attr.group == 0 ? "" : ", group " + std::to_string(attr.group)));
    put("latency", latency_text(facts));
    put("burst", attr.burst_ns == 0 ? "the class's" : format_duration(attr.burst_ns));
    put("budget", budget_text(facts));
    put("ran", format_rough(stat.runtime_ns) + ": " + per_cpu_text(stat));
    put("waited", user::format("%s, longest %s; slept %s; lag %+.1fms", format_rough(stat.wait_ns).c_str(),
                               format_rough(stat.wait_max_ns).c_str(), format_rough(stat.sleep_ns).c_str(),
                               static_cast<double>(stat.lag_ns) / 1e6));
    put("switches", user::format("%llu voluntary, %llu not (%llu for a better task), %llu migrations",
                                 static_cast<unsigned long long>(stat.nr_switch_voluntary),
                                 static_cast<unsigned long long>(stat.nr_switch_involuntary),
                                 static_cast<unsigned long long>(stat.nr_preempted),
                                 static_cast<unsigned long long>(stat.nr_migrations)));
    for (const auto& row : facts.origins) {
        put("recipe", row[0] + " = " + row[1] + ", " + row[2]);
    }
    return text;
}

std::string show_json(const Facts& facts) {
    const sched_attr& attr = facts.attributes;
    const sched_stat& stat = facts.statistics;
    JsonWriter json;
    json.begin_object();
    json.member("tid", facts.entry.tid);
    json.member("pid", facts.entry.pid);
    json.member("name", name_of(facts.entry));
    json.member("state", state_name(stat.state));
    json.member("cpu", stat.last_cpu);
    json.member("class", class_name(attr.qos_class));
    json.member("effective_class", class_name(attr.effective_class));
    json.member("shares", attr.shares);
    json.member("effective_shares", attr.effective_shares);
    json.member("group", attr.group);
    json.member("mask", format_hex(attr.affinity));
    json.member("effective_mask", format_hex(attr.effective_affinity));
    json.member("allowed_mask", format_hex(facts.limits.effective_affinity));
    json.member("policy", policy_name(attr.affinity_policy));
    json.key("ceilings").begin_object();
    json.member("class", class_name(facts.limits.qos_class));
    json.member("shares", facts.limits.shares);
    json.member("mask", format_hex(facts.limits.affinity));
    json.end_object();
    json.key("recipe").begin_object();
    for (const auto& row : facts.origins) {
        json.key(row[0]).begin_object();
        json.member("value", row[1]);
        json.member("origin", row[2]);
        json.end_object();
    }
    json.end_object();
    json.member("latency_ns", attr.latency_ns);
    json.member("latency_met", stat.nr_latency_target_met);
    json.member("latency_missed", stat.nr_latency_target_missed);
    json.member("wake_ups", wake_ups(stat));
    json.member("wake_latency_max_ns", stat.wake_latency_max_ns);
    json.member("burst_ns", attr.burst_ns);
    json.member("budget_ns", attr.budget_ns);
    json.member("period_ns", attr.period_ns);
    json.member("throttled", stat.nr_throttled);
    json.member("throttled_ns", stat.throttled_ns);
    json.member("runtime_ns", stat.runtime_ns);
    json.member("wait_ns", stat.wait_ns);
    json.member("wait_max_ns", stat.wait_max_ns);
    json.member("sleep_ns", stat.sleep_ns);
    json.member("switches_voluntary", stat.nr_switch_voluntary);
    json.member("switches_involuntary", stat.nr_switch_involuntary);
    json.member("migrations", stat.nr_migrations);
    json.member("lag_ns", stat.lag_ns);
    json.key("runtime_by_cpu_ns").begin_array();
    for (std::size_t cpu = 0; cpu < nexus_abi::kMaxHartsInStat; ++cpu) {
        if (stat.runtime_by_cpu_ns[cpu] > 0) {
            json.begin_array();
            json.value(cpu);
            json.value(stat.runtime_by_cpu_ns[cpu]);
            json.end_array();
        }
    }
    json.end_array();
    json.end_object();
    return json.text();
}

// section_max_what: a system call's number, or bit 63 and a trap's cause. A hart that never ran has none.
std::string section_text(const sched_hartstat& hart) {
    if (hart.section_max_ns == 0) {
        return "-";
    }
    constexpr std::uint64_t kTrap = std::uint64_t{1} << 63;
    const auto number = static_cast<unsigned long long>(hart.section_max_what & ~kTrap);
    return format_rough(hart.section_max_ns) +
           user::format((hart.section_max_what & kTrap) != 0 ? " trap %llu" : " call %llu", number);
}

std::string busy_percent(const sched_hartstat& hart) {
    const std::uint64_t all = hart.busy_ns + hart.idle_ns;
    return user::format(
        "%.1f%%", all == 0 ? 0.0 : 100.0 * static_cast<double>(hart.busy_ns) / static_cast<double>(all));
}

struct NumberedHart {
    std::uint32_t cpu{0};
    sched_hartstat stat{};
};

Result<std::vector<NumberedHart>> harts_of(System& system) {
    const auto info = TRY(system.info());
    std::vector<NumberedHart> harts;
    for (std::uint32_t cpu = 0; cpu < nexus_abi::kMaxHartsInStat; ++cpu) {
        if ((info.cpus_possible >> cpu & 1U) != 0) {
            harts.push_back({.cpu = cpu, .stat = TRY(system.hart(cpu))});
        }
    }
    return harts;
}

std::string stat_text(const std::vector<NumberedHart>& harts) {
    Table table{{{"CPU"},
                 {"HART"},
                 {"STATE", Align::Left},
                 {"BUSY"},
                 {"RAN"},
                 {"IDLE"},
                 {"READY"},
                 {"SWITCHES"},
                 {"TIMER"},
                 {"IPI-OUT"},
                 {"IPI-IN"},
                 {"STEALS"},
                 {"PUSHES"},
                 {"SETS"},
                 {"DENIED"},
                 {"CLAMPED"},
                 {"LONGEST SECTION", Align::Left}}};
    for (const auto& [cpu, hart] : harts) {
        table.add({std::to_string(cpu), std::to_string(hart.hart_id), hart.online != 0 ? "online" : "offline",
                   busy_percent(hart), format_rough(hart.busy_ns), format_rough(hart.idle_ns),
                   std::to_string(hart.nr_runnable), std::to_string(hart.nr_switches),
                   std::to_string(hart.nr_timer_interrupts), std::to_string(hart.nr_ipis_sent),
                   std::to_string(hart.nr_ipis_received), std::to_string(hart.nr_steals),
                   std::to_string(hart.nr_pushes), std::to_string(hart.nr_foreign_sets),
                   std::to_string(hart.nr_denied), std::to_string(hart.nr_clamped), section_text(hart)});
    }
    return table.text();
}

std::string stat_json(const std::vector<NumberedHart>& harts) {
    JsonWriter json;
    json.begin_array();
    for (const auto& [cpu, hart] : harts) {
        json.begin_object();
        json.member("cpu", cpu);
        json.member("hart", hart.hart_id);
        json.member("online", hart.online != 0);
        json.member("busy_ns", hart.busy_ns);
        json.member("idle_ns", hart.idle_ns);
        json.member("runnable", hart.nr_runnable);
        json.member("switches", hart.nr_switches);
        json.member("timer_interrupts", hart.nr_timer_interrupts);
        json.member("ipis_sent", hart.nr_ipis_sent);
        json.member("ipis_received", hart.nr_ipis_received);
        json.member("steals", hart.nr_steals);
        json.member("pushes", hart.nr_pushes);
        json.member("foreign_sets", hart.nr_foreign_sets);
        json.member("denied", hart.nr_denied);
        json.member("clamped", hart.nr_clamped);
        json.member("section_max_ns", hart.section_max_ns);
        json.member("section_max_what", section_text(hart));
        json.end_object();
    }
    json.end_array();
    return json.text();
}

Outcome show(System& system, const std::vector<std::string>& operands, bool is_json) {
    const auto pid = operands.size() == 1 ? parse_pid(operands[0]) : std::nullopt;
    if (!pid) {
        return misuse(kName, operands.size() == 1 ? "'" + operands[0] + "': not a process id"
                                                  : "show: which task? One pid");
    }
    const auto facts = facts_of(system, *pid);
    if (!facts.ok()) {
        return fail(kName, operands[0], facts.error());
    }
    return {.output = is_json ? show_json(*facts) : show_text(*facts)};
}

Outcome stat(System& system, const std::vector<std::string>& operands, bool is_json) {
    if (!operands.empty()) {
        return misuse(kName, "'" + operands[0] + "': stat takes options only");
    }
    const auto harts = harts_of(system);
    if (!harts.ok()) {
        return fail(kName, "the CPUs", harts.error());
    }
    return {.output = is_json ? stat_json(*harts) : stat_text(*harts)};
}

std::string_view field_name(std::uint16_t field) {
    constexpr std::array<std::string_view, 10> kFields{"class", "shares", "latency", "burst", "budget",
                                                       "cpus",  "prefer", "policy",  "group", "flags"};
    return field < kFields.size() ? kFields[field] : "-";
}

Outcome audit(System& system, const std::vector<std::string>& operands, bool is_json) {
    constexpr std::array<std::string_view, 4> kWhat{"?", "set", "denied", "clamped"};
    if (!operands.empty()) {
        return misuse(kName, "'" + operands[0] + "': audit takes options only");
    }
    std::uint64_t position = 0;
    const auto records = system.audited(position);
    if (!records.ok()) {
        return fail(kName, "the audit", records.error());
    }
    Table table{{{"TIME"},
                 {"WHAT", Align::Left},
                 {"CALLER"},
                 {"TARGET"},
                 {"CALL"},
                 {"FIELD", Align::Left},
                 {"FROM"},
                 {"TO"},
                 {"RESULT"},
                 {"LEFT-OUT"}}};
    JsonWriter json;
    json.begin_array();
    for (const nexus_abi::audit_record& record : *records) {
        const std::string_view what = kWhat[record.what < kWhat.size() ? record.what : 0];
        json.begin_object();
        json.member("time_ns", record.time_ns);
        json.member("what", what);
        json.member("caller", record.caller);
        json.member("caller_serial", record.caller_serial);
        json.member("target", record.target);
        json.member("target_serial", record.target_serial);
        json.member("call", record.call);
        json.member("field", field_name(record.field));
        json.member("old", record.old_value);
        json.member("new", record.new_value);
        json.member("result", record.result);
        json.member("left_out", record.left_out);
        json.end_object();
        table.add({user::format("%.6f", static_cast<double>(record.time_ns) / 1e9), std::string{what},
                   std::to_string(record.caller), std::to_string(record.target), std::to_string(record.call),
                   std::string{field_name(record.field)}, std::to_string(record.old_value),
                   std::to_string(record.new_value), std::to_string(record.result),
                   std::to_string(record.left_out)});
    }
    json.end_array();
    return {.output = is_json ? json.text() : table.text()};
}

}  // namespace

Outcome run_sched(System& system, Arguments arguments) {
    const PlainArguments plain = read_plain(kName, arguments);
    if (plain.wrong) {
        return *plain.wrong;
    }
    std::vector<std::string> operands = plain.operands;
    if (operands.empty()) {
        return misuse(kName, "show, stat or audit?");
    }
    const std::string command = operands[0];
    operands.erase(operands.begin());
    if (command == "show") {
        return show(system, operands, plain.is_json);
    }
    if (command == "audit") {
        return audit(system, operands, plain.is_json);
    }
    return command == "stat" ? stat(system, operands, plain.is_json)
                             : misuse(kName, "'" + command + "': show, stat or audit?");
}

}  // namespace shell
