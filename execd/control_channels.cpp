// SPDX-License-Identifier: MIT
#include "control_channels.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace execd {

ControlChannels::~ControlChannels() {
    assign(std::nullopt);
    for (const auto& [pid, channel] : channels_) {
        ::close(channel.descriptor);
    }
}

int ControlChannels::open() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return -1;
    }
    unassigned_ = ends[0];
    return ends[1];
}

void ControlChannels::assign(std::optional<std::int32_t> pid) {
    if (unassigned_ < 0) {
        return;
    }
    if (pid) {
        channels_[*pid] = {.descriptor = unassigned_};
    } else {
        ::close(unassigned_);
    }
    unassigned_ = -1;
}

void ControlChannels::close(std::int32_t pid) {
    if (const auto found = channels_.find(pid); found != channels_.end()) {
        ::close(found->second.descriptor);
        channels_.erase(found);
    }
}

std::vector<pollfd> ControlChannels::to_poll() const {
    std::vector<pollfd> all;
    for (const auto& [pid, channel] : channels_) {
        all.push_back({.fd = channel.descriptor, .events = POLLIN, .revents = 0});
    }
    return all;
}

bool ControlChannels::receive(Channel& channel) {
    std::array<char, kMaxRequestBytes> bytes{};
    const ssize_t count = ::recv(channel.descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count > 0) {
        channel.received.append(bytes.data(), static_cast<std::size_t>(count));
    }
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

std::optional<std::pair<std::int32_t, std::string>> ControlChannels::next() {
    // Once round, beginning behind the one that was asked last.
    auto at = channels_.upper_bound(last_asked_);
    for (std::size_t left = channels_.size(); left > 0; --left) {
        at = at == channels_.end() ? channels_.begin() : at;
        const auto [pid, channel] = std::pair{at->first, &at->second};
        ++at;
        std::size_t end = channel->received.find('\n');
        bool is_good = true;
        if (end == std::string::npos) {
            is_good = receive(*channel);
            end = channel->received.find('\n');
        }
        if (end < kMaxRequestBytes) {
            std::string line = channel->received.substr(0, end);
            channel->received.erase(0, end + 1);
            last_asked_ = pid;
            return std::pair{pid, std::move(line)};
        }
        if (!is_good || channel->received.size() >= kMaxRequestBytes) {
            close(pid);
        }
    }
    return std::nullopt;
}

void ControlChannels::answer(std::int32_t pid, const std::string& text) {
    const auto found = channels_.find(pid);
    if (found == channels_.end()) {
        return;
    }
    const ssize_t sent =
        ::send(found->second.descriptor, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) {
        close(pid);
    }
}

}  // namespace execd
