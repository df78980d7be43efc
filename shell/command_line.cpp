// SPDX-License-Identifier: MIT
#include "command_line.hpp"

#include <cctype>
#include <utility>

namespace shell {
namespace {

// has_dots: "neuron.selftest" is a name where it is clear where it ends.
bool is_name_character(char letter, bool has_dots) {
    return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' ||
           (has_dots && letter == '.');
}

class Parser {
  public:
    explicit Parser(std::string_view line) : line_{line} {}

    std::variant<std::vector<Pipeline>, ParseError> parse() {
        while (!error_) {
            skip_blanks();
            if (is_at_end()) {
                return std::move(pipelines_);
            }
            parse_pipeline();
        }
        return *error_;
    }

  private:
    [[nodiscard]] bool is_at_end() const { return at_ >= line_.size() || line_[at_] == '#'; }
    [[nodiscard]] bool sees(std::string_view text) const { return line_.substr(at_).starts_with(text); }
    bool take(std::string_view text) {
        if (!sees(text)) {
            return false;
        }
        at_ += text.size();
        return true;
    }
    void skip_blanks() {
        while (at_ < line_.size() && (line_[at_] == ' ' || line_[at_] == '\t')) {
            ++at_;
        }
    }
    void fail(std::string what) { fail_at(at_, std::move(what)); }
    void fail_at(std::size_t place, std::string what) {
        if (!error_) {
            error_ = ParseError{.column = place + 1, .what = std::move(what)};
        }
    }

    void parse_pipeline() {
        const std::size_t begin = at_;
        Pipeline pipeline{.commands = {}, .runs_after = runs_after_, .text = {}};
        runs_after_ = RunsAfter::Anything;
        do {
            skip_blanks();
            pipeline.commands.push_back(parse_command());
        } while (!error_ && !sees("||") && take("|"));
        if (error_) {
            return;
        }
        pipeline.text = line_.substr(begin, at_ - begin);
        pipeline.text.erase(pipeline.text.find_last_not_of(" \t") + 1);
        take_separator(pipeline);
        pipelines_.push_back(std::move(pipeline));
    }

    void take_separator(Pipeline& pipeline) {
        const std::size_t before = at_;
        if (take("&&")) {
            runs_after_ = RunsAfter::Success;
        } else if (take("||")) {
            runs_after_ = RunsAfter::Failure;
        } else if (take("&")) {
            pipeline.is_background = true;
        } else if (!take(";")) {
            return;
        }
        skip_blanks();
        if (runs_after_ != RunsAfter::Anything && is_at_end()) {
            fail_at(before, "nothing follows '" + std::string{line_.substr(before, 2)} + "'");
        }
    }

    Command parse_command() {
        Command command;
        const std::size_t begin = at_;
        while (!error_) {
            skip_blanks();
            if (is_at_end() || line_[at_] == ';' || line_[at_] == '|' || line_[at_] == '&') {
                break;
            }
            if (!parse_redirect(command)) {
                command.words.push_back(parse_word());
            }
        }
        if (command.words.empty() && command.redirects.empty()) {
            fail_at(begin, is_at_end() ? "a command is missing at the end"
                                       : "a command is missing before '" + std::string(1, line_[at_]) + "'");
        }
        return command;
    }

    // "< FILE", "> FILE", ">> FILE", "2> FILE", "2>&1"; false: no redirection stands here.
    bool parse_redirect(Command& command) {
        const std::size_t digits =
            at_ + 1 < line_.size() && (line_[at_] == '1' || line_[at_] == '2') && line_[at_ + 1] == '>' ? 1
                                                                                                        : 0;
        const char sign = line_[at_ + digits];
        if (sign != '<' && sign != '>') {
            return false;
        }
        Redirect redirect{.descriptor = digits == 1 ? line_[at_] - '0' : (sign == '<' ? 0 : 1), .target = {}};
        at_ += digits + 1;
        if (sign == '>') {
            redirect.kind = take(">") ? RedirectKind::Append : RedirectKind::Output;
        }
        if (redirect.kind == RedirectKind::Output && take("&")) {
            redirect.kind = RedirectKind::Copy;
            if (at_ >= line_.size() || (line_[at_] != '1' && line_[at_] != '2')) {
                fail("'>&' wants 1 or 2");
                return true;
            }
            redirect.copied = line_[at_++] - '0';
        } else {
            skip_blanks();
            redirect.target = parse_word();
            if (redirect.target.parts.empty() && !redirect.target.is_quoted) {
                fail(std::string{"'"} + sign + "' wants a file");
            }
        }
        command.redirects.push_back(std::move(redirect));
        return true;
    }

    Word parse_word() {
        Word word;
        while (at_ < line_.size() && !error_) {
            const char letter = line_[at_];
            if (std::string_view{" \t;|&<>"}.contains(letter)) {
                break;
            }
            ++at_;
            if (letter == '\'') {
                take_quoted(word);
            } else if (letter == '"') {
                take_double_quoted(word);
            } else if (letter == '$') {
                take_variable(word);
            } else if (letter == '\\' && at_ < line_.size()) {
                word.is_quoted = true;
                append(word, line_[at_++]);
            } else {
                append(word, letter);
            }
        }
        return word;
    }

    void take_quoted(Word& word) {
        word.is_quoted = true;
        const std::size_t end = line_.find('\'', at_);
        if (end == std::string_view::npos) {
            fail_at(at_ - 1, "this ' has no other");
            return;
        }
        for (; at_ < end; ++at_) {
            append(word, line_[at_]);
        }
        ++at_;
    }

    void take_double_quoted(Word& word) {
        word.is_quoted = true;
        const std::size_t begin = at_ - 1;
        while (at_ < line_.size() && line_[at_] != '"') {
            const char letter = line_[at_++];
            if (letter == '$') {
                take_variable(word);
            } else if (letter == '\\' && at_ < line_.size() &&
                       std::string_view{"\"\\$"}.contains(line_[at_])) {
                append(word, line_[at_++]);
            } else {
                append(word, letter);
            }
        }
        if (!take("\"")) {
            fail_at(begin, "this \" has no other");
        }
    }

    // Behind the $.
    void take_variable(Word& word) {
        const bool has_brace = take("{");
        const std::size_t begin = at_;
        if (at_ < line_.size() && std::string_view{"?!$"}.contains(line_[at_])) {
            ++at_;
        } else {
            while (at_ < line_.size() && is_name_character(line_[at_], has_brace)) {
                ++at_;
            }
        }
        const std::string name{line_.substr(begin, at_ - begin)};
        if (has_brace && (name.empty() || !take("}"))) {
            fail_at(begin - 2, "'${' wants a name and '}'");
        } else if (name.empty()) {
            append(word, '$');
        } else {
            word.parts.push_back({.is_variable = true, .text = name});
        }
    }

    static void append(Word& word, char letter) {
        if (word.parts.empty() || word.parts.back().is_variable) {
            word.parts.push_back({.text = {}});
        }
        word.parts.back().text += letter;
    }

    std::string_view line_;
    std::size_t at_{0};
    RunsAfter runs_after_{RunsAfter::Anything};
    std::vector<Pipeline> pipelines_;
    std::optional<ParseError> error_;
};

}  // namespace

std::variant<std::vector<Pipeline>, ParseError> parse_line(std::string_view line) {
    return Parser{line}.parse();
}

std::string expand(const Word& word, const VariableLookup& lookup) {
    std::string text;
    for (const WordPart& part : word.parts) {
        text += part.is_variable ? lookup(part.text) : part.text;
    }
    return text;
}

std::vector<std::string> expand(const std::vector<Word>& words, const VariableLookup& lookup) {
    std::vector<std::string> texts;
    for (const Word& word : words) {
        std::string text = expand(word, lookup);
        if (!text.empty() || word.is_quoted) {
            texts.push_back(std::move(text));
        }
    }
    return texts;
}

std::optional<std::size_t> assignment_name(std::string_view word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos || equals == 0 ||
        std::isdigit(static_cast<unsigned char>(word[0])) != 0) {
        return std::nullopt;
    }
    for (const char letter : word.substr(0, equals)) {
        if (!is_name_character(letter, true)) {
            return std::nullopt;
        }
    }
    return equals;
}

}  // namespace shell
