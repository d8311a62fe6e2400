/* What the readers of io/safetensors.h share: an open file, its table of tensors, reading. Only src/io/
 * includes this. */
#ifndef RB_IO_TENSOR_FILE_H
#define RB_IO_TENSOR_FILE_H

#include <jansson.h>

#include "io/safetensors.h"

#define RB_TENSOR_METADATA "__metadata__"

struct rb_tensor_file {
    int fd;
    char *path;
    uint64_t size;       /* of the file */
    uint64_t data_start; /* offsets of tensors count from here */
    size_t data_bytes;
    json_t *header; /* {"__metadata__": {…}}; of safetensors all of the header, which owns the names then */
    char *names;    /* of a PyTorch file: owns the names */
    int count;
    rb_tensor_info *tensors;
    const rb_tensor_info **by_name;
};

/* The formats. Each fills header, names, data_start and the table of an open file, all checked but for
 * repeated names. */
revbifpn_status rb_safetensors_parse(rb_tensor_file *file, rb_error *err) RB_CHECKED;
revbifpn_status rb_pth_parse(rb_tensor_file *file, const char *key, rb_error *err) RB_CHECKED;
/* Whether a file that begins with these bytes is PyTorch's. */
bool rb_pth_recognise(const unsigned char *head, size_t size);

/* Room for `count` tensors. */
revbifpn_status rb_tensor_file_reserve(rb_tensor_file *file, size_t count, rb_error *err) RB_CHECKED;
/* Reads `size` bytes at `offset` of the file. */
revbifpn_status rb_tensor_read_at(const rb_tensor_file *file, uint64_t offset, void *dst, size_t size,
                                  rb_error *err) RB_CHECKED;

/* Index in rb_dtype, or -1. */
int rb_dtype_from_name(const char *name);
/* Bytes of a tensor, or SIZE_MAX when they cannot be counted. */
size_t rb_tensor_bytes(rb_dtype dtype, int ndim, const int64_t *shape);

/* A name as errors show it: not too long. */
typedef struct rb_shown {
    char text[160];
} rb_shown;
rb_shown rb_tensor_show(const char *name);
/* "F32 [2, 3]" */
rb_shown rb_tensor_show_type(rb_dtype dtype, int ndim, const int64_t *shape);

#endif
