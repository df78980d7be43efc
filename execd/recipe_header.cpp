// SPDX-License-Identifier: MIT
// What the three recipe files have in common: TOML with `schema = 1`.
#include "recipes.hpp"
#include "table_reader.hpp"

namespace execd {
namespace {

bool has_our_schema(const Table& root, ErrorSink& errors) {
    TableReader reader{root, errors};
    const std::string ours = std::to_string(kSchemaVersion);
    const Entry* const entry = reader.find("schema");
    if (entry == nullptr) {
        errors.add({.line = 1, .column = 1}, "the file must say 'schema = " + ours + "'");
        return false;
    }
    const auto* const version = reader.as<std::int64_t>(entry->value, "schema", "an integer");
    if (version != nullptr && *version != kSchemaVersion) {
        errors.add(entry->value.at,
                   "schema " + std::to_string(*version) + " is unknown: this execd reads schema " + ours);
    }
    return version != nullptr && *version == kSchemaVersion;
}

}  // namespace

std::optional<Table> open_recipe(const RecipeFile& file, ErrorSink& errors, FileOutcome& outcome) {
    if (!file.text) {
        outcome = FileOutcome::Missing;
        return std::nullopt;
    }
    auto document = read_document(*file.text);
    if (const auto* const syntax_error = std::get_if<SyntaxError>(&document)) {
        errors.add(syntax_error->at, syntax_error->what);
    } else if (auto* const root = std::get_if<Table>(&document);
               root != nullptr && has_our_schema(*root, errors)) {
        outcome = FileOutcome::Read;
        return std::move(*root);
    }
    outcome = FileOutcome::Ignored;
    return std::nullopt;
}

}  // namespace execd
