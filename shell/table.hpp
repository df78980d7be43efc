// SPDX-License-Identifier: MIT
// Text in columns as wide as what is in them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shell {

enum class Align : std::uint8_t { Left, Right };

struct Column {
    std::string title;
    Align align{Align::Right};
};

// For one thread.
class Table {
  public:
    explicit Table(std::vector<Column> columns) : columns_{std::move(columns)} {}
    // Pre: as many cells as columns.
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    // The titles and the rows, a space between columns and none at the end of a line.
    [[nodiscard]] std::string text() const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace shell
