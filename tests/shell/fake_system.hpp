// SPDX-License-Identifier: MIT
// A machine of a few tables: what a test puts in comes out, changes are remembered, and its clock moves only
// by pauses.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "system.hpp"
#include "tool.hpp"

namespace shell_test {

using shell::Duration;
using shell::Error;
using shell::Result;

class FakeSystem : public shell::System {
  public:
    Result<nexus_abi::abi_info> info() override {
        nexus_abi::abi_info answer{};
        answer.cpus_online = cpus_online;
        answer.cpus_possible = 0xf;
        return answer;
    }
    Result<std::vector<nexus_abi::sched_snapshot_entry>> tasks() override { return entries; }
    Result<nexus_abi::sched_attr> attributes(std::int32_t pid) override {
        const auto found = all_attributes.find(pid);
        return found == all_attributes.end() ? Result<nexus_abi::sched_attr>{Error::NoProcess}
                                             : found->second;
    }
    Result<void> change(std::int32_t pid, const nexus_abi::sched_attr& attributes) override {
        const auto found = all_attributes.find(pid);
        if (found == all_attributes.end()) {
            return Error::NoProcess;
        }
        changes.emplace_back(pid, attributes);
        if (refuses) {
            return Error::NotPermitted;
        }
        nexus_abi::sched_attr& own = found->second;
        if ((attributes.fields & nexus_abi::kFieldClass) != 0) {
            own.qos_class = own.effective_class = attributes.qos_class;
        }
        if ((attributes.fields & nexus_abi::kFieldShares) != 0) {
            own.shares = own.effective_shares = attributes.shares;
        }
        return {};
    }
    Result<std::uint64_t> set_affinity(std::int32_t pid, std::uint64_t mask) override {
        const auto found = all_attributes.find(pid);
        if (found == all_attributes.end()) {
            return Error::NoProcess;
        }
        if ((mask & cpus_online) == 0) {
            return Error::InvalidArgument;
        }
        found->second.affinity = mask;
        return found->second.effective_affinity = mask & cpus_online;
    }
    Result<nexus_abi::sched_stat> statistics(std::int32_t pid) override {
        const auto found = all_statistics.find(pid);
        return found == all_statistics.end() ? Result<nexus_abi::sched_stat>{Error::NoProcess}
                                             : found->second;
    }
    Result<nexus_abi::sched_attr> limits(std::int32_t pid) override {
        auto ceilings = TRY(attributes(pid));
        ceilings.qos_class = 2;
        ceilings.shares = 400;
        ceilings.affinity = 0x13;
        ceilings.effective_affinity = ceilings.affinity & cpus_online;
        ceilings.group = 50;
        return ceilings;
    }
    Result<std::vector<nexus_abi::audit_record>> audited(std::uint64_t& position) override {
        position = audit.size();
        return audit;
    }
    Result<nexus_abi::sched_hartstat> hart(std::uint32_t cpu) override { return harts[cpu]; }
    Result<std::string> read_file(const std::string& path) override {
        const auto found = files.find(path);
        return found == files.end() ? Result<std::string>{Error::NoEntry} : found->second;
    }
    Result<std::string> kernel_log() override { return log; }
    Result<void> send_signal(std::int32_t pid, int signal) override {
        signals.emplace_back(pid, signal);
        return all_attributes.contains(pid) ? Result<void>{} : Error::NoProcess;
    }
    Result<Answer> ask_execd(const std::string& request) override {
        requests.push_back(request);
        const auto found = answers.find(request);
        return found == answers.end() ? Result<Answer>{no_answer} : found->second;
    }
    Error switch_power(shell::Power power) override {
        powers.push_back(power);
        return Error::NotPermitted;
    }
    Error execute(const std::vector<std::string>& arguments) override {
        executed = arguments;
        return Error::NoEntry;
    }
    void show(std::string_view text) override { shown += text; }
    std::optional<char> wait_for_key(Duration time) override {
        if (keys.empty()) {
            return 'q';
        }
        const char key = keys.front();
        keys.erase(0, 1);
        pause(time);
        return key == '.' ? std::nullopt : std::optional{key};
    }
    void pause(Duration time) override {
        clock += time;
        if (on_pause != nullptr) {
            on_pause(*this);
        }
    }
    Screen screen() override { return {.rows = 24, .columns = 80}; }
    Duration now() override { return clock; }
    std::chrono::seconds wall_time() override { return std::chrono::seconds{3661}; }

    // A thread, with default attributes and statistics.
    nexus_abi::sched_snapshot_entry& add_task(std::int32_t pid, std::int32_t tid, const char* name) {
        nexus_abi::sched_attr attributes{};
        attributes.qos_class = attributes.effective_class = 1;
        attributes.shares = attributes.effective_shares = 100;
        attributes.affinity = attributes.effective_affinity = cpus_online;
        all_attributes[tid] = attributes;
        all_statistics[tid] = {};
        nexus_abi::sched_snapshot_entry entry{};
        entry.pid = static_cast<std::uint32_t>(pid);
        entry.tid = static_cast<std::uint32_t>(tid);
        entry.parent = 1;
        entry.qos_class = entry.effective_class = 1;
        entry.shares = 100;
        entry.affinity = cpus_online;
        std::strncpy(entry.name, name, sizeof(entry.name) - 1);
        entries.push_back(entry);
        return entries.back();
    }

    std::uint64_t cpus_online{0xf};
    std::vector<nexus_abi::sched_snapshot_entry> entries;
    std::map<std::int32_t, nexus_abi::sched_attr> all_attributes;
    std::map<std::int32_t, nexus_abi::sched_stat> all_statistics;
    std::map<std::uint32_t, nexus_abi::sched_hartstat> harts;
    std::map<std::string, std::string> files;
    std::string log;
    std::vector<nexus_abi::audit_record> audit;
    std::map<std::string, Answer> answers;
    Error no_answer{Error::NotSupported};
    std::vector<std::string> requests;
    std::string keys;  // '.': nothing was typed in that time
    bool refuses{false};
    void (*on_pause)(FakeSystem&){nullptr};

    std::vector<std::pair<std::int32_t, nexus_abi::sched_attr>> changes;
    std::vector<std::pair<std::int32_t, int>> signals;
    std::vector<shell::Power> powers;
    std::vector<std::string> executed;
    std::string shown;
    Duration clock{std::chrono::seconds{10}};
};

// What a tool does when it is called with these words.
inline shell::Outcome run(shell::System& system, std::vector<std::string> words) {
    const shell::Tool* const tool = shell::find_tool(words[0]);
    if (tool == nullptr) {
        return {.status = -1, .errors = "no such tool"};
    }
    return shell::run_tool(*tool, system, std::span{words}.subspan(1));
}

}  // namespace shell_test
