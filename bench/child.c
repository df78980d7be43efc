// SPDX-License-Identifier: MIT
// What spawn_wait and fork_exec start: a static C program of the usual size that ends at once.
int main(void) {
    return 0;
}
