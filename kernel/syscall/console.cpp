// SPDX-License-Identifier: MIT
#include "syscall/console.hpp"

#include <array>
#include <atomic>
#include <utility>

#include "file/poll.hpp"
#include "lib/check.hpp"
#include "mm/slab.hpp"
#include "mm/user_buffers.hpp"
#include "mm/user_memory.hpp"
#include "nexus_abi/user_ptr.hpp"
#include "syscall/caller.hpp"
#include "syscall/console_ops.hpp"
#include "task/lifecycle.hpp"
#include "task/signal.hpp"
#include "task/wait.hpp"

namespace kernel::syscall {

namespace {

using mm::UserBuffers;
using nexus_abi::In;
using nexus_abi::Out;
using task::SysResult;

// Woken by one event. When more wait, each that gets something wakes the next: it may have left some.
constexpr std::uint32_t kWokenPerEvent = 16;

constinit ConsoleOps ops{};  // immutable after boot
constinit task::WaitQueue readers;
constinit task::WaitQueue writers;
// Somebody polls the terminal. Guarded by readers.lock().
constinit bool is_watched = false;
// The process that read from the terminal last: who Ctrl-C is for. Atomic; 0 = none.
constinit std::atomic<std::uint32_t> foreground{0};

}  // namespace

void set_console_ops(const ConsoleOps& given) {
    ops = given;
}

void console_input_ready() {
    static_cast<void>(readers.wake(kWokenPerEvent, 0));
    bool was_watched = false;
    {
        const LockGuard guard{readers.lock()};
        was_watched = std::exchange(is_watched, false);
    }
    if (was_watched) {
        file::poll_changed(&readers);
    }
}

void console_space_ready() {
    static_cast<void>(writers.wake(kWokenPerEvent, 0));
}

void console_signal(int signal) {
    const TaskId pid{foreground.load()};
    if (const Ref<task::Process> process = task::find_process(pid); process) {
        static_cast<void>(task::signal_process(*process, static_cast<std::uint32_t>(signal),
                                               {.code = task::signal::kFromKernel}));
    }
}

namespace console {

namespace {

// Reads what is there, at most kChunkBytes; waits for input, or answers TryAgain when `is_nonblocking`.
SysResult read(Caller& caller, UserBuffers& buffers, bool is_nonblocking) {
    const auto first = buffers.next(kChunkBytes);
    if (!first.ok()) {
        return first.error();
    }
    if (first->bytes == 0) {
        return std::uint64_t{0};
    }
    foreground.store(caller.process.pid().value());
    std::array<char, kChunkBytes> chunk;
    Result<std::size_t> taken{Error::TryAgain};
    {
        // console_input_ready() takes this lock, so input that comes now finds the wait.
        const LockGuard guard{readers.lock()};
        taken = ops.read(std::span{chunk}.first(first->bytes));
        if (!taken.ok() && taken.error() == Error::TryAgain && !is_nonblocking) {
            task::begin_wait(caller.task, &readers, {.run_again = true});
            return SysResult::blocked();
        }
    }
    if (!taken.ok()) {
        return taken.error();
    }
    static_cast<void>(readers.wake(1, 0));
    const auto copied =
        mm::copy_to_user(caller.space(), first->start, std::as_bytes(std::span{chunk}.first(*taken)));
    return copied.ok() ? SysResult{std::uint64_t{*taken}} : SysResult{copied.error()};
}

// Writes everything, in chunks that each appear in one piece; waits while there is no room, or returns what
// was written so far (TryAgain for nothing) when `is_nonblocking`.
SysResult write(Caller& caller, UserBuffers& buffers, bool is_nonblocking) {
    const std::uint64_t before = caller.task.call_progress;
    const auto done = [before](Error error) { return before > 0 ? SysResult{before} : SysResult{error}; };
    std::array<char, kChunkBytes> chunk;
    if (const auto skipped = buffers.skip(before); !skipped.ok()) {
        return done(skipped.error());
    }
    const auto filled = buffers.gather(chunk);
    if (!filled.ok()) {
        return done(filled.error());
    }
    if (*filled == 0) {
        return before;
    }
    Result<std::size_t> taken{Error::TryAgain};
    {
        // console_space_ready() takes this lock, so room that comes now finds the wait.
        const LockGuard guard{writers.lock()};
        taken = ops.try_write(std::span{chunk}.first(*filled));
        if (!taken.ok() && taken.error() == Error::TryAgain && !is_nonblocking) {
            task::begin_wait(caller.task, &writers, {.run_again = true});
            return SysResult::blocked();
        }
    }
    if (!taken.ok()) {
        return done(taken.error());
    }
    static_cast<void>(writers.wake(1, 0));
    const std::uint64_t total = before + *taken;
    if (*taken == *filled && *filled < chunk.size()) {
        return total;
    }
    caller.task.call_progress = total;
    return SysResult::again();
}

// include/uapi/asm-generic/ioctls.h
constexpr std::uint32_t kSetControllingTerminal = 0x540e;
constexpr std::uint32_t kGetProcessGroup = 0x540f;
constexpr std::uint32_t kSetProcessGroup = 0x5410;

template <class T>
SysResult give(Caller& caller, std::uint64_t address, const T& value) {
    return mm::copy_out(caller.space(), Out<T>{address}, value);
}

SysResult set_attributes(Caller& caller, std::uint64_t address, bool discards_input) {
    const auto wanted = mm::copy_in(caller.space(), In<nexus_abi::termios>{address});
    if (!wanted.ok()) {
        return wanted.error();
    }
    if (discards_input) {
        ops.discard_input();
    }
    ops.set_attributes(*wanted);
    return std::uint64_t{0};
}

SysResult control(Caller& caller, std::uint32_t request, std::uint64_t argument) {
    switch (request) {
        case nexus_abi::kTcgets:
            return give(caller, argument, ops.attributes());
        case nexus_abi::kTcsets:
        case nexus_abi::kTcsetsw:  // output before the change keeps its place in the ring
            return set_attributes(caller, argument, false);
        case nexus_abi::kTcsetsf:
            return set_attributes(caller, argument, true);
        case nexus_abi::kTiocgwinsz:
            return give(caller, argument, ops.window_size());
        case nexus_abi::kTiocswinsz: {
            const auto size = mm::copy_in(caller.space(), In<nexus_abi::winsize>{argument});
            if (!size.ok()) {
                return size.error();
            }
            ops.set_window_size(*size);
            return std::uint64_t{0};
        }
        case kGetProcessGroup:
            return give(caller, argument, caller.process.pid().value());
        case kSetControllingTerminal:
        case kSetProcessGroup:
            return std::uint64_t{0};  // there is one terminal, and its group is whoever reads from it
        default:
            return Error::NotTerminal;
    }
}

class ConsoleFile final : public task::OpenFile {
  public:
    SysResult read(task::Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        Caller called{caller};
        return console::read(called, buffers, is_nonblocking());
    }
    SysResult write(task::Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        Caller called{caller};
        return console::write(called, buffers, is_nonblocking());
    }
    SysResult control(task::Task& caller, std::uint32_t request, std::uint64_t argument) override {
        Caller called{caller};
        return console::control(called, request, argument);
    }
    [[nodiscard]] task::FileStatus status() const override { return console::status(); }
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const override {
        constexpr std::string_view kPath = "/dev/console";
        if (kPath.size() > to.size()) {
            return Error::NameTooLong;
        }
        return std::string_view{to.data(), kPath.copy(to.data(), to.size())};
    }
    Result<Ref<OpenFile>> reopen(std::uint32_t flags) override { return console::open(flags); }
    // Output goes to a buffer that empties by itself.
    [[nodiscard]] std::uint32_t poll(file::PollWatch& watch) override {
        watch.add(&readers);
        const LockGuard guard{readers.lock()};
        is_watched = true;
        return (ops.has_input() ? task::kPollIn : 0) | task::kPollOut;
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    explicit ConsoleFile(std::uint32_t flags) : OpenFile{flags} {}
    ~ConsoleFile() = default;
    void close() override;
};

constinit mm::ObjectPool<ConsoleFile> pool;

void ConsoleFile::close() {
    pool.destroy(this);
}

}  // namespace

task::FileStatus status() {
    constexpr std::uint32_t kMode = task::kTypeCharacter | 0620;
    constexpr std::uint64_t kDevice = 5 << 8 | 1;       // Linux' /dev/console
    constexpr std::uint64_t kInode = (1ULL << 32) - 1;  // before those of the other fixed files
    return {.mode = kMode, .inode = kInode, .special_device = kDevice, .block_bytes = kChunkBytes};
}

Result<Ref<task::OpenFile>> open(std::uint32_t flags) {
    return Ref<task::OpenFile>::adopt(*TRY(pool.create(flags)));
}

Result<void> open_standard_files(task::FileTable& table) {
    const Ref<task::OpenFile> terminal = TRY(open(task::kOpenReadWrite));
    for (std::int32_t descriptor = 0; descriptor < 3; ++descriptor) {
        TRY(table.insert_at(descriptor, terminal.clone(), false));
    }
    return {};
}

}  // namespace console

}  // namespace kernel::syscall
