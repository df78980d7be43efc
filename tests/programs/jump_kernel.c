// SPDX-License-Identifier: MIT
// Jumps to an address in the kernel's half: the kernel ends this program with one line and goes on.
#include <stdint.h>
#include <stdio.h>

int main(void) {
    puts("jump_kernel: jumping to 0xffffffff80000000");
    fflush(stdout);
    void (*volatile kernel)(void) = (void (*)(void))(uintptr_t)0xffffffff80000000U;
    kernel();
    puts("jump_kernel: WRONG, came back");
    return 1;
}
