// SPDX-License-Identifier: MIT
// Names for clang's -Wthread-safety attributes (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html); empty
// for g++.
#pragma once

#ifdef __clang__
#define NEURON_TSA(x) __attribute__((x))
#else
#define NEURON_TSA(x)
#endif

#define CAPABILITY(name) NEURON_TSA(capability(name))
#define SCOPED_CAPABILITY NEURON_TSA(scoped_lockable)
#define GUARDED_BY(lock) NEURON_TSA(guarded_by(lock))
#define PT_GUARDED_BY(lock) NEURON_TSA(pt_guarded_by(lock))
#define REQUIRES(...) NEURON_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) NEURON_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) NEURON_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) NEURON_TSA(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) NEURON_TSA(try_acquire_capability(__VA_ARGS__))
#define ASSERT_CAPABILITY(lock) NEURON_TSA(assert_capability(lock))
#define RETURN_CAPABILITY(lock) NEURON_TSA(lock_returned(lock))
#define NO_THREAD_SAFETY_ANALYSIS NEURON_TSA(no_thread_safety_analysis)
