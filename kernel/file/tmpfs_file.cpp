// SPDX-License-Identifier: MIT
// Open files of tmpfs: how their contents are read and written.
#include <algorithm>

#include "arch/contract.hpp"
#include "file/seekable.hpp"
#include "file/tmpfs.hpp"
#include "file/transfer.hpp"
#include "mm/frames.hpp"
#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "task/process.hpp"
#include "task/task_table.hpp"

namespace kernel::file::tmpfs {

namespace {

class MemoryFile final : public OpenNode<SeekableFile> {
  public:
    task::SysResult read(task::Task& caller, mm::UserBuffers& buffers,
                         std::optional<std::uint64_t> at) override;
    task::SysResult write(task::Task& caller, mm::UserBuffers& buffers,
                          std::optional<std::uint64_t> at) override;
    Result<bool> truncate(std::uint64_t bytes) override { return tmpfs::truncate(*node_, bytes); }
    [[nodiscard]] Result<Mappable> mappable() override {
        return Mappable{.object = &node_->contents, .bytes = node_->contents.size()};
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    MemoryFile(Ref<Node> node, std::uint32_t flags) : OpenNode{std::move(node), flags} {}
    ~MemoryFile() = default;
    void close() override;
    [[nodiscard]] std::uint64_t end() const override { return node_->contents.size(); }
};

constinit mm::ObjectPool<MemoryFile> open_files;

void MemoryFile::close() {
    open_files.destroy(this);
}

// The part of a piece of `bytes` at `position` that lies in one page.
std::uint64_t within_page(std::uint64_t position, std::uint64_t bytes) {
    return std::min(bytes, mm::kPageSize - mm::page_offset(position));
}

// Copies one page's part of a file to the program; what was never written is zero.
Result<void> read_part(mm::AddressSpace& space, mm::FileObject& contents, std::uint64_t position, VirtAddr to,
                       std::uint64_t bytes) {
    const auto frame = contents.existing_frame(position >> mm::kPageShift);
    if (!frame.ok()) {
        return mm::zero_user(space, to, bytes);
    }
    const auto copied =
        mm::copy_to_user(space, to, mm::frame_bytes(*frame).subspan(mm::page_offset(position), bytes));
    mm::frames().unref(*frame);
    return copied;
}

Result<void> write_part(mm::AddressSpace& space, mm::FileObject& contents, std::uint64_t position,
                        VirtAddr from, std::uint64_t bytes) {
    const PhysAddr frame = TRY(contents.frame_to_write(position >> mm::kPageShift));
    const auto copied =
        mm::copy_from_user(space, mm::frame_bytes(frame).subspan(mm::page_offset(position), bytes), from);
    mm::frames().unref(frame);
    return copied;
}

task::SysResult MemoryFile::read(task::Task& caller, mm::UserBuffers& buffers,
                                 std::optional<std::uint64_t> at) {
    mm::AddressSpace& space = caller.process().space();
    mm::FileObject& contents = node_->contents;
    return transfer(caller, buffers, kStepBytes,
                    [&](const mm::UserBuffers::Piece& piece, std::uint64_t total) -> Result<std::uint64_t> {
                        const std::uint64_t start = at ? *at + total : position_.load();
                        const std::uint64_t size = contents.size();
                        const std::uint64_t bytes = start < size ? std::min(piece.bytes, size - start) : 0;
                        for (std::uint64_t done = 0; done < bytes;) {
                            const std::uint64_t part = within_page(start + done, bytes - done);
                            TRY(read_part(space, contents, start + done, piece.start + done, part));
                            done += part;
                        }
                        if (!at) {
                            position_.store(start + bytes);
                        }
                        return bytes;
                    });
}

// Writers of one file take turns, a step each: what one of them appends in a step is in one piece.
task::SysResult MemoryFile::write(task::Task& caller, mm::UserBuffers& buffers,
                                  std::optional<std::uint64_t> at) {
    if (node_->is_being_written.exchange(1) != 0) {
        return task::SysResult::again();
    }
    mm::AddressSpace& space = caller.process().space();
    mm::FileObject& contents = node_->contents;
    const bool appends = (flags() & task::kOpenAppend) != 0;
    bool must_wait = false;  // for pages of an earlier end to go
    const auto result = transfer(
        caller, buffers, kStepBytes,
        [&](const mm::UserBuffers::Piece& piece, std::uint64_t total) -> Result<std::uint64_t> {
            const std::uint64_t start = appends ? contents.size() : at ? *at + total : position_.load();
            if (start >= mm::FileObject::kMaxBytes) {
                return Error::FileTooBig;
            }
            if (start + piece.bytes > contents.size() && !finish_cut_step(*node_)) {
                must_wait = true;
                return Error::TryAgain;
            }
            const std::uint64_t bytes = std::min(piece.bytes, mm::FileObject::kMaxBytes - start);
            std::uint64_t done = 0;
            Result<void> copied;
            while (done < bytes && copied.ok()) {
                const std::uint64_t part = within_page(start + done, bytes - done);
                copied = write_part(space, contents, start + done, piece.start + done, part);
                done += copied.ok() ? part : 0;
            }
            if (done > 0) {
                contents.grow_to(start + done);
                node_->modified_ns.store(static_cast<std::uint64_t>(arch::now().ns()));
                if (!at) {
                    position_.store(start + done);
                }
            }
            return done > 0 || copied.ok() ? Result<std::uint64_t>{done} : copied.error();
        });
    // A part that could not be copied has left a page beyond the end.
    static_cast<void>(contents.shrink_step());
    node_->is_being_written.store(0);
    if (must_wait) {
        return task::SysResult::again();
    }
    return result;
}

}  // namespace

bool finish_cut_step(Node& node) {
    constexpr std::uint32_t kTasksPerStep = 16;
    mm::FileObject& contents = node.contents;
    for (std::uint32_t i = 0; i < kTasksPerStep && node.cut_process.load() != 0; ++i) {
        const TaskId last{node.cut_process.load() - 1};
        const Ref<task::Task> found = task::lookup_next_task(last);
        mm::Progress dropped{.next = mm::kUserTop, .done = true};
        if (found && found->process().pid() == found->tid()) {
            task::with_space(found->process(), [&](mm::AddressSpace& space) {
                dropped =
                    space.drop_beyond(contents, contents.page_count(), VirtAddr{node.cut_address.load()});
            });
        }
        if (!dropped.done) {
            node.cut_address.store(dropped.next.value());
            return false;
        }
        node.cut_address.store(0);
        node.cut_process.store(found ? found->tid().value() + 1 : 0);
    }
    return node.cut_process.load() == 0 && contents.shrink_step();
}

Result<bool> truncate(Node& node, std::uint64_t bytes) {
    if (bytes > mm::FileObject::kMaxBytes) {
        return Error::FileTooBig;
    }
    if (node.is_being_written.exchange(1) != 0) {
        return false;
    }
    const bool is_cut = bytes < node.contents.size();
    node.contents.cut_to(bytes);
    if (is_cut && node.contents.was_mapped()) {
        // From the end it has now on no fault maps a page beyond it; those that did before are found.
        node.cut_address.store(0);
        node.cut_process.store(1);
    }
    // Pages of an earlier end have to go before the file can reach them again.
    const bool is_done = finish_cut_step(node);
    if (is_done) {
        node.contents.grow_to(bytes);
        node.modified_ns.store(static_cast<std::uint64_t>(arch::now().ns()));
    }
    node.is_being_written.store(0);
    return is_done;
}

Result<Ref<task::OpenFile>> open_memory_file(Ref<Node> node, std::uint32_t flags) {
    return Ref<task::OpenFile>::adopt(*TRY(open_files.create(std::move(node), flags)));
}

}  // namespace kernel::file::tmpfs
