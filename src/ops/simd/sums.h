/* Sums over pixels, as epilogues and as passes. Short runs (at most RUN pixels) in float, several chains
 * each; everything longer in double, and in an order that shapes alone fix. Included after tile.h. */
#ifndef RB_OPS_SIMD_SUMS_H
#define RB_OPS_SIMD_SUMS_H

#include "ops/simd/tile.h"

enum { RUN = 256, JOIN = 64 /* channels a task of a join */ };

/* A pass that only sums goes through the pixels as they lie in memory, with the sums of at most AT_ONCE
 * neighbouring channel vectors in registers. The channels it takes at once: groups of about the same size. */
enum { AT_ONCE = RB_WIDE ? 4 : 2 };
static inline size_t channel_group(size_t c) {
    size_t vectors = ceil_div(c, VL);
    return ceil_div(vectors, ceil_div(vectors, AT_ONCE)) * VL;
}

/* ---- batch statistics: per item (a run of pixels) and channel a pivot, Σ(z − pivot), Σ(z − pivot)² */

typedef struct moment_slots {
    float *pivot;         /* item, stride */
    double *sum, *square; /* item, stride */
    size_t stride;
} moment_slots;

static inline size_t take_moments(size_t *total, size_t items, size_t stride, size_t at[3]) {
    at[0] = take(total, items * stride * sizeof(float));
    at[1] = take(total, items * stride * sizeof(double));
    at[2] = take(total, items * stride * sizeof(double));
    return *total;
}
static inline moment_slots moments_at(void *scratch, const size_t at[3], size_t stride) {
    return (moment_slots){floats_at(scratch, at[0]), doubles_at(scratch, at[1]), doubles_at(scratch, at[2]),
                          stride};
}

/* Opens the slot of an item: the pivot is its first pixel, so nothing cancels however far the mean lies from
 * 0. */
RB_TARGET static inline void moments_open(moment_slots m, size_t item, size_t c0, size_t cn, const float *z) {
    size_t at = item * m.stride + c0;
    memcpy(m.pivot + at, z, cn * sizeof *z);
    memset(m.sum + at, 0, round_up(cn, VL) * sizeof *m.sum);
    memset(m.square + at, 0, round_up(cn, VL) * sizeof *m.square);
}

RB_TARGET static inline void moments_run(moment_slots m, size_t item, size_t c0, size_t cn, const float *z,
                                         size_t ld, size_t rows) {
    size_t at = item * m.stride + c0;
    for (size_t c = 0; c < cn; c += VL) {
        size_t n = cn - c, r = 0;
        vf pivot = vf_load_n(m.pivot + at + c, n), a[4], b[4];
        for (int i = 0; i < 4; i++) a[i] = b[i] = vf_zero();
        const float *from = z + c;
        for (; r + 4 <= rows; r += 4, from += 4 * ld) {
            RB_UNROLL
            for (size_t i = 0; i < 4; i++) {
                vf d = vf_sub(vf_load_n(from + i * ld, n), pivot);
                a[i] = vf_add(a[i], d);
                b[i] = vf_fma(d, d, b[i]);
            }
        }
        for (; r < rows; r++, from += ld) {
            vf d = vf_sub(vf_load_n(from, n), pivot);
            a[0] = vf_add(a[0], d);
            b[0] = vf_fma(d, d, b[0]);
        }
        vf_add_to(m.sum + at + c, vf_add(vf_add(a[0], a[1]), vf_add(a[2], a[3])));
        vf_add_to(m.square + at + c, vf_add(vf_add(b[0], b[1]), vf_add(b[2], b[3])));
    }
}

/* The items of a map: `groups` times `per_group` items of `full` pixels, of which the last has `last`. */
typedef struct moment_job {
    moment_slots m;
    size_t c, groups, per_group, full, last;
    rb_moments moments;
} moment_job;

/* All items about the first one's pivot p: Σ(z−p) = Σ s + m·δ and Σ(z−p)² = Σ q + 2δ·s + m·δ², δ = pivot − p.
 */
RB_TARGET static inline void moments_task(void *arg, int task, int thread) {
    (void)thread;
    const moment_job *j = arg;
    size_t first = (size_t)task * JOIN, count = size_min(JOIN, j->c - first),
           items = j->groups * j->per_group;
    double sum[JOIN] = {0}, square[JOIN] = {0};
    for (size_t i = 0; i < items; i++) {
        double pixels = (double)(i % j->per_group + 1 == j->per_group ? j->last : j->full);
        size_t at = i * j->m.stride + first;
        for (size_t c = 0; c < count; c++) {
            double delta = (double)j->m.pivot[at + c] - (double)j->m.pivot[first + c];
            sum[c] += j->m.sum[at + c] + pixels * delta;
            square[c] += j->m.square[at + c] + delta * (2 * j->m.sum[at + c] + pixels * delta);
        }
    }
    double total = (double)j->groups * ((double)(j->per_group - 1) * (double)j->full + (double)j->last);
    for (size_t c = 0; c < count; c++) {
        double mean = sum[c] / total, var = square[c] / total - mean * mean;
        j->moments.mean[first + c] = (float)((double)j->m.pivot[first + c] + mean);
        j->moments.var[first + c] = (float)(var < 0 ? 0 : var); /* NaN stays */
    }
}

static inline void moments_join(moment_job job, rb_pool *pool) {
    run_tasks(pool, 3 * job.groups * job.per_group * job.c, ceil_div(job.c, JOIN), moments_task, &job);
}

/* ---- flat chunks: the pixels of all samples in one line, cut into equal chunks. A chunk may span samples;
 * the part of sample s in chunk i has slot i + s, which no other part has. */

static inline size_t flat_chunk(size_t pixels) { return size_clamp(round_up(pixels / 32, 8), 32, RUN); }
static inline size_t flat_first(size_t sample, size_t per_sample, size_t chunk) {
    return sample * per_sample / chunk + sample;
}
static inline size_t flat_last(size_t sample, size_t per_sample, size_t chunk) {
    return ((sample + 1) * per_sample - 1) / chunk + sample;
}

/* Clears the slots of one chunk's parts, `count` doubles each. */
static inline void flat_open(double *slots, size_t first, size_t rows, size_t per_sample, size_t chunk,
                             size_t count) {
    size_t from = first / chunk + first / per_sample, to = first / chunk + (first + rows - 1) / per_sample;
    memset(slots + from * count, 0, (to - from + 1) * count * sizeof *slots);
}
static inline size_t flat_slots(size_t pixels, size_t samples, size_t chunk) {
    return ceil_div(pixels, chunk) + samples - 1;
}

/* ---- sums for activation, gate and norm: slots of RB_ACT_SUMS rows of `stride` doubles */

RB_INLINE void act_sums_vector(const float *d, size_t ldd, const float *z, size_t ldz, size_t rows, size_t n,
                               vf scale, vf shift, vf mean, double *slot, size_t stride) {
    vf sum[RB_ACT_SUMS][2];
    RB_UNROLL
    for (int i = 0; i < RB_ACT_SUMS; i++) sum[i][0] = sum[i][1] = vf_zero();
    for (size_t r = 0; r < rows; r += 2) {
        RB_UNROLL
        for (size_t half = 0; half < 2; half++) {
            if (half && r + 1 == rows) break;
            vf value = vf_load_n(z + (r + half) * ldz, n);
            vf u = vf_fma(scale, value, shift), slope = vf_hswish_slope(u), centred = vf_sub(value, mean);
            if (d) {
                vf grad = vf_load_n(d + (r + half) * ldd, n), through = vf_mul(grad, slope);
                sum[0][half] = vf_fma(grad, vf_hswish(u), sum[0][half]);
                sum[1][half] = vf_add(through, sum[1][half]);
                sum[2][half] = vf_fma(through, centred, sum[2][half]);
            }
            sum[3][half] = vf_add(slope, sum[3][half]);
            sum[4][half] = vf_fma(slope, centred, sum[4][half]);
        }
    }
    RB_UNROLL
    for (size_t i = 0; i < RB_ACT_SUMS; i++) vf_add_to(slot + i * stride, vf_add(sum[i][0], sum[i][1]));
}

/* `rows` ≤ RUN pixels, channels c0 … c0 + cn − 1; d (may be NULL) and z point at the first of them. */
RB_TARGET static inline void act_sums_run(const float *d, size_t ldd, const float *z, size_t ldz, size_t rows,
                                          const rb_act_sums *a, size_t c0, size_t cn, double *slot,
                                          size_t stride) {
    for (size_t c = 0; c < cn; c += VL) {
        size_t n = cn - c;
        vf scale = vf_load_n(a->affine.scale + c0 + c, n), shift = vf_load_n(a->affine.shift + c0 + c, n);
        vf mean = vf_load_n(a->mean + c0 + c, n);
        if (d)
            act_sums_vector(d + c, ldd, z + c, ldz, rows, n, scale, shift, mean, slot + c0 + c, stride);
        else
            act_sums_vector(NULL, 0, z + c, ldz, rows, n, scale, shift, mean, slot + c0 + c, stride);
    }
}

/* The part of a flat run that lies in each sample, into that part's slot. `first` is the run's first pixel,
 * and `d` its first row. */
RB_TARGET static inline void act_sums_flat(const float *d, size_t ldd, rb_shape shape, const rb_act_sums *a,
                                           size_t first, size_t rows, size_t chunk, double *slots,
                                           size_t stride) {
    size_t pixels = (size_t)shape.h * (size_t)shape.w, c = (size_t)shape.c;
    while (rows) {
        size_t n = first / pixels, run = size_min(rows, (n + 1) * pixels - first);
        double *slot = slots + (first / chunk + n) * RB_ACT_SUMS * stride;
        act_sums_run(d, ldd, a->z + first * c, c, run, a, 0, c, slot, stride);
        if (d) d += run * ldd;
        first += run, rows -= run;
    }
}

/* Adds the slots of each sample, in order: of fixed number a sample, or of flat chunks. */
typedef struct slots_job {
    const double *slots;
    size_t stride, rows, c;   /* a slot is rows × stride; of each row c doubles count */
    size_t per_sample, chunk; /* chunk 0: per_sample slots a sample; else per_sample pixels, in flat chunks */
    double *sums;             /* n, rows, c */
} slots_job;

RB_TARGET static inline void slots_task(void *arg, int task, int thread) {
    (void)thread;
    const slots_job *j = arg;
    size_t n = (size_t)task, first = n * j->per_sample, last = first + j->per_sample - 1;
    if (j->chunk) {
        first = flat_first(n, j->per_sample, j->chunk);
        last = flat_last(n, j->per_sample, j->chunk);
    }
    for (size_t row = 0; row < j->rows; row++) {
        double *to = j->sums + (n * j->rows + row) * j->c;
        memset(to, 0, j->c * sizeof *to);
        for (size_t i = first; i <= last; i++) {
            const double *from = j->slots + (i * j->rows + row) * j->stride;
            for (size_t c = 0; c < j->c; c++) to[c] += from[c];
        }
    }
}

/* For `samples` samples, of `slots` slots in all. */
static inline void slots_join(slots_job job, size_t samples, size_t slots, rb_pool *pool) {
    run_tasks(pool, slots * job.rows * job.stride, samples, slots_task, &job);
}

#endif
