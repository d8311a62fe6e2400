/* The programs of examples/: what they promise. */
#include "check.h"
#include "command.h"

#include "base/file.h"
#include "base/memory.h"
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

/* What `example_train FOLDER/set FOLDER/run PICTURE EPOCHS 32` says; its exit status is `code`. */
static char *train(const char *folder, const char *picture, int epochs, int code) {
    char line[16000], said[4200];
    const char *build = getenv("REVBIFPN_BUILD");
    size_t size;
    unsigned char *bytes;
    rb_error err;
    snprintf(said, sizeof said, "%s/said", folder);
    snprintf(line, sizeof line, "%s/example_train %s/set %s/run %s/%s %d 32 > %s 2>&1",
             build ? build : "build", folder, folder, folder, picture, epochs, said);
    assert_int_equal(system(line), code * 256);
    CHECK_OK(rb_file_read(said, 1000000, &bytes, &size, &err), &err);
    char *text = calloc(size + 1, 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    rb_free(bytes);
    return text;
}

static void train_keeps_weights_and_goes_on(void **state) {
    (void)state;
    char folder[4096], line[8192];
    make_folder(folder);
    snprintf(line, sizeof line, "synth --out %s/set --images 40 --val-images 8 --classes 4 --imgsz 64",
             folder);
    command_result drawn = command_run(line);
    assert_int_equal(drawn.code, 0);
    command_forget(&drawn);
    char *first = train(folder, "set/val/cross/0001.jpg", 2, 0);
    char *second = train(folder, "set/val/cross/0001.jpg", 3, 0);
    char *wrong = train(folder, "set/nothing.jpg", 3, 1);
    assert_non_null(strstr(first, "epoch 1 of 2"));
    assert_non_null(strstr(first, "epoch 2 of 2"));
    assert_non_null(strstr(first, "0001.jpg: "));
    assert_non_null(strstr(second, "epoch 3 of 3"));
    assert_null(strstr(second, "epoch 2 of"));
    assert_non_null(strstr(wrong, "nothing.jpg: cannot open"));
    free(first);
    free(second);
    free(wrong);
    remove_folder(folder);
}

int main(void) {
    if (command_is_missing()) skip_all("the command is not built");
    const struct CMUnitTest tests[] = {cmocka_unit_test(recover_writes_the_picture_that_the_network_saw),
                                       cmocka_unit_test(train_keeps_weights_and_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
