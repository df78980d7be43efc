// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>

#include "control_channels.hpp"
#include "kernel.hpp"
#include "service_outputs.hpp"

namespace execd {

// The kernel below. On one that is not NEURON info() says so; what NEURON alone has fails with
// NotImplemented.
class NexusKernel final : public Kernel {
  public:
    // Blocks the signals that wait() takes. Pre: once, before the first create().
    NexusKernel();

    Result<nexus_abi::abi_info> info() override;
    Result<std::int32_t> create(const StartRequest& request) override;
    void release(std::int32_t pid) override;
    Result<nexus_abi::sched_attr> attributes(std::int32_t pid) override;
    Result<void> change(std::int32_t pid, const nexus_abi::sched_attr& attributes) override;
    Result<void> limit(std::int32_t pid, const nexus_abi::sched_attr& limits) override;
    void send_signal(std::int32_t pid, int signal) override;
    std::vector<OutputPart> output(const std::string& service) override { return outputs_.read(service); }
    void forget_output(const std::string& service) override { outputs_.forget(service); }
    std::string kernel_log() override;
    void answer(std::int32_t pid, const std::string& text) override;
    Result<Event> wait(std::optional<Instant> deadline) override;
    Instant now() override;

  private:
    // Whether a reload was asked for and not yet told.
    static bool take_reload();
    // Waits for a signal, a line on a channel, or the deadline. False: the latter has passed.
    Result<bool> wait_for_news(std::optional<Instant> deadline);

    sigset_t awaited_{};
    sigset_t others_{};  // what is blocked but for those
    ControlChannels channels_;
    ServiceOutputs outputs_;
    std::string asked_;                 // the last request
    std::optional<EndedChild> reaped_;  // not yet told
};

}  // namespace execd
