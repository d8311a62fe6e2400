/* The ordinary test of a fuzz target: every seed named on the command line, as it is and cut at every byte
 * (long ones at every 61st). A case a seed, printed as cmocka does. */
#ifndef TESTS_FUZZ_SEEDS_H
#define TESTS_FUZZ_SEEDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* On a copy of exactly that size, so that the sanitizers see a byte too many. */
static bool run_bytes(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) return false;
    memcpy(copy, data, size);
    int result = LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return !result;
}

static bool run_seed(const char *path) {
    static uint8_t data[1 << 20];
    FILE *f = fopen(path, "rb");
    if (!f) return perror(path), false;
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    if (!size) return fprintf(stderr, "%s: empty\n", path), false;
    for (size_t n = 0, step = size > 4096 ? 61 : 1; n < size; n += step)
        if (!run_bytes(data, n)) return false;
    return run_bytes(data, size);
}

int main(int argc, char **argv) {
    bool good = argc > 1;
    for (int i = 1; i < argc; i++) {
        printf("[ RUN      ] %s\n", argv[i]);
        fflush(stdout);
        bool passed = run_seed(argv[i]);
        printf("[ %s ] %s\n", passed ? "      OK" : " FAILED ", argv[i]);
        good &= passed;
    }
    return !good;
}

#endif
