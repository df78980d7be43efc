// SPDX-License-Identifier: MIT
// The only file that includes toml++ (header-only; it takes seconds to compile).
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// Some of toml++'s assertions are about the text: "[[[" would end the program. Behind each of them stands the
// code that reports the error.
#define TOML_ASSERT(expression) static_assert(true)

#include <toml++/toml.h>

#include <algorithm>
#include <array>

#include "document.hpp"

namespace execd {
namespace {

Position position_of(const toml::source_region& region) {
    return {.line = region.begin.line, .column = region.begin.column};
}

Value convert(const toml::node& node);

Table convert_table(const toml::table& table) {
    Table result;
    result.entries.reserve(table.size());
    for (const auto& [key, node] : table) {
        result.entries.push_back(
            {.key = std::string{key.str()}, .at = position_of(key.source()), .value = convert(node)});
    }
    std::ranges::stable_sort(result.entries, {}, &Entry::at);
    return result;
}

Array convert_array(const toml::array& array) {
    Array result;
    result.items.reserve(array.size());
    for (const toml::node& node : array) {
        result.items.push_back(convert(node));
    }
    return result;
}

Value convert(const toml::node& node) {
    Value result{.at = position_of(node.source()), .data = OtherValue{}};
    if (const auto* text = node.as_string()) {
        result.data = text->get();
    } else if (const auto* integer = node.as_integer()) {
        result.data = integer->get();
    } else if (const auto* real = node.as_floating_point()) {
        result.data = real->get();
    } else if (const auto* boolean = node.as_boolean()) {
        result.data = boolean->get();
    } else if (const auto* array = node.as_array()) {
        result.data = convert_array(*array);
    } else if (const auto* table = node.as_table()) {
        result.data = convert_table(*table);
    }
    return result;
}

}  // namespace

std::string_view kind_of(const Value& value) {
    static constexpr std::array<std::string_view, std::variant_size_v<decltype(Value::data)>> kNames{
        "a string", "an integer", "a fraction", "a boolean", "an array", "a table", "a date or time"};
    return kNames[value.data.index()];
}

std::variant<Table, SyntaxError> read_document(std::string_view text) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        return SyntaxError{.at = position_of(parsed.error().source()),
                           .what = std::string{parsed.error().description()}};
    }
    return convert_table(parsed.table());
}

}  // namespace execd
