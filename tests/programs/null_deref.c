// SPDX-License-Identifier: MIT
// Reads address 0: the kernel ends this program with one line and goes on.
#include <stdio.h>

int main(void) {
    puts("null_deref: reading address 0");
    fflush(stdout);
    const volatile int* volatile nothing = 0;
    printf("null_deref: WRONG, read %d\n", *nothing);
    return 1;
}
