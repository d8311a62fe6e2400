/* NumPy's array files, format 1.0. */
#ifndef RB_IO_NPY_H
#define RB_IO_NPY_H

#include "base/status.h"

enum { RB_NPY_DIMS = 8 };

/* Writes float32 values, C order, little-endian, whole or not at all. dims 1 … RB_NPY_DIMS. IO_FAILED. */
revbifpn_status rb_npy_write(const char *path, const float *values, const int *shape, int dims,
                             rb_error *err) RB_CHECKED;

#endif
