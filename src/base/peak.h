/* What this machine can do at most: what the time of kernels is held against. */
#ifndef RB_BASE_PEAK_H
#define RB_BASE_PEAK_H

#include "base/cpu.h"
#include "base/status.h"
#include "base/threads.h"

/* Rates of all threads of a pool together, each the best of several short rounds. */
typedef struct rb_peak {
    double
        flops;   /* operations a second: float32 multiply-adds of independent chains in registers, two each */
    double read; /* bytes a second: summing an array larger than the caches */
    double triad; /* bytes a second: a = b + s·c on such arrays, 12 bytes an element (not the write's read) */
} rb_peak;

/* Takes about a quarter of a second and 192 MiB, given back at the end. `level` must not exceed what the
 * processor has. OUT_OF_MEMORY. */
revbifpn_status rb_peak_measure(rb_cpu_level level, rb_pool *pool, rb_peak *out, rb_error *err) RB_CHECKED;

#endif
