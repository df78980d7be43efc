// SPDX-License-Identifier: MIT
// Takes memory until there is none: malloc fails, or the kernel ends this program with one line and goes on.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    enum { kPiece = 1 << 20 };
    puts("exhaust_memory: taking memory");
    fflush(stdout);
    for (int pieces = 0;; ++pieces) {
        void* piece = malloc(kPiece);
        if (piece == NULL) {
            printf("exhaust_memory: malloc said no\n");
            return 0;
        }
        memset(piece, pieces, kPiece);
    }
}
