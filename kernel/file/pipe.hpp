// SPDX-License-Identifier: MIT
// Pipes, named ones too, and pairs of connected stream sockets, which are two pipes.
#pragma once

#include <cstdint>

#include "task/open_file.hpp"

namespace kernel::file {

namespace tmpfs {
class Node;
}  // namespace tmpfs

// What is written to one end of up to this many bytes arrives together (POSIX PIPE_BUF).
inline constexpr std::uint64_t kAtomicBytes = 4096;

// For a pipe the reading end, then the writing end.
struct FilePair {
    Ref<task::OpenFile> first;
    Ref<task::OpenFile> second;
};
// Errors: NoMemory.
[[nodiscard]] Result<FilePair> open_pipe(std::uint32_t flags);
[[nodiscard]] Result<FilePair> open_socket_pair(std::uint32_t flags);

// Whether a writer gives a few bytes right to a reader that waits for them, as it does at first. Atomic.
void hand_bytes_over(bool on);

// An end of the pipe that a node names, at once: see OpenFile::begin_wait_for_partner(). With read and write
// access both ends in one. Errors: NoAddress for a writer that does not wait while nobody reads; NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_named_pipe(Ref<tmpfs::Node> node, std::uint32_t flags);
// The node goes. Pre: nobody else knows it.
void discard_named_pipe(tmpfs::Node& node);

}  // namespace kernel::file
