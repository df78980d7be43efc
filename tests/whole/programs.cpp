// SPDX-License-Identifier: MIT
#include "programs.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/check.hpp"
#include "mm/file_object.hpp"
#include "syscall/file_system.hpp"

namespace kernel::whole {

namespace {

constexpr std::uint64_t kPage = 0x1000;

// The files of the archive, which the kernel keeps for ever.
struct Archive {
    std::deque<std::vector<std::byte>> contents;
    std::deque<mm::FileObject> objects;
};
Archive& archive() {
    static Archive* const the_archive = new Archive;  // for ever, too
    return *the_archive;
}

template <class T>
void write_at(std::vector<std::byte>& file, std::uint64_t offset, const T& value) {
    std::memcpy(file.data() + offset, &value, sizeof value);
}

Elf64_Phdr load(std::uint32_t flags, std::uint64_t offset, std::uint64_t address, std::uint64_t file_bytes,
                std::uint64_t memory_bytes) {
    return {.p_type = PT_LOAD,
            .p_flags = flags,
            .p_offset = offset,
            .p_vaddr = address,
            .p_paddr = 0,
            .p_filesz = file_bytes,
            .p_memsz = memory_bytes,
            .p_align = kPage};
}

// `interpreter`: empty for none; `base`: where its text begins.
std::vector<std::byte> make_program(std::uint64_t entry, std::string_view interpreter, bool is_movable) {
    const std::uint64_t base = is_movable ? 0 : kText;
    std::vector<Elf64_Phdr> segments{load(PF_R | PF_X, 0, base, kPage, kPage),
                                     load(PF_R | PF_W, kPage, base + (kData - kText), 0x800, kPage)};
    if (!is_movable) {
        segments.push_back(load(PF_R | PF_W, 0, kMemory, 0, kMemoryBytes));
    }
    constexpr std::uint64_t kInterpreterAt = 0x700;
    if (!interpreter.empty()) {
        Elf64_Phdr header =
            load(PF_R, kInterpreterAt, base + kInterpreterAt, interpreter.size() + 1, interpreter.size() + 1);
        header.p_type = PT_INTERP;
        segments.insert(segments.begin(), header);
    }
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = is_movable ? ET_DYN : ET_EXEC;
    header.e_machine = EM_RISCV;
    header.e_version = EV_CURRENT;
    header.e_entry = entry;
    header.e_phoff = sizeof header;
    header.e_flags = EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<Elf64_Half>(segments.size());
    std::vector<std::byte> file(2 * kPage);
    write_at(file, 0, header);
    for (std::size_t i = 0; i < segments.size(); ++i) {
        write_at(file, sizeof header + i * sizeof(Elf64_Phdr), segments[i]);
    }
    std::ranges::copy(std::as_bytes(std::span{interpreter}), file.begin() + kInterpreterAt);
    write_at(file, kPage, kDataWord);
    return file;
}

mm::FileObject& make_object(const char* path, std::vector<std::byte> contents) {
    archive().contents.push_back(std::move(contents));
    return archive().objects.emplace_back(path, std::span<const std::byte>{archive().contents.back()});
}

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span{text});
    return {bytes.begin(), bytes.end()};
}

void add_file(const char* path, std::vector<std::byte> contents, std::uint32_t mode) {
    CHECK(syscall::file_system::add_file(path, make_object(path, std::move(contents)), mode).ok());
}

}  // namespace

void add_programs() {
    CHECK(syscall::file_system::reserve(16).ok());
    CHECK(syscall::file_system::add_directory("bin", 0040755).ok());
    add_file("bin/broken", bytes_of("neither a program nor a script"), 0100755);
    add_file("bin/init", make_program(kInitEntry, {}, false), 0100755);
    add_file("bin/loaded", make_program(kOtherEntry, "/lib/loader", false), 0100755);
    add_file("bin/lost", make_program(kOtherEntry, "/lib/nothing", false), 0100755);
    add_file("bin/other", make_program(kOtherEntry, {}, false), 0100755);
    add_file("bin/plain", make_program(kOtherEntry, {}, false), 0100644);
    add_file("bin/script", bytes_of("#!/bin/other -x\n"), 0100755);
    CHECK(syscall::file_system::add_directory("etc", 0040755).ok());
    CHECK(syscall::file_system::add_link("etc/link", make_object("etc/link", bytes_of("motd"))).ok());
    add_file("etc/motd", bytes_of("hello file\n"), 0100644);
    CHECK(syscall::file_system::add_directory("lib", 0040755).ok());
    add_file("lib/loader", make_program(kLoaderEntry, {}, true), 0100755);
}

}  // namespace kernel::whole
