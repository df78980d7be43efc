// SPDX-License-Identifier: MIT
#include "options.hpp"

namespace selftest {

Options parse_options(std::string_view text) {
    Options options;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        const std::string_view word = text.substr(0, comma);
        if (word == "stay") {
            options.stay = true;
        } else if (!word.empty()) {
            options.case_name = word;
        }
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return options;
}

}  // namespace selftest
