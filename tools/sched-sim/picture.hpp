// SPDX-License-Identifier: MIT
// The timeline and the history of shares of a report as SVG elements, coloured by CSS classes so that they
// read well on light and on dark ground.
#pragma once

#include <iosfwd>
#include <string>

#include "report.hpp"

namespace sched_sim {

inline constexpr int kPictureWidth = 1000;
inline constexpr int kLaneHeight = 34;

// `text` with <, >, & and quotes as entities.
[[nodiscard]] std::string escaped(const std::string& text);

// The style rules both forms share: text, grid, and one colour per task.
void write_style(std::ostream& out, const Report& report);

// Elements of one picture, from y = 0 on; they return the height they took.
int draw_timeline(std::ostream& out, const Report& report);
int draw_history(std::ostream& out, const Report& report);
int draw_legend(std::ostream& out, const Report& report);

}  // namespace sched_sim
