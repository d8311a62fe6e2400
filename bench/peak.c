/* What this machine can do at most (base/peak.h) as one JSON line: bench_peak [threads].
 *   gflops     float32 fused multiply-adds of independent chains in registers, two operations each
 *   read_gbs   summing arrays much larger than the caches
 *   triad_gbs  a = b + s·c on such arrays, 12 bytes an element (the write's own read is not counted) */
#include "base/peak.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : rb_usable_processors();
    rb_cpu_level level = rb_cpu_detect();
    rb_pool *pool = NULL;
    rb_peak peak;
    rb_error err;
    if (threads < 1 || rb_pool_open(&pool, threads, &err) || rb_peak_measure(level, pool, &peak, &err)) {
        fprintf(stderr, "bench_peak: %s\n", threads < 1 ? "at least one thread" : err.text);
        return 1;
    }
    printf(
        "{\"kernels\": \"%s\", \"threads\": %d, \"gflops\": %.1f, \"read_gbs\": %.1f, \"triad_gbs\": %.1f}\n",
        rb_cpu_name(level), threads, 1e-9 * peak.flops, 1e-9 * peak.read, 1e-9 * peak.triad);
    rb_pool_close(&pool);
    return 0;
}
