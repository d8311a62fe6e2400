/* libFuzzer target for shards: the same bytes as a tar archive and as the index of one. What is accepted must
 * be consistent. Without libFuzzer the function runs over the files named on the command line, and their
 * beginnings. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/shard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "fuzz_shards: %s\n", what);
    abort();
}

static void walk(const rb_shard_index *index, size_t shard) {
    rb_shard_entry e;
    uint64_t count = 0;
    for (size_t at = 0; rb_shard_index_next(index, &at, &e); count++) {
        insist(e.name_length && e.label_length, "an entry without name or label");
        insist(e.offset <= shard && e.size <= shard - e.offset, "a picture outside the shard");
        insist(!memchr(e.name, 0, e.name_length + e.label_length), "a zero byte in a name");
    }
    insist(count == index->count, "another number of entries");
}

static void as_archive(const char *path, size_t size) {
    rb_shard_index index;
    rb_error err = {0};
    revbifpn_status status = rb_shard_index_make(&index, path, &err);
    insist(!status || (status == REVBIFPN_BAD_FILE && err.text[0] && !strchr(err.text, '\n')), err.text);
    if (status) return;
    walk(&index, size);
    insist(rb_shard_index_check(&index), "an index that its own check refuses");
    rb_shard_index_close(&index);
}

static void as_index(const uint8_t *data, size_t size) {
    rb_shard_index index = {.bytes = rb_alloc(size), .size = size};
    insist(index.bytes != NULL, "out of memory");
    if (size) memcpy(index.bytes, data, size);
    if (rb_shard_index_check(&index)) walk(&index, SIZE_MAX);
    rb_shard_index_close(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    insist(fd >= 0 && write(fd, data, size) == (ssize_t)size, "cannot write the input");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    as_archive(path, size);
    as_index(data, size);
    close(fd);
    return 0;
}

#ifndef REVBIFPN_FUZZ
#include "seeds.h"
#endif
