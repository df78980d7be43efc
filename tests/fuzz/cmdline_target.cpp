// SPDX-License-Identifier: MIT
// The kernel command line: whatever stands there, every value is in its range and what init gets is text of
// it.
#include <algorithm>
#include <cstring>
#include <memory>

#include "init/command_line.hpp"
#include "mutators.hpp"
#include "target.hpp"

using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::unique_ptr<char[]> copy{new char[size]};
    if (size > 0) {
        std::memcpy(copy.get(), data, size);
    }
    const auto parsed = std::make_unique<kernel::init::CommandLine>();
    parsed->parse({copy.get(), size});
    require(parsed->log_level <= 8, "log levels are 0..8");
    require(parsed->max_cpus >= 1 && parsed->max_cpus <= kernel::kMaxCpus, "maxcpus is 1..64");
    require(parsed->watchdog.ns() >= 0 && parsed->watchdog.ns() <= 3'600'000'000'000,
            "watchdog is 0..3600 s");
    require(parsed->init.starts_with('/'), "init is an absolute path");
    const std::string_view storage{reinterpret_cast<const char*>(parsed.get()), sizeof *parsed};
    std::size_t bytes = 0;
    for (const std::string_view argument : parsed->init_arguments) {
        require(fuzz::is_inside(argument, storage), "arguments are views of the command line");
        bytes += argument.size();
    }
    for (const std::string_view entry : parsed->init_environment) {
        require(entry.find('=') != std::string_view::npos, "environment entries are assignments");
    }
    require(bytes <= std::min(size, kernel::init::CommandLine::kMaxBytes), "arguments do not overlap");
    for (const auto& problem : parsed->problems) {
        require(!problem.what.empty(), "a problem says what");
        kernel::Line<160> line;
        line << problem;
    }
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
    fuzz::Random random{seed};
    if (fuzz::below(random, 2) == 0) {
        return fuzz::change_text(data, size, max_size, random);
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
