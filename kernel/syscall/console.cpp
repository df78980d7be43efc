// SPDX-License-Identifier: MIT
#include "syscall/console.hpp"

#include <array>
#include <atomic>
#include <optional>
#include <utility>

#include "arch/contract.hpp"
#include "file/poll.hpp"
#include "lib/check.hpp"
#include "mm/slab.hpp"
#include "mm/user_buffers.hpp"
#include "mm/user_memory.hpp"
#include "nexus_abi/user_ptr.hpp"
#include "syscall/caller.hpp"
#include "syscall/console_ops.hpp"
#include "syscall/output_log.hpp"
#include "task/lifecycle.hpp"
#include "task/process_group.hpp"
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
constinit file::PollMark mark;
// The process that read from the terminal last. Atomic; 0 = none.
constinit std::atomic<std::uint32_t> last_reader{0};

}  // namespace

void set_console_ops(const ConsoleOps& given) {
    ops = given;
}

void console_input_ready() {
    static_cast<void>(readers.wake(kWokenPerEvent, 0));
    bool was_watched = false;
    {
        const LockGuard guard{readers.lock()};
        was_watched = mark.take();
    }
    if (was_watched) {
        file::poll_changed(&readers);
    }
}

void console_space_ready() {
    static_cast<void>(writers.wake(kWokenPerEvent, 0));
}

void console_signal(int signal) {
    task::signal_foreground(static_cast<std::uint32_t>(signal), TaskId{last_reader.load()});
}

namespace console {

namespace {

// What a process in the background gets instead; nothing for one that may go on.
std::optional<SysResult> refuse_background(Caller& caller, std::uint32_t signal) {
    switch (task::use_terminal(caller.task, signal)) {
        case task::TerminalUse::Allowed:
            break;
        case task::TerminalUse::Signalled:
            return SysResult::no_result();
        case task::TerminalUse::Refused:
            return SysResult{Error::Io};
    }
    return std::nullopt;
}

// What VTIME means for a read that finds less than it wants. The moment it gives up is kept in
// Task::call_progress: where VMIN is 0 it counts from the call's beginning; else from the last byte, and
// the moment's low bits are the number of bytes that were there then.
class Patience {
  public:
    explicit Patience(Caller& caller) : progress_{caller.task.call_progress} {
        const nexus_abi::termios settings = ops.attributes();
        if ((settings.c_lflag & nexus_abi::lflag::kIcanon) == 0) {
            tenths_ = settings.c_cc[std::to_underlying(nexus_abi::ControlCharacter::Time)];
            is_between_bytes_ = settings.c_cc[std::to_underlying(nexus_abi::ControlCharacter::Minimum)] != 0;
        }
    }
    // Until when to wait for more than the `there` bytes that are there; never: without end.
    [[nodiscard]] Instant deadline(std::size_t there) {
        if (tenths_ == 0 || (is_between_bytes_ && there == 0)) {
            return Instant::never();
        }
        if (progress_ == 0 || (is_between_bytes_ && (progress_ & kCountMask) != there)) {
            progress_ = static_cast<std::uint64_t>(arch::now().ns()) + tenths_ * kNsPerTenth;
            if (is_between_bytes_) {
                progress_ = (progress_ & ~kCountMask) | there;
            }
        }
        return Instant::from_ns(static_cast<std::int64_t>(progress_));
    }

  private:
    static constexpr std::uint64_t kNsPerTenth = 100'000'000;  // VTIME's unit
    static constexpr std::uint64_t kCountMask = 0x1fff;        // input holds 4096 bytes; 8 us of the moment

    std::uint64_t& progress_;
    std::uint64_t tenths_{0};
    bool is_between_bytes_{false};
};

// Reads what is there, at most kChunkBytes; waits for input, or answers TryAgain when `is_nonblocking`.
SysResult read(Caller& caller, UserBuffers& buffers, bool is_nonblocking) {
    const auto first = buffers.next(kChunkBytes);
    if (!first.ok()) {
        return first.error();
    }
    if (first->bytes == 0) {
        return std::uint64_t{0};
    }
    if (const auto refused = refuse_background(caller, task::signal::kTerminalInput)) {
        return *refused;
    }
    last_reader.store(caller.process.pid().value());
    Patience patience{caller};
    std::array<char, kChunkBytes> chunk;
    const std::span<char> room = std::span{chunk}.first(first->bytes);
    Result<std::size_t> taken{Error::TryAgain};
    {
        // console_input_ready() takes this lock, so input that comes now finds the wait.
        const LockGuard guard{readers.lock()};
        taken = ops.read(room);
        const std::size_t there = taken.ok() ? *taken : ops.raw_bytes();
        const Instant deadline = patience.deadline(there);
        const bool has_too_little =
            taken.ok() ? there == 0 && !deadline.is_never() : taken.error() == Error::TryAgain;
        if (has_too_little && !is_nonblocking && deadline > arch::now()) {
            task::begin_wait(
                caller.task, &readers,
                {.deadline = deadline,
                 .run_again = true,
                 .on_signal = deadline.is_never() ? task::OnSignal::Restarts : task::OnSignal::Fails});
            return SysResult::blocked();
        }
        if (has_too_little && (there > 0 || !is_nonblocking)) {
            taken = ops.read_raw(room);
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

// Where what is written is kept beside.
struct Copy {
    Ref<OutputLog> log;  // empty: nowhere
    nexus_abi::OutputStream stream{nexus_abi::OutputStream::Output};

    void keep(std::span<const char> text) const {
        if (log) {
            log->add(stream, text);
        }
    }
};

// Writes everything, in chunks that each appear in one piece; waits while there is no room, or returns what
// was written so far (TryAgain for nothing) when `is_nonblocking`.
SysResult write(Caller& caller, UserBuffers& buffers, bool is_nonblocking, const Copy& copy) {
    const std::uint64_t before = caller.task.call_progress;
    if (before == 0 && (ops.attributes().c_lflag & nexus_abi::lflag::kTostop) != 0) {
        if (const auto refused = refuse_background(caller, task::signal::kTerminalOutput)) {
            return *refused;
        }
    }
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
        // Here, so that the copy has the order in which it appears.
        if (taken.ok()) {
            copy.keep(std::span{chunk}.first(*taken));
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

template <class T>
SysResult give(Caller& caller, std::uint64_t address, const T& value) {
    return mm::copy_out(caller.space(), Out<T>{address}, value);
}

SysResult set_attributes(Caller& caller, std::uint64_t address, bool discards_input) {
    const auto wanted = mm::copy_in(caller.space(), In<nexus_abi::termios>{address});
    if (!wanted.ok()) {
        return wanted.error();
    }
    if (const auto refused = refuse_background(caller, task::signal::kTerminalOutput)) {
        return *refused;
    }
    if (discards_input) {
        ops.discard_input();
    }
    ops.set_attributes(*wanted);
    return std::uint64_t{0};
}

SysResult set_foreground(Caller& caller, std::uint64_t address) {
    const auto group = mm::copy_in(caller.space(), In<std::int32_t>{address});
    if (!group.ok()) {
        return group.error();
    }
    if (*group < 0) {
        return Error::InvalidArgument;
    }
    if (const auto refused = refuse_background(caller, task::signal::kTerminalOutput)) {
        return *refused;
    }
    return task::set_foreground_group(caller.process, TaskId{static_cast<std::uint32_t>(*group)});
}

SysResult flush(std::uint64_t which) {
    constexpr std::uint64_t kOutput = 1;
    constexpr std::uint64_t kBoth = 2;
    if (which > kBoth) {
        return Error::InvalidArgument;
    }
    if (which != kOutput) {
        ops.discard_input();
    }
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
            if (*size != ops.window_size()) {
                ops.set_window_size(*size);
                task::signal_group(task::foreground_group(), task::signal::kWindowChange,
                                   {.code = task::signal::kFromKernel});
            }
            return std::uint64_t{0};
        }
        case nexus_abi::kTcflsh:
            return flush(argument);
        case nexus_abi::kTiocgpgrp:
            return task::has_terminal(caller.process)
                       ? give(caller, argument, task::foreground_group().value())
                       : SysResult{Error::NotTerminal};
        case nexus_abi::kTiocgsid:
            return task::has_terminal(caller.process)
                       ? give(caller, argument, task::session_of(caller.process).value())
                       : SysResult{Error::NotTerminal};
        case nexus_abi::kTiocspgrp:
            return set_foreground(caller, argument);
        case nexus_abi::kTiocsctty:
            return task::take_terminal(caller.process,
                                       argument == 1 && caller.has_right(nexus_abi::kRightSchedAdmin));
        case nexus_abi::kTiocnotty:
            return task::give_up_terminal(caller.process);
        case nexus_abi::kOutputLogNew:
            return open_output_log(caller);
        default:
            return Error::NotTerminal;
    }
}

Result<Ref<task::OpenFile>> open_copied(std::uint32_t flags, Ref<OutputLog> log,
                                        nexus_abi::OutputStream stream);

class ConsoleFile final : public task::OpenFile {
  public:
    SysResult read(task::Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        Caller called{caller};
        return console::read(called, buffers, is_nonblocking());
    }
    SysResult write(task::Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        Caller called{caller};
        return console::write(called, buffers, is_nonblocking(), copy_);
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
    Result<Ref<OpenFile>> reopen(std::uint32_t flags) override {
        return open_copied(flags, copy_.log.clone(), copy_.stream);
    }
    // Output goes to a buffer that empties by itself.
    [[nodiscard]] std::uint32_t poll(file::PollWatch& watch) override {
        const LockGuard guard{readers.lock()};
        mark.look(watch, &readers);
        return (ops.has_input() ? task::kPollIn : 0) | task::kPollOut;
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    ConsoleFile(std::uint32_t flags, Ref<OutputLog> log, nexus_abi::OutputStream stream)
        : OpenFile{flags}, copy_{.log = std::move(log), .stream = stream} {}
    ~ConsoleFile() = default;
    void close() override;

    const Copy copy_;
};

constinit mm::ObjectPool<ConsoleFile> pool;

void ConsoleFile::close() {
    pool.destroy(this);
}

Result<Ref<task::OpenFile>> open_copied(std::uint32_t flags, Ref<OutputLog> log,
                                        nexus_abi::OutputStream stream) {
    return Ref<task::OpenFile>::adopt(*TRY(pool.create(flags, std::move(log), stream)));
}

}  // namespace

task::FileStatus status() {
    constexpr std::uint32_t kMode = task::kTypeCharacter | 0620;
    constexpr std::uint64_t kDevice = 5 << 8 | 1;       // Linux' /dev/console
    constexpr std::uint64_t kInode = (1ULL << 32) - 1;  // before those of the other fixed files
    return {.mode = kMode, .inode = kInode, .special_device = kDevice, .block_bytes = kChunkBytes};
}

Result<Ref<task::OpenFile>> open(std::uint32_t flags) {
    return open_copied(flags, {}, nexus_abi::OutputStream::Output);
}

Result<Ref<task::OpenFile>> open_logged(Ref<OutputLog> log, nexus_abi::OutputStream stream) {
    return open_copied(task::kOpenReadWrite, std::move(log), stream);
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
