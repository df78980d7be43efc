// SPDX-License-Identifier: MIT
// Makes cpio newc archives byte by byte, right or wrong.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "init/initrd.hpp"

namespace initrd_test {

inline constexpr std::uint32_t kFile = 0100644;
inline constexpr std::uint32_t kDirectory = 0040755;

struct Fields {
    std::uint32_t inode{1};
    std::uint32_t mode{kFile};
    std::uint32_t links{1};
    std::uint32_t check{0};
    std::string magic{"070701"};
};

class Archive {
  public:
    Archive& add(const std::string& name, const std::string& data, const Fields& fields = {}) {
        const std::array<std::uint32_t, 13> values{fields.inode,
                                                   fields.mode,
                                                   7,
                                                   8,
                                                   fields.links,
                                                   1'700'000'000,
                                                   static_cast<std::uint32_t>(data.size()),
                                                   0,
                                                   1,
                                                   0,
                                                   0,
                                                   static_cast<std::uint32_t>(name.size() + 1),
                                                   fields.check};
        bytes_ += fields.magic;
        for (const std::uint32_t value : values) {
            std::array<char, 9> digits{};
            std::snprintf(digits.data(), digits.size(), "%08X", value);
            bytes_ += digits.data();
        }
        bytes_ += name + '\0';
        pad();
        bytes_ += data;
        pad();
        return *this;
    }
    Archive& directory(const std::string& name) { return add(name, "", {.mode = kDirectory, .links = 2}); }
    Archive& trailer() { return add("TRAILER!!!", "", {.inode = 0, .mode = 0}); }
    Archive& zeros(std::size_t count) {
        bytes_.append(count, '\0');
        return *this;
    }
    Archive& raw(const std::string& bytes) {
        bytes_ += bytes;
        return *this;
    }
    [[nodiscard]] std::string& text() { return bytes_; }
    // In its exact size on the heap, so that AddressSanitizer sees every read past the end.
    [[nodiscard]] std::vector<std::byte> bytes() const {
        const auto all = std::as_bytes(std::span{bytes_});
        return {all.begin(), all.end()};
    }

  private:
    void pad() { bytes_.append((4 - bytes_.size() % 4) % 4, '\0'); }
    std::string bytes_;
};

inline std::string text(std::span<const std::byte> data) {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

inline std::string text(const std::optional<kernel::init::InitrdProblem>& problem) {
    if (!problem) {
        return "";
    }
    kernel::Line<160> line;
    line << *problem;
    return std::string{line.text()};
}

// An index with storage of its own; `bytes` must outlive it.
class Indexed {
  public:
    explicit Indexed(std::span<const std::byte> bytes)
        : storage_(kernel::init::count_entries(bytes)), index_{bytes, storage_} {}
    const kernel::init::InitrdIndex* operator->() const { return &index_; }
    [[nodiscard]] std::string contents(const char* path) const {
        const auto* entry = index_.find(path);
        return entry == nullptr ? "missing" : text(entry->data);
    }

  private:
    std::vector<kernel::init::InitrdEntry> storage_;
    kernel::init::InitrdIndex index_;
};

}  // namespace initrd_test
