// SPDX-License-Identifier: MIT
#include "syscall/user_path.hpp"

#include <array>
#include <string_view>

#include "mm/user_memory.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

Result<void> set_base(Caller& caller, std::int32_t dirfd, Path& path) {
    const Ref<task::OpenFile> directory =
        dirfd == kCurrentDirectory ? caller.files().directory() : TRY(caller.files().find(dirfd));
    if (directory) {
        path.set_length(TRY(directory->directory_path(path.room())).size());
    }
    return {};
}

Result<Path> read_path(Caller& caller, std::int32_t dirfd, In<char> pointer, file_system::FinalLink last) {
    std::array<char, kMaxPath> given;
    const std::string_view text{given.data(), TRY(mm::copy_in_string(caller.space(), given, pointer))};
    return path_of(caller, dirfd, text, last);
}

Result<Path> path_of(Caller& caller, std::int32_t dirfd, std::string_view text, file_system::FinalLink last) {
    if (text.empty()) {
        return Error::NoEntry;
    }
    Path path;
    if (!text.starts_with('/')) {
        TRY(set_base(caller, dirfd, path));
    }
    return file_system::resolve(path, text, last, &caller.task);
}

}  // namespace kernel::syscall
