// SPDX-License-Identifier: MIT
// What the ABI headers say in words: the comment beside a field, enumerator or constant, and the names a
// header declares. A reader of our own headers' plain style (one declaration a line), not of C++.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace abi_docs {

struct Declaration {
    std::string scope;  // struct or enum name; "" for a constant
    std::string name;
    std::string comment;  // text after `//` on the same line, "" if none
};

// Declarations in the order of the text: fields of structs, enumerators, `inline constexpr` constants.
[[nodiscard]] std::vector<Declaration> read_declarations(std::string_view header_text);

// The whole file, or nothing if it cannot be read.
[[nodiscard]] std::optional<std::string> read_file(const std::string& path);

// Comments of all headers, by (scope, name).
class HeaderComments {
  public:
    void add(std::string_view header_text);
    // "" if the headers say nothing.
    [[nodiscard]] std::string find(std::string_view scope, std::string_view name) const;

  private:
    std::map<std::pair<std::string, std::string>, std::string> comments_;
};

}  // namespace abi_docs
