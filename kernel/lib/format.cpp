// SPDX-License-Identifier: MIT
#include "lib/format.hpp"

#include <algorithm>
#include <iterator>

namespace kernel {

namespace {

constexpr std::string_view kEllipsis = "...";
constexpr std::size_t kMaxDigits = 20;  // of 2^64 - 1 in decimal

}  // namespace

LineWriter& LineWriter::operator<<(std::string_view text) {
    if (truncated_) {
        return *this;
    }
    const std::size_t fitting = std::min(text.size(), buffer_.size() - used_);
    std::copy_n(text.begin(), fitting, buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ += fitting;
    if (fitting < text.size()) {
        truncated_ = true;
        const std::size_t dots = std::min(kEllipsis.size(), buffer_.size());
        std::copy_n(kEllipsis.begin(), dots, buffer_.end() - static_cast<std::ptrdiff_t>(dots));
    }
    return *this;
}

void LineWriter::append_decimal(std::uint64_t value, unsigned width, char fill) {
    std::array<char, kMaxDigits> digits;
    auto first = digits.end();
    do {
        *--first = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    const auto count = static_cast<std::size_t>(digits.end() - first);
    for (std::size_t column = count; column < width; ++column) {
        *this << fill;
    }
    *this << std::string_view{&*first, count};
}

void LineWriter::append_signed(std::int64_t value) {
    auto magnitude = static_cast<std::uint64_t>(value);
    if (value < 0) {
        *this << '-';
        magnitude = 0 - magnitude;
    }
    append_decimal(magnitude, 1, '0');
}

LineWriter& LineWriter::operator<<(Hex number) {
    std::array<char, 16> digits;
    auto first = digits.end();
    const unsigned wanted = std::clamp(number.digits, 1U, 16U);
    for (unsigned count = 0; count < wanted || number.value != 0; ++count) {
        *--first = "0123456789abcdef"[number.value % 16];
        number.value /= 16;
    }
    return *this << "0x" << std::string_view{&*first, static_cast<std::size_t>(digits.end() - first)};
}

LineWriter& LineWriter::operator<<(Padded number) {
    append_decimal(number.value, number.width, number.fill);
    return *this;
}

LineWriter& LineWriter::operator<<(ByteCount bytes) {
    constexpr std::array<std::string_view, 4> kUnits{"B", "KiB", "MiB", "GiB"};
    std::size_t unit = 0;
    while (unit + 1 < kUnits.size() && bytes.value != 0 && bytes.value % 1024 == 0) {
        bytes.value /= 1024;
        ++unit;
    }
    return *this << bytes.value << kUnits[unit];
}

LineWriter& LineWriter::operator<<(Duration duration) {
    auto magnitude = static_cast<std::uint64_t>(duration.ns());
    if (duration.ns() < 0) {
        *this << '-';
        magnitude = 0 - magnitude;
    }
    if (magnitude < 1'000) {
        return *this << magnitude << "ns";
    }
    struct Unit {
        std::uint64_t thousandth_ns;
        std::string_view name;
    };
    constexpr std::array<Unit, 3> kUnits{{{1, "us"}, {1'000, "ms"}, {1'000'000, "s"}}};
    const Unit& unit = magnitude < 1'000'000 ? kUnits[0] : magnitude < 1'000'000'000 ? kUnits[1] : kUnits[2];
    const std::uint64_t thousandths = magnitude / unit.thousandth_ns;
    return *this << thousandths / 1'000 << '.' << padded(thousandths % 1'000, 3, '0') << unit.name;
}

LineWriter& LineWriter::operator<<(Instant instant) {
    if (instant.is_never()) {
        return *this << "never";
    }
    const std::int64_t microseconds = instant.ns() / 1'000;
    if (microseconds < 0) {
        *this << '-';
    }
    const auto magnitude = static_cast<std::uint64_t>(microseconds < 0 ? -microseconds : microseconds);
    return *this << magnitude / 1'000'000 << '.' << padded(magnitude % 1'000'000, 6, '0');
}

}  // namespace kernel
