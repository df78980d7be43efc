// SPDX-License-Identifier: MIT
// Asks for a line on the terminal and says what it got.
#include <stdio.h>
#include <string.h>

int main(void) {
    char line[256];
    printf("read_line: waiting\n");
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) {
        printf("read_line: WRONG: end of file\n");
        return 1;
    }
    line[strcspn(line, "\n")] = '\0';
    printf("read_line: got '%s'\n", line);
    return 0;
}
