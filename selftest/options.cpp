// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <charconv>

namespace selftest {

namespace {

void set_case(Options& options, std::string_view word) {
    const std::size_t colon = word.find(':');
    const std::string_view digits =
        colon == std::string_view::npos ? word.substr(0, 0) : word.substr(colon + 1);
    const char* const end = digits.data() + digits.size();
    options.milliseconds = 0;
    const auto [parsed_to, error] = std::from_chars(digits.data(), end, options.milliseconds);
    const bool is_number = error == std::errc{} && parsed_to == end;
    options.case_name = is_number ? word.substr(0, colon) : word;
}

}  // namespace

Options parse_options(std::string_view text) {
    Options options;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        const std::string_view word = text.substr(0, comma);
        if (word == "stay") {
            options.stay = true;
        } else if (!word.empty()) {
            set_case(options, word);
        }
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return options;
}

}  // namespace selftest
