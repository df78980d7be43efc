// SPDX-License-Identifier: MIT
#include "table_reader.hpp"

#include <algorithm>
#include <iterator>

namespace execd {

void TableReader::expect(std::string_view key) {
    if (std::ranges::find(asked_, key) == asked_.end()) {
        asked_.push_back(key);
    }
}

const Entry* TableReader::find(std::string_view key) {
    expect(key);
    const auto found = std::ranges::find(table_->entries, key, &Entry::key);
    return found == table_->entries.end() ? nullptr : &*found;
}

const Entry* TableReader::one_of(std::initializer_list<const Entry*> entries) {
    std::vector<const Entry*> given;
    std::ranges::copy_if(entries, std::back_inserter(given),
                         [](const Entry* entry) { return entry != nullptr; });
    if (given.size() < 2) {
        return given.empty() ? nullptr : given.front();
    }
    std::ranges::sort(given, {}, &Entry::at);
    errors_->add(given[1]->at, "'" + given[1]->key + "' and '" + given[0]->key + "' (line " +
                                   std::to_string(given[0]->at.line) +
                                   ") say the same thing: give one of them");
    return nullptr;
}

std::vector<TableReader::PlacedString> TableReader::find_strings(std::string_view key) {
    std::vector<PlacedString> strings;
    if (const auto* const array = find_as<Array>(key, "an array of strings")) {
        for (const Value& item : array->items) {
            if (const auto* const text = as<std::string>(item, key, "an array of strings only")) {
                strings.push_back({.text = *text, .at = item.at});
            }
        }
    }
    return strings;
}

void TableReader::reject_unknown_keys() {
    for (const Entry& entry : table_->entries) {
        if (std::ranges::find(asked_, entry.key) == asked_.end()) {
            errors_->add(entry.at, "unknown key '" + entry.key + "'" + suggestion(entry.key, asked_));
        }
    }
}

void TableReader::add_type_error(const Value& value, std::string_view key, std::string_view wanted) {
    const std::string what = "'" + std::string{key} + "' must be " + std::string{wanted};
    errors_->add(value.at, what + ", not " + std::string{kind_of(value)});
}

void TableReader::add_name_error(std::string_view name, Position at, std::string_view what,
                                 const std::vector<std::string_view>& known) {
    const std::string text = "unknown " + std::string{what} + " '" + std::string{name} + "'";
    const std::string near = suggestion(name, known);
    errors_->add(at, text + (near.empty() ? ": expected " + join_alternatives(known) : near));
}

}  // namespace execd
