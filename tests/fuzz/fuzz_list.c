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
#include "seeds.h"
#endif
