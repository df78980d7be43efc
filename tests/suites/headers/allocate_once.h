// SPDX-License-Identifier: MIT
// What glibc's support library uses of its internal header of this name, with the same meaning: the value
// that *place gets once; of several threads at once, the first one's counts, and the others give theirs back.
#ifndef NEURON_TESTS_ALLOCATE_ONCE_H
#define NEURON_TESTS_ALLOCATE_ONCE_H

#include <stddef.h>

static inline void* allocate_once(void** place, void* (*allocate)(void*), void (*deallocate)(void*, void*),
                                  void* closure) {
    void* value = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    if (value != NULL) {
        return value;
    }
    void* fresh = allocate(closure);
    if (fresh == NULL) {
        return NULL;
    }
    if (__atomic_compare_exchange_n(place, &value, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        return fresh;
    }
    if (deallocate != NULL) {
        deallocate(closure, fresh);
    }
    return value;
}

#endif
