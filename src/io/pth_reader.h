/* What the two forms of PyTorch's files share while one is read. Only src/io/pth*.c includes this. */
#ifndef RB_IO_PTH_READER_H
#define RB_IO_PTH_READER_H

#include "io/pickle.h"
#include "io/pth.h"
#include "io/tensor_file.h"
#include "io/zip.h"

enum { RB_PTH_PICKLE_MAX = 1 << 26 }; /* bytes; the pickle of S6 has 0.5 million */

/* A storage that the pickle names. */
typedef struct rb_storage {
    const unsigned char *key; /* in the pickle's bytes */
    uint32_t key_length;
    rb_dtype dtype;
    uint64_t count;  /* elements */
    uint64_t offset; /* of its bytes in the file; 0: not found yet */
} rb_storage;

typedef struct rb_pth {
    rb_tensor_file *file;
    unsigned char *bytes; /* of the pickle */
    rb_pickle pickle;
    rb_storage *storages; /* by key */
    size_t storage_count;
    rb_error *err;
} rb_pth;

/* Lists the storages of the pickle; a key must have one type and one size. */
revbifpn_status rb_pth_list_storages(rb_pth *pth) RB_CHECKED;
/* The storage of that key, or NULL. */
rb_storage *rb_pth_find_storage(const rb_pth *pth, const unsigned char *key, size_t length);

/* The two forms: pickle, and storages with their offsets. */
revbifpn_status rb_pth_read_zip(rb_pth *pth) RB_CHECKED;
revbifpn_status rb_pth_read_legacy(rb_pth *pth) RB_CHECKED;

#endif
