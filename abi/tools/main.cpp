// SPDX-License-Identifier: MIT
// abi_docs (golden|docs) (--check|--write) FILE --headers DIR: renders one of the two generated files from
// the compiled headers and compares it with, or writes it to, FILE. abi_docs frozen --check FILE --headers
// DIR: compares the headers with what a version promised. Exit: 0 the same or written, 1 different, 2 usage
// or I/O error.
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

#include "frozen.hpp"
#include "render.hpp"

namespace {

// Prints the first line in which the two texts differ.
void print_first_difference(std::string_view file, const std::string& expected, const std::string& found) {
    std::istringstream want{expected};
    std::istringstream have{found};
    std::string want_line;
    std::string have_line;
    for (int number = 1;; ++number) {
        const bool has_want = static_cast<bool>(std::getline(want, want_line));
        const bool has_have = static_cast<bool>(std::getline(have, have_line));
        if (!has_want && !has_have) {
            return;
        }
        if (has_want != has_have || want_line != have_line) {
            std::cerr << file << ":" << number << ": differs from the headers\n"
                      << "  headers: " << (has_want ? want_line : "(end)") << "\n"
                      << "  file:    " << (has_have ? have_line : "(end)") << "\n"
                      << "If the change is meant: cmake --build --preset host --target abi-golden-update, "
                         "and grade it "
                         "in CHANGELOG.md.\n";
            return;
        }
    }
}

// Exit status: 1 when a promise of the frozen version is broken.
int check_frozen(const std::string& file, const std::string& now) {
    const auto frozen = abi_docs::read_file(file);
    if (!frozen.has_value() || frozen->empty()) {
        std::cerr << file << ": cannot read\n";
        return 2;
    }
    const auto broken = abi_docs::broken_promises(*frozen, now);
    for (const std::string& line : broken) {
        std::cerr << file << ": the headers break: " << line << "\n";
    }
    return broken.empty() ? 0 : 1;
}

int usage() {
    std::cerr << "usage: abi_docs (golden|docs) (--check|--write) FILE --headers DIR\n"
                 "       abi_docs frozen --check FILE --headers DIR\n";
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6 || std::string_view{argv[4]} != "--headers") {
        return usage();
    }
    const std::string_view what = argv[1];
    const std::string_view mode = argv[2];
    const std::string file = argv[3];
    const std::string headers = argv[5];
    const bool is_frozen = what == "frozen" && mode == "--check";
    if (!is_frozen && ((what != "golden" && what != "docs") || (mode != "--check" && mode != "--write"))) {
        return usage();
    }
    abi_docs::HeaderComments comments;
    for (const char* header : {"error.hpp", "sched.hpp", "system.hpp"}) {
        const std::string path = headers + "/" + header;
        const auto text = abi_docs::read_file(path);
        if (!text.has_value()) {
            std::cerr << path << ": cannot read\n";
            return 2;
        }
        comments.add(*text);
    }
    const abi_docs::Layout layout = abi_docs::compiled_layout();
    if (is_frozen) {
        return check_frozen(file, abi_docs::render_golden(nexus_abi::kCallRows, layout));
    }
    const std::string rendered = what == "golden"
                                     ? abi_docs::render_golden(nexus_abi::kCallRows, layout)
                                     : abi_docs::render_docs(nexus_abi::kCallRows, layout, comments);
    if (mode == "--write") {
        std::ofstream out{file, std::ios::binary};
        out << rendered;
        if (!out.flush()) {
            std::cerr << file << ": cannot write\n";
            return 2;
        }
        return 0;
    }
    const auto found = abi_docs::read_file(file);
    if (!found.has_value()) {
        std::cerr << file << ": cannot read\n";
        return 2;
    }
    if (*found != rendered) {
        print_first_difference(file, rendered, *found);
        return 1;
    }
    return 0;
}
