/* libFuzzer target for files of tensors. Their content says the format, so that one target covers
 * safetensors, zip, legacy form and pickle. Whatever opens must be consistent: each tensor is found by its
 * name and can be read by what it says of itself. Without libFuzzer (REVBIFPN_FUZZ off) the same function
 * runs over the files named on the command line, and all their beginnings. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_weights: %s\n", what);
    abort();
}

static void read_all(const rb_tensor_file *file) {
    for (int i = 0; i < rb_tensor_file_count(file); i++) {
        rb_error err;
        const rb_tensor_info *t = rb_tensor_file_at(file, i);
        insist(rb_tensor_file_find(file, t->name) == t, "a tensor is not found by its name");
        if (t->bytes > 1 << 20) continue; /* a view may say more than it holds */
        size_t floats = t->bytes / rb_dtype_bytes(t->dtype) * sizeof(float);
        void *dst = rb_alloc(t->bytes > floats ? t->bytes : floats);
        insist(dst != NULL, "out of memory");
        insist(!rb_tensor_file_read(file, t->name, t->dtype, t->ndim, t->shape, dst, &err),
               "a tensor is not read");
        (void)!rb_tensor_file_read_floats(file, t->name, t->ndim, t->shape, dst, &err);
        rb_free(dst);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rb_error err = {0};
    rb_tensor_file *file;
    rb_weights_info info;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    insist(fd >= 0 && write(fd, data, size) == (ssize_t)size, "cannot write the input");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    revbifpn_status status = rb_tensor_file_open(&file, path, &err);
    insist((status == REVBIFPN_OK) == (file != NULL), "status and result differ");
    insist(status == REVBIFPN_OK || status == REVBIFPN_BAD_FILE, err.text);
    insist(status == REVBIFPN_OK || err.text[0], "an error without a text");
    if (file) read_all(file);
    if (file && rb_weights_read_info(file, &info, &err) == REVBIFPN_OK) rb_weights_info_close(&info);
    rb_tensor_file_close(&file);
    close(fd);
    return 0;
}

#ifndef REVBIFPN_FUZZ
#include "seeds.h"
#endif
