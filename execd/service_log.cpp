// SPDX-License-Identifier: MIT
#include "service_log.hpp"

#include <array>
#include <map>
#include <string_view>
#include <utility>

namespace execd {
namespace {

constexpr std::string_view kMark = "> ";

char shown(char byte) {
    return (byte >= ' ' && byte != '\x7f') || byte == '\t' || (static_cast<unsigned char>(byte) & 0x80U) != 0
               ? byte
               : '?';
}

// One descriptor's bytes.
class Joiner {
  public:
    Joiner(Level level, std::vector<LogLine>& lines) : level_{level}, lines_{lines} {}

    void add(const OutputPart& part) {
        for (const char byte : part.text) {
            if (line_.text.empty() && !is_open_) {
                line_ = {.at = part.at, .level = level_, .text = std::string{kMark}};
                is_open_ = true;
            }
            if (byte == '\n') {
                end();
            } else if (byte != '\r') {
                line_.text += shown(byte);
            }
        }
    }
    void end() {
        if (is_open_) {
            lines_.push_back(std::exchange(line_, {}));
            is_open_ = false;
        }
    }

  private:
    Level level_;
    std::vector<LogLine>& lines_;
    LogLine line_{};
    bool is_open_{false};
};

std::string to_string(const LogLine& line) {
    constexpr std::array<std::string_view, 4> kNames{"err", "warn", "notice", "info"};
    const auto since_boot =
        std::chrono::duration_cast<std::chrono::microseconds>(line.at.time_since_epoch()).count();
    std::string stamp = std::to_string(since_boot % 1'000'000);
    stamp.insert(0, 6 - stamp.size(), '0');
    return '[' + std::to_string(since_boot / 1'000'000) + '.' + stamp + "] " +
           std::string{kNames[static_cast<std::size_t>(line.level)]} + ": " + line.text + '\n';
}

}  // namespace

std::vector<LogLine> lines_of(std::span<const OutputPart> parts) {
    std::vector<LogLine> lines;
    Joiner output{Level::Info, lines};
    Joiner errors{Level::Err, lines};
    for (const OutputPart& part : parts) {
        if (part.has_gap) {
            output.end();
            errors.end();
            lines.push_back({.at = part.at, .level = Level::Notice, .text = "what it wrote before is gone"});
        }
        (part.is_error ? errors : output).add(part);
    }
    output.end();
    errors.end();
    return lines;
}

std::string to_text(std::span<const LogLine> lines, std::size_t max_bytes) {
    std::multimap<Instant, const LogLine*> by_time;  // those of the same time stay in order
    for (const LogLine& line : lines) {
        by_time.emplace(line.at, &line);
    }
    std::vector<std::string> texts;
    std::size_t bytes = 0;
    for (auto line = by_time.rbegin(); line != by_time.rend(); ++line) {
        std::string text = to_string(*line->second);
        bytes += text.size();
        if (bytes > max_bytes) {
            break;
        }
        texts.push_back(std::move(text));
    }
    std::string all;
    for (auto text = texts.rbegin(); text != texts.rend(); ++text) {
        all += *text;
    }
    return all;
}

}  // namespace execd
