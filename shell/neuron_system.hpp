// SPDX-License-Identifier: MIT
#pragma once

#include <termios.h>

#include "system.hpp"

namespace shell {

// Switches the terminal to single keys without echo as long as it lives. Nothing happens when standard input
// is no terminal.
class SingleKeys {
  public:
    SingleKeys();
    ~SingleKeys();
    SingleKeys(const SingleKeys&) = delete;
    SingleKeys& operator=(const SingleKeys&) = delete;
    [[nodiscard]] bool has_terminal() const { return has_terminal_; }

  private:
    bool has_terminal_{false};
    termios before_{};
};

// The descriptor of execd's control channel, when this program was given one.
[[nodiscard]] std::optional<int> control_channel();

// The machine below. What NEURON alone has fails elsewhere with NotImplemented.
class NeuronSystem final : public System {
  public:
    Result<nexus_abi::abi_info> info() override;
    Result<std::vector<nexus_abi::sched_snapshot_entry>> tasks() override;
    Result<nexus_abi::sched_attr> attributes(std::int32_t pid) override;
    Result<void> change(std::int32_t pid, const nexus_abi::sched_attr& attributes) override;
    Result<std::uint64_t> set_affinity(std::int32_t pid, std::uint64_t mask) override;
    Result<nexus_abi::sched_stat> statistics(std::int32_t pid) override;
    Result<nexus_abi::sched_attr> limits(std::int32_t pid) override;
    Result<std::vector<nexus_abi::audit_record>> audited(std::uint64_t& position) override;
    Result<nexus_abi::sched_hartstat> hart(std::uint32_t cpu) override;
    Result<std::string> read_file(const std::string& path) override;
    Result<std::string> kernel_log() override;
    Result<void> send_signal(std::int32_t pid, int signal) override;
    Result<Answer> ask_execd(const std::string& request) override;
    Error switch_power(Power power) override;
    Error execute(const std::vector<std::string>& arguments) override;
    void show(std::string_view text) override;
    std::optional<char> wait_for_key(Duration time) override;
    void pause(Duration time) override;
    Screen screen() override;
    Duration now() override;
    std::chrono::seconds wall_time() override;

  private:
    std::optional<SingleKeys> keys_;  // from the first wait on
};

}  // namespace shell
