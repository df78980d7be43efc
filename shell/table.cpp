// SPDX-License-Identifier: MIT
#include "table.hpp"

#include <algorithm>

namespace shell {

std::string Table::text() const {
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        std::size_t width = columns_[i].title.size();
        for (const auto& row : rows_) {
            width = std::max(width, row[i].size());
        }
        widths.push_back(width);
    }
    std::string all;
    const auto put_row = [&](const auto& cell_of) {
        std::string line;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const std::string& cell = cell_of(i);
            const std::string padding(widths[i] - cell.size(), ' ');
            line += i == 0 ? "" : " ";
            line += columns_[i].align == Align::Right ? padding + cell : cell + padding;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        all += line + '\n';
    };
    put_row([&](std::size_t i) -> const std::string& { return columns_[i].title; });
    for (const auto& row : rows_) {
        put_row([&](std::size_t i) -> const std::string& { return row[i]; });
    }
    return all;
}

}  // namespace shell
