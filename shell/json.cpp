// SPDX-License-Identifier: MIT
#include "json.hpp"

#include "console.hpp"

namespace shell {

namespace {

std::string quoted(std::string_view text) {
    std::string result{'"'};
    for (const char letter : text) {
        if (letter == '"' || letter == '\\') {
            result += '\\';
            result += letter;
        } else if (static_cast<unsigned char>(letter) < 0x20) {
            result += user::format("\\u%04x", static_cast<unsigned>(letter));
        } else {
            result += letter;
        }
    }
    return result + '"';
}

}  // namespace

JsonWriter& JsonWriter::key(std::string_view name) {
    separate();
    text_ += quoted(name) + ": ";
    wants_comma_ = false;
    return *this;
}

void JsonWriter::value(std::string_view text) {
    put(quoted(text));
}

void JsonWriter::begin(char bracket) {
    separate();
    text_ += bracket;
    wants_comma_ = false;
}

void JsonWriter::end(char bracket) {
    text_ += bracket;
    wants_comma_ = true;
}

void JsonWriter::separate() {
    if (wants_comma_) {
        text_ += ", ";
    }
}

void JsonWriter::put(std::string_view raw) {
    separate();
    text_ += raw;
    wants_comma_ = true;
}

}  // namespace shell
