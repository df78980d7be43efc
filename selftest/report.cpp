// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>
#include <charconv>

#include "console.hpp"

namespace selftest {
namespace {

constexpr std::size_t kDigits = 7;

std::optional<std::uint64_t> decode_number(std::string_view digits) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

std::string encode_report(const Report& report) {
    return user::format("%c%07llx%07llx", static_cast<char>(report.state),
                        static_cast<unsigned long long>(std::min(report.first, kReportMax)),
                        static_cast<unsigned long long>(std::min(report.second, kReportMax)));
}

std::optional<Report> decode_report(std::string_view name) {
    if (name.size() != 1 + 2 * kDigits) {
        return std::nullopt;
    }
    const auto state = static_cast<WorkerState>(name.front());
    if (state != WorkerState::Ready && state != WorkerState::Partial && state != WorkerState::Done &&
        state != WorkerState::Late) {
        return std::nullopt;
    }
    const auto first = decode_number(name.substr(1, kDigits));
    const auto second = decode_number(name.substr(1 + kDigits));
    if (!first.has_value() || !second.has_value()) {
        return std::nullopt;
    }
    return Report{state, *first, *second};
}

}  // namespace selftest
