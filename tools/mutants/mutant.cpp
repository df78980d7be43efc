// SPDX-License-Identifier: MIT
// Which seeded defect of tools/mutants/mutants.py is switched on: NEURON_MUTANT, 0 for none.
#include <cstdlib>

extern "C" {
extern const int neuron_mutant;
const int neuron_mutant = [] {
    const char* const chosen = std::getenv("NEURON_MUTANT");
    return chosen == nullptr ? 0 : std::atoi(chosen);
}();
}
