// SPDX-License-Identifier: MIT
// Open files with a position: what regular files of every origin have in common.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "task/open_file.hpp"

namespace kernel::file {

// Concurrency: the position is atomic; two readers of one open file may get the same bytes, as POSIX allows
// threads to expect no more.
class SeekableFile : public task::OpenFile {
  public:
    [[nodiscard]] bool is_seekable() const final { return true; }
    Result<std::uint64_t> seek(std::int64_t offset, task::Whence whence) final;

  protected:
    explicit SeekableFile(std::uint32_t flags) : OpenFile{flags} {}
    ~SeekableFile() = default;

    // What Whence::End means.
    [[nodiscard]] virtual std::uint64_t end() const = 0;

    std::atomic<std::uint64_t> position_{0};
};

// A file whose bytes lie in the kernel's memory and do not change while they are read.
class ConstantFile : public SeekableFile {
  public:
    task::SysResult read(task::Task& caller, mm::UserBuffers& buffers,
                         std::optional<std::uint64_t> at) override;

  protected:
    explicit ConstantFile(std::uint32_t flags) : SeekableFile{flags} {}
    ~ConstantFile() = default;

    [[nodiscard]] virtual std::span<const std::byte> contents() const = 0;
    [[nodiscard]] std::uint64_t end() const final { return contents().size(); }
};

}  // namespace kernel::file
