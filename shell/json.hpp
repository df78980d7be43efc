// SPDX-License-Identifier: MIT
// JSON for scripts: one document, built front to back, on one line.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace shell {

// For one thread. Pre: calls pair up as the document nests.
class JsonWriter {
  public:
    void begin_object() { begin('{'); }
    void end_object() { end('}'); }
    void begin_array() { begin('['); }
    void end_array() { end(']'); }
    // Of the value that comes next in an object.
    JsonWriter& key(std::string_view name);
    void value(std::string_view text);
    void value(const char* text) { value(std::string_view{text}); }
    void value(bool flag) { put(flag ? "true" : "false"); }
    template <std::integral Number>
        requires(!std::same_as<Number, bool>)
    void value(Number number) {
        put(std::to_string(number));
    }
    template <class Value>
    void member(std::string_view name, const Value& content) {
        key(name).value(content);
    }

    // The document and a newline.
    [[nodiscard]] std::string text() const { return text_ + '\n'; }

  private:
    void begin(char bracket);
    void end(char bracket);
    void separate();
    void put(std::string_view raw);

    std::string text_;
    bool wants_comma_{false};
};

}  // namespace shell
