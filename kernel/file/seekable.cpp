// SPDX-License-Identifier: MIT
#include "file/seekable.hpp"

#include <algorithm>

#include "file/transfer.hpp"
#include "mm/user_memory.hpp"
#include "task/process.hpp"

namespace kernel::file {

Result<std::uint64_t> SeekableFile::seek(std::int64_t offset, task::Whence whence) {
    std::int64_t base = 0;
    switch (whence) {
        case task::Whence::Start:
            break;
        case task::Whence::Current:
            base = static_cast<std::int64_t>(position_.load());
            break;
        case task::Whence::End:
            base = static_cast<std::int64_t>(end());
            break;
        default:
            return Error::InvalidArgument;
    }
    std::int64_t position = 0;
    if (__builtin_add_overflow(base, offset, &position)) {
        return Error::Overflow;
    }
    if (position < 0) {
        return Error::InvalidArgument;
    }
    position_.store(static_cast<std::uint64_t>(position));
    return static_cast<std::uint64_t>(position);
}

task::SysResult ConstantFile::read(task::Task& caller, mm::UserBuffers& buffers,
                                   std::optional<std::uint64_t> at) {
    mm::AddressSpace& space = caller.process().space();
    return transfer(caller, buffers, kStepBytes,
                    [&](const mm::UserBuffers::Piece& piece, std::uint64_t total) -> Result<std::uint64_t> {
                        const std::uint64_t position = at ? *at + total : position_.load();
                        const auto all = contents();
                        const auto available = all.subspan(std::min<std::uint64_t>(position, all.size()));
                        const auto bytes = std::min<std::uint64_t>(piece.bytes, available.size());
                        TRY(mm::copy_to_user(space, piece.start, available.first(bytes)));
                        if (!at) {
                            position_.store(position + bytes);
                        }
                        return bytes;
                    });
}

}  // namespace kernel::file
