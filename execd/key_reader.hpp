// SPDX-License-Identifier: MIT
// The keys of one table of affinity.toml or qos.toml: values with their places.
#pragma once

#include <string>
#include <utility>

#include "recipe_types.hpp"
#include "table_reader.hpp"

namespace execd {

// A table with its name, so that each value knows where it stands. Keeps references to table and sink.
class KeyReader {
  public:
    KeyReader(const Table& table, std::string name, ErrorSink& errors)
        : reader_{table, errors}, name_{std::move(name)}, errors_{&errors} {}

    [[nodiscard]] TableReader& table() { return reader_; }
    [[nodiscard]] ErrorSink& errors() { return *errors_; }

    template <class T>
    [[nodiscard]] Placed<T> place(T value, Position at) const {
        return {.value = std::move(value), .origin = {.file = errors_->file(), .at = at, .table = name_}};
    }

  private:
    TableReader reader_;
    std::string name_;
    ErrorSink* errors_;
};

// Every key that the table may have, native ones and those of systemd. A key that is wrong is left out and
// reported.
void read_keys(KeyReader& reader, AffinityRecipe& recipe);
void read_keys(KeyReader& reader, QosRecipe& recipe);

}  // namespace execd
