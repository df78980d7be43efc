// SPDX-License-Identifier: MIT
// The one spelling of a path that names are looked up by: from the root, without leading, trailing or double
// "/", no "." and "..", and, where file_system::resolve() made it, no symbolic links on the way.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "file/directory.hpp"
#include "lib/result.hpp"

namespace kernel::syscall {

using file::kMaxPath;

// Splits the first part of a path off: "a/b/c" becomes "a" and "/b/c". Empty parts are passed over.
[[nodiscard]] std::string_view take_part(std::string_view& path);

// Whether the spelling says that a directory is meant.
[[nodiscard]] bool names_directory(std::string_view path);

class Path {
  public:
    Path() : length_{0} {}  // the root; what is behind the text is never written nor read
    Path(const Path& other) : Path{} { *this = other; }
    Path& operator=(const Path& other) {
        if (this != &other) {
            other.text().copy(characters_.data(), other.length_);
            length_ = other.length_;
            ends_as_directory_ = other.ends_as_directory_;
        }
        return *this;
    }
    ~Path() = default;

    // The root again.
    void clear() {
        length_ = 0;
        ends_as_directory_ = false;
    }
    // Where a relative path starts; the root when it is not set.
    Result<void> set_base(std::string_view canonical);
    // Goes on from there, or from the root when `path` begins with "/", by the text alone. Errors:
    // NameTooLong.
    Result<void> append(std::string_view path);
    // One step down. Pre: a name, neither "." nor "..". Errors: NameTooLong.
    Result<void> append_name(std::string_view name);
    void go_up() { length_ = parent().size(); }

    [[nodiscard]] std::string_view text() const { return {characters_.data(), length_}; }
    // The spelling said that a directory is meant.
    [[nodiscard]] bool ends_as_directory() const { return ends_as_directory_; }
    void set_ends_as_directory(bool does) { ends_as_directory_ = does; }
    // All but the last part, and the last part.
    [[nodiscard]] std::string_view parent() const;
    [[nodiscard]] std::string_view name() const;

    // For directories that write where they are: room for kMaxPath - 1 characters, and how many it became.
    [[nodiscard]] std::span<char> room() { return std::span{characters_}.first(kMaxPath - 1); }
    void set_length(std::size_t length) { length_ = length; }

  private:
    std::array<char, kMaxPath> characters_;  // the first length_ of them
    std::size_t length_;
    bool ends_as_directory_{false};
};

}  // namespace kernel::syscall
