/* The published model's figures, on every level that this processor has (SLOW-TEST). */
#include "check.h"

#include <math.h>

#include "base/file.h"
#include "golden_case.h"

static const char *const files[] = {"s0_64_b2_c10.json", "s0_64_b2_noneck.json", "s0_128x96_b2_pyramid.json",
                                    "s0_96x64_b3_c10.json", "s3_64_b2_c100.json"};
enum { FILES = sizeof files / sizeof *files };

static golden_result run(const char *path, rb_cpu_level level, int threads) {
    golden_result r;
    rb_error err;
    CHECK_OK(golden_run(path, level, threads, &r, &err), &err);
    golden_print(&r);
    return r;
}

static void hold_on(rb_cpu_level level) {
    double log_ratio = 0;
    for (int i = 0; i < FILES; i++) {
        char name[128];
        snprintf(name, sizeof name, "tests/golden/%s", files[i]);
        golden_result r = run(source_path(name), level, 2);
        assert_true(r.pass);
        assert_true(r.bound > 0 && r.stored > 0);
        log_ratio += log(r.grad_error / r.stored) / FILES;
    }
    assert_true(exp(log_ratio) <= 1.15);
}

static void reference_kernels_hold(void **state) {
    (void)state;
    hold_on(RB_CPU_REF);
}

static void avx2_kernels_hold(void **state) {
    (void)state;
    if (rb_cpu_detect() < RB_CPU_AVX2) skip();
    hold_on(RB_CPU_AVX2);
}

static void avx512_kernels_hold(void **state) {
    (void)state;
    if (rb_cpu_detect() < RB_CPU_AVX512) skip();
    hold_on(RB_CPU_AVX512);
}

/* The comparison itself must be able to fail: the figures of a batch of two against a batch of three. */
static void wrong_figures_are_refused(void **state) {
    (void)state;
    char folder[4096], path[4200];
    make_folder(folder);
    snprintf(path, sizeof path, "%s/wrong.json", folder);
    unsigned char *text;
    size_t size;
    rb_error err;
    CHECK_OK(rb_file_read(source_path("tests/golden/s0_64_b2_c10.json"), 1 << 24, &text, &size, &err), &err);
    char *batch = strstr((char *)text, "\"batch\":2");
    assert_non_null(batch);
    batch[8] = '3';
    CHECK_OK(rb_file_replace(path, text, size, &err), &err);
    rb_free(text);
    assert_false(run(path, rb_cpu_detect(), 1).pass);
    remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_kernels_hold),
        cmocka_unit_test(avx2_kernels_hold),
        cmocka_unit_test(avx512_kernels_hold),
        cmocka_unit_test(wrong_figures_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
