// SPDX-License-Identifier: MIT
// What glibc's tests use of its internal header of this name, with the same meaning.
#ifndef NEURON_TESTS_PTHREADP_H
#define NEURON_TESTS_PTHREADP_H

#include <atomic.h>
#include <internal-signals.h>
#include <pthread.h>

// Of a rwlock's first word: how many readers, and the bit that says that they are too many.
#define PTHREAD_RWLOCK_READER_SHIFT 3
#define PTHREAD_RWLOCK_READER_OVERFLOW (1U << (sizeof(unsigned int) * 8 - 1))

#endif
