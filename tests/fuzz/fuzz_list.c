/* libFuzzer target for list files. What is accepted must be consistent. Without libFuzzer the function runs
 * over the files named on the command line, and all their beginnings. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_list: %s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    rb_dataset d;
    rb_error err = {0};
    rb_dataset_options options = {.purpose = RB_DATASET_ALL};
    int fd = memfd_create("fuzz", MFD_CLOEXEC), sum = 0;
    insist(fd >= 0 && write(fd, data, size) == (ssize_t)size, "cannot write the input");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    revbifpn_status status = rb_dataset_open(&d, path, &options, &err);
    insist(!status || (status == REVBIFPN_BAD_DATA && err.text[0]), err.text);
    for (int i = 0; i < d.train.count; i++) {
        const rb_sample *s = &d.train.samples[i];
        insist(s->path[0] && s->label >= 0 && s->label < d.classes, "a sample without path or class");
    }
    for (int i = 0; i < d.classes; i++) sum += d.train.per_class[i];
    insist(sum == d.train.count && !status == (sum > 0), "classes do not add up");
    rb_dataset_close(&d);
    close(fd);
    return 0;
}

#ifndef REVBIFPN_FUZZ
static int run_file(const char *path) {
    static uint8_t data[1 << 20];
    FILE *f = fopen(path, "rb");
    if (!f) return perror(path), 1;
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    if (!size) return fprintf(stderr, "%s: empty\n", path), 1;
    for (size_t n = 0; n <= size; n++) LLVMFuzzerTestOneInput(data, n);
    return 0;
}

int main(int argc, char **argv) {
    int failed = argc < 2;
    for (int i = 1; i < argc; i++) failed |= run_file(argv[i]);
    printf("%d seeds\n", argc - 1);
    return failed;
}
#endif
