/* What this machine can do at most, the floor that profiles are held against: bench_peak [threads]. One JSON
 * line: gflops     float32 fused multiply-adds of independent chains in registers, two operations each
 *   read_gbs   summing arrays much larger than the caches
 *   triad_gbs  a = b + s·c on such arrays, 12 bytes an element (the write's own read is not counted)
 * Each the median of several runs on all threads at once. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { REPEATS = 7, CHAINS = 10, ROUNDS = 40000000, ELEMENTS = 1 << 24, THREADS_MAX = 64 };

typedef struct peak {
    rb_cpu_level level;
    int threads;
    float *a, *b, *c;          /* ELEMENTS each */
    double found[THREADS_MAX]; /* keeps results alive */
} peak;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Chains of multiply-adds that do not wait for one another; returns a value that depends on all. */
#if defined(__x86_64__)
__attribute__((target("avx512f"))) static double chains_avx512(int rounds) {
    __m512 x[CHAINS], m = _mm512_set1_ps(0.9999f), s = _mm512_set1_ps(1e-4f);
    for (int i = 0; i < CHAINS; i++) x[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) x[i] = _mm512_fmadd_ps(x[i], m, s);
    }
    double sum = 0;
    for (int i = 0; i < CHAINS; i++) sum += (double)_mm512_reduce_add_ps(x[i]);
    return sum;
}

__attribute__((target("avx2,fma"))) static double chains_avx2(int rounds) {
    __m256 x[CHAINS], m = _mm256_set1_ps(0.9999f), s = _mm256_set1_ps(1e-4f);
    for (int i = 0; i < CHAINS; i++) x[i] = _mm256_set1_ps((float)i);
    for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) x[i] = _mm256_fmadd_ps(x[i], m, s);
    }
    double sum = 0;
    for (int i = 0; i < CHAINS; i++) sum += (double)_mm256_cvtss_f32(x[i]);
    return sum;
}
#endif

static double chains_plain(int rounds) {
    float x[CHAINS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++) x[i] = x[i] * 0.9999f + 1e-4f;
    return (double)(x[0] + x[CHAINS - 1]);
}

static int lanes(const peak *p) { return p->level == RB_CPU_AVX512 ? 16 : p->level == RB_CPU_AVX2 ? 8 : 1; }

static void chains_task(void *arg, int task, int thread) {
    (void)thread;
    peak *p = arg;
#if defined(__x86_64__)
    if (p->level == RB_CPU_AVX512) p->found[task] += chains_avx512(ROUNDS);
    if (p->level == RB_CPU_AVX2) p->found[task] += chains_avx2(ROUNDS);
#endif
    if (p->level == RB_CPU_REF) p->found[task] += chains_plain(ROUNDS);
}

static void read_task(void *arg, int task, int thread) {
    (void)thread;
    peak *p = arg;
    size_t first = (size_t)ELEMENTS * (size_t)task / (size_t)p->threads;
    size_t last = (size_t)ELEMENTS * (size_t)(task + 1) / (size_t)p->threads;
    float sum[64] = {0};
    for (size_t i = first; i + 64 <= last; i += 64)
        for (size_t k = 0; k < 64; k++) sum[k] += p->b[i + k];
    for (size_t k = 0; k < 64; k++) p->found[task] += (double)sum[k];
}

static void triad_task(void *arg, int task, int thread) {
    (void)thread;
    peak *p = arg;
    size_t first = (size_t)ELEMENTS * (size_t)task / (size_t)p->threads;
    size_t last = (size_t)ELEMENTS * (size_t)(task + 1) / (size_t)p->threads;
    for (size_t i = first; i < last; i++) p->a[i] = p->b[i] + 0.5f * p->c[i];
    p->found[task] += (double)p->a[first];
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of one round of the task on all threads. */
static double seconds_of(peak *p, rb_pool *pool, rb_task *task) {
    double seconds[REPEATS];
    rb_pool_run(pool, p->threads, task, p); /* warm-up */
    for (int i = 0; i < REPEATS; i++) {
        double start = now();
        rb_pool_run(pool, p->threads, task, p);
        seconds[i] = now() - start;
    }
    qsort(seconds, REPEATS, sizeof *seconds, by_size);
    return seconds[REPEATS / 2];
}

int main(int argc, char **argv) {
    peak p = {.level = rb_cpu_detect(), .threads = argc > 1 ? atoi(argv[1]) : rb_usable_processors()};
    rb_pool *pool;
    rb_error err;
    if (p.threads < 1 || p.threads > THREADS_MAX || rb_pool_open(&pool, p.threads, &err)) {
        fprintf(stderr, "bench_peak: 1 to %d threads\n", THREADS_MAX);
        return 1;
    }
    float **arrays[3] = {&p.a, &p.b, &p.c};
    for (int i = 0; i < 3; i++) {
        *arrays[i] = rb_alloc(ELEMENTS * sizeof(float));
        if (!*arrays[i]) return 1;
        for (size_t k = 0; k < ELEMENTS; k++) (*arrays[i])[k] = (float)(k % 7);
    }
    double flops = 2.0 * CHAINS * lanes(&p) * (double)ROUNDS * p.threads, floats = ELEMENTS * sizeof(float);
    double chains = seconds_of(&p, pool, chains_task), read = seconds_of(&p, pool, read_task);
    double triad = seconds_of(&p, pool, triad_task);
    printf(
        "{\"kernels\": \"%s\", \"threads\": %d, \"gflops\": %.1f, \"read_gbs\": %.1f, \"triad_gbs\": %.1f}\n",
        rb_cpu_name(p.level), p.threads, 1e-9 * flops / chains, 1e-9 * floats / read, 3e-9 * floats / triad);
    for (int i = 0; i < 3; i++) rb_free(*arrays[i]);
    rb_pool_close(&pool);
    return p.found[0] == 0; /* never: the work must not be optimised away */
}
