// SPDX-License-Identifier: MIT
#include "syscall/file_system.hpp"

#include <algorithm>

#include "arch/contract.hpp"
#include "mm/frames.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall::file_system {

namespace {

using task::FileKind;
using task::OpenFile;

// include/uapi/linux/stat.h
constexpr std::uint32_t kTypeRegular = 0100000;
constexpr std::uint32_t kTypeDirectory = 0040000;
constexpr std::uint32_t kTypeCharacter = 0020000;
constexpr std::uint32_t kTypeMask = 0170000;
constexpr std::uint32_t kReadableByAll = 0444;
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
    [[nodiscard]] const Entry* find(std::string_view path) const {
        const Entry* entry = lower_bound(path);
        return entry != entries + count && entry->path == path ? entry : nullptr;
    }
};
constinit Index initrd;

// Files that are not in the initrd. Inode numbers of theirs follow those of any initrd.
struct Fixed {
    std::string_view path;
    FileKind kind;
    std::uint32_t mode;
    Information information{};
};
constexpr std::uint64_t kFirstFixedInode = std::uint64_t{1} << 32;
constexpr std::uint64_t kFirstProcessInode = std::uint64_t{1} << 33;
constexpr Fixed kFixed[]{
    {"", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"dev", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"dev/console", FileKind::Console, kTypeCharacter | 0620},
    {"dev/tty", FileKind::Console, kTypeCharacter | 0620},
    {"dev/null", FileKind::Null, kTypeCharacter | 0666},
    {"dev/zero", FileKind::Zero, kTypeCharacter | 0666},
    {"dev/random", FileKind::Random, kTypeCharacter | 0666},
    {"dev/urandom", FileKind::Random, kTypeCharacter | 0666},
    {"proc", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"proc/meminfo", FileKind::Information, kTypeRegular | kReadableByAll, Information::MemoryInfo},
    {"proc/cpuinfo", FileKind::Information, kTypeRegular | kReadableByAll, Information::CpuInfo},
    {"proc/uptime", FileKind::Information, kTypeRegular | kReadableByAll, Information::Uptime},
    {"sys", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system/cpu", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system/cpu/online", FileKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusOnline},
    {"sys/devices/system/cpu/possible", FileKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusPossible},
    {"sys/devices/system/cpu/present", FileKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusPossible},
    {"sys/firmware", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree/base", FileKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree/base/compatible", FileKind::Information, kTypeRegular | kReadableByAll,
     Information::BoardCompatible},
    {"sys/firmware/devicetree/base/model", FileKind::Information, kTypeRegular | kReadableByAll,
     Information::BoardModel},
};

// What each process shows under /proc/<pid>/.
struct ProcessFile {
    std::string_view name;
    Information information;
};
constexpr ProcessFile kProcessFiles[]{
    {"maps", Information::ProcessMaps},
    {"comm", Information::ProcessComm},
    {"stat", Information::ProcessStat},
};
constexpr std::uint64_t kInodesPerProcess = std::size(kProcessFiles) + 1;

// Splits the first part of a path off: "a/b/c" becomes "a" and "b/c". Empty parts are passed over.
std::string_view take_part(std::string_view& path) {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

// The one spelling of a path: no leading, trailing or double "/", no "." and "..".
class Canonical {
  public:
    Result<void> set(std::string_view path) {
        length_ = 0;
        ends_as_directory_ = path.ends_with('/') || path.ends_with("/.");
        for (std::string_view part = take_part(path); !part.empty(); part = take_part(path)) {
            if (part == ".") {
                continue;
            }
            if (part == "..") {
                const std::size_t slash = text().rfind('/');
                length_ = slash == std::string_view::npos ? 0 : slash;
                continue;
            }
            const std::size_t separator = length_ == 0 ? 0 : 1;
            if (length_ + separator + part.size() >= kMaxPath) {
                return Error::NameTooLong;
            }
            if (separator != 0) {
                characters_[length_] = '/';
            }
            part.copy(characters_.data() + length_ + separator, part.size());
            length_ += separator + part.size();
        }
        return {};
    }
    [[nodiscard]] std::string_view text() const { return {characters_.data(), length_}; }
    // The spelling said that a directory is meant.
    [[nodiscard]] bool ends_as_directory() const { return ends_as_directory_; }

  private:
    std::array<char, kMaxPath> characters_{};
    std::size_t length_{0};
    bool ends_as_directory_{false};
};

Result<void> add(std::string_view path, mm::FileObject* object, std::uint32_t mode) {
    if (path.starts_with("./")) {
        path.remove_prefix(2);
    }
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    if (path == ".") {
        path = {};
    }
    Canonical canonical;
    TRY(canonical.set(path));
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

Node directory(std::uint64_t inode, std::uint32_t mode) {
    return {.kind = FileKind::Directory, .mode = mode, .inode = inode};
}

// In the initrd, a directory above its files need not have an entry of its own.
Result<Node> find_in_initrd(std::string_view path) {
    if (const Entry* entry = initrd.find(path); entry != nullptr) {
        const auto inode = static_cast<std::uint64_t>(entry - initrd.entries) + 1;
        if (entry->object == nullptr) {
            return directory(inode, entry->mode);
        }
        return Node{.kind = FileKind::Regular, .mode = entry->mode, .inode = inode, .object = entry->object};
    }
    // Its contents follow where it would be, but for names like "dir-x" and "dir.x", which sort before
    // "dir/".
    for (const Entry* entry = initrd.lower_bound(path); entry != initrd.entries + initrd.count; ++entry) {
        if (!entry->path.starts_with(path)) {
            break;
        }
        if (entry->path[path.size()] == '/') {
            const auto inode = initrd.count + 1 + static_cast<std::uint64_t>(entry - initrd.entries);
            return directory(inode, kTypeDirectory | kSearchableByAll);
        }
    }
    return Error::NoEntry;
}

Result<Node> find_fixed(std::string_view path) {
    const auto* found = std::ranges::find(kFixed, path, &Fixed::path);
    if (found == std::end(kFixed)) {
        return Error::NoEntry;
    }
    return Node{.kind = found->kind,
                .mode = found->mode,
                .inode = kFirstFixedInode + static_cast<std::uint64_t>(found - kFixed),
                .information = found->information};
}

Result<TaskId> parse_pid(std::string_view text, task::Task& caller) {
    if (text == "self") {
        return caller.process().pid();
    }
    std::uint32_t number = 0;
    constexpr std::size_t kMaxDigits = 9;  // so that it cannot overflow
    if (text.empty() || text.size() > kMaxDigits) {
        return Error::NoEntry;
    }
    for (const char digit : text) {
        if (digit < '0' || digit > '9') {
            return Error::NoEntry;
        }
        number = number * 10 + static_cast<std::uint32_t>(digit - '0');
    }
    return TaskId{number};
}

// "proc/<pid>" and "proc/<pid>/<file>".
Result<Node> find_process_file(std::string_view path, task::Task& caller) {
    if (take_part(path) != "proc") {
        return Error::NoEntry;
    }
    const TaskId pid = TRY(parse_pid(take_part(path), caller));
    if (!task::find_process(pid)) {
        return Error::NoEntry;
    }
    const std::uint64_t first_inode = kFirstProcessInode + pid.value() * kInodesPerProcess;
    const std::string_view name = take_part(path);
    if (name.empty()) {
        return directory(first_inode, kTypeDirectory | kSearchableByAll);
    }
    const auto* found = std::ranges::find(kProcessFiles, name, &ProcessFile::name);
    if (found == std::end(kProcessFiles) || !path.empty()) {
        return Error::NoEntry;
    }
    return Node{.kind = FileKind::Information,
                .mode = kTypeRegular | kReadableByAll,
                .inode = first_inode + 1 + static_cast<std::uint64_t>(found - kProcessFiles),
                .information = found->information,
                .process = pid};
}

Result<Node> find_canonical(std::string_view path, task::Task& caller) {
    // Devices and information come first: an initrd's /dev/console is a node for another kernel.
    for (const auto& found : {find_fixed(path), find_process_file(path, caller)}) {
        if (found.ok()) {
            return found;
        }
    }
    return find_in_initrd(path);
}

// Why nothing was found: something on the way is not a directory, or is not there.
Error reason_for_absence(std::string_view path, task::Task& caller) {
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
        const auto above = find_canonical(path.substr(0, slash), caller);
        if (!above.ok()) {
            return Error::NoEntry;
        }
        if (above->kind != FileKind::Directory) {
            return Error::NotDirectory;
        }
    }
    return Error::NoEntry;
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

Result<void> add_file(std::string_view path, mm::FileObject& object, std::uint32_t mode) {
    return add(path, &object, (mode & ~kTypeMask) | kTypeRegular);
}

Result<void> add_directory(std::string_view path, std::uint32_t mode) {
    return add(path, nullptr, (mode & ~kTypeMask) | kTypeDirectory);
}

Result<mm::FileObject*> find_program(std::string_view path) {
    Canonical canonical;
    TRY(canonical.set(path));
    const Node node = TRY(find_in_initrd(canonical.text()));
    if (node.kind != FileKind::Regular) {
        return Error::IsDirectory;
    }
    return node.object;
}

Result<Node> find(std::string_view path, task::Task& caller) {
    Canonical canonical;
    TRY(canonical.set(path));
    const auto found = find_canonical(canonical.text(), caller);
    if (!found.ok()) {
        return reason_for_absence(canonical.text(), caller);
    }
    if (canonical.ends_as_directory() && found->kind != FileKind::Directory) {
        return Error::NotDirectory;
    }
    return found;
}

Result<Ref<OpenFile>> open(const Node& node, std::uint32_t open_flags, task::Task& caller) {
    auto file = TRY(OpenFile::create(node.kind, open_flags));
    file->mode = node.mode;
    file->inode = node.inode;
    if (node.kind == FileKind::Regular) {
        file->object = node.object;
        file->set_size(node.object->contents().size());
    }
    if (node.kind == FileKind::Information) {
        LineWriter text{TRY(file->allocate_text(frames_order_of(node.information)))};
        TRY(describe(node.information, node.process, caller, text));
        file->set_text_bytes(text.text().size());
    }
    return file;
}

}  // namespace kernel::syscall::file_system
