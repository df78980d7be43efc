// SPDX-License-Identifier: MIT
// The ABI as data: what the compiler made of the headers. Host only; immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace abi_docs {

enum class Block { Neuron, Linux };

struct Field {
    std::string_view name;
    std::string type;  // u32, i64, char[16], or a struct's name
    std::size_t offset_bytes;
    std::size_t size_bytes;
};

struct Struct {
    std::string_view header;  // file name under nexus_abi/
    std::string_view name;
    Block block;
    std::size_t size_bytes;
    std::size_t alignment_bytes;
    std::vector<Field> fields;
};

struct Enumerator {
    std::string_view header;
    std::string_view type;
    std::string_view name;
    std::int64_t value;
};

struct Constant {
    std::string_view header;
    std::string_view name;
    std::uint64_t value;
};

struct Layout {
    std::vector<Struct> structs;
    std::vector<Enumerator> enumerators;
    std::vector<Constant> constants;
};

// layout.def, evaluated by the compiler.
[[nodiscard]] Layout compiled_layout();

}  // namespace abi_docs
