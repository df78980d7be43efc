// SPDX-License-Identifier: MIT
// execd's ends of the control channels: one stream socket pair per service that has one. What comes in is
// lines of unknown origin: bounded, and a service that breaks the rules loses its channel.
#pragma once

#include <poll.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace execd {

// A request, its newline included.
inline constexpr std::size_t kMaxRequestBytes = 512;

// For one thread. Owns the descriptors.
class ControlChannels {
  public:
    ControlChannels() = default;
    ~ControlChannels();
    ControlChannels(const ControlChannels&) = delete;
    ControlChannels& operator=(const ControlChannels&) = delete;

    // The service's end of a new channel, for its spawn; -1: there is none to be had. The caller closes it.
    [[nodiscard]] int open();
    // Whose the channel that open() made last is; without: it is given up.
    void assign(std::optional<std::int32_t> pid);
    void close(std::int32_t pid);

    [[nodiscard]] bool empty() const { return channels_.empty(); }
    [[nodiscard]] std::vector<pollfd> to_poll() const;
    // The next whole line of any of them, without its newline, and whose it is. Does not block.
    [[nodiscard]] std::optional<std::pair<std::int32_t, std::string>> next();
    // Sent without blocking: one that does not read its answers loses its channel.
    void answer(std::int32_t pid, const std::string& text);

  private:
    struct Channel {
        int descriptor{-1};
        std::string received{};  // up to the next newline, or beyond it
    };
    // Whether it is still good.
    [[nodiscard]] static bool receive(Channel& channel);

    std::map<std::int32_t, Channel> channels_;
    int unassigned_{-1};
    std::int32_t last_asked_{0};  // whose turn it was, so that nobody keeps the others waiting
};

}  // namespace execd
