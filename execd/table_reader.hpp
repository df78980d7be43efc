// SPDX-License-Identifier: MIT
// Strict reading of one TOML table: each key is asked for by name and type, and what nobody asked for is an
// error with a suggestion.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diagnostics.hpp"
#include "document.hpp"

namespace execd {

// Errors go to the sink with the position of the offending key or value. Keeps references to table and sink.
class TableReader {
  public:
    TableReader(const Table& table, ErrorSink& errors) : table_{&table}, errors_{&errors} {}

    // Declares a key as known without reading it. Keys are string literals: suggestions refer to them to the
    // end.
    void expect(std::string_view key);

    // The entry of a key, whatever its type; nullptr when the table lacks it.
    [[nodiscard]] const Entry* find(std::string_view key);

    // The one entry of those given (some may be nullptr): the ways to say one thing. nullptr: none of them is
    // there, or several are, which is an error that names both lines.
    [[nodiscard]] const Entry* one_of(std::initializer_list<const Entry*> entries);

    // The entry's value when it has the type T; else nullptr, and an error if the key is there with another
    // type.
    template <class T>
    [[nodiscard]] const T* find_as(std::string_view key, std::string_view wanted) {
        const Entry* const entry = find(key);
        return entry == nullptr ? nullptr : as<T>(entry->value, key, wanted);
    }

    // The value itself when it has the type T; else nullptr and an error about `key`.
    template <class T>
    [[nodiscard]] const T* as(const Value& value, std::string_view key, std::string_view wanted) {
        const T* const found = std::get_if<T>(&value.data);
        if (found == nullptr) {
            add_type_error(value, key, wanted);
        }
        return found;
    }

    // A string out of a fixed list of names, as the value it stands for.
    template <class T, std::size_t Count>
    [[nodiscard]] std::optional<T> find_name(std::string_view key,
                                             const std::array<std::pair<std::string_view, T>, Count>& names) {
        const auto* const text = find_as<std::string>(key, "a string");
        const Entry* const entry = find(key);
        if (text == nullptr || entry == nullptr) {
            return std::nullopt;
        }
        return look_up(*text, entry->value.at, key, names);
    }

    // The value a name stands for, else an error: "unknown class 'fst' (did you mean ...)".
    template <class T, std::size_t Count>
    [[nodiscard]] std::optional<T> look_up(std::string_view name, Position at, std::string_view what,
                                           const std::array<std::pair<std::string_view, T>, Count>& names) {
        std::vector<std::string_view> known;
        for (const auto& [candidate, value] : names) {
            if (candidate == name) {
                return value;
            }
            known.push_back(candidate);
        }
        add_name_error(name, at, what, known);
        return std::nullopt;
    }

    // An array of strings (empty when the key is absent), each with its place.
    struct PlacedString {
        std::string text;
        Position at;
    };
    [[nodiscard]] std::vector<PlacedString> find_strings(std::string_view key);

    // Reports each key that find*() was never asked for. Call it last.
    void reject_unknown_keys();

  private:
    void add_type_error(const Value& value, std::string_view key, std::string_view wanted);
    void add_name_error(std::string_view name, Position at, std::string_view what,
                        const std::vector<std::string_view>& known);

    const Table* table_;
    ErrorSink* errors_;
    std::vector<std::string_view> asked_;
};

}  // namespace execd
