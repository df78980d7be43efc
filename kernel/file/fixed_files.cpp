// SPDX-License-Identifier: MIT
#include "file/fixed_files.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <optional>

#include "arch/contract.hpp"
#include "file/seekable.hpp"
#include "mm/frames.hpp"
#include "mm/slab.hpp"
#include "task/task.hpp"

namespace kernel::file {

namespace {

class InitrdFile final : public ConstantFile {
  public:
    [[nodiscard]] task::FileStatus status() const override { return status_; }
    [[nodiscard]] Result<Mappable> mappable() override {
        return Mappable{.object = &object_, .bytes = object_.contents().size()};
    }
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const override {
        return object_.link_text(to);
    }
    Result<Ref<OpenFile>> reopen(std::uint32_t flags) override {
        return open_initrd_file(object_, flags, status_);
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    InitrdFile(mm::FileObject& object, std::uint32_t flags, const task::FileStatus& status)
        : ConstantFile{flags}, object_{object}, status_{status} {}
    ~InitrdFile() = default;
    void close() override;
    [[nodiscard]] std::span<const std::byte> contents() const override { return object_.contents(); }

    mm::FileObject& object_;
    const task::FileStatus status_;
};

// Concurrency: whoever reads has its turn for one step, so a text does not change while it is copied.
class TextFile final : public ConstantFile {
  public:
    // Nothing that stat could tell before the text is written.
    [[nodiscard]] task::FileStatus status() const override { return status_; }
    task::SysResult read(task::Task& caller, mm::UserBuffers& buffers,
                         std::optional<std::uint64_t> at) override;
    task::SysResult write(task::Task& caller, mm::UserBuffers& buffers,
                          std::optional<std::uint64_t> at) override;

  private:
    template <class T>
    friend class mm::ObjectPool;
    TextFile(std::span<char> room, const TextSource& source, std::uint32_t flags,
             const task::FileStatus& status)
        : ConstantFile{flags}, room_{room}, source_{source}, status_{status} {}
    ~TextFile() = default;
    void close() override;
    [[nodiscard]] std::span<const std::byte> contents() const override {
        return std::as_bytes(room_.first(bytes_.load()));
    }

    const std::span<char> room_;
    const TextSource source_;
    const task::FileStatus status_;
    std::atomic<std::uint32_t> is_being_read_{0};
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint32_t> is_written_{0};
};

constinit mm::ObjectPool<InitrdFile> initrd_files;
constinit mm::ObjectPool<TextFile> text_files;

void InitrdFile::close() {
    initrd_files.destroy(this);
}

task::SysResult TextFile::read(task::Task& caller, mm::UserBuffers& buffers,
                               std::optional<std::uint64_t> at) {
    if (is_being_read_.exchange(1) != 0) {
        return task::SysResult::again();
    }
    Result<void> described;
    const bool is_at_start = caller.call_progress == 0 && (at ? *at : position_.load()) == 0;
    if (is_at_start || is_written_.load() == 0) {
        LineWriter out{room_};
        described = source_.describe(source_, out);
        bytes_.store(out.text().size());
        is_written_.store(1);
    }
    const auto result =
        described.ok() ? ConstantFile::read(caller, buffers, at) : task::SysResult{Error::NoProcess};
    is_being_read_.store(0);
    return result;
}

task::SysResult TextFile::write(task::Task& caller, mm::UserBuffers& buffers, std::optional<std::uint64_t>) {
    if (source_.write == nullptr) {
        return Error::InvalidArgument;
    }
    constexpr std::uint64_t kMostThereCanBe = std::uint64_t{1} << 31;
    const auto all = buffers.count_up_to(kMostThereCanBe);
    std::array<char, kMaxTextWritten> text;
    const auto bytes = buffers.gather(text);
    if (!all.ok() || !bytes.ok()) {
        return all.ok() ? bytes.error() : all.error();
    }
    const auto written = source_.write(caller, source_.subject, {text.data(), *bytes});
    return written.ok() ? task::SysResult{*all} : task::SysResult{written.error()};
}

void free_text(std::span<char> room) {
    mm::frames().free(virt_to_phys(room.data()),
                      static_cast<std::uint32_t>(std::countr_zero(room.size() >> mm::kPageShift)));
}

void TextFile::close() {
    free_text(room_);
    text_files.destroy(this);
}

}  // namespace

Result<Ref<task::OpenFile>> open_initrd_file(mm::FileObject& object, std::uint32_t flags,
                                             const task::FileStatus& status) {
    return Ref<task::OpenFile>::adopt(*TRY(initrd_files.create(object, flags, status)));
}

Result<Ref<task::OpenFile>> open_text(const TextSource& source, std::uint32_t order, std::uint32_t flags,
                                      const task::FileStatus& status) {
    const PhysAddr frames = TRY(mm::frames().allocate(order));
    const std::span room{static_cast<char*>(phys_to_virt(frames)), std::size_t{mm::kPageSize} << order};
    const auto file = text_files.create(room, source, flags, status);
    if (!file.ok()) {
        free_text(room);
        return file.error();
    }
    return Ref<task::OpenFile>::adopt(**file);
}

}  // namespace kernel::file
