// SPDX-License-Identifier: MIT
// A program that knows nothing of NEURON: built by the stock cross compiler as on any Linux.
#include <stdio.h>

int main(int argc, char** argv) {
    printf("hello: %s with %d arguments\n", argv[0], argc - 1);
    for (int index = 1; index < argc; ++index) {
        printf("hello: argument %d is '%s'\n", index, argv[index]);
    }
    return 0;
}
