// SPDX-License-Identifier: MIT
// What services write to the console, kept by the kernel in a ring for each (nexus_abi/output_log.hpp): execd
// looks when somebody asks, and a service that writes much waits for nobody but the console.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "service_log.hpp"

namespace execd {

// For one thread. Owns the descriptors of the rings.
class ServiceOutputs {
  public:
    ServiceOutputs() = default;
    ~ServiceOutputs();
    ServiceOutputs(const ServiceOutputs&) = delete;
    ServiceOutputs& operator=(const ServiceOutputs&) = delete;

    // Descriptors 1 and 2 for a new process of the service; the caller closes those above 2. Where no ring
    // can be had they are 1 and 2: it writes to the console all the same.
    [[nodiscard]] std::array<int, 2> open(const std::string& service);
    [[nodiscard]] std::vector<OutputPart> read(const std::string& service) const;
    void forget(const std::string& service);

  private:
    std::map<std::string, int> rings_;  // by service
};

}  // namespace execd
