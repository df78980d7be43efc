// SPDX-License-Identifier: MIT
// What the ends of a pipe share. For pipe.cpp, which reads and writes, and named_pipe.cpp, where ends come
// and go.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "file/pipe_ring.hpp"
#include "file/poll.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "mm/slab.hpp"
#include "mm/user_buffers.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"
#include "task/wait.hpp"

namespace kernel::file {

using mm::UserBuffers;
using task::SysResult;
using task::Task;

// Bytes from one who writes to one who reads. Either side copies between its program and the ring with no
// lock held; meanwhile it is busy, and others on the same side wait. A wake-up is passed on by whoever it
// reached as long as there is something left to do.
//
// Beside that general way, a write of a few bytes to a pipe that is empty goes right to the reader that waits
// for it, into its memory (hand_over()). Skipped, and why that is sound:
//   the ring           It is empty before and after, and nobody is about to fill it: the write and the read
//                      take place at the moment when the reader is claimed, with the lock held.
//   the reader's       It would find these bytes, and return as many. That it was woken and waits no more is
//   second run         all there is to be undone; a reader that also was to do something else does not ask.
//   others that wait   Nothing is left for other readers, and for writers and pollers there is as much room
//                      and as many bytes as before.
// When either's memory is not at hand the reader looks again, and the write takes the general way.
class Pipe : public RefCounted<Pipe> {
  public:
    // `name`: under which pollers wait, if not its own. `ends`: how many readers and how many writers it has.
    [[nodiscard]] static Result<Ref<Pipe>> create(const void* name, std::uint32_t ends = 1);
    static void last_reference_gone(Pipe& pipe);

    // Takes: all that is left to do once the bytes are in `buffers` is to return how many they are.
    enum class Reader : std::uint8_t { Takes, TakesAndGoesOn, Peeks };
    SysResult read(Task& caller, UserBuffers& buffers, bool is_nonblocking, Reader reader);
    SysResult write(Task& caller, UserBuffers& buffers, bool is_nonblocking, bool is_quiet = false);
    // The caller's read(2) or write(2) in the usual case: a few bytes from or to a ring for which nobody
    // waits, and which nobody is copying from or to; a reader that finds nothing, alone; a few bytes for that
    // reader, which has the same memory. False: it is another case, and nothing has happened. In
    // pipe_at_once.hpp.
    //
    // Skipped, and why that is sound:
    //   the reference of the file   The table's lock keeps it until the pipe's lock is held, and that keeps
    //   the
    //                               pipe: the last one to know it takes the lock when it closes its end.
    //   is_reading_, is_writing_    The bytes are copied with the lock held, which a few bytes allow.
    //   taking, giving back pages   None is needed, or left over (PipeRing::space_inside(), data_inside()).
    //   waking, pollers             There is nobody to be told.
    //   parts of buffers            All bytes are in one page, which is at hand.
    [[nodiscard, gnu::always_inline]] static bool read_at_once(Task& caller, SysResult& result);
    [[nodiscard, gnu::always_inline]] static bool write_at_once(Task& caller, SysResult& result);

    // No reader is left, or no writer.
    void close_reader() { close(Side::Reader, true); }
    void close_writer() { close(Side::Writer, true); }

    // A named pipe's readers and writers come and go; once nobody is left, neither is what was written.
    // join(): as the open flags say. Errors: NoAddress, as open(2) of a writer that does not wait for one.
    Result<void> join(std::uint32_t flags);
    void leave(std::uint32_t flags);
    // How often a writer has joined so far, or a reader.
    [[nodiscard]] std::uint64_t writers_ever();
    [[nodiscard]] std::uint64_t readers_ever();
    // Whether the caller, who opened it like this when others had joined so often, waits for the other side
    // now: SysResult::blocked().
    [[nodiscard]] bool begin_wait_for_partner(Task& caller, std::uint32_t flags, std::uint64_t others_then,
                                              void (*undo)(Task&));

    // kPollIn and kPollHangUp; kPollOut and kPollError.
    [[nodiscard]] std::uint32_t poll_reader(PollWatch& watch);
    [[nodiscard]] std::uint32_t poll_writer(PollWatch& watch);

  private:
    template <class T>
    friend class mm::ObjectPool;
    Pipe(const void* name, std::uint32_t ends)
        : name_{name == nullptr ? this : name}, readers_{ends}, writers_{ends} {}
    ~Pipe() = default;

    // Keys of the waits.
    enum class Side : std::uint64_t { Reader = 1, Writer = 2, ReaderThatOpens = 3, WriterThatOpens = 4 };
    static constexpr std::uint64_t key(Side side) { return static_cast<std::uint64_t>(side); }

    // What a side may do now.
    struct Turn {
        // Busy: somebody else is at it and will be done in a moment. End: there is nobody at the other end.
        enum class Kind : std::uint8_t { Go, Wait, Busy, End, Fail };
        Kind kind{};
        std::uint64_t bytes{0};  // Go: how many
        Error error{};           // Fail
    };
    [[nodiscard]] Turn begin_read(std::uint64_t wanted) REQUIRES(waiters_.lock());
    [[nodiscard]] Turn begin_write(std::uint64_t wanted, bool is_atomic) REQUIRES(waiters_.lock());
    void end_read(std::uint64_t bytes) EXCLUDES(waiters_.lock());
    void end_write(std::uint64_t bytes) EXCLUDES(waiters_.lock());
    // What a call returns whose turn is Wait or Busy.
    [[nodiscard]] SysResult wait_or_fail(Task& caller, Side side, const Turn& turn, bool is_nonblocking)
        REQUIRES(waiters_.lock());
    // The reader waits and, as the first one, asks for the bytes to be brought to `place`; none: it does not.
    [[nodiscard]] SysResult wait_for_bytes(Task& caller, const UserBuffers::Piece& place)
        REQUIRES(waiters_.lock());
    // The parts of read() and write() that copy.
    [[nodiscard]] SysResult copy_out(Task& caller, UserBuffers& buffers, std::uint64_t bytes, bool is_peek)
        EXCLUDES(waiters_.lock());
    [[nodiscard]] SysResult write_to_ring(Task& caller, UserBuffers& buffers, bool is_nonblocking,
                                          bool is_quiet) EXCLUDES(waiters_.lock());
    // Or to the ring after all.
    [[nodiscard]] SysResult write_to_reader(Task& caller, UserBuffers& buffers, bool is_nonblocking,
                                            bool is_quiet) EXCLUDES(waiters_.lock());
    // False: nothing was written.
    [[nodiscard]] bool hand_over(mm::AddressSpace& space, const UserBuffers::Piece& piece)
        EXCLUDES(waiters_.lock());
    // Claims the reader that asks for that many bytes; null: there is none.
    [[nodiscard]] task::Wait* take_asking_reader(std::uint64_t bytes, VirtAddr& to) EXCLUDES(waiters_.lock());
    void wake_one(Side side) REQUIRES(waiters_.lock()) {
        if (!waiters_.empty()) {
            waiters_.wake_one_locked(key(side), 0);
        }
    }
    // Parts of read_at_once() and write_at_once(), in pipe_at_once.hpp. Pre for *_locked(): the lock is held,
    // which the analysis does not see of locks that are only tried.
    template <class Choose>
    [[nodiscard]] static Pipe* take_at_once(Task& caller, Choose choose, bool& is_nonblocking);
    [[nodiscard]] bool read_locked(Task& caller, bool is_nonblocking, SysResult& result);
    [[nodiscard]] bool write_locked(Task& caller, std::uint64_t bytes);
    // The reader that has the bytes now, claimed and off the queue; null: nothing has happened.
    [[nodiscard]] task::Wait* hand_over_locked(Task& caller, std::uint64_t bytes);
    // Returns `bytes`.
    static std::uint64_t end_read_of(task::Wait& wait, std::uint64_t bytes);
    // One of the side, or all of it.
    void close(Side side, bool all) EXCLUDES(waiters_.lock());
    // The pollers' mark of a side.
    [[nodiscard]] PollMark& mark_of(Side side) REQUIRES(waiters_.lock()) {
        return side == Side::Reader ? reader_mark_ : writer_mark_;
    }

    // Of one write, given to a reader that waits.
    static constexpr std::uint64_t kHandedBytes = 128;

    const void* const name_;
    task::WaitQueue waiters_;
    // What a reader asks for: up to so many bytes, 0 for none; written with the lock held. It does so as long
    // as its wait is the first one.
    std::atomic<std::uint64_t> asked_bytes_{0};
    VirtAddr asked_place_ GUARDED_BY(waiters_.lock()){};
    std::uint64_t asked_wait_ GUARDED_BY(waiters_.lock()){0};  // Wait::sequence
    PipeRing ring_;                                            // see there: what of it is guarded
    bool is_reading_ GUARDED_BY(waiters_.lock()){false};
    bool is_writing_ GUARDED_BY(waiters_.lock()){false};
    PollMark reader_mark_ GUARDED_BY(waiters_.lock());
    PollMark writer_mark_ GUARDED_BY(waiters_.lock());
    std::uint32_t readers_ GUARDED_BY(waiters_.lock());
    std::uint32_t writers_ GUARDED_BY(waiters_.lock());
    std::uint64_t readers_ever_ GUARDED_BY(waiters_.lock()){0};
    std::uint64_t writers_ever_ GUARDED_BY(waiters_.lock()){0};
};

}  // namespace kernel::file
