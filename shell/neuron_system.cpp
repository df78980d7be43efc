// SPDX-License-Identifier: MIT
#include "neuron_system.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "clock.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "notation.hpp"

namespace shell {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;
// execd answers at once; one that does not is not there.
constexpr int kAnswerTimeoutMs = 10'000;

Error last_error() {
    return static_cast<Error>(errno);
}

// That many bytes, however they come.
Result<std::string> receive(int channel, std::size_t bytes) {
    std::string text(bytes, '\0');
    for (std::size_t got = 0; got < bytes;) {
        pollfd input{.fd = channel, .events = POLLIN, .revents = 0};
        if (::poll(&input, 1, kAnswerTimeoutMs) == 0) {
            return Error::TimedOut;
        }
        const ssize_t count = ::read(channel, text.data() + got, bytes - got);
        if (count == 0) {
            return Error::BrokenPipe;
        }
        if (count < 0 && errno != EINTR) {
            return last_error();
        }
        got += count < 0 ? 0 : static_cast<std::size_t>(count);
    }
    return text;
}

}  // namespace

std::optional<int> control_channel() {
    const char* const said = std::getenv("EXECD_CONTROL");
    if (said == nullptr) {
        return std::nullopt;
    }
    const auto number = parse_number(said, 3, 1023);
    if (!number || ::fcntl(static_cast<int>(*number), F_GETFD) < 0) {
        return std::nullopt;
    }
    return static_cast<int>(*number);
}

SingleKeys::SingleKeys() {
    has_terminal_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (has_terminal_) {
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        static_cast<void>(::tcsetattr(STDIN_FILENO, TCSANOW, &raw));
    }
}

SingleKeys::~SingleKeys() {
    if (has_terminal_) {
        static_cast<void>(::tcsetattr(STDIN_FILENO, TCSANOW, &before_));
    }
}

Result<nexus_abi::abi_info> NeuronSystem::info() {
    return nexus_abi::info();
}

Result<std::vector<nexus_abi::sched_snapshot_entry>> NeuronSystem::tasks() {
    std::vector<nexus_abi::sched_snapshot_entry> all;
    std::array<nexus_abi::sched_snapshot_entry, 16> part{};
    std::uint64_t cursor = 0;
    while (const std::size_t count = TRY(nexus_abi::sched::snapshot(part, cursor))) {
        all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return all;
}

Result<nexus_abi::sched_attr> NeuronSystem::attributes(std::int32_t pid) {
    return nexus_abi::sched::get_attr(pid);
}

Result<void> NeuronSystem::change(std::int32_t pid, const nexus_abi::sched_attr& attributes) {
    return nexus_abi::sched::set_attr(pid, attributes);
}

Result<std::uint64_t> NeuronSystem::set_affinity(std::int32_t pid, std::uint64_t mask) {
    return nexus_abi::sched::set_affinity(pid, mask);
}

Result<nexus_abi::sched_stat> NeuronSystem::statistics(std::int32_t pid) {
    return nexus_abi::sched::get_stat(pid);
}

Result<nexus_abi::sched_attr> NeuronSystem::limits(std::int32_t pid) {
    return nexus_abi::sched::get_limits(pid);
}

Result<std::vector<nexus_abi::audit_record>> NeuronSystem::audited(std::uint64_t& position) {
    std::vector<nexus_abi::audit_record> all;
    std::array<nexus_abi::audit_record, 16> part{};
    for (;;) {
        const std::uint64_t count = TRY(nexus_abi::call::nexus_audit_read(
            nexus_abi::Out<nexus_abi::audit_record>{part.data()}, std::uint64_t{part.size()},
            nexus_abi::InOut<std::uint64_t>{&position}));
        if (count == 0) {
            return all;
        }
        all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
    }
}

Result<nexus_abi::sched_hartstat> NeuronSystem::hart(std::uint32_t cpu) {
    return nexus_abi::sched::hart_stat(cpu);
}

Result<std::string> NeuronSystem::read_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return last_error();
    }
    std::string text;
    std::array<char, 4096> part{};
    ssize_t count = 0;
    while (text.size() < kMaxFileBytes && (count = ::read(file, part.data(), part.size())) > 0) {
        text.append(part.data(), static_cast<std::size_t>(count));
    }
    const Error error = last_error();
    ::close(file);
    return count < 0 ? Result<std::string>{error} : text;
}

Result<std::string> NeuronSystem::kernel_log() {
    constexpr int kReadAll = 3;  // syslog(2)
    constexpr int kSizeBuffer = 10;
    const int size = ::klogctl(kSizeBuffer, nullptr, 0);
    if (size < 0) {
        return last_error();
    }
    std::string text(static_cast<std::size_t>(size), '\0');
    const int count = ::klogctl(kReadAll, text.data(), size);
    if (count < 0) {
        return last_error();
    }
    text.resize(static_cast<std::size_t>(count));
    return text;
}

Result<void> NeuronSystem::send_signal(std::int32_t pid, int signal) {
    return ::kill(pid, signal) == 0 ? Result<void>{} : last_error();
}

Result<System::Answer> NeuronSystem::ask_execd(const std::string& request) {
    const auto channel = control_channel();
    if (!channel) {
        return Error::NotSupported;
    }
    const std::string id = std::to_string(::getpid());
    const std::string line = id + ' ' + request + '\n';
    if (::send(*channel, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
        return errno == EPIPE ? Error::BrokenPipe : Error::NotSupported;
    }
    std::string header;
    while (!header.ends_with('\n')) {
        header += TRY(receive(*channel, 1));
    }
    // "ID STATUS BYTES"
    header.pop_back();
    const std::size_t first = header.find(' ');
    const std::size_t second = header.find(' ', first + 1);
    const auto status = parse_number(header.substr(first + 1, second - first - 1), 0, 255);
    const auto bytes = parse_number(header.substr(second + 1), 0, 1 << 20);
    if (second == std::string::npos || !status || !bytes) {
        return Error::Io;
    }
    Answer answer{.status = static_cast<int>(*status),
                  .text = TRY(receive(*channel, static_cast<std::size_t>(*bytes)))};
    return header.substr(0, first) == id ? Result<Answer>{answer} : Error::Busy;
}

Error NeuronSystem::switch_power(Power power) {
    static_cast<void>(::reboot(power == Power::Off ? RB_POWER_OFF : RB_AUTOBOOT));
    return last_error();
}

Error NeuronSystem::execute(const std::vector<std::string>& arguments) {
    std::vector<std::string> copies = arguments;
    std::vector<char*> pointers;
    for (std::string& copy : copies) {
        pointers.push_back(copy.data());
    }
    pointers.push_back(nullptr);
    ::execvp(pointers[0], pointers.data());
    return last_error();
}

void NeuronSystem::show(std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return;
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
}

std::optional<char> NeuronSystem::wait_for_key(Duration time) {
    if (!keys_) {
        keys_.emplace();
    }
    if (!keys_->has_terminal()) {
        pause(time);
        return std::nullopt;
    }
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    char key = 0;
    if (::poll(&input, 1, static_cast<int>(milliseconds)) > 0 && ::read(STDIN_FILENO, &key, 1) == 1) {
        return key;
    }
    return std::nullopt;
}

void NeuronSystem::pause(Duration time) {
    user::sleep_until(user::now() + time);
}

System::Screen NeuronSystem::screen() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 2 || size.ws_col == 0) {
        return {};
    }
    return {.rows = size.ws_row, .columns = size.ws_col};
}

Duration NeuronSystem::now() {
    return user::now().time_since_epoch();
}

std::chrono::seconds NeuronSystem::wall_time() {
    return std::chrono::seconds{::time(nullptr)};
}

}  // namespace shell
