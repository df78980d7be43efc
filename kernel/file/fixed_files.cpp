// SPDX-License-Identifier: MIT
#include "file/fixed_files.hpp"

#include <array>
#include <bit>
#include <optional>

#include "arch/contract.hpp"
#include "file/seekable.hpp"
#include "mm/frames.hpp"
#include "mm/slab.hpp"

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

class TextFile final : public ConstantFile {
  public:
    // Texts are written anew at each open: their length is nothing stat could tell.
    [[nodiscard]] task::FileStatus status() const override { return status_; }
    task::SysResult write(task::Task& caller, mm::UserBuffers& buffers,
                          std::optional<std::uint64_t> at) override;

  private:
    template <class T>
    friend class mm::ObjectPool;
    TextFile(std::span<char> room, std::size_t bytes, std::uint32_t flags, const task::FileStatus& status,
             const TextWriter& writer)
        : ConstantFile{flags}, room_{room}, bytes_{bytes}, status_{status}, writer_{writer} {}
    ~TextFile() = default;
    void close() override;
    [[nodiscard]] std::span<const std::byte> contents() const override {
        return std::as_bytes(room_.first(bytes_));
    }

    const std::span<char> room_;
    const std::size_t bytes_;
    const task::FileStatus status_;
    const TextWriter writer_;
};

constinit mm::ObjectPool<InitrdFile> initrd_files;
constinit mm::ObjectPool<TextFile> text_files;

void InitrdFile::close() {
    initrd_files.destroy(this);
}

task::SysResult TextFile::write(task::Task& caller, mm::UserBuffers& buffers, std::optional<std::uint64_t>) {
    if (writer_.write == nullptr) {
        return Error::InvalidArgument;
    }
    constexpr std::uint64_t kMostThereCanBe = std::uint64_t{1} << 31;
    const auto all = buffers.count_up_to(kMostThereCanBe);
    std::array<char, kMaxTextWritten> text;
    const auto bytes = buffers.gather(text);
    if (!all.ok() || !bytes.ok()) {
        return all.ok() ? bytes.error() : all.error();
    }
    const auto written = writer_.write(caller, writer_.subject, {text.data(), *bytes});
    return written.ok() ? task::SysResult{*all} : task::SysResult{written.error()};
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

Result<std::span<char>> allocate_text(std::uint32_t order) {
    const PhysAddr frames = TRY(mm::frames().allocate(order));
    return std::span{static_cast<char*>(phys_to_virt(frames)), std::size_t{mm::kPageSize} << order};
}

void free_text(std::span<char> room) {
    mm::frames().free(virt_to_phys(room.data()),
                      static_cast<std::uint32_t>(std::countr_zero(room.size() >> mm::kPageShift)));
}

Result<Ref<task::OpenFile>> open_text(std::span<char> room, std::size_t bytes, std::uint32_t flags,
                                      const task::FileStatus& status, const TextWriter& writer) {
    const auto file = text_files.create(room, bytes, flags, status, writer);
    if (!file.ok()) {
        free_text(room);
        return file.error();
    }
    return Ref<task::OpenFile>::adopt(**file);
}

}  // namespace kernel::file
