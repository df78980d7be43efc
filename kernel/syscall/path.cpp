// SPDX-License-Identifier: MIT
#include "syscall/path.hpp"

#include <algorithm>

namespace kernel::syscall {

std::string_view take_part(std::string_view& path) {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

bool names_directory(std::string_view path) {
    return path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") || path == "." ||
           path == "..";
}

Result<void> Path::set_base(std::string_view canonical) {
    if (canonical.size() >= kMaxPath) {
        return Error::NameTooLong;
    }
    canonical.copy(characters_.data(), canonical.size());
    length_ = canonical.size();
    return {};
}

Result<void> Path::append(std::string_view path) {
    if (path.starts_with('/')) {
        length_ = 0;
    }
    ends_as_directory_ = names_directory(path);
    for (std::string_view part = take_part(path); !part.empty(); part = take_part(path)) {
        if (part == "..") {
            go_up();
        } else if (part != ".") {
            TRY(append_name(part));
        }
    }
    return {};
}

Result<void> Path::append_name(std::string_view name) {
    const std::size_t separator = length_ == 0 ? 0 : 1;
    if (length_ + separator + name.size() >= kMaxPath) {
        return Error::NameTooLong;
    }
    if (separator != 0) {
        characters_[length_] = '/';
    }
    name.copy(characters_.data() + length_ + separator, name.size());
    length_ += separator + name.size();
    return {};
}

std::string_view Path::parent() const {
    const std::size_t slash = text().rfind('/');
    return text().substr(0, slash == std::string_view::npos ? 0 : slash);
}

std::string_view Path::name() const {
    return text().substr(text().rfind('/') + 1);
}

}  // namespace kernel::syscall
