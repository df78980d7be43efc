// SPDX-License-Identifier: MIT
// Pipes with a name: what open(2) says of them (fifo(7)).
#include <utility>

#include "file/pipe.hpp"
#include "file/pipe_channel.hpp"
#include "file/tmpfs_node.hpp"

namespace kernel::file {

Result<void> Pipe::join(std::uint32_t flags) {
    const std::uint32_t access = flags & task::kOpenAccessMask;
    bool was_watched = false;
    {
        const LockGuard guard{waiters_.lock()};
        if (access == task::kOpenWriteOnly && (flags & task::kOpenNonBlocking) != 0 && readers_ == 0) {
            return Error::NoAddress;
        }
        if (access != task::kOpenWriteOnly) {
            ++readers_;
            ++readers_ever_;
            wake_one(Side::WriterThatOpens);
        }
        if (access != task::kOpenReadOnly) {
            ++writers_;
            ++writers_ever_;
            wake_one(Side::ReaderThatOpens);
        }
        const bool has_reader_looked = reader_mark_.take();
        const bool has_writer_looked = writer_mark_.take();
        was_watched = has_reader_looked || has_writer_looked;
    }
    if (was_watched) {
        poll_changed(name_);
    }
    return {};
}

void Pipe::leave(std::uint32_t flags) {
    const std::uint32_t access = flags & task::kOpenAccessMask;
    if (access != task::kOpenWriteOnly) {
        close(Side::Reader, false);
    }
    if (access != task::kOpenReadOnly) {
        close(Side::Writer, false);
    }
    const LockGuard guard{waiters_.lock()};
    if (readers_ == 0 && writers_ == 0) {
        ring_.remove(ring_.used());
    }
}

std::uint64_t Pipe::writers_ever() {
    const LockGuard guard{waiters_.lock()};
    return writers_ever_;
}

std::uint64_t Pipe::readers_ever() {
    const LockGuard guard{waiters_.lock()};
    return readers_ever_;
}

bool Pipe::begin_wait_for_partner(Task& caller, std::uint32_t flags, std::uint64_t others_then,
                                  void (*undo)(Task&)) {
    const bool reads = (flags & task::kOpenAccessMask) == task::kOpenReadOnly;
    const Side side = reads ? Side::ReaderThatOpens : Side::WriterThatOpens;
    const LockGuard guard{waiters_.lock()};
    const bool is_there =
        reads ? writers_ > 0 || writers_ever_ != others_then : readers_ > 0 || readers_ever_ != others_then;
    if (is_there) {
        wake_one(side);  // for them it is there too
        return false;
    }
    if (undo == nullptr) {
        return true;
    }
    task::begin_wait(
        caller, &waiters_,
        {.run_again = true, .key = key(side), .on_signal = task::OnSignal::IsUndone, .on_interrupted = undo});
    return true;
}

namespace {

// An end of a pipe that has a name.
class NamedEnd final : public tmpfs::OpenNode<task::OpenFile> {
  public:
    SysResult read(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        return pipe_->read(caller, buffers, is_nonblocking(), Pipe::Reader::Takes);
    }
    SysResult write(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        return pipe_->write(caller, buffers, is_nonblocking());
    }
    [[nodiscard]] std::uint32_t poll(PollWatch& watch) override {
        std::uint32_t events = is_readable() ? pipe_->poll_reader(watch) : 0;
        if (pipe_->writers_ever() == others_then_) {
            events &= ~task::kPollHangUp;  // there was no writer yet
        }
        return events | (is_writable() ? pipe_->poll_writer(watch) : 0);
    }
    [[nodiscard]] Result<std::uint64_t> pipe_bytes() const override { return PipeRing::kBytes; }
    [[nodiscard]] bool begin_wait_for_partner(Task& caller, void (*undo)(Task&)) override {
        const bool waits = (flags() & task::kOpenAccessMask) != task::kOpenReadWrite && !is_nonblocking();
        return waits && pipe_->begin_wait_for_partner(caller, flags(), others_then_, undo);
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    NamedEnd(Ref<tmpfs::Node> node, Ref<Pipe> pipe, std::uint64_t others_then, std::uint32_t flags)
        : OpenNode{std::move(node), flags}, pipe_{std::move(pipe)}, others_then_{others_then} {}
    ~NamedEnd() = default;
    void close() override;

    const Ref<Pipe> pipe_;
    const std::uint64_t others_then_;  // writers_ever() of a reader, readers_ever() of a writer, when it came
};

constinit mm::ObjectPool<NamedEnd> named_ends;

void NamedEnd::close() {
    pipe_->leave(flags());
    named_ends.destroy(this);
}

}  // namespace

Result<Ref<task::OpenFile>> open_named_pipe(Ref<tmpfs::Node> node, std::uint32_t flags) {
    auto* pipe = static_cast<Pipe*>(node->pipe.load());
    if (pipe == nullptr) {
        Ref<Pipe> made = TRY(Pipe::create(nullptr, 0));
        void* others = nullptr;
        pipe = node->pipe.compare_exchange_strong(others, made.get()) ? made.release()
                                                                      : static_cast<Pipe*>(others);
    }
    const bool writes = (flags & task::kOpenAccessMask) == task::kOpenWriteOnly;
    const std::uint64_t others_then = writes ? pipe->readers_ever() : pipe->writers_ever();
    TRY(pipe->join(flags));
    const auto file = named_ends.create(std::move(node), Ref<Pipe>::share(*pipe), others_then, flags);
    if (!file.ok()) {
        pipe->leave(flags);
        return file.error();
    }
    return Ref<task::OpenFile>::adopt(**file);
}

void discard_named_pipe(tmpfs::Node& node) {
    if (auto* const pipe = static_cast<Pipe*>(node.pipe.exchange(nullptr)); pipe != nullptr) {
        Ref<Pipe>::adopt(*pipe).reset();
    }
}

}  // namespace kernel::file
