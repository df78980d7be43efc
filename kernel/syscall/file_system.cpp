// SPDX-License-Identifier: MIT
#include "syscall/file_system.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "file/directory.hpp"
#include "file/fixed_files.hpp"
#include "syscall/console.hpp"
#include "syscall/cpu_files.hpp"
#include "syscall/fixed_paths.hpp"
#include "syscall/initrd_index.hpp"
#include "syscall/process_files.hpp"
#include "task/process.hpp"
#include "task/short_cuts.hpp"

namespace kernel::syscall::file_system {

namespace {

using file::DirectoryEntry;
using task::FileStatus;
using task::kTypeMask;
using task::OpenFile;

constexpr std::uint32_t kExecutableByAny = 0111;
constexpr std::uint32_t kMaxLinks = 40;  // as on Linux

Node directory(std::uint64_t inode, std::uint32_t mode) {
    return {.kind = NodeKind::Directory,
            .status = {.mode = mode, .inode = inode, .links = 2, .is_read_only = true}};
}

Node node_of(const initrd_index::Found& found) {
    if (found.object == nullptr) {
        return directory(found.inode, found.mode);
    }
    return {.kind = found.is_link() ? NodeKind::Link : NodeKind::File,
            .status = {.mode = found.mode,
                       .inode = found.inode,
                       .bytes = found.object->contents().size(),
                       .is_read_only = true},
            .object = found.object};
}

Result<Node> find_fixed(std::string_view path) {
    const Fixed* const found = fixed_at(path);
    if (found == nullptr) {
        return Error::NoEntry;
    }
    if (found->kind == NodeKind::Directory) {
        return directory(inode_of(*found), found->mode);
    }
    if (found->kind == NodeKind::Console) {
        return Node{
            .kind = NodeKind::Console, .status = console::status(), .is_own_terminal = path == kOwnTerminal};
    }
    return Node{
        .kind = found->kind,
        .status = {.mode = found->mode,
                   .inode = inode_of(*found),
                   .is_read_only = found->kind == NodeKind::Information || found->kind == NodeKind::Link},
        .device = found->device,
        .information = found->information,
        .text = found->text};
}

struct MountPoint {
    std::string_view path;
    file::tmpfs::Root root;
};
constexpr MountPoint kMountPoints[]{{"tmp", file::tmpfs::Root::Tmp}, {"dev/shm", file::tmpfs::Root::Shm}};

std::optional<MemoryPath> memory_path(std::string_view path) {
    for (const MountPoint& mount : kMountPoints) {
        if (path.empty() || path.front() != mount.path.front()) {
            continue;
        }
        if (path == mount.path) {
            return MemoryPath{.root = mount.root};
        }
        if (path.starts_with(mount.path) && path[mount.path.size()] == '/') {
            return MemoryPath{.root = mount.root, .rest = path.substr(mount.path.size() + 1)};
        }
    }
    return std::nullopt;
}

// Below "proc/"; else nothing.
std::optional<std::string_view> process_path(std::string_view path) {
    if (!path.starts_with(kProcesses)) {
        return std::nullopt;
    }
    return path.substr(kProcesses.size());
}

Result<Node> find_resolved(std::string_view path) {
    if (const auto place = memory_path(path)) {
        auto node = TRY(file::tmpfs::find(place->root, place->rest));
        const FileStatus status = node->status();
        const bool is_link = (status.mode & kTypeMask) == kTypeLink;
        return Node{
            .kind = is_link ? NodeKind::Link : NodeKind::Memory, .status = status, .memory = std::move(node)};
    }
    // Devices and information come first: an initrd's /dev/console is a node for another kernel.
    if (auto fixed = find_fixed(path); fixed.ok()) {
        return fixed;
    }
    if (const auto place = process_path(path)) {
        if (auto of_process = process_files::find(*place); of_process.ok()) {
            return of_process;
        }
    }
    if (path.starts_with(kCpus)) {
        if (auto of_cpu = cpu_files::find(path.substr(kCpus.size())); of_cpu.ok()) {
            return of_cpu;
        }
    }
    return node_of(TRY(initrd_index::find(path)));
}

// Why nothing was found: something on the way is not a directory, or is not there.
Error reason_for_absence(std::string_view path) {
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
        const auto above = find_resolved(path.substr(0, slash));
        if (!above.ok()) {
            return Error::NoEntry;
        }
        if (!above->is_directory()) {
            return Error::NotDirectory;
        }
    }
    return Error::NoEntry;
}

// ---- Symbolic links

Result<std::string_view> copy_text(std::string_view text, std::span<char> room) {
    if (text.size() > room.size()) {
        return Error::NameTooLong;
    }
    return std::string_view{room.data(), text.copy(room.data(), room.size())};
}

// "12", or "12/task/14".
Result<std::string_view> self_text(task::Task* caller, bool with_thread, std::span<char> room) {
    if (caller == nullptr) {
        return Error::NoEntry;
    }
    LineWriter out{room};
    out << caller->process().pid();
    if (with_thread) {
        out << "/task/" << caller->tid();
    }
    return out.text();
}

// As read_link(); cheap for what is no link.
Result<std::string_view> link_at(std::string_view path, std::span<char> room, task::Task* caller) {
    if (const auto place = memory_path(path)) {
        return file::tmpfs::read_link(place->root, place->rest, room);
    }
    if (const Fixed* const fixed = fixed_at(path); fixed != nullptr) {
        if (fixed->kind != NodeKind::Link) {
            return Error::InvalidArgument;
        }
        return fixed->text.empty() ? self_text(caller, path.ends_with("thread-self"), room)
                                   : copy_text(fixed->text, room);
    }
    if (const auto place = process_path(path)) {
        return process_files::read_link(*place, room);
    }
    const initrd_index::Found found = TRY(initrd_index::find(path));
    if (!found.is_link()) {
        return Error::InvalidArgument;
    }
    const auto target = found.object->contents();
    return copy_text({reinterpret_cast<const char*>(target.data()), target.size()}, room);
}

// "proc/12/fd/3".
bool is_descriptor(std::string_view path) {
    const auto place = process_path(path);
    return place && process_files::find_open_file(*place).ok();
}

// ---- Programs found before

// Files of the initrd that find_program() found by their own path, with no link on the way. The initrd never
// changes, and nothing else can come to lie there: what is made later lies below mount points, and what is
// below "proc" and "sys" is left out. So the next search needs no step down the path. Atomic, each.
constexpr std::size_t kKnownPrograms = 32;
constinit std::array<std::atomic<mm::FileObject*>, kKnownPrograms> known_programs{};

// Pre: not empty.
std::atomic<mm::FileObject*>& known_program_place(std::string_view path) {
    return known_programs[(path.size() * 5 + static_cast<unsigned char>(path.back())) % kKnownPrograms];
}

mm::FileObject* find_known_program(std::string_view text) {
    if (!text.starts_with('/') || !task::takes_short_cuts()) {
        return nullptr;
    }
    mm::FileObject* const known = known_program_place(text).load(std::memory_order_acquire);
    return known != nullptr && known->constant_path() == text.substr(1) ? known : nullptr;
}

void remember_program(std::string_view text, std::string_view path, mm::FileObject& file) {
    if (text.starts_with('/') && text.substr(1) == path && path == file.constant_path() &&
        !path.starts_with(kProcesses) && !path.starts_with("sys/")) {
        known_program_place(text).store(&file, std::memory_order_release);
    }
}

// What is still to be walked: the target of a link, then what follows it.
class Pending {
  public:
    // Where the next target goes.
    [[nodiscard]] std::span<char> room() { return buffers_[next_]; }
    // `target` is in room(), `rest` may be in the other buffer. Errors: NameTooLong.
    Result<std::string_view> join(std::string_view target, std::string_view rest) {
        std::array<char, kMaxPath>& buffer = buffers_[next_];
        if (target.size() + rest.size() > buffer.size()) {
            return Error::NameTooLong;
        }
        rest.copy(buffer.data() + target.size(), rest.size());
        next_ = 1 - next_;
        return std::string_view{buffer.data(), target.size() + rest.size()};
    }

  private:
    std::array<std::array<char, kMaxPath>, 2> buffers_;
    std::size_t next_{0};
};

// ---- Listing: what is fixed, then what the initrd has, then processes. Each kind has a range of positions.

constexpr std::uint64_t kFixedPositions = file::Directory::kFirstPosition;
constexpr std::uint64_t kInitrdPositions = std::uint64_t{1} << 32;
constexpr std::uint64_t kProcessPositions = std::uint64_t{2} << 32;

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

Result<DirectoryEntry> next_entry(std::string_view path, std::uint64_t position,
                                  std::span<char, file::kMaxName> room, task::Task&) {
    if (const auto place = process_path(path); place && process_files::find(*place).ok()) {
        DirectoryEntry entry = TRY(process_files::next_below(*place, position - kFixedPositions, room));
        entry.next += kFixedPositions;
        return entry;
    }
    if (path.starts_with(kCpus)) {
        DirectoryEntry entry =
            TRY(cpu_files::next_below(path.substr(kCpus.size()), position - kFixedPositions, room));
        entry.next += kFixedPositions;
        return entry;
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
    if (path == kCpus.substr(0, kCpus.size() - 1)) {
        DirectoryEntry entry = TRY(cpu_files::next_below({}, position - kProcessPositions, room));
        entry.next += kProcessPositions;
        return entry;
    }
    if (path != "proc") {
        return Error::NoEntry;
    }
    DirectoryEntry entry = TRY(process_files::next_process(position - kProcessPositions, room));
    entry.next += kProcessPositions;
    return entry;
}

// ---- Texts: a subject in one word, its thread in the lower half, which is all that writers look at.

constexpr unsigned kCpuShift = 32;
constexpr std::uint64_t kIsThread = std::uint64_t{1} << 63;

std::uint64_t pack(const Subject& subject) {
    return subject.tid.value() | std::uint64_t{subject.cpu.value()} << kCpuShift |
           (subject.is_thread ? kIsThread : 0);
}

Result<void> describe_source(const file::TextSource& source, LineWriter& out) {
    const auto information = static_cast<Information>(source.kind);
    if (information == Information::Constant) {
        out << source.text;
        return {};
    }
    return describe(information,
                    {.tid = TaskId{static_cast<std::uint32_t>(source.subject)},
                     .is_thread = (source.subject & kIsThread) != 0,
                     .cpu = CpuId{static_cast<std::uint32_t>((source.subject & ~kIsThread) >> kCpuShift)}},
                    out);
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

Result<void> add_link(std::string_view path, mm::FileObject& target) {
    return initrd_index::add(path, &target, kLinkMode);
}

Result<Path> resolve(const Path& base, std::string_view text, FinalLink last, task::Task* caller) {
    Path at = base;
    Pending pending;
    bool ends_as_directory = names_directory(text);
    std::uint32_t links = 0;
    if (text.starts_with('/')) {
        at.clear();
    }
    for (std::string_view part = take_part(text); !part.empty(); part = take_part(text)) {
        if (part == ".") {
            continue;
        }
        if (part == "..") {
            at.go_up();
            continue;
        }
        TRY(at.append_name(part));
        if (text.empty() && last == FinalLink::Itself) {
            break;
        }
        const auto target = link_at(at.text(), pending.room(), caller);
        // A descriptor's link stands for the open file, whatever its text.
        if (!target.ok() || (!target->starts_with('/') && is_descriptor(at.text())) ||
            (text.find_first_not_of('/') == std::string_view::npos && is_descriptor(at.text()))) {
            continue;
        }
        if (++links > kMaxLinks) {
            return Error::TooManyLinks;
        }
        ends_as_directory = ends_as_directory || (text.empty() && names_directory(*target));
        text = TRY(pending.join(*target, text));
        at.go_up();
        if (text.starts_with('/')) {
            at.clear();
        }
    }
    at.set_ends_as_directory(ends_as_directory);
    return at;
}

Result<mm::FileRef> find_program(const Path& base, std::string_view text, task::Task* caller) {
    if (mm::FileObject* const known = find_known_program(text); known != nullptr) {
        return mm::FileRef{known};
    }
    const Path path = TRY(resolve(base, text, FinalLink::Followed, caller));
    const Node node = TRY(find(path, FinalLink::Followed));
    if (node.is_directory()) {
        return Error::IsDirectory;
    }
    if ((node.status.mode & kTypeMask) != kTypeRegular || (node.status.mode & kExecutableByAny) == 0) {
        return Error::AccessDenied;
    }
    switch (node.kind) {
        case NodeKind::File:
            remember_program(text, path.text(), *node.object);
            return mm::FileRef{node.object};
        case NodeKind::Memory:
            return mm::FileRef{&node.memory->contents};
        default:
            return Error::AccessDenied;
    }
}

Result<mm::FileRef> find_interpreter(std::string_view path) {
    return find_program({}, path, nullptr);
}

std::optional<MemoryPath> find_in_memory(const Path& path) {
    return memory_path(path.text());
}

Result<Node> find(const Path& path, FinalLink last) {
    auto found = find_resolved(path.text());
    if (!found.ok()) {
        return reason_for_absence(path.text());
    }
    if (found->kind == NodeKind::Link && last == FinalLink::Followed && is_descriptor(path.text())) {
        auto file = TRY(process_files::find_open_file(path.text().substr(kProcesses.size())));
        found->kind = NodeKind::Descriptor;
        found->status = file->status();
        found->descriptor = std::move(file);
    }
    if (path.ends_as_directory() && !found->is_directory()) {
        return Error::NotDirectory;
    }
    return found;
}

Result<std::string_view> read_link(const Path& path, std::span<char> room, task::Task& caller) {
    TRY(find(path));
    return link_at(path.text(), room, &caller);
}

Result<Ref<OpenFile>> open(const Path& path, const Node& node, std::uint32_t flags) {
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
        case NodeKind::Link:
            return Error::TooManyLinks;
        case NodeKind::Descriptor:
            return node.descriptor->reopen(flags);
        case NodeKind::Information:
            break;
    }
    const file::TextSource source{
        .describe = &describe_source,
        .write = node.information == Information::ProcessComm ? &process_files::set_name : nullptr,
        .kind = static_cast<std::uint64_t>(node.information),
        .subject = pack(node.subject),
        .text = node.text};
    return file::open_text(source, frames_order_of(node.information), flags, node.status);
}

}  // namespace kernel::syscall::file_system
