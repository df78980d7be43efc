// SPDX-License-Identifier: MIT
#include "file/directory.hpp"

#include <algorithm>
#include <cstring>

#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "task/process.hpp"

namespace kernel::file {

namespace {

// Steps of one getdents64: a program that wants more entries calls again.
constexpr std::uint32_t kStepsPerCall = 64;

// struct linux_dirent64 without its name (getdents(2)).
struct [[gnu::packed]] EntryHead {
    std::uint64_t inode;
    std::uint64_t next;
    std::uint16_t bytes;
    std::uint8_t type;  // DT_*: st_mode's type bits
};
constexpr std::size_t kHeadBytes = 19;
static_assert(sizeof(EntryHead) == kHeadBytes);
constexpr std::size_t kEntryAlignment = 8;
constexpr unsigned kTypeShift = 12;
constexpr std::size_t kMaxEntryBytes =
    (kHeadBytes + kMaxName + 1 + kEntryAlignment - 1) / kEntryAlignment * kEntryAlignment;

// The entry as getdents64 writes it, in `to`.
std::size_t encode(const DirectoryEntry& entry, std::span<char, kMaxEntryBytes> to) {
    const std::size_t used = kHeadBytes + entry.name.size() + 1;
    const std::size_t bytes = (used + kEntryAlignment - 1) / kEntryAlignment * kEntryAlignment;
    const EntryHead head{.inode = entry.inode,
                         .next = entry.next,
                         .bytes = static_cast<std::uint16_t>(bytes),
                         .type = static_cast<std::uint8_t>((entry.mode & task::kTypeMask) >> kTypeShift)};
    std::memcpy(to.data(), &head, kHeadBytes);
    std::memcpy(to.data() + kHeadBytes, entry.name.data(), entry.name.size());
    std::memset(to.data() + kHeadBytes + entry.name.size(), 0, bytes - kHeadBytes - entry.name.size());
    return bytes;
}

class ConstantDirectory final : public Directory {
  public:
    [[nodiscard]] task::FileStatus status() const override { return status_; }
    Result<std::string_view> directory_path(std::span<char> to) const override {
        if (path_bytes_ > to.size()) {
            return Error::NameTooLong;
        }
        std::memcpy(to.data(), path_.data(), path_bytes_);
        return std::string_view{to.data(), path_bytes_};
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    ConstantDirectory(std::string_view path, EntryFinder finder, std::uint32_t flags,
                      const task::FileStatus& status)
        : Directory{flags}, path_bytes_{path.size()}, finder_{finder}, status_{status} {
        path.copy(path_.data(), path.size());
    }
    ~ConstantDirectory() = default;
    void close() override;
    Result<DirectoryEntry> entry_at(std::uint64_t position, std::span<char, kMaxName> room,
                                    task::Task& caller) override {
        return finder_({path_.data(), path_bytes_}, position, room, caller);
    }

    std::array<char, kMaxPath> path_;
    std::size_t path_bytes_;
    EntryFinder finder_;
    task::FileStatus status_;
};

constinit mm::ObjectPool<ConstantDirectory> pool;

void ConstantDirectory::close() {
    pool.destroy(this);
}

}  // namespace

task::SysResult Directory::list(task::Task& caller, mm::UserBuffers& buffers) {
    const auto room = buffers.next(~std::uint64_t{0});
    if (!room.ok()) {
        return room.error();
    }
    std::array<char, kMaxName> name;
    std::array<char, kMaxEntryBytes> encoded;
    std::uint64_t written = 0;
    std::uint64_t position = position_.load();
    bool is_at_end = false;
    for (std::uint32_t steps = 0; steps < kStepsPerCall; ++steps) {
        // Parents are not told apart: programs read the inode of ".." from stat.
        const auto entry = position < kFirstPosition
                               ? Result<DirectoryEntry>{DirectoryEntry{.name = position == 0 ? "." : "..",
                                                                       .inode = status().inode,
                                                                       .mode = task::kTypeDirectory,
                                                                       .next = position + 1}}
                               : entry_at(position, name, caller);
        if (!entry.ok()) {
            is_at_end = true;
            break;
        }
        if (entry->name.empty()) {
            position = entry->next;
            position_.store(position);
            continue;
        }
        const std::size_t bytes = encode(*entry, encoded);
        if (bytes > room->bytes - written) {
            if (written == 0) {
                return Error::InvalidArgument;
            }
            break;
        }
        const auto copied = mm::copy_to_user(caller.process().space(), room->start + written,
                                             std::as_bytes(std::span{encoded}.first(bytes)));
        if (!copied.ok()) {
            return copied.error();
        }
        written += bytes;
        position = entry->next;
        position_.store(position);
    }
    return written > 0 || is_at_end ? task::SysResult{written} : task::SysResult::again();
}

Result<Ref<task::OpenFile>> open_constant_directory(std::string_view path, EntryFinder finder,
                                                    std::uint32_t flags, const task::FileStatus& status) {
    if (path.size() >= kMaxPath) {
        return Error::NameTooLong;
    }
    return Ref<task::OpenFile>::adopt(*TRY(pool.create(path, finder, flags, status)));
}

}  // namespace kernel::file
