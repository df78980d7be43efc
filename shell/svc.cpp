// SPDX-License-Identifier: MIT
// svc: execd's control channel for people.
#include "svc.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "json.hpp"
#include "table.hpp"
#include "tools.hpp"
#include "words.hpp"

namespace shell {
namespace {

constexpr std::string_view kName = "svc";
constexpr std::array<std::string_view, 6> kStatusFields{"service", "state",   "pid",
                                                        "starts",  "program", "last_end"};
constexpr std::array<std::string_view, 3> kOriginFields{"key", "value", "origin"};
// What asks about or changes one service.
constexpr std::array<std::string_view, 5> kOfOne{"start", "stop", "restart", "logs", "explain"};

std::string in_columns(const std::vector<std::vector<std::string>>& rows,
                       std::span<const std::string_view> fields, bool is_json) {
    if (is_json) {
        JsonWriter json;
        json.begin_array();
        for (const auto& row : rows) {
            json.begin_object();
            for (std::size_t i = 0; i < fields.size(); ++i) {
                json.member(fields[i], i < row.size() ? row[i] : "-");
            }
            json.end_object();
        }
        json.end_array();
        return json.text();
    }
    std::vector<Column> columns;
    for (const std::string_view field : fields) {
        std::string title{field};
        std::ranges::transform(title, title.begin(), [](char letter) {
            return letter == '_' ? '-'
                                 : static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 32 : letter);
        });
        columns.push_back({std::move(title), Align::Left});
    }
    Table table{std::move(columns)};
    for (auto row : rows) {
        row.resize(fields.size());
        table.add(std::move(row));
    }
    return table.text();
}

bool are_levels(std::string_view list) {
    constexpr std::string_view kLevels = "err,warn,notice,info";
    while (!list.empty()) {
        const std::string_view word = list.substr(0, list.find(','));
        if (!user::has_word(kLevels, word)) {
            return false;
        }
        list.remove_prefix(std::min(list.size(), word.size() + 1));
    }
    return true;
}

// Those of the lines "[TIME] LEVEL: WHAT" that have one of the levels.
std::string lines_of(std::string_view text, std::string_view levels) {
    std::string kept;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, std::min(text.size(), text.find('\n')) + 1);
        text.remove_prefix(std::min(text.size(), line.size()));
        const std::size_t begin = line.find("] ");
        const std::string_view rest = begin == std::string_view::npos ? "" : line.substr(begin + 2);
        if (user::has_word(levels, rest.substr(0, rest.find(':')))) {
            kept += line;
        }
    }
    return kept;
}

Outcome ask(System& system, const std::string& verb, const std::string& service, bool is_json,
            const std::optional<std::string>& levels) {
    const auto answer = system.ask_execd(service.empty() ? verb : verb + ' ' + service);
    if (!answer.ok()) {
        switch (answer.error()) {
            case Error::NotSupported:
                return fail(kName, "there is no channel to execd here; the console's shell has one");
            case Error::Busy:
                return fail(kName, "another svc asked at the same time; what execd did is not known");
            default:
                return fail(kName, "execd does not answer", answer.error());
        }
    }
    Outcome outcome{.status = answer->status};
    const bool is_known = answer->status == 0 || (verb == "status" && answer->status == 3);
    if (!is_known && verb != "reload") {
        outcome.errors = std::string{kName} + ": " + answer->text;
    } else if (verb == "status") {
        outcome.output = in_columns(split_answer(answer->text), kStatusFields, is_json);
    } else if (verb == "explain") {
        outcome.output = in_columns(split_answer(answer->text), kOriginFields, is_json);
    } else if (verb == "logs" && levels) {
        outcome.output = lines_of(answer->text, *levels);
    } else if (verb != "reload") {
        outcome.output = answer->text;  // execd has told the console of a reload
    }
    return outcome;
}

}  // namespace

std::vector<std::vector<std::string>> split_answer(std::string_view text) {
    std::vector<std::vector<std::string>> rows;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        std::vector<std::string>& row = rows.emplace_back();
        for (;;) {
            const std::size_t tab = line.find('\t');
            row.emplace_back(line.substr(0, tab));
            if (tab == std::string_view::npos) {
                break;
            }
            line.remove_prefix(tab + 1);
        }
    }
    return rows;
}

std::vector<std::vector<std::string>> recipe_origins(System& system, std::int32_t pid) {
    const auto all = system.ask_execd("status");
    if (!all.ok() || all->status != 0) {
        return {};
    }
    for (const auto& row : split_answer(all->text)) {
        if (row.size() == kStatusFields.size() && row[2] == std::to_string(pid)) {
            const auto explained = system.ask_execd("explain " + row[0]);
            return explained.ok() && explained->status == 0 ? split_answer(explained->text)
                                                            : std::vector<std::vector<std::string>>{};
        }
    }
    return {};
}

Outcome run_svc(System& system, Arguments arguments) {
    bool is_json = false;
    std::optional<std::string> levels;
    OptionReader options{arguments};
    while (const auto option = options.next()) {
        if (*option == "-l" || *option == "--level") {
            levels = options.value();
            if (!levels || !are_levels(*levels)) {
                return misuse(kName, "-l wants a list of err, warn, notice, info");
            }
        } else if (*option == "--json") {
            is_json = true;
        } else {
            return misuse(kName, "'" + *option + "': no such option");
        }
    }
    const auto& words = options.operands();
    const std::string verb = words.empty() ? "status" : words[0];
    const bool is_of_one = std::ranges::find(kOfOne, verb) != kOfOne.end();
    if (!is_of_one && verb != "status" && verb != "reload") {
        return misuse(kName, "'" + verb + "': not status, start, stop, restart, reload, logs or explain");
    }
    if (is_of_one && words.size() != 2) {
        return misuse(kName, verb + " wants one service");
    }
    if (levels && verb != "logs") {
        return misuse(kName, "-l goes with logs");
    }
    if (words.size() > (verb == "reload" ? 1 : 2)) {
        return misuse(kName, "'" + words.back() + "': one word too many");
    }
    return ask(system, verb, words.size() == 2 ? words[1] : "", is_json, levels);
}

}  // namespace shell
