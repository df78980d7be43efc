// SPDX-License-Identifier: MIT
#include "header_text.hpp"

#include <cctype>
#include <fstream>
#include <iterator>
#include <utility>

namespace abi_docs {
namespace {

std::vector<std::string> split_lines(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        lines.emplace_back(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return lines;
}

// Cuts "code // comment" in two; the comment without its slashes and leading blanks.
std::pair<std::string, std::string> cut_comment(const std::string& line) {
    const std::size_t at = line.find("//");
    if (at == std::string::npos) {
        return {line, ""};
    }
    const std::size_t text = line.find_first_not_of(' ', at + 2);
    return {line.substr(0, at), text == std::string::npos ? "" : line.substr(text)};
}

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// The word that ends at the end of `text`, blanks ignored: "std::uint64_t a" gives a.
std::string last_word(std::string_view text) {
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    std::size_t begin = text.size();
    while (begin > 0 && is_word(text[begin - 1])) {
        --begin;
    }
    return std::string{text.substr(begin)};
}

// Calls visit(part) for the parts between commas.
template <class Visit>
void for_each_part(std::string_view list, Visit visit) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        visit(list.substr(0, comma));
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    }
}

// Names declared by a field line: "std::uint64_t a, b[2];" gives a and b.
void add_fields(std::string_view code, const std::string& scope, const std::string& comment,
                std::vector<Declaration>& out) {
    const std::size_t end = code.find(';');
    if (end == std::string_view::npos || code.find_first_of("(){}") < end) {
        return;
    }
    for_each_part(code.substr(0, end), [&](std::string_view part) {
        out.push_back({scope, last_word(part.substr(0, part.find('['))), comment});
    });
}

// Enumerators with a value: "One = 1, Two = 2" gives One and Two.
void add_enumerators(std::string_view code, const std::string& scope, const std::string& comment,
                     std::vector<Declaration>& out) {
    for_each_part(code, [&](std::string_view part) {
        const std::size_t equals = part.find('=');
        if (equals != std::string_view::npos) {
            out.push_back({scope, last_word(part.substr(0, equals)), comment});
        }
    });
}

// The name a line opens a scope of: "struct a {", "enum class E : int { One = 1". "" if it opens none.
std::string scope_name(std::string_view code, std::string_view keyword) {
    if (!code.starts_with(keyword) || code.find('{') == std::string_view::npos) {
        return "";
    }
    const std::string_view rest = code.substr(keyword.size());
    std::size_t end = 0;
    while (end < rest.size() && is_word(rest[end])) {
        ++end;
    }
    return std::string{rest.substr(0, end)};
}

}  // namespace

std::vector<Declaration> read_declarations(std::string_view header_text) {
    constexpr std::string_view kConstant = "inline constexpr ";
    std::vector<Declaration> out;
    std::string scope;
    bool in_enum = false;
    bool goes_on = false;  // a constant whose value, and comment, stand on the next line
    for (const std::string& line : split_lines(header_text)) {
        const auto [code, comment] = cut_comment(line);
        if (goes_on) {
            out.back().comment = comment;
            goes_on = code.find(';') == std::string::npos;
            continue;
        }
        std::string_view body = code;
        if (scope.empty()) {
            scope = scope_name(code, "struct ");
            in_enum = scope.empty();
            if (in_enum) {
                scope = scope_name(code, "enum class ");
            }
            if (!scope.empty()) {
                body = body.substr(body.find('{') + 1);
            } else if (body.starts_with(kConstant) && body.find('=') != std::string_view::npos) {
                out.push_back({"", last_word(body.substr(0, body.find('='))), comment});
                goes_on = code.find(';') == std::string::npos;
            }
        }
        if (scope.empty()) {
            continue;
        }
        if (in_enum) {
            add_enumerators(body.substr(0, body.find('}')), scope, comment, out);
        } else {
            add_fields(body, scope, comment, out);
        }
        if (body.find('}') != std::string_view::npos) {
            scope.clear();
        }
    }
    return out;
}

std::optional<std::string> read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        return std::nullopt;
    }
    return std::string{std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

void HeaderComments::add(std::string_view header_text) {
    for (Declaration& declaration : read_declarations(header_text)) {
        comments_[{std::move(declaration.scope), std::move(declaration.name)}] =
            std::move(declaration.comment);
    }
}

std::string HeaderComments::find(std::string_view scope, std::string_view name) const {
    const auto it = comments_.find({std::string{scope}, std::string{name}});
    return it == comments_.end() ? "" : it->second;
}

}  // namespace abi_docs
