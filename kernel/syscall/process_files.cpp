// SPDX-License-Identifier: MIT
#include "syscall/process_files.hpp"

#include <algorithm>
#include <optional>

#include "lib/format.hpp"
#include "syscall/information.hpp"
#include "syscall/path.hpp"
#include "task/file_table.hpp"
#include "task/lifecycle.hpp"
#include "task/task_table.hpp"

namespace kernel::syscall::process_files {

namespace {

using file::DirectoryEntry;
using file_system::Node;
using file_system::NodeKind;

constexpr std::uint32_t kReadableByAll = task::kTypeRegular | 0444;
constexpr std::uint32_t kWritableByOwner = 0200;
constexpr std::uint32_t kDirectoryMode = task::kTypeDirectory | 0555;
constexpr std::uint32_t kLinkMode = task::kTypeLink | 0777;
constexpr std::uint32_t kTasksPerStep = 16;  // threads passed over on the way to the next one wanted

// What a name stands for; a text is an Information.
enum class Kind : std::uint8_t { Text, Program, CurrentDirectory, Root, Descriptors, Threads };
struct File {
    std::string_view name;
    Kind kind{Kind::Text};
    Information information{};
};
// Threads is last: a thread does not have it.
constexpr File kFiles[]{
    {"stat", Kind::Text, Information::ProcessStat},
    {"status", Kind::Text, Information::ProcessStatus},
    {"statm", Kind::Text, Information::ProcessMemory},
    {"cmdline", Kind::Text, Information::ProcessArguments},
    {"comm", Kind::Text, Information::ProcessComm},
    {"maps", Kind::Text, Information::ProcessMaps},
    {"schedstat", Kind::Text, Information::ProcessSchedule},
    {"limits", Kind::Text, Information::ProcessLimits},
    {"mounts", Kind::Text, Information::Mounts},
    {"exe", Kind::Program, {}},
    {"cwd", Kind::CurrentDirectory, {}},
    {"root", Kind::Root, {}},
    {"fd", Kind::Descriptors, {}},
    {"task", Kind::Threads, {}},
};

// Inode numbers: a block per process and one per thread, in it the directory, its files, its descriptors.
constexpr std::uint64_t kFirstInode = std::uint64_t{1} << 33;
constexpr std::uint64_t kInodesPerBlock = 1024;
constexpr std::uint64_t kFirstDescriptorInode = 64;
static_assert(kFirstDescriptorInode + task::FileTable::kMaxFiles <= kInodesPerBlock);
static_assert(std::size(kFiles) < kFirstDescriptorInode);

std::optional<std::uint32_t> parse_number(std::string_view text) {
    constexpr std::size_t kMaxDigits = 9;  // so that it cannot overflow
    if (text.empty() || text.size() > kMaxDigits || (text.size() > 1 && text[0] == '0')) {
        return std::nullopt;
    }
    std::uint32_t number = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9') {
            return std::nullopt;
        }
        number = number * 10 + static_cast<std::uint32_t>(digit - '0');
    }
    return number;
}

// A path taken apart. `file` null: the directory of the process or thread itself.
struct Place {
    Ref<task::Task> task;  // the thread, or the process's first
    bool is_thread{false};
    const File* file{nullptr};
    std::optional<std::uint32_t> descriptor;  // of a name below fd

    [[nodiscard]] std::uint64_t first_inode() const {
        return kFirstInode + (std::uint64_t{task->tid().value()} * 2 + (is_thread ? 1 : 0)) * kInodesPerBlock;
    }
    [[nodiscard]] std::uint64_t inode() const {
        if (descriptor) {
            return first_inode() + kFirstDescriptorInode + *descriptor;
        }
        return first_inode() + (file == nullptr ? 0 : 1 + static_cast<std::uint64_t>(file - kFiles));
    }
    [[nodiscard]] bool is_link() const {
        return descriptor.has_value() ||
               (file != nullptr && (file->kind == Kind::Program || file->kind == Kind::CurrentDirectory ||
                                    file->kind == Kind::Root));
    }
};

std::span<const File> files_of(const Place& place) {
    return std::span{kFiles}.first(std::size(kFiles) - (place.is_thread ? 1 : 0));
}

Result<Ref<task::Task>> find_leader(std::string_view text) {
    const auto number = parse_number(text);
    Ref<task::Task> task = number ? task::lookup_task(TaskId{*number}) : Ref<task::Task>{};
    if (!task || task->process().pid() != task->tid()) {
        return Error::NoEntry;
    }
    return task;
}

Result<Place> take_apart(std::string_view path) {
    Place place;
    place.task = TRY(find_leader(take_part(path)));
    std::string_view name = take_part(path);
    if (name == "task" && !path.empty()) {
        const auto tid = parse_number(take_part(path));
        Ref<task::Task> thread = tid ? task::lookup_task(TaskId{*tid}) : Ref<task::Task>{};
        if (!thread || &thread->process() != &place.task->process()) {
            return Error::NoEntry;
        }
        place.task = std::move(thread);
        place.is_thread = true;
        name = take_part(path);
    }
    if (name.empty()) {
        return place;
    }
    const std::span<const File> files = files_of(place);
    const auto found = std::ranges::find(files, name, &File::name);
    if (found == files.end()) {
        return Error::NoEntry;
    }
    place.file = &*found;
    if (place.file->kind == Kind::Descriptors) {
        if (const std::string_view descriptor = take_part(path); !descriptor.empty()) {
            place.descriptor = parse_number(descriptor);
            if (!place.descriptor ||
                !place.task->process().files.find(static_cast<std::int32_t>(*place.descriptor)).ok()) {
                return Error::NoEntry;
            }
        }
    }
    return path.empty() ? Result<Place>{std::move(place)} : Error::NoEntry;
}

std::uint32_t mode_of(const Place& place) {
    if (place.is_link()) {
        return kLinkMode;
    }
    if (place.file == nullptr || place.file->kind != Kind::Text) {
        return kDirectoryMode;
    }
    return kReadableByAll | (place.file->information == Information::ProcessComm ? kWritableByOwner : 0);
}

// A path with its "/" in front.
Result<std::string_view> with_slash(std::string_view path, std::span<char> room) {
    if (path.starts_with('/')) {
        path.remove_prefix(1);
    }
    if (path.size() + 1 > room.size()) {
        return Error::NameTooLong;
    }
    room[0] = '/';
    path.copy(room.data() + 1, path.size());
    return std::string_view{room.data(), path.size() + 1};
}

Result<std::string_view> current_directory(task::Process& process, std::span<char> room) {
    const Ref<task::OpenFile> directory = process.files.directory();
    if (!directory) {
        return with_slash({}, room);
    }
    Path path;
    return with_slash(TRY(directory->directory_path(path.room())), room);
}

Result<DirectoryEntry> next_descriptor(const Place& place, std::uint64_t from, std::span<char> room) {
    const auto next = place.task->process().files.next_open(
        static_cast<std::uint32_t>(std::min<std::uint64_t>(from, task::FileTable::kMaxFiles)));
    if (!next) {
        return Error::NoEntry;
    }
    LineWriter out{room};
    out << *next;
    return DirectoryEntry{.name = out.text(),
                          .inode = place.first_inode() + kFirstDescriptorInode + *next,
                          .mode = kLinkMode,
                          .next = std::uint64_t{*next} + 1};
}

// The next task after id `from` that is wanted: a thread of `process`, or any process's first.
Result<DirectoryEntry> next_task(std::uint64_t from, const task::Process* process, std::span<char> room) {
    TaskId at{static_cast<std::uint32_t>(std::min<std::uint64_t>(from, task::kMaxTasks))};
    for (std::uint32_t looked_at = 0; looked_at < kTasksPerStep; ++looked_at) {
        Ref<task::Task> task = task::lookup_next_task(at);
        if (!task) {
            return Error::NoEntry;
        }
        at = task->tid();
        if (process == nullptr ? at == task->process().pid() : &task->process() == process) {
            LineWriter out{room};
            out << at;
            Place place;
            place.task = std::move(task);
            place.is_thread = process != nullptr;
            return DirectoryEntry{
                .name = out.text(), .inode = place.inode(), .mode = kDirectoryMode, .next = at.value()};
        }
    }
    return DirectoryEntry{.next = at.value()};
}

}  // namespace

Result<Node> find(std::string_view path) {
    const Place place = TRY(take_apart(path));
    const std::uint32_t mode = mode_of(place);
    const bool is_directory = (mode & task::kTypeMask) == task::kTypeDirectory;
    Node node{.kind = is_directory      ? NodeKind::Directory
                      : place.is_link() ? NodeKind::Link
                                        : NodeKind::Information,
              .status = {.mode = mode,
                         .inode = place.inode(),
                         .links = is_directory ? 2U : 1U,
                         .is_read_only = (mode & kWritableByOwner) == 0}};
    if (node.kind == NodeKind::Information) {
        node.information = place.file->information;
        node.subject = {.tid = place.task->tid(), .is_thread = place.is_thread};
    }
    return node;
}

Result<std::string_view> read_link(std::string_view path, std::span<char> room) {
    const Place place = TRY(take_apart(path));
    if (!place.is_link()) {
        return Error::InvalidArgument;
    }
    task::Process& process = place.task->process();
    if (place.descriptor) {
        return TRY(process.files.find(static_cast<std::int32_t>(*place.descriptor)))->link_text(room);
    }
    switch (place.file->kind) {
        case Kind::Program:
            return program_text(process, room);
        case Kind::CurrentDirectory:
            return current_directory(process, room);
        default:
            return with_slash({}, room);
    }
}

Result<std::string_view> program_text(task::Process& process, std::span<char> room) {
    const mm::FileRef program = task::program_of(process);
    return program ? program->link_text(room) : Result<std::string_view>{Error::NoEntry};
}

Result<Ref<task::OpenFile>> find_open_file(std::string_view path) {
    const Place place = TRY(take_apart(path));
    if (!place.descriptor) {
        return Error::NoEntry;
    }
    return place.task->process().files.find(static_cast<std::int32_t>(*place.descriptor));
}

Result<void> set_name(task::Task& caller, std::uint64_t tid, std::string_view name) {
    const Ref<task::Task> task = task::lookup_task(TaskId{static_cast<std::uint32_t>(tid)});
    if (!task) {
        return Error::NoProcess;
    }
    if (&task->process() != &caller.process()) {
        return Error::InvalidArgument;
    }
    task->set_name(name);
    return {};
}

Result<DirectoryEntry> next_process(std::uint64_t from, std::span<char> room) {
    return next_task(from, nullptr, room);
}

Result<DirectoryEntry> next_below(std::string_view path, std::uint64_t index, std::span<char> room) {
    Place place = TRY(take_apart(path));
    if (place.file != nullptr) {
        return place.file->kind == Kind::Threads ? next_task(index, &place.task->process(), room)
                                                 : next_descriptor(place, index, room);
    }
    const std::span<const File> files = files_of(place);
    if (index >= files.size()) {
        return Error::NoEntry;
    }
    place.file = &files[index];
    return DirectoryEntry{
        .name = place.file->name, .inode = place.inode(), .mode = mode_of(place), .next = index + 1};
}

}  // namespace kernel::syscall::process_files
