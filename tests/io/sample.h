/* What tests of tensor files write: every type and rank; NAME is the name of the bytes. */
#ifndef TESTS_IO_SAMPLE_H
#define TESTS_IO_SAMPLE_H

#include "io/safetensors.h"

static const float weights[6] = {1, -2, 3.5f, 0, 1e-30f, 7};
static const int64_t batches[1] = {42};
static const unsigned char bytes[5] = {1, 2, 3, 4, 255};

static const rb_tensor_source sources[] = {
    {.name = "stack.0.weight", .dtype = RB_DTYPE_F32, .ndim = 2, .shape = {2, 3}, .data = weights},
    {.name = "stack.0.num_batches_tracked", .dtype = RB_DTYPE_I64, .data = batches},
    {.name = "empty", .dtype = RB_DTYPE_F64, .ndim = 3, .shape = {4, 0, 2}},
    {.name = NAME, .dtype = RB_DTYPE_U8, .ndim = 1, .shape = {5}, .data = bytes},
    {.name = "half", .dtype = RB_DTYPE_BF16, .ndim = 8, .shape = {1, 1, 1, 1, 1, 1, 3, 1}, .data = weights},
};
enum { SOURCES = sizeof sources / sizeof *sources };

#endif
