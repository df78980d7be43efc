// SPDX-License-Identifier: MIT
#include "init/initrd.hpp"

#include <algorithm>
#include <array>

namespace kernel::init {

namespace {

// cpio(5), "New ASCII Format": a magic of 6 characters and 13 fields of 8 hex digits.
enum Field : std::size_t {
    kInode,
    kMode,
    kUid,
    kGid,
    kLinks,
    kMtime,
    kFileBytes,
    kDevMajor,
    kDevMinor,
    kRdevMajor,
    kRdevMinor,
    kNameBytes,
    kCheck,
    kFieldCount
};
constexpr std::size_t kMagicBytes = 6;
constexpr std::size_t kFieldDigits = 8;
constexpr std::size_t kHeaderBytes = kMagicBytes + kFieldCount * kFieldDigits;
static_assert(kHeaderBytes == 110);
constexpr std::string_view kMagic = "070701";
constexpr std::string_view kMagicWithChecksum = "070702";
constexpr std::string_view kTrailer = "TRAILER!!!";
constexpr std::size_t kMaxNameBytes = 4096;  // PATH_MAX, the limit Linux sets

constexpr std::uint32_t kTypeMask = 0170000;
constexpr std::uint32_t kTypeDirectory = 0040000;
constexpr std::uint32_t kTypeRegular = 0100000;
constexpr std::uint32_t kTypeSymbolicLink = 0120000;

using Fields = std::array<std::uint32_t, kFieldCount>;

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<std::uint32_t> parse_hex(std::string_view digits) {
    std::uint32_t value = 0;
    for (const char digit : digits) {
        std::uint32_t nibble = 0;
        if (digit >= '0' && digit <= '9') {
            nibble = static_cast<std::uint32_t>(digit - '0');
        } else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f') {
            nibble = static_cast<std::uint32_t>((digit | 0x20) - 'a') + 10;
        } else {
            return std::nullopt;
        }
        value = value << 4 | nibble;
    }
    return value;
}

// Pre: header.size() == kHeaderBytes.
std::optional<Fields> parse_fields(std::string_view header) {
    Fields fields{};
    for (std::size_t index = 0; index < kFieldCount; ++index) {
        const auto value = parse_hex(header.substr(kMagicBytes + index * kFieldDigits, kFieldDigits));
        if (!value) {
            return std::nullopt;
        }
        fields[index] = *value;
    }
    return fields;
}

constexpr std::size_t align4(std::size_t offset) {
    return (offset + 3) & ~std::size_t{3};
}

// Takes the next component off `path`; "" when none is left. "." and empty components are passed over.
std::string_view take_component(std::string_view& path) {
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        const std::string_view component = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        if (!component.empty() && component != ".") {
            return component;
        }
    }
    return {};
}

bool has_parent_component(std::string_view path) {
    for (auto component = take_component(path); !component.empty(); component = take_component(path)) {
        if (component == "..") {
            return true;
        }
    }
    return false;
}

// The part of `path` below `directory`; nullopt when it is not below it.
std::optional<std::string_view> below(std::string_view path, std::string_view directory) {
    for (auto wanted = take_component(directory); !wanted.empty(); wanted = take_component(directory)) {
        if (take_component(path) != wanted) {
            return std::nullopt;
        }
    }
    std::string_view rest = path;
    return take_component(rest).empty() ? std::nullopt : std::optional{path};
}

bool is_one_component(std::string_view path) {
    const bool has_first = !take_component(path).empty();
    return has_first && take_component(path).empty();
}

// Archives made with "find ." name everything "./..." and some tools "/...".
std::string_view without_leading(std::string_view path) {
    while (path.starts_with('/') || path.starts_with("./")) {
        path.remove_prefix(path[0] == '/' ? 1 : 2);
    }
    return path;
}

std::string_view describe_bad_magic(std::string_view at) {
    if (at.starts_with("\x1f\x8b")) {
        return "archive is compressed with gzip, which is not supported; store it uncompressed";
    }
    if (at.starts_with("\xfd"
                       "7zXZ") ||
        at.starts_with("\x28\xb5\x2f\xfd") || at.starts_with("BZh") || at.starts_with("\x04\x22\x4d\x18")) {
        return "archive is compressed, which is not supported; store it uncompressed";
    }
    if (at.starts_with("070707") || at.starts_with("\xc7\x71")) {
        return "archive is an old cpio format; make it with -H newc";
    }
    return "no cpio newc header";
}

bool checksum_matches(std::span<const std::byte> data, std::uint32_t expected) {
    std::uint32_t sum = 0;
    for (const std::byte byte : data) {
        sum += std::to_integer<std::uint32_t>(byte);
    }
    return sum == expected;
}

bool same_file(const InitrdEntry& left, const InitrdEntry& right) {
    return left.archive == right.archive && left.device == right.device && left.inode == right.inode;
}

}  // namespace

std::strong_ordering compare_paths(std::string_view left, std::string_view right) {
    for (;;) {
        const std::string_view a = take_component(left);
        const std::string_view b = take_component(right);
        if (const auto order = a <=> b; order != 0 || a.empty()) {
            return order;
        }
    }
}

FileKind InitrdEntry::kind() const {
    switch (mode & kTypeMask) {
        case kTypeRegular:
            return FileKind::Regular;
        case kTypeDirectory:
            return FileKind::Directory;
        case kTypeSymbolicLink:
            return FileKind::SymbolicLink;
        default:
            return FileKind::Other;
    }
}

LineWriter& operator<<(LineWriter& line, const InitrdProblem& problem) {
    return line << problem.what << " at byte " << problem.offset;
}

std::optional<InitrdEntry> InitrdReader::next() {
    while (!problem_ && find_header()) {
        const std::size_t header_at = offset_;
        const std::string_view header = as_text(bytes_.subspan(header_at, kHeaderBytes));
        const auto fields = parse_fields(header);
        if (!fields) {
            fail("header field is not a hexadecimal number", header_at);
            break;
        }
        const std::size_t name_at = header_at + kHeaderBytes;
        const std::size_t name_bytes = (*fields)[kNameBytes];
        if (name_bytes == 0 || name_bytes > kMaxNameBytes || name_bytes > bytes_.size() - name_at) {
            fail("name length is 0, over 4096 or beyond the archive", header_at);
            break;
        }
        std::string_view name = as_text(bytes_.subspan(name_at, name_bytes));
        if (name.find('\0') != name_bytes - 1) {
            fail("name does not end where its length says", name_at);
            break;
        }
        name.remove_suffix(1);
        const std::size_t data_at = std::min(align4(name_at + name_bytes), bytes_.size());
        if ((*fields)[kFileBytes] > bytes_.size() - data_at) {
            fail("contents reach beyond the archive", header_at);
            break;
        }
        const auto data = bytes_.subspan(data_at, (*fields)[kFileBytes]);
        offset_ = std::min(align4(data_at + data.size()), bytes_.size());
        if (name == kTrailer) {
            inside_archive_ = false;
            ++archive_;
            continue;
        }
        inside_archive_ = true;
        if (has_parent_component(name)) {
            fail("name contains \"..\"", name_at);
            break;
        }
        if (header.starts_with(kMagicWithChecksum) && !checksum_matches(data, (*fields)[kCheck])) {
            fail("checksum does not match the contents", header_at);
            break;
        }
        return InitrdEntry{.path = without_leading(name),
                           .data = data,
                           .mode = (*fields)[kMode],
                           .uid = (*fields)[kUid],
                           .gid = (*fields)[kGid],
                           .mtime_s = (*fields)[kMtime],
                           .links = (*fields)[kLinks],
                           .inode = (*fields)[kInode],
                           .device = (*fields)[kDevMajor] << 16 | ((*fields)[kDevMinor] & 0xffff),
                           .archive = archive_,
                           .sequence = sequence_++};
    }
    return std::nullopt;
}

// True with offset_ at a header whose fixed part is inside the archive.
bool InitrdReader::find_header() {
    if (!inside_archive_ && !skip_padding()) {
        return false;
    }
    const std::string_view rest = as_text(bytes_.subspan(offset_));
    if (rest.empty()) {
        fail("archive ends without a trailer", offset_);
        return false;
    }
    if (!rest.starts_with(kMagic) && !rest.starts_with(kMagicWithChecksum)) {
        fail(describe_bad_magic(rest), offset_);
        return false;
    }
    if (rest.size() < kHeaderBytes) {
        fail("header reaches beyond the archive", offset_);
        return false;
    }
    return true;
}

// Passes over the zeros between archives. False at the end of everything.
bool InitrdReader::skip_padding() {
    while (offset_ < bytes_.size() && bytes_[offset_] == std::byte{0}) {
        ++offset_;
    }
    return offset_ < bytes_.size();
}

void InitrdReader::fail(std::string_view what, std::size_t offset) {
    problem_ = InitrdProblem{.what = what, .offset = offset};
}

std::size_t count_entries(std::span<const std::byte> bytes) {
    InitrdReader reader{bytes};
    std::size_t count = 0;
    while (reader.next()) {
        ++count;
    }
    return count;
}

InitrdIndex::InitrdIndex(std::span<const std::byte> bytes, std::span<InitrdEntry> storage) {
    InitrdReader reader{bytes};
    std::size_t count = 0;
    while (auto entry = reader.next()) {
        if (count == storage.size()) {
            problem_ = InitrdProblem{.what = "more entries than the index has room for", .offset = 0};
            break;
        }
        storage[count++] = *entry;
    }
    if (!problem_) {
        problem_ = reader.problem();
    }
    share_hard_link_data(storage.first(count));

    // Equal paths stand together with the latest first, which is the one that stays.
    std::sort(storage.begin(), storage.begin() + static_cast<std::ptrdiff_t>(count),
              [](const InitrdEntry& left, const InitrdEntry& right) {
                  const auto order = compare_paths(left.path, right.path);
                  return order != 0 ? order < 0 : left.sequence > right.sequence;
              });
    const auto last = std::unique(storage.begin(), storage.begin() + static_cast<std::ptrdiff_t>(count),
                                  [](const InitrdEntry& left, const InitrdEntry& right) {
                                      return compare_paths(left.path, right.path) == 0;
                                  });
    entries_ = storage.first(static_cast<std::size_t>(last - storage.begin()));
}

// cpio stores the contents of hard-linked names once, with the last of them. Pre: entries in file order.
void InitrdIndex::share_hard_link_data(std::span<InitrdEntry> entries) {
    for (std::size_t index = 0; index < entries.size(); ++index) {
        InitrdEntry& entry = entries[index];
        if (entry.links < 2 || !entry.data.empty() || entry.kind() != FileKind::Regular) {
            continue;
        }
        for (const InitrdEntry& other : entries.subspan(index + 1)) {
            if (same_file(entry, other) && !other.data.empty()) {
                entry.data = other.data;
                break;
            }
        }
    }
}

const InitrdEntry* InitrdIndex::find(std::string_view path) const {
    const std::size_t index = lower_bound(path);
    return index < entries_.size() && compare_paths(entries_[index].path, path) == 0 ? &entries_[index]
                                                                                     : nullptr;
}

const InitrdEntry* InitrdIndex::child(std::string_view directory, std::size_t n) const {
    for (std::size_t index = lower_bound(directory); index < entries_.size(); ++index) {
        const auto rest = below(entries_[index].path, directory);
        if (!rest) {
            if (compare_paths(entries_[index].path, directory) == 0) {
                continue;
            }
            break;
        }
        if (is_one_component(*rest) && n-- == 0) {
            return &entries_[index];
        }
    }
    return nullptr;
}

std::size_t InitrdIndex::lower_bound(std::string_view path) const {
    const auto position = std::lower_bound(entries_.begin(), entries_.end(), path,
                                           [](const InitrdEntry& entry, std::string_view wanted) {
                                               return compare_paths(entry.path, wanted) < 0;
                                           });
    return static_cast<std::size_t>(position - entries_.begin());
}

}  // namespace kernel::init
