// SPDX-License-Identifier: MIT
#include "trace_frames.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace user {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1U) ^ ((value & 1U) != 0 ? 0xedb88320U : 0U);
        }
        table[i] = value;
    }
    return table;
}
constexpr auto kCrcTable = make_crc_table();

std::uint32_t crc32(std::string_view bytes) {
    std::uint32_t value = 0xffffffffU;
    for (const char byte : bytes) {
        value = kCrcTable[(value ^ static_cast<unsigned char>(byte)) & 0xffU] ^ (value >> 8U);
    }
    return ~value;
}

template <class T>
void append(std::string& out, const T& value) {
    std::array<char, sizeof(T)> bytes;
    std::memcpy(bytes.data(), &value, sizeof(T));
    out.append(bytes.data(), bytes.size());
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string trace_frame(std::uint8_t cpu, std::uint32_t number, std::uint64_t lost,
                        std::span<const nexus_abi::trace_record> records) {
    std::string frame;
    append(frame, std::uint8_t{1});
    append(frame, cpu);
    append(frame, static_cast<std::uint16_t>(records.size()));
    append(frame, number);
    append(frame, lost);
    for (const nexus_abi::trace_record& record : records) {
        append(frame, record);
    }
    append(frame, crc32(frame));
    return frame;
}

std::string trace_line(std::string_view frame) {
    std::string line{kTraceLinePrefix};
    for (std::size_t i = 0; i < frame.size(); i += 3) {
        const std::size_t left = frame.size() - i;
        std::uint32_t bits = 0;
        for (std::size_t byte = 0; byte < 3; ++byte) {
            bits = bits << 8U | (byte < left ? static_cast<unsigned char>(frame[i + byte]) : 0U);
        }
        for (std::size_t digit = 0; digit < 4; ++digit) {
            line += digit <= left ? kBase64[bits >> (18U - 6U * digit) & 63U] : '=';
        }
    }
    return line;
}

void append_task(std::vector<nexus_abi::trace_record>& records, const nexus_abi::trace_record& start,
                 std::string_view name) {
    using nexus_abi::TraceKind;
    records.push_back(start);
    constexpr std::array kParts{TraceKind::Name0, TraceKind::Name1, TraceKind::Name2, TraceKind::Name3};
    for (std::size_t part = 0; part < kParts.size(); ++part) {
        std::uint32_t value = 0;
        for (std::size_t byte = 0; byte < 4 && part * 4 + byte < name.size(); ++byte) {
            value |= std::uint32_t{static_cast<unsigned char>(name[part * 4 + byte])} << 8U * byte;
        }
        records.push_back(
            {.stamp = (start.stamp & ~std::uint64_t{0xff}) | static_cast<std::uint64_t>(kParts[part]),
             .task = start.task,
             .value = value});
    }
}

}  // namespace user
