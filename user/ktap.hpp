// SPDX-License-Identifier: MIT
// Kernel TAP version 1 on standard output (Linux: Documentation/dev-tools/ktap.rst). Not thread-safe: one
// reporter.
#pragma once

#include <cstddef>
#include <string_view>

namespace user {

class Ktap {
  public:
    // "KTAP version 1" and the plan.
    explicit Ktap(std::size_t tests);

    // "ok N - name # figures"; the tests are numbered in the order of the calls.
    void ok(std::string_view name, std::string_view figures);
    void not_ok(std::string_view name, std::string_view figures);
    // "ok N - name # SKIP reason".
    void skip(std::string_view name, std::string_view reason);
    // "# text".
    static void diagnostic(std::string_view text);

  private:
    void report(std::string_view result, std::string_view name, std::string_view directive,
                std::string_view text);

    std::size_t next_{1};
};

}  // namespace user
