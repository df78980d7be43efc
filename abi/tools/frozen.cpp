// SPDX-License-Identifier: MIT
#include "frozen.hpp"

#include <map>
#include <optional>
#include <sstream>

namespace abi_docs {

namespace {

constexpr std::string_view kRefused = " ENOSYS";
constexpr std::string_view kSize = " size=";
constexpr std::string_view kValue = " = ";

// What a line is about, and what it says of it.
struct Fact {
    std::string subject;
    std::string statement;
};

Fact parse(const std::string& line) {
    // call NUMBER NAME (PROTOTYPE) CLASS: the prototype belongs to the subject, the class is the statement.
    std::size_t cut = line.size();
    if (line.starts_with("call ")) {
        cut = line.rfind(' ');
    } else if (line.starts_with("struct ")) {
        cut = line.find(kSize);
    } else if (line.starts_with("const ")) {
        cut = line.find(kValue);
    }
    return {line.substr(0, cut), line.substr(cut)};
}

std::optional<unsigned long long> number_after(std::string_view text, std::string_view prefix) {
    if (!text.starts_with(prefix)) {
        return std::nullopt;
    }
    return std::stoull(std::string{text.substr(prefix.size())}, nullptr, 0);
}

// Everything after the first number of a statement " size=N rest".
std::string_view rest_after_size(std::string_view statement) {
    const auto end = statement.find(' ', kSize.size());
    return end == std::string_view::npos ? std::string_view{} : statement.substr(end);
}

bool is_compatible(const Fact& frozen, std::string_view now, bool is_size_versioned) {
    if (frozen.statement == now) {
        return true;
    }
    if (frozen.subject.starts_with("call ")) {
        return frozen.statement == kRefused;
    }
    if (frozen.subject.starts_with("struct ") && is_size_versioned) {
        const auto before = number_after(frozen.statement, kSize);
        const auto after = number_after(now, kSize);
        return before && after && *after > *before &&
               rest_after_size(frozen.statement) == rest_after_size(now);
    }
    if (frozen.subject.starts_with("const ") && frozen.subject.ends_with("All")) {
        const auto before = number_after(frozen.statement, kValue);
        const auto after = number_after(now, kValue);
        return before && after && (*before & *after) == *before;
    }
    return false;
}

}  // namespace

std::vector<std::string> broken_promises(std::string_view frozen, std::string_view now) {
    std::map<std::string, std::string> facts;
    std::istringstream current{std::string{now}};
    for (std::string line; std::getline(current, line);) {
        const Fact fact = parse(line);
        facts[fact.subject] = fact.statement;
    }
    std::vector<std::string> broken;
    std::istringstream promised{std::string{frozen}};
    for (std::string line; std::getline(promised, line);) {
        if (line.empty() || line.starts_with('#')) {
            continue;
        }
        const Fact fact = parse(line);
        const auto found = facts.find(fact.subject);
        const std::string name = fact.subject.starts_with("struct ") ? fact.subject.substr(7) : "";
        const bool is_size_versioned = facts.contains("field " + name + ".size offset=0 size=4 u32");
        if (found == facts.end() || !is_compatible(fact, found->second, is_size_versioned)) {
            broken.push_back(line);
        }
    }
    return broken;
}

}  // namespace abi_docs
