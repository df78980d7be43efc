// SPDX-License-Identifier: MIT
// The shell without its editor: runs lines, knows variables and jobs.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command_line.hpp"
#include "job.hpp"
#include "tool.hpp"

namespace shell {

// For one thread, one per process: children are waited for.
class Session {
  public:
    struct Options {
        std::string self;                      // the program that is also every tool
        std::vector<std::string> environment;  // "NAME=value"
        int control{-1};                       // execd's channel, for the tools that use it; -1: none
        int terminal{-1};                      // the shell leads its session; -1: no job control
    };
    explicit Session(Options options);

    // Runs it to its end, or until it stops; $? then. What is wrong with it goes to standard error.
    int run_line(std::string_view line);
    // Jobs of the background that ended or stopped meanwhile are told, one line each.
    void report_jobs();
    // Once `exit` was run: with which status.
    [[nodiscard]] std::optional<int> exit_status() const { return exit_status_; }
    [[nodiscard]] int last_status() const { return status_; }
    [[nodiscard]] std::string variable(std::string_view name) const;

    // A command that the shell itself runs.
    struct Builtin {
        std::string_view name;
        std::string_view summary;
        Outcome (*run)(Session& session, Arguments arguments);
    };
    [[nodiscard]] static std::span<const Builtin> builtins();
    // The names a completion offers for a command that begins like this.
    [[nodiscard]] static std::vector<std::string> commands_like(std::string_view begin);

  private:
    friend struct SessionBuiltins;

    // Open files of one command, closed at the end.
    class Files;

    int run_pipeline(const Pipeline& pipeline);
    int run_builtin(const Builtin& builtin, const Command& command, Arguments arguments);
    int assign(const std::vector<std::string>& assignments);
    bool open_redirects(const Command& command, Files& files, std::vector<std::pair<int, int>>& moves);
    Result<pid_t> start(const std::vector<std::string>& words, const Job& job, bool is_background,
                        std::vector<std::pair<int, int>> moves);
    // Until it ends or stops; a job of the background is kept.
    int wait_for(Job job);
    int continue_job(Arguments arguments, bool in_foreground, std::string& problem);
    std::deque<Job>::iterator find_job(Arguments arguments);
    void keep(Job job);
    void take_changes();
    void give_terminal(pid_t group) const;
    [[nodiscard]] std::vector<std::string> environment() const;

    const Options options_;
    std::map<std::string, std::string, std::less<>> variables_;
    std::deque<Job> jobs_;  // of the background
    int status_{0};
    pid_t last_background_{0};
    std::optional<int> exit_status_;
};

}  // namespace shell
