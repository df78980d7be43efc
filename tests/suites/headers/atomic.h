// SPDX-License-Identifier: MIT
// What glibc's tests use of its internal header of this name, with the same meaning, on a machine of 64 bits.
#ifndef NEURON_TESTS_ATOMIC_H
#define NEURON_TESTS_ATOMIC_H

#include <limits.h>
#include <stdbool.h>

#define __HAVE_64B_ATOMICS 1
#define atomic_load_relaxed(place) __atomic_load_n((place), __ATOMIC_RELAXED)
#define atomic_store_relaxed(place, value) __atomic_store_n((place), (value), __ATOMIC_RELAXED)

#endif
