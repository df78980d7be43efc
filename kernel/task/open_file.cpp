// SPDX-License-Identifier: MIT
#include "task/open_file.hpp"

#include "lib/format.hpp"
#include "task/file_locks.hpp"

namespace kernel::task {

namespace {

using Step = bool (*)();
constinit Step clean_up = nullptr;

// Null until the first file is watched.
constinit std::atomic<void (*)(file::Watched&)> forget_watched{nullptr};

}  // namespace

void set_clean_up_hook(bool (*step)()) {
    clean_up = step;
}

bool clean_up_step() {
    return clean_up == nullptr || clean_up();
}

void OpenFile::last_reference_gone(OpenFile& file) {
    if (file.is_locked_.load()) {
        file_locks::file_closed(file);
    }
    if (file::Watched* const watched = file.watched(); watched != nullptr) {
        forget_watched.load()(*watched);
    }
    file.close();
}

bool OpenFile::set_watched(file::Watched& watched, void (*forget)(file::Watched&)) {
    forget_watched.store(forget);
    file::Watched* none = nullptr;
    // Release: pairs with the acquire in watched().
    return watched_.compare_exchange_strong(none, &watched, std::memory_order_acq_rel);
}

SysResult OpenFile::read(Task&, mm::UserBuffers&, std::optional<std::uint64_t>) {
    return Error::InvalidArgument;
}

SysResult OpenFile::write(Task&, mm::UserBuffers&, std::optional<std::uint64_t>) {
    return Error::InvalidArgument;
}

SysResult OpenFile::send(Task&, mm::UserBuffers&, std::uint32_t) {
    return Error::NotSocket;
}

SysResult OpenFile::receive(Task&, mm::UserBuffers&, std::uint32_t) {
    return Error::NotSocket;
}

Result<void> OpenFile::shut_down(bool, bool) {
    return Error::NotSocket;
}

Result<void> OpenFile::set_permissions(std::uint32_t) {
    return Error::ReadOnly;
}

Result<void> OpenFile::set_modified(std::int64_t) {
    return Error::ReadOnly;
}

Result<std::uint64_t> OpenFile::seek(std::int64_t, Whence) {
    return Error::IllegalSeek;
}

SysResult OpenFile::control(Task&, std::uint32_t, std::uint64_t) {
    return Error::NotTerminal;
}

std::uint32_t OpenFile::poll(file::PollWatch&) {
    return kPollIn | kPollOut;
}

Result<bool> OpenFile::truncate(std::uint64_t) {
    return Error::InvalidArgument;
}

Result<OpenFile::Mappable> OpenFile::mappable() {
    return Error::NoDevice;
}

SysResult OpenFile::list(Task&, mm::UserBuffers&) {
    return Error::NotDirectory;
}

Result<std::string_view> OpenFile::directory_path(std::span<char>) const {
    return Error::NotDirectory;
}

Result<std::string_view> OpenFile::link_text(std::span<char> to) const {
    const FileStatus file = status();
    const std::uint32_t type = file.mode & kTypeMask;
    LineWriter out{to};
    out << (type == kTypePipe ? "pipe:[" : type == kTypeSocket ? "socket:[" : "file:[") << file.inode << ']';
    return out.is_truncated() ? Result<std::string_view>{Error::NameTooLong} : out.text();
}

Result<Ref<OpenFile>> OpenFile::reopen(std::uint32_t) {
    return Ref<OpenFile>::share(*this);
}

bool OpenFile::begin_wait_for_partner(Task&, void (*)(Task&)) {
    return false;
}

Result<std::uint64_t> OpenFile::pipe_bytes() const {
    return Error::BadDescriptor;
}

}  // namespace kernel::task
