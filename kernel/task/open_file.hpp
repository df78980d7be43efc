// SPDX-License-Identifier: MIT
// OpenFile: what Linux calls an open file description. Descriptors, threads and children share it by
// reference. Everything a descriptor can name is one of its kinds, each a class of its own: terminal,
// devices, files of the initrd and of memory, information texts, directories, pipes, sockets. What a kind
// does not support it leaves to the defaults here, which answer as Linux does.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "mm/user_buffers.hpp"
#include "task/sys_result.hpp"

namespace kernel::mm {
class FileObject;
}  // namespace kernel::mm

namespace kernel::file {
class EventList;
class Pipe;
class PollWatch;
class TimerFile;
struct Watched;
}  // namespace kernel::file

namespace kernel::task {

class Task;

// Linux' open flags (include/uapi/asm-generic/fcntl.h).
inline constexpr std::uint32_t kOpenAccessMask = 3;
inline constexpr std::uint32_t kOpenReadOnly = 0;
inline constexpr std::uint32_t kOpenWriteOnly = 1;
inline constexpr std::uint32_t kOpenReadWrite = 2;
inline constexpr std::uint32_t kOpenCreate = 0100;
inline constexpr std::uint32_t kOpenExclusive = 0200;
inline constexpr std::uint32_t kOpenTruncate = 01000;
inline constexpr std::uint32_t kOpenAppend = 02000;
inline constexpr std::uint32_t kOpenNonBlocking = 04000;
inline constexpr std::uint32_t kOpenDirectory = 0200000;
inline constexpr std::uint32_t kOpenNoFollow = 0400000;
inline constexpr std::uint32_t kOpenCloseOnExec = 02000000;
// What fcntl(F_SETFL) can change; the rest it passes over.
inline constexpr std::uint32_t kSettableFlags = kOpenAppend | kOpenNonBlocking;

// st_mode's file types (include/uapi/linux/stat.h).
inline constexpr std::uint32_t kTypeMask = 0170000;
inline constexpr std::uint32_t kTypeSocket = 0140000;
inline constexpr std::uint32_t kTypeLink = 0120000;
inline constexpr std::uint32_t kTypeRegular = 0100000;
inline constexpr std::uint32_t kTypeDirectory = 0040000;
inline constexpr std::uint32_t kTypeCharacter = 0020000;
inline constexpr std::uint32_t kTypePipe = 0010000;

// What stat says of a file.
struct FileStatus {
    std::uint32_t mode{0};  // st_mode: type and permissions
    std::uint64_t inode{0};
    std::uint64_t bytes{0};
    std::uint64_t filesystem{1};      // st_dev
    std::uint64_t special_device{0};  // st_rdev
    std::uint32_t links{1};
    std::uint32_t block_bytes{4096};  // st_blksize
    std::int64_t modified_ns{0};      // since boot, 0 = long ago; also st_atime and st_ctime
    bool is_read_only{false};         // on a file system that cannot be written to
};

// What is different for one message of a socket.
inline constexpr std::uint32_t kMessageDoNotWait = 1;
inline constexpr std::uint32_t kMessageNoSignal = 2;  // no SIGPIPE
inline constexpr std::uint32_t kMessagePeek = 4;      // what is received stays

enum class Whence : std::uint32_t { Start = 0, Current = 1, End = 2 };

// Linux' poll bits (include/uapi/asm-generic/poll.h).
inline constexpr std::uint32_t kPollIn = 0x1;
inline constexpr std::uint32_t kPollOut = 0x4;
inline constexpr std::uint32_t kPollError = 0x8;
inline constexpr std::uint32_t kPollHangUp = 0x10;
inline constexpr std::uint32_t kPollInvalid = 0x20;
inline constexpr std::uint32_t kPollReadHangUp = 0x2000;

// Concurrency: the flags are atomic; each kind guards its own state. Calls that transfer bytes may block
// (SysResult::blocked()) or go in pieces (SysResult::again()); they keep how far they came in
// Task::call_progress.
class OpenFile : public RefCounted<OpenFile> {
  public:
    static void last_reference_gone(OpenFile& file);
    // Somebody asks for a lock on it (file_locks.hpp).
    void set_locked() { is_locked_.store(true); }
    // What the event lists that it is or was on share; null: it was on none. It stays as long as the file.
    [[nodiscard]] file::Watched* watched() const { return watched_.load(std::memory_order_acquire); }
    // Gives the file that, with the caller's reference: `forget` gets it back when the file goes, one
    // function for all files. False, and nothing done: it has one already.
    [[nodiscard]] bool set_watched(file::Watched& watched, void (*forget)(file::Watched&));

    // As given to open, without what counts only there.
    [[nodiscard]] std::uint32_t flags() const { return flags_.load(std::memory_order_relaxed); }
    // Changes kSettableFlags.
    void set_flags(std::uint32_t flags) {
        flags_.store((flags_.load(std::memory_order_relaxed) & ~kSettableFlags) | (flags & kSettableFlags),
                     std::memory_order_relaxed);
    }
    [[nodiscard]] bool is_readable() const { return (flags() & kOpenAccessMask) != kOpenWriteOnly; }
    [[nodiscard]] bool is_writable() const { return (flags() & kOpenAccessMask) != kOpenReadOnly; }
    [[nodiscard]] bool is_nonblocking() const { return (flags() & kOpenNonBlocking) != 0; }

    // Pre for both: the file is readable, or writable, and seekable where `at`, pread's and pwrite's offset,
    // is given; without it the file's own position is used and moves.
    virtual SysResult read(Task& caller, mm::UserBuffers& buffers, std::optional<std::uint64_t> at);
    virtual SysResult write(Task& caller, mm::UserBuffers& buffers, std::optional<std::uint64_t> at);
    // What sockets do beside: `flags` are kMessage*. Errors: NotSocket for anything else.
    virtual SysResult send(Task& caller, mm::UserBuffers& buffers, std::uint32_t flags);
    virtual SysResult receive(Task& caller, mm::UserBuffers& buffers, std::uint32_t flags);
    // Ends the reading side, the writing side, or both.
    virtual Result<void> shut_down(bool reading, bool writing);
    // Whether pread and pwrite are possible.
    [[nodiscard]] virtual bool is_seekable() const { return false; }
    // Returns the new position. Errors: IllegalSeek, InvalidArgument, Overflow.
    virtual Result<std::uint64_t> seek(std::int64_t offset, Whence whence);
    [[nodiscard]] virtual FileStatus status() const = 0;
    // ioctl. Errors: NotTerminal for what the kind does not know.
    virtual SysResult control(Task& caller, std::uint32_t request, std::uint64_t argument);
    // What would not block now, and errors (kPoll*). The caller may be about to wait until that changes: what
    // can change adds itself to `watch` (file/poll.hpp).
    [[nodiscard]] virtual std::uint32_t poll(file::PollWatch& watch);
    // ftruncate; false: not done, call again. Errors: InvalidArgument for what has no length to set,
    // FileTooBig.
    virtual Result<bool> truncate(std::uint64_t bytes);
    // Permissions, and when it was changed, since boot. Errors: ReadOnly for what cannot be changed.
    virtual Result<void> set_permissions(std::uint32_t mode);
    virtual Result<void> set_modified(std::int64_t ns);
    // What a mapping of it shows; null with Zero: fresh memory. Errors: NoDevice.
    struct Mappable {
        mm::FileObject* object{nullptr};
        std::uint64_t bytes{0};
        bool is_zero{false};  // as anonymous memory
    };
    [[nodiscard]] virtual Result<Mappable> mappable();
    // getdents64: copies entries from the position on. Errors: NotDirectory, InvalidArgument when not even
    // one fits, BadAddress.
    virtual SysResult list(Task& caller, mm::UserBuffers& buffers);
    // The path of a directory without leading "/", written to `to`. Errors: NotDirectory; NoEntry when it was
    // removed; NameTooLong.
    virtual Result<std::string_view> directory_path(std::span<char> to) const;
    // What the link in /proc/<pid>/fd says: a path, or its type and inode. Errors: NameTooLong.
    [[nodiscard]] virtual Result<std::string_view> link_text(std::span<char> to) const;
    // What opening that link gives: another description of the same file where that makes sense, else this
    // one. Errors: NoMemory.
    virtual Result<Ref<OpenFile>> reopen(std::uint32_t flags);
    // For open(): whether the caller waits for somebody to open the other side of this end of a named pipe,
    // and is to look again then. A signal that ends the wait has `undo` called
    // (OnSignal::IsUndone); null: it is only asked, no wait begins.
    [[nodiscard]] virtual bool begin_wait_for_partner(Task& caller, void (*undo)(Task&));
    // What epoll_ctl and epoll_pwait are for, and timerfd_settime; null: it is something else.
    [[nodiscard]] virtual file::EventList* event_list() { return nullptr; }
    [[nodiscard]] virtual file::TimerFile* timer() { return nullptr; }
    // The capacity of a pipe. Errors: BadDescriptor for anything else.
    [[nodiscard]] virtual Result<std::uint64_t> pipe_bytes() const;

    // The pipe that plain reads come from, and the one that plain writes go to, of those that
    // Pipe::read_at_once() and write_at_once() know; null: none. It lives as long as the file. Atomic.
    [[nodiscard]] file::Pipe* pipe_in() const { return pipe_in_.load(std::memory_order_relaxed); }
    [[nodiscard]] file::Pipe* pipe_out() const { return pipe_out_.load(std::memory_order_relaxed); }

  protected:
    explicit OpenFile(std::uint32_t flags) : flags_{flags & ~kOnlyForOpen} {}
    void set_pipe_in(file::Pipe* pipe) { pipe_in_.store(pipe, std::memory_order_relaxed); }
    void set_pipe_out(file::Pipe* pipe) { pipe_out_.store(pipe, std::memory_order_relaxed); }
    ~OpenFile() = default;

  private:
    static constexpr std::uint32_t kOnlyForOpen =
        kOpenCreate | kOpenExclusive | kOpenTruncate | kOpenCloseOnExec;

    // The last reference is gone: gives up what the file holds and its memory.
    virtual void close() = 0;

    std::atomic<std::uint32_t> flags_;
    // Who is to be told when it goes.
    std::atomic<file::Watched*> watched_{nullptr};
    std::atomic<bool> is_locked_{false};
    std::atomic<file::Pipe*> pipe_in_{nullptr};
    std::atomic<file::Pipe*> pipe_out_{nullptr};
};

// Files that are closed may leave memory behind that takes long to give back: `step` gives some of it back
// and is true when there is none. Set once at boot.
void set_clean_up_hook(bool (*step)());
[[nodiscard]] bool clean_up_step();

}  // namespace kernel::task
