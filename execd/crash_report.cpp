// SPDX-License-Identifier: MIT
#include "crash_report.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

#include "elf_symbols.hpp"

namespace execd {
namespace {

// "0x..." at the begin of a text, which moves behind it.
std::optional<std::uint64_t> take_address(std::string_view& text) {
    if (!text.starts_with("0x")) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    const auto done = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
    if (done.ec != std::errc{}) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(done.ptr - text.data()));
    return value;
}

// Removes `lead` from the front; false: it is not there.
bool take(std::string_view& text, std::string_view lead) {
    if (!text.starts_with(lead)) {
        return false;
    }
    text.remove_prefix(lead.size());
    return true;
}

struct Code {
    std::uint64_t begin{0};
    std::uint64_t end{0};
    std::uint64_t file_offset{0};
    std::string_view file;
};

// "0xA-0xB of FILE from offset 0xC"
std::optional<Code> parse_code(std::string_view text) {
    const auto begin = take_address(text);
    const bool is_range = begin && take(text, "-");
    const auto end = is_range ? take_address(text) : std::nullopt;
    const std::size_t from = text.rfind(" from offset ");
    if (!end || !take(text, " of ") || from == std::string_view::npos) {
        return std::nullopt;
    }
    const std::size_t at = text.rfind(" from offset ");
    std::string_view last = text.substr(at + std::string_view{" from offset "}.size());
    const auto offset = take_address(last);
    if (!offset) {
        return std::nullopt;
    }
    return Code{.begin = *begin, .end = *end, .file_offset = *offset, .file = text.substr(0, at)};
}

class Reader {
  public:
    explicit Reader(const CodeNamer& name) : name_{name} {}

    void cause(std::string_view text) {
        report_ = CrashReport{.summary = std::string{text}, .lines = {std::string{text}}};
        has_begun_ = true;
        code_.clear();
    }
    // What follows "crash PID: ".
    void detail(std::string_view text) {
        if (!has_begun_) {
            return;
        }
        if (take(text, "code ")) {
            if (const auto code = parse_code(text)) {
                code_.push_back(*code);
            }
        } else if (take(text, "pc ")) {
            place_of_fault(text);
        } else if (take(text, "perhaps from")) {
            callers(text);
        } else if (text.starts_with("ra ") || text.find(" 0x") != std::string_view::npos) {
            report_.lines.emplace_back(text);
        }
    }
    [[nodiscard]] std::optional<CrashReport> take_report() {
        return has_begun_ ? std::optional{std::move(report_)} : std::nullopt;
    }

  private:
    [[nodiscard]] std::optional<std::string> name_of(std::uint64_t address, bool is_return) const {
        const auto code = std::ranges::find_if(
            code_, [&](const Code& part) { return address >= part.begin && address < part.end; });
        return code == code_.end()
                   ? std::nullopt
                   : name_({.file = code->file, .file_offset = address - code->begin + code->file_offset},
                           is_return);
    }
    void place_of_fault(std::string_view text) {
        const std::string shown{text};
        const auto address = take_address(text);
        const auto name = address ? name_of(*address, false) : std::nullopt;
        report_.lines.push_back("pc " + shown + (name ? ' ' + *name : ""));
        if (const std::size_t at = report_.summary.find("pc " + shown); name && at != std::string::npos) {
            report_.summary.replace(at + 3, shown.size(), *name);
        }
    }
    void callers(std::string_view text) {
        while (take(text, " ")) {
            const std::string_view before = text;
            const auto address = take_address(text);
            if (!address) {
                return;
            }
            const std::string shown{before.substr(0, before.size() - text.size())};
            const auto name = name_of(*address, true);
            if (!name) {
                report_.lines.push_back("perhaps from " + shown);
            } else if (!name->empty()) {
                report_.lines.push_back("from " + shown + ' ' + *name);
            }
        }
    }

    const CodeNamer& name_;
    bool has_begun_{false};
    CrashReport report_{};
    std::vector<Code> code_;
};

}  // namespace

std::optional<CrashReport> read_crash(std::string_view log, std::int32_t pid, const CodeNamer& name) {
    const std::string detail = "crash " + std::to_string(pid) + ": ";
    const std::string process = " (pid " + std::to_string(pid) + " tid ";
    constexpr std::string_view kFault = "fault: ";
    Reader reader{name};
    while (!log.empty()) {
        std::string_view line = log.substr(0, log.find('\n'));
        log.remove_prefix(std::min(log.size(), line.size() + 1));
        if (const std::size_t at = line.find(detail); at != std::string_view::npos) {
            reader.detail(line.substr(at + detail.size()));
        } else if (const std::size_t fault = line.find(kFault);
                   fault != std::string_view::npos && line.find(process, fault) != std::string_view::npos) {
            line.remove_prefix(line.find(process, fault));
            const std::size_t cause = line.find("): ");
            const std::size_t end = line.rfind(", killed by signal ");
            if (cause != std::string_view::npos && end != std::string_view::npos && end > cause) {
                reader.cause(line.substr(cause + 3, end - cause - 3));
            }
        }
    }
    return reader.take_report();
}

CodeNamer names_from_files() {
    auto files = std::make_shared<std::map<std::string, std::optional<ElfSymbols>, std::less<>>>();
    return [files](const CodePlace& place, bool is_return) -> std::optional<std::string> {
        auto file = files->find(place.file);
        if (file == files->end()) {
            const std::string path{place.file};
            file = files->emplace(path, ElfSymbols::read(path)).first;
        }
        if (!file->second) {
            return std::nullopt;
        }
        if (is_return && !file->second->follows_call(place.file_offset)) {
            return "";
        }
        return file->second->name_at(place.file_offset);
    };
}

}  // namespace execd
