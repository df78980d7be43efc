// SPDX-License-Identifier: MIT
#include "session.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "console.hpp"

namespace shell {
namespace {

void write_all(int file, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(file, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return;
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
}

void complain(const std::string& what) {
    write_all(STDERR_FILENO, "nsh: " + what + '\n');
}

// What a person wants to hear of how it ended.
void tell_end(const Job& job) {
    const int status = job.processes.back().status;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) {
        write_all(STDERR_FILENO, "\n");
    } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGPIPE) {
        write_all(STDERR_FILENO, std::string{::strsignal(WTERMSIG(status))} + '\n');
    }
}

std::string job_line(const Job& job) {
    std::string state = "Running";
    if (job.has_ended()) {
        const int status = job.exit_status();
        state = status == 0 ? "Done" : "Exit " + std::to_string(status);
    } else if (job.is_stopped()) {
        state = "Stopped";
    }
    return user::format("[%d]  %-9s %s\n", job.number, state.c_str(), job.text.c_str());
}

}  // namespace

class Session::Files {
  public:
    Files() = default;
    ~Files() {
        for (const int file : files_) {
            ::close(file);
        }
    }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    int keep(int file) {
        files_.push_back(file);
        return file;
    }

  private:
    std::vector<int> files_;
};

// The commands of the shell itself; they see its insides.
struct SessionBuiltins {
    static Outcome change_directory(Session& session, Arguments arguments) {
        const std::string home = session.variable("HOME");
        const std::string& to = arguments.empty() ? home : arguments[0];
        if (arguments.size() > 1) {
            return fail("cd", "one directory", kUsageError);
        }
        return ::chdir(to.c_str()) == 0 ? Outcome{} : fail("cd", to, static_cast<Error>(errno));
    }
    static Outcome print_directory(Session&, Arguments) {
        std::string room(4096, '\0');
        return ::getcwd(room.data(), room.size()) == nullptr
                   ? fail("pwd", "this directory", static_cast<Error>(errno))
                   : Outcome{.output = std::string{room.c_str()} + '\n'};
    }
    static Outcome echo(Session&, Arguments arguments) {
        const bool has_end = arguments.empty() || arguments[0] != "-n";
        std::string text;
        for (const std::string& word : arguments.subspan(has_end ? 0 : 1)) {
            text += (text.empty() ? "" : " ") + word;
        }
        return {.output = text + (has_end ? "\n" : "")};
    }
    static Outcome leave(Session& session, Arguments arguments) {
        const auto status =
            arguments.empty() ? std::optional<std::int64_t>{session.status_} : parse_status(arguments[0]);
        if (!status) {
            return fail("exit", "'" + arguments[0] + "': not a status from 0 to 255", kUsageError);
        }
        session.exit_status_ = static_cast<int>(*status);
        return {.status = *session.exit_status_};
    }
    static Outcome export_variables(Session& session, Arguments arguments) {
        Outcome outcome;
        if (arguments.empty()) {
            for (const std::string& variable : session.environment()) {
                outcome.output += variable + '\n';
            }
        }
        for (const std::string& word : arguments) {
            const auto length = assignment_name(word);
            if (!length) {
                return fail("export", "'" + word + "': not NAME=VALUE", kUsageError);
            }
            session.variables_[word.substr(0, *length)] = word.substr(*length + 1);
        }
        return outcome;
    }
    static Outcome unset(Session& session, Arguments arguments) {
        for (const std::string& word : arguments) {
            session.variables_.erase(word);
        }
        return {};
    }
    static Outcome list_jobs(Session& session, Arguments) {
        session.take_changes();
        Outcome outcome;
        for (const Job& job : session.jobs_) {
            outcome.output += job_line(job);
        }
        std::erase_if(session.jobs_, &Job::has_ended);
        return outcome;
    }
    static Outcome foreground(Session& session, Arguments arguments) {
        return resume(session, "fg", arguments, true);
    }
    static Outcome background(Session& session, Arguments arguments) {
        return resume(session, "bg", arguments, false);
    }
    static Outcome wait_for_jobs(Session& session, Arguments) {
        int status = 0;
        while (!session.jobs_.empty()) {
            Job job = std::move(session.jobs_.front());
            session.jobs_.pop_front();
            if (job.is_stopped()) {
                session.keep(std::move(job));
                return fail("wait", "a job is stopped");
            }
            status = session.wait_for(std::move(job));
        }
        return {.status = status};
    }
    // The list of tools with the shell's own commands in front, or how to use one.
    static Outcome help(Session&, Arguments arguments) {
        Outcome outcome;
        for (const Session::Builtin& builtin : Session::builtins()) {
            const std::string name{builtin.name};
            const std::string line =
                user::format("%-10s%s\n", name.c_str(), std::string{builtin.summary}.c_str());
            if (arguments.empty()) {
                outcome.output += line;
            } else if (arguments[0] == name && find_tool(name) == nullptr) {
                return {.output = line};
            }
        }
        for (const Tool& tool : all_tools()) {
            if (arguments.empty() && tool.name != "help") {
                outcome.output += user::format("%-10s%s\n", std::string{tool.name}.c_str(),
                                               std::string{tool.summary}.c_str());
            } else if (!arguments.empty() && arguments[0] == tool.name) {
                return {.output = std::string{tool.usage} + '\n'};
            }
        }
        if (!arguments.empty()) {
            return fail("help", "'" + arguments[0] + "': no such command");
        }
        outcome.output +=
            "Programs of /bin and /usr/bin run by their names. Between commands: ; && || & |\n"
            "COMMAND --help says more. Tab completes, the arrows bring back earlier lines.\n";
        return outcome;
    }
    static Outcome succeed(Session&, Arguments) { return {}; }
    static Outcome fail_quietly(Session&, Arguments) { return {.status = kFailure}; }

  private:
    static std::optional<std::int64_t> parse_status(const std::string& text) {
        std::int64_t number = 0;
        for (const char digit : text) {
            if (digit < '0' || digit > '9' || number > 255) {
                return std::nullopt;
            }
            number = number * 10 + (digit - '0');
        }
        return text.empty() || number > 255 ? std::nullopt : std::optional{number};
    }
    static Outcome resume(Session& session, std::string_view name, Arguments arguments, bool in_foreground) {
        std::string problem;
        const int status = session.continue_job(arguments, in_foreground, problem);
        return problem.empty() ? Outcome{.status = status} : fail(name, problem);
    }
};

std::span<const Session::Builtin> Session::builtins() {
    static constexpr Builtin kAll[]{
        {"bg", "lets a stopped job go on in the background", SessionBuiltins::background},
        {"cd", "goes to another directory", SessionBuiltins::change_directory},
        {"echo", "prints its arguments", SessionBuiltins::echo},
        {"exit", "ends the shell", SessionBuiltins::leave},
        {"export", "NAME=VALUE: sets a variable; without: lists them", SessionBuiltins::export_variables},
        {"false", "fails", SessionBuiltins::fail_quietly},
        {"fg", "brings a job to the foreground", SessionBuiltins::foreground},
        {"help", "this list, or how to use one of them", SessionBuiltins::help},
        {"jobs", "lists the jobs of the background", SessionBuiltins::list_jobs},
        {"pwd", "prints the current directory", SessionBuiltins::print_directory},
        {"true", "succeeds", SessionBuiltins::succeed},
        {"unset", "forgets variables", SessionBuiltins::unset},
        {"wait", "waits until the jobs of the background have ended", SessionBuiltins::wait_for_jobs},
    };
    return kAll;
}

std::vector<std::string> Session::commands_like(std::string_view begin) {
    std::vector<std::string> names;
    const auto add = [&](std::string_view name) {
        if (name.starts_with(begin)) {
            names.emplace_back(name);
        }
    };
    for (const Builtin& builtin : builtins()) {
        add(builtin.name);
    }
    for (const Tool& tool : all_tools()) {
        add(tool.name);
    }
    return names;
}

Session::Session(Options options) : options_{std::move(options)} {
    variables_["PATH"] = "/bin:/usr/bin";
    for (const std::string& assignment : options_.environment) {
        if (const std::size_t equals = assignment.find('='); equals != std::string::npos) {
            variables_[assignment.substr(0, equals)] = assignment.substr(equals + 1);
        }
    }
    // The C library looks for programs where its own environment says.
    ::setenv("PATH", variables_["PATH"].c_str(), 1);
}

std::string Session::variable(std::string_view name) const {
    if (name == "?") {
        return std::to_string(status_);
    }
    if (name == "!") {
        return last_background_ == 0 ? "" : std::to_string(last_background_);
    }
    if (name == "$") {
        return std::to_string(::getpid());
    }
    const auto found = variables_.find(name);
    return found == variables_.end() ? "" : found->second;
}

int Session::run_line(std::string_view line) {
    const auto parsed = parse_line(line);
    if (const auto* const error = std::get_if<ParseError>(&parsed)) {
        complain("column " + std::to_string(error->column) + ": " + error->what);
        return status_ = kUsageError;
    }
    for (const Pipeline& pipeline : *std::get_if<std::vector<Pipeline>>(&parsed)) {
        const bool is_wanted = pipeline.runs_after == RunsAfter::Anything ||
                               (pipeline.runs_after == RunsAfter::Success) == (status_ == 0);
        if (is_wanted) {
            status_ = run_pipeline(pipeline);
        }
        if (exit_status_) {
            break;
        }
    }
    return status_;
}

int Session::assign(const std::vector<std::string>& assignments) {
    for (const std::string& assignment : assignments) {
        const std::size_t equals = assignment.find('=');
        variables_[assignment.substr(0, equals)] = assignment.substr(equals + 1);
        if (assignment.starts_with("PATH=")) {
            ::setenv("PATH", assignment.c_str() + equals + 1, 1);
        }
    }
    return kSuccess;
}

bool Session::open_redirects(const Command& command, Files& files, std::vector<std::pair<int, int>>& moves) {
    for (const Redirect& redirect : command.redirects) {
        if (redirect.kind == RedirectKind::Copy) {
            moves.emplace_back(redirect.copied, redirect.descriptor);
            continue;
        }
        const std::string path =
            expand(redirect.target, [this](std::string_view name) { return variable(name); });
        const int flags = redirect.kind == RedirectKind::Input    ? O_RDONLY
                          : redirect.kind == RedirectKind::Output ? O_WRONLY | O_CREAT | O_TRUNC
                                                                  : O_WRONLY | O_CREAT | O_APPEND;
        const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
        if (file < 0) {
            complain(path + ": " + std::strerror(errno));
            return false;
        }
        moves.emplace_back(files.keep(file), redirect.descriptor);
    }
    return true;
}

int Session::run_builtin(const Builtin& builtin, const Command& command, Arguments arguments) {
    Files files;
    std::vector<std::pair<int, int>> moves;
    if (!open_redirects(command, files, moves)) {
        return kFailure;
    }
    int output = STDOUT_FILENO;
    int errors = STDERR_FILENO;
    for (const auto& [from, to] : moves) {
        const int source = from == STDOUT_FILENO ? output : from == STDERR_FILENO ? errors : from;
        (to == STDERR_FILENO ? errors : output) = source;
    }
    const Outcome outcome = builtin.run(*this, arguments);
    write_all(output, outcome.output);
    write_all(errors, outcome.errors);
    return outcome.status;
}

Result<pid_t> Session::start(const std::vector<std::string>& words, const Job& job, bool is_background,
                             std::vector<std::pair<int, int>> moves) {
    // A tool is this program by another name, whether or not there is a link to it.
    const bool is_tool = find_tool(words[0]) != nullptr;
    const bool has_control = options_.terminal >= 0;
    if (options_.control >= 0 && (words[0] == "svc" || words[0] == "sched")) {
        moves.emplace_back(options_.control, options_.control);  // nobody else inherits it
    }
    return start_process({.path = is_tool ? options_.self : words[0],
                          .arguments = words,
                          .environment = environment(),
                          .moves = std::move(moves),
                          .has_group = has_control,
                          .group = job.group,
                          .terminal = has_control && !is_background ? options_.terminal : -1});
}

int Session::run_pipeline(const Pipeline& pipeline) {
    const auto lookup = [this](std::string_view name) { return variable(name); };
    Job job{.text = pipeline.text, .processes = {}};
    int status = kSuccess;
    int input = -1;  // the reading end of the pipe from the one before
    for (std::size_t i = 0; i < pipeline.commands.size(); ++i) {
        const Command& command = pipeline.commands[i];
        const bool is_last = i + 1 == pipeline.commands.size();
        const std::vector<std::string> words = expand(command.words, lookup);
        const auto builtin =
            words.empty() ? builtins().end() : std::ranges::find(builtins(), words[0], &Builtin::name);
        if (pipeline.commands.size() == 1 && builtin != builtins().end()) {
            return run_builtin(*builtin, command, std::span{words}.subspan(1));
        }
        if (pipeline.commands.size() == 1 && !words.empty() &&
            std::ranges::all_of(words, [](const auto& word) { return assignment_name(word).has_value(); })) {
            return assign(words);
        }
        Files files;
        std::vector<std::pair<int, int>> moves;
        if (input >= 0) {
            moves.emplace_back(files.keep(std::exchange(input, -1)), STDIN_FILENO);
        }
        if (!is_last) {
            int ends[2];
            if (::pipe2(ends, O_CLOEXEC) != 0) {
                complain(std::string{"a pipe: "} + std::strerror(errno));
                status = kFailure;
                break;
            }
            input = ends[0];
            moves.emplace_back(files.keep(ends[1]), STDOUT_FILENO);
        }
        if (!open_redirects(command, files, moves)) {
            status = kFailure;
            continue;
        }
        if (words.empty()) {
            continue;  // redirections alone: the files are there now
        }
        const auto pid = start(words, job, pipeline.is_background, std::move(moves));
        if (!pid.ok()) {
            const bool is_missing = pid.error() == Error::NoEntry;
            complain(words[0] + ": " + (is_missing ? "command not found" : describe(pid.error())));
            status = is_missing ? kNotFound : kCannotExecute;
            continue;
        }
        status = kSuccess;
        if (options_.terminal >= 0 && job.group == 0) {
            job.group = *pid;
        }
        job.processes.push_back({.pid = *pid});
    }
    if (input >= 0) {
        ::close(input);
    }
    if (job.processes.empty()) {
        give_terminal(0);  // one that could not become a program has taken it
        return status;
    }
    if (!pipeline.is_background) {
        const int waited = wait_for(std::move(job));
        return status != kSuccess ? status : waited;
    }
    last_background_ = job.processes.back().pid;
    keep(std::move(job));
    if (options_.terminal >= 0) {
        write_all(STDERR_FILENO,
                  user::format("[%d] %d\n", jobs_.back().number, static_cast<int>(last_background_)));
    }
    return kSuccess;
}

int Session::wait_for(Job job) {
    give_terminal(job.group);
    const int options = options_.terminal >= 0 ? WUNTRACED : 0;
    while (!job.has_ended() && !job.is_stopped()) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, options);
        if (pid < 0 && errno != EINTR) {
            break;  // nobody is left
        }
        if (pid > 0 && !job.note(pid, status)) {
            std::ranges::any_of(jobs_, [&](Job& other) { return other.note(pid, status); });
        }
    }
    give_terminal(0);
    const int status = job.exit_status();
    if (job.is_stopped()) {
        keep(std::move(job));
        write_all(STDERR_FILENO, '\n' + job_line(jobs_.back()));
    } else if (options_.terminal >= 0) {
        tell_end(job);
    }
    return status;
}

void Session::keep(Job job) {
    if (job.number == 0) {
        job.number = 1;
        while (std::ranges::find(jobs_, job.number, &Job::number) != jobs_.end()) {
            ++job.number;
        }
    }
    jobs_.push_back(std::move(job));
}

std::deque<Job>::iterator Session::find_job(Arguments arguments) {
    take_changes();
    std::erase_if(jobs_, &Job::has_ended);
    if (arguments.empty()) {
        return jobs_.empty() ? jobs_.end() : jobs_.end() - 1;
    }
    const std::string wanted = arguments[0].substr(arguments[0].starts_with('%') ? 1 : 0);
    return std::ranges::find_if(jobs_, [&](const Job& job) { return std::to_string(job.number) == wanted; });
}

int Session::continue_job(Arguments arguments, bool in_foreground, std::string& problem) {
    const auto found = find_job(arguments);
    if (options_.terminal < 0 || found == jobs_.end()) {
        problem = options_.terminal < 0 ? "there is no terminal" : "no such job";
        return kFailure;
    }
    for (JobProcess& process : found->processes) {
        process.is_stopped = false;
    }
    if (in_foreground) {
        give_terminal(found->group);  // before it is told: keys that are struck then are the job's
    }
    write_all(STDERR_FILENO, found->text + (in_foreground ? "\n" : " &\n"));
    if (!in_foreground) {
        ::kill(-found->group, SIGCONT);
        return kSuccess;
    }
    Job job = std::move(*found);
    jobs_.erase(found);
    ::kill(-job.group, SIGCONT);
    return wait_for(std::move(job));
}

void Session::take_changes() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        std::ranges::any_of(jobs_, [&](Job& job) { return job.note(pid, status); });
    }
}

void Session::report_jobs() {
    take_changes();
    for (const Job& job : jobs_) {
        if (job.has_ended()) {
            write_all(STDERR_FILENO, job_line(job));
        }
    }
    std::erase_if(jobs_, &Job::has_ended);
}

void Session::give_terminal(pid_t group) const {
    if (options_.terminal >= 0) {
        static_cast<void>(::tcsetpgrp(options_.terminal, group == 0 ? ::getpgrp() : group));
    }
}

std::vector<std::string> Session::environment() const {
    std::vector<std::string> all;
    for (const auto& [name, value] : variables_) {
        all.push_back(name + '=' + value);
    }
    return all;
}

}  // namespace shell
