// SPDX-License-Identifier: MIT
#include "service_outputs.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "nexus_abi/output_log.hpp"

namespace execd {

ServiceOutputs::~ServiceOutputs() {
    for (const auto& [service, ring] : rings_) {
        ::close(ring);
    }
}

std::array<int, 2> ServiceOutputs::open(const std::string& service) {
    const std::array<int, 2> console{STDOUT_FILENO, STDERR_FILENO};
    auto ring = rings_.find(service);
    if (ring == rings_.end()) {
        const int descriptor = ::ioctl(STDOUT_FILENO, nexus_abi::kOutputLogNew, 0);
        if (descriptor < 0) {
            return console;
        }
        ring = rings_.emplace(service, descriptor).first;
    }
    const int output =
        ::ioctl(ring->second, nexus_abi::kOutputLogWriter,
                static_cast<unsigned long>(std::to_underlying(nexus_abi::OutputStream::Output)));
    const int errors =
        ::ioctl(ring->second, nexus_abi::kOutputLogWriter,
                static_cast<unsigned long>(std::to_underlying(nexus_abi::OutputStream::Errors)));
    return {output < 0 ? STDOUT_FILENO : output, errors < 0 ? STDERR_FILENO : errors};
}

std::vector<OutputPart> ServiceOutputs::read(const std::string& service) const {
    std::vector<OutputPart> parts;
    const auto ring = rings_.find(service);
    if (ring == rings_.end() || ::lseek(ring->second, 0, SEEK_SET) != 0) {
        return parts;
    }
    std::uint32_t expected = 0;
    std::array<char, sizeof(nexus_abi::output_record) + nexus_abi::kOutputRecordMaxBytes> bytes;
    // One that writes faster than this reads does not keep it for ever.
    for (std::uint64_t taken = 0; taken < 2 * nexus_abi::kOutputLogBytes;) {
        const ssize_t count = ::read(ring->second, bytes.data(), bytes.size());
        if (count <= 0) {
            break;
        }
        taken += static_cast<std::uint64_t>(count);
        std::string_view rest{bytes.data(), static_cast<std::size_t>(count)};
        while (!rest.empty()) {
            nexus_abi::output_record record;
            std::memcpy(&record, rest.data(), sizeof(record));
            parts.push_back({.at = Instant{std::chrono::nanoseconds{record.time_ns}},
                             .is_error = record.stream == std::to_underlying(nexus_abi::OutputStream::Errors),
                             .has_gap = record.number != expected,
                             .text = std::string{rest.substr(sizeof(record), record.bytes)}});
            expected = record.number + 1;
            rest.remove_prefix(sizeof(record) + record.bytes);
        }
    }
    return parts;
}

void ServiceOutputs::forget(const std::string& service) {
    if (const auto ring = rings_.find(service); ring != rings_.end()) {
        ::close(ring->second);
        rings_.erase(ring);
    }
}

}  // namespace execd
