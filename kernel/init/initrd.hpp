// SPDX-License-Identifier: MIT
// Reads the initial archive: one or more cpio archives in "newc" format, each ended by TRAILER!!!, with zero
// bytes before, between and after them (Linux Documentation/driver-api/early-userspace/buffer-format.rst).
// Nothing is copied: names and contents point into the archive, which must stay mapped. The archive is not
// trusted.
//
// Paths: "/a/b", "a/b", "./a//b" and "/a/./b" name the same entry. ".." names nothing; resolve it before
// asking. Concurrency: immutable once built.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/format.hpp"

namespace kernel::init {

// Order of paths by components; "." and empty components do not count. Everything below a directory follows
// it directly.
[[nodiscard]] std::strong_ordering compare_paths(std::string_view left, std::string_view right);

enum class FileKind : std::uint8_t { Regular, Directory, SymbolicLink, Other };

struct InitrdEntry {
    std::string_view path;            // as in the archive, without leading "/" or "./"; "" or "." is the root
    std::span<const std::byte> data;  // contents; for a symbolic link its target
    std::uint32_t mode{0};            // st_mode: type and permission bits
    std::uint32_t uid{0};
    std::uint32_t gid{0};
    std::uint32_t mtime_s{0};  // seconds since 1970
    std::uint32_t links{1};
    std::uint32_t inode{0};     // unique only within its archive and device
    std::uint32_t device{0};    // major << 16 | minor of the file system it was packed from
    std::uint32_t archive{0};   // 0 for the first archive
    std::uint32_t sequence{0};  // position in the whole; the later one of two equal paths wins
    [[nodiscard]] FileKind kind() const;
};

// What is wrong with the archive and at which byte of it. `what` is static text.
struct InitrdProblem {
    std::string_view what;
    std::size_t offset{0};
};
LineWriter& operator<<(LineWriter& line, const InitrdProblem& problem);

// One pass over the archive in file order.
class InitrdReader {
  public:
    explicit InitrdReader(std::span<const std::byte> bytes) : bytes_{bytes} {}
    // The next entry; nullopt at the end or at the first malformed header, see problem().
    [[nodiscard]] std::optional<InitrdEntry> next();
    [[nodiscard]] const std::optional<InitrdProblem>& problem() const { return problem_; }

  private:
    bool find_header();
    bool skip_padding();
    void fail(std::string_view what, std::size_t offset);

    std::span<const std::byte> bytes_;
    std::size_t offset_{0};
    std::uint32_t archive_{0};
    std::uint32_t sequence_{0};
    bool inside_archive_{false};
    std::optional<InitrdProblem> problem_;
};

// How many entries `bytes` holds up to its end or its first defect: the size of the storage an index needs.
[[nodiscard]] std::size_t count_entries(std::span<const std::byte> bytes);

// Entries by path, for lookups in O(log n).
class InitrdIndex {
  public:
    InitrdIndex() = default;
    // Reads the archive into `storage`, which the index keeps. Of equal paths the last stays; hard links get
    // the data of the link that carries it. With problem(), the entries before it are there all the same.
    InitrdIndex(std::span<const std::byte> bytes, std::span<InitrdEntry> storage);

    [[nodiscard]] const std::optional<InitrdProblem>& problem() const { return problem_; }
    [[nodiscard]] std::span<const InitrdEntry> entries() const { return entries_; }
    // nullptr: no such entry. ".." is never resolved, so a path with it has none.
    [[nodiscard]] const InitrdEntry* find(std::string_view path) const;
    // The n-th (from 0) entry directly in `directory`, in path order; nullptr past the last one.
    [[nodiscard]] const InitrdEntry* child(std::string_view directory, std::size_t n) const;

  private:
    static void share_hard_link_data(std::span<InitrdEntry> entries);
    [[nodiscard]] std::size_t lower_bound(std::string_view path) const;

    std::span<InitrdEntry> entries_;
    std::optional<InitrdProblem> problem_;
};

}  // namespace kernel::init
