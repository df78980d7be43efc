// SPDX-License-Identifier: MIT
// Started after the hostile programs: says that the rest went on, and powers the machine off.
#include <stdio.h>
#include <sys/reboot.h>

int main(void) {
    puts("survivor: still here");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    perror("survivor: power off");
    return 1;
}
