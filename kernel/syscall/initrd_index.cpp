// SPDX-License-Identifier: MIT
#include "syscall/initrd_index.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "arch/contract.hpp"
#include "mm/frames.hpp"
#include "syscall/path.hpp"

namespace kernel::syscall::initrd_index {

namespace {

constexpr std::uint32_t kSearchableByAll = 0555;

struct Entry {
    std::string_view path;  // without a leading "/"; the root is ""
    mm::FileObject* object;
    std::uint32_t mode;
};

// By path, ascending. Immutable after boot.
struct Index {
    Entry* entries{nullptr};
    std::size_t count{0};
    std::size_t capacity{0};

    [[nodiscard]] std::span<Entry> all() const { return {entries, count}; }
    // The first entry not before `path`.
    [[nodiscard]] Entry* lower_bound(std::string_view path) const {
        return std::ranges::lower_bound(all(), path, {}, &Entry::path).base();
    }
    // The first entry not before "path/" with `last` in the place of "/".
    [[nodiscard]] Entry* lower_bound_below(std::string_view path, char last) const {
        std::array<char, kMaxPath> key;
        path.copy(key.data(), path.size());
        key[path.size()] = last;
        return lower_bound({key.data(), path.size() + 1});
    }
    [[nodiscard]] const Entry* find(std::string_view path) const {
        const Entry* entry = lower_bound(path);
        return entry != entries + count && entry->path == path ? entry : nullptr;
    }
    [[nodiscard]] std::uint64_t position_of(const Entry* entry) const {
        return static_cast<std::uint64_t>(entry - entries);
    }
};
constinit Index initrd;

// "path/..." for every path but the root's.
bool is_below(std::string_view path, std::string_view directory) {
    return directory.empty() ||
           (path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/');
}

}  // namespace

Result<void> reserve(std::size_t entries) {
    CHECK(initrd.entries == nullptr);
    std::uint32_t order = 0;
    while ((mm::kPageSize << order) < entries * sizeof(Entry)) {
        if (++order > mm::kMaxOrder) {
            return Error::NoMemory;
        }
    }
    const PhysAddr frames = TRY(mm::frames().allocate(order));
    initrd.entries = static_cast<Entry*>(phys_to_virt(frames));
    initrd.capacity = (mm::kPageSize << order) / sizeof(Entry);
    return {};
}

Result<void> add(std::string_view path, mm::FileObject* object, std::uint32_t mode) {
    if (path.starts_with("./")) {
        path.remove_prefix(2);
    }
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    if (path == ".") {
        path = {};
    }
    Path canonical;
    TRY(canonical.append(path));
    if (canonical.text() != path) {
        return Error::InvalidArgument;
    }
    if (initrd.count == initrd.capacity) {
        return Error::NoMemory;
    }
    Entry* place = initrd.lower_bound(path);
    Entry* const end = initrd.entries + initrd.count;
    if (place != end && place->path == path) {
        return Error::Exists;
    }
    std::move_backward(place, end, end + 1);
    *place = {path, object, mode};
    ++initrd.count;
    return {};
}

Result<Found> find(std::string_view path) {
    if (const Entry* entry = initrd.find(path); entry != nullptr) {
        return Found{.object = entry->object, .mode = entry->mode, .inode = initrd.position_of(entry) + 1};
    }
    // A directory without an entry has its first content's position for its inode, behind those of entries.
    const Entry* const below = path.empty() ? initrd.entries : initrd.lower_bound_below(path, '/');
    if (below == initrd.entries + initrd.count || !is_below(below->path, path)) {
        return Error::NoEntry;
    }
    return Found{.mode = task::kTypeDirectory | kSearchableByAll,
                 .inode = initrd.count + 1 + initrd.position_of(below)};
}

Result<file::DirectoryEntry> next_below(std::string_view path, std::uint64_t from) {
    const Entry* const end = initrd.entries + initrd.count;
    const Entry* entry = path.empty() ? initrd.entries : initrd.lower_bound_below(path, '/');
    entry = std::max<const Entry*>(entry, initrd.entries + std::min<std::uint64_t>(from, initrd.count));
    const std::size_t prefix = path.empty() ? 0 : path.size() + 1;
    while (entry != end && is_below(entry->path, path)) {
        const std::string_view rest = entry->path.substr(prefix);
        const std::string_view name = rest.substr(0, rest.find('/'));
        const std::string_view child = entry->path.substr(0, prefix + name.size());
        // What is below the child lies in a row; '0' follows '/'.
        const Entry* const after =
            rest.size() == name.size() ? entry + 1 : initrd.lower_bound_below(child, '0');
        if (!name.empty() && (rest.size() == name.size() || initrd.find(child) == nullptr)) {
            const Found found = TRY(find(child));
            return file::DirectoryEntry{
                .name = name, .inode = found.inode, .mode = found.mode, .next = initrd.position_of(after)};
        }
        entry = after;
    }
    return Error::NoEntry;
}

}  // namespace kernel::syscall::initrd_index
