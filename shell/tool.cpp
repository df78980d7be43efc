// SPDX-License-Identifier: MIT
#include "tool.hpp"

#include <algorithm>

#include "tools.hpp"

namespace shell {

Outcome run_tool(const Tool& tool, System& system, Arguments arguments) {
    // Behind "--" and behind the program that a tool runs it is another's.
    if (!arguments.empty() && (arguments[0] == "--help" || (arguments[0] == "-h" && arguments.size() == 1))) {
        return {.output = std::string{tool.usage} + '\n'};
    }
    return tool.run(system, arguments);
}

const Tool* find_tool(std::string_view name) {
    const auto tools = all_tools();
    const auto found = std::ranges::find(tools, name, &Tool::name);
    return found == tools.end() ? nullptr : &*found;
}

Outcome fail(std::string_view tool, std::string_view what, int status) {
    return {.status = status, .errors = std::string{tool} + ": " + std::string{what} + '\n'};
}

Outcome fail(std::string_view tool, std::string_view what, Error error) {
    return fail(tool, std::string{what} + ": " + describe(error));
}

Outcome misuse(std::string_view tool, std::string_view what) {
    Outcome outcome = fail(tool, what, kUsageError);
    if (const Tool* const known = find_tool(tool); known != nullptr) {
        outcome.errors += std::string{known->usage} + '\n';
    }
    return outcome;
}

std::optional<std::string> OptionReader::next(bool stops_at_operand) {
    if (attached_ && !is_long_ && !attached_->empty()) {
        // More of a cluster.
        std::string option{"-"};
        option += attached_->front();
        attached_->erase(0, 1);
        return option;
    }
    attached_.reset();
    is_long_ = false;
    const auto take_rest = [this] {
        operands_.insert(operands_.end(), arguments_.begin() + static_cast<std::ptrdiff_t>(at_),
                         arguments_.end());
        at_ = arguments_.size();
    };
    while (at_ < arguments_.size()) {
        const std::string& argument = arguments_[at_];
        if (argument.size() < 2 || argument[0] != '-') {
            if (stops_at_operand) {
                take_rest();
                return std::nullopt;
            }
            operands_.push_back(argument);
            ++at_;
            continue;
        }
        ++at_;
        if (argument == "--") {
            take_rest();
            return std::nullopt;
        }
        if (argument.starts_with("--")) {
            const std::size_t equals = argument.find('=');
            if (equals != std::string::npos) {
                attached_ = argument.substr(equals + 1);
                is_long_ = true;
            }
            return argument.substr(0, equals);
        }
        attached_ = argument.substr(2);
        return argument.substr(0, 2);
    }
    return std::nullopt;
}

std::optional<std::string> OptionReader::value() {
    if (attached_ && (is_long_ || !attached_->empty())) {
        auto taken = std::move(attached_);
        attached_.reset();
        is_long_ = false;
        return taken;
    }
    attached_.reset();
    if (at_ < arguments_.size()) {
        return arguments_[at_++];
    }
    return std::nullopt;
}

PlainArguments read_plain(std::string_view tool, Arguments arguments) {
    PlainArguments plain;
    OptionReader options{arguments};
    while (const auto option = options.next()) {
        if (*option != "--json") {
            plain.wrong = misuse(tool, "'" + *option + "': no such option");
            return plain;
        }
        plain.is_json = true;
    }
    plain.operands = options.operands();
    return plain;
}

}  // namespace shell
