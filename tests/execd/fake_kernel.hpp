// SPDX-License-Identifier: MIT
// A kernel of a few lines: it clamps masks against its online CPUs as the real one does, remembers every
// start and change, and its clock stands still unless a test moves it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernel.hpp"

namespace execd_test {

class FakeKernel : public execd::Kernel {
  public:
    explicit FakeKernel(std::uint64_t cpus_online) : cpus_online_{cpus_online} {}

    execd::Result<nexus_abi::abi_info> info() override {
        nexus_abi::abi_info info{};
        info.cpus_online = cpus_online_;
        return info;
    }

    execd::Result<std::int32_t> create(const execd::StartRequest& request) override {
        requests.push_back(request);
        if (const auto refusal = refusals.find(request.program); refusal != refusals.end()) {
            return refusal->second;
        }
        nexus_abi::sched_attr attr{};
        attr.shares = nexus_abi::kSharesDefault;
        attr.qos_class = static_cast<std::uint32_t>(nexus_abi::QosClass::Normal);
        attr.affinity = ~std::uint64_t{0};
        if (request.attributes) {
            if (refuses_hints) {
                return execd::Error::InvalidArgument;
            }
            const std::uint64_t mask = attr.affinity;
            attr = *request.attributes;
            attr.affinity = (attr.fields & nexus_abi::kFieldAffinity) != 0 ? attr.affinity : mask;
        }
        attr.effective_affinity = attr.affinity & cpus_online_;
        if (attr.effective_affinity == 0) {
            return execd::Error::InvalidArgument;
        }
        attr.effective_class = attr.qos_class;
        attr.effective_shares = attr.shares;
        const std::int32_t pid = next_pid++;
        running[pid] = attr;
        return pid;
    }

    void release(std::int32_t pid) override { released.push_back(pid); }

    void send_signal(std::int32_t pid, int signal) override { signals.emplace_back(pid, signal); }
    std::vector<execd::OutputPart> output(const std::string& service) override { return outputs[service]; }
    void forget_output(const std::string& service) override { outputs.erase(service); }
    std::string kernel_log() override { return log; }
    void answer(std::int32_t pid, const std::string& text) override { answers.emplace_back(pid, text); }

    execd::Result<void> change(std::int32_t pid, const nexus_abi::sched_attr& attr) override {
        const auto found = running.find(pid);
        if (found == running.end()) {
            return execd::Error::NoProcess;
        }
        if (refuses_change && attr.shares == *refuses_change) {
            return execd::Error::InvalidArgument;
        }
        const std::uint64_t limit = limits.contains(pid) ? limits[pid].affinity : ~std::uint64_t{0};
        if ((attr.affinity & limit & cpus_online_) == 0) {
            return execd::Error::InvalidArgument;
        }
        found->second = attr;
        found->second.effective_affinity = attr.affinity & limit & cpus_online_;
        found->second.effective_class = attr.qos_class;
        found->second.effective_shares = attr.shares;
        ++changes;
        return {};
    }

    execd::Result<void> limit(std::int32_t pid, const nexus_abi::sched_attr& attr) override {
        const auto found = running.find(pid);
        if (found == running.end()) {
            return execd::Error::NoProcess;
        }
        if (refuses_limits) {
            return execd::Error::NotImplemented;
        }
        EXPECT_FALSE(std::ranges::find(released, pid) != released.end() && !allows_late_limits)
            << "limits hold before the first instruction";
        limits[pid] = attr;
        nexus_abi::sched_attr& own = found->second;
        own.effective_affinity = own.affinity & attr.affinity & cpus_online_;
        own.effective_class = std::min(own.qos_class, attr.qos_class);
        own.effective_shares = std::min(own.shares, attr.shares);
        return {};
    }

    execd::Result<nexus_abi::sched_attr> attributes(std::int32_t pid) override {
        const auto found = running.find(pid);
        if (found == running.end() || ends_at_once) {
            return execd::Error::NoProcess;
        }
        return found->second;
    }

    execd::Result<execd::Event> wait(std::optional<execd::Instant>) override {
        return execd::Error::NotImplemented;
    }

    execd::Instant now() override { return clock; }

    std::map<std::int32_t, nexus_abi::sched_attr> running;
    std::vector<execd::StartRequest> requests;
    std::map<std::string, execd::Error> refusals;  // by program
    bool refuses_hints{false};
    bool refuses_limits{false};
    bool allows_late_limits{false};                 // of services that run
    std::optional<std::uint32_t> refuses_change{};  // to these shares
    bool ends_at_once{false};                       // killed before its attributes can be read
    std::vector<std::int32_t> released;
    std::vector<std::pair<std::int32_t, int>> signals;
    std::vector<std::pair<std::int32_t, std::string>> answers;
    std::map<std::int32_t, nexus_abi::sched_attr> limits;
    std::map<std::string, std::vector<execd::OutputPart>> outputs;  // by service
    std::string log;                                                // the kernel's
    int changes{0};
    std::int32_t next_pid{2};
    execd::Instant clock;

  private:
    std::uint64_t cpus_online_;
};

}  // namespace execd_test
