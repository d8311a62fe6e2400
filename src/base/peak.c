#define _GNU_SOURCE
#include "base/peak.h"

#include <time.h>

#include "base/memory.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { REPEATS = 5, CHAINS = 10, ROUNDS = 4000000, ELEMENTS = 1 << 24, STRIPE = 64 };

typedef struct peak {
    rb_cpu_level level;
    int threads;
    float *a, *b, *c; /* ELEMENTS each */
    double *found;    /* threads: what the work gave, so that it is not optimised away */
} peak;

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
    double sum = 0;
    for (int i = 0; i < CHAINS; i++) sum += (double)x[i];
    return sum;
}

static int lanes(rb_cpu_level level) { return level == RB_CPU_AVX512 ? 16 : level == RB_CPU_AVX2 ? 8 : 1; }

static void chains_task(void *arg, int task, int thread) {
    (void)thread;
    peak *p = arg;
#if defined(__x86_64__)
    if (p->level == RB_CPU_AVX512) p->found[task] += chains_avx512(ROUNDS);
    if (p->level == RB_CPU_AVX2) p->found[task] += chains_avx2(ROUNDS);
#endif
    if (p->level == RB_CPU_REF) p->found[task] += chains_plain(ROUNDS);
}

static size_t share(const peak *p, int task) {
    return (size_t)ELEMENTS / STRIPE * (size_t)task / (size_t)p->threads * STRIPE;
}

static void fill_task(void *arg, int task, int thread) {
    (void)thread;
    peak *p = arg;
    for (size_t i = share(p, task); i < share(p, task + 1); i++) p->a[i] = p->b[i] = p->c[i] = (float)(i % 7);
}

static void read_task(void *arg, int task, int thread) {
    (void)thread;
    peak *p = arg;
    float sum[STRIPE] = {0};
    for (size_t i = share(p, task); i < share(p, task + 1); i += STRIPE)
        for (size_t k = 0; k < STRIPE; k++) sum[k] += p->b[i + k];
    for (size_t k = 0; k < STRIPE; k++) p->found[task] += (double)sum[k];
}

static void triad_task(void *arg, int task, int thread) {
    (void)thread;
    peak *p = arg;
    for (size_t i = share(p, task); i < share(p, task + 1); i++) p->a[i] = p->b[i] + 0.5f * p->c[i];
    p->found[task] += (double)p->a[share(p, task)];
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Least seconds of one round of the task on all threads, after one to warm up. */
static double seconds_of(peak *p, rb_pool *pool, rb_task *task) {
    double best = 1e9;
    rb_pool_run(pool, p->threads, task, p);
    for (int i = 0; i < REPEATS; i++) {
        double start = now();
        rb_pool_run(pool, p->threads, task, p);
        double seconds = now() - start;
        if (seconds < best) best = seconds;
    }
    return best;
}

revbifpn_status rb_peak_measure(rb_cpu_level level, rb_pool *pool, rb_peak *out, rb_error *err) {
    revbifpn_status status = REVBIFPN_OK;
    peak p = {.level = level, .threads = rb_pool_threads(pool)};
    p.a = rb_alloc(ELEMENTS * sizeof(float));
    p.b = rb_alloc(ELEMENTS * sizeof(float));
    p.c = rb_alloc(ELEMENTS * sizeof(float));
    p.found = rb_alloc((size_t)p.threads * sizeof(double));
    if (p.a && p.b && p.c && p.found) {
        double flops = 2.0 * CHAINS * lanes(level) * (double)ROUNDS * p.threads;
        double bytes = (double)ELEMENTS * sizeof(float);
        rb_pool_run(pool, p.threads, fill_task, &p);
        out->flops = flops / seconds_of(&p, pool, chains_task);
        out->read = bytes / seconds_of(&p, pool, read_task);
        out->triad = 3 * bytes / seconds_of(&p, pool, triad_task);
    } else {
        status = rb_fail(err, REVBIFPN_OUT_OF_MEMORY, "out of memory for the measurement of the peaks");
    }
    rb_free(p.a), rb_free(p.b), rb_free(p.c), rb_free(p.found);
    return status;
}
