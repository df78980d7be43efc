// SPDX-License-Identifier: MIT
#include "ktap.hpp"

#include <string>

#include "console.hpp"

namespace user {

Ktap::Ktap(std::size_t tests) {
    write_line("KTAP version 1");
    write_line("1.." + std::to_string(tests));
}

void Ktap::ok(std::string_view name, std::string_view figures) {
    report("ok", name, "", figures);
}

void Ktap::not_ok(std::string_view name, std::string_view figures) {
    report("not ok", name, "", figures);
}

void Ktap::skip(std::string_view name, std::string_view reason) {
    report("ok", name, "SKIP ", reason);
}

void Ktap::diagnostic(std::string_view text) {
    write_line("# " + std::string{text});
}

void Ktap::report(std::string_view result, std::string_view name, std::string_view directive,
                  std::string_view text) {
    std::string line{result};
    line += ' ' + std::to_string(next_++) + " - ";
    line += name;
    if (!directive.empty() || !text.empty()) {
        line += " # ";
        line += directive;
        line += text;
    }
    write_line(line);
}

}  // namespace user
