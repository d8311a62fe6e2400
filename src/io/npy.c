#include "io/npy.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

enum { HEADER = 256, MULTIPLE = 64, PREFIX = 10 };

/* Magic, version, length, a Python dictionary padded with blanks so that the values begin at a multiple
 * of 64. Returns its size. */
static size_t make_header(const int *shape, int dims, char header[HEADER]) {
    char *dictionary = header + PREFIX;
    size_t room = HEADER - PREFIX;
    int length = snprintf(dictionary, room, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < dims; i++)
        length +=
            snprintf(dictionary + length, room - (size_t)length, i && dims > 1 ? " %d," : "%d,", shape[i]);
    length += snprintf(dictionary + length, room - (size_t)length, "), }");
    size_t size = (PREFIX + (size_t)length + 1 + MULTIPLE - 1) / MULTIPLE * MULTIPLE, padded = size - PREFIX;
    memset(dictionary + length, ' ', padded - (size_t)length - 1);
    dictionary[padded - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(padded & 0xff);
    header[9] = (char)(padded >> 8);
    return size;
}

revbifpn_status rb_npy_write(const char *path, const float *values, const int *shape, int dims,
                             rb_error *err) {
    revbifpn_status status;
    rb_file_writer file = {0};
    char header[HEADER];
    assert(dims >= 1 && dims <= RB_NPY_DIMS);
    size_t count = 1;
    for (int i = 0; i < dims; i++) count *= (size_t)shape[i];
    TRY(rb_file_begin(&file, path, err));
    TRY(rb_file_write(&file, header, make_header(shape, dims, header), err));
    TRY(rb_file_write(&file, values, count * sizeof *values, err));
    return rb_file_commit(&file, err);
fail:
    rb_file_abandon(&file);
    return status;
}
