/* The programs of examples/: what they promise. */
#include "check.h"

#include "base/file.h"
#include "data/synth.h"
#include "image/image.h"

static void recover_writes_the_picture_that_the_network_saw(void **state) {
    (void)state;
    char folder[4096], line[16000], in[4200], out[4200];
    const char *build = getenv("REVBIFPN_BUILD");
    rb_error err;
    rb_image image, back;
    make_folder(folder);
    snprintf(in, sizeof in, "%s/in.png", folder);
    snprintf(out, sizeof out, "%s/out.png", folder);
    CHECK_OK(rb_image_alloc(&image, 224, 224, &err), &err); /* the size of S0: nothing is scaled */
    rb_synth_draw(&image, 3, 1, 1);
    CHECK_OK(rb_image_write_png(in, &image, &err), &err);
    snprintf(line, sizeof line, "%s/example_recover %s %s > %s/said", build ? build : "build", in, out,
             folder);
    assert_int_equal(system(line), 0);
    rb_decode_options options = {.max_pixels = 1000000};
    CHECK_OK(rb_image_read(out, &options, &back, NULL, &err), &err);
    assert_true(back.width == 224 && back.height == 224);
    assert_memory_equal(back.pixels, image.pixels, 224 * 224 * 3);
    snprintf(line, sizeof line, "%s/example_recover %s/said %s 2> %s/why", build ? build : "build", folder,
             out, folder);
    assert_int_not_equal(system(line), 0);
    rb_image_free(&image);
    rb_image_free(&back);
    remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(recover_writes_the_picture_that_the_network_saw)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
