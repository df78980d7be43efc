// SPDX-License-Identifier: MIT
// What glibc's tests use of its internal header of this name: the two signals the library keeps for itself.
#ifndef NEURON_TESTS_INTERNAL_SIGNALS_H
#define NEURON_TESTS_INTERNAL_SIGNALS_H

#include <signal.h>

#define SIGCANCEL __SIGRTMIN
#define SIGSETXID (__SIGRTMIN + 1)

#endif
