// SPDX-License-Identifier: MIT
// A TOML file as plain data with positions: what the recipe readers see. toml++ stays behind read_document(),
// in toml_reader.cpp, so that only one file pays for compiling it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace execd {

// 1-based, as editors count. 0:0 = the file as a whole.
struct Position {
    std::uint32_t line{0};
    std::uint32_t column{0};

    friend auto operator<=>(const Position&, const Position&) = default;
};

struct Value;
struct Entry;

struct Array {
    std::vector<Value> items;
};

// Entries in the order of the file (TOML libraries sort by name; recipes are about order).
struct Table {
    std::vector<Entry> entries;
};

// A value no recipe uses: a date or a time.
struct OtherValue {};

struct Value {
    Position at;
    std::variant<std::string, std::int64_t, double, bool, Array, Table, OtherValue> data;
};

struct Entry {
    std::string key;
    Position at;
    Value value;
};

struct SyntaxError {
    Position at;
    std::string what;
};

// "a string", "an integer", ...: for messages.
[[nodiscard]] std::string_view kind_of(const Value& value);

// The whole text of a file -> its root table, or the first syntax error.
[[nodiscard]] std::variant<Table, SyntaxError> read_document(std::string_view text);

}  // namespace execd
