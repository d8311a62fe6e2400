/* Samples out of the binary version of CIFAR-10 (Krizhevsky, 2009): data_batch_1.bin … data_batch_5.bin and
 * test_batch.bin, records of one byte of label and 3072 of planes. All training files that are there are
 * taken. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/source.h"

enum { PIXELS = 3072, RECORD = PIXELS + 1, FILES = 5, CLASSES = 10 };

static revbifpn_status add_record(rb_source *s, const char *file, uint64_t number, int label, rb_error *err) {
    size_t size = strlen(file) + 32;
    rb_sample sample = {.label = label,
                        .form = RB_SAMPLE_PLANES,
                        .container = file,
                        .offset = number * RECORD + 1,
                        .size = PIXELS,
                        .path = rb_alloc(size)};
    if (!sample.path) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
    snprintf(sample.path, size, "%s, picture %llu", file, (unsigned long long)number);
    return rb_source_add(s, &sample, err);
}

static revbifpn_status read_file(rb_source *s, const char *path, uint64_t size, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    unsigned char *bytes = NULL;
    size_t all;
    const char *file;
    if (!size || size % RECORD)
        return rb_fail(err, REVBIFPN_BAD_DATA, "%s: %llu bytes are no whole number of records of %d", path,
                       (unsigned long long)size, RECORD);
    TRY(rb_source_container(s, path, &file, err));
    TRY(rb_file_read(path, (size_t)1 << 31, &bytes, &all, err));
    for (uint64_t i = 0; !status && (i + 1) * RECORD <= all; i++) {
        int label = bytes[i * RECORD];
        if (label >= CLASSES)
            status = rb_fail(err, REVBIFPN_BAD_DATA, "%s: picture %llu has the label %d, not 0 … 9", path,
                             (unsigned long long)i, label);
        else
            status = add_record(s, file, i, label, err);
    }
fail:
    rb_free(bytes);
    return status;
}

revbifpn_status rb_source_read_cifar(rb_source *s, const char *folder, bool validation, rb_error *err) {
    static const char *const names[CLASSES] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                               "dog",      "frog",       "horse", "ship", "truck"};
    revbifpn_status status = REVBIFPN_OK;
    for (int i = 0; !status && i < CLASSES; i++) status = rb_names_add(&s->classes, names[i], err);
    for (int i = 1; !status && i <= (validation ? 1 : FILES); i++) {
        char name[32];
        struct stat info;
        snprintf(name, sizeof name, validation ? "test_batch.bin" : "data_batch_%d.bin", i);
        char *path = rb_path_join(folder, name);
        if (!path) return rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the list of pictures");
        if (!stat(path, &info)) status = read_file(s, path, (uint64_t)info.st_size, err);
        rb_free(path);
    }
    return status;
}
