// SPDX-License-Identifier: MIT
// Processes that were started by one pipeline, and how they are started.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "nexus_abi/result.hpp"

namespace shell {

using nexus_abi::Error;
using nexus_abi::Result;

struct JobProcess {
    pid_t pid{0};
    bool has_ended{false};
    bool is_stopped{false};
    int status{0};  // of wait(2), once it ended or stopped
};

struct Job {
    int number{0};
    pid_t group{0};  // 0: the shell's own
    std::string text;
    std::vector<JobProcess> processes;  // the last one's status is the job's

    [[nodiscard]] bool has_ended() const;
    // None of what still lives runs.
    [[nodiscard]] bool is_stopped() const;
    // As $? has it: the exit status, or 128 and the signal's number.
    [[nodiscard]] int exit_status() const;
    // Takes in what wait(2) says of one of its processes; false: of none.
    bool note(pid_t pid, int status);
};

// A program to be started. Descriptors are the shell's: those of `moves` become the ones named.
struct ProcessStart {
    std::string path;  // without '/': looked for in PATH
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    std::vector<std::pair<int, int>> moves;  // from, to; in this order
    bool has_group{false};                   // of its own, or:
    pid_t group{0};                          // whose it joins; 0: a new one
    int terminal{-1};                        // whose foreground its group becomes; -1: it does not
};

// Errors: those of execve(2).
[[nodiscard]] Result<pid_t> start_process(const ProcessStart& start);

}  // namespace shell
