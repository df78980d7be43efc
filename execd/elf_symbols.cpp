// SPDX-License-Identifier: MIT
#include "elf_symbols.hpp"

#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace execd {
namespace {

constexpr std::size_t kMaxNameBytes = 200;

std::string demangled(const std::string& name) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text{
        abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free};
    return status == 0 && text != nullptr ? std::string{text.get()} : name;
}

bool is_elf(std::string_view bytes) {
    return bytes.size() >= sizeof(Elf64_Ehdr) &&
           bytes.starts_with(
               "\x7f"
               "ELF") &&
           bytes[EI_CLASS] == ELFCLASS64 && bytes[EI_DATA] == ELFDATA2LSB;
}

}  // namespace

std::optional<ElfSymbols> ElfSymbols::read(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "re"), &std::fclose};
    if (file == nullptr || std::fseek(file.get(), 0, SEEK_END) != 0) {
        return std::nullopt;
    }
    const long size = std::ftell(file.get());
    if (size <= 0 || static_cast<std::size_t>(size) > kMaxFileBytes ||
        std::fseek(file.get(), 0, SEEK_SET) != 0) {
        return std::nullopt;
    }
    std::string bytes(static_cast<std::size_t>(size), '\0');
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
    if (!is_elf(bytes)) {
        return std::nullopt;
    }
    return ElfSymbols{std::move(bytes)};
}

template <class T>
std::optional<T> ElfSymbols::get(std::uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) {
        return std::nullopt;
    }
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
}

std::string_view ElfSymbols::text_at(std::uint64_t offset) const {
    if (offset >= bytes_.size()) {
        return {};
    }
    const std::string_view rest = std::string_view{bytes_}.substr(offset, kMaxNameBytes);
    return rest.substr(0, rest.find('\0'));
}

std::optional<std::uint64_t> ElfSymbols::address_of(std::uint64_t file_offset) const {
    const auto header = get<Elf64_Ehdr>(0);
    for (std::uint64_t i = 0; header && i < header->e_phnum; ++i) {
        const auto segment = get<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
        if (segment && segment->p_type == PT_LOAD && file_offset >= segment->p_offset &&
            file_offset - segment->p_offset < segment->p_filesz) {
            return segment->p_vaddr + (file_offset - segment->p_offset);
        }
    }
    return std::nullopt;
}

std::optional<std::string> ElfSymbols::look_up(std::uint32_t table_type, std::uint64_t address) const {
    const auto header = get<Elf64_Ehdr>(0);
    for (std::uint64_t i = 0; header && i < header->e_shnum; ++i) {
        const auto table = get<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr));
        if (!table || table->sh_type != table_type) {
            continue;
        }
        const auto names = get<Elf64_Shdr>(header->e_shoff + table->sh_link * sizeof(Elf64_Shdr));
        const std::uint64_t end = std::min<std::uint64_t>(table->sh_size, bytes_.size());
        for (std::uint64_t at = 0; names && at < end; at += sizeof(Elf64_Sym)) {
            const auto symbol = get<Elf64_Sym>(table->sh_offset + at);
            if (symbol && ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && address >= symbol->st_value &&
                address - symbol->st_value < symbol->st_size) {
                const std::string name{text_at(names->sh_offset + symbol->st_name)};
                char offset[24];
                std::snprintf(offset, sizeof(offset), "+0x%llx",
                              static_cast<unsigned long long>(address - symbol->st_value));
                return demangled(name) + offset;
            }
        }
    }
    return std::nullopt;
}

std::optional<std::string> ElfSymbols::name_at(std::uint64_t file_offset) const {
    const auto address = address_of(file_offset);
    if (!address) {
        return std::nullopt;
    }
    auto name = look_up(SHT_SYMTAB, *address);
    return name ? name : look_up(SHT_DYNSYM, *address);
}

bool ElfSymbols::follows_call(std::uint64_t file_offset) const {
    // jal ra and jalr ra; c.jalr.
    constexpr std::uint32_t kOpcodeAndTarget = 0xfff;
    constexpr std::uint32_t kJal = 0x0ef;
    constexpr std::uint32_t kJalr = 0x0e7;
    constexpr std::uint32_t kShortMask = 0xf07f;
    constexpr std::uint32_t kShortJalr = 0x9002;
    constexpr std::uint32_t kShortRegister = 0xf80;
    if (file_offset >= 4) {
        if (const auto word = get<std::uint32_t>(file_offset - 4);
            word && ((*word & kOpcodeAndTarget) == kJal || (*word & kOpcodeAndTarget & ~0x7000U) == kJalr)) {
            return true;
        }
    }
    if (file_offset >= 2) {
        const auto half = get<std::uint16_t>(file_offset - 2);
        return half && (*half & kShortMask) == kShortJalr && (*half & kShortRegister) != 0;
    }
    return false;
}

}  // namespace execd
