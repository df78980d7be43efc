// SPDX-License-Identifier: MIT
// Device tree blobs for the tests: read from a file, edited, aligned, and on the heap in their exact size so
// that AddressSanitizer sees every read past the end.
#pragma once

#include <gtest/gtest.h>

extern "C" {
#include <libfdt.h>
}

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "fdt/machine.hpp"

namespace fdt_test {

// operator new[] aligns to 16, more than the 8 a blob needs.
class Blob {
  public:
    explicit Blob(std::vector<char> bytes) : bytes_{std::move(bytes)} {}
    static Blob load(const std::string& path) {
        std::ifstream file{path, std::ios::binary};
        if (!file) {
            ADD_FAILURE() << "cannot open " << path;
        }
        return Blob{{std::istreambuf_iterator<char>{file}, {}}};
    }
    static Blob fixture(const std::string& name) {
        return load(std::string{FIXTURE_DIR} + "/" + name + ".dtb");
    }
    static Blob board(const std::string& name) { return load(std::string{BOARD_DIR} + "/" + name + ".dtb"); }
    static Blob dump(const std::string& name) { return load(std::string{DUMP_DIR} + "/" + name + ".dtb"); }

    [[nodiscard]] std::span<const std::byte> bytes() const { return std::as_bytes(std::span{bytes_}); }
    [[nodiscard]] std::vector<char>& raw() { return bytes_; }

    // ---- edits; `path` must exist ----
    Blob& set(const std::string& path, const char* property, const std::vector<std::uint32_t>& cells) {
        std::vector<char> value;
        for (const std::uint32_t cell : cells) {
            for (int shift = 24; shift >= 0; shift -= 8) {
                value.push_back(static_cast<char>(cell >> shift));
            }
        }
        return set_bytes(path, property, value);
    }
    Blob& set_text(const std::string& path, const char* property, const std::string& text) {
        std::vector<char> value{text.begin(), text.end()};
        value.push_back('\0');
        return set_bytes(path, property, value);
    }
    Blob& set_bytes(const std::string& path, const char* property, const std::vector<char>& value) {
        bytes_.resize(bytes_.size() + value.size() + 64);
        EXPECT_EQ(fdt_open_into(bytes_.data(), bytes_.data(), static_cast<int>(bytes_.size())), 0);
        EXPECT_EQ(
            fdt_setprop(bytes_.data(), node(path), property, value.data(), static_cast<int>(value.size())),
            0);
        return pack();
    }
    Blob& remove(const std::string& path, const char* property) {
        EXPECT_EQ(fdt_delprop(bytes_.data(), node(path), property), 0) << path << " " << property;
        return pack();
    }
    Blob& remove_node(const std::string& path) {
        EXPECT_EQ(fdt_del_node(bytes_.data(), node(path)), 0) << path;
        return pack();
    }
    Blob& add_node(const std::string& parent, const std::string& name) {
        bytes_.resize(bytes_.size() + name.size() + 64);
        EXPECT_EQ(fdt_open_into(bytes_.data(), bytes_.data(), static_cast<int>(bytes_.size())), 0);
        EXPECT_GE(fdt_add_subnode(bytes_.data(), node(parent), name.c_str()), 0) << parent << "/" << name;
        return pack();
    }
    Blob& reserve(std::uint64_t start, std::uint64_t size) {
        bytes_.resize(bytes_.size() + 64);
        EXPECT_EQ(fdt_open_into(bytes_.data(), bytes_.data(), static_cast<int>(bytes_.size())), 0);
        EXPECT_EQ(fdt_add_mem_rsv(bytes_.data(), start, size), 0);
        return pack();
    }

  private:
    int node(const std::string& path) {
        const int offset = fdt_path_offset(bytes_.data(), path.c_str());
        EXPECT_GE(offset, 0) << path;
        return offset;
    }
    Blob& pack() {
        EXPECT_EQ(fdt_pack(bytes_.data()), 0);
        bytes_.resize(fdt_totalsize(bytes_.data()));
        bytes_.shrink_to_fit();
        return *this;
    }

    std::vector<char> bytes_;
};

inline std::string to_string(const kernel::fdt::Problem& problem) {
    kernel::Line<256> line;
    line << problem;
    return std::string{line.text()};
}

inline std::vector<std::string> problems(const kernel::fdt::Machine& machine) {
    std::vector<std::string> texts;
    for (const auto& problem : machine.problems) {
        texts.push_back(to_string(problem));
    }
    return texts;
}

inline std::vector<std::uint64_t> hart_ids(const kernel::fdt::Machine& machine) {
    std::vector<std::uint64_t> ids;
    for (const auto& hart : machine.harts) {
        ids.push_back(hart.id.value());
    }
    return ids;
}

inline kernel::fdt::MemoryRange range(std::uint64_t start, std::uint64_t bytes) {
    return {.start = kernel::PhysAddr{start}, .bytes = bytes};
}

// Reads a blob that is expected to be good enough to boot with.
inline void read(const Blob& blob, kernel::fdt::Machine& machine) {
    const auto failure = kernel::fdt::read_machine(blob.bytes(), machine);
    ASSERT_FALSE(failure) << to_string(failure.value_or(kernel::fdt::Problem{}));
}

// The refusal of a blob that is not.
inline std::string refusal(const Blob& blob) {
    static kernel::fdt::Machine machine;
    const auto failure = kernel::fdt::read_machine(blob.bytes(), machine);
    return failure ? to_string(*failure) : "accepted";
}

}  // namespace fdt_test
