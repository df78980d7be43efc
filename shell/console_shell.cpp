// SPDX-License-Identifier: MIT
#include "console_shell.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "line_editor.hpp"
#include "neuron_system.hpp"
#include "session.hpp"

namespace shell {
namespace {

constexpr int kTerminal = STDIN_FILENO;

void put(std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return;
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
}

// Becomes the leader of a session that has the terminal, and the terminal's foreground. False: it is
// somebody else's, and jobs cannot be controlled.
bool take_terminal() {
    for (const int signal : {SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU}) {
        std::signal(signal, SIG_IGN);
    }
    static_cast<void>(::setsid());  // one that is started by execd leads one already
    constexpr int kFromAnother = 1;
    static_cast<void>(::ioctl(kTerminal, TIOCSCTTY, kFromAnother));
    if (::tcgetsid(kTerminal) != ::getsid(0)) {
        return false;
    }
    static_cast<void>(::setpgid(0, 0));
    return ::tcsetpgrp(kTerminal, ::getpgrp()) == 0;
}

// Keys one by one, unchanged, as long as it lives.
class RawKeys {
  public:
    explicit RawKeys(const termios& ordinary) : ordinary_{ordinary} {
        termios raw = ordinary;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
        raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        static_cast<void>(::tcsetattr(kTerminal, TCSANOW, &raw));
    }
    ~RawKeys() { static_cast<void>(::tcsetattr(kTerminal, TCSANOW, &ordinary_)); }
    RawKeys(const RawKeys&) = delete;
    RawKeys& operator=(const RawKeys&) = delete;

  private:
    const termios& ordinary_;
};

// execd's channel is passed on to the tools that use it only.
int take_control() {
    const auto channel = control_channel();
    if (channel) {
        static_cast<void>(::fcntl(*channel, F_SETFD, FD_CLOEXEC));
    }
    return channel.value_or(-1);
}

unsigned screen_columns() {
    winsize size{};
    return ::ioctl(kTerminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// Files whose path begins like this, directories with a '/'.
std::vector<std::string> paths_like(const std::string& begin) {
    const std::size_t name_at = begin.rfind('/') + 1;  // npos + 1 is 0
    const std::string directory = begin.substr(0, name_at);
    const std::string name = begin.substr(name_at);
    std::vector<std::string> paths;
    DIR* const open = ::opendir(directory.empty() ? "." : directory.c_str());
    if (open == nullptr) {
        return paths;
    }
    while (const dirent* const entry = ::readdir(open)) {
        const std::string found = entry->d_name;
        const bool is_hidden = found.starts_with('.') && !name.starts_with('.');
        if (found.starts_with(name) && !is_hidden) {
            paths.push_back(directory + found + (entry->d_type == DT_DIR ? "/" : ""));
        }
    }
    ::closedir(open);
    return paths;
}

// Commands for a line's first word and behind ; | &, files elsewhere.
Completion complete(std::string_view line) {
    const std::size_t from = line.find_last_of(" \t;|&<>=") + 1;  // npos + 1 is 0
    const std::string word{line.substr(from)};
    const std::size_t last = line.substr(0, from).find_last_not_of(" \t");
    const bool is_command = last == std::string_view::npos || std::string_view{";|&"}.contains(line[last]);
    Completion completion{.from = from, .candidates = {}};
    if (!is_command || word.contains('/')) {
        completion.candidates = paths_like(word);
    } else {
        completion.candidates = Session::commands_like(word);
        for (const std::string& path : paths_like("/bin/" + word)) {
            completion.candidates.push_back(path.substr(std::strlen("/bin/")));
        }
    }
    std::ranges::sort(completion.candidates);
    const auto [first, end] = std::ranges::unique(completion.candidates);
    completion.candidates.erase(first, end);
    return completion;
}

// nullopt: the end of input. An interrupted line is an empty one.
std::optional<std::string> read_edited(LineEditor& editor, const termios& ordinary) {
    const RawKeys raw{ordinary};
    put(editor.begin(screen_columns()));
    for (;;) {
        char key = 0;
        const ssize_t count = ::read(kTerminal, &key, 1);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return std::nullopt;
        }
        const LineEditor::Step step = editor.feed(key);
        put(step.output);
        switch (step.event) {
            case LineEditor::Event::None:
                break;
            case LineEditor::Event::Line:
                return editor.line();
            case LineEditor::Event::Interrupt:
                return std::string{};
            case LineEditor::Event::EndOfFile:
                return std::nullopt;
        }
    }
}

int run_on_terminal(const std::string& self, const std::vector<std::string>& environment) {
    const bool has_control = take_terminal();
    termios ordinary{};
    static_cast<void>(::tcgetattr(kTerminal, &ordinary));
    Session session{{.self = self,
                     .environment = environment,
                     .control = take_control(),
                     .terminal = has_control ? kTerminal : -1}};
    const std::string prompt = session.variable("PS1");
    LineEditor editor{prompt.empty() ? "neuron# " : prompt, complete};
    put("NEURON's shell. `help` lists what there is.\n");
    while (!session.exit_status()) {
        session.report_jobs();
        const auto line = read_edited(editor, ordinary);
        if (!line) {
            break;
        }
        editor.remember(*line);
        session.run_line(*line);
    }
    return session.exit_status().value_or(session.last_status());
}

// The lines of a file that is no terminal.
int run_lines(Session& session, std::FILE* file) {
    char* line = nullptr;
    std::size_t room = 0;
    ssize_t length = 0;
    while (!session.exit_status() && (length = ::getline(&line, &room, file)) >= 0) {
        std::string_view text{line, static_cast<std::size_t>(length)};
        text.remove_suffix(text.ends_with('\n') ? 1 : 0);
        session.run_line(text);
    }
    std::free(line);
    return session.exit_status().value_or(session.last_status());
}

}  // namespace

int run_shell(const std::string& self, const std::vector<std::string>& environment) {
    if (::isatty(kTerminal) == 1) {
        return run_on_terminal(self, environment);
    }
    Session session{{.self = self, .environment = environment, .control = take_control()}};
    return run_lines(session, stdin);
}

int run_shell_line(const std::string& self, const std::vector<std::string>& environment,
                   const std::string& line) {
    Session session{{.self = self, .environment = environment, .control = take_control()}};
    session.run_line(line);
    return session.exit_status().value_or(session.last_status());
}

int run_shell_file(const std::string& self, const std::vector<std::string>& environment,
                   const std::string& path) {
    std::FILE* const file = std::fopen(path.c_str(), "re");
    if (file == nullptr) {
        static_cast<void>(std::fprintf(stderr, "nsh: %s: %s\n", path.c_str(), std::strerror(errno)));
        return 127;
    }
    Session session{{.self = self, .environment = environment, .control = take_control()}};
    const int status = run_lines(session, file);
    static_cast<void>(std::fclose(file));
    return status;
}

}  // namespace shell
