// SPDX-License-Identifier: MIT
#include "file/pipe.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "file/pipe_channel.hpp"
#include "file/poll.hpp"
#include "file/transfer.hpp"
#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "task/begin_wait.hpp"
#include "task/process.hpp"
#include "task/signal.hpp"
#include "task/wait.hpp"

namespace kernel::file {

namespace {

using mm::UserBuffers;
using task::SysResult;
using task::Task;

// Inodes of pipes and sockets; beyond those of files.
constexpr std::uint64_t kFirstInode = std::uint64_t{1} << 34;
constinit std::atomic<std::uint64_t> next_inode{kFirstInode};

constinit std::atomic<bool> hands_over{true};

constinit mm::ObjectPool<Pipe> pipes;

// What a write to nobody does beside failing.
void signal_broken_pipe(Task& caller) {
    static_cast<void>(
        task::signal_task(caller, task::signal::kPipe,
                          task::SignalInfo::sent(task::signal::kFromUser, caller.process().pid())));
}

}  // namespace

Result<Ref<Pipe>> Pipe::create(const void* name, std::uint32_t ends) {
    return Ref<Pipe>::adopt(*TRY(pipes.create(name, ends)));
}

void Pipe::last_reference_gone(Pipe& pipe) {
    pipe.waiters_.end_all(0);
    pipes.destroy(&pipe);
}

SysResult Pipe::wait_or_fail(Task& caller, Side side, const Turn& turn, bool is_nonblocking) {
    const std::uint64_t done = caller.call_progress;
    if (is_nonblocking) {
        if (turn.kind == Turn::Kind::Busy) {
            return SysResult::again();
        }
        return done > 0 ? SysResult{done} : SysResult{Error::TryAgain};
    }
    task::begin_wait(caller, &waiters_, {.run_again = true, .key = key(side)});
    return SysResult::blocked();
}

Pipe::Turn Pipe::begin_read(std::uint64_t wanted) {
    if (is_reading_) {
        return {.kind = Turn::Kind::Busy};
    }
    if (ring_.used() == 0) {
        return {.kind = writers_ > 0 ? Turn::Kind::Wait : Turn::Kind::End};
    }
    is_reading_ = true;
    return {.kind = Turn::Kind::Go, .bytes = std::min(wanted, ring_.used())};
}

Pipe::Turn Pipe::begin_write(std::uint64_t wanted, bool is_atomic) {
    if (readers_ == 0) {
        return {.kind = Turn::Kind::End};
    }
    if (is_writing_) {
        return {.kind = Turn::Kind::Busy};
    }
    if (ring_.room() < (is_atomic ? wanted : 1)) {
        return {.kind = Turn::Kind::Wait};
    }
    const std::uint64_t bytes = std::min(wanted, ring_.room());
    if (const auto reserved = ring_.reserve(bytes); !reserved.ok()) {
        return {.kind = Turn::Kind::Fail, .error = reserved.error()};
    }
    is_writing_ = true;
    return {.kind = Turn::Kind::Go, .bytes = bytes};
}

void Pipe::end_read(std::uint64_t bytes) {
    bool was_watched = false;
    {
        const LockGuard guard{waiters_.lock()};
        is_reading_ = false;
        ring_.remove(bytes);
        if (ring_.used() > 0 || writers_ == 0) {
            wake_one(Side::Reader);
        }
        // Less room is of no use to those who wait for room for a whole message.
        if (ring_.room() >= kAtomicBytes) {
            wake_one(Side::Writer);
            was_watched = writer_mark_.take();
        }
    }
    if (was_watched) {
        poll_changed(name_);
    }
}

void Pipe::end_write(std::uint64_t bytes) {
    bool was_watched = false;
    {
        const LockGuard guard{waiters_.lock()};
        is_writing_ = false;
        ring_.add(bytes);
        if (ring_.used() > 0) {
            wake_one(Side::Reader);
            was_watched = reader_mark_.take();
        }
        if (ring_.room() >= kAtomicBytes || readers_ == 0) {
            wake_one(Side::Writer);
        }
    }
    if (was_watched) {
        poll_changed(name_);
    }
}

SysResult Pipe::wait_for_bytes(Task& caller, const UserBuffers::Piece& place) {
    const bool is_first = waiters_.empty();
    task::begin_wait_in_line(caller, &waiters_, {.run_again = true, .key = key(Side::Reader)});
    if (is_first) {
        asked_wait_ = caller.wait.sequence;
        asked_place_ = place.start;
        asked_bytes_.store(std::min(place.bytes, kHandedBytes), std::memory_order_relaxed);
    }
    return SysResult::blocked();
}

task::Wait* Pipe::take_asking_reader(std::uint64_t bytes, VirtAddr& to) {
    const LockGuard guard{waiters_.lock()};
    task::Wait* const first = waiters_.front();
    if (first == nullptr || first->sequence != asked_wait_ || first->key != key(Side::Reader)) {
        asked_bytes_.store(0, std::memory_order_relaxed);  // it has left
        return nullptr;
    }
    if (bytes > asked_bytes_.load(std::memory_order_relaxed) || ring_.used() != 0 || is_writing_ ||
        readers_ == 0 || !claim_wait(*first)) {
        return nullptr;
    }
    waiters_.remove(*first);
    asked_bytes_.store(0, std::memory_order_relaxed);
    to = asked_place_;
    return first;
}

bool Pipe::hand_over(mm::AddressSpace& space, const UserBuffers::Piece& piece) {
    // Only what is copied in here is copied out.
    std::array<std::byte, kHandedBytes> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    VirtAddr to;
    if (!mm::copy_in_at_hand(space, bytes.data(), piece.start, piece.bytes)) {
        return false;
    }
    task::Wait* const wait = take_asking_reader(piece.bytes, to);
    if (wait == nullptr) {
        return false;
    }
    // Claimed, it cannot end, nor can its process.
    Task& reader = *wait->task;
    if (!mm::copy_out_at_hand(reader.process().space(), to, bytes.data(), piece.bytes)) {
        task::finish_wait(*wait, 0);  // it runs its call again, and finds what will be in the ring
        return false;
    }
    reader.resume = nullptr;
    task::finish_wait(*wait, static_cast<std::int64_t>(piece.bytes));
    return true;
}

SysResult Pipe::read(Task& caller, UserBuffers& buffers, bool is_nonblocking, Reader reader) {
    const auto wanted = buffers.count_up_to(kStepBytes);
    if (!wanted.ok() || *wanted == 0) [[unlikely]] {
        return wanted;
    }
    Turn turn;
    {
        const LockGuard guard{waiters_.lock()};
        turn = begin_read(*wanted);
        if (turn.kind == Turn::Kind::Wait || turn.kind == Turn::Kind::Busy) {
            if (is_nonblocking) {
                return wait_or_fail(caller, Side::Reader, turn, is_nonblocking);
            }
            const bool may_ask = turn.kind == Turn::Kind::Wait && reader == Reader::Takes &&
                                 caller.call_progress == 0 && hands_over.load(std::memory_order_relaxed);
            return wait_for_bytes(caller, may_ask ? buffers.only() : UserBuffers::Piece{});
        }
        if (turn.kind == Turn::Kind::End) {
            wake_one(Side::Reader);  // for them it has ended too
            return std::uint64_t{0};
        }
    }
    return copy_out(caller, buffers, turn.bytes, reader == Reader::Peeks);
}

[[gnu::always_inline]] inline SysResult Pipe::copy_out(Task& caller, UserBuffers& buffers,
                                                       std::uint64_t bytes, bool is_peek) {
    mm::AddressSpace& space = caller.process().space();
    std::uint64_t total = 0;
    Result<void> copied;
    while (total < bytes && copied.ok()) {
        const auto data = ring_.data_at(total);
        const auto piece = buffers.next(std::min<std::uint64_t>(data.size(), bytes - total));
        if (piece.ok() && piece->bytes == 0) {
            break;  // the vectors, which may lie in what is read into, ask for less than they did
        }
        copied = piece.ok() ? mm::copy_to_user(space, piece->start, data.first(piece->bytes))
                            : Result<void>{piece.error()};
        total += copied.ok() ? piece->bytes : 0;
    }
    end_read(is_peek ? 0 : total);
    return total > 0 ? SysResult{total} : SysResult{copied};
}

SysResult Pipe::write(Task& caller, UserBuffers& buffers, bool is_nonblocking, bool is_quiet) {
    // None at all wraps around.
    return buffers.only().bytes - 1 < asked_bytes_.load(std::memory_order_relaxed)
               ? write_to_reader(caller, buffers, is_nonblocking, is_quiet)
               : write_to_ring(caller, buffers, is_nonblocking, is_quiet);
}

[[gnu::noinline]] SysResult Pipe::write_to_reader(Task& caller, UserBuffers& buffers, bool is_nonblocking,
                                                  bool is_quiet) {
    const UserBuffers::Piece piece = buffers.only();
    if (caller.call_progress == 0 && hand_over(caller.process().space(), piece)) {
        return piece.bytes;
    }
    return write_to_ring(caller, buffers, is_nonblocking, is_quiet);
}

[[gnu::noinline]] SysResult Pipe::write_to_ring(Task& caller, UserBuffers& buffers, bool is_nonblocking,
                                                bool is_quiet) {
    mm::AddressSpace& space = caller.process().space();
    const std::uint64_t before = caller.call_progress;
    const auto done = [before](Error error) { return before > 0 ? SysResult{before} : SysResult{error}; };
    const auto skipped = buffers.skip(before);
    const auto wanted = buffers.count_up_to(kStepBytes);
    if (!skipped.ok() || !wanted.ok()) {
        return done(skipped.ok() ? wanted.error() : skipped.error());
    }
    if (*wanted == 0) {
        return before;
    }
    Turn turn;
    {
        const LockGuard guard{waiters_.lock()};
        turn = begin_write(*wanted, before == 0 && *wanted <= kAtomicBytes);
        if (turn.kind == Turn::Kind::Wait || turn.kind == Turn::Kind::Busy) {
            return wait_or_fail(caller, Side::Writer, turn, is_nonblocking);
        }
        if (turn.kind == Turn::Kind::End) {
            wake_one(Side::Writer);
        }
    }
    if (turn.kind == Turn::Kind::End) {
        if (!is_quiet) {
            signal_broken_pipe(caller);
        }
        return done(Error::BrokenPipe);
    }
    if (turn.kind == Turn::Kind::Fail) {
        return done(turn.error);
    }
    std::uint64_t total = 0;
    Result<void> copied;
    bool is_at_end = false;
    while (total < turn.bytes && copied.ok()) {
        const auto data = ring_.space_at(total);
        const auto piece = buffers.next(std::min<std::uint64_t>(data.size(), turn.bytes - total));
        is_at_end = piece.ok() && piece->bytes == 0;  // another thread changed the vectors
        if (is_at_end) {
            break;
        }
        copied = piece.ok() ? mm::copy_from_user(space, data.first(piece->bytes), piece->start)
                            : Result<void>{piece.error()};
        total += copied.ok() ? piece->bytes : 0;
    }
    end_write(total);
    if (!copied.ok()) {
        return total > 0 ? SysResult{before + total} : done(copied.error());
    }
    if (is_at_end || (total == *wanted && *wanted < kStepBytes)) {
        return before + total;
    }
    caller.call_progress = before + total;
    return SysResult::again();
}

void Pipe::close(Side side, bool all) {
    bool was_watched = false;
    {
        const LockGuard guard{waiters_.lock()};
        std::uint32_t& left = side == Side::Reader ? readers_ : writers_;
        left = all ? 0 : left - 1;
        if (left == 0) {
            const Side other = side == Side::Reader ? Side::Writer : Side::Reader;
            wake_one(other);
            was_watched = mark_of(other).take();
        }
    }
    if (was_watched) {
        poll_changed(name_);
    }
}

std::uint32_t Pipe::poll_reader(PollWatch& watch) {
    const LockGuard guard{waiters_.lock()};
    reader_mark_.look(watch, name_);
    return (ring_.used() > 0 ? task::kPollIn : 0) | (writers_ > 0 ? 0 : task::kPollHangUp);
}

std::uint32_t Pipe::poll_writer(PollWatch& watch) {
    const LockGuard guard{waiters_.lock()};
    writer_mark_.look(watch, name_);
    return (ring_.room() >= kAtomicBytes ? task::kPollOut : 0) | (readers_ > 0 ? 0 : task::kPollError);
}

namespace {

class PipeEnd final : public task::OpenFile {
  public:
    SysResult read(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        return pipe_->read(caller, buffers, is_nonblocking(), Pipe::Reader::Takes);
    }
    SysResult write(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        return pipe_->write(caller, buffers, is_nonblocking());
    }
    [[nodiscard]] task::FileStatus status() const override {
        return {.mode = task::kTypePipe | 0600, .inode = inode_};
    }
    [[nodiscard]] std::uint32_t poll(PollWatch& watch) override {
        return is_readable() ? pipe_->poll_reader(watch) : pipe_->poll_writer(watch);
    }
    [[nodiscard]] Result<std::uint64_t> pipe_bytes() const override { return PipeRing::kBytes; }

  private:
    template <class T>
    friend class mm::ObjectPool;
    PipeEnd(Ref<Pipe> pipe, std::uint64_t inode, std::uint32_t flags)
        : OpenFile{flags}, pipe_{std::move(pipe)}, inode_{inode} {
        if (is_readable()) {
            set_pipe_in(pipe_.get());
        } else {
            set_pipe_out(pipe_.get());
        }
    }
    ~PipeEnd() = default;
    void close() override;

    Ref<Pipe> pipe_;
    const std::uint64_t inode_;
};

class Socket final : public task::OpenFile {
  public:
    SysResult read(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        return receive_as(caller, buffers, 0, Pipe::Reader::Takes);
    }
    SysResult write(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        return send(caller, buffers, 0);
    }
    SysResult receive(Task& caller, UserBuffers& buffers, std::uint32_t flags) override {
        return receive_as(
            caller, buffers, flags,
            (flags & task::kMessagePeek) != 0 ? Pipe::Reader::Peeks : Pipe::Reader::TakesAndGoesOn);
    }
    SysResult send(Task& caller, UserBuffers& buffers, std::uint32_t flags) override {
        const bool is_quiet = (flags & task::kMessageNoSignal) != 0;
        if ((shut_.load(std::memory_order_relaxed) & kShutWriting) != 0) {
            if (!is_quiet) {
                signal_broken_pipe(caller);
            }
            return Error::BrokenPipe;
        }
        return out_->write(caller, buffers, is_nonblocking() || (flags & task::kMessageDoNotWait) != 0,
                           is_quiet);
    }
    Result<void> shut_down(bool reading, bool writing) override {
        shut_.fetch_or((reading ? kShutReading : 0) | (writing ? kShutWriting : 0),
                       std::memory_order_relaxed);
        if (reading) {
            set_pipe_in(nullptr);
            in_->close_reader();
        }
        if (writing) {
            set_pipe_out(nullptr);
            out_->close_writer();
        }
        return {};
    }
    [[nodiscard]] task::FileStatus status() const override {
        return {.mode = task::kTypeSocket | 0777, .inode = inode_};
    }
    [[nodiscard]] std::uint32_t poll(PollWatch& watch) override {
        const std::uint32_t in = in_->poll_reader(watch);
        const std::uint32_t out = out_->poll_writer(watch);
        // A peer that has closed leaves both directions at their ends: reading and writing return at once.
        return (out & task::kPollError) != 0
                   ? task::kPollIn | task::kPollOut | task::kPollReadHangUp | task::kPollHangUp
                   : in | out;
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    Socket(Ref<Pipe> in, Ref<Pipe> out, std::uint64_t inode, std::uint32_t flags)
        : OpenFile{flags}, in_{std::move(in)}, out_{std::move(out)}, inode_{inode} {
        set_pipe_in(in_.get());
        set_pipe_out(out_.get());
    }
    ~Socket() = default;
    void close() override;

    SysResult receive_as(Task& caller, UserBuffers& buffers, std::uint32_t flags, Pipe::Reader reader) {
        if ((shut_.load(std::memory_order_relaxed) & kShutReading) != 0) {
            return std::uint64_t{0};
        }
        return in_->read(caller, buffers, is_nonblocking() || (flags & task::kMessageDoNotWait) != 0, reader);
    }

    static constexpr std::uint32_t kShutReading = 1;
    static constexpr std::uint32_t kShutWriting = 2;
    std::atomic<std::uint32_t> shut_{0};
    Ref<Pipe> in_;
    Ref<Pipe> out_;
    const std::uint64_t inode_;
};

constinit mm::ObjectPool<PipeEnd> pipe_ends;
constinit mm::ObjectPool<Socket> sockets;

void PipeEnd::close() {
    if (is_readable()) {
        pipe_->close_reader();
    } else {
        pipe_->close_writer();
    }
    pipe_ends.destroy(this);
}

void Socket::close() {
    in_->close_reader();
    out_->close_writer();
    sockets.destroy(this);
}

template <class File, class... Arguments>
Result<Ref<task::OpenFile>> make(mm::ObjectPool<File>& pool, Arguments&&... arguments) {
    return Ref<task::OpenFile>::adopt(*TRY(pool.create(std::forward<Arguments>(arguments)...)));
}

}  // namespace

void hand_bytes_over(bool on) {
    hands_over.store(on, std::memory_order_relaxed);
}

Result<FilePair> open_pipe(std::uint32_t flags) {
    const Ref<Pipe> pipe = TRY(Pipe::create(nullptr));
    const std::uint64_t inode = next_inode.fetch_add(1, std::memory_order_relaxed);
    FilePair pair;
    pair.first = TRY(make(pipe_ends, pipe.clone(), inode, flags | task::kOpenReadOnly));
    pair.second = TRY(make(pipe_ends, pipe.clone(), inode, flags | task::kOpenWriteOnly));
    return pair;
}

Result<FilePair> open_socket_pair(std::uint32_t flags) {
    const Ref<Pipe> there = TRY(Pipe::create(nullptr));
    const Ref<Pipe> back = TRY(Pipe::create(there.get()));
    const std::uint64_t inode = next_inode.fetch_add(2, std::memory_order_relaxed);
    const std::uint32_t opened = flags | task::kOpenReadWrite;
    FilePair pair;
    pair.first = TRY(make(sockets, back.clone(), there.clone(), inode, opened));
    pair.second = TRY(make(sockets, there.clone(), back.clone(), inode + 1, opened));
    return pair;
}

}  // namespace kernel::file
