// SPDX-License-Identifier: MIT
#include "syscall/file_system.hpp"

#include <algorithm>

#include "file/directory.hpp"
#include "file/fixed_files.hpp"
#include "syscall/console.hpp"
#include "syscall/initrd_index.hpp"
#include "task/lifecycle.hpp"
#include "task/task_table.hpp"

namespace kernel::syscall::file_system {

namespace {

using file::Device;
using file::DirectoryEntry;
using task::FileStatus;
using task::kTypeCharacter;
using task::kTypeDirectory;
using task::kTypeMask;
using task::kTypeRegular;
using task::OpenFile;

constexpr std::uint32_t kReadableByAll = 0444;
constexpr std::uint32_t kSearchableByAll = 0555;

// Files that are not in the initrd. Inode numbers of theirs follow those of any initrd.
struct Fixed {
    std::string_view path;
    NodeKind kind;
    std::uint32_t mode;
    Information information{};
    Device device{};
    std::uint64_t special_device{0};
};
constexpr std::uint64_t kFirstFixedInode = std::uint64_t{1} << 32;
constexpr std::uint64_t kFirstProcessInode = std::uint64_t{1} << 33;
constexpr Fixed kFixed[]{
    {"", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"dev", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"dev/console", NodeKind::Console, kTypeCharacter | 0620},
    {"dev/tty", NodeKind::Console, kTypeCharacter | 0620},
    {"dev/null", NodeKind::Device, kTypeCharacter | 0666, {}, Device::Null},
    {"dev/zero", NodeKind::Device, kTypeCharacter | 0666, {}, Device::Zero},
    {"dev/random", NodeKind::Device, kTypeCharacter | 0666, {}, Device::Random},
    {"dev/urandom", NodeKind::Device, kTypeCharacter | 0666, {}, Device::Random},
    // Listed here, looked up in memory.
    {"tmp", NodeKind::Directory, kTypeDirectory | 01777},
    {"dev/shm", NodeKind::Directory, kTypeDirectory | 01777},
    {"proc", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"proc/meminfo", NodeKind::Information, kTypeRegular | kReadableByAll, Information::MemoryInfo},
    {"proc/cpuinfo", NodeKind::Information, kTypeRegular | kReadableByAll, Information::CpuInfo},
    {"proc/uptime", NodeKind::Information, kTypeRegular | kReadableByAll, Information::Uptime},
    {"sys", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system/cpu", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system/cpu/online", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusOnline},
    {"sys/devices/system/cpu/possible", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusPossible},
    {"sys/devices/system/cpu/present", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusPossible},
    {"sys/firmware", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree/base", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree/base/compatible", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::BoardCompatible},
    {"sys/firmware/devicetree/base/model", NodeKind::Information, kTypeRegular | kReadableByAll,
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

Node directory(std::uint64_t inode, std::uint32_t mode) {
    return {.kind = NodeKind::Directory,
            .status = {.mode = mode, .inode = inode, .links = 2, .is_read_only = true}};
}

Node node_of(const initrd_index::Found& found) {
    if (found.object == nullptr) {
        return directory(found.inode, found.mode);
    }
    return {.kind = NodeKind::File,
            .status = {.mode = found.mode,
                       .inode = found.inode,
                       .bytes = found.object->contents().size(),
                       .is_read_only = true},
            .object = found.object};
}

std::uint64_t inode_of(const Fixed& fixed) {
    return kFirstFixedInode + static_cast<std::uint64_t>(&fixed - kFixed);
}

Result<Node> find_fixed(std::string_view path) {
    const auto* found = std::ranges::find(kFixed, path, &Fixed::path);
    if (found == std::end(kFixed)) {
        return Error::NoEntry;
    }
    if (found->kind == NodeKind::Directory) {
        return directory(inode_of(*found), found->mode);
    }
    if (found->kind == NodeKind::Console) {
        return Node{.kind = NodeKind::Console, .status = console::status()};
    }
    return Node{.kind = found->kind,
                .status = {.mode = found->mode,
                           .inode = inode_of(*found),
                           .is_read_only = found->kind == NodeKind::Information},
                .device = found->device,
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

std::uint64_t first_inode_of(TaskId pid) {
    return kFirstProcessInode + pid.value() * kInodesPerProcess;
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
    const std::string_view name = take_part(path);
    if (name.empty()) {
        return directory(first_inode_of(pid), kTypeDirectory | kSearchableByAll);
    }
    const auto* found = std::ranges::find(kProcessFiles, name, &ProcessFile::name);
    if (found == std::end(kProcessFiles) || !path.empty()) {
        return Error::NoEntry;
    }
    const std::uint64_t inode = first_inode_of(pid) + 1 + static_cast<std::uint64_t>(found - kProcessFiles);
    return Node{.kind = NodeKind::Information,
                .status = {.mode = kTypeRegular | kReadableByAll, .inode = inode, .is_read_only = true},
                .information = found->information,
                .process = pid};
}

struct MountPoint {
    std::string_view path;
    file::tmpfs::Root root;
};
constexpr MountPoint kMountPoints[]{{"tmp", file::tmpfs::Root::Tmp}, {"dev/shm", file::tmpfs::Root::Shm}};

std::optional<MemoryPath> memory_path(std::string_view path) {
    for (const MountPoint& mount : kMountPoints) {
        if (path == mount.path) {
            return MemoryPath{.root = mount.root};
        }
        if (path.starts_with(mount.path) && path[mount.path.size()] == '/') {
            return MemoryPath{.root = mount.root, .rest = path.substr(mount.path.size() + 1)};
        }
    }
    return std::nullopt;
}

Result<Node> find_canonical(std::string_view path, task::Task& caller) {
    if (const auto place = memory_path(path)) {
        auto node = TRY(file::tmpfs::find(place->root, place->rest));
        const FileStatus status = node->status();
        return Node{.kind = NodeKind::Memory, .status = status, .memory = std::move(node)};
    }
    // Devices and information come first: an initrd's /dev/console is a node for another kernel.
    if (auto fixed = find_fixed(path); fixed.ok()) {
        return fixed;
    }
    if (auto of_process = find_process_file(path, caller); of_process.ok()) {
        return of_process;
    }
    return node_of(TRY(initrd_index::find(path)));
}

// Why nothing was found: something on the way is not a directory, or is not there.
Error reason_for_absence(std::string_view path, task::Task& caller) {
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
        const auto above = find_canonical(path.substr(0, slash), caller);
        if (!above.ok()) {
            return Error::NoEntry;
        }
        if (!above->is_directory()) {
            return Error::NotDirectory;
        }
    }
    return Error::NoEntry;
}

// ---- Listing: what is fixed, then what the initrd has, then processes. Each kind has a range of positions.

constexpr std::uint64_t kFixedPositions = file::Directory::kFirstPosition;
constexpr std::uint64_t kInitrdPositions = std::uint64_t{1} << 32;
constexpr std::uint64_t kProcessPositions = std::uint64_t{2} << 32;
constexpr std::uint32_t kTasksPerStep = 16;  // threads passed over on the way to the next process

// The part of `path` behind "directory/" if that is all that is between them, else nothing.
std::string_view name_below(std::string_view path, std::string_view directory) {
    if (!directory.empty()) {
        if (!path.starts_with(directory) || path.size() <= directory.size() ||
            path[directory.size()] != '/') {
            return {};
        }
        path.remove_prefix(directory.size() + 1);
    }
    return path.find('/') == std::string_view::npos ? path : std::string_view{};
}

Result<DirectoryEntry> next_fixed(std::string_view path, std::uint64_t index) {
    for (; index < std::size(kFixed); ++index) {
        const Fixed& fixed = kFixed[index];
        if (const std::string_view name = name_below(fixed.path, path); !name.empty()) {
            return DirectoryEntry{.name = name,
                                  .inode = inode_of(fixed),
                                  .mode = fixed.mode,
                                  .next = kFixedPositions + index + 1};
        }
    }
    return Error::NoEntry;
}

// What is fixed hides what the initrd has at the same place.
Result<DirectoryEntry> next_in_initrd(std::string_view path, std::uint64_t from) {
    while (true) {
        DirectoryEntry entry = TRY(initrd_index::next_below(path, from));
        from = entry.next;
        const auto hidden = std::ranges::find_if(
            kFixed, [&](const Fixed& fixed) { return name_below(fixed.path, path) == entry.name; });
        if (hidden == std::end(kFixed)) {
            entry.next += kInitrdPositions;
            return entry;
        }
    }
}

Result<DirectoryEntry> next_process(std::uint64_t from, std::span<char> room) {
    TaskId at{static_cast<std::uint32_t>(from)};
    for (std::uint32_t looked_at = 0; looked_at < kTasksPerStep; ++looked_at) {
        const Ref<task::Task> task = task::lookup_next_task(at);
        if (!task) {
            return Error::NoEntry;
        }
        at = task->tid();
        if (at == task->process().pid()) {
            LineWriter out{room};
            out << at;
            return DirectoryEntry{.name = out.text(),
                                  .inode = first_inode_of(at),
                                  .mode = kTypeDirectory,
                                  .next = kProcessPositions + at.value()};
        }
    }
    return DirectoryEntry{.next = kProcessPositions + at.value()};
}

// "proc/<pid>".
bool is_process_directory(std::string_view path, task::Task& caller) {
    return take_part(path) == "proc" && parse_pid(take_part(path), caller).ok() && path.empty();
}

Result<DirectoryEntry> next_process_file(std::string_view path, std::uint64_t index, task::Task& caller) {
    if (index >= std::size(kProcessFiles)) {
        return Error::NoEntry;
    }
    static_cast<void>(take_part(path));
    const TaskId pid = TRY(parse_pid(take_part(path), caller));
    return DirectoryEntry{.name = kProcessFiles[index].name,
                          .inode = first_inode_of(pid) + 1 + index,
                          .mode = kTypeRegular,
                          .next = kFixedPositions + index + 1};
}

Result<DirectoryEntry> next_entry(std::string_view path, std::uint64_t position,
                                  std::span<char, file::kMaxName> room, task::Task& caller) {
    if (is_process_directory(path, caller)) {
        return next_process_file(path, position - kFixedPositions, caller);
    }
    if (position < kInitrdPositions) {
        if (const auto fixed = next_fixed(path, position - kFixedPositions); fixed.ok()) {
            return fixed;
        }
        position = kInitrdPositions;
    }
    if (position < kProcessPositions) {
        if (const auto found = next_in_initrd(path, position - kInitrdPositions); found.ok()) {
            return found;
        }
        position = kProcessPositions;
    }
    return path == "proc" ? next_process(position - kProcessPositions, room)
                          : Result<DirectoryEntry>{Error::NoEntry};
}

}  // namespace

Result<void> reserve(std::size_t entries) {
    return initrd_index::reserve(entries);
}

Result<void> add_file(std::string_view path, mm::FileObject& object, std::uint32_t mode) {
    return initrd_index::add(path, &object, (mode & ~kTypeMask) | kTypeRegular);
}

Result<void> add_directory(std::string_view path, std::uint32_t mode) {
    return initrd_index::add(path, nullptr, (mode & ~kTypeMask) | kTypeDirectory);
}

Result<mm::FileObject*> find_program(std::string_view path) {
    Path canonical;
    TRY(canonical.append(path));
    const initrd_index::Found found = TRY(initrd_index::find(canonical.text()));
    if (found.object == nullptr) {
        return Error::IsDirectory;
    }
    return found.object;
}

std::optional<MemoryPath> find_in_memory(const Path& path) {
    return memory_path(path.text());
}

Result<Node> find(const Path& path, task::Task& caller) {
    auto found = find_canonical(path.text(), caller);
    if (!found.ok()) {
        return reason_for_absence(path.text(), caller);
    }
    if (path.ends_as_directory() && !found->is_directory()) {
        return Error::NotDirectory;
    }
    return found;
}

Result<Ref<OpenFile>> open(const Path& path, const Node& node, std::uint32_t flags, task::Task& caller) {
    switch (node.kind) {
        case NodeKind::Console:
            return console::open(flags);
        case NodeKind::Device:
            return file::open_device(node.device, flags, node.status);
        case NodeKind::File:
            return file::open_initrd_file(*node.object, flags, node.status);
        case NodeKind::Directory:
            return file::open_constant_directory(path.text(), &next_entry, flags, node.status);
        case NodeKind::Memory:
            return file::tmpfs::open(*node.memory, flags);
        case NodeKind::Information:
            break;
    }
    const std::span<char> room = TRY(file::allocate_text(frames_order_of(node.information)));
    LineWriter out{room};
    if (const auto described = describe(node.information, node.process, caller, out); !described.ok()) {
        file::free_text(room);
        return described.error();
    }
    return file::open_text(room, out.text().size(), flags, node.status);
}

}  // namespace kernel::syscall::file_system
