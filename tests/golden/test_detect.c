/* The detector's figures, on every level that this processor has (SLOW-TEST). */
#include "check.h"

#include "base/file.h"
#include "base/memory.h"
#include "golden_detect.h"

static const char *const files[] = {"s0_mask_frozen.json", "s0_mask_full.json", "s1_box_batch_empty.json"};
enum { FILES = sizeof files / sizeof *files };

static golden_detect run(const char *path, rb_cpu_level level) {
    golden_detect r;
    rb_error err;
    assert_true(golden_is_detect(path));
    CHECK_OK(golden_detect_run(path, level, 2, &r, &err), &err);
    golden_detect_print(&r);
    return r;
}

static void hold_on(rb_cpu_level level, int count) {
    for (int i = 0; i < count; i++) {
        char name[128];
        snprintf(name, sizeof name, "tests/golden/%s", files[i]);
        golden_detect r = run(source_path(name), level);
        assert_true(r.pass);
        assert_true(r.stored > 0 && r.grad_error <= r.stored); /* not farther off than PyTorch's float32 */
    }
}

static void reference_kernels_hold(void **state) {
    (void)state;
    hold_on(RB_CPU_REF, 1); /* one: plain loops over 256 channels take minutes */
}

static void avx2_kernels_hold(void **state) {
    (void)state;
    if (rb_cpu_detect() < RB_CPU_AVX2) skip();
    hold_on(RB_CPU_AVX2, FILES);
}

static void avx512_kernels_hold(void **state) {
    (void)state;
    if (rb_cpu_detect() < RB_CPU_AVX512) skip();
    hold_on(RB_CPU_AVX512, FILES);
}

/* The comparison itself must be able to fail: a box moved by a pixel, a label changed, a loss. */
static void wrong_figures_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
    } changes[] = {{"\"loss_cls\":1.3", "\"loss_cls\":1.4"},
                   {"\"label\":0,", "\"label\":2,"},
                   {"\"area\":", "\"area\":9"}};
    char folder[4096], path[4200];
    make_folder(folder);
    snprintf(path, sizeof path, "%s/wrong.json", folder);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        unsigned char *text;
        size_t size;
        rb_error err;
        CHECK_OK(rb_file_read(source_path("tests/golden/s0_mask_frozen.json"), 1 << 24, &text, &size, &err),
                 &err);
        char *test = strstr((char *)text, i ? "\"test\":" : "\"losses\":"), *at;
        assert_non_null(test);
        assert_non_null(at = strstr(test, changes[i].from));
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fwrite(text, 1, (size_t)(at - (char *)text), f);
        fputs(changes[i].to, f);
        fputs(at + strlen(changes[i].from), f);
        fclose(f);
        rb_free(text);
        assert_false(run(path, rb_cpu_detect()).pass);
    }
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
