/* golden FILE…: compares the engine with golden files, one JSON line each. `make golden FILES="…"` runs it.
 * Exit 0 when every file passes and the geometric mean of the gradient errors is within 1.15 × the published
 * stored float32 error (over the files that bounds.json lists), else 1. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "golden_case.h"
#include "golden_detect.h"

static bool run_detect(const char *path, rb_cpu_level level) {
    golden_detect r;
    rb_error err = {0};
    if (golden_detect_run(path, level, rb_usable_processors(), &r, &err)) {
        fprintf(stderr, "golden: %s\n", err.text);
        return false;
    }
    golden_detect_print(&r);
    fflush(stdout);
    return r.pass;
}

int main(int argc, char **argv) {
    double log_ratio = 0;
    int bounded = 0, bad = argc < 2;
    if (argc < 2) fprintf(stderr, "usage: golden FILE…\n");
    const char *forced = getenv("REVBIFPN_CPU");
    int level = forced ? rb_cpu_from_name(forced) : (int)rb_cpu_detect();
    if (level < 0 || level > (int)rb_cpu_detect()) {
        fprintf(stderr, "golden: REVBIFPN_CPU=%s: not a level of this processor (ref, avx2, avx512)\n",
                forced);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        golden_result r;
        rb_error err = {0};
        if (golden_is_detect(argv[i])) {
            bad |= !run_detect(argv[i], (rb_cpu_level)level);
            continue;
        }
        if (golden_run(argv[i], (rb_cpu_level)level, rb_usable_processors(), &r, &err)) {
            fprintf(stderr, "golden: %s\n", err.text);
            bad = 1;
            continue;
        }
        golden_print(&r);
        fflush(stdout);
        bad |= !r.pass;
        if (r.stored > 0) log_ratio += log(r.grad_error / r.stored);
        bounded += r.stored > 0;
    }
    if (!bounded) return bad;
    double ratio = exp(log_ratio / bounded);
    fprintf(
        stderr,
        "geometric mean of grad_error over the published stored float32 error: %.3f (limit 1.15, %d files)\n",
        ratio, bounded);
    return bad || !(ratio <= 1.15);
}
