/* Files of named tensors. Two formats are read, told apart by their first bytes: safetensors, and what
 * PyTorch's torch.save writes (io/pth.h). Safetensors (github.com/huggingface/safetensors, README "Format"):
 *
 *   8 bytes   length N of the header, little endian
 *   N bytes   JSON object: NAME → {"dtype", "shape", "data_offsets": [begin, end)}, and "__metadata__":
 * strings to strings the rest  the tensors' bytes, little endian, row-major; offsets count from here; no
 * hole, no overlap, nothing after
 *
 * A file is taken as hostile: everything is checked when it is opened, so that every rb_tensor_info lies
 * inside the file. Data is read with pread into the caller's memory (a mapping would kill the process if the
 * file shrank). */
#ifndef RB_IO_SAFETENSORS_H
#define RB_IO_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { RB_TENSOR_MAX_DIMS = 8 };

typedef enum rb_dtype {
    RB_DTYPE_BOOL,
    RB_DTYPE_U8,
    RB_DTYPE_I8,
    RB_DTYPE_F8_E5M2,
    RB_DTYPE_F8_E4M3,
    RB_DTYPE_U16,
    RB_DTYPE_I16,
    RB_DTYPE_F16,
    RB_DTYPE_BF16,
    RB_DTYPE_U32,
    RB_DTYPE_I32,
    RB_DTYPE_F32,
    RB_DTYPE_U64,
    RB_DTYPE_I64,
    RB_DTYPE_F64,
    RB_DTYPE_COUNT
} rb_dtype;

/* "F32" */
const char *rb_dtype_name(rb_dtype dtype);
/* Bytes of one element. */
size_t rb_dtype_bytes(rb_dtype dtype);

/* One tensor of an open file; all of it is owned by the file. */
typedef struct rb_tensor_info {
    const char *name;
    rb_dtype dtype;
    int ndim;                           /* 0 for a scalar */
    int64_t shape[RB_TENSOR_MAX_DIMS];  /* ≥ 0 */
    size_t offset, bytes;               /* where it begins in the data part; bytes of all its elements */
    bool strided;                       /* not row-major without gaps: a view, as PyTorch's files hold them */
    int64_t stride[RB_TENSOR_MAX_DIMS]; /* of a strided one, in elements, ≥ 0 */
} rb_tensor_info;

typedef struct rb_tensor_file rb_tensor_file;

/* Opens and checks `path`. Errors: IO_FAILED, BAD_FILE with one line of file, place and reason,
 * OUT_OF_MEMORY. */
revbifpn_status rb_tensor_file_open(rb_tensor_file **file, const char *path, rb_error *err) RB_CHECKED;
/* The same; of the several state dicts that a PyTorch checkpoint may hold, the one under `key`. NULL: the
 * file's only one, or "state_dict", or "model". A safetensors file has no keys: BAD_ARGUMENT. */
revbifpn_status rb_tensor_file_open_key(rb_tensor_file **file, const char *path, const char *key,
                                        rb_error *err) RB_CHECKED;
void rb_tensor_file_close(rb_tensor_file **file);
const char *rb_tensor_file_path(const rb_tensor_file *file);
/* Number of tensors, and tensor i of them in the order of their data (safetensors) or of the state dict. */
int rb_tensor_file_count(const rb_tensor_file *file);
const rb_tensor_info *rb_tensor_file_at(const rb_tensor_file *file, int i);
/* The tensor of that name, or NULL. */
const rb_tensor_info *rb_tensor_file_find(const rb_tensor_file *file, const char *name);
/* The string under `key` in the metadata, or NULL. Owned by the file. */
const char *rb_tensor_file_metadata(const rb_tensor_file *file, const char *key);
/* Reads tensor `name` into dst if it has exactly that dtype and shape; else BAD_FILE naming file, tensor and
 * both. Several threads may read from one file. */
revbifpn_status rb_tensor_file_read(const rb_tensor_file *file, const char *name, rb_dtype dtype, int ndim,
                                    const int64_t *shape, void *dst, rb_error *err) RB_CHECKED;
/* The same for float32 out of whatever floats the file has: F16 and BF16 exactly, F64 rounded to nearest. */
revbifpn_status rb_tensor_file_read_floats(const rb_tensor_file *file, const char *name, int ndim,
                                           const int64_t *shape, float *dst, rb_error *err) RB_CHECKED;

/* What a written file holds. Names, keys and values are UTF-8. */
typedef struct rb_tensor_source {
    const char *name;
    rb_dtype dtype;
    int ndim;
    int64_t shape[RB_TENSOR_MAX_DIMS];
    const void *data; /* product of shape elements */
} rb_tensor_source;

typedef struct rb_tensor_metadata {
    const char *key, *value;
} rb_tensor_metadata;

/* BAD_ARGUMENT when no file can hold that: names or keys that are not UTF-8 or repeat, types, shapes or data
 * missing. */
revbifpn_status rb_tensor_sources_check(const char *path, const rb_tensor_source *tensors, int count,
                                        const rb_tensor_metadata *metadata, int metadata_count,
                                        rb_error *err) RB_CHECKED;

/* Writes PATH whole or not at all, tensors and metadata in the order given; equal input gives equal bytes.
 * The header is padded with spaces so that the data starts at a multiple of 64 bytes. Names and keys must not
 * repeat. */
revbifpn_status rb_tensor_file_write(const char *path, const rb_tensor_source *tensors, int count,
                                     const rb_tensor_metadata *metadata, int metadata_count,
                                     rb_error *err) RB_CHECKED;

#endif
