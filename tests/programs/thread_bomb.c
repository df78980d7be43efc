// SPDX-License-Identifier: MIT
// Starts threads that start threads until there is room for no more, or the kernel ends it with one line.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_int started;

static void* explode(void* unused) {
    enum { kStackBytes = 64 << 10 };
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    pthread_t thread;
    while (pthread_create(&thread, &attributes, explode, NULL) == 0) {
        atomic_fetch_add(&started, 1);
    }
    // The first one to be refused ends them all.
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&said)) {
        printf("thread_bomb: no more after %d threads\n", atomic_load(&started));
        exit(0);
    }
    return unused;
}

int main(void) {
    puts("thread_bomb: starting threads");
    fflush(stdout);
    explode(NULL);
    pthread_exit(NULL);  // returning would end the thread that reports
}
