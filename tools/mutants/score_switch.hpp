// SPDX-License-Identifier: MIT
// Which of the mutants made by score.py is on: included before everything else in the sources they are made
// of.
#pragma once

extern "C" {
extern int neuron_score_mutant;           // 0: none
extern unsigned char* neuron_score_seen;  // by number: its place was reached
}

inline bool neuron_score_on(int number) {
    neuron_score_seen[number] = 1;
    return neuron_score_mutant == number;
}

// In constant expressions the original holds.
constexpr bool neuron_score_is(int number) {
    return !__builtin_is_constant_evaluated() && neuron_score_on(number);
}
