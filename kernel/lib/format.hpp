// SPDX-License-Identifier: MIT
// Log lines without printf: values are appended with << to a buffer of fixed size, each type in the one form
// the kernel shows it in. A line that does not fit ends in "..." and says so through is_truncated().
//
//     Line<128> line;
//     line << "KINIT: cpu" << cpu << " online, mask " << mask << ", took " << (now - start);
//     console.write(line.text());
//
// Concurrency: a line belongs to its maker.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel {

// A number as 0x..., padded with zeros to at least `digits` hex digits (0..16).
struct Hex {
    std::uint64_t value;
    unsigned digits;
};
template <std::unsigned_integral T>
[[nodiscard]] constexpr Hex hex(T value, unsigned digits = 1) {
    return Hex{value, digits};
}

// A number or text right-aligned in `width` columns, filled with `fill` on the left.
struct Padded {
    std::uint64_t value;
    unsigned width;
    char fill;
};
[[nodiscard]] constexpr Padded padded(std::uint64_t value, unsigned width, char fill = ' ') {
    return Padded{value, width, fill};
}

// A number of bytes in the largest unit that keeps it whole: 128MiB, 12KiB, 4097B.
struct ByteCount {
    std::uint64_t value;
};

class LineWriter {
  public:
    // The writer never writes outside `buffer`, which must outlive it.
    constexpr explicit LineWriter(std::span<char> buffer) : buffer_{buffer} {}
    LineWriter(const LineWriter&) = delete;
    LineWriter& operator=(const LineWriter&) = delete;

    [[nodiscard]] std::string_view text() const { return {buffer_.data(), used_}; }
    [[nodiscard]] bool is_truncated() const { return truncated_; }
    void clear() {
        used_ = 0;
        truncated_ = false;
    }

    LineWriter& operator<<(std::string_view text);
    LineWriter& operator<<(const char* text) { return *this << std::string_view{text}; }
    LineWriter& operator<<(char character) { return *this << std::string_view{&character, 1}; }
    template <std::same_as<bool> B>
    LineWriter& operator<<(B value) {
        return *this << std::string_view{value ? "yes" : "no"};
    }
    template <std::unsigned_integral T>
        requires(!std::same_as<T, bool> && !std::same_as<T, char>)
    LineWriter& operator<<(T value) {
        append_decimal(value, 1, '0');
        return *this;
    }
    template <std::signed_integral T>
        requires(!std::same_as<T, char>)
    LineWriter& operator<<(T value) {
        append_signed(value);
        return *this;
    }
    LineWriter& operator<<(Hex number);
    LineWriter& operator<<(Padded number);
    LineWriter& operator<<(ByteCount bytes);
    // Three significant decimals in the unit that suits it: 750ns, 1.500us, 20.000ms, 3.250s.
    LineWriter& operator<<(Duration duration);
    // Seconds since boot with microseconds, as in the log's time stamps: 1.000250; "never" for
    // Instant::never().
    LineWriter& operator<<(Instant instant);
    LineWriter& operator<<(CpuId id) { return *this << id.value(); }
    LineWriter& operator<<(HartId id) { return *this << id.value(); }
    LineWriter& operator<<(TaskId id) { return *this << id.value(); }
    LineWriter& operator<<(PhysAddr address) { return *this << hex(address.value()); }
    LineWriter& operator<<(VirtAddr address) { return *this << hex(address.value()); }
    LineWriter& operator<<(const void* pointer) {
        return *this << hex(reinterpret_cast<std::uintptr_t>(pointer));
    }
    LineWriter& operator<<(CpuMask mask) { return *this << hex(mask.bits()); }

  private:
    void append_decimal(std::uint64_t value, unsigned width, char fill);
    void append_signed(std::int64_t value);

    std::span<char> buffer_;
    std::size_t used_{0};
    bool truncated_{false};
};

// A writer that brings its own buffer of N characters.
template <std::size_t N>
class Line final : public LineWriter {
  public:
    Line() : LineWriter{std::span<char>{storage_}} {}

  private:
    std::array<char, N> storage_;
};

}  // namespace kernel
