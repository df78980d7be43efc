// SPDX-License-Identifier: MIT
#include "syscall/cpu_files.hpp"

#include <algorithm>

#include "lib/format.hpp"
#include "syscall/path.hpp"
#include "task/dispatcher.hpp"

namespace kernel::syscall::cpu_files {

namespace {

using file_system::Node;
using file_system::NodeKind;

constexpr std::uint32_t kDirectoryMode = task::kTypeDirectory | 0555;
constexpr std::uint32_t kFileMode = task::kTypeRegular | 0444;
constexpr std::string_view kPrefix = "cpu";
// Behind those of processes and threads, before those of files in memory.
constexpr std::uint64_t kFirstInode = std::uint64_t{5} << 32;

struct File {
    std::string_view path;  // below the CPU's directory; "" is that itself
    std::uint32_t mode;
    Information information{};
};
constexpr File kFiles[]{
    {"", kDirectoryMode},
    {"online", kFileMode, Information::CpuIsOnline},
    {"topology", kDirectoryMode},
    {"topology/core_id", kFileMode, Information::CpuNumber},
    {"topology/physical_package_id", kFileMode, Information::CpuPackage},
};

// The number in "cpu12", kMaxCpus for anything else.
std::uint32_t number_in(std::string_view name) {
    if (!name.starts_with(kPrefix)) {
        return kMaxCpus;
    }
    name.remove_prefix(kPrefix.size());
    if (name.empty() || name.size() > 3 || (name.size() > 1 && name[0] == '0')) {
        return kMaxCpus;
    }
    std::uint32_t number = 0;
    for (const char digit : name) {
        if (digit < '0' || digit > '9') {
            return kMaxCpus;
        }
        number = number * 10 + static_cast<std::uint32_t>(digit - '0');
    }
    return std::min(number, std::uint32_t{kMaxCpus});
}

std::uint64_t inode_of(std::uint32_t cpu, const File& file) {
    return kFirstInode + cpu * std::size(kFiles) + static_cast<std::uint64_t>(&file - kFiles);
}

}  // namespace

Result<Node> find(std::string_view path) {
    const std::uint32_t cpu = number_in(take_part(path));
    if (cpu >= kMaxCpus || !task::possible_cpus().contains(CpuId{cpu})) {
        return Error::NoEntry;
    }
    path.remove_prefix(path.empty() ? 0 : 1);
    const auto* file = std::ranges::find(kFiles, path, &File::path);
    if (file == std::end(kFiles)) {
        return Error::NoEntry;
    }
    const bool is_directory = (file->mode & task::kTypeMask) == task::kTypeDirectory;
    return Node{.kind = is_directory ? NodeKind::Directory : NodeKind::Information,
                .status = {.mode = file->mode,
                           .inode = inode_of(cpu, *file),
                           .links = is_directory ? 2U : 1U,
                           .is_read_only = true},
                .information = file->information,
                .subject = {.cpu = CpuId{cpu}}};
}

Result<file::DirectoryEntry> next_below(std::string_view path, std::uint64_t index, std::span<char> room) {
    if (path.empty()) {
        for (auto cpu = static_cast<std::uint32_t>(std::min<std::uint64_t>(index, kMaxCpus)); cpu < kMaxCpus;
             ++cpu) {
            if (task::possible_cpus().contains(CpuId{cpu})) {
                LineWriter out{room};
                out << kPrefix << cpu;
                return file::DirectoryEntry{.name = out.text(),
                                            .inode = inode_of(cpu, kFiles[0]),
                                            .mode = kDirectoryMode,
                                            .next = std::uint64_t{cpu} + 1};
            }
        }
        return Error::NoEntry;
    }
    const std::uint32_t cpu = number_in(take_part(path));
    path.remove_prefix(path.empty() ? 0 : 1);
    for (; index < std::size(kFiles); ++index) {
        const File& file = kFiles[index];
        std::string_view name = file.path;
        if (!path.empty()) {
            if (!name.starts_with(path) || name.size() == path.size()) {
                continue;
            }
            name.remove_prefix(path.size() + 1);
        }
        if (!name.empty() && name.find('/') == std::string_view::npos) {
            return file::DirectoryEntry{
                .name = name, .inode = inode_of(cpu, file), .mode = file.mode, .next = index + 1};
        }
    }
    return Error::NoEntry;
}

}  // namespace kernel::syscall::cpu_files
