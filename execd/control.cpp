// SPDX-License-Identifier: MIT
// What the holder of a control channel may ask: the part of Supervisor that answers.
#include "control.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "explain.hpp"
#include "supervisor.hpp"

namespace execd {
namespace {

constexpr std::size_t kMaxIdDigits = 10;
constexpr std::size_t kMaxWords = 3;

struct Request {
    std::string id{"0"};
    std::vector<std::string> words;  // what to do, and with which service
};

// nullopt: not of the form of a request; `id` may be known all the same.
std::optional<Request> parse_request(std::string_view line, std::string& id) {
    Request request;
    while (!line.empty()) {
        const std::string_view word = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(line.size(), word.size() + 1));
        const bool is_printable =
            std::ranges::all_of(word, [](char letter) { return letter > ' ' && letter <= '~'; });
        if (word.empty() || !is_printable || request.words.size() == kMaxWords) {
            return std::nullopt;
        }
        request.words.emplace_back(word);
    }
    if (request.words.size() < 2) {
        return std::nullopt;
    }
    request.id = request.words.front();
    request.words.erase(request.words.begin());
    if (request.id.size() > kMaxIdDigits ||
        !std::ranges::all_of(request.id, [](char digit) { return digit >= '0' && digit <= '9'; })) {
        return std::nullopt;
    }
    id = request.id;
    return request;
}

}  // namespace

std::string to_message(std::string_view id, const ControlAnswer& answer) {
    std::string body = answer.text;
    if (body.size() > kMaxAnswerBytes) {
        constexpr std::string_view kCut = "(the rest is left out)\n";
        body.resize(kMaxAnswerBytes - kCut.size());
        body.resize(body.rfind('\n') + 1);  // npos + 1 is 0
        body += kCut;
    }
    return std::string{id} + ' ' + std::to_string(answer.status) + ' ' + std::to_string(body.size()) + '\n' +
           body;
}

std::string Supervisor::control(std::string_view line, const std::function<void()>& reload) {
    std::string id = "0";
    const auto request = parse_request(line, id);
    if (!request) {
        return to_message(id, {.status = kControlMisused, .text = "not a request\n"});
    }
    return to_message(id, obey(request->words, reload));
}

ControlAnswer Supervisor::obey(const std::vector<std::string>& words, const std::function<void()>& reload) {
    const std::string& verb = words[0];
    if (verb == "reload" && words.size() == 1) {
        return reload_and_tell(reload);
    }
    if (verb == "status" && words.size() == 1) {
        ControlAnswer answer;
        for (const Slot& slot : slots_) {
            answer.text += status_line(slot);
        }
        return answer;
    }
    if (words.size() != 2) {
        return {.status = kControlMisused,
                .text = "'" + verb + "': not a request, or not with that many words\n"};
    }
    Slot* const slot = find_slot(words[1]);
    if (slot == nullptr) {
        return {.status = kControlUnknown, .text = "no service '" + words[1] + "'\n"};
    }
    if (verb == "status") {
        return {.status = slot->state == State::Running ? kControlDone : kControlNotRunning,
                .text = status_line(*slot)};
    }
    if (verb == "logs") {
        return logs_of(*slot);
    }
    if (verb == "explain") {
        return explain(*slot);
    }
    if (verb == "start") {
        return start_by_hand(*slot);
    }
    if (verb == "stop") {
        return stop_by_hand(*slot, false);
    }
    if (verb == "restart") {
        return slot->state == State::Running ? stop_by_hand(*slot, true) : start_by_hand(*slot);
    }
    return {.status = kControlMisused, .text = "'" + verb + "': not a request\n"};
}

// NAME STATE PID STARTS PROGRAM LAST-END, separated by tabs; "-" for what there is not.
std::string Supervisor::status_line(const Slot& slot) const {
    constexpr std::array<std::string_view, 4> kStates{"waiting", "running", "paused", "ended"};
    std::string state{kStates[static_cast<std::size_t>(slot.state)]};
    if (slot.state == State::Running && slot.end_wanted != EndWanted::No) {
        state = "stopping";
    } else if (slot.state == State::Ended && slot.end_wanted != EndWanted::No) {
        state = "stopped";
    }
    const std::string& program = slot.planned.service.program;
    return slot.planned.service.name + '\t' + state + '\t' +
           (slot.state == State::Running ? std::to_string(slot.pid) : "-") + '\t' +
           std::to_string(slot.starts) + '\t' + (program.empty() ? "-" : program) + '\t' +
           (slot.last_end.empty() ? "-" : slot.last_end) + '\n';
}

ControlAnswer Supervisor::logs_of(const Slot& slot) const {
    const std::string& service = slot.planned.service.name;
    std::vector<LogLine> lines = lines_of(kernel_->output(service));
    if (const auto kept = kept_lines_.find(service); kept != kept_lines_.end()) {
        lines.insert(lines.begin(), kept->second.begin(), kept->second.end());
    }
    return {.text = to_text(lines, kMaxAnswerBytes)};
}

// KEY VALUE FILE:LINE, separated by tabs; "-" for what is built in.
ControlAnswer Supervisor::explain(const Slot& slot) {
    ControlAnswer answer;
    for (const ExplainedValue& value : explained_values(slot.planned, std::nullopt)) {
        answer.text +=
            value.key + '\t' + value.text + '\t' +
            (value.origin.file.empty() ? "-"
                                       : value.origin.file + ':' + std::to_string(value.origin.at.line)) +
            '\n';
    }
    return answer;
}

ControlAnswer Supervisor::reload_and_tell(const std::function<void()>& reload) {
    ControlAnswer answer;
    const LineSink to_console = log_;
    log_ = [&](std::string_view line) {
        to_console(line);
        answer.text += std::string{line} + '\n';
    };
    reload();
    log_ = to_console;
    // The last line sums it up.
    if (!answer.text.contains("execd: reloaded ")) {
        answer.status = kControlRefused;
    }
    return answer;
}

ControlAnswer Supervisor::start_by_hand(Slot& slot) {
    if (slot.state == State::Running) {
        return {.status = kControlRefused,
                .text = slot.planned.service.name +
                        (slot.end_wanted == EndWanted::No ? " runs already\n" : " is being stopped\n")};
    }
    if (slot.planned.service.program.empty()) {
        return {.status = kControlRefused, .text = slot.planned.service.name + " has no program\n"};
    }
    slot.end_wanted = EndWanted::No;
    slot.backoff = {};
    finish_logged_ = false;
    log_service(slot, "is started by hand");
    start(slot);
    start_ready();
    return slot.state == State::Running
               ? ControlAnswer{}
               : ControlAnswer{.status = kControlRefused,
                               .text = slot.planned.service.name + " did not start\n"};
}

ControlAnswer Supervisor::stop_by_hand(Slot& slot, bool starts_again) {
    if (slot.state != State::Running) {
        slot.end_wanted = EndWanted::Yes;
        slot.has_ended = true;
        slot.state = State::Ended;
        log_service(slot, "is stopped by hand");
        start_ready();
        return {};
    }
    log_service(slot, starts_again ? "is restarted by hand" : "is stopped by hand");
    slot.end_wanted = starts_again ? EndWanted::ToStartAgain : EndWanted::Yes;
    slot.kill_at = kernel_->now() + kStopPatience;
    kernel_->send_signal(slot.pid, SIGTERM);
    return {};
}

void Supervisor::kill_overdue() {
    const Instant now = kernel_->now();
    for (Slot& slot : slots_) {
        if (slot.state == State::Running && slot.kill_at && *slot.kill_at <= now) {
            slot.kill_at.reset();
            log_service(slot, "does not stop: killed", Level::Warn);
            kernel_->send_signal(slot.pid, SIGKILL);
        }
    }
}

void Supervisor::keep_line(const std::string& service, const std::string& what, Level level) {
    std::deque<LogLine>& lines = kept_lines_[service];
    lines.push_back({.at = kernel_->now(), .level = level, .text = what});
    if (lines.size() > kMaxKeptLines) {
        lines.pop_front();
    }
}

}  // namespace execd
