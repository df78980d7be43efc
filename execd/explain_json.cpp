// SPDX-License-Identifier: MIT
#include <array>
#include <charconv>
#include <string_view>

#include "explain.hpp"
#include "notation.hpp"

namespace execd {
namespace {

std::string quoted(std::string_view text) {
    static constexpr std::string_view kHex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += kHex[byte >> 4U];
            out += kHex[byte & 0xfU];
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string number(double value) {
    std::array<char, 32> digits{};
    const auto [end, error] =
        std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed, 4);
    return {digits.data(), end};
}

// Members of an object or elements of an array, with the commas between them.
class Sequence {
  public:
    void add(std::string item) { items_ += (items_.empty() ? "" : ",") + std::move(item); }
    void add(std::string_view key, const std::string& value) { add(quoted(key) + ':' + value); }
    [[nodiscard]] std::string object() const { return '{' + items_ + '}'; }
    [[nodiscard]] std::string array() const { return '[' + items_ + ']'; }

  private:
    std::string items_;
};

std::string place_json(const std::string& file, Position at, std::string_view key, const std::string& text) {
    Sequence place;
    place.add("file", quoted(file));
    place.add("line", std::to_string(at.line));
    place.add("column", std::to_string(at.column));
    place.add(key, quoted(text));
    return place.object();
}

std::string findings_json(const std::vector<Diagnostic>& findings) {
    Sequence all;
    for (const Diagnostic& finding : findings) {
        all.add(place_json(finding.file, finding.at, "what", finding.what));
    }
    return all.array();
}

std::string strings_json(const std::vector<std::string>& strings) {
    Sequence all;
    for (const std::string& text : strings) {
        all.add(quoted(text));
    }
    return all.array();
}

std::string values_json(const PlannedService& planned, std::optional<std::uint64_t> cpus_online) {
    Sequence values;
    for (const ExplainedValue& value : explained_values(planned, cpus_online)) {
        Sequence one;
        one.add("value", quoted(value.text));
        one.add("origin", value.origin.file.empty()
                              ? "null"
                              : place_json(value.origin.file, value.origin.at, "table", value.origin.table));
        values.add(value.key, one.object());
    }
    return values.object();
}

std::string service_json(const PlannedService& planned, std::optional<std::uint64_t> cpus_online,
                         std::optional<double> expected) {
    const Service& service = planned.service;
    std::vector<std::string> after;
    for (const Reference& reference : service.after) {
        after.push_back(reference.name);
    }
    std::vector<std::string> rights;
    for (const auto& [name, bit] : kRightNames) {
        if ((service.rights & bit) != 0) {
            rights.emplace_back(name);
        }
    }
    Sequence json;
    json.add("name", quoted(service.name));
    json.add("program", service.program.empty() ? "null" : quoted(service.program));
    json.add("args", strings_json(service.args));
    json.add("restart", quoted(restart_name(service.restart)));
    json.add("after", strings_json(after));
    json.add("rights", strings_json(rights));
    json.add("role", service.role ? quoted(service.role->name) : "null");
    json.add("faulty", planned.faulty ? "true" : "false");
    json.add("expected_share", expected ? number(*expected) : "null");
    json.add("values", values_json(planned, cpus_online));
    return json.object();
}

}  // namespace

std::string plan_json(const Plan& plan, std::optional<std::uint64_t> cpus_online, const std::string& board) {
    const std::vector<double> expected =
        cpus_online ? expected_shares(plan, *cpus_online) : std::vector<double>{};
    Sequence services;
    for (std::size_t i = 0; i < plan.services.size(); ++i) {
        services.add(service_json(plan.services[i], cpus_online,
                                  expected.empty() ? std::nullopt : std::optional{expected[i]}));
    }
    Sequence root;
    root.add("cpus_online", cpus_online ? quoted(format_mask(*cpus_online)) : "null");
    root.add("board", board.empty() ? "null" : quoted(board));
    root.add("errors", findings_json(plan.errors));
    root.add("warnings", findings_json(plan.warnings));
    root.add("notes", strings_json(plan.notes));
    root.add("services", services.array());
    return root.object() + '\n';
}

}  // namespace execd
