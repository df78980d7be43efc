// SPDX-License-Identifier: MIT
// Names for addresses of code, out of ELF files. The files are anybody's: nothing in them is believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace execd {

class ElfSymbols {
  public:
    // Larger ones are left alone: pid 1 reads the whole file.
    static constexpr std::size_t kMaxFileBytes = std::size_t{32} << 20;

    // nullopt: it cannot be read, or is no 64-bit little-endian ELF file.
    [[nodiscard]] static std::optional<ElfSymbols> read(const std::string& path);
    explicit ElfSymbols(std::string bytes) : bytes_{std::move(bytes)} {}

    // "FUNCTION+0x1c" for what lies at this place in the file; nullopt: no function is known there.
    [[nodiscard]] std::optional<std::string> name_at(std::uint64_t file_offset) const;
    // Whether the instruction that ends right before it is a RISC-V call: else it is no return address.
    [[nodiscard]] bool follows_call(std::uint64_t file_offset) const;

  private:
    template <class T>
    [[nodiscard]] std::optional<T> get(std::uint64_t offset) const;
    [[nodiscard]] std::string_view text_at(std::uint64_t offset) const;
    // Where that place of the file is in the program's own addresses.
    [[nodiscard]] std::optional<std::uint64_t> address_of(std::uint64_t file_offset) const;
    [[nodiscard]] std::optional<std::string> look_up(std::uint32_t table_type, std::uint64_t address) const;

    std::string bytes_;
};

}  // namespace execd
