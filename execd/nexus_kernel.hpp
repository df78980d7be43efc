// SPDX-License-Identifier: MIT
#pragma once

#include "kernel.hpp"

namespace execd {

// The kernel below. On one that is not NEURON info() says so; start() and attributes() fail with
// NotImplemented.
class NexusKernel final : public Kernel {
  public:
    Result<nexus_abi::abi_info> info() override;
    Result<std::int32_t> start(const StartRequest& request) override;
    Result<nexus_abi::sched_attr> attributes(std::int32_t pid) override;
    Result<EndedChild> wait_for_child() override;
    Instant now() override;
};

}  // namespace execd
